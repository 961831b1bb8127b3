"use strict";
// A page of results: one pane each. What a pane shows follows from its view alone: a number, axes,
// how seeds are pooled, and a point, one value of each axis. The address keeps the views.

const NONE = { name: "", label: "", texts: [""], places: [0], log: false, numeric: true };
const POOLED = { mean: "mean", median: "median", spread: "largest - smallest", one: "one seed" };
const HATCH = "right_diagonal_line"; // over cells that are not trained to their end
const RAYS = 60; // so many vectors at most are drawn as rays, of more the points alone

// ---- reading

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
const floats = (text) => new Float32Array(bytes(text));
const lazily = (read) => { let held; return () => (held ??= read()); };

function opened(result) {
  for (const number of result.numbers) number.read = lazily(() => floats(number.values));
  for (const group of result.histories.groups)
    for (const line of group.lines) line.read = lazily(() => floats(line.values));
  result.axis = (name) => result.axes.find((axis) => axis.name === name) ?? NONE;
  return result;
}

// Numbers of the cells at a point, all along the free axes.
function cells(result, point, free) {
  let list = [0];
  for (const { name, values } of result.axes) {
    const along = free.includes(name) ? values.keys() : [point[name]];
    const steps = [...along];
    list = list.flatMap((cell) => steps.map((step) => cell * values.length + step));
  }
  return list;
}

// The seeds that a view pools where these axes are shown.
function pooled(result, view, ...shown) {
  const seeds = result.axes.filter((axis) => axis.seed && !shown.includes(axis.name));
  return view.seeds === "one" ? [] : seeds.map((axis) => axis.name);
}

// A number at a point, over the seeds: cells that died or diverged are in no mean.
function summary(result, view, values, point, free) {
  const runs = cells(result, point, free);
  const alive = runs.filter((cell) => !result.failed.includes(result.verdicts[cell]));
  const finite = alive.map((cell) => values[cell]).filter(Number.isFinite).sort((a, b) => a - b);
  const count = finite.length, half = count >> 1;
  const middle = count % 2 ? finite[half] : (finite[half - 1] + finite[half]) / 2;
  const mean = finite.reduce((sum, value) => sum + value, 0) / count;
  const low = finite[0], high = finite[count - 1];
  const value = !count ? NaN : { median: middle, spread: high - low }[view.seeds] ?? mean;
  const unfinished = runs.filter((cell) => result.verdicts[cell] === result.unfinished).length;
  return { value, low, high, runs: runs.length, died: runs.length - alive.length, unfinished };
}

// ---- words

function written(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) || value === undefined ? "none" : String(value);
  const size = Math.abs(value);
  if (size && (size < 1e-3 || size >= 1e7)) return value.toExponential(2);
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}

const named = (axis, step) => `${axis.label} = ${axis.texts[step]}`;

function wordsOf(result, view, number, found) {
  const several = found.runs > 1 && view.seeds !== "one";
  const ends = `${written(found.low)} to ${written(found.high)}`;
  const range = several ? `, ${POOLED[view.seeds]} of ${found.runs} seeds, ${ends}` : "";
  const word = several ? undefined : number.words[found.value];
  const died = found.died ? `, ${found.died} died or diverged` : "";
  const left = found.unfinished ? `, ${found.unfinished} not trained to the end` : "";
  return `${number.label} ${word ?? written(found.value)}${range}${died}${left}`;
}

// ---- elements

function element(kind, attributes = {}, ...inside) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

function menu(label, choices, chosen, change) {
  const select = element("select", { name: label });
  for (const [value, text] of choices) select.append(new Option(text, value, false, value === chosen));
  select.addEventListener("change", () => change(select.value));
  return element("label", {}, label, select);
}

function slider(axis, step, change) {
  const text = element("span", {}, named(axis, step));
  const range = element("input", {
    type: "range", min: 0, max: axis.texts.length - 1, value: step, name: axis.name, "aria-label": axis.label,
  });
  const show = () => {
    text.textContent = named(axis, range.value);
    range.setAttribute("aria-valuetext", axis.texts[range.value]);
  };
  show();
  range.addEventListener("input", () => { show(); change(Number(range.value)); });
  return element("label", {}, text, range);
}

