// A slider shows the media of another step without leaving the page.
let newest = 0;

async function show(panel, form) {
  const asked = ++newest, address = `${form.action}?${new URLSearchParams(new FormData(form))}`;
  const answer = await fetch(address);
  if (asked !== newest || !answer.ok) return;
  const content = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".panel .content");
  if (content && asked === newest) panel.querySelector(".content").replaceWith(document.adoptNode(content));
}

for (const form of document.querySelectorAll("form.steps")) {
  let waiting;
  form.step.addEventListener("input", () => {
    form.querySelector("output").textContent = Number(form.step.value).toLocaleString("en");
    clearTimeout(waiting);
    waiting = setTimeout(() => show(form.closest(".panel"), form), 120); // ms
  });
}
