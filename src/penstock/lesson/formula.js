// A formula of x, typed by the reader, as a function. A parser of its own: nothing that is typed is ever run as code.

const FORMULA_FUNCTIONS = {
  abs: Math.abs, exp: Math.exp, log: Math.log, sqrt: Math.sqrt, sin: Math.sin, cos: Math.cos, tanh: Math.tanh, atan: Math.atan,
  erf, sigmoid, relu: (v) => Math.max(0, v), gelu: (v) => v * cdf(v), softplus: ACTIVATIONS.softplus[0],
  max: Math.max, min: Math.min,
};
const FORMULA_NUMBERS = { pi: Math.PI, e: Math.E };

function parsed(text) {
  const tokens = text.toLowerCase().match(/\d+\.?\d*(e[+-]?\d+)?|\.\d+|[a-z_]\w*|\*\*|[-+*/^(),]|\S/g) ?? [];
  let at = 0;
  const take = (wanted) => (tokens[at] === wanted ? ((at += 1), true) : false);
  const need = (wanted) => { if (!take(wanted)) throw new Error(`expected ${wanted} ${tokens[at] ? `before "${tokens[at]}"` : "at the end"}`); };
  const sum = () => {
    let left = term();
    for (;;) {
      const a = left;
      if (take("+")) { const b = term(); left = (x) => a(x) + b(x); } else if (take("-")) { const b = term(); left = (x) => a(x) - b(x); } else return left;
    }
  };
  const term = () => {
    let left = signed();
    for (;;) {
      const a = left;
      if (take("*")) { const b = signed(); left = (x) => a(x) * b(x); } else if (take("/")) { const b = signed(); left = (x) => a(x) / b(x); } else return left;
    }
  };
  const signed = () => {
    if (take("-")) { const a = signed(); return (x) => -a(x); }
    take("+");
    const base = atom();
    if (take("^") || take("**")) { const power = signed(); return (x) => base(x) ** power(x); }
    return base;
  };
  const atom = () => {
    const token = tokens[at];
    if (token === undefined) throw new Error("it ends too early");
    at += 1;
    if (token === "(") { const inner = sum(); need(")"); return inner; }
    if (/^[.\d]/.test(token)) { const value = Number(token); return () => value; }
    if (token === "x") return (x) => x;
    if (Object.hasOwn(FORMULA_NUMBERS, token)) return () => FORMULA_NUMBERS[token];
    if (!Object.hasOwn(FORMULA_FUNCTIONS, token)) throw new Error(`"${token}" is unknown; there are x, numbers and ${Object.keys(FORMULA_FUNCTIONS).join(", ")}`);
    need("(");
    const inner = [sum()];
    while (take(",")) inner.push(sum());
    need(")");
    return (x) => FORMULA_FUNCTIONS[token](...inner.map((g) => g(x)));
  };
  const whole = sum();
  if (at < tokens.length) throw new Error(`"${tokens[at]}" is left over`);
  return whole;
}

// {f} or {error}: a function that is no function of x, not finite, or constant cannot carry a signal.
function formulaOf(text) {
  try {
    const f = parsed(text.slice(0, 200)), values = [];
    for (let i = -40; i <= 40; i += 1) values.push(f(i / 8));
    const odd = values.findIndex((v) => !Number.isFinite(v));
    if (odd >= 0) return { error: `not finite at x = ${(odd - 40) / 8}` };
    if (Math.max(...values) - Math.min(...values) < 1e-9) return { error: "constant: every input would look the same" };
    return { f };
  } catch (problem) {
    return { error: problem.message };
  }
}
