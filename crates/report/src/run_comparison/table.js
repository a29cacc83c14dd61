// The table: sorted, filtered, in pages, so that thousands of runs are no matter.
const pageSize = 100;
const sorting = { column: null, ascending: false };
let page = 0;
const best = new Map(dimensions.filter(d => d.kind === "metric").map(d => {
  const values = runs.map(d.get).filter(value => value !== null);
  return [d, d.lowIsBest ? Math.min(...values) : Math.max(...values)];
}));
const bestValue = runs.length ? ranking.get(runs[0]) : null;
const text = (title, get, extra = {}) => ({ title, get, show: get, isNumber: false, ...extra });
const number = (title, get, extra = {}) => ({ title, get, show: run => format(get(run)), isNumber: true, ...extra });
const columns = [
  number("rank", run => runs.indexOf(run) + 1, { isShown: true }),
  text("name", run => run.name, { isShown: true }),
  text("id", run => run.run_id, { isShown: true, show: run => run.run_id.slice(0, 8) }),
  text("kind", run => run.kind, { isShown: new Set(runs.map(run => run.kind)).size > 1 }),
  text("status", run => run.status),
  text("experiment", run => run.experiment, { isShown: new Set(runs.map(run => run.experiment)).size > 1 }),
  ...dimensions.filter(d => d.kind === "metric").flatMap((d, i) => {
    const own = number(d.label, d.get, { isShown: i < 4, dimension: d });
    if (i > 0) return [own];
    const has = get => runs.some(run => get(run) !== null);
    return [
      own,
      number("step", run => run.best_step, { isShown: false }),
      { ...number("interval", run => run.interval?.[0] ?? null), isShown: has(run => run.interval), show: run => run.interval ? `[${format(run.interval[0])}, ${format(run.interval[1])}]` : "–" },
      number("delta", run => d.get(run) === null || bestValue === null ? null : d.get(run) - bestValue, { isShown: true }),
      { ...number("p", run => run.p_value), isShown: has(run => run.p_value), show: run => run.p_value === null ? "" : run.p_value < .001 ? "<.001" : run.p_value.toFixed(3) },
    ];
  }),
  ...params.map((d, i) => ({ ...(d.isNumber ? number(d.label, d.get) : text(d.label, d.get)), isShown: i < 8, short: d.label.split(".").pop() })),
  { ...number("duration", run => run.duration_seconds), isShown: true, show: run => duration(run.duration_seconds) },
  text("started", run => run.started),
];

function sorted() {
  const { column, ascending } = sorting, order = [...visible];
  if (!column) return order;
  const sign = ascending ? 1 : -1;
  // What is missing comes last, whichever way.
  return order.sort((a, b) => {
    const [x, y] = [column.get(runs[a]), column.get(runs[b])];
    if (x === null || y === null) return (x === null) - (y === null) || a - b;
    return sign * (column.isNumber ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true })) || a - b;
  });
}

function sortBy(column) {
  const isSame = sorting.column === column;
  sorting.ascending = isSame ? !sorting.ascending : !(column.isNumber && column.dimension && !column.dimension.lowIsBest);
  sorting.column = column;
  page = 0;
  drawTable();
}

function drawTable() {
  const shown = columns.filter(column => column.isShown), order = sorted();
  const pages = Math.max(1, Math.ceil(order.length / pageSize));
  page = Math.min(page, pages - 1);
  const heads = shown.map(column => {
    const button = element("button", { type: "button", textContent: column.short ?? column.title, title: column.title, onclick: () => sortBy(column) });
    const head = element("th", { className: column.isNumber ? "n" : "", scope: "col" }, button);
    if (sorting.column === column) head.setAttribute("aria-sort", sorting.ascending ? "ascending" : "descending");
    return head;
  });
  const row = i => {
    const run = runs[i];
    const box = element("input", { type: "checkbox", checked: state.selected.has(i), onchange: () => toggle(i) });
    box.setAttribute("aria-label", `select ${label(i)}`);
    const cells = shown.map(column => {
      const value = column.get(run);
      const cell = element("td", { className: column.isNumber ? "n" : "", title: value === null ? "" : String(value) });
      if (column.title === "name" && run.is_champion) cell.append(element("span", { className: "badge", textContent: "champion" }), " ");
      if (column.title === "name" && run.url) cell.append(element("a", { href: run.url, textContent: run.name }));
      else cell.append(column.show(run) ?? "–");
      if (column.dimension && value !== null && value === best.get(column.dimension)) cell.classList.add("good");
      return cell;
    });
    return element("tr", { className: state.selected.has(i) ? "selected" : "" }, element("td", {}, box), ...cells);
  };
  byId("runs").replaceChildren(
    element("thead", {}, element("tr", {}, element("th", { ariaLabel: "selected" }), ...heads)),
    element("tbody", {}, ...order.slice(page * pageSize, (page + 1) * pageSize).map(row)));
  byId("pages").hidden = pages < 2;
  byId("page").textContent = `page ${page + 1} of ${pages}`;
}

byId("filter").oninput = event => { state.filter = parseFilter(event.target.value); page = 0; update(); };
byId("previous").onclick = () => { page = Math.max(0, page - 1); drawTable(); };
byId("next").onclick = () => { page += 1; drawTable(); };
byId("clear").onclick = () => {
  state.selected.clear(); state.brushes.clear(); state.filter = () => true; byId("filter").value = "";
  update();
};
byId("columns").append(...columns.map(column => element("label", {},
  element("input", { type: "checkbox", checked: !!column.isShown, onchange: event => { column.isShown = event.target.checked; drawTable(); } }), ` ${column.title}`)));
views.push(drawTable);
