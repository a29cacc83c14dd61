update();
let waiting = 0;
const redraw = () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(() => views.forEach(view => view())); };
let lastWidth = window.innerWidth;
window.addEventListener("resize", () => { if (window.innerWidth !== lastWidth) { lastWidth = window.innerWidth; redraw(); } });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
