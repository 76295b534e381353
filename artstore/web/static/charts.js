// A chart for each metric, a line for each run. A run has the same colour in all charts, and all charts over steps have
// the same ones. A metric with an axis is drawn over the values of that other metric. A section asks for its metrics when
// it comes into sight.
const colours = ["#3b6fc4", "#d9822b", "#2b9348", "#b5179e", "#8a6d00", "#0096a6", "#c1272d", "#6a4fc9", "#7a8594", "#4d7c0f"];
const dashes = [[], [7, 4]]; // lines 11 to 20 have the colours of the first ten
const theme = getComputedStyle(document.body);

async function draw(section) {
  const answer = await fetch(section.dataset.history + (section.dataset.axes === undefined ? "" : `&over=${over()}`));
  if (!answer.ok) throw new Error(`the server answered with status ${answer.status}`);
  const runs = (await answer.json()).map((run, at) => ({ ...run, stroke: colours[at % colours.length], dash: dashes[Math.floor(at / colours.length)] }));
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.metrics)))].sort();
  section.replaceChildren();
  for (const run of runs) if (run.error) say(section, `Not all metrics of ${run.label} can be shown: ${run.error}`, "warning");
  for (const run of runs) if (run.unshown) say(section, `Of ${run.label} the first ${Object.keys(run.metrics).length} metrics by name are shown, ${run.unshown.toLocaleString("en")} are not.`);
  if (!names.length) say(section, section.dataset.none);
  else if (section.dataset.axes !== undefined) choice(section);
  for (const name of names) chart(section, name, runs.filter((run) => name in run.metrics), runs);
}

// What the metrics are drawn over, as the address says: step, time, or (by default) what was defined for each.
function over() {
  const asked = new URLSearchParams(location.search).get("over");
  return ["step", "time"].includes(asked) ? asked : "";
}

function choice(section) {
  const label = document.createElement("label"), select = document.createElement("select");
  label.append("Over ", select);
  for (const [value, text] of section.dataset.axes ? [["", `${section.dataset.axes}, as defined`], ["step", "step"], ["time", "time"]] : [["", "step"], ["time", "time"]]) select.add(new Option(text, value));
  select.value = [...select.options].some((option) => option.value === over()) ? over() : "";
  select.addEventListener("change", () => {
    const address = new URL(location);
    if (select.value) address.searchParams.set("over", select.value); else address.searchParams.delete("over");
    history.replaceState(null, "", address);
    begin(section, true);
  });
  const place = document.createElement("p");
  place.append(label);
  section.append(place);
}

const axisOf = (metric) => metric.axis ?? "step";

// The first and last place of an axis in all charts of a section, so that they have the same range.
function ends(runs, axis) {
  const places = runs.flatMap((run) => Object.values(run.metrics)).filter((metric) => axisOf(metric) === axis).flatMap((metric) => [metric.steps[0], metric.steps.at(-1)]);
  return [[Math.min(...places), Math.max(...places)]];
}

// Numbers at an axis, with the digits of the distance between them.
function ticks(plot, places, axis, space, step) {
  const digits = (size) => [...Array(12).keys()].find((count) => Math.abs(size * 10 ** count - Math.round(size * 10 ** count)) < 1e-6) ?? 12;
  const largest = Math.max(...places.map(Math.abs));
  return places.map((place) => {
    if (place === 0) return "0";
    if (largest >= 1e-3 && largest < 1e7) return place.toLocaleString("en", { maximumFractionDigits: digits(step) });
    return place.toExponential(digits(step / 10 ** Math.floor(Math.log10(Math.abs(place))))).replace("+", "");
  });
}

function short(value) {
  const size = Math.abs(value);
  return size && (size < 1e-4 || size >= 1e12) ? Number(value.toPrecision(6)).toExponential().replace("+", "") : value.toLocaleString("en", { maximumSignificantDigits: 6 });
}

function chart(section, name, runs, all) {
  const figure = document.createElement("figure");
  say(figure, name, "", "figcaption");
  section.append(figure);
  const metrics = runs.map((run) => run.metrics[name]);
  const axes = [...new Set(metrics.map(axisOf))], shared = axes.map((one) => ends(all, one));
  const value = (plot, number, at, place) => { // without a cursor, a run alone has its last number and where that is
    const idle = place == null && all.length === 1 ? plot.data[at][plot.data[1].findLastIndex((one) => one != null)] : null;
    return (number ?? idle) == null ? "–" : short(number ?? idle);
  };
  const axis = { stroke: theme.getPropertyValue("--quiet"), grid: { stroke: theme.getPropertyValue("--line") }, ticks: { stroke: theme.getPropertyValue("--line") } };
  const lines = runs.map((run, at) => ({ label: all.length === 1 ? "value" : run.label, value, stroke: run.stroke, dash: run.dash, width: 1.5, points: { show: metrics[at].steps.length < 2, filter: alone } }));
  const width = () => figure.clientWidth - 16, height = 240;
  const plot = new uPlot(
    {
      width: width(), height, scales: { x: { time: false } }, axes: [{ ...axis, label: axes.join(", "), labelSize: 20, size: 36, values: ticks }, { ...axis, size: wide, values: ticks }],
      series: [{ label: axes.join(", "), value }, ...lines], legend: { markers: { dash: (plot, at) => (plot.series[at].dash?.length ? "dashed" : "solid") } },
      hooks: { draw: [(plot) => runs.forEach((run, at) => metrics[at].marks.forEach((mark) => line(plot, mark.step, run.stroke)))] },
    },
    uPlot.join([...shared, ...metrics.map((metric) => [metric.steps, metric.values])]), figure,
  );
  for (const kind of ["pointerdown", "pointermove"]) plot.over.addEventListener(kind, (event) => { if (event.pointerType !== "mouse") point(plot, event); });
  new ResizeObserver(() => { if (width() > 0 && width() !== plot.width) plot.setSize({ width: width(), height }); }).observe(figure);
  runs.forEach((run, at) => {
    const said = metrics[at].marks.map((mark) => mark.text).join(", ") + (metrics[at].unmarked ? `, and in ${metrics[at].unmarked} places between` : "");
    if (said) say(figure, `${run.label}: ${said}`, "warning");
  });
}

// Show the values under a finger, which browsers otherwise tell only of a tap.
function point(plot, event) {
  const { left, top } = plot.over.getBoundingClientRect();
  plot.setCursor({ left: event.clientX - left, top: event.clientY - top });
}

// The pixels for the numbers beside an axis, so that the longest one isn't cut.
function wide(plot, values) {
  return Math.min(160, Math.max(64, 20 + 7 * Math.max(0, ...(values ?? []).map((value) => value?.length ?? 0))));
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

function begin(section, again = false) {
  draw(section).then(() => { if (again) section.querySelector("select")?.focus(); }).catch((error) => { section.replaceChildren(); say(section, `The metrics can't be shown: ${error.message}.`, "warning"); });
}

const sight = new IntersectionObserver((seen) => {
  for (const { target } of seen.filter((one) => one.isIntersecting)) { sight.unobserve(target); begin(target); }
}, { rootMargin: "300px" });
for (const section of document.querySelectorAll(".charts")) sight.observe(section);
