// A chart for each metric, a line for each run.
const section = document.querySelector(".charts");
const colours = ["#3b6fc4", "#d9822b", "#2b9348", "#b5179e", "#8a6d00", "#0096a6", "#c1272d", "#6a4fc9", "#7a8594", "#4d7c0f"];

async function draw() {
  const runs = await (await fetch(section.dataset.history)).json();
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.metrics)))].sort();
  for (const name of names) chart(name, runs.filter((run) => name in run.metrics));
}

function chart(name, runs) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = name;
  figure.append(caption);
  section.append(figure);
  const tables = runs.map((run) => [run.metrics[name].steps, run.metrics[name].values]);
  const style = getComputedStyle(document.body);
  const axis = { stroke: style.getPropertyValue("--quiet"), grid: { stroke: style.getPropertyValue("--line") }, ticks: { stroke: style.getPropertyValue("--line") } };
  const lines = runs.map((run, at) => ({ label: run.name, stroke: colours[at % colours.length], width: 1.5, spanGaps: true, points: { show: tables[at][0].length < 2 } }));
  new uPlot(
    { width: figure.clientWidth - 16, height: 240, scales: { x: { time: false } }, axes: [{ ...axis, label: "step", labelSize: 20 }, { ...axis, size: 64 }], series: [{ label: "step" }, ...lines] },
    uPlot.join(tables), figure,
  );
}

draw();