function key(entries) {
  const chip = ([text, colour]) => {
    const line = element("i");
    line.style.background = colour;
    return element("span", {}, line, text);
  };
  return element("div", { class: "key" }, ...entries.map(chip));
}

// ---- figures

const dark = matchMedia("(prefers-color-scheme: dark)");
const hue = (k) => {
  const palette = dark.matches ? page.dark_palette : page.palette;
  return palette[k % palette.length];
};
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Positive numbers that span more than a decade are drawn on a logarithmic axis.
function isLog(values) {
  const finite = values.filter(Number.isFinite);
  return finite.length > 0 && Math.min(...finite) > 0 && Math.max(...finite) > 10 * Math.min(...finite);
}

function figure(options) {
  const ink = colour("ink"), soft = colour("soft"), grid = colour("grid");
  const made = Bokeh.Plotting.figure({
    sizing_mode: "stretch_width", height: 300, tools: "", toolbar_location: null,
    background_fill_color: null, border_fill_color: null, outline_line_color: null,
    lod_threshold: null, output_backend: "canvas", ...options,
  });
  for (const axis of [made.xaxis, made.yaxis]) {
    axis.axis_label_text_color = axis.major_label_text_color = ink;
    axis.axis_line_color = axis.major_tick_line_color = soft;
    axis.minor_tick_line_color = null;
    axis.axis_label_text_font_style = "normal";
    axis.axis_label_text_font_size = "13px";
    axis.major_label_text_font_size = "12px";
  }
  made.xgrid.grid_line_color = null;
  made.ygrid.grid_line_color = grid;
  return made;
}

function ticks(axes, axis) {
  axes.axis_label = axis.label;
  axes.ticker = new Bokeh.FixedTicker({ ticks: axis.places });
  axes.major_label_overrides = new Map(axis.places.map((place, step) => [place, axis.texts[step]]));
  axes.major_label_policy = new Bokeh.NoOverlap();
}

const columns = (data) => new Bokeh.ColumnDataSource({ data });
const field = (name) => ({ field: name });

function guide(made, dimension, location, shade) {
  made.add_layout(new Bokeh.Span({ dimension, location, line_color: colour(shade), line_dash: "dashed" }));
}

function hover(made, tooltips, renderers) {
  made.add_tools(new Bokeh.HoverTool({ tooltips, renderers, point_policy: "follow_mouse" }));
}

// Put a figure into a box; the former one stays until the new one is drawn.
async function place(box, made) {
  const turn = (box.turn = (box.turn ?? 0) + 1);
  const holder = element("div");
  const former = [...box.children];
  box.append(holder);
  holder.style.position = former.length ? "absolute" : "";
  const shown = await Bokeh.Plotting.show(made, holder);
  if (turn !== box.turn) { shown.remove(); holder.remove(); return; }
  box.shown?.remove();
  former.forEach((child) => child.remove());
  holder.style.position = "";
  box.shown = shown;
}

// Edges halfway between values, geometric on a logarithmic axis, the outermost mirrored.
function edges({ places, log }) {
  const at = log ? places.map(Math.log) : places;
  const last = at.length - 1;
  const middles = at.slice(1).map((place, step) => (place + at[step]) / 2);
  const first = last ? 2 * at[0] - middles[0] : at[0] - 0.5;
  const end = last ? 2 * at[last] - middles[last - 1] : at[0] + 0.5;
  const all = [first, ...middles, end];
  return log ? all.map(Math.exp) : all;
}

// The cells of the map: where they are, what is in them, and what is said of them.
function mapCells({ result, view, number }, x, y, across, upward) {
  const free = pooled(result, view, view.x, view.y);
  return y.texts.flatMap((_, j) => x.texts.map((_, i) => {
    const found = summary(result, view, number.read(), { ...view.at, [view.x]: i, [view.y]: j }, free);
    return {
      left: across[i], right: across[i + 1], bottom: upward[j], top: upward[j + 1],
      value: found.value, died: found.died, hatch: found.unfinished ? HATCH : "blank",
      where: [view.x && named(x, i), view.y && named(y, j)].filter(Boolean).join(", "),
      words: wordsOf(result, view, number, found),
    };
  }));
}

