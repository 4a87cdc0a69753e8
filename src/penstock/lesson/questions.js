// Practice, exercises and quiz: each answer is what the experiment says when it is run, not a key that was stored.

const DEEP = { depth: 20, width: WIDTH, seed: 0 };
const farFromOne = (value) => Math.abs(Math.log10(Math.max(value, 1e-30)));

// The index of the largest, smallest of some numbers.
const argmax = (values) => values.indexOf(Math.max(...values));
const argmin = (values) => values.indexOf(Math.min(...values));

function startBars(starts, act, pick = (told) => told.signal.at(-1)) {
  const values = starts.map((start) => pick(measured({ ...DEEP, start, act: activationOf(act) })));
  const rows = starts.map((start, i) => ({ label: STARTS[start].title, value: values[i], color: "var(--signal)" }));
  return { values, html: bars({ rows, log: true, width: room(), title: `RMS of the signal behind ${DEEP.depth} layers of ${act}` }) };
}

function allQuestions() {
  question({
    id: "fails",
    text: "Weights of std 0.01, 64 tanh units a layer. Behind how many layers is less than a millionth of the signal left?",
    options: ["2", "6", "20", "never"],
    run() {
      const { signal } = measured({ ...DEEP, depth: 30, start: 0.01 * Math.sqrt(WIDTH), act: activationOf("tanh"), gradient: false });
      const layer = signal.findIndex((v) => v < 1e-6 * signal[0]), answer = layer < 0 ? 3 : argmin([2, 6, 20].map((k) => Math.abs(k - layer)));
      return { answer, html: curves({ series: [{ name: "", points: signal.map((v, i) => [i, v]), markers: true }], width: room(), x: { label: "layer" }, y: { log: true, label: "RMS", domain: [1e-36, 10] }, rules: [{ y: 1e-6 * signal[0], label: "a millionth" }], title: "RMS by layer with std 0.01" }) };
    },
    explain: "Each layer multiplies the signal by 0.01 · √64 = 0.08. Six such factors make 2.6e−7. Two layers would have been fine: that is why the habit survived so long.",
  });
  question({
    id: "practice",
    text: "Why does ReLU need another initialization than sigmoid or tanh?",
    options: ["It is slower to compute", "It cuts the negative half, and with it half of the signal's square", "It has larger outputs", "It needs larger learning rates"],
    run() {
      const names = ["relu", "tanh", "sigmoid"], z = raw("normal", 0, "input", 4096);
      const kept = names.map((name) => rms(z.map((v) => ACTIVATIONS[name][0](v))) ** 2 / rms(z) ** 2), zeros = z.filter((v) => ACTIVATIONS.relu[0](v) === 0).length / z.length;
      return { answer: Math.abs(kept[0] - 0.5) < 0.05 && Math.abs(zeros - 0.5) < 0.05 ? 1 : 2, html: bars({ rows: names.map((label, i) => ({ label, value: kept[i], color: "var(--signal)", note: `E[f²] = ${number(kept[i])}` })), width: room(), title: "What is left of the square of a unit signal" }) };
    },
    explain: "Half of the values become 0, so half of the square is gone: the weights' variance has to be twice as large, 2/n in place of 1/n. tanh keeps 0.39 of a unit signal but is the identity for small ones, so with Xavier it settles at small values instead of dying.",
  });
  question({
    id: "zeros",
    text: "Why are zeros bad weights?",
    options: ["Zeros are slow to multiply", "All neurons of a layer compute and learn the same, for ever", "The loss becomes infinite", "They are not bad"],
    run() {
      const layers = smallNetwork("zeros", 0), losses = trainSmall(layers, 60), same = layers.slice(0, 2).every((layer) => distinct(layer) === 1);
      return { answer: same ? 1 : Number.isFinite(losses.at(-1)) ? 3 : 2, html: drawNeurons(layers, room()) };
    },
    explain: "After 60 steps of training each hidden layer still has one neuron, eight times. Equal neurons get equal gradients. Only something that differs, however small, lets them part: move the noise in the figure above.",
  });
  question({
    id: "relu",
    text: "Which start works best with ReLU, 20 layers deep?",
    options: ["random × 0.01", "Xavier", "He", "random × 1"],
    run() {
      const { values, html } = startBars(["small", "xavier", "he", "large"], "relu");
      return { answer: argmin(values.map(farFromOne)), html };
    },
    explain: "He doubles the variance for the half that ReLU cuts: 2/n. Xavier lacks a factor √2 a layer, which is a factor of about 1000 in 20 layers.",
  });
  question({
    id: "xavier",
    text: "What problem does Xavier solve?",
    options: ["Overfitting", "Signals and gradients that vanish or explode with depth", "Slow data loading", "Too few labels"],
    run() {
      const { values, html } = startBars(["small", "large", "xavier"], "tanh", (told) => told.gradient[0]);
      return { answer: farFromOne(values[2]) < Math.min(farFromOne(values[0]), farFromOne(values[1])) ? 1 : 3, html };
    },
    explain: "The bars are the gradient that reaches the first of 20 tanh layers. With 0.01 nothing arrives; with std 1 the units sit on their flat ends and the gradient is out of all measure; Xavier keeps it in reach, and the signal too.",
  });
  question({
    id: "stop",
    text: "Can a bad initialization stop learning completely?",
    options: ["No, training only takes longer", "Yes"],
    run() {
      const state = { act: "relu", depth: 8 }, arms = racers(state).filter((arm) => ["small", "he"].includes(arm.start));
      for (let k = 0; k < 100; k += 1) {
        const { inputs, targets } = batchOf(k);
        for (const arm of arms) arm.losses.push(step(arm.layers, inputs, targets, BATCH, 0.1).loss);
      }
      const last = arms.map((arm) => mean(arm.losses.slice(-20)));
      const stuck = last[argmax(last)] > 0.97 * Math.log(10) && Math.min(...last) < 0.6 * Math.log(10);
      return { answer: stuck ? 1 : 0, html: curves({ series: arms.map((arm) => ({ name: STARTS[arm.start].title, points: arm.losses.map((v, i) => [i + 1, v]) })), width: room(), x: { label: "step" }, y: { label: "loss", domain: [0, 3] }, rules: [{ y: Math.log(10), label: "guessing: ln 10" }], title: "Loss of two starts" }) };
    },
    explain: "Eight hidden layers, the same digits: from random × 0.01 no signal reaches the output and no gradient comes back, so the loss stays at that of guessing. From He the same network learns.",
  });
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
