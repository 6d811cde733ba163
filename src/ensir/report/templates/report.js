"use strict";

// ── compare two pictures: a divider, zoom and pan ──────────────────────────────────────────────────────────────

function compare(figure) {
  const width = Number(figure.dataset.width), height = Number(figure.dataset.height);
  const [left, top, side] = figure.dataset.closeUp.split(" ").map(Number);
  const stage = figure.querySelector(".stage"), divider = figure.querySelector("input");
  const layers = stage.querySelectorAll("svg");
  const view = { x: 0, y: 0, width };  // what is seen, in pixels of the picture; the height follows

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  function look(x, y, wide) {
    view.width = clamp(wide, Math.min(width, 16), width);
    const tall = view.width * height / width;
    view.x = clamp(x, 0, width - view.width);
    view.y = clamp(y, 0, height - tall);
    for (const layer of layers) layer.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${tall}`);
    stage.classList.toggle("zoomed", view.width < width);
  }
  function zoom(factor, u = 0.5, v = 0.5) {  // (u, v): the point of the stage that stays where it is
    const wide = clamp(view.width / factor, Math.min(width, 16), width), change = view.width - wide;
    look(view.x + u * change, view.y + v * change * height / width, wide);
  }
  const fit = () => look(0, 0, width);
  function closeUp() {
    const wide = 1.15 * side * Math.max(1, width / height);
    look(left + side / 2 - wide / 2, top + side / 2 - wide * height / width / 2, wide);
  }
  function divide(percent) {
    divider.value = percent;
    stage.style.setProperty("--at", `${divider.value}%`);
  }
  function pointed(event) {
    const box = stage.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  ["left", "right"].forEach((name, i) => {
    const select = figure.querySelector(`select.${name}`);
    select.addEventListener("change", () => {
      const chosen = select.selectedOptions[0].dataset.name;
      layers[i].querySelector("use").setAttribute("href", `#${select.value}`);
      layers[i].setAttribute("aria-label", `${name}: ${chosen}`);
      stage.querySelector(`output.${name}`).textContent = chosen;
    });
  });
  const actions = { in: () => zoom(1.5), out: () => zoom(1 / 1.5), fit, "close-up": closeUp };
  for (const button of figure.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", actions[button.dataset.zoom]);
  }
  divider.addEventListener("input", () => divide(divider.value));

  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const box = stage.getBoundingClientRect(), zoomed = view.width < width;
    const near = Math.abs(event.clientX - box.left - box.width * divider.value / 100) < 24;
    let [u, v] = pointed(event);
    const dividing = near || !zoomed;
    if (dividing) divide(100 * u);
    stage.setPointerCapture(event.pointerId);
    stage.onpointermove = (moved) => {
      const [newU, newV] = pointed(moved);
      if (dividing) divide(100 * newU);
      else look(view.x - (newU - u) * view.width, view.y - (newV - v) * view.width * height / width, view.width);
      [u, v] = [newU, newV];
    };
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, () => { stage.onpointermove = null; });
  }
  stage.addEventListener("dblclick", (event) => zoom(2, ...pointed(event)));
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;  // the page scrolls; with Ctrl, or pinched, the picture zooms
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300), ...pointed(event));
  }, { passive: false });
  stage.addEventListener("keydown", (event) => {
    const step = view.width / 10;
    const keys = {
      ArrowLeft: () => look(view.x - step, view.y, view.width), ArrowRight: () => look(view.x + step, view.y, view.width),
      ArrowUp: () => look(view.x, view.y - step, view.width), ArrowDown: () => look(view.x, view.y + step, view.width),
      "+": actions.in, "=": actions.in, "-": actions.out, 0: fit,
    };
    const arrow = event.key.startsWith("Arrow");
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || (arrow && view.width === width)) return;
    event.preventDefault();
    keys[event.key]();
  });
}
document.querySelectorAll(".compare").forEach(compare);

// A close-up, clicked, is shown on the right.
for (const button of document.querySelectorAll("[data-picture]")) {
  button.addEventListener("click", () => {
    const select = button.closest("section").querySelector("select.right");
    select.value = button.dataset.picture;
    select.dispatchEvent(new Event("change"));
  });
}

// ── tables: long ones are filled when they are opened; all are sorted by a column ──────────────────────────────

function fill(details) {
  const body = details.querySelector("tbody"), data = details.querySelector("script[type='application/json']");
  if (!data || body.rows.length) return;
  const marks = { "*": "best", _: "second" };
  for (const [name, ...cells] of JSON.parse(data.textContent)) {
    const row = body.insertRow(), heading = document.createElement("th");
    heading.scope = "row";
    heading.textContent = name;
    row.append(heading);
    for (const text of cells) {
      const cell = row.insertCell(), mark = marks[text.at(-1)];
      cell.textContent = mark ? text.slice(0, -1) : text;
      if (mark) cell.className = mark;
    }
  }
}
for (const details of document.querySelectorAll("details.images")) {
  details.addEventListener("toggle", () => fill(details));
}

function number(cell) {
  const text = cell.dataset.value ?? cell.textContent;
  return Number(text.replace("∞", "Infinity").replace("inf", "Infinity").replace("–", "NaN"));
}
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.querySelectorAll("th:has(button)")];
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const before = heading.getAttribute("aria-sort");
      const descending = before ? before === "ascending" : column > 0;  // numbers: largest first
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const text = (row) => row.cells[0].textContent;
      function order(a, b) {
        if (!column) return (descending ? -1 : 1) * text(a).localeCompare(text(b), "en", { numeric: true });
        const [x, y] = [number(a.cells[column]), number(b.cells[column])];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);  // what is missing comes last
        return x === y ? 0 : (descending ? y > x : x > y) ? 1 : -1;
      }
      for (const body of table.tBodies) body.append(...[...body.rows].filter((row) => row.cells.length > 1).sort(order));
    });
  });
}

// ── navigation: the section that is read is marked ─────────────────────────────────────────────────────────────

const links = new Map([...document.querySelectorAll("nav a[href^='#']")].map((link) => [link.hash.slice(1), link]));
const sections = [...document.querySelectorAll("main section[id]")];
function mark() {
  const read = sections.findLast((section) => section.getBoundingClientRect().top < innerHeight / 3);
  for (const [id, link] of links) {
    if (id === read?.id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
addEventListener("scroll", mark, { passive: true });
mark();

addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => {
  fill(part);
  part.open = true;
}));
