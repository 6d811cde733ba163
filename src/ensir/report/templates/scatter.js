// ── scatter: every image a dot ─────────────────────────────────────────────────────────────────────────────────

function ticks(low, high, count) {
  const rough = (high - low || 1) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((one) => one * power >= rough);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const shown = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) shown.push([value, value.toFixed(digits).replace(/^-(?=.*[1-9])/, "−").replace(/^-/, "")]);
  return shown;
}

function scatter(figure) {
  const section = figure.closest("section"), { images, metrics, pixels, disagreement, pictured } = stored(section);
  const names = headingsInOrder(section.querySelector(".long table")).slice(1).map((heading) => heading.textContent.trim());
  const count = Number(figure.dataset.models), [metric, up, minus, across] = ["metric", "y", "minus", "x"].map((name) => figure.querySelector(`select.${name}`));
  const values = metrics.map((rows) => rows.map((cells) => cells.map((cell) => parsed(cell).value)));
  const spread = (row) => { const known = row.slice(0, count).filter(Number.isFinite); return known.length > 1 ? Math.max(...known) - Math.min(...known) : NaN; };
  const properties = {
    ...(disagreement.some((value) => value !== null) && { disagreement: { of: (row, i) => disagreement[i] ?? NaN, label: "disagreement of the base models, levels",
      told: "Disagreement: how far the base models are from their mean, root mean square over all values that are scored." } }),
    spread: { of: spread, label: () => `spread of the base models, ${heading()}`, told: () => `Spread: of the base models' ${heading()}, from the worst to the best.` },
    ...(new Set(pixels).size > 1 && { size: { of: (row, i) => pixels[i] === null ? NaN : pixels[i] / 1e6, label: "size, megapixels", told: "" } }),
  };
  const heading = () => metric.selectedOptions[0].textContent, told = (text) => typeof text === "function" ? text() : text;

  const options = (select, further) => {
    select.append(...further, ...[["Base models", names.slice(0, count)], ["Methods", names.slice(count)]].map(([label, some], group) =>
      made("optgroup", { label }, ...some.map((name, i) => made("option", { value: group * count + i }, name)))));
  };
  options(up, []);
  options(minus, [made("option", { value: "" }, "nothing")]);
  options(across, [made("optgroup", { label: "Of the image" }, ...Object.keys(properties).map((name) => made("option", { value: name }, name)))]);
  metric.parentNode.hidden = metrics.length === 1;
  [up.value, minus.value] = JSON.parse(figure.dataset.start);
  across.value = Object.keys(properties)[0];

  function draw() {
    const of = (row) => (minus.value === "" ? row[up.value] : row[up.value] - row[minus.value]);
    const property = properties[across.value], along = property?.of ?? ((row) => row[across.value]);
    const dots = values[metric.value].map((row, i) => ({ name: images[i], x: along(row, i), y: of(row) })).filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
    const width = clamp(figure.querySelector(".plot").clientWidth, 300, 440), height = 300, left = 58, bottom = 44, top = 10, right = 12;
    const range = (some) => { const low = Math.min(...some), high = Math.max(...some), margin = 0.05 * (high - low || Math.abs(high) || 1); return [low - margin, high + margin]; };
    const [x0, x1] = range(dots.map(({ x }) => x)), [y0, y1] = range(minus.value === "" ? dots.map(({ y }) => y) : [0, ...dots.map(({ y }) => y)]);
    const X = (x) => left + (x - x0) / (x1 - x0) * (width - left - right), Y = (y) => height - bottom - (y - y0) / (y1 - y0) * (height - top - bottom);
    const label = [minus.value === "" ? `${heading()}: ${names[up.value]}` : `${heading()}: ${names[up.value]} − ${names[minus.value]}`,
      property ? told(property.label) : `${heading()}: ${names[across.value]}`];
    figure.querySelector("span.across").textContent = property ? told(property.told) : "";
    const svg = made("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${label[0]}, against ${label[1]}, of ${dots.length} images` });
    const written = (x, y, content, attributes = {}) => made("text", { x, y, ...attributes }, content);
    if (dots.length) {
      for (const [value, printed] of ticks(x0, x1, 5)) svg.append(made("line", { x1: X(value), x2: X(value), y1: top, y2: height - bottom, class: "grid" }), written(X(value), height - bottom + 16, printed, { "text-anchor": "middle" }));
      for (const [value, printed] of ticks(y0, y1, 5)) svg.append(made("line", { x1: left, x2: width - right, y1: Y(value), y2: Y(value), class: value === 0 && minus.value !== "" ? "zero" : "grid" }), written(left - 8, Y(value) + 4, printed, { "text-anchor": "end" }));
    } else svg.append(written(width / 2, height / 2, "no finite values", { "text-anchor": "middle" }));
    if (minus.value === "" && !property) {  // equal in both
      const [low, high] = [Math.max(x0, y0), Math.min(x1, y1)];
      if (low < high) svg.append(made("line", { x1: X(low), y1: Y(low), x2: X(high), y2: Y(high), class: "zero" }));
    }
    svg.append(written((left + width - right) / 2, height - 8, label[1], { "text-anchor": "middle", class: "label" }),
      written(14, (top + height - bottom) / 2, label[0], { "text-anchor": "middle", class: "label", transform: `rotate(-90 14 ${(top + height - bottom) / 2})` }));
    const among = new Set(pictured), circles = [];
    dots.sort((a, b) => a.x - b.x);
    for (const { name, x, y } of dots) {
      const shown = among.has(name), text = `${name}: ${+x.toPrecision(4)}, ${+y.toPrecision(4)}`;
      const dot = made("circle", { cx: X(x), cy: Y(y), r: shown ? 5 : 3.5, class: shown ? "pictured" : "", tabindex: -1, role: "button",
        "aria-label": `${shown ? "Show" : "Find"} ${text}` }, made("title", {}, text));
      dot.addEventListener("click", () => (shown ? show(name) : find(name)));
      circles.push(dot);
    }
    svg.append(...circles.filter((dot) => !dot.classList.contains("pictured")), ...circles.filter((dot) => dot.classList.contains("pictured")));
    // One stop of the Tab key for all dots; arrows go from one to the next.
    (circles.find((dot) => dot.classList.contains("pictured")) ?? circles[0])?.setAttribute("tabindex", 0);
    svg.addEventListener("keydown", (event) => {
      const i = circles.indexOf(event.target), to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: circles.length - 1 }[event.key];
      if (["Enter", " "].includes(event.key)) event.target.dispatchEvent(new MouseEvent("click"));
      else if (to === undefined || i < 0) return;
      else if (circles[to]) {
        event.target.setAttribute("tabindex", -1);
        circles[to].setAttribute("tabindex", 0);
        circles[to].focus();
      }
      event.preventDefault();
    });
    figure.querySelector(".plot").replaceChildren(svg);
  }
  function show(name) {
    const root = section.querySelector(".viewer");
    viewerOf(root).show(name);
    section.scrollIntoView();
  }
  function find(name) {
    const details = section.querySelector("details.images");
    details.open = true;
    sheets.get(details.querySelector(".sheet")).search(name);
    details.scrollIntoView();
  }
  for (const select of [metric, up, minus, across]) select.addEventListener("change", draw);
  draw();
}
const plots = new Map();
function plotOf(figure) {
  if (!plots.has(figure)) plots.set(figure, scatter(figure));
}
const nearby = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) { nearby.unobserve(target); plotOf(target); }
}, { rootMargin: "600px" });
document.querySelectorAll(".scatter").forEach((figure) => nearby.observe(figure));
addEventListener("beforeprint", () => document.querySelectorAll(".scatter").forEach(plotOf));
