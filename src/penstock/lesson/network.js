// A plain network that the page runs: forward, backward and training, as in any framework. All arrays are float64
// (weights hold float32 values at the start), of one kind everywhere: that is what makes the loops fast.

const SQRT2 = Math.SQRT2;
function erf(x) {
  // Series near 0, continued fraction far out: relative error below 1e-13.
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = x, sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum) && n < 100; n += 1) { term *= (-x * x) / n; sum += term / (2 * n + 1); }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let k = 60; k > 0; k -= 1) fraction = k / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
}
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const cdf = (x) => 0.5 * (1 + erf(x / SQRT2));
const SELU = [1.0507009873554805, 1.6732632423543772];

// name: [function, derivative, the gain by which weights make up for it is computed, not listed]
const ACTIVATIONS = {
  linear: [(x) => x, () => 1],
  relu: [(x) => Math.max(0, x), (x) => (x > 0 ? 1 : 0)],
  "leaky relu 0.2": [(x) => (x > 0 ? x : 0.2 * x), (x) => (x > 0 ? 1 : 0.2)],
  tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
  sigmoid: [sigmoid, (x) => sigmoid(x) * (1 - sigmoid(x))],
  gelu: [(x) => x * cdf(x), (x) => cdf(x) + (x * Math.exp(-x * x / 2)) / Math.sqrt(2 * Math.PI)],
  silu: [(x) => x * sigmoid(x), (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x)))],
  selu: [(x) => SELU[0] * (x > 0 ? x : SELU[1] * Math.expm1(x)), (x) => SELU[0] * (x > 0 ? 1 : SELU[1] * Math.exp(x))],
  softplus: [(x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), sigmoid],
};

// An activation by name, or of any function with a derivative by differences.
function activationOf(name, formula) {
  if (formula) return { name, f: formula, d: (x) => (formula(x + 1e-5) - formula(x - 1e-5)) / 2e-5 };
  const [f, d] = ACTIVATIONS[name] ?? ACTIVATIONS.relu;
  return { name, f, d };
}

// E[g(z)] for z ~ N(0, 1): trapezoids on a fine grid, exact to 1e-6 for functions with a kink at 0.
function expectation(g) {
  let sum = 0, weight = 0;
  for (let i = -4000; i <= 4000; i += 1) { const z = i / 500, w = Math.exp(-z * z / 2); sum += w * g(z); weight += w; }
  return sum / weight;
}
const gains = new Map();
function gainOf(act) {
  if (!gains.has(act.name)) gains.set(act.name, 1 / Math.sqrt(expectation((z) => act.f(z) ** 2)));
  return gains.get(act.name);
}

// The starts: std or bound of one layer's weights, by what each rule needs to know. biases: PyTorch draws them too.
const STARTS = {
  zeros: { title: "all zeros", scale: () => ["zero", 0] },
  half: { title: "constant 0.5", scale: () => ["constant", 0.5] },
  small: { title: "random × 0.01", scale: () => ["normal", 0.01] },
  large: { title: "random × 1", scale: () => ["normal", 1] },
  xavier: { title: "Xavier", scale: (i, o) => ["normal", Math.sqrt(2 / (i + o))] },
  he: { title: "He", scale: (i) => ["normal", Math.sqrt(2 / i)] },
  lecun: { title: "LeCun", scale: (i) => ["normal", Math.sqrt(1 / i)] },
  exact: { title: "exact gain", scale: (i, o, act) => ["normal", gainOf(act) / Math.sqrt(i)] },
  pytorch: { title: "PyTorch's default", scale: (i) => ["uniform", Math.sqrt(1 / i)], bias: (i) => Math.sqrt(1 / i) },
  keras: { title: "Keras's default", scale: (i, o) => ["uniform", Math.sqrt(6 / (i + o))] },
  flax: { title: "Flax's default", scale: (i) => ["truncated_normal", Math.sqrt(1 / i) / LAWS.truncatedStd] },
};

// Weights of one layer, shape (out, in), named as penstock would name them: "0.weight", "1.weight", ...
function weightsOf(start, seed, layer, nIn, nOut, act) {
  const [law, scaling] = typeof start === "number" ? ["normal", start / Math.sqrt(nIn)] : STARTS[start].scale(nIn, nOut, act);
  const name = `${layer}.weight`;
  if (law === "zero" || law === "constant") return new Float32Array(nIn * nOut).fill(scaling);
  return drawn(law, seed, name, nIn * nOut, scaling);
}

function network({ widths, start, seed, act, last = act }) {
  const layers = [];
  for (let i = 0; i + 1 < widths.length; i += 1) {
    const [nIn, nOut] = [widths[i], widths[i + 1]], bound = STARTS[start]?.bias?.(nIn);
    const b = bound ? new Float64Array(drawn("uniform", seed, `${i}.bias`, nOut, bound)) : new Float64Array(nOut);
    layers.push({ nIn, nOut, w: new Float64Array(weightsOf(start, seed, i, nIn, nOut, act)), b, act: i + 2 < widths.length ? act : last });
  }
  return layers;
}

// y = act(W x + b) for n inputs in rows. Returns pre- and post-activations of every layer; post[0] is the input.
function forward(layers, input, n) {
  const pre = [], post = [input instanceof Float64Array ? input : new Float64Array(input)];
  for (const { nIn, nOut, w, b, act } of layers) {
    const z = new Float64Array(n * nOut);
    product(z, post.at(-1), w, b, n, nIn, nOut);
    pre.push(z);
    post.push(z.map(act.f));
  }
  return { pre, post };
}

