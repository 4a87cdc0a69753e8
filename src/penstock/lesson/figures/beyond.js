// Beyond the plain stack: residual sums, normalisation, kernel shaping. Forward and backward by hand, block by block.

const BLOCKS = {
  plain: "plain layers", residual: "residual: x + f(x)", scaled: "residual, branches / √blocks", norm: "normalised layers", shaped: "kernel-shaped (tanh at a small slope)",
};

// One pass through `depth` blocks: RMS of signal and gradient by block.
function blocksMeasured({ kind, depth, gain, width = WIDTH, inputs = 16 }) {
  const act = activationOf("tanh"), shape = kind === "shaped" ? shapedGain(depth) : null;
  const share = kind === "scaled" ? 1 / Math.sqrt(depth) : 1, used = shape ? shape.alpha : gain;
  let x = new Float64Array(raw("normal", 0, "input", inputs * width));
  const states = [], signal = [rms(x)];
  for (let i = 0; i < depth; i += 1) {
    const first = shape && i > 0 ? used * shape.gamma : used;
    const layer = { nIn: width, nOut: width, w: drawn("normal", 0, `${i}.weight`, width * width, first / Math.sqrt(width)), b: new Float64Array(width), act };
    const trace = forward([layer], x, inputs);
    let y = trace.post[1], scales = null;
    if (kind === "residual" || kind === "scaled") y = y.map((v, k) => x[k] + share * v);
    if (kind === "norm") {
      scales = Array.from({ length: inputs }, (_, r) => 1 / (rms(y.subarray(r * width, (r + 1) * width)) + 1e-12));
      y = y.map((v, k) => v * scales[Math.floor(k / width)]);
    }
    states.push({ layer, trace, scales, y });
    x = y;
    signal.push(rms(x));
  }
  let g = new Float64Array(raw("normal", 0, "gradient", inputs * width));
  const gradient = [rms(g)];
  for (const { layer, trace, scales, y } of states.reverse()) {
    let branch = g.map((v) => share * v);
    if (kind === "norm") {
      // d(y/rms(y)): what lies along y is taken out, the rest is divided by the RMS.
      for (let r = 0; r < inputs; r += 1) {
        let along = 0;
        for (let k = r * width; k < (r + 1) * width; k += 1) along += (g[k] * y[k]) / width;
        for (let k = r * width; k < (r + 1) * width; k += 1) branch[k] = scales[r] * (g[k] - along * y[k]);
      }
    }
    const back = backward([layer], trace, branch, inputs, { ofWeights: false }).signal[0];
    g = kind === "residual" || kind === "scaled" ? back.map((v, k) => g[k] + v) : back;
    gradient.unshift(rms(g));
  }
  return { signal, gradient };
}

// tanh used at z alpha: alpha is chosen so that the mean square slope of the whole stack is 1.5 (Martens et al. 2021).
const shapes = new Map();
function shapedGain(depth) {
  if (shapes.has(depth)) return shapes.get(depth);
  const wanted = 1.5 ** (1 / depth);
  let low = 1e-3, high = 3;
  for (let i = 0; i < 60; i += 1) {
    const alpha = (low + high) / 2;
    const slope = (alpha * alpha * expectation((z) => (1 - Math.tanh(alpha * z) ** 2) ** 2)) / expectation((z) => Math.tanh(alpha * z) ** 2);
    if (slope > wanted) high = alpha; else low = alpha;
  }
  shapes.set(depth, { alpha: low, gamma: 1 / Math.sqrt(expectation((z) => Math.tanh(low * z) ** 2)) });
  return shapes.get(depth);
}

function beyondFigure() {
  figure({
    id: "beyond",
    controls: [
      { kind: "select", name: "kind", label: "blocks", value: "residual", options: BLOCKS }, depthControl(40, 100),
      { kind: "range", name: "gain", label: "gain of the weights", min: 0.2, max: 3, step: 0.1, value: 1, format: (v) => number(v) },
    ],
    draw(state) {
      const told = blocksMeasured(state), note = {
        plain: "Nothing forgives a wrong gain: turn it and see.",
        residual: "The sum always keeps a way open, but the stream grows with every block.",
        scaled: "Branches of 1/√blocks add up to the size of one, at any depth.",
        norm: "A norm makes the signal forget the gain. The gradient does not.",
        shaped: "The gain slider has no say here: tanh is used where it is nearly straight, and the next layer makes up for it.",
      }[state.kind];
      return { html: pipe({ signal: told.signal, gradient: told.gradient, width: room(), title: `Signal and gradient through ${BLOCKS[state.kind]}` }), verdict: `${verdictOf(told.signal, told.gradient)} ${note}` };
    },
    code: () => ["import penstock", "# which of these your model has, and what each weight gets, with the reason", "print(penstock.plan(model, batch))"].join("\n"),
  });
}
