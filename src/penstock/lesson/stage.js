// The frame that all figures share: controls from a declaration, state in the URL, questions that are answered by running.
// A figure: {id, controls: [...], draw(state) -> {html, verdict}, code(state) -> lines of Python}.

const figures = new Map();
const nodeOf = (id) => document.getElementById(id);
const announce = (text) => { nodeOf("said").textContent = text; };

// kind: "range" {min, max, step, format, log}, "select" {options: {value: title}}, "text", "presets" {options: {title: {name: value}}}
function figure({ id, controls, draw, code, ready }) {
  const defaults = Object.fromEntries(controls.filter((c) => c.name).map((c) => [c.name, c.value]));
  const one = { id, controls, defaults, state: { ...defaults }, draw, code, ready };
  figures.set(id, one);
  const place = document.querySelector(`[data-figure="${id}"]`);
  place.innerHTML = `<div class="controls">${controls.map((c) => controlHtml(id, c)).join("")}</div><div class="stage" id="${id}-stage"></div>` +
    `<p class="verdict" id="${id}-verdict"></p>` +
    (code ? `<details class="code"><summary>The same in Python</summary><pre id="${id}-code" tabindex="0"></pre></details>` : "");
  controls.forEach((c) => listen(one, c));
}

function controlHtml(id, c) {
  const own = `${id}-${c.name}`;
  if (c.kind === "range") return `<label class="control" for="${own}"><span>${c.label} <output id="${own}-out"></output></span><input type="range" id="${own}" min="${c.min}" max="${c.max}" step="${c.step ?? 1}"></label>`;
  if (c.kind === "select") return `<label class="control" for="${own}"><span>${c.label}</span><select id="${own}">${Object.entries(c.options).map(([v, t]) => `<option value="${escaped(v)}">${escaped(t)}</option>`).join("")}</select></label>`;
  if (c.kind === "text") return `<label class="control wide" for="${own}"><span>${c.label}</span><input type="text" id="${own}" spellcheck="false" autocomplete="off" maxlength="200" aria-describedby="${own}-error"><span class="bad" id="${own}-error" role="alert"></span></label>`;
  return `<div class="control presets" role="group" aria-label="${c.label}">${Object.keys(c.options).map((t) => `<button type="button" data-preset="${escaped(t)}">${escaped(t)}</button>`).join("")}</div>`;
}

function listen(one, c) {
  if (c.kind === "presets") {
    document.querySelectorAll(`[data-figure="${one.id}"] [data-preset]`).forEach((button) =>
      button.addEventListener("click", () => { Object.assign(one.state, c.options[button.dataset.preset]); changed(one); }));
    return;
  }
  nodeOf(`${one.id}-${c.name}`).addEventListener("input", (event) => {
    const typed = c.kind === "range" ? Number(event.target.value) : event.target.value;
    const problem = c.check?.(typed);
    if (c.check) {
      nodeOf(`${one.id}-${c.name}-error`).textContent = problem ?? "";
      event.target.setAttribute("aria-invalid", String(Boolean(problem)));
    }
    if (problem) return; // the figure keeps its last state
    one.state[c.name] = typed;
    changed(one);
  });
}

let waiting = null;
function changed(one) {
  paint(one);
  clearTimeout(waiting);
  waiting = setTimeout(writeUrl, 250);
}

function paint(one) {
  for (const c of one.controls) {
    if (!c.name) {
      document.querySelectorAll(`[data-figure="${one.id}"] [data-preset]`).forEach((button) =>
        button.setAttribute("aria-pressed", String(Object.entries(c.options[button.dataset.preset]).every(([k, v]) => one.state[k] === v))));
      continue;
    }
    const input = nodeOf(`${one.id}-${c.name}`);
    if (input.value !== String(one.state[c.name])) input.value = one.state[c.name];
    const out = nodeOf(`${one.id}-${c.name}-out`);
    if (out) { out.textContent = (c.format ?? number)(one.state[c.name]); input.setAttribute("aria-valuetext", out.textContent); }
  }
  const { html, verdict } = one.draw(one.state);
  nodeOf(`${one.id}-stage`).innerHTML = html;
  nodeOf(`${one.id}-verdict`).innerHTML = verdict ?? "";
  if (one.code) nodeOf(`${one.id}-code`).textContent = one.code(one.state);
  one.ready?.(one);
}

// Pictures are as wide as the column, so that their letters keep their size. Read once: reading it after a change
// would lay out the whole page on the spot.
let column = 0;
const room = () => Math.max(300, Math.min(760, (column ||= nodeOf("lesson").clientWidth)));
addEventListener("resize", () => { column = 0; });

// The settings that are not at their default, as they stand in the address.
const written = () => [...figures.values()].flatMap(({ id, state, defaults }) =>
  Object.entries(state).filter(([name, value]) => value !== defaults[name]).map(([name, value]) => `${id}.${name}=${encodeURIComponent(value)}`));

function writeUrl() {
  const parts = written();
  try { history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.pathname + location.search); } catch { /* some browsers refuse this for files */ }
}

// The state that a link holds; what does not fit is left at its default, and said.
function readUrl() {
  let damaged = 0;
  for (const one of figures.values()) one.state = { ...one.defaults };
  for (const part of location.hash.slice(1).split("&").filter(Boolean)) {
    const [label, text = ""] = part.split("=");
    const [id, name] = label.split("."), one = figures.get(id), c = one?.controls.find((k) => k.name && k.name === name);
    if (!c && !part.includes(".")) continue; // a plain link to a section
    let value;
    try { value = decodeURIComponent(text); } catch { value = undefined; }
    if (c?.kind === "range") value = text !== "" && Number.isFinite(Number(value)) && Number(value) >= c.min && Number(value) <= c.max ? Number(value) : undefined;
    if (c?.kind === "select" && !Object.hasOwn(c.options, value ?? "")) value = undefined;
    if (c?.check?.(value ?? "")) value = undefined;
    if (!c || value === undefined) damaged += 1;
    else one.state[name] = value;
  }
  nodeOf("damaged").hidden = damaged === 0;
  nodeOf("damaged").textContent = damaged ? `${damaged} setting${damaged > 1 ? "s" : ""} of this link could not be read; the default is shown there.` : "";
}

// A question whose answer is an experiment: {id, text, options, run() -> {answer: index, html}, explain}.
const answers = new Map();
function question({ id, text, options, run, explain }) {
  const place = document.querySelector(`[data-question="${id}"]`);
  place.innerHTML = `<fieldset><legend>${text}</legend>${options.map((o, i) => `<label><input type="radio" name="${id}" value="${i}"> ${o}</label>`).join("")}</fieldset>` +
    `<button type="button" class="primary" disabled>Run it</button><div class="answer" aria-live="polite"></div>`;
  const button = place.querySelector("button");
  place.querySelectorAll("input").forEach((input) => input.addEventListener("change", () => { button.disabled = false; }));
  button.addEventListener("click", () => {
    const chosen = Number(place.querySelector("input:checked").value), { answer, html } = run(), right = chosen === answer;
    answers.set(id, right);
    place.querySelector(".answer").innerHTML = `<p><b class="${right ? "good" : "bad"}">${right ? "✓ As you predicted." : `✗ Not so: ${options[answer]}.`}</b></p>${html}<p>${explain}</p>`;
    place.dataset.right = String(right);
    const all = document.querySelectorAll("[data-question]").length;
    nodeOf("score").textContent = `${[...answers.values()].filter(Boolean).length} of ${answers.size} predicted rightly, ${all - answers.size} to go`;
  });
}
