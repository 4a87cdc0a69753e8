// The page of a report: pictures and a table of layers from the data that Python wrote. Rows are drawn only where the
// reader looks, so that a thousand layers scroll as ten do. All text of the model goes in escaped, or as text nodes.

const reports = JSON.parse(document.getElementById("data").textContent).reports.map(({ label, columns, rows }) => ({
  label,
  rows: rows.map((values, index) => {
    const row = Object.fromEntries(columns.map((name, i) => [name, values[i]]));
    for (const name of ["forward", "backward", "gradToWeight"]) row[name] = numeric(row[name]);
    return { ...row, index };
  }),
}));
// The table shows the last report: the model as it is.
const layers = reports.at(-1).rows;
const ROW = 28, FOLD_FROM = 60;
const state = { filter: "", sort: null, down: false, open: new Set(), selected: null };

function numeric(value) {
  return typeof value === "string" ? { inf: Infinity, "-inf": -Infinity, nan: NaN }[value] : value;
}

const element = (id) => document.getElementById(id);
const say = (text) => { element("status").textContent = text; };
const named = (label) => (label ? `, ${label}` : "");

function drawDepth() {
  // Pictures are drawn at the width that they get, so that their letters keep their size on a phone.
  const room = element("depth").clientWidth || 1150, columns = room > 990 ? 2 : 1;
  const half = Math.floor((room - 24 * (columns - 1)) / columns), width = reports.length > 1 ? half : room;
  const pictures = reports.map(({ label, rows }) => {
    const trunk = rows.filter((r) => r.trunk && r.forward !== null);
    const shown = trunk.length > 1 ? trunk : rows.filter((r) => r.forward !== null);
    const first = shown[0], last = shown.at(-1);
    const title = `Signal and gradient through the depth${named(label)}`;
    const start = first?.op === "input" ? "at the input" : "behind the first layer";
    const description = first ? `Signal RMS ${number(first.forward)} ${start}, ${number(last.forward)} at the output. ` +
      `Gradient RMS ${number(last.backward)} at the output, ${number(first.backward)} ${start}.` : "Nothing was measured.";
    return `<figure>${label ? `<h3>${label}</h3>` : ""}` +
      pipe({ signal: shown.map((r) => r.forward), gradient: shown.map((r) => r.backward), width, title, description }) +
      `<figcaption>${escaped(description)}</figcaption></figure>`;
  });
  const lines = ["forward", "backward"].map((side, i) => {
    // A line from the input along the trunk, which everything passes through; inside branches, dots.
    const series = reports.flatMap(({ label, rows }) => {
      const color = i ? "var(--gradient)" : "var(--signal)", measured = rows.filter((r) => r[side] !== null);
      const points = (wanted) => measured.filter((r) => (r.trunk || r.index === 0) === wanted).map((r) => [r.index, r[side]]);
      const dash = label === "before" ? "3 4" : "";
      return [{ name: label, color, dash, points: points(true) }, { name: "", color, points: points(false), line: false, markers: true, radius: 1.6 }];
    }).filter((s) => s.points.length);
    if (!series.length) return "";
    const chosen = state.selected !== null && layers[state.selected];
    const title = side === "forward" ? "RMS of the signal" : "RMS of the gradient";
    const inside = series.some((s) => s.line === false) ? "; dots: inside branches" : "";
    const mark = chosen && Number.isFinite(chosen[side]) ? [{ name: "", points: [[chosen.index, chosen[side]]], markers: true, color: "var(--ink)" }] : [];
    return `<figure>${curves({
      series: [...series, ...mark], width: half, height: 240, title: `${title}, layer by layer`,
      x: { label: "row of the table below" }, y: { log: true, label: title + inside }, rules: [{ y: 1, label: "" }],
    })}</figure>`;
  });
  element("depth").innerHTML = `<h2>The signal through the depth</h2><div class="panels">${pictures.join("")}</div>` +
    `<div class="panels" id="lines">${lines.join("")}</div>`;
}