function drawMap(pane) {
  const { result, view } = pane;
  const x = result.axis(view.x), y = result.axis(view.y);
  const across = edges(x), upward = edges(y);
  const list = mapCells(pane, x, y, across, upward);
  const column = (name) => list.map((cell) => cell[name]);
  const names = ["left", "right", "bottom", "top", "value", "hatch", "where", "words"];
  const data = Object.fromEntries(names.map((name) => [name, column(name)]));
  pane.mapKey.textContent = [
    list.some((cell) => cell.died) && "Crosses: some runs died or diverged; grey: all of them.",
    data.hatch.includes(HATCH) && "Hatched: not trained to the end.",
  ].filter(Boolean).join(" ");
  const finite = data.value.filter(Number.isFinite);
  const Scale = isLog(finite) ? Bokeh.LogColorMapper : Bokeh.LinearColorMapper;
  const low = finite.length ? Math.min(...finite) : 0, largest = finite.length ? Math.max(...finite) : 1;
  const high = largest > low ? largest : low + (Math.abs(low) || 1) * 1e-6;
  const mapper = new Scale({ palette: page.shades, low, high, nan_color: colour("dead") });
  const made = figure({
    height: Math.min(520, 130 + 46 * y.texts.length),
    x_axis_type: x.log ? "log" : "linear", y_axis_type: y.log ? "log" : "linear",
    x_range: new Bokeh.Range1d({ start: across[0], end: across.at(-1) }),
    y_range: new Bokeh.Range1d({ start: upward[0], end: upward.at(-1) }),
  });
  const quads = made.quad({
    left: field("left"), right: field("right"), bottom: field("bottom"), top: field("top"),
    source: columns(data), fill_color: { field: "value", transform: mapper }, line_color: null,
    hatch_pattern: field("hatch"), hatch_color: colour("soft"), hatch_alpha: 0.8,
  });
  const middle = (one, other, log) => (log ? Math.sqrt(one * other) : (one + other) / 2);
  const crossed = list.filter((cell) => cell.died && Number.isFinite(cell.value));
  made.scatter(
    crossed.map((cell) => middle(cell.left, cell.right, x.log)),
    crossed.map((cell) => middle(cell.bottom, cell.top, y.log)),
    { marker: "x", size: 9, line_color: "white", line_width: 2 });
  const i = view.at[view.x] ?? 0, j = view.at[view.y] ?? 0;
  for (const [line_color, line_width] of [["black", 4], ["white", 1.5]])
    made.quad({
      left: [across[i]], right: [across[i + 1]], bottom: [upward[j]], top: [upward[j + 1]],
      fill_color: null, line_color, line_width,
    });
  hover(made, [["", "@where"], ["", "@words"]], [quads]);
  made.on_event("tap", (event) => {
    const step = (all, value) => all.findIndex((edge, k) => k && value <= edge && value >= all[0]) - 1;
    const own = step(across, event.x), row = step(upward, event.y);
    if (own >= 0 && row >= 0)
      pane.move({ ...(view.x && { [view.x]: own }), ...(view.y && { [view.y]: row }) });
  });
  made.ygrid.grid_line_color = null;
  ticks(made.xaxis, x);
  ticks(made.yaxis, y);
  made.yaxis.visible = Boolean(view.y);
  made.add_layout(new Bokeh.ColorBar({
    color_mapper: mapper, width: 12, padding: 4, background_fill_color: null, bar_line_color: null,
    major_label_text_color: colour("ink"), major_tick_line_color: colour("soft"),
  }), "right");
  place(pane.map, made);
}

