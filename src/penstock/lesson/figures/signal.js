// The signal through the depth: as water in a pipe, as curves, as histograms.

const ACTIVATION_OPTIONS = Object.fromEntries(Object.keys(ACTIVATIONS).map((name) => [name, name]));
const WIDTH = 64;

// How a start fares, in one sentence. Thresholds as in penstock's checks: 1e-4 and 1e4 of the input.
function verdictOf(signal, gradient) {
  const end = signal.at(-1) / signal[0], back = gradient[0] / gradient.at(-1);
  const say = (tone, words) => `<b class="${tone}">${words}</b> The signal ends with ${number(end)} of its RMS, the gradient comes back with ${number(back)} of its own.`;
  if (!Number.isFinite(end) || end > 1e4 || back > 1e4) return say("bad", "It bursts.");
  if (end < 1e-4 || back < 1e-4) return say("bad", "It dries up.");
  if (end < 0.05 || end > 20 || back < 0.05 || back > 20) return say("warn", "Still alive, but the width is wrong.");
  return say("good", "It flows.");
}

const activationControl = (value = "relu") => ({ kind: "select", name: "act", label: "activation", value, options: ACTIVATION_OPTIONS });
const depthControl = (value, max = 50) => ({ kind: "range", name: "depth", label: "depth", min: 2, max, value, format: (v) => `${v} layers` });
const seedControl = { kind: "range", name: "seed", label: "seed", min: 0, max: 20, value: 0, format: String };
const gainFormat = (v) => `${number(10 ** v)} / √width`;

// The activation of an array h, as NumPy writes it.
const NUMPY = {
  linear: "h", relu: "np.maximum(h, 0)", "leaky relu 0.2": "np.where(h > 0, h, 0.2 * h)", tanh: "np.tanh(h)",
  sigmoid: "1 / (1 + np.exp(-h))", gelu: "h * scipy.special.ndtr(h)", silu: "h / (1 + np.exp(-h))",
  selu: "np.where(h > 0, 1.0507009873554805 * h, 1.7580993408473766 * np.expm1(h))", softplus: "np.logaddexp(0, h)",
};

function netCode({ act, depth, std, seed }) {
  return [
    `import numpy as np${act === "gelu" ? ", scipy.special" : ""}`,
    "import penstock.numpy as init",
    `x = init.normal((16, ${WIDTH}), rng=${seed}, name="input")`,
    `for i in range(${depth}):`,
    `    h = x @ init.normal((${WIDTH}, ${WIDTH}), std=${std}, rng=${seed}, name=f"{i}.weight").T`,
    `    x = ${NUMPY[act]}`,
    "print(np.sqrt(np.mean(x**2)))",
  ].join("\n");
}