// Lines of the table: rows, and headings of blocks that fold their rows. Sorted or filtered, there are no blocks.
function lines() {
  const wanted = layers.filter((r) => !state.filter || `${r.name} ${r.op} ${r.codes.join(" ")}`.toLowerCase().includes(state.filter));
  if (state.sort) {
    const of = (r) => (state.sort === "shape" ? r.shape.reduce((a, b) => a * b, 1) : r[state.sort]);
    const rank = (v) => (v === null || v === undefined || Number.isNaN(v) ? -Infinity : v);
    const order = (a, b) => (typeof of(a) === "string" ? of(a).localeCompare(of(b)) : rank(of(a)) - rank(of(b)));
    return wanted.sort((a, b) => (state.down ? -1 : 1) * order(a, b) || a.index - b.index).map((row) => ({ row }));
  }
  const found = [];
  for (let i = 0; i < wanted.length; ) {
    const block = wanted[i].block;
    let end = i + 1;
    while (block && end < wanted.length && wanted[end].block === block) end += 1;
    if (block && end - i > 2) {
      const group = wanted.slice(i, end), folds = layers.length > FOLD_FROM && !state.filter;
      const open = !folds || state.open.has(block) || group.some((r) => r.codes.length || r.index === state.selected);
      found.push({ block, group, open });
      if (open) found.push(...group.map((row) => ({ row, under: block })));
    } else found.push(...wanted.slice(i, end).map((row) => ({ row })));
    i = end;
  }
  return found;
}

const HEADS = [
  ["codes", ""], ["name", "layer"], ["shape", "shape"], ["forward", "forward RMS"], ["backward", "backward RMS"],
  ["gradToWeight", "grad/weight"], ["zero", "zero"], ["flat", "flat"], ["correlation", "correlation"],
];
const share = (v) => (v === null || v < 0.005 ? "" : `${(100 * v).toFixed(0)} %`);

function bar(value, side) {
  if (!(value > 0)) return '<span class="bar"></span>';
  const width = Math.round(36 + Math.max(-34, Math.min(34, 5 * Math.log10(Math.min(value, 1e30)))));
  return `<span class="bar"><span style="width:${width}px;background:var(--${side === "forward" ? "signal" : "gradient"})"></span></span>`;
}

function cells({ row, under, block, group, open }) {
  if (block !== undefined) {
    const forwards = group.map((r) => r.forward).filter(Number.isFinite);
    const range = forwards.length ? `${number(Math.min(...forwards))} … ${number(Math.max(...forwards))}` : "";
    return `<tr class="block"><td></td><td colspan="2"><button type="button" data-block="${escaped(block)}" aria-expanded="${open}">` +
      `${open ? "▾" : "▸"} ${escaped(block)}</button> <span class="dim">${group.length} rows</span></td><td colspan="6">${open ? "" : range}</td></tr>`;
  }
  const name = under ? row.name.slice(under.length).replace(/^\./, "") : row.name;
  const tone = row.error ? "bad" : "warn";
  return `<tr data-index="${row.index}" aria-selected="${row.index === state.selected}">` +
    `<td class="${tone}">${escaped(row.codes.join(" "))}</td>` +
    `<td class="${under ? "under" : ""}"><button type="button" data-row="${row.index}">${escaped(name)} <span class="dim">${escaped(row.op)}</span></button></td>` +
    `<td>${escaped(row.shape.join("×"))}</td>` +
    ["forward", "backward"].map((side) => `<td class="number">${row[side] === null ? "" : number(row[side]) + bar(row[side], side)}</td>`).join("") +
    `<td class="number">${row.gradToWeight === null ? "" : number(row.gradToWeight, 2)}</td>` +
    `<td class="number">${share(row.zero)}</td><td class="number">${share(row.flat)}</td>` +
    `<td class="number">${row.correlation === null ? "" : number(row.correlation, 2)}</td></tr>`;
}

let shown = [], drawn = [-1, -1];

function drawTable() {
  shown = lines();
  drawn = [-1, -1];
  for (const head of document.querySelectorAll(".rows th")) {
    const sorted = head.dataset.key === state.sort;
    head.setAttribute("aria-sort", sorted ? (state.down ? "descending" : "ascending") : "none");
  }
  scrolled();
}

function scrolled() {
  const box = document.querySelector(".rows"), body = box.querySelector("tbody");
  const from = Math.max(0, Math.floor(box.scrollTop / ROW) - 10);
  const to = Math.min(shown.length, from + Math.ceil(box.clientHeight / ROW) + 20);
  if (from === drawn[0] && to === drawn[1]) return;
  drawn = [from, to];
  const space = (count) => (count > 0 ? `<tr aria-hidden="true" style="height:${count * ROW}px"><td colspan="9"></td></tr>` : "");
  body.innerHTML = space(from) + shown.slice(from, to).map(cells).join("") + space(shown.length - to);
}