// z = x W^T + b. Four sums at a time: the processor need not wait for one before it adds to the next.
function product(z, x, w, b, n, nIn, nOut) {
  const even = nIn - (nIn % 4);
  for (let r = 0; r < n; r += 1) {
    for (let o = 0; o < nOut; o += 1) {
      const wk = o * nIn, xk = r * nIn;
      let s0 = b[o], s1 = 0, s2 = 0, s3 = 0, k = 0;
      for (; k < even; k += 4) {
        s0 += w[wk + k] * x[xk + k]; s1 += w[wk + k + 1] * x[xk + k + 1]; s2 += w[wk + k + 2] * x[xk + k + 2]; s3 += w[wk + k + 3] * x[xk + k + 3];
      }
      for (; k < nIn; k += 1) s0 += w[wk + k] * x[xk + k];
      z[r * nOut + o] = s0 + s1 + (s2 + s3);
    }
  }
}

// Gradients by layer: of the signals (signal[i] belongs to post[i]), of weights and biases. A picture of the signal
// needs no weights' gradients, training none of the input.
function backward(layers, { pre, post }, grad, n, { ofWeights = true, ofInput = true } = {}) {
  const signal = new Array(layers.length + 1), w = [], b = [];
  signal[layers.length] = grad instanceof Float64Array ? grad : new Float64Array(grad);
  for (let i = layers.length - 1; i >= 0; i -= 1) {
    const { nIn, nOut, w: weight, act } = layers[i], slopes = pre[i].map(act.d), up = signal[i + 1];
    for (let k = 0; k < slopes.length; k += 1) slopes[k] *= up[k];
    if (i > 0 || ofInput) signal[i] = timesWeights(slopes, weight, n, nIn, nOut);
    if (ofWeights) [w[i], b[i]] = timesInputs(slopes, post[i], n, nIn, nOut);
  }
  return { signal, w, b };
}

// g W. Rows without a gradient, as behind a ReLU at 0, cost nothing.
function timesWeights(g, weight, n, nIn, nOut) {
  const gx = new Float64Array(n * nIn);
  for (let r = 0; r < n; r += 1) {
    const xk = r * nIn;
    for (let o = 0; o < nOut; o += 1) {
      const s = g[r * nOut + o], wk = o * nIn;
      if (s !== 0) for (let k = 0; k < nIn; k += 1) gx[xk + k] += s * weight[wk + k];
    }
  }
  return gx;
}

// [g^T x, sums of g].
function timesInputs(g, x, n, nIn, nOut) {
  const gw = new Float64Array(nIn * nOut), gb = new Float64Array(nOut);
  for (let o = 0; o < nOut; o += 1) {
    const wk = o * nIn;
    for (let r = 0; r < n; r += 1) {
      const s = g[r * nOut + o], xk = r * nIn;
      if (s === 0) continue;
      gb[o] += s;
      for (let k = 0; k < nIn; k += 1) gw[wk + k] += s * x[xk + k];
    }
  }
  return [gw, gb];
}

function rms(values) {
  let sum = 0;
  for (const v of values) sum += v * v;
  return Math.sqrt(sum / Math.max(1, values.length));
}

// What the pipe shows: RMS of the signal by depth, and of a gradient that starts at RMS 1 at the output.
function measured({ depth, width, start, seed, act, inputs = 16, ofWeights = false }) {
  const layers = network({ widths: new Array(depth + 1).fill(width), start, seed, act });
  const trace = forward(layers, raw("normal", seed, "input", inputs * width), inputs);
  const back = backward(layers, trace, raw("normal", seed, "gradient", inputs * width), inputs, { ofWeights });
  return { layers, trace, signal: trace.post.map(rms), gradient: back.signal.map(rms), back };
}

// Softmax cross entropy of n rows: mean loss, accuracy, gradient.
function crossEntropy(logits, labels, n, classes) {
  const grad = new Float64Array(n * classes);
  let loss = 0, right = 0;
  for (let r = 0; r < n; r += 1) {
    let top = -Infinity, best = 0, sum = 0;
    for (let c = 0; c < classes; c += 1) if (logits[r * classes + c] > top) { top = logits[r * classes + c]; best = c; }
    for (let c = 0; c < classes; c += 1) sum += Math.exp(logits[r * classes + c] - top);
    loss += Math.log(sum) + top - logits[r * classes + labels[r]];
    right += best === labels[r] ? 1 : 0;
    for (let c = 0; c < classes; c += 1) grad[r * classes + c] = (Math.exp(logits[r * classes + c] - top) / sum - (c === labels[r] ? 1 : 0)) / n;
  }
  return { loss: loss / n, accuracy: right / n, grad };
}

// One step of plain gradient descent, in place.
function step(layers, x, labels, n, rate, classes = 10) {
  const trace = forward(layers, x, n), told = crossEntropy(trace.post.at(-1), labels, n, classes);
  const { w, b } = backward(layers, trace, told.grad, n, { ofInput: false });
  layers.forEach((layer, i) => {
    for (let k = 0; k < layer.w.length; k += 1) layer.w[k] -= rate * w[i][k];
    for (let k = 0; k < layer.b.length; k += 1) layer.b[k] -= rate * b[i][k];
  });
  return told;
}

// How many rows of a weight matrix differ from each other: neurons that can learn something of their own.
function distinct({ nIn, nOut, w }) {
  const seen = new Set();
  for (let o = 0; o < nOut; o += 1) seen.add(Array.from(w.subarray(o * nIn, (o + 1) * nIn), (v) => v.toPrecision(6)).join());
  return seen.size;
}
