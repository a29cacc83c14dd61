// A button element would not be printed in the heads that are repeated on the next page.
for (const table of document.querySelectorAll("table")) {
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("span");
    button.setAttribute("role", "button");
    button.tabIndex = 0;
    button.append(...head.childNodes);
    button.onclick = () => sortBy(table, head);
    button.onkeydown = event => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sortBy(table, head);
    };
    head.append(button);
  }
}
function sortBy(table, head) {
  const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  const isNumber = head.classList.contains("n"), sign = direction === "ascending" ? 1 : -1;
  const text = row => row.cells[head.cellIndex].textContent.trim();
  const number = row => parseFloat(text(row).replaceAll(",", "").replaceAll("\u2212", "-").replace(/^[^\d.+-]+/, ""));
  const compare = (a, b) => {
    if (!isNumber) return sign * text(a).localeCompare(text(b), undefined, { numeric: true });
    const [x, y] = [number(a), number(b)];
    return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) : sign * (x - y);
  };
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
}