function signalFigures() {
  figure({
    id: "pipe",
    controls: [
      { kind: "presets", label: "starts", options: { "× 0.01": { gain: -1.1 }, Xavier: { gain: 0 }, He: { gain: 0.15 }, "twice He": { gain: 0.45 } } },
      activationControl(), depthControl(20), { kind: "range", name: "gain", label: "std of the weights", min: -1.5, max: 1, step: 0.05, value: 0.15, format: gainFormat }, seedControl,
    ],
    draw(state) {
      const told = measured({ depth: state.depth, width: WIDTH, start: 10 ** state.gain, seed: state.seed, act: activationOf(state.act) });
      return { html: pipe({ signal: told.signal, gradient: told.gradient, width: room(), title: "Signal and gradient through the layers" }), verdict: verdictOf(told.signal, told.gradient) };
    },
    code: (s) => netCode({ ...s, std: 10 ** s.gain / Math.sqrt(WIDTH) }),
  });

  figure({
    id: "depth",
    controls: [
      { kind: "range", name: "gain", label: "gain of each layer", min: 0.5, max: 1.5, step: 0.05, value: 0.8, format: (v) => number(v) }, depthControl(20),
      { kind: "range", name: "guess", label: "your guess: RMS behind the last layer", min: -9, max: 5, step: 0.25, value: 0, format: (v) => number(10 ** v) },
    ],
    draw(state) {
      const act = activationOf("linear"), told = measured({ depth: state.depth, width: WIDTH, start: state.gain, seed: 0, act });
      const shown = revealed.has("depth") ? state.depth : Math.min(3, state.depth);
      const points = (values, from, to) => values.map((v, i) => [i, v]).slice(from, to + 1);
      const series = [
        { name: "signal", color: "var(--signal)", points: points(told.signal, 0, shown) },
        { name: "your guess", color: "var(--third)", dash: "2 4", points: [[shown, told.signal[shown]], [state.depth, 10 ** state.guess]], markers: true },
      ];
      if (revealed.has("depth")) series.push({ name: "gradient", color: "var(--gradient)", dash: "7 4", points: points(told.gradient, 0, state.depth) });
      const off = Math.abs(Math.log10(told.signal[state.depth]) - state.guess);
      const verdict = revealed.has("depth")
        ? `Behind layer ${state.depth} the RMS is <b>${number(told.signal[state.depth])}</b>, near ${number(state.gain)}<sup>${state.depth}</sup> = ${number(state.gain ** state.depth)}. Your guess was ${off < 0.3 ? "right" : `off by a factor of ${number(10 ** off, 2)}`}. The gradient goes through the same factors, backwards.`
        : "Three layers are shown. Set your guess for the last one, then reveal.";
      return { html: curves({ series, width: room(), x: { domain: [0, state.depth], label: "layer" }, y: { log: true, label: "RMS", domain: [1e-9, 1e5] }, rules: [{ y: 1 }], title: "RMS by layer" }), verdict };
    },
    code: (s) => netCode({ act: "linear", depth: s.depth, seed: 0, std: s.gain / Math.sqrt(WIDTH) }),
  });

  figure({
    id: "small",
    controls: [depthControl(3, 30), { kind: "range", name: "std", label: "std", min: -3, max: 0, step: 0.1, value: -2, format: (v) => number(10 ** v) }],
    draw(state) {
      const std = 10 ** state.std, told = measured({ depth: state.depth, width: WIDTH, start: std * Math.sqrt(WIDTH), seed: 0, act: activationOf("tanh"), gradient: false });
      const places = [...new Set([1, 2, 3, 4, 5].map((k) => Math.round(1 + ((state.depth - 1) * (k - 1)) / 4)))];
      const rows = places.map((i) => ({ label: `layer ${i}`, counts: histogram(told.trace.post[i], 1), note: `RMS ${number(told.signal[i])}` }));
      const dead = told.signal.findIndex((v) => v < 1e-6 * told.signal[0]);
      const verdict = dead < 0 ? `After ${state.depth} layers ${number(told.signal.at(-1))} is left.` : `Behind layer <b>${dead}</b> less than a millionth is left: whatever the input was, the output is the same.`;
      return { html: ridges({ rows, domain: [-1, 1], width: room(), rowHeight: 44, title: "Values of tanh units by layer" }), verdict };
    },
    code: (s) => netCode({ act: "tanh", depth: s.depth, seed: 0, std: 10 ** s.std }),
  });
}

function histogram(values, end, bins = 81) {
  const counts = new Array(bins).fill(0);
  for (const v of values) counts[Math.max(0, Math.min(bins - 1, Math.floor(((v + end) / (2 * end)) * bins)))] += 1;
  return counts;
}

// Figures that wait for a prediction: a button reveals them, any number of times.
const revealed = new Set();
function revealButton(id) {
  const button = nodeOf(`${id}-reveal`);
  button.addEventListener("click", () => {
    revealed.has(id) ? revealed.delete(id) : revealed.add(id);
    button.textContent = revealed.has(id) ? "Guess again" : "Reveal";
    button.setAttribute("aria-pressed", String(revealed.has(id)));
    paint(figures.get(id));
  });
}