// Lines with a look each: shades where they are ordered, colours where they are names.
function looks(axis) {
  const count = axis.texts.length;
  const darkest = dark.matches ? 0.25 : 0, span = dark.matches ? 0.75 : 0.86;
  const shade = (step) => page.shades[Math.round((darkest + span * (step / (count - 1))) * 255)];
  return axis.texts.map((_, step) =>
    count === 1 ? colour("ink") : axis.numeric ? shade(step) : hue(step));
}

function drawCurves(pane) {
  const { result, view, number } = pane;
  const over = result.axis(view.over), by = result.axis(view.by);
  const free = pooled(result, view, view.over, view.by), colours = looks(by);
  const lines = by.texts.map((_, step) =>
    over.texts.map((_, k) =>
      summary(result, view, number.read(), { ...view.at, [view.over]: k, [view.by]: step }, free)));
  const log = isLog(lines.flat().map((found) => found.value));
  // On a log axis a band that comes to 0 ends at the least number that has a place there.
  const ends = lines.flat().flatMap(({ low, value }) => [low, value]);
  const least = Math.min(...ends.filter((end) => end > 0));
  const made = figure({
    height: 320, x_axis_type: over.log ? "log" : "linear", y_axis_type: log ? "log" : "linear",
  });
  const points = lines.map((line, step) => {
    const own = step === (view.at[view.by] ?? 0);
    const data = {
      x: over.places, y: line.map((found) => found.value),
      low: line.map(({ low }) => (log ? Math.max(low, least) : low)),
      high: line.map(({ high }) => high),
      where: line.map((_, k) => [named(over, k), view.by && named(by, step)].filter(Boolean).join(", ")),
      words: line.map((found) => wordsOf(result, view, number, found)),
    };
    const how = { source: columns(data) }, x = field("x"), y = field("y");
    if (over.numeric && view.seeds !== "spread")
      made.varea(x, field("low"), field("high"), { ...how, fill_color: colours[step], fill_alpha: 0.15 });
    if (over.numeric) made.line(x, y, { ...how, line_color: colours[step], line_width: own ? 3 : 1.5 });
    return made.scatter(x, y, { ...how, color: colours[step], size: own ? 7 : 4 });
  });
  guide(made, "height", over.places[view.at[view.over] ?? 0], "soft");
  ticks(made.xaxis, over);
  made.yaxis.axis_label = number.label;
  hover(made, [["", "@where"], ["", "@words"]], points);
  place(pane.curves, made);
  const entries = view.by ? by.texts.map((_, step) => [named(by, step), colours[step]]) : [];
  pane.curvesKey.replaceChildren(key(entries));
}

// ---- the story of one cell

function drawHistory(box, result, cell, others, group) {
  const { steps } = result.histories;
  const count = steps.length;
  const series = (line, number) => [...line.read().subarray(number * count, (number + 1) * count)];
  const drawn = group.lines.flatMap((line) => series(line, cell));
  const made = figure({ height: 220, x_axis_type: "log", y_axis_type: isLog(drawn) ? "log" : "linear" });
  const renderers = group.lines.map((line, k) => {
    const shade = hue(k);
    const points = (number) => {
      const values = series(line, number);
      const kept = [...steps.keys()].filter((step) => steps[step] > 0 && Number.isFinite(values[step]));
      return [kept.map((step) => steps[step]), kept.map((step) => values[step])];
    };
    const faint = { line_color: shade, line_width: 1, line_alpha: 0.25 };
    for (const other of others) made.line(...points(other), faint);
    const [x, y] = points(cell);
    const source = columns({ x, y, words: y.map((value) => `${line.label} ${written(value)}`) });
    made.line(field("x"), field("y"), { source, line_color: shade, line_width: 2.5 });
    return made.scatter(field("x"), field("y"), { source, color: shade, size: 4 });
  });
  hover(made, [["step", "@x{0,0}"], ["", "@words"]], renderers);
  made.xaxis.axis_label = "training step";
  box.append(element("h3", {}, group.label));
  if (group.lines.length > 1)
    box.append(key(group.lines.map((line, k) => [line.label, hue(k)])));
  return made;
}

