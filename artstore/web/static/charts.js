// A chart for each metric, a line for each run. A run has the same colour in all charts, and all charts over steps have
// the same ones. A metric with an axis is drawn over the values of that other metric. A section asks for its metrics when
// it comes into sight.
const colours = ["#3b6fc4", "#d9822b", "#2b9348", "#b5179e", "#8a6d00", "#0096a6", "#c1272d", "#6a4fc9", "#7a8594", "#4d7c0f"];
const dashes = [[], [7, 4]]; // lines 11 to 20 have the colours of the first ten
const theme = getComputedStyle(document.body);

async function draw(section) {
  const answer = await fetch(section.dataset.history);
  if (!answer.ok) throw new Error(`the server answered with status ${answer.status}`);
  const runs = (await answer.json()).map((run, at) => ({ ...run, stroke: colours[at % colours.length], dash: dashes[Math.floor(at / colours.length)] }));
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.metrics)))].sort();
  section.replaceChildren();
  for (const run of runs) if (run.error) say(section, `Not all metrics of ${run.label} can be shown: ${run.error}`, "warning");
  if (!names.length) say(section, "No metrics were logged.");
  const steps = runs.flatMap((run) => Object.values(run.metrics).filter((metric) => !metric.axis).flatMap((metric) => [metric.steps[0], metric.steps.at(-1)]));
  const ends = [[Math.min(...steps), Math.max(...steps)]];
  for (const name of names) chart(section, name, runs.filter((run) => name in run.metrics), ends);
}

function chart(section, name, runs, ends) {
  const figure = document.createElement("figure");
  say(figure, name, "", "figcaption");
  section.append(figure);
  const metrics = runs.map((run) => run.metrics[name]);
  const over = [...new Set(metrics.map((metric) => metric.axis ?? "step"))], shared = over.includes("step") ? [ends] : [];
  const axis = { stroke: theme.getPropertyValue("--quiet"), grid: { stroke: theme.getPropertyValue("--line") }, ticks: { stroke: theme.getPropertyValue("--line") } };
  const lines = runs.map((run, at) => ({ label: run.label, stroke: run.stroke, dash: run.dash, width: 1.5, points: { show: metrics[at].steps.length < 2, filter: alone } }));
  const width = () => figure.clientWidth - 16, height = 240;
  const plot = new uPlot(
    {
      width: width(), height, scales: { x: { time: false } }, axes: [{ ...axis, label: over.join(", "), labelSize: 20 }, { ...axis, size: 64 }],
      series: [{ label: over.join(", ") }, ...lines], legend: { markers: { dash: (plot, at) => (plot.series[at].dash?.length ? "dashed" : "solid") } },
      hooks: { draw: [(plot) => runs.forEach((run, at) => metrics[at].marks.forEach((mark) => line(plot, mark.step, run.stroke)))] },
    },
    uPlot.join([...shared, ...metrics.map((metric) => [metric.steps, metric.values])]), figure,
  );
  new ResizeObserver(() => { if (width() > 0 && width() !== plot.width) plot.setSize({ width: width(), height }); }).observe(figure);
  runs.forEach((run, at) => {
    const said = metrics[at].marks.map((mark) => mark.text).join(", ") + (metrics[at].unmarked ? `, and in ${metrics[at].unmarked} places between` : "");
    if (said) say(figure, `${run.label}: ${said}`, "warning");
  });
}

// The places of the values of a line that have no number beside them, so that no line leads to them.
function alone(plot, at, all) {
  const values = plot.data[at], places = values.map((_, place) => place).filter((place) => values[place] !== undefined);
  const number = (place) => values[place] != null;
  return all ? null : places.filter((place, order) => number(place) && !number(places[order - 1]) && !number(places[order + 1]));
}

// A dotted line at a step, over the whole height of a chart: from here on there is nothing to draw.
function line(plot, step, colour) {
  const { left, top, width, height } = plot.bbox, x = plot.valToPos(step, "x", true), context = plot.ctx;
  if (x < left || x > left + width) return;
  context.save();
  context.strokeStyle = colour;
  context.lineWidth = 2 * devicePixelRatio;
  context.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
  context.beginPath();
  context.moveTo(x, top);
  context.lineTo(x, top + height);
  context.stroke();
  context.restore();
}

function say(place, text, kind = "", tag = "p") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (kind) element.className = kind;
  place.append(element);
}

function begin(section) {
  draw(section).catch((error) => { section.replaceChildren(); say(section, `The metrics can't be shown: ${error.message}.`, "warning"); });
}

const sight = new IntersectionObserver((seen) => {
  for (const { target } of seen.filter((one) => one.isIntersecting)) { sight.unobserve(target); begin(target); }
}, { rootMargin: "300px" });
for (const section of document.querySelectorAll(".charts")) sight.observe(section);