// A density from quantiles: between two neighbours lies a known share of the values, spread evenly.
const LEVELS = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995, 1];
function density(quantiles, [low, high], bins = 80) {
  const counts = new Array(bins).fill(0), width = (high - low) / bins;
  for (let i = 1; i < quantiles.length; i += 1) {
    const a = quantiles[i - 1], b = Math.max(quantiles[i], a + width), part = LEVELS[i] - LEVELS[i - 1];
    for (let k = 0; k < bins; k += 1) {
      const inside = Math.min(b, low + (k + 1) * width) - Math.max(a, low + k * width);
      if (inside > 0) counts[k] += (part * inside) / (b - a);
    }
  }
  return counts;
}

function distribution(rows, key, title) {
  const every = rows.filter(({ row }) => row?.[key]?.length);
  if (!every.length) return "";
  const extent = every.flatMap(({ row }) => [row[key][1], row[key].at(-2)]);
  let [low, high] = [Math.min(...extent), Math.max(...extent)];
  if (!(high > low)) { low -= 1e-9 + Math.abs(low) / 10; high += 1e-9 + Math.abs(high) / 10; }
  const drawnRows = every.map(({ label, row }) => ({ label: label || "now", counts: density(row[key], [low, high]), note: `RMS ${number(row[key === "quantiles" ? "forward" : "backward"])}` }));
  const room = element("depth").clientWidth || 640, width = Math.min(640, room), color = key === "quantiles" ? "signal" : "gradient";
  return `<figure>${ridges({ rows: drawnRows, domain: [low, high], rowHeight: 64, width, color, title })}<figcaption>${title}</figcaption></figure>`;
}

function select(index) {
  state.selected = index;
  const row = layers[index];
  const same = reports.map(({ label, rows }) => ({ label, row: rows[index]?.name === row.name ? rows[index] : rows.find((r) => r.name === row.name && r.op === row.op) }));
  element("layer").innerHTML = `<h3>${escaped(row.name)} <span class="dim">${escaped(row.op)} ${escaped(row.shape.join("×"))}</span></h3><div class="panels">` +
    distribution(same, "quantiles", "Distribution of the signal") + distribution(same, "gradQuantiles", "Distribution of its gradient") + "</div>";
  drawn = [-1, -1];
  drawDepth();
  drawTable();
  say(`${row.name}: signal RMS ${number(row.forward)}, gradient RMS ${number(row.backward)}`);
}

function build() {
  const heads = HEADS.map(([key, title], i) => `<th${i > 2 ? ' class="number"' : ""} data-key="${key}" aria-sort="none" scope="col">${title ? `<button type="button" data-sort="${key}">${title}</button>` : '<span class="visually-hidden">findings</span>'}</th>`);
  element("layers").innerHTML = `<h2>Layers</h2><div class="tools"><label>Find <input type="search" id="find" placeholder="name, operation or code"></label>` +
    `<button type="button" id="order">Order of execution</button><span class="dim">${layers.length} rows; choose one to see its distribution</span></div>` +
    `<div class="rows" tabindex="0" role="region" aria-label="Table of layers"><table><thead><tr>${heads.join("")}</tr></thead><tbody></tbody></table></div><div id="layer" aria-live="polite"></div>`;
  element("layers").querySelector(".rows").addEventListener("scroll", scrolled, { passive: true });
  element("find").addEventListener("input", (event) => { state.filter = event.target.value.trim().toLowerCase(); drawTable(); });
  element("order").addEventListener("click", () => { state.sort = null; drawTable(); });
  element("layers").addEventListener("click", clicked);
  document.querySelectorAll(".copy").forEach((button) => button.addEventListener("click", () => copy(button)));
}

function clicked(event) {
  const target = event.target.closest("[data-sort], [data-block], [data-row], [data-index]");
  if (!target) return;
  const { sort, block } = target.dataset, row = target.dataset.row ?? target.dataset.index;
  if (sort) {
    state.down = state.sort === sort ? !state.down : sort !== "name";
    state.sort = sort;
    drawTable();
  } else if (block) {
    state.open.has(block) ? state.open.delete(block) : state.open.add(block);
    drawTable();
    document.querySelector(`[data-block="${CSS.escape(block)}"]`)?.focus();
  } else {
    select(+row);
    document.querySelector(`[data-row="${row}"]`)?.focus({ preventScroll: true });
  }
}

// From a file some browsers have no clipboard: then the text is selected, one key away from copied.
async function copy(button) {
  const text = button.parentElement.querySelector("pre");
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(text);
    button.textContent = "Selected";
  }
  say(button.textContent);
}

addEventListener("resize", drawDepth);
build();
drawDepth();
drawTable();
