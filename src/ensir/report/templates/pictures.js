// ── pictures: images of a test set in two panels with a divider, one that flips, or four ───────────────────────

const SVG = "http://www.w3.org/2000/svg", PANELS = ["A", "B", "C", "D"];
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function made(name, attributes = {}, ...children) {
  const element = ["svg", "image", "rect", "circle", "line", "text", "title", "g"].includes(name)
    ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// All that is drawn of one picture: the whole and, where that is shrunk, its close-up at full resolution.
function pieces(image, uris) {
  const [x, y, width, height] = image.closeUp;
  const boxes = [{ x: 0, y: 0, width: image.width, height: image.height }, { x, y, width, height }];
  return uris.map((href, i) => made("image", { ...boxes[i], href, preserveAspectRatio: "none" }));
}

const mainOf = (pictures) => (pictures.target ? "target" : Object.keys(pictures)[0]);  // a test set may have no targets

const pixelsOf = new Map();  // of pictures that errors were computed of; the oldest are forgotten
function pixels(uri) {
  if (!pixelsOf.has(uri)) {
    if (pixelsOf.size > 24) pixelsOf.delete(pixelsOf.keys().next().value);
    pixelsOf.set(uri, (async () => {
      const picture = new Image();
      picture.src = uri;
      await picture.decode();
      const context = made("canvas", { width: picture.naturalWidth, height: picture.naturalHeight }).getContext("2d");
      context.drawImage(picture, 0, 0);
      return context.getImageData(0, 0, picture.naturalWidth, picture.naturalHeight);
    })());
  }
  return pixelsOf.get(uri);
}

function palette(stops) {
  const colours = stops.map((stop) => stop.match(/\d+/g).map(Number)), last = colours.length - 1;
  return (share) => {
    const at = clamp(share, 0, 1) * last, i = Math.min(Math.floor(at), last - 1);
    return colours[i].map((value, c) => value + (at - i) * (colours[i + 1][c] - value));
  };
}

// The absolute error of a picture, or its signed difference, mean over the channels, as a picture in colours.
async function compared(uri, other, signed, times) {
  const [one, two] = await Promise.all([pixels(uri), pixels(other)]);
  const drawn = new ImageData(one.width, one.height), colour = palette(SCALES[signed ? "difference" : "error"]);
  const table = Array.from({ length: 1531 }, (_, i) => colour(signed ? 0.5 + (i - 765) * times / 1530 : i * times / 765));
  for (let i = 0; i < drawn.data.length; i += 4) {
    const [r, g, b] = [0, 1, 2].map((c) => one.data[i + c] - two.data[i + c]);
    drawn.data.set(table[signed ? r + g + b + 765 : Math.abs(r) + Math.abs(g) + Math.abs(b)], i);
    drawn.data[i + 3] = 255;
  }
  const canvas = made("canvas", { width: one.width, height: one.height });
  canvas.getContext("2d").putImageData(drawn, 0, 0);
  return canvas.toDataURL();
}

function viewer(root) {
  const section = root.closest("section"), $ = (css) => root.querySelector(css), $$ = (css) => [...root.querySelectorAll(css)];
  const data = JSON.parse($("script.pictures").textContent), stage = $(".stage"), divider = $(".divider");
  const names = new Map($$("[data-panel=A] option").map((option) => [option.value, option.textContent]));
  const start = { image: 0, view: "slide", show: "picture", times: 8, at: 50, front: 1, ...data.start };
  const state = { ...start, x: 0, y: 0, width: data.images[0].width };
  const image = () => data.images[state.image];
  const same = (key) => image().same[key] ?? key;  // the method that a method has chosen
  const ratio = () => image().height / image().width;
  let drawing = 0;  // the last drawing that was begun: earlier ones that end later do not count

  const panes = PANELS.map((panel, i) => {
    const svg = made("svg", { role: "img" }), label = made("output");
    const pane = made("div", { class: "pane", "data-panel": panel }, svg, label);
    stage.append(pane);
    return { panel, svg, label, pane, i };
  });
  stage.append(made("span", { class: "handle" }));
  const mark = made("rect");
  panes[1].svg.before(made("svg", { class: "mark", "aria-hidden": "true" }, mark));

  // ── what is shown ──

  async function layers(key) {
    const { pictures, maps } = image(), shown = state.show;
    if (shown === "picture" || !pictures[key]) return pieces(image(), pictures[key] ?? []);
    if (shown === "error" || shown === "difference") {
      const other = shown === "error" ? "target" : state.A;
      if (shown === "difference" && key === other) return pieces(image(), pictures[key]);
      const uris = pictures[key].map((uri, i) => compared(uri, pictures[other][i], shown === "difference", state.times));
      return pieces(image(), await Promise.all(uris));
    }
    const map = maps[same(key)]?.[shown], drawn = pieces(image(), pictures[key]);
    if (map) drawn.push(...pieces(image(), [map]).map((piece) => (piece.setAttribute("opacity", "0.7"), piece)));
    return drawn;
  }

  async function draw() {
    const mine = ++drawing, shown = PANELS.slice(0, state.view === "grid" ? 4 : 2);
    const drawn = await Promise.all(shown.map((panel) => layers(state[panel])));
    if (mine !== drawing) return;
    shown.forEach((panel, i) => {
      const key = state[panel], score = image().scores[key], name = names.get(key);
      panes[i].svg.replaceChildren(made("title", {}, `${panel}: ${name}`), ...drawn[i]);
      panes[i].label.replaceChildren(made("span", {}, name), ...(score ? [made("span", {}, score)] : []));
    });
    stage.dataset.drawn = mine;
  }

  function look(x = state.x, y = state.y, width = state.width) {
    state.width = clamp(width, Math.min(image().width, 16), image().width);
    const height = state.width * ratio();
    state.x = clamp(x, 0, image().width - state.width);
    state.y = clamp(y, 0, image().height - height);
    for (const { svg } of panes) svg.setAttribute("viewBox", `${state.x} ${state.y} ${state.width} ${height}`);
    stage.classList.toggle("zoomed", state.width < image().width);
  }
  function zoom(factor, u = 0.5, v = 0.5) {  // (u, v): the point of a panel that stays where it is
    const width = clamp(state.width / factor, Math.min(image().width, 16), image().width), change = state.width - width;
    look(state.x + u * change, state.y + v * change * ratio(), width);
    keep();
  }
  const zooms = {
    in: () => zoom(1.5), out: () => zoom(1 / 1.5), fit: () => { look(0, 0, image().width); keep(); },
    closeUp() {
      const [left, top, side] = image().closeUp, width = 1.15 * side * Math.max(1, 1 / ratio());
      look(left + side / 2 - width / 2, top + side / 2 - width * ratio() / 2, width);
      keep();
    },
  };
  function divide(percent) {
    state.at = clamp(Math.round(percent * 2) / 2, 0, 100);
    divider.value = state.at;
    stage.style.setProperty("--at", `${state.at}%`);
  }

  function update() {
    stage.dataset.view = state.view;
    stage.dataset.front = state.front;
    divider.hidden = state.view !== "slide";
    for (const button of $$("[data-view]")) if (button !== stage) button.setAttribute("aria-pressed", button.dataset.view === state.view);
    for (const panel of PANELS) $(`select[data-panel=${panel}]`).value = state[panel];
    for (const label of $$(".panels label")) label.hidden = state.view !== "grid" && "CD".includes(label.dataset.panel);
    $(".shown").value = state.show;
    $(".times").value = state.times;
    const computed = state.show === "error" || state.show === "difference", weights = !computed && state.show !== "picture";
    $(".amplified").hidden = !computed;
    $(".legend").hidden = state.show === "picture";
    const levels = +(255 / state.times).toFixed(1), low = state.show === "difference" ? `−${levels}` : "0";
    $(".legend").replaceChildren(...(weights ? ofWeights()
      : scale(low, state.show, `${levels} levels${state.show === "difference" ? " brighter than A" : ""}`)));
    const exact = computed ? (image().exact ? " Computed of pictures rounded to 8 bits." : " Computed of what is shown here, shrunk or compressed with loss.") : "";
    $(".caption").textContent = `${[image().name, image().why, image().caption].filter(Boolean).join(" · ")}. ${image().source}${exact}`;
    divide(state.at);
    for (const button of $$(".strip button")) button.setAttribute("aria-pressed", button.dataset.picture === same(state.B));
    [...$(".picker").children].forEach((button, i) => button.setAttribute("aria-pressed", i === state.image));
    return draw();
  }
  const scale = (low, colours, high) => [made("span", {}, low), made("span", { class: `bar ${colours}` }), made("span", {}, high)];
  function rangeOf(method) {
    const [low, high] = image().ranges[method];
    return scale(low < 0 ? `−${-low}` : "0", low < 0 ? "difference" : "weights", `${high}`);
  }
  function ofWeights() {  // the scale of each method that is shown
    const shown = new Set(PANELS.slice(0, state.view === "grid" ? 4 : 2).map((panel) => same(state[panel])));
    return [...shown].filter((key) => image().ranges[key]).flatMap((key) => [made("b", {}, names.get(key)), ...rangeOf(key)]);
  }
  function set(changes) {
    Object.assign(state, changes);
    keep();
    return update();
  }

  function open(index) {
    state.image = clamp(index, 0, data.images.length - 1);
    const { width, height, closeUp, pictures, maps } = image();
    root.style.setProperty("--width", width);
    root.style.setProperty("--height", height);
    root.classList.toggle("tiny", width < 288);
    const [x, y, w, h] = closeUp;
    for (const [key, value] of Object.entries({ x, y, width: w, height: h })) mark.setAttribute(key, value);
    mark.parentNode.setAttribute("viewBox", `0 0 ${width} ${height}`);
    for (const panel of PANELS) if (!pictures[state[panel]]) state[panel] = mainOf(pictures);
    const weighed = new Set(Object.values(maps).flatMap(Object.keys));
    for (const option of $$(".shown [value=error]")) option.disabled = !pictures.target;
    if (state.show === "error" && !pictures.target) state.show = "picture";
    for (const option of $$(".shown optgroup option")) option.disabled = !weighed.has(option.value);
    if (state.show.startsWith("r") && !weighed.has(state.show)) state.show = "picture";
    strip();
    weights();
    look(0, 0, width);
    return update();
  }

  // ── what is below ──

  function small(uris, box, label) {
    return made("svg", { role: "img", "aria-label": label, viewBox: box.join(" ") }, ...pieces(image(), uris));
  }
  function strip() {
    const { pictures, closeUp, scores } = image(), keys = [...names.keys()].filter((key) => pictures[key] && same(key) === key);
    $(".strip").style.setProperty("--columns", Math.ceil(keys.length / Math.ceil(keys.length / 8)));
    $(".strip").replaceChildren(...keys.map((key) => {
      const button = made("button", { type: "button", "data-picture": key },
        small(pictures[key], closeUp, `Close-up: ${names.get(key)}`), made("b", {}, names.get(key)), made("span", {}, scores[key] ?? ""));
      button.addEventListener("click", () => set({ B: key, front: 1 }));
      return button;
    }));
    const repeated = Object.entries(image().same).map((pair) => pair.map((key) => names.get(key)).join(" = "));
    $(".same").hidden = !repeated.length;
    $(".same").textContent = `${repeated.join(", ")}: it chose that method, whose pictures and weights are shown once.`;
  }
  function weights() {
    const { pictures, maps, weights, width, height } = image(), whole = [0, 0, width, height], constant = [];
    const rows = [];
    for (const [method, means] of Object.entries(weights)) {
      if (!maps[method]) {
        constant.push(`${names.get(method)}: ${Object.entries(means).map(([model, mean]) => `${names.get(model)} ${mean}`).join(", ")}`);
        continue;
      }
      const cells = Object.entries(maps[method]).map(([model, uri]) => made("div", {},
        small([uri], whole, `Weight of ${names.get(model)} in ${names.get(method)} at every pixel; mean ${means[model]}`),
        made("span", {}, `${names.get(model)}, mean ${means[model]}`)));
      rows.push(made("div", { class: "maps", style: `--columns: ${Math.min(cells.length + 1, 8)}` },
        made("div", {}, small(pictures[method], whole, `Result of ${names.get(method)}`), made("span", {}, made("b", {}, names.get(method))),
          made("span", { class: "scale" }, ...rangeOf(method))), ...cells));
    }
    $(".weights").hidden = !Object.keys(weights).length;
    $(".methods").replaceChildren(...rows);
    $(".clipped").hidden = !rows.length;
    $(".constant").textContent = constant.length ? `The same everywhere in this image: ${constant.join("; ")}.` : "";
  }
  $(".picker").replaceChildren(...data.images.map((one, i) => {
    const svg = made("svg", { "aria-hidden": "true", viewBox: `0 0 ${one.width} ${one.height}`, preserveAspectRatio: "xMidYMid slice" }, ...pieces(one, [one.pictures[mainOf(one.pictures)][0]]));
    const button = made("button", { type: "button" }, svg, made("b", {}, one.name), made("span", {}, one.why));
    button.addEventListener("click", () => { open(i); keep(); });
    return button;
  }));

  // ── controls ──

  const view = (name) => set(name === "flip" && state.view === "flip" ? { front: 1 - state.front } : { view: name });
  for (const button of $$(".views button")) button.addEventListener("click", () => view(button.dataset.view));
  for (const button of $$("[data-zoom]")) button.addEventListener("click", () => zooms[button.dataset.zoom]());
  for (const select of $$("select.panel")) select.addEventListener("change", () => set({ [select.dataset.panel]: select.value }));
  $(".shown").addEventListener("change", () => set({ show: $(".shown").value }));
  $(".times").addEventListener("change", () => set({ times: Number($(".times").value) }));
  divider.addEventListener("input", () => { divide(divider.value); keep(); });

  const step = (dx, dy) => () => { look(state.x + dx * state.width / 10, state.y + dy * state.width / 10); keep(); };
  const keys = {
    "+": zooms.in, "=": zooms.in, "-": zooms.out, 0: zooms.fit, c: zooms.closeUp, s: () => view("slide"), g: () => view("grid"),
    f: () => (state.view === "flip" ? view("flip") : set({ view: "flip", front: 0 })),
    e: () => image().pictures.target && set({ show: "error" }), d: () => set({ show: "difference" }), p: () => set({ show: "picture" }),
    "[": () => { open(state.image - 1); keep(); }, "]": () => { open(state.image + 1); keep(); },
    ArrowLeft: step(-1, 0), ArrowRight: step(1, 0), ArrowUp: step(0, -1), ArrowDown: step(0, 1),
  };
  stage.addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!(key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (key.startsWith("Arrow") && state.width === image().width) {
      if (state.view !== "slide" || !["ArrowLeft", "ArrowRight"].includes(key)) return;
      divide(state.at + (key === "ArrowLeft" ? -2 : 2));
      keep();
    } else keys[key]();
    event.preventDefault();
  });

  const pointers = new Map();
  function pointed(event) {
    const box = (event.target.closest?.(".pane") ?? stage).getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }
  const apart = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY); };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pointers.set(event.pointerId, event);
    const box = stage.getBoundingClientRect(), share = () => 100 * (event.clientX - box.left) / box.width;
    const near = Math.abs(share() - state.at) * box.width / 100 < 24;
    const dividing = state.view === "slide" && (near || state.width === image().width), [w, h] = state.view === "grid" ? [2, 2] : [1, 1];
    if (dividing) divide(share());
    stage.setPointerCapture(event.pointerId);
    let [x, y] = [event.clientX, event.clientY], moved = 0;
    stage.onpointermove = (next) => {
      if (!pointers.has(next.pointerId)) return;
      const before = pointers.size === 2 ? apart() : 0;
      pointers.set(next.pointerId, next);
      if (before) return zoom(apart() / before);
      moved += Math.abs(next.clientX - x) + Math.abs(next.clientY - y);
      if (dividing) divide(100 * (next.clientX - box.left) / box.width);
      else look(state.x - (next.clientX - x) / box.width * w * state.width, state.y - (next.clientY - y) / box.height * h * state.width * ratio());
      [x, y] = [next.clientX, next.clientY];
    };
    stage.onclick = () => { if (state.view === "flip" && moved < 4) view("flip"); };
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => { pointers.delete(event.pointerId); if (!pointers.size) stage.onpointermove = null; keep(); });
  }
  stage.addEventListener("dblclick", (event) => { if (state.view !== "flip") zoom(2, ...pointed(event)); });
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;  // the page scrolls; with Ctrl, or pinched, the picture zooms
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300), ...pointed(event));
  }, { passive: false });

  // ── the address keeps what is shown ──

  let waiting;
  function keep() {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const told = new URLSearchParams();
      for (const [key, value] of Object.entries(start)) if (key !== "image" && state[key] !== value) told.set(key, state[key]);
      if (state.width < image().width) for (const key of ["x", "y", "width"]) told.set(key, +state[key].toFixed(1));
      if (state.image || told.size) told.set("image", image().name);
      history.replaceState(null, "", `#${encodeURIComponent(section.id)}${told.size ? `?${told}` : ""}`);
    }, 150);
  }
  async function restore(told) {
    const index = data.images.findIndex((one) => one.name === told.get("image"));
    Object.assign(state, start);
    for (const key of ["view", "show", ...PANELS]) if (told.has(key)) state[key] = told.get(key);
    for (const key of ["times", "at", "front"]) if (Number.isFinite(parseFloat(told.get(key)))) state[key] = Number(told.get(key));
    if (!["slide", "flip", "grid"].includes(state.view)) state.view = "slide";
    if (![...$(".shown").options].some((option) => option.value === state.show)) state.show = "picture";
    if (![...$(".times").options].some((option) => Number(option.value) === state.times)) state.times = 8;
    await open(Math.max(index, 0));
    if (told.has("width")) look(...["x", "y", "width"].map((key) => parseFloat(told.get(key)) || 0));
  }
  open(0);
  return { restore, show: (name) => { open(data.images.findIndex((one) => one.name === name)); keep(); } };
}

const viewers = new Map();  // by test set; each is made when it comes near
function viewerOf(root) {
  if (!viewers.has(root)) viewers.set(root, viewer(root));
  return viewers.get(root);
}
const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) { near.unobserve(target); viewerOf(target); }
}, { rootMargin: "800px" });
document.querySelectorAll(".viewer").forEach((root) => near.observe(root));
addEventListener("beforeprint", () => document.querySelectorAll(".viewer").forEach(viewerOf));

function restore() {
  const [id, told] = location.hash.slice(1).split("?");
  if (!told) return;
  const section = document.getElementById(decodeURIComponent(id)), root = section?.querySelector(".viewer");
  if (!root) return;
  viewerOf(root).restore(new URLSearchParams(told));
  section.scrollIntoView({ behavior: "instant" });
}
addEventListener("hashchange", restore);
restore();
