// Zeros: a small network whose neurons are told apart by their incoming weights, before and while it trains.

const TASK = { widths: [6, 8, 8, 3], inputs: 48, steps: 60, rate: 0.5 };
const MARKS = "ABCDEFGHIJKLMNOP";
let trained = null; // {key, layers, losses}

// A task that any start could learn: three classes by a fixed random direction each.
function task() {
  const { widths, inputs } = TASK, x = raw("normal", 3, "task.input", inputs * widths[0]), teacher = raw("normal", 3, "task.teacher", 3 * widths[0]);
  const labels = Array.from({ length: inputs }, (_, r) => {
    const scores = [0, 1, 2].map((c) => { let s = 0; for (let k = 0; k < widths[0]; k += 1) s += x[r * widths[0] + k] * teacher[c * widths[0] + k]; return s; });
    return scores.indexOf(Math.max(...scores));
  });
  return { x, labels };
}

function smallNetwork(start, noise) {
  const layers = network({ widths: TASK.widths, start, seed: 0, act: activationOf("tanh"), last: activationOf("linear") });
  layers.forEach((layer, i) => {
    const shake = raw("normal", 5, `${i}.noise`, layer.w.length);
    if (noise > 0) layer.w.forEach((v, k) => { layer.w[k] = v + noise * shake[k]; });
  });
  return layers;
}

function trainSmall(layers, steps) {
  const { x, labels } = task(), losses = [];
  for (let i = 0; i < steps; i += 1) losses.push(step(layers, x, labels, TASK.inputs, TASK.rate, 3).loss);
  return losses;
}

// Rows of the weights as classes: equal rows have the same letter.
function classesOf({ nIn, nOut, w }) {
  const seen = new Map();
  return Array.from({ length: nOut }, (_, o) => {
    const row = Array.from(w.subarray(o * nIn, (o + 1) * nIn), (v) => v.toPrecision(6)).join();
    if (!seen.has(row)) seen.set(row, seen.size);
    return seen.get(row);
  });
}

function drawNeurons(layers, width) {
  const columns = [Array.from({ length: TASK.widths[0] }, () => -1), ...layers.map(classesOf)], height = 280;
  const atX = (i) => 40 + (i * (width - 110)) / (columns.length - 1), atY = (i, k) => height / 2 + (k - (columns[i].length - 1) / 2) * 31;
  const edges = columns.slice(1).flatMap((column, i) => column.flatMap((_, o) => columns[i].map((__, k) =>
    tag("line", { x1: atX(i), y1: atY(i, k), x2: atX(i + 1), y2: atY(i + 1, o), stroke: "var(--line)", "stroke-width": 0.7 }))));
  const nodes = columns.flatMap((column, i) => column.map((kind, k) =>
    tag("circle", { cx: atX(i), cy: atY(i, k), r: 12, fill: kind < 0 ? "var(--raised)" : `hsl(${(kind * 47 + 205) % 360} 55% 62%)`, stroke: "var(--dim)" }) +
    (kind < 0 ? "" : tag("text", { x: atX(i), y: atY(i, k) + 4, "text-anchor": "middle", "font-size": 12, style: "fill:#101820" }, MARKS[kind % MARKS.length]))));
  const titles = ["input", "hidden 1", "hidden 2", "output"].map((t, i) => tag("text", { class: "dim", x: atX(i), y: 14, "text-anchor": "middle", "font-size": 12 }, t));
  return svg(width, height, { title: "Neurons: the same letter and colour means the same incoming weights" }, ...edges, ...nodes, ...titles);
}

function neuronFigure() {
  figure({
    id: "zeros",
    controls: [
      { kind: "select", name: "start", label: "start", value: "zeros", options: { zeros: "all zeros", half: "all 0.5", xavier: "random (Xavier)" } },
      { kind: "range", name: "noise", label: "noise added", min: -9, max: 0, step: 0.5, value: -9, format: (v) => (v === -9 ? "none" : number(10 ** v)) },
    ],
    draw(state) {
      const key = `${state.start} ${state.noise}`;
      if (trained?.key !== key) trained = { key, layers: smallNetwork(state.start, state.noise === -9 ? 0 : 10 ** state.noise), losses: [] };
      const counts = trained.layers.slice(0, 2).map((layer) => `${distinct(layer)} of ${layer.nOut}`), done = trained.losses.length;
      const learnt = done ? ` The loss went from ${number(trained.losses[0])} to <b>${number(trained.losses.at(-1))}</b>.` : "";
      return { html: drawNeurons(trained.layers, room()), verdict: `After ${done} steps of training: <b>${counts[0]}</b> and <b>${counts[1]}</b> hidden neurons differ.${learnt}` };
    },
    code: (s) => ["import torch, penstock", "from torch.nn import Linear, Sequential, Tanh", "model = Sequential(Linear(6, 8), Tanh(), Linear(8, 8), Tanh(), Linear(8, 3))",
      s.start === "xavier" ? "for p in model.parameters(): torch.nn.init.normal_(p)" : `for p in model.parameters(): torch.nn.init.constant_(p, ${s.start === "half" ? 0.5 : 0})`,
      "# S101 names layers whose units are identical", "print(penstock.check(model, torch.randn(48, 6)))"].join("\n"),
  });
  nodeOf("zeros-train").addEventListener("click", () => {
    trained.losses.push(...trainSmall(trained.layers, TASK.steps));
    paint(figures.get("zeros"));
    announce(nodeOf("zeros-verdict").textContent);
  });
  nodeOf("zeros-reset").addEventListener("click", () => { trained = null; paint(figures.get("zeros")); });
}
