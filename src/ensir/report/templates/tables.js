// ── tables: filtered, sorted and copied; the rows of long ones are made as they are scrolled to ────────────────

const AT_ONCE = 40;  // rows of a long table that are made at once
const MARKS = { "*": "best", _: "second" };

function numberOf(text) {
  return Number(text.replace("−", "-").replace("∞", "Infinity").replace(/^(–|nan)$/, "NaN").replace("inf", "Infinity").replace(/[,%✓]/g, ""));
}

// A cell of a long table: what is printed, its mark, and hundredths of its last digit that are not.
function parsed(cell) {
  const [, text, mark, finer] = cell.match(/^(.*?)([*_]?)([+-]\d+)?$/);
  const digits = text.split(".")[1]?.length ?? 0;
  return { text, interval: "", mark: MARKS[mark] ?? "", value: numberOf(text) + (finer ? Number(finer) / 100 / 10 ** digits : 0) };
}

const storedOf = new Map();  // by test set: what is known of its images
function stored(section) {
  if (!storedOf.has(section)) storedOf.set(section, JSON.parse(section.querySelector("script.rows").textContent));
  return storedOf.get(section);
}
function lazy(name, cells) {  // a row of a long table: what is not looked at is not parsed
  let known;
  return { name, get cells() { return known ??= cells.map(parsed); } };
}

