// Any metric or param against any other.
const scatterCanvas = byId("scatter");
const plotted = dimensions.filter(d => d.kind !== "fact" || d.label === "duration");
options(byId("scatter-x"), plotted, params.find(d => d.isNumber) ?? params[0] ?? dimensions[1]);
options(byId("scatter-y"), plotted, ranking);
let dots = [];

function drawScatter() {
  const drawing = prepare(scatterCanvas, 360), { context } = drawing;
  const x = find(byId("scatter-x").value), y = find(byId("scatter-y").value);
  const points = visible.map(i => [i, x.get(runs[i]), y.get(runs[i])]).filter(([, a, b]) => a !== null && b !== null);
  dots = [];
  if (!points.length) return nothing(drawing, "no visible run has both");
  const xs = scale(points.map(point => point[1]), x.isNumber, byId("scatter-x-log").checked);
  const ys = scale(points.map(point => point[2]), y.isNumber, byId("scatter-y-log").checked);
  const { px, py } = frame(drawing, { scale: xs, title: x.label }, { scale: ys });
  for (const [i, a, b] of points) {
    const [sx, sy] = [xs.at(a), ys.at(b)];
    if (sx === undefined || sy === undefined) continue;
    const dot = { i, x: px(sx), y: py(sy), a, b };
    dots.push(dot);
    const isSelected = state.selected.has(i);
    context.globalAlpha = isSelected ? 1 : .6;
    context.fillStyle = isSelected ? color("bad") : palette[0];
    context.beginPath(); context.arc(dot.x, dot.y, isSelected ? 6 : 4, 0, 7); context.fill();
  }
  context.globalAlpha = 1;
}

function nearest(event) {
  const [x, y] = place(scatterCanvas, event), distance = dot => (dot.x - x) ** 2 + (dot.y - y) ** 2;
  const near = dots.reduce((best, dot) => !best || distance(dot) < distance(best) ? dot : best, null);
  return near && distance(near) < 14 ** 2 ? near : null;
}
scatterCanvas.onpointermove = event => {
  const near = nearest(event);
  near ? showTip(event, [label(near.i), `${find(byId("scatter-x").value).label}: ${format(near.a)}`, `${find(byId("scatter-y").value).label}: ${format(near.b)}`]) : hideTip();
};
scatterCanvas.onpointerleave = hideTip;
scatterCanvas.onclick = event => { const near = nearest(event); if (near) toggle(near.i); };
["scatter-x", "scatter-y", "scatter-x-log", "scatter-y-log"].forEach(id => { byId(id).oninput = drawScatter; });
views.push(drawScatter);