function drawVectors(box, part, chosen, choose) {
  const count = part.directions.length;
  const [first, second] = chosen.map((step) => Math.min(step, count - 1));
  box.append(element("h3", {}, part.title));
  box.append(key(part.groups.map((group, k) => [`${group.name} (${group.count})`, hue(k)])));
  if (count > 2) {
    const choices = part.directions.map((name, step) => [String(step), name]);
    box.append(element("div", { class: "controls" },
      menu("across", choices, String(first), (step) => choose([Number(step), second])),
      menu("up", choices, String(second), (step) => choose([first, Number(step)]))));
  }
  const groups = part.groups.map((group) => {
    const all = new Int16Array(bytes(group.values));
    const along = (step) => [...all].filter((_, k) => k % count === step).map((value) => value * group.scale);
    const x = along(first), y = count > 1 ? along(second) : x.map(() => 0);
    return { x, y, reach: Math.max(...x.map(Math.abs), ...y.map(Math.abs)) };
  });
  return groups.map(({ x, y, reach }, k) => {
    const half = 1.08 * reach || 1;
    const range = () => new Bokeh.Range1d({ start: -half, end: half });
    const square = { height: null, aspect_ratio: 1, max_width: 340 };
    const made = figure({ ...square, x_range: range(), y_range: range() });
    const none = x.map(() => 0), shade = hue(k);
    const length = x.map((value, n) => Math.hypot(value, y[n]));
    const long = length.filter((own) => own > 0.5 * Math.max(...length)).length;
    if (long <= RAYS) made.segment(none, none, x, y, { line_color: shade, line_alpha: 0.5 });
    const source = columns({ x, y });
    const dots = made.scatter(field("x"), field("y"), { source, color: shade, size: 5, alpha: 0.7 });
    hover(made, [["", "(@x{0.000}, @y{0.000})"]], [dots]);
    made.xgrid.grid_line_color = colour("grid");
    made.xaxis.axis_label = part.directions[first];
    made.yaxis.axis_label = part.directions[second] ?? "";
    return made;
  });
}

function drawRanked(box, part) {
  const series = part.groups.map((group) => ({ ...group, y: [...floats(group.values)] }));
  const log = isLog(series.flatMap((group) => group.y));
  const made = figure({ height: 240, x_axis_type: "log", y_axis_type: log ? "log" : "linear" });
  const renderers = series.map((group, k) => {
    const data = { x: group.ranks.map((rank) => rank + 1), y: group.y };
    const source = columns(data);
    const how = { source, color: hue(k), size: 5, alpha: 0.7 };
    return made.scatter(field("x"), field("y"), how);
  });
  const guides = Object.entries(part.guides);
  for (const [, level] of guides) guide(made, "width", level, "ink");
  hover(made, [["rank", "@x{0,0}"], ["", "@y{0.0000}"]], renderers);
  made.xaxis.axis_label = "rank";
  box.append(element("h3", {}, part.title));
  box.append(key([
    ...series.map((group, k) => [`${group.name} (${group.count})`, hue(k)]),
    ...guides.map(([name, value]) => [`${name} = ${written(value)}`, colour("ink")]),
  ]));
  return made;
}

