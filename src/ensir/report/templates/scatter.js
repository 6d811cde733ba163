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
  const section = figure.closest("section"), { rows, pixels, pictured } = JSON.parse(section.querySelector("script.rows").textContent);
  const names = headingsInOrder(section.querySelector(".long table")).slice(1).map((heading) => heading.textContent.trim());
  const { metric, models } = figure.dataset, count = Number(models), [up, minus, across] = ["y", "minus", "x"].map((name) => figure.querySelector(`.${name}`));
  const values = rows.map(([, ...cells]) => cells.map((cell) => parsed(cell).value));
  const spread = values.map((row) => { const known = row.slice(0, count).filter(Number.isFinite); return known.length > 1 ? Math.max(...known) - Math.min(...known) : NaN; });
  const sizes = pixels.map((size) => size === null ? NaN : size / 1e6);

  const options = (select, further) => {
    select.append(...further, ...[["Base models", names.slice(0, count)], ["Methods", names.slice(count)]].map(([label, some], group) =>
      made("optgroup", { label }, ...some.map((name, i) => made("option", { value: group * count + i }, name)))));
  };
  options(up, []);
  options(minus, [made("option", { value: "" }, "nothing")]);
  options(across, [made("option", { value: "spread" }, "spread of the base models"), made("option", { value: "size" }, "size")]);
  const chosen = JSON.parse(figure.dataset.start);
  up.value = chosen[0];
  minus.value = chosen[1];
  across.value = "spread";

  function draw() {
    const of = (row) => (minus.value === "" ? row[up.value] : row[up.value] - row[minus.value]);
    const along = across.value === "spread" ? spread : across.value === "size" ? sizes : values.map((row) => row[across.value]);
    const dots = values.map((row, i) => ({ name: rows[i][0], x: along[i], y: of(row) })).filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
    const width = 440, height = 300, left = 58, bottom = 44, top = 10, right = 12;
    const range = (some) => { const low = Math.min(...some), high = Math.max(...some), margin = 0.05 * (high - low || Math.abs(high) || 1); return [low - margin, high + margin]; };
    const [x0, x1] = range(dots.map(({ x }) => x)), [y0, y1] = range(minus.value === "" ? dots.map(({ y }) => y) : [0, ...dots.map(({ y }) => y)]);
    const X = (x) => left + (x - x0) / (x1 - x0) * (width - left - right), Y = (y) => height - bottom - (y - y0) / (y1 - y0) * (height - top - bottom);
    const label = [minus.value === "" ? `${metric}: ${names[up.value]}` : `${metric}: ${names[up.value]} − ${names[minus.value]}`,
      across.value === "spread" ? `spread of the base models, ${metric}` : across.value === "size" ? "size, megapixels" : `${metric}: ${names[across.value]}`];
    const svg = made("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${label[0]}, against ${label[1]}, of ${dots.length} images` });
    const text = (x, y, content, attributes = {}) => made("text", { x, y, ...attributes }, content);
    if (dots.length) {
      for (const [value, printed] of ticks(x0, x1, 5)) svg.append(made("line", { x1: X(value), x2: X(value), y1: top, y2: height - bottom, class: "grid" }), text(X(value), height - bottom + 16, printed, { "text-anchor": "middle" }));
      for (const [value, printed] of ticks(y0, y1, 5)) svg.append(made("line", { x1: left, x2: width - right, y1: Y(value), y2: Y(value), class: value === 0 && minus.value !== "" ? "zero" : "grid" }), text(left - 8, Y(value) + 4, printed, { "text-anchor": "end" }));
    } else svg.append(text(width / 2, height / 2, "no finite values", { "text-anchor": "middle" }));
    if (minus.value === "" && Number.isInteger(+across.value)) {  // equal in both
      const [low, high] = [Math.max(x0, y0), Math.min(x1, y1)];
      if (low < high) svg.append(made("line", { x1: X(low), y1: Y(low), x2: X(high), y2: Y(high), class: "zero" }));
    }
    svg.append(text((left + width - right) / 2, height - 8, label[1], { "text-anchor": "middle", class: "label" }),
      text(14, (top + height - bottom) / 2, label[0], { "text-anchor": "middle", class: "label", transform: `rotate(-90 14 ${(top + height - bottom) / 2})` }));
    const among = new Set(pictured);
    dots.sort((a, b) => among.has(a.name) - among.has(b.name));
    for (const { name, x, y } of dots) {
      const shown = among.has(name), told = `${name}: ${+x.toPrecision(4)}, ${+y.toPrecision(4)}`;
      const dot = made("circle", { cx: X(x), cy: Y(y), r: shown ? 5 : 3, class: shown ? "pictured" : "", ...(shown ? { tabindex: 0, role: "button", "aria-label": `Show ${told}` } : {}) }, made("title", {}, told));
      const go = () => (shown ? show(name) : find(name));
      dot.addEventListener("click", go);
      dot.addEventListener("keydown", (event) => { if (["Enter", " "].includes(event.key)) { event.preventDefault(); go(); } });
      svg.append(dot);
    }
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
  for (const select of [up, minus, across]) select.addEventListener("change", draw);
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
