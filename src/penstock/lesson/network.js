// A plain network that the page runs: forward, backward and training, as in any framework. All arrays are float64
// (weights hold float32 values at the start), of one kind everywhere: that is what makes the loops fast.

// Cody (1969), "Rational Chebyshev approximations for the error function": highest power last.
const ERF = {
  near: [[3209.37758913846947, 377.485237685302021, 113.864154151050156, 3.1611237438705656, 0.185777706184603153], [2844.23683343917062, 1282.61652607737228, 244.024637934444173, 23.6012909523441209, 1]],
  far: [
    [1230.33935479799725, 2051.07837782607147, 1712.04761263407058, 881.95222124176909, 298.635138197400131, 66.1191906371416295, 8.88314979438837594, 0.564188496988670089, 2.15311535474403846e-8],
    [1230.33935480374942, 3439.36767414372164, 4362.61909014324716, 3290.79923573345963, 1621.38957456669019, 537.181101862009858, 117.693950891312499, 15.7449261107098347, 1],
  ],
};
function polynomial(coefficients, x) {
  let sum = 0;
  for (let i = coefficients.length - 1; i >= 0; i -= 1) sum = sum * x + coefficients[i];
  return sum;
}
// Within 1e-15; beyond 6 the difference from 1 is below that.
function erf(x) {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a <= 0.46875) return (x * polynomial(ERF.near[0], x * x)) / polynomial(ERF.near[1], x * x);
  return Math.sign(x) * (1 - (Math.exp(-a * a) * polynomial(ERF.far[0], a)) / polynomial(ERF.far[1], a));
}
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const cdf = (x) => 0.5 * (1 + erf(x / Math.SQRT2));
const SELU = [1.0507009873554805, 1.6732632423543772];

// name: [function f, its derivative of x and y = f(x)]. The gain by which weights make up for it is computed, not listed.
const ACTIVATIONS = {
  linear: [(x) => x, () => 1],
  relu: [(x) => Math.max(0, x), (x) => (x > 0 ? 1 : 0)],
  "leaky relu 0.2": [(x) => (x > 0 ? x : 0.2 * x), (x) => (x > 0 ? 1 : 0.2)],
  tanh: [Math.tanh, (x, y) => 1 - y * y],
  sigmoid: [sigmoid, (x, y) => y * (1 - y)],
  gelu: [(x) => x * cdf(x), (x) => cdf(x) + (x * Math.exp(-x * x / 2)) / Math.sqrt(2 * Math.PI)],
  silu: [(x) => x * sigmoid(x), (x, y) => y + sigmoid(x) * (1 - y)],
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
  if (law === "zero" || law === "constant") return new Float64Array(nIn * nOut).fill(f32(scaling));
  return drawn(law, seed, name, nIn * nOut, scaling);
}

function network({ widths, start, seed, act, last = act }) {
  const layers = [];
  for (let i = 0; i + 1 < widths.length; i += 1) {
    const [nIn, nOut] = [widths[i], widths[i + 1]], bound = STARTS[start]?.bias?.(nIn);
    const b = bound ? drawn("uniform", seed, `${i}.bias`, nOut, bound) : new Float64Array(nOut);
    layers.push({ nIn, nOut, w: weightsOf(start, seed, i, nIn, nOut, act), b, act: i + 2 < widths.length ? act : last });
  }
  return layers;
}

// y = act(W x + b) for n inputs in rows. Returns pre- and post-activations of every layer; post[0] is the input.
function forward(layers, input, n, take = fresh) {
  const pre = [], post = [input instanceof Float64Array ? input : new Float64Array(input)];
  for (const { nIn, nOut, w, b, act: { f } } of layers) {
    const z = timesTransposed(take(n * nOut), post.at(-1), w, n, nIn, nOut), y = take(n * nOut);
    for (let r = 0; r < z.length; r += nOut) {
      for (let o = 0; o < nOut; o += 1) {
        z[r + o] += b[o];
        y[r + o] = f(z[r + o]);
      }
    }
    pre.push(z);
    post.push(y);
  }
  return { pre, post };
}

// Gradients by layer: of the signals (signal[i] belongs to post[i]), of weights and biases. A picture of the signal
// needs no weights' gradients, training none of the input.
function backward(layers, { pre, post }, grad, n, { ofWeights = true, ofInput = true, take = fresh } = {}) {
  const signal = new Array(layers.length + 1), w = [], b = [];
  signal[layers.length] = grad instanceof Float64Array ? grad : new Float64Array(grad);
  for (let i = layers.length - 1; i >= 0; i -= 1) {
    const { nIn, nOut, w: weight, act: { d } } = layers[i], z = pre[i], y = post[i + 1], up = signal[i + 1];
    const slopes = take(n * nOut);
    for (let k = 0; k < slopes.length; k += 1) slopes[k] = d(z[k], y[k]) * up[k];
    if (i > 0 || ofInput) signal[i] = timesWeights(take(n * nIn), slopes, weight, n, nIn, nOut);
    if (ofWeights) [w[i], b[i]] = [timesInputs(take(nIn * nOut), slopes, post[i], n, nIn, nOut), columnSums(take(nOut), slopes, n, nOut)];
  }
  return { signal, w, b };
}

function rms(values) {
  let sum = 0;
  for (const v of values) sum += v * v;
  return Math.sqrt(sum / Math.max(1, values.length));
}

// What the pipe shows: RMS of the signal by depth, and, if wanted, of a gradient that starts at RMS 1 at the output.
function measured({ depth, width, start, seed, act, inputs = 16, ofWeights = false, gradient = true }) {
  const layers = network({ widths: new Array(depth + 1).fill(width), start, seed, act });
  const trace = forward(layers, raw("normal", seed, "input", inputs * width), inputs);
  if (!gradient) return { layers, trace, signal: trace.post.map(rms) };
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
const shelves = new WeakMap();
function step(layers, x, labels, n, rate, classes = 10) {
  if (!shelves.has(layers)) shelves.set(layers, shelf());
  const take = shelves.get(layers)(), trace = forward(layers, x, n, take), told = crossEntropy(trace.post.at(-1), labels, n, classes);
  const { w, b } = backward(layers, trace, told.grad, n, { ofInput: false, take });
  layers.forEach((layer, i) => { descend(layer.w, w[i], rate); descend(layer.b, b[i], rate); });
  return told;
}

function descend(values, gradient, rate) {
  for (let k = 0; k < values.length; k += 1) values[k] -= rate * gradient[k];
}

// How many rows of a weight matrix differ from each other: neurons that can learn something of their own.
function distinct({ nIn, nOut, w }) {
  const seen = new Set();
  for (let o = 0; o < nOut; o += 1) seen.add(Array.from(w.subarray(o * nIn, (o + 1) * nIn), (v) => v.toPrecision(6)).join());
  return seen.size;
}
