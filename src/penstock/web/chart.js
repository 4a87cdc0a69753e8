// Charts as strings of SVG: pure functions from data to text. Colours come from the style sheet's variables, so one
// picture serves light and dark; no colour stands alone: lines also differ in dash, and each is named beside its end.

const COLORS = ["var(--signal)", "var(--gradient)", "var(--good)", "var(--third)", "var(--fourth)", "var(--bad)"];
const DASHES = ["", "7 4", "2 3", "10 3 2 3", "4 4", "1 4"];

const escaped = (text) =>
  String(text).replace(/[&<>"']/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[c]);

const attributes = (values) =>
  Object.entries(values)
    .filter(([, value]) => value !== undefined && value !== null && value !== "")
    .map(([name, value]) => ` ${name}="${typeof value === "number" ? +value.toFixed(2) : escaped(value)}"`)
    .join("");

const tag = (name, values, ...children) => `<${name}${attributes(values)}>${children.join("")}</${name}>`;

// A number as people write it: 4 significant digits at most, powers of ten from 1e5 on and below 1e-3.
function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(Math.max(0, digits - 1)) : String(+value.toPrecision(digits));
  return text.replace("e+", "e").replace("-", "−");
}

// Position of a value on an axis. A log axis puts zeros, and what is below its domain, on its lower end.
function scale([low, high], [start, end], log = false) {
  const map = log ? (v) => Math.log10(Math.max(v, Number.MIN_VALUE)) : (v) => v;
  const [a, b] = [map(low), map(high)];
  return (v) => start + ((Math.min(Math.max(map(v), Math.min(a, b)), Math.max(a, b)) - a) / (b - a || 1)) * (end - start);
}

function ticks([low, high], log, most = 6) {
  if (log) {
    const [a, b] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
    const step = Math.max(1, Math.ceil((b - a + 1) / most));
    const found = [];
    for (let e = Math.ceil(a / step) * step; e <= b; e += step) found.push(10 ** e);
    return found;
  }
  const raw = (high - low) / Math.max(1, most - 1) || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const found = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) found.push(Math.abs(v) < step / 1e6 ? 0 : v);
  return found;
}

// A log axis over these values, whole powers of ten, at least two of them; non-finite values and zeros are left out.
function logDomain(values, floor = 1e-30, ceiling = 1e30) {
  const logs = values.filter((v) => v > 0 && Number.isFinite(v)).map((v) => Math.log10(Math.min(Math.max(v, floor), ceiling)));
  let low = Math.floor(Math.min(0, ...logs) - 0.05), high = Math.ceil(Math.max(0, ...logs) + 0.05);
  if (high - low < 2) { low -= 1; high += 1; }
  return [10 ** low, 10 ** high];
}

function powerLabel(value) {
  const exponent = Math.round(Math.log10(value));
  return exponent === 0 ? "1" : Math.abs(exponent) <= 2 ? String(+value.toPrecision(3)) : `1e${exponent}`.replace("-", "−");
}