function sheet(root) {
  const table = root.querySelector("table"), body = table.tBodies[0], wide = root.querySelector(".wide"), long = root.classList.contains("long");
  const headings = [...table.tHead.rows].flatMap((row) => [...row.cells]).filter((cell) => cell.scope === "col");
  const order = headingsInOrder(table);
  const metric = root.querySelector("select.metric");
  let groups, needle = "", made = Infinity;

  function values() {
    const { images, metrics } = stored(root.closest("section"));
    return metrics[metric?.value ?? 0].map((cells, i) => lazy(images[i], cells));
  }
  function read() {
    if (groups) return;
    groups = long ? [{ body, rows: values() }]
      : [...table.tBodies].map((body) => ({ body, rows: [...body.rows].filter((row) => !row.classList.contains("title")).map((element) => {
        const [name, ...cells] = [...element.cells].filter((cell) => !cell.classList.contains("bars"));
        return { element, name: name.textContent.trim(), cells: cells.map(ofCell) };
      }) }));
    for (const group of groups) group.unsorted = [...group.rows];
    if (long) made = AT_ONCE;
  }
  function ofCell(cell) {
    const interval = cell.querySelector(".interval")?.textContent ?? "", all = cell.textContent.trim().replace(/\s+/g, " ");
    const text = interval ? all.replace(interval, "").trim() : all, first = cell.querySelector("span")?.textContent ?? text;
    const value = cell.dataset.value === undefined ? numberOf(first) : numberOf(cell.dataset.value);
    return { text, interval, value, exact: cell.dataset.value, mark: cell.className };
  }
  function element(row) {
    if (!row.element) {
      row.element = document.createElement("tr");
      const heading = document.createElement("th");
      heading.scope = "row";
      heading.textContent = row.name;
      row.element.append(heading);
      for (const { text, mark } of row.cells) {
        const cell = row.element.insertCell();
        cell.textContent = text;
        if (mark) cell.className = mark;
      }
    }
    return row.element;
  }
  // As it is seen: with intervals where these are shown.
  const printed = ({ name, cells }) => ({ name, cells: cells.map((cell) => cell.interval && root.classList.contains("with-intervals") ? { ...cell, text: `${cell.text} ${cell.interval}` } : cell) });
  const found = ({ rows }) => needle ? rows.filter((row) => row.name.toLowerCase().includes(needle) || !long && row.cells.some(({ text, value }) => Number.isNaN(value) && text.toLowerCase().includes(needle))) : rows;
  function show() {
    let count = 0, all = 0;
    for (const group of groups) {
      const rows = found(group), titles = [...group.body.rows].filter((row) => row.classList.contains("title"));
      count += rows.length;
      all += group.rows.length;
      group.body.replaceChildren(...titles, ...rows.slice(0, made).map(element));
      group.body.hidden = !rows.length;
    }
    const counter = root.querySelector(".count");
    if (counter) counter.textContent = needle ? `${count} of ${all}` : long ? `${all} rows` : "";
    shadow();
  }
  function sort(column, descending) {
    const text = (row) => column ? row.cells[column - 1].text : row.name;
    const numbers = column && groups.some(({ rows }) => rows.some((row) => !Number.isNaN(row.cells[column - 1].value)));
    for (const { rows } of groups) {
      rows.sort((a, b) => {
        if (!numbers) return (descending ? -1 : 1) * text(a).localeCompare(text(b), "en", { numeric: true });
        const [x, y] = [a.cells[column - 1].value, b.cells[column - 1].value];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);  // what is missing comes last
        return x === y ? 0 : (descending ? y > x : x > y) ? 1 : -1;
      });
    }
  }
  function shadow() {
    wide.classList.toggle("more-left", wide.scrollLeft > 2);
    wide.classList.toggle("more-right", wide.scrollLeft < wide.scrollWidth - wide.clientWidth - 2);
    wide.style.setProperty("--shift", `${wide.scrollLeft}px`);
  }

  const resort = () => {
    const column = order.findIndex((heading) => heading.ariaSort);
    read();
    for (const group of groups) group.rows = [...group.unsorted];
    if (column >= 0) sort(column, order[column].ariaSort === "descending");
    show();
  };
  order.forEach((heading, column) => {
    heading.querySelector("button")?.addEventListener("click", () => {
      const numbers = column > 0 && !heading.classList.contains("text");
      const [first, second] = numbers ? ["descending", "ascending"] : ["ascending", "descending"];  // numbers: largest first
      const next = { [first]: second, [second]: "" }[heading.getAttribute("aria-sort")] ?? first;  // a third click: as it was
      for (const other of headings) other.removeAttribute("aria-sort");
      if (next) heading.setAttribute("aria-sort", next);
      resort();
    });
  });
  const filter = root.querySelector(".filter");
  filter?.addEventListener("input", () => {
    read();
    needle = filter.value.trim().toLowerCase();
    if (long) [made, wide.scrollTop] = [AT_ONCE, 0];
    show();
  });
  metric?.addEventListener("change", () => {
    read();
    groups[0].unsorted = values();
    resort();
  });
  root.querySelector("button.intervals")?.addEventListener("click", (event) => {
    const on = root.classList.toggle("with-intervals");
    event.target.setAttribute("aria-pressed", on);
    shadow();
  });
  wide.addEventListener("scroll", () => {
    shadow();
    if (long && groups && made < groups[0].rows.length && wide.scrollTop + wide.clientHeight > wide.scrollHeight - 600) {
      const rows = found(groups[0]);
      body.append(...rows.slice(made, made + AT_ONCE).map(element));
      made += AT_ONCE;
    }
  }, { passive: true });
  new ResizeObserver(shadow).observe(wide);
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      read();
      const note = root.nextElementSibling?.matches("p.note") ? root.nextElementSibling.textContent.trim().replace(/\s+/g, " ") : "";
      await copy(FORMS[button.dataset.copy](columnsOf(order), groups.flatMap((group) => found(group).map((row) => [group.body.dataset.title, printed(row)])), note));
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 1500);
    });
  }
  return {
    fill() { read(); show(); },
    everything() { read(); made = Infinity; show(); },
    search(name) { filter.value = name; filter.dispatchEvent(new Event("input")); },
  };
}

// The headings of the columns as they stand side by side, of a head of one row or two.
function headingsInOrder(table) {
  const [first, second] = table.tHead.rows, below = second ? [...second.cells] : [];
  return [...first.cells].flatMap((cell) => cell.scope === "colgroup" ? below.splice(0, cell.colSpan) : cell.scope === "col" ? [cell] : []);
}
const columnsOf = (headings) => headings.map((heading, i) => ({ group: heading.dataset.group ?? "", label: heading.textContent.trim(), text: !i || heading.classList.contains("text") }));

// ── copies ──

