// Puts the figures and questions into the page. What tests need of the engine is on window.penstock.

signalFigures();
neuronFigure();
ruleFigures();
beyondFigure();
raceFigure();
allQuestions();
["depth"].forEach(revealButton);
readUrl();
// The first figure at once, the others while nothing else is to do, or when one scrolls to them.
const due = new Set(figures.keys());
const paintDue = (id) => { if (due.delete(id)) paint(figures.get(id)); };
const seen = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach((e) => paintDue(e.target.dataset.figure)), { rootMargin: "400px" });
document.querySelectorAll("[data-figure]").forEach((place) => seen.observe(place));
const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 30));
const paintNext = () => { const [id] = due; if (id) { paintDue(id); idle(paintNext); } };
paintDue([...due][0]);
idle(paintNext);

// A link to a section leaves the figures as they are, and the address tells of them again.
addEventListener("hashchange", () => {
  if (location.hash && !location.hash.includes(".")) { if (written().length) writeUrl(); return; }
  readUrl();
  for (const one of figures.values()) paint(one);
});
let resized = null;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => { for (const one of figures.values()) paint(one); }, 100); });

window.penstock = { due, keyFor, raw, measured, network, forward, backward, activationOf, gainOf, formulaOf, figures, paint, race, raceStep, racers, runRace, blocksMeasured, smallNetwork, trainSmall, distinct, erf, crossEntropy, step };