function drawStory(pane) {
  const { result, view } = pane;
  const [cell] = cells(result, view.at, []);
  const others = cells(result, view.at, pooled(result, view)).filter((other) => other !== cell);
  const { ended, parts } = result.stories[cell];
  const numbers = result.numbers.map((number) => {
    const value = number.read()[cell];
    return [number.label, number.words[value] ?? written(value)];
  });
  const rows = (list) => element("table", {}, ...list.map(([name, text]) =>
    element("tr", {}, element("td", {}, name), element("td", {}, text))));
  const boxes = [element("div", { class: "box" }, rows([["ended", ended], ...numbers.slice(0, 8)]))];
  if (numbers.length > 8)
    boxes[0].append(element("details", {}, element("summary", {}, "all numbers"), rows(numbers.slice(8))));
  const waiting = [];
  const boxed = (draw) => {
    const box = element("div", { class: "box" });
    boxes.push(box);
    const row = box.appendChild(element("div", { class: "row" }));
    for (const made of [draw(box)].flat()) {
      const plot = row.appendChild(element("div", { class: "plot" }));
      waiting.push([plot, made]);
    }
    box.append(row);
  };
  for (const group of result.histories.groups.slice(0, 6))
    boxed((box) => drawHistory(box, result, cell, others, group));
  const choose = (directions) => pane.change({ directions });
  const draws = {
    vectors: (box, part) => drawVectors(box, part, view.directions, choose),
    ranked: drawRanked,
  };
  for (const part of parts.filter(({ kind }) => kind in draws)) boxed((box) => draws[part.kind](box, part));
  const where = result.axes.map((axis) => named(axis, view.at[axis.name])).join(", ");
  const title = element("h3", {}, where ? `The cell ${where}` : "The cell");
  pane.story.replaceChildren(title, element("div", { class: "boxes" }, ...boxes));
  for (const shown of pane.storyShown ?? []) shown.then((view) => view.remove());
  pane.storyShown = waiting.map(([plot, made]) => Bokeh.Plotting.show(made, plot));
}

// ---- a pane

class Pane {
  constructor(result, address) {
    this.result = opened(result);
    this.element = element("section", { class: "pane" });
    this.title = element("h2", {}, result.name);
    this.setting = element("p", { class: "note" }, result.setting);
    this.controls = element("form", { class: "controls" });
    this.map = element("div", {
      class: "plot map", tabindex: 0, role: "group", "aria-label": "map: arrow keys move the chosen cell",
    });
    this.mapKey = element("p", { class: "note" });
    this.said = element("p", { class: "note", role: "status" });
    this.curvesControls = element("form", { class: "controls" });
    this.curves = element("div", { class: "plot curves" });
    this.curvesKey = element("div");
    this.story = element("div", { class: "story" });
    this.map.addEventListener("keydown", (event) => this.press(event));
    const left = element("div", { class: "box" }, this.map, this.mapKey, this.said);
    const right = element("div", { class: "box" }, this.curvesControls, this.curves, this.curvesKey);
    const boxes = element("div", { class: "boxes" }, left, right);
    this.element.append(this.title, this.setting, this.controls, boxes, this.story);
    this.read(address);
  }

  get number() { return this.result.numbers.find((number) => number.name === this.view.value); }

  // The view that an address names; what it does not name, or not rightly, is as at first.
  read(address) {
    const asked = new URLSearchParams(address), { result } = this;
    const names = ["", ...result.axes.map((axis) => axis.name)];
    const choice = (name, allowed, usual) => (allowed.includes(asked.get(name)) ? asked.get(name) : usual);
    const { first } = result;
    const at = {};
    for (const axis of result.axes)
      at[axis.name] = Math.max(0, axis.values.indexOf(asked.get(`at.${axis.name}`)));
    const directions = (asked.get("directions") ?? "").split(",").map(Number);
    this.view = {
      value: choice("value", result.numbers.map((number) => number.name), first.value),
      x: choice("x", names, first.x), y: choice("y", names, first.y),
      seeds: choice("seeds", Object.keys(POOLED), "mean"),
      over: choice("over", names, first.over), by: choice("by", names, first.by),
      directions: directions.length === 2 && directions.every((d) => d >= 0) ? directions : [0, 1], at,
    };
    if (this.view.x === this.view.y) Object.assign(this.view, { x: first.x, y: first.y });
    if (this.view.over === this.view.by) Object.assign(this.view, { by: "" });
    this.control();
    this.draw();
  }

  get address() {
    const { at, directions, ...rest } = this.view;
    const named = new URLSearchParams(rest);
    named.set("directions", directions.join(","));
    for (const axis of this.result.axes) named.set(`at.${axis.name}`, axis.values[at[axis.name]]);
    return named.toString();
  }

  renew(result) {
    const { address } = this;
    this.result = opened(result);
    this.told = "";
    this.read(address);
  }

  change(part) {
    Object.assign(this.view, part);
    keepAddress();
    this.control();
    this.draw();
  }

