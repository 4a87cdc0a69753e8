// Three pictures of a race from the data that Python wrote.

const race = JSON.parse(document.getElementById("data").textContent);
const starts = race.settings.starts;
const toneOf = (start) => ({ color: COLORS[starts.indexOf(start) % COLORS.length], dash: DASHES[starts.indexOf(start) % DASHES.length] });
const zip = (xs, ys) => xs.map((x, i) => [x, ys[i]]);

function lossCurves(width) {
  const series = Object.entries(race.curves).map(([start, c]) => ({ name: start, ...toneOf(start), points: zip(c.steps, c.middle), low: c.low, high: c.high }));
  if (!series.length) return "";
  const { target, ceiling } = race.settings, rules = [{ y: ceiling, label: "knowing nothing" }];
  if (target !== null) rules.push({ y: target, label: "target" });
  const top = Math.max(ceiling, ...series.flatMap((s) => s.high.filter(Number.isFinite))) * 1.05;
  return curves({ series, width, height: 340, x: { label: "step" }, y: { label: "training loss at each start's best rate", domain: [0, top] }, rules, title: "Loss by step; bands are quartiles over the seeds" });
}

function sensitivity(width) {
  const series = Object.entries(race.sensitivity).filter(([, s]) => s.rates.length).map(([start, s]) =>
    ({ name: start, ...toneOf(start), points: zip(s.rates, s.middle), low: s.low, high: s.high, markers: true }));
  if (!series.length) return "";
  const rates = [...new Set(series.flatMap((s) => s.points.map((p) => p[0])))].sort((a, b) => a - b);
  const step = Math.ceil(rates.length / 6);
  return curves({ series, width, height: 340, x: { log: true, label: "learning rate", ticks: rates.filter((_, i) => i % step === 0), format: (v) => number(v, 2) },
    y: { label: "mean loss over the race" }, rules: [{ y: race.settings.ceiling, label: "knowing nothing" }], title: "Mean loss by learning rate: a good start is wide" });
}

function stepBars(width) {
  const rows = race.standings.map((s) => {
    const t = s.steps_to_target, some = t && t.value !== null;
    return { label: s.start, value: some ? t.value : NaN, low: some ? (t.low ?? t.value) : undefined, high: some ? (t.high ?? race.settings.steps) : undefined, color: toneOf(s.start).color, note: some ? `${number(t.value)} steps` : s.seeds ? `not reached in ${s.seeds - s.reached} of ${s.seeds}` : "no arm ran" };
  });
  return race.settings.target === null ? "" : bars({ rows, width, domain: [0, race.settings.steps], title: `Steps to a loss of ${number(race.settings.target)}, median over the seeds with its interval` });
}

function drawRace() {
  const room = document.getElementById("race").clientWidth || 1100, half = room > 990 ? Math.floor((room - 24) / 2) : room;
  const titled = (title, picture) => (picture ? `<figure><h2>${escaped(title)}</h2>${picture}</figure>` : "");
  document.getElementById("race").innerHTML = `<div class="panels">${titled("Loss", lossCurves(half))}${titled("Learning-rate sensitivity", sensitivity(half))}</div>` +
    titled(`Steps to a loss of ${number(race.settings.target)}`, stepBars(Math.min(room, 700)));
}

addEventListener("resize", drawRace);
drawRace();
