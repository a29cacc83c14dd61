// A metric by the values of a param: a box from quartile to quartile, whiskers to the last run within 1.5 boxes, all runs.
const boxCanvas = byId("boxes");
const mostGroups = 10;
options(byId("box-metric"), dimensions.filter(d => d.kind === "metric"), ranking);
options(byId("box-group"), [...params, find("kind"), find("experiment")], params.find(d => !d.isNumber) ?? params[0] ?? find("kind"));

function quantile(sorted, q) {
  const at = q * (sorted.length - 1), low = Math.floor(at), high = Math.ceil(at);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

// One group for each value, or for each quarter of many numbers.
function grouped(dimension, indices) {
  const groups = new Map(), add = (name, i) => groups.set(name, [...groups.get(name) ?? [], i]);
  const distinct = new Set(indices.map(i => dimension.get(runs[i])));
  if (!dimension.isNumber || distinct.size <= mostGroups) {
    const order = (a, b) => (a === null) - (b === null) || (dimension.isNumber ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
    [...distinct].sort(order).forEach(value => groups.set(format(value), []));
    indices.forEach(i => add(format(dimension.get(runs[i])), i));
    return groups;
  }
  const known = indices.filter(i => dimension.get(runs[i]) !== null);
  const values = known.map(i => dimension.get(runs[i])).sort((a, b) => a - b);
  const edges = [0, .25, .5, .75, 1].map(q => quantile(values, q));
  const names = [0, 1, 2, 3].map(n => `${format(edges[n])} to ${format(edges[n + 1])}`);
  names.forEach(name => groups.set(name, []));
  known.forEach(i => add(names[Math.max(0, [1, 2, 3].filter(n => dimension.get(runs[i]) > edges[n]).length)], i));
  return groups;
}

function drawBoxes() {
  const drawing = prepare(boxCanvas, 360), { context } = drawing;
  const metric = find(byId("box-metric").value), by = find(byId("box-group").value);
  const indices = visible.filter(i => metric.get(runs[i]) !== null);
  if (!indices.length || !by) return nothing(drawing, "no visible run has this metric");
  let groups = [...grouped(by, indices)].filter(([, members]) => members.length);
  const left = groups.length - mostGroups * 2;
  if (left > 0) groups = groups.sort((a, b) => b[1].length - a[1].length).slice(0, mostGroups * 2);
  byId("box-note").textContent = left > 0 ? `${left} more values are not shown: the rarest` : "";
  const y = scale(indices.map(i => metric.get(runs[i])), true, false);
  const ticks = groups.map(([name, members], n) => [(n + .5) / groups.length, `${name} (n ${members.length})`]);
  const x = { ticks, levels: groups.map(([name]) => name) };
  const { px, py } = frame(drawing, { scale: x, title: by.label }, { scale: y });
  const half = Math.min(40, (px(1) - px(0)) / groups.length / 3);
  groups.forEach(([, members], n) => {
    const center = px((n + .5) / groups.length), values = members.map(i => metric.get(runs[i])).sort((a, b) => a - b);
    const [q1, middle, q3] = [.25, .5, .75].map(q => quantile(values, q)), reach = 1.5 * (q3 - q1);
    const low = values.find(value => value >= q1 - reach), high = [...values].reverse().find(value => value <= q3 + reach);
    context.strokeStyle = color("soft");
    context.lineWidth = 1;
    if (values.length > 2) {
      context.beginPath(); context.moveTo(center, py(y.at(low))); context.lineTo(center, py(y.at(high))); context.stroke();
      context.fillStyle = color("tint");
      context.fillRect(center - half, py(y.at(q3)), 2 * half, py(y.at(q1)) - py(y.at(q3)));
      context.strokeRect(center - half, py(y.at(q3)), 2 * half, py(y.at(q1)) - py(y.at(q3)));
    }
    members.forEach(i => {
      // The same place every time.
      const jitter = ((i * 2654435761 % 1000) / 1000 - .5) * half;
      const isSelected = state.selected.has(i);
      context.fillStyle = isSelected ? color("bad") : palette[0];
      context.globalAlpha = isSelected ? 1 : .5;
      context.beginPath(); context.arc(center + jitter, py(y.at(metric.get(runs[i]))), isSelected ? 5 : 3, 0, 7); context.fill();
    });
    context.globalAlpha = 1;
    context.strokeStyle = color("ink");
    context.lineWidth = 2;
    context.beginPath(); context.moveTo(center - half, py(y.at(middle))); context.lineTo(center + half, py(y.at(middle))); context.stroke();
  });
}
["box-metric", "box-group"].forEach(id => { byId(id).oninput = drawBoxes; });
views.push(drawBoxes);
