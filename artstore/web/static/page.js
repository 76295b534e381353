// "/" goes to the search field, as on many pages.
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) {
    event.preventDefault();
    document.getElementById("search")?.focus();
  }
});