const labelled = (columns) => columns.map(({ group, label }) => `${group} ${label}`.trim());
const TEX = { "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", _: "\\_", "{": "\\{", "}": "\\}", "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
  "−": "$-$", "–": "--", "∞": "$\\infty$", "†": "$^\\dagger$", "‡": "$^\\ddagger$", "×": "$\\times$", "✓": "$\\surd$", "…": "\\dots{}", "λ": "$\\lambda$", "<": "$<$", ">": "$>$", "|": "$|$" };
const tex = (text) => text.replace(/[&%$#_{}\\~^−–∞†‡×✓…λ<>|]/g, (character) => TEX[character]);
const marked = (forms, cell, text) => (forms[["best", "second"].find((mark) => cell.mark.includes(mark))] ?? ((same) => same))(text);
const FORMS = {
  // A number with an interval has the bounds in two more columns. A spreadsheet takes a text that begins like a formula for
  // one, and runs it: an apostrophe keeps it a text.
  csv(columns, rows) {
    const quoted = (text) => /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    const safe = (text) => /^[=+@\t\r-]/.test(text) && !Number.isFinite(Number(text)) ? `'${text}` : text;
    const value = ({ value, exact, text }) => exact ?? (Number.isNaN(value) ? text : String(+value.toFixed(10)));
    const bounds = (cell) => cell.interval.match(/[+−-]?[\d.]+/g) ?? ["", ""];
    const sure = columns.slice(1).map((_, i) => rows.some(([, row]) => row.cells[i].interval));
    const head = labelled(columns).flatMap((label, i) => i && sure[i - 1] ? [label, `${label} low`, `${label} high`] : [label]);
    const line = ({ name, cells }) => [name, ...cells.flatMap((cell, i) => sure[i] ? [value(cell), ...bounds(cell).map((text) => text.replace("−", "-").replace("+", ""))] : [value(cell)])];
    return [head, ...rows.map(([, row]) => line(row))].map((cells) => cells.map((text) => quoted(safe(text))).join(",")).join("\n") + "\n";
  },
  markdown(columns, rows, note) {
    const forms = { best: (text) => `**${text}**`, second: (text) => `<u>${text}</u>` }, escaped = (text) => text.replace(/[\\|<*`]/g, "\\$&").replace(/\s+/g, " ");
    const lines = [labelled(columns).map(escaped), columns.map(({ text }) => text ? "---" : "---:"), ...rows.map(([, row]) => [escaped(row.name), ...row.cells.map((cell) => marked(forms, cell, escaped(cell.text)))])];
    return lines.map((line) => `| ${line.join(" | ")} |`).join("\n") + "\n" + (note && `\n${escaped(note)}\n`);
  },
  latex(columns, rows, note) {
    const forms = { best: (text) => `\\textbf{${text}}`, second: (text) => `\\underline{${text}}` }, line = (cells) => `${cells.join(" & ")} \\\\`;
    const spans = [];
    for (const { group } of columns.slice(1)) spans.at(-1)?.group === group ? spans.at(-1).count++ : spans.push({ group, count: 1 });
    const body = rows.flatMap(([title, row], i) => [
      ...(i && title !== rows[i - 1][0] ? ["\\midrule"] : []), line([tex(row.name), ...row.cells.map((cell) => marked(forms, cell, tex(cell.text)))]),
    ]);
    return ["% needs \\usepackage{booktabs}", ...(note ? [`% ${note}`] : []), `\\begin{tabular}{${columns.map(({ text }) => (text ? "l" : "r")).join("")}}`, "\\toprule",
      ...(spans.some(({ group }) => group) ? [line(["", ...spans.map(({ group, count }) => `\\multicolumn{${count}}{c}{${tex(group)}}`)])] : []),
      line(columns.map(({ label }) => tex(label))), "\\midrule", ...body, "\\bottomrule", "\\end{tabular}", ""].join("\n");
  },
};
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // not allowed: the older way
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

const sheets = new Map([...document.querySelectorAll(".sheet")].map((root) => [root, sheet(root)]));
for (const details of document.querySelectorAll("details.images")) {
  details.addEventListener("toggle", () => { if (details.open && !details.querySelector("tbody").rows.length) sheets.get(details.querySelector(".sheet")).fill(); });
}
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
  for (const [root, one] of sheets) if (root.classList.contains("long")) one.everything();
});
