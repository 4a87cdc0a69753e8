// Xavier, He, what frameworks draw, and any activation's own gain.

function ruleFigures() {
  figure({
    id: "xavier",
    controls: [
      { kind: "range", name: "nIn", label: "fan in", min: 3, max: 9, value: 8, format: (v) => String(2 ** v) },
      { kind: "range", name: "nOut", label: "fan out", min: 3, max: 9, value: 6, format: (v) => String(2 ** v) },
    ],
    draw({ nIn, nOut }) {
      const [i, o] = [1 << nIn, 1 << nOut], act = activationOf("linear");
      const rules = { "1 / fan in": 1 / i, "1 / fan out": 1 / o, "Xavier: 2 / (fan in + fan out)": 2 / (i + o) };
      const rows = Object.entries(rules).flatMap(([name, variance]) => {
        const layers = [{ nIn: i, nOut: o, w: drawn("normal", 0, "0.weight", i * o, Math.sqrt(variance)), b: new Float64Array(o), act }];
        const x = raw("normal", 0, "input", 32 * i), trace = forward(layers, x, 32), g = raw("normal", 0, "gradient", 32 * o);
        const back = backward(layers, trace, g, 32, { ofWeights: false });
        return [
          { label: `${name.split(":")[0]} →`, value: (rms(trace.post[1]) / rms(x)) ** 2, color: "var(--signal)" },
          { label: "←", value: (rms(back.signal[0]) / rms(g)) ** 2, color: "var(--gradient)" },
        ];
      });
      const [forwardX, backwardX] = [rows[4].value, rows[5].value];
      return {
        html: bars({ rows, width: room(), log: true, domain: [1 / 128, 128], title: "Variance out over variance in, forward and backward, for three rules" }),
        verdict: i === o ? "A square layer: all three rules are one, and both directions keep their variance."
          : `Keeping one direction costs the other ${number(Math.max(i / o, o / i))} times its variance. Xavier gives each a share: ${number(forwardX)} forward, ${number(backwardX)} backward.`,
      };
    },
    code: ({ nIn, nOut }) => ["import penstock.numpy as init", `w = init.glorot_normal((${2 ** nOut}, ${2 ** nIn}), rng=0, name="0.weight")`,
      `x = init.normal((32, ${2 ** nIn}), rng=0, name="input")`, "print((x @ w.T).var() / x.var())"].join("\n"),
  });

  figure({
    id: "he",
    controls: [activationControl("relu"), depthControl(20),
      { kind: "text", name: "formula", label: "or type your own activation, f(x) =", value: "", check: (text) => (text.trim() ? formulaOf(text).error : undefined) }],
    draw(state) {
      const own = state.formula.trim() ? formulaOf(state.formula).f : null, act = activationOf(own ? state.formula : state.act, own);
      const gain = gainOf(act), lost = gain ** -2;
      const lines = ["xavier", "he", "exact"].map((start) => ({ name: STARTS[start].title, points: measured({ depth: state.depth, width: WIDTH, start, seed: 0, act, gradient: false }).signal.map((v, i) => [i, v]) }));
      const z = raw("normal", 0, "input", 4096), picture = ridges({
        rows: [{ label: "before", counts: histogram(z, 4), note: "E[z²] = 1" }, { label: "behind", counts: histogram(z.map((v) => act.f(v)), 4), note: `E[f²] = ${number(lost)}` }],
        domain: [-4, 4], width: room(), rowHeight: 60, title: "A unit normal signal before and behind the activation",
      });
      return {
        html: picture + curves({ series: lines, width: room(), x: { label: "layer" }, y: { log: true, label: "RMS of the signal" }, rules: [{ y: 1 }], title: "RMS by layer for Xavier, He and the exact gain" }),
        verdict: `This activation leaves ${number(lost)} of the square of a unit signal. The gain that makes up for it is 1/√${number(lost)} = <b>${number(gain, 5)}</b>; He's √2 = 1.4142 is that of ReLU.`,
      };
    },
    code: (s) => ["import penstock", ...(s.formula.trim() ? formulaCode(s.formula) : s.act.startsWith("leaky") ? ["from numpy import where", "print(float(penstock.gain(lambda x: where(x > 0, x, 0.2 * x))))"] : [`print(float(penstock.gain("${s.act}")))`])].join("\n"),
  });

  figure({
    id: "frameworks",
    controls: [activationControl("relu"), depthControl(10)],
    draw(state) {
      const act = activationOf(state.act), names = ["pytorch", "keras", "flax", "he", "exact"];
      const rows = names.map((start) => {
        const told = measured({ depth: state.depth, width: WIDTH, start, seed: 0, act });
        return { title: STARTS[start].title, law: LAWTEXT[start], signal: told.signal.at(-1), gradient: told.gradient[0] };
      });
      const table = `<div class="scroll" tabindex="0" role="region" aria-label="Defaults of the frameworks"><table><thead><tr><th scope="col">start</th><th scope="col">law of a linear layer</th><th scope="col">signal at layer ${state.depth}</th><th scope="col">gradient at layer 0</th></tr></thead><tbody>` +
        rows.map((r) => `<tr><th scope="row">${r.title}</th><td>${r.law}</td><td>${number(r.signal)}</td><td>${number(r.gradient)}</td></tr>`).join("") + "</tbody></table></div>";
      return {
        html: table + bars({ rows: rows.map((r) => ({ label: r.title, value: r.signal, color: "var(--signal)" })), log: true, width: room(), title: `RMS of the signal at layer ${state.depth}` }),
        verdict: `No framework knows which activation comes next: with ${state.act}, ${state.depth} layers of PyTorch's default leave ${number(rows[0].signal)} of the signal.`,
      };
    },
    code: () => ["import penstock", "# what your framework's default does in your model", "print(penstock.check(model, batch))", "# and what mends it", "print(penstock.initialize(model, batch))"].join("\n"),
  });
}

// What each function of a formula is called in Python.
const PYTHON = {
  abs: "from numpy import abs", exp: "from numpy import exp", log: "from numpy import log", sqrt: "from numpy import sqrt", sin: "from numpy import sin",
  cos: "from numpy import cos", tanh: "from numpy import tanh", atan: "from numpy import arctan as atan", erf: "from scipy.special import erf",
  sigmoid: "from scipy.special import expit as sigmoid", relu: "from numpy import maximum; relu = lambda x: maximum(x, 0)",
  gelu: "from scipy.special import ndtr; gelu = lambda x: x * ndtr(x)", softplus: "from numpy import logaddexp; softplus = lambda x: logaddexp(0, x)",
  max: "from numpy import maximum as max", min: "from numpy import minimum as min", pi: "from numpy import pi", e: "from numpy import e",
};

function formulaCode(formula) {
  const names = new Set(formula.toLowerCase().match(/(?<![\d.])[a-z_]\w*/g) ?? []);
  return [...Object.keys(PYTHON).filter((name) => names.has(name)).map((name) => PYTHON[name]), `print(float(penstock.gain(lambda x: ${formula.trim().toLowerCase().replaceAll("^", "**")})))`];
}

const LAWTEXT = {
  pytorch: "U(±1/√n), bias too", keras: "U(±√(6/(n+m)))", flax: "normal, variance 1/n, cut at 2σ", he: "N(0, 2/n)", exact: "N(0, gain²/n)",
};
