// Pan and zoom of the picture: by mouse, wheel and buttons, and by keys while it has the focus.
const graph = document.querySelector(".graph");
const canvas = graph.querySelector(".canvas");
const picture = canvas.querySelector("svg");
const fit = Math.min(1, graph.clientWidth / picture.clientWidth, graph.clientHeight / picture.clientHeight);
const view = Panzoom(canvas, { startScale: Math.max(fit, 0.3), minScale: 0.05, maxScale: 5, origin: "0 0", canvas: true });
let moved = false;
canvas.addEventListener("panzoompan", () => { moved = true; });
graph.addEventListener("pointerdown", () => { moved = false; });
graph.addEventListener("click", (event) => { if (moved) event.preventDefault(); }, true);
graph.addEventListener("wheel", (event) => { event.preventDefault(); view.zoomWithWheel(event); }, { passive: false });
const actions = { in: () => view.zoomIn(), out: () => view.zoomOut(), reset: () => view.reset() };
for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", actions[button.dataset.zoom]);
const keys = {
  "+": actions.in, "-": actions.out, "0": actions.reset,
  ArrowLeft: () => view.pan(60, 0, { relative: true }), ArrowRight: () => view.pan(-60, 0, { relative: true }),
  ArrowUp: () => view.pan(0, 60, { relative: true }), ArrowDown: () => view.pan(0, -60, { relative: true }),
};
graph.addEventListener("keydown", (event) => { if (keys[event.key]) { event.preventDefault(); keys[event.key](); } });
