"""How quickly the lesson and the HTML report answer, in a real headless Chromium.

    python benchmarks/lesson.py [--repeats 40] [--write]

A drag is a real one: the mouse moves the slider, and the page measures from the slider's event to the end of the frame
that shows the new picture. The race is measured twice: the steps alone, and as the reader sees it, with its pictures.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import bench

WATCH = """
(id) => {
  const input = document.getElementById(id);
  let start = 0;
  window.times = [];
  input.addEventListener("input", () => { start = performance.now(); }, true);
  input.addEventListener("input", () => {
    const began = start;
    requestAnimationFrame(() => {
      const port = new MessageChannel();
      port.port1.onmessage = () => window.times.push(performance.now() - began);
      port.port2.postMessage(0);
    });
  });
}
"""

STEPS = """
() => {
  const state = { act: "relu", depth: 5, rate: -1 }, race = penstock.race;
  Object.assign(race, { arms: penstock.racers(state), steps: 0 });
  for (let i = 0; i < 50; i += 1) penstock.raceStep(state);
  const start = performance.now();
  for (let i = 0; i < 300; i += 1) penstock.raceStep(state);
  return 300000 / (performance.now() - start);
}
"""

SEEN = """
async () => {
  const { state } = penstock.figures.get("race"), race = penstock.race;
  Object.assign(state, { act: "relu", depth: 5, rate: -1 });
  document.getElementById("race-reset").click();
  const start = performance.now();
  penstock.runRace(450);
  while (race.timer) await new Promise(requestAnimationFrame);
  return (1000 * race.steps) / (performance.now() - start);
}
"""

SCROLL = """
async () => {
  const box = document.querySelector(".rows"), start = performance.now();
  for (let i = 1; i <= 20; i += 1) {
    box.scrollTop = (box.scrollHeight * i) / 20;
    await new Promise(requestAnimationFrame);
  }
  return performance.now() - start;
}
"""


def deep_report(path: Path, layers: int = 300) -> None:
    """A report of a plain network with this many linear layers and as many functions."""
    import torch

    import penstock

    generator = torch.Generator().manual_seed(0)
    model = torch.nn.Sequential(*[m for _ in range(layers) for m in (torch.nn.Linear(16, 16), torch.nn.Tanh())])
    penstock.check(model, torch.randn(8, 16, generator=generator)).to_html(path)


def dragged(page: Any, slider: str, repeats: int) -> list[float]:
    """Milliseconds from each event of a slider that the mouse drags to the end of the frame that shows it."""
    page.evaluate(WATCH, slider)
    handle = page.locator(f"#{slider}")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 10, height)
    page.mouse.down()
    for i in range(repeats):
        page.mouse.move(box["x"] + 10 + (box["width"] - 20) * (i + 1) / repeats, height)
        page.wait_for_timeout(25 + i % 17)  # at every phase of the screen's rhythm
    page.mouse.up()
    return page.evaluate("() => window.times")


def main() -> None:
    from playwright.sync_api import sync_playwright

    from penstock.lesson.page import lesson_page

    parser = bench.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=40)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    (folder / "lesson.html").write_text(lesson_page(), encoding="utf-8")
    deep_report(folder / "report.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        paints = []
        for _ in range(5):
            page.goto((folder / "lesson.html").as_uri())
            page.wait_for_function("() => performance.getEntriesByType('paint').length > 0")
            paints.append(page.evaluate("() => performance.getEntriesByType('paint').at(-1).startTime"))
        page.wait_for_function("() => penstock.due.size === 0")
        times = dragged(page, "pipe-gain", options.repeats)
        rate = page.evaluate(STEPS)
        page.locator("#race-stage").scroll_into_view_if_needed()
        seen = page.evaluate(SEEN)
        opened = []
        for _ in range(5):
            page.goto((folder / "report.html").as_uri())
            opened.append(page.evaluate("() => performance.now()") + page.evaluate(SCROLL))
        browser.close()
    size = (folder / "lesson.html").stat().st_size
    rows = [
        ["drag to repaint, 20 layers of 64, median", f"{median(times):.1f} ms", "20 ms"],
        ["the same, 95th percentile", f"{quantiles(times, n=20)[-1]:.1f} ms", "50 ms"],
        ["first paint, median of 5", f"{median(paints):.0f} ms", "500 ms"],
        ["race of 4 networks of 5 x 32, batch 32: the steps alone", f"{rate:.0f} steps/s", "150 steps/s"],
        ["the same as it is seen, with its pictures", f"{seen:.0f} steps/s", "150 steps/s"],
        ["report of 300 layers: open and scroll through, median of 5", f"{median(opened):.0f} ms", "1000 ms"],
        ["size of the lesson, digits included", f"{size / 1000:.0f} kB", "250 kB"],
    ]
    text = bench.table(["what", "measured", "asked"], rows) + "\n\n" + bench.machine("playwright") + "."
    bench.publish("Lesson and HTML report", text, write=options.write)


if __name__ == "__main__":
    main()
