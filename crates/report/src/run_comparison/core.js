// Data, shared state, and what several views need. A run is known by its index in `runs`, the best first.
const data = JSON.parse(document.getElementById("data").textContent);
const { runs, metrics } = data;
const palette = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#999933", "#332288", "#6e6e6e"];
const byId = id => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// What a run can be sorted, filtered and drawn by.
const isNumeric = text => text !== null && text.trim() !== "" && isFinite(Number(text));
const dimensions = [
  ...metrics.map((metric, i) => ({ key: `metrics.${metric.name}`, label: metric.name, kind: "metric", isNumber: true, lowIsBest: metric.lower_is_better, get: run => run.metrics[i] })),
  { key: "duration", label: "duration", kind: "fact", isNumber: true, get: run => run.duration_seconds },
  ...data.params.map((name, i) => {
    const values = runs.map(run => run.params[i]).filter(value => value !== null);
    const isNumber = values.length > 0 && values.every(isNumeric);
    return { key: `params.${name}`, label: name, kind: "param", isNumber, get: run => run.params[i] === null ? null : isNumber ? Number(run.params[i]) : run.params[i] };
  }),
  ...["name", "run_id", "kind", "status", "experiment", "started"].map(key => ({ key, label: key, kind: "fact", isNumber: false, get: run => run[key] })),
];
const ranking = dimensions[0];
const params = dimensions.filter(d => d.kind === "param");
const find = name => dimensions.find(d => d.key === name) ?? dimensions.find(d => d.label === name)
  ?? dimensions.find(d => d.kind === "param" && d.label.endsWith(`.${name}`));

const state = { filter: () => true, brushes: new Map(), selected: new Set() };
const passes = run => state.filter(run) && [...state.brushes.values()].every(brush => brush(run));
let visible = runs.map((_, i) => i);
const views = [];
function update() {
  visible = runs.map((_, i) => i).filter(i => passes(runs[i]));
  byId("count").textContent = `${visible.length} of ${runs.length} runs` + (state.selected.size ? `, ${state.selected.size} selected` : "");
  views.forEach(view => view());
}
function toggle(i) {
  if (!state.selected.delete(i)) state.selected.add(i);
  update();
}
const firstSelected = () => [...state.selected].filter(i => visible.includes(i)).sort((a, b) => a - b);

// Six significant digits at most; the title has them all.
function format(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return value;
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e9)) return value.toExponential(3);
  return String(Number(value.toPrecision(5)));
}
function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return seconds < 3600 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
const label = i => `${runs[i].name} (${runs[i].run_id.slice(0, 8)})`;

