// Two runs side by side.
const [diffA, diffB] = [byId("diff-a"), byId("diff-b")];
for (const [select, chosen] of [[diffA, 0], [diffB, 1]]) {
  select.append(...runs.map((_, i) => element("option", { value: i, textContent: `${i + 1}. ${label(i)}`, selected: i === chosen })));
}
byId("diff-controls").hidden = runs.length < 2;

function drawDiff() {
  const body = byId("diff");
  if (runs.length < 2) return body.replaceChildren(element("tbody", {}, element("tr", {}, element("td", { textContent: "there is one run only" }))));
  const [a, b] = [runs[diffA.value], runs[diffB.value]], showsAll = byId("diff-all").checked, rows = [];
  const add = (section, name, x, y) => {
    if (!showsAll && x === y) return;
    const delta = typeof x === "number" && typeof y === "number" ? y - x : null;
    const cells = [section, name, format(x), format(y), delta === null ? "" : (delta > 0 ? "+" : "") + format(delta)];
    rows.push(element("tr", {}, ...cells.map((textContent, n) => element("td", { textContent, className: n === 4 ? "n" : "", title: n === 2 ? x ?? "" : n === 3 ? y ?? "" : "" }))));
  };
  for (const key of ["name", "status", "kind", "experiment", "started"]) add("run", key, a[key], b[key]);
  data.facts.forEach((name, i) => add("origin", name, a.facts[i], b.facts[i]));
  data.params.forEach((name, i) => add("params", name, a.params[i], b.params[i]));
  metrics.forEach((metric, i) => add("metrics", metric.name, a.metrics[i], b.metrics[i]));
  add("run", "duration, s", a.duration_seconds, b.duration_seconds);
  const heads = ["", "", label(diffA.value), label(diffB.value), "difference"].map((textContent, n) => element("th", { textContent, className: n === 4 ? "n" : "" }));
  if (!rows.length) rows.push(element("tr", {}, element("td", { colSpan: 5, textContent: "these runs do not differ in anything that is shown" })));
  body.replaceChildren(element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
}

let pair = "";
views.push(() => {
  // The first two that are selected.
  const chosen = [...state.selected].slice(0, 2), now = chosen.join();
  if (chosen.length === 2 && now !== pair) [diffA.value, diffB.value] = chosen;
  pair = now;
  drawDiff();
});
[diffA, diffB, byId("diff-all")].forEach(input => { input.oninput = drawDiff; });