  move(steps) { this.change({ at: { ...this.view.at, ...steps } }); }

  press(event) {
    const { x, y } = this.view;
    const step = { ArrowLeft: [x, -1], ArrowRight: [x, 1], ArrowDown: [y, -1], ArrowUp: [y, 1] }[event.key];
    if (!step || !step[0]) return;
    event.preventDefault();
    const [name, by] = step, last = this.result.axis(name).texts.length - 1;
    this.move({ [name]: Math.max(0, Math.min(last, this.view.at[name] + by)) });
  }

  // Menus and sliders; the one that has the keyboard keeps it.
  control() {
    const { result, view } = this;
    const axes = result.axes.map((axis) => [axis.name, axis.label]);
    const swap = (name, other) => (chosen) => {
      const swapped = view[name] ? { [name]: chosen, [other]: view[name] } : {};
      this.change(chosen === view[other] ? swapped : { [name]: chosen });
    };
    const numbers = result.numbers.map(({ name, label }) => [name, label]);
    const first = [menu("number", numbers, view.value, (value) => this.change({ value }))];
    if (axes.length) first.push(menu("across", axes, view.x, swap("x", "y")));
    if (axes.length > 1) first.push(menu("up", axes, view.y, swap("y", "x")));
    if (result.axes.some((axis) => axis.seed))
      first.push(menu("seeds", Object.entries(POOLED), view.seeds, (seeds) => this.change({ seeds })));
    for (const axis of result.axes.filter(({ name }) => name !== view.x && name !== view.y)) {
      const move = (step) => this.move({ [axis.name]: Number(step) });
      const choices = axis.texts.map((text, step) => [String(step), text]), step = view.at[axis.name];
      first.push(axis.numeric && !axis.seed
        ? slider(axis, step, move)
        : menu(axis.label, choices, String(step), move));
    }
    fill(this.controls, first);
    fill(this.curvesControls, axes.length > 1 ? [
      menu("curves over", axes, view.over, swap("over", "by")),
      menu("a line for each", [["", "(one line)"], ...axes], view.by, swap("by", "over")),
    ] : []);
  }

  draw() {
    const { result, view, number } = this;
    drawMap(this);
    drawCurves(this);
    const told = JSON.stringify([view.at, view.seeds === "one", view.directions]);
    if (told !== this.told) drawStory(this);
    this.told = told;
    const found = summary(result, view, number.read(), view.at, pooled(result, view, view.x, view.y));
    const where = [view.x, view.y].filter(Boolean).map((name) => named(result.axis(name), view.at[name]));
    const words = [where.join(", "), wordsOf(result, view, number, found)];
    this.said.textContent = words.filter(Boolean).join(": ");
  }
}

function fill(form, labels) {
  const names = [...form.querySelectorAll("select, input")].map((control) => control.name);
  const focused = names.indexOf(form.contains(document.activeElement) ? document.activeElement.name : null);
  form.replaceChildren(...labels);
  if (focused >= 0) form.querySelector(`[name="${CSS.escape(names[focused])}"]`)?.focus();
}

// ---- the page

const page = JSON.parse(document.getElementById("data").textContent);
const addresses = () => location.hash.slice(1).split("|");
const panes = page.results.map((result, k) => new Pane(result, addresses()[k]));
document.getElementById("panes").append(...panes.map((pane) => pane.element));

// A page of a running result asks its server every few seconds for what is new.
async function ask() {
  const answer = await fetch(`data?${page.stamp}`).catch(() => null);
  if (answer?.status !== 200) return;
  const { stamp, results } = await answer.json();
  page.stamp = stamp;
  panes.forEach((pane, k) => pane.renew(results[k]));
}

function keepAddress() {
  history.replaceState(null, "", `#${panes.map((pane) => pane.address).join("|")}`);
}

if (page.stamp) setInterval(ask, 5000);
addEventListener("hashchange", () => panes.forEach((pane, k) => pane.read(addresses()[k])));
dark.addEventListener("change", () => panes.forEach((pane) => { pane.told = ""; pane.draw(); }));
