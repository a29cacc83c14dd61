// Metric curves over each other.
const curveCanvas = byId("curves"), curveSelect = byId("curve");
const curveSettings = ["curve", "curve-log", "smoothing"].map(byId);
let drawn = [];
curveSelect.append(...data.curves.map((curve, i) => element("option", { value: i, textContent: curve.metric })));
byId("curve-controls").hidden = data.curves.length === 0;

// An exponential mean as TensorBoard draws it, corrected for its start.
function smooth(points, weight) {
  let mean = 0, total = 0;
  return points.map(([step, value]) => {
    if (value === null) return [step, value];
    mean = mean * weight + value * (1 - weight);
    total = total * weight + (1 - weight);
    return [step, mean / total];
  });
}

function drawCurves() {
  const drawing = prepare(curveCanvas, 360), { context } = drawing;
  const curve = data.curves[curveSelect.value];
  drawn = [];
  if (!curve) return nothing(drawing, "no curves: the runs have one value each");
  const isLog = byId("curve-log").checked, weight = Number(byId("smoothing").value), seen = new Set(visible);
  const lines = curve.points.filter(([i]) => seen.has(i)).map(([i, points]) => ({ i, points: smooth(points, weight) }));
  if (!lines.length) return nothing(drawing, "no visible run has this metric");
  const all = lines.flatMap(line => line.points);
  const x = scale(all.map(point => point[0]), true, false), y = scale(all.map(point => point[1]), true, isLog);
  const { px, py } = frame(drawing, { scale: x, title: "step" }, { scale: y });
  const chosen = firstSelected(), strong = chosen.length ? chosen : lines.map(line => line.i).sort((a, b) => a - b).slice(0, palette.length);
  const stroke = (line, style, width) => {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.beginPath();
    let isDown = false;
    line.places = [];
    for (const [step, value] of line.points) {
      const share = value === null ? undefined : y.at(value);
      if (share === undefined) { isDown = false; continue; }
      const point = [px(x.at(step)), py(share)];
      line.places.push([...point, step, value]);
      isDown ? context.lineTo(...point) : context.moveTo(...point);
      isDown = true;
    }
    context.stroke();
  };
  const rest = lines.filter(line => !strong.includes(line.i));
  context.globalAlpha = rest.length > 100 ? .25 : .5;
  rest.forEach(line => stroke(line, color("soft"), 1));
  context.globalAlpha = 1;
  lines.filter(line => strong.includes(line.i)).forEach(line => stroke(line, palette[strong.indexOf(line.i) % palette.length], 2));
  drawn = lines;
  byId("curve-legend").replaceChildren(...strong.slice(0, palette.length).map((i, n) =>
    element("span", {}, element("i", { style: `background:${palette[n]}` }), label(i))));
}

curveCanvas.onpointermove = event => {
  const [x, y] = place(curveCanvas, event);
  let near = null, least = 12 ** 2;
  for (const line of drawn) for (const point of line.places) {
    const distance = (point[0] - x) ** 2 + (point[1] - y) ** 2;
    if (distance < least) [near, least] = [{ line, point }, distance];
  }
  near ? showTip(event, [label(near.line.i), `step ${near.point[2]}: ${format(near.point[3])}`]) : hideTip();
};
curveCanvas.onpointerleave = hideTip;
curveSettings.forEach(input => { input.oninput = drawCurves; });
views.push(drawCurves);
