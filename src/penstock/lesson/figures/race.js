// The race: one network, four starts, the same handwritten digits in the same order, plain gradient descent.

const RACERS = ["small", "pytorch", "xavier", "he"];
const BATCH = 32;
const FIRST_STEPS = 60;
const race = { touched: false, arms: null, steps: 0, timer: null, key: "" };

function digits() {
  digits.kept ??= (() => {
    const { pixels, labels } = DATA.digits, count = labels.length, x = new Float64Array(count * 64);
    for (let i = 0; i < count * 64; i += 1) x[i] = (pixels.charCodeAt(i) - 48 - DATA.digits.mean) / DATA.digits.std;
    return { x, labels: Array.from(labels, Number), count };
  })();
  return digits.kept;
}

// The same order for every start: batch k is drawn by its own random words.
function batchOf(k) {
  const { x, labels, count } = digits(), picked = words(keyFor(1, `race.batch.${k}`), BATCH), inputs = new Float64Array(BATCH * 64), targets = [];
  picked.forEach((word, r) => {
    const i = Math.floor(((word >>> 0) / 4294967296) * count);
    inputs.set(x.subarray(i * 64, (i + 1) * 64), r * 64);
    targets.push(labels[i]);
  });
  return { inputs, targets };
}

function racers(state) {
  const act = activationOf(state.act), widths = [64, ...new Array(state.depth).fill(32), 10];
  return RACERS.map((start) => ({ start, layers: network({ widths, start, seed: 0, act, last: activationOf("linear") }), losses: [], accuracy: 0, smooth: null }));
}

function raceStep(state) {
  const { inputs, targets } = batchOf(race.steps);
  for (const arm of race.arms) {
    const told = step(arm.layers, inputs, targets, BATCH, 10 ** state.rate);
    arm.smooth = arm.smooth === null ? told.loss : 0.9 * arm.smooth + 0.1 * told.loss;
    arm.losses.push(arm.smooth);
    arm.accuracy = arm.losses.length === 1 ? told.accuracy : 0.9 * arm.accuracy + 0.1 * told.accuracy;
  }
  race.steps += 1;
}

function rankedArms() {
  const of = (arm) => { const v = arm.losses.at(-1); return Number.isFinite(v) ? v : Infinity; };
  return [...race.arms].sort((a, b) => of(a) - of(b));
}

function raceFigure() {
  figure({
    id: "race",
    controls: [activationControl("relu"), { kind: "range", name: "depth", label: "hidden layers", min: 1, max: 20, value: 1, format: String },
      { kind: "range", name: "rate", label: "learning rate", min: -3, max: 0, step: 0.25, value: -1, format: (v) => number(10 ** v) }],
    draw(state) {
      const key = JSON.stringify(state);
      if (race.key !== key || !race.arms) { stopRace(); Object.assign(race, { key, arms: racers(state), steps: 0 }); }
      // The picture makes its point before it is touched: one hidden layer, where every start learns.
      if (!race.touched && state.depth === 1 && !race.steps) while (race.steps < FIRST_STEPS) raceStep(state);
      const most = Math.max(150, race.steps), thin = Math.max(1, Math.ceil(race.steps / 200));
      const series = race.arms.map((arm, i) => ({
        name: STARTS[arm.start].title, color: COLORS[i],
        points: arm.losses.length ? arm.losses.map((v, k) => [k + 1, Math.min(v, 3)]).filter((_, k) => k % thin === 0 || k === arm.losses.length - 1) : [[0, Math.log(10)]],
      }));
      const order = rankedArms().map((arm) => `${STARTS[arm.start].title} (${arm.losses.length ? `loss ${number(arm.losses.at(-1))}, ${Math.round(100 * arm.accuracy)} % right` : "not started"})`);
      const picture = curves({ series, width: room(), x: { domain: [0, most], label: "step" }, y: { domain: [0, 3], label: "loss" }, rules: [{ y: Math.log(10), label: "guessing: ln 10" }], title: "Loss by step of four starts" });
      return { html: picture, verdict: !race.steps ? "Bet on a winner, then run. All four see the same digits in the same order." : `After ${race.steps} steps: <b>${order[0]}</b>, ${order.slice(1).join(", ")}.` };
    },
    code: (s) => ["import penstock", `# here: ${s.depth} hidden layers of 32 ${s.act}, one seed, one learning rate;`, "# there: several seeds, and each start's best rate",
      'starts = ["default", "xavier", "he", "penstock"]', 'print(penstock.race(factory, starts, "digits", steps=150, optimizer="sgd"))'].join("\n"),
  });
  nodeOf("race-run").addEventListener("click", () => {
    if (!race.timer) return runRace();
    stopRace();
    announce(nodeOf("race-verdict").textContent);
  });
  nodeOf("race-step").addEventListener("click", () => { stopRace(); raceStep(figures.get("race").state); paint(figures.get("race")); });
  nodeOf("race-reset").addEventListener("click", () => { stopRace(); race.arms = null; race.touched = true; paint(figures.get("race")); });
}

// Steps for 24 milliseconds, then a picture: thirty pictures a second, and the page stays alive. Twice as many pictures
// would cost half of the steps; on a slow machine there are fewer pictures, of five steps each.
const STEPS_FOR = 24, LEAST = 5;
function runRace(limit = Infinity) {
  const one = figures.get("race");
  nodeOf("race-run").textContent = "Pause";
  const tick = () => {
    const end = performance.now() + STEPS_FOR, before = race.steps;
    do raceStep(one.state); while ((performance.now() < end || race.steps < before + LEAST) && race.steps < limit);
    paint(one);
    if (Math.floor(before / 150) < Math.floor(race.steps / 150) || race.steps >= limit) announce(nodeOf("race-verdict").textContent);
    race.timer = race.steps < limit && race.steps < 2000 ? requestAnimationFrame(tick) : null;
    if (!race.timer) nodeOf("race-run").textContent = "Run";
  };
  race.timer = requestAnimationFrame(tick);
}

function stopRace() {
  if (race.timer) cancelAnimationFrame(race.timer);
  race.timer = null;
  nodeOf("race-run").textContent = "Run";
}