// The frame of a picture: title and description for readers who do not see it.
const svg = (width, height, { title = "", description = "" }, ...parts) =>
  tag("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title + (description ? `. ${description}` : "") }, ...parts);

function axes(box, x, y) {
  const [left, top, right, bottom] = box;
  const lines = y.ticks.map((v) =>
    tag("line", { class: "grid", x1: left, x2: right, y1: y.at(v), y2: y.at(v) }) +
    tag("text", { class: "dim", x: left - 6, y: y.at(v) + 4, "text-anchor": "end", "font-size": 12 }, escaped(y.format(v))));
  const marks = x.ticks.map((v) =>
    tag("text", { class: "dim", x: x.at(v), y: bottom + 16, "text-anchor": "middle", "font-size": 12 }, escaped(x.format(v))));
  const labels = [
    x.label && tag("text", { class: "dim", x: (left + right) / 2, y: bottom + 33, "text-anchor": "middle", "font-size": 12 }, escaped(x.label)),
    y.label && tag("text", { class: "dim", x: left - 4, y: top - 8, "font-size": 12 }, escaped(y.label)),
  ];
  return lines.join("") + marks.join("") + labels.filter(Boolean).join("");
}

const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

// Curves over a common axis. series: {name, points: [[x, y], ...], color, dash, low, high (bands, as y values), markers}.
// rules: {y, label}. A point that is not finite breaks its line. With line: false only the markers are drawn.
function curves({ series, width = 640, height = 300, x = {}, y = {}, rules = [], title = "", description = "" }) {
  const every = series.flatMap((s) => s.points);
  const ys = every.map((p) => p[1]).concat(series.flatMap((s) => [...(s.low ?? []), ...(s.high ?? [])])).filter(Number.isFinite);
  const xs = every.map((p) => p[0]);
  const xDomain = x.domain ?? [Math.min(...xs), Math.max(...xs)];
  const yDomain = y.domain ?? (y.log ? logDomain(ys) : [Math.min(0, ...ys), Math.max(1e-9, ...ys)]);
  const beside = width >= 420 && series.some((s) => s.name); // on a phone the names stand below the picture
  const box = [58, 26, width - (beside ? 110 : 14), height - (x.label ? 44 : 26)];
  const atX = scale(xDomain, [box[0], box[2]], x.log), atY = scale(yDomain, [box[3], box[1]], y.log);
  const format = (axis) => axis.format ?? (axis.log ? powerLabel : (v) => number(v));
  const frame = axes(box,
    { at: atX, ticks: x.ticks ?? ticks(xDomain, x.log), format: format(x), label: x.label },
    { at: atY, ticks: y.ticks ?? ticks(yDomain, y.log), format: format(y), label: y.label });
  const drawn = series.map((s, i) => {
    const [color, dash] = strokeOf(s, i);
    const runs = [[]];
    for (const [px, py] of s.points) Number.isFinite(py) ? runs.at(-1).push([atX(px), atY(py)]) : runs.push([]);
    const band = s.low && path([...s.points.map((p, k) => [atX(p[0]), atY(s.high[k])]), ...s.points.map((p, k) => [atX(p[0]), atY(s.low[k])]).reverse()]);
    const dots = s.markers ? s.points.filter((p) => Number.isFinite(p[1])).map((p) => tag("circle", { cx: atX(p[0]), cy: atY(p[1]), r: s.radius ?? 3, fill: color })) : [];
    return (band ? tag("path", { d: band + "Z", fill: color, "fill-opacity": 0.15 }) : "") +
      (s.line === false ? [] : runs.filter((r) => r.length)).map((r) => tag("path", { d: path(r), fill: "none", stroke: color, "stroke-width": 2.2, "stroke-dasharray": dash })).join("") + dots.join("");
  });
  const lines = rules.map((r) =>
    tag("line", { x1: box[0], x2: box[2], y1: atY(r.y), y2: atY(r.y), stroke: "var(--dim)", "stroke-dasharray": "3 3" }) +
    tag("text", { class: "dim", x: box[2] - 4, y: atY(r.y) - 4, "text-anchor": "end", "font-size": 11 }, escaped(r.label ?? "")));
  const names = beside ? { html: endLabels(series, atX, atY, box), height: 0 } : legend(series, width, height);
  return svg(width, height + names.height, { title, description }, frame, ...lines, ...drawn, names.html);
}

const strokeOf = (s, i) => [s.color ?? COLORS[i % COLORS.length], s.dash ?? DASHES[i % DASHES.length]];
const ends = (s) => s.points.filter((p) => Number.isFinite(p[1])).at(-1);

// Names below the picture, each behind a piece of its line, in as many rows as they need.
function legend(series, width, top) {
  const parts = [];
  let x = 12, y = top + 6;
  series.forEach((s, i) => {
    if (!s.name || !ends(s)) return;
    const [color, dash] = strokeOf(s, i), size = 40 + 7 * s.name.length;
    if (x > 12 && x + size > width) { x = 12; y += 20; }
    parts.push(tag("line", { x1: x, x2: x + 26, y1: y, y2: y, stroke: color, "stroke-width": 2.2, "stroke-dasharray": dash }) +
      tag("text", { x: x + 32, y: y + 4, "font-size": 12, style: `fill:${color}` }, escaped(s.name)));
    x += size + 10;
  });
  return { html: parts.join(""), height: parts.length ? y + 12 - top : 0 };
}

// Names beside the ends of their lines, pushed apart where they would overlap.
function endLabels(series, atX, atY, box) {
  const places = series
    .map((s, i) => ({ s, i, last: ends(s) }))
    .filter(({ s, last }) => s.name && last)
    .map(({ s, i, last }) => ({ name: s.name, color: strokeOf(s, i)[0], y: atY(last[1]) }))
    .sort((a, b) => a.y - b.y);
  places.forEach((p, i) => { if (i) p.y = Math.max(p.y, places[i - 1].y + 14); });
  const over = (places.at(-1)?.y ?? 0) - box[3];
  if (over > 0) places.forEach((p) => { p.y -= over; });
  return places.map((p) => tag("text", { x: box[2] + 6, y: p.y + 4, "font-size": 12, style: `fill:${p.color}` }, escaped(p.name))).join("");
}

// The pipe: its half-width at each depth is the log of the signal's RMS; the gradient comes back inside it.
// signal, gradient: RMS by depth; null or 0 where there is none. The dashed pair of lines is RMS 1: the right width.
function pipe({ signal, gradient = [], width = 640, height = 190, span = 6, title = "", description = "" }) {
  const [left, right, middle] = [12, width - 12, height / 2];
  const most = height / 2 - 24, right1 = most * 0.5;
  const half = (rms) => !(rms > 0) ? 0 : Number.isFinite(rms) ? Math.max(0.6, Math.min(most, right1 * (1 + Math.log10(rms) / span))) : most;
  const at = scale([0, Math.max(1, signal.length - 1)], [left, right]);
  const band = (values, share) => {
    const up = values.map((v, i) => [at(i), middle - share * half(v)]), down = values.map((v, i) => [at(i), middle + share * half(v)]);
    return path([...up, ...down.reverse()]) + "Z";
  };
  const guides = [-1, 1].map((side) => tag("line", { x1: left, x2: right, y1: middle + side * right1, y2: middle + side * right1, stroke: "var(--dim)", "stroke-dasharray": "4 4" }));
  return svg(width, height, { title, description }, ...guides,
    tag("path", { d: band(signal, 1), fill: "var(--signal-fill)", stroke: "var(--signal)", "stroke-width": 2 }),
    gradient.length ? tag("path", { d: band(gradient, 0.55), fill: "var(--gradient-fill)", stroke: "var(--gradient)", "stroke-width": 1.6, "stroke-dasharray": "6 3" }) : "",
    tag("text", { x: left, y: 14, "font-size": 12, style: "fill:var(--signal)" }, "signal →"),
    gradient.length ? tag("text", { x: right, y: height - 5, "font-size": 12, "text-anchor": "end", style: "fill:var(--gradient)" }, "← gradient") : "",
    tag("text", { class: "dim", x: right, y: 14, "font-size": 11, "text-anchor": "end" }, "dashed: RMS 1, the right width"));
}

// One density a row, each scaled to its own height. rows: {label, counts, note}.
function ridges({ rows, domain, width = 640, rowHeight = 26, color = "signal", title = "", description = "" }) {
  const height = rows.length * rowHeight + 44, left = Math.min(96, width / 6), right = width - 104;
  const at = scale([0, rows[0].counts.length - 1], [left, right]);
  const drawn = rows.map(({ label, counts, note }, i) => {
    const base = 20 + (i + 1) * rowHeight, most = Math.max(...counts, 1e-30);
    const points = counts.map((c, k) => [at(k), base - (c / most) * rowHeight * 0.92]);
    return tag("text", { x: left - 8, y: base - 4, "text-anchor": "end", "font-size": 12 }, escaped(label)) +
      tag("path", { d: path([[left, base], ...points, [right, base]]) + "Z", fill: `var(--${color}-fill)`, stroke: `var(--${color})`, "stroke-width": 1.3 }) +
      tag("text", { class: "dim", x: right + 8, y: base - 4, "font-size": 12 }, escaped(note ?? ""));
  });
  const atValue = scale(domain, [left, right]);
  const marks = ticks(domain, false, 5).map((v) => tag("text", { class: "dim", x: atValue(v), y: height - 8, "text-anchor": "middle", "font-size": 12 }, escaped(number(v))));
  return svg(width, height, { title, description }, ...drawn, ...marks);
}

// Horizontal bars. rows: {label, value, low, high (whiskers), color, note}; a value that is not finite has no bar.
function bars({ rows, width = 640, domain, log = false, title = "", description = "", format = number }) {
  const height = rows.length * 28 + 12, left = Math.min(150, 0.4 * width), right = width - 90;
  const finite = rows.flatMap((r) => [r.value, r.high ?? r.value]).filter(Number.isFinite);
  const range = domain ?? (log ? logDomain(finite) : [0, Math.max(...finite, 1e-9)]);
  const at = scale(range, [left, right], log);
  const drawn = rows.map((r, i) => {
    const y = 8 + i * 28, color = r.color ?? COLORS[i % COLORS.length], has = Number.isFinite(r.value);
    return tag("text", { x: left - 8, y: y + 15, "text-anchor": "end", "font-size": 13 }, escaped(r.label)) +
      (has ? tag("rect", { x: left, y: y + 2, width: Math.max(1, at(r.value) - left), height: 18, rx: 2, fill: color, "fill-opacity": 0.8 }) : "") +
      (has && r.low !== undefined ? tag("path", { d: path([[at(r.low), y + 11], [at(r.high), y + 11]]), stroke: "var(--ink)", "stroke-width": 1.5 }) : "") +
      tag("text", { x: (has ? at(r.high ?? r.value) : left) + 6, y: y + 15, "font-size": 12 }, escaped(r.note ?? format(r.value)));
  });
  return svg(width, height, { title, description }, ...drawn);
}