// `val_auc > 0.9 and model.dropout = 0.1`; what is no condition is looked for in names, ids and params.
function parseFilter(text) {
  const tests = text.split(/\s+and\s+/i).map(part => part.trim()).filter(part => part).map(part => {
    const match = part.match(/^(.+?)\s*(>=|<=|!=|=|>|<)\s*(.+)$/);
    const dimension = match && find(match[1].trim());
    if (!dimension) {
      const wanted = part.toLowerCase();
      return run => [run.name, run.run_id, run.kind, run.status, run.experiment, ...run.params].some(value => value !== null && value.toLowerCase().includes(wanted));
    }
    const wanted = match[3].replace(/^["'](.*)["']$/, "$1");
    const compare = {
      ">=": (a, b) => a >= b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, "<": (a, b) => a < b, "=": (a, b) => a === b, "!=": (a, b) => a !== b,
    }[match[2]];
    return run => {
      const value = dimension.get(run);
      return value !== null && (dimension.isNumber ? compare(value, Number(wanted)) : compare(String(value), wanted));
    };
  });
  return run => tests.every(test => test(run));
}

// A canvas as wide as its box, sharp on any screen; the drawing's unit is a CSS pixel.
function prepare(canvas, height) {
  const width = canvas.parentElement.clientWidth, ratio = window.devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = "12px system-ui, sans-serif";
  context.lineJoin = "round";
  return { context, width, height };
}
const color = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Values to 0..1, with ticks: linear, logarithmic, or one place for each text.
function scale(values, isNumber, isLog) {
  const known = values.filter(value => value !== null);
  if (!isNumber) {
    const levels = [...new Set(known.map(String))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    const place = new Map(levels.map((level, i) => [level, (i + .5) / levels.length]));
    return { at: value => place.get(String(value)), ticks: levels.map(level => [place.get(level), level]), levels };
  }
  const usable = isLog ? known.filter(value => value > 0) : known;
  let low = Infinity, high = -Infinity;
  for (const value of usable) { low = Math.min(low, value); high = Math.max(high, value); }
  if (!usable.length) [low, high] = isLog ? [1, 10] : [0, 1];
  if (low === high) [low, high] = isLog ? [low / 2, high * 2] : [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  const map = isLog ? Math.log10 : value => value;
  const [a, b] = [map(low), map(high)];
  const at = value => (isLog && value <= 0) ? undefined : (map(value) - a) / (b - a);
  const back = share => isLog ? 10 ** (a + share * (b - a)) : a + share * (b - a);
  const ticks = (isLog ? logTicks(low, high) : linearTicks(low, high)).map(value => [at(value), format(value)]);
  return { at, back, ticks };
}
function linearTicks(low, high) {
  const raw = (high - low) / 5, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(step => step >= raw);
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) ticks.push(Number(tick.toPrecision(12)));
  return ticks;
}
function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const factor of high / low > 1000 ? [1] : [1, 2, 5]) ticks.push(Number((factor * 10 ** power).toPrecision(12)));
  }
  const inside = ticks.filter(tick => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
  return inside.length > 1 ? inside : [low, high];
}
const spansDecades = values => {
  const known = values.filter(value => value !== null);
  return known.length > 0 && Math.min(...known) > 0 && Math.max(...known) / Math.min(...known) > 50;
};

// A text that fits: the end goes.
function cut(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  while (text.length > 1 && context.measureText(text + "…").width > width) text = text.slice(0, -1);
  return text + "…";
}

// A frame with ticks; gives the place of a point. `x`, `y`: {scale, title}.
function frame({ context, width, height }, x, y) {
  const left = 64, right = 14, top = 12, bottom = x.scale.levels ? 64 : 44;
  const px = share => left + share * (width - left - right), py = share => height - bottom - share * (height - top - bottom);
  context.textBaseline = "middle";
  context.lineWidth = 1;
  for (const [share, text] of y.scale.ticks) {
    context.strokeStyle = color("line");
    context.beginPath(); context.moveTo(left, py(share)); context.lineTo(width - right, py(share)); context.stroke();
    context.fillStyle = color("soft");
    context.textAlign = "right";
    context.fillText(cut(context, text, left - 10), left - 6, py(share));
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  const room = (width - left - right) / Math.max(1, x.scale.ticks.length) - 6;
  x.scale.ticks.forEach(([share, text], i) => {
    context.fillStyle = color("soft");
    // Neighbours on two lines where there are names.
    context.fillText(cut(context, text, x.scale.levels ? room * 2 : room), px(share), height - bottom + 6 + (x.scale.levels && i % 2 ? 15 : 0));
  });
  context.fillStyle = color("ink");
  context.fillText(x.title, (left + width - right) / 2, height - 17);
  return { px, py, left, right: width - right, top, bottom: height - bottom };
}

const tip = byId("tip");
function showTip(event, lines) {
  tip.replaceChildren(...lines.map(line => element("div", { textContent: line })));
  tip.hidden = false;
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${event.clientY + 14}px`;
}
const hideTip = () => { tip.hidden = true; };
const place = (canvas, event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
function options(select, choices, chosen) {
  select.replaceChildren(...choices.map(d => element("option", { value: d.key, textContent: d.label, selected: d === chosen })));
}
function nothing(drawing, text) {
  drawing.context.fillStyle = color("soft");
  drawing.context.textAlign = "center";
  drawing.context.fillText(text, drawing.width / 2, drawing.height / 2);
}
