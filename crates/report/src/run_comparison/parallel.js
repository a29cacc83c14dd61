// Parallel coordinates: an axis for each param, the ranking metric last; a stretch of an axis can be marked (brushed).
const parallelCanvas = byId("parallel");
let axes = [...params.slice(0, 7), ranking];
const marks = new Map();
const geometry = { top: 48, bottom: 26, x: [], scales: [], height: 380 };
const axisY = share => geometry.height - geometry.bottom - share * (geometry.height - geometry.top - geometry.bottom);
const axisShare = y => (geometry.height - geometry.bottom - y) / (geometry.height - geometry.top - geometry.bottom);

// From yellow over green to dark blue, so that the best stand out on light and on dark.
function shade(share) {
  const stops = [[190, 187, 120], [53, 155, 140], [20, 80, 170]], place = Math.max(0, Math.min(1, share)) * 2;
  const [a, b] = place < 1 ? [stops[0], stops[1]] : [stops[1], stops[2]], part = place < 1 ? place : place - 1;
  return `rgb(${a.map((value, i) => Math.round(value + (b[i] - value) * part)).join()})`;
}

function drawParallel() {
  const drawing = prepare(parallelCanvas, geometry.height), { context, width } = drawing;
  const margin = Math.min(70, width / 8);
  geometry.x = axes.map((_, i) => axes.length < 2 ? width / 2 : margin + i * (width - 2 * margin) / (axes.length - 1));
  geometry.scales = axes.map(axis => {
    const values = runs.map(axis.get);
    return scale(values, axis.isNumber, axis.isNumber && spansDecades(values));
  });
  const points = i => axes.map((axis, n) => {
    const value = axis.get(runs[i]), share = value === null ? undefined : geometry.scales[n].at(value);
    return share === undefined ? null : [geometry.x[n], axisY(share)];
  });
  const rank = new Map(visible.map((i, place) => [i, 1 - place / Math.max(1, visible.length - 1)]));
  const draw = (i, style, lineWidth) => {
    context.strokeStyle = style;
    context.lineWidth = lineWidth;
    context.beginPath();
    let isDown = false;
    for (const point of points(i)) {
      if (!point) { isDown = false; continue; }
      isDown ? context.lineTo(...point) : context.moveTo(...point);
      isDown = true;
    }
    context.stroke();
  };
  context.globalAlpha = .12;
  runs.forEach((_, i) => { if (!rank.has(i)) draw(i, color("soft"), 1); });
  context.globalAlpha = visible.length > 200 ? .5 : .8;
  [...visible].reverse().forEach(i => draw(i, shade(rank.get(i)), 1.2));
  context.globalAlpha = 1;
  firstSelected().forEach(i => draw(i, color("bad"), 2.5));
  axes.forEach((axis, n) => drawAxis(context, axis, n, width));
}

function drawAxis(context, axis, n, width) {
  const x = geometry.x[n], room = axes.length < 2 ? width : (width - 140) / (axes.length - 1);
  context.strokeStyle = color("ink");
  context.lineWidth = 1;
  context.beginPath(); context.moveTo(x, axisY(0)); context.lineTo(x, axisY(1)); context.stroke();
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = color("ink");
  // Neighbours on two lines.
  context.fillText(cut(context, axis.kind === "param" ? axis.label.split(".").pop() : axis.label, Math.max(60, room * 1.8)), x, n % 2 ? 26 : 10);
  const step = Math.ceil(geometry.scales[n].ticks.length / 12);
  geometry.scales[n].ticks.forEach(([share, text], i) => {
    if (i % step) return;
    const isLast = n === axes.length - 1;
    context.textAlign = isLast ? "right" : "left";
    const shown = cut(context, text, Math.max(30, room - 16)), wide = context.measureText(shown).width;
    context.globalAlpha = .75;
    context.fillStyle = color("surface");
    context.fillRect(isLast ? x - 6 - wide : x + 4, axisY(share) - 7, wide + 3, 14);
    context.globalAlpha = 1;
    context.fillStyle = color("soft");
    context.fillText(shown, isLast ? x - 5 : x + 5, axisY(share));
  });
  const mark = marks.get(axis.key);
  if (mark) {
    context.globalAlpha = .25;
    context.fillStyle = color("accent");
    context.fillRect(x - 9, axisY(mark[1]), 18, axisY(mark[0]) - axisY(mark[1]));
    context.globalAlpha = 1;
    context.strokeStyle = color("accent");
    context.strokeRect(x - 9, axisY(mark[1]), 18, axisY(mark[0]) - axisY(mark[1]));
  }
}

function setMark(axis, mark) {
  if (!mark) { marks.delete(axis.key); state.brushes.delete(axis.key); return; }
  marks.set(axis.key, mark);
  const own = geometry.scales[axes.indexOf(axis)];
  state.brushes.set(axis.key, run => {
    const value = axis.get(run), share = value === null ? undefined : own.at(value);
    return share !== undefined && share >= mark[0] && share <= mark[1];
  });
}

let drag = null;
parallelCanvas.onpointerdown = event => {
  const [x, y] = place(parallelCanvas, event);
  const n = geometry.x.findIndex(axis => Math.abs(axis - x) < 16);
  if (n < 0) return;
  parallelCanvas.setPointerCapture?.(event.pointerId);
  drag = { axis: axes[n], isMove: y < geometry.top - 8, from: axisShare(y) };
};
parallelCanvas.onpointermove = event => {
  if (!drag || drag.isMove) return;
  const to = Math.max(0, Math.min(1, axisShare(place(parallelCanvas, event)[1])));
  const from = Math.max(0, Math.min(1, drag.from));
  setMark(drag.axis, Math.abs(to - from) < .01 ? null : [Math.min(from, to), Math.max(from, to)]);
  drag.moved = true;
  update();
};
parallelCanvas.onpointerup = event => {
  if (drag?.isMove) {
    // The axis goes to where its name was dropped.
    const [x] = place(parallelCanvas, event), to = geometry.x.reduce((near, at, n) => Math.abs(at - x) < Math.abs(geometry.x[near] - x) ? n : near, 0);
    axes = axes.filter(axis => axis !== drag.axis);
    axes.splice(to, 0, drag.axis);
    drawParallel();
  } else if (drag && !drag.moved) {
    setMark(drag.axis, null);
    update();
  }
  drag = null;
};
byId("axes").append(...[...params, ...dimensions.filter(d => d.kind === "metric")].map(d => element("label", {},
  element("input", {
    type: "checkbox", checked: axes.includes(d), onchange: event => {
      setMark(d, null);
      axes = event.target.checked ? [...axes.filter(axis => axis !== ranking), d, ...(d === ranking || !axes.includes(ranking) ? [] : [ranking])] : axes.filter(axis => axis !== d);
      update();
    },
  }), ` ${d.label}`)));
byId("clear").addEventListener("click", () => { marks.clear(); drawParallel(); });
views.push(drawParallel);
