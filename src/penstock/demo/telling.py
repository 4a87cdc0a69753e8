"""The words and pictures of the demonstration: from results to lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.demo.chart import pair
from penstock.demo.stories import Story
from penstock.demo.training import BATCH, LEARNING_RATE, Training
from penstock.planning.initialization import Initialization
from penstock.planning.plan import Entry
from penstock.report.layers import Line
from penstock.report.order import Told, counted, place_count, told
from penstock.report.report import Report
from penstock.report.table import Signs, fold_middle, number, wrap
from penstock.report.text import STYLES, verdict_words

WORST = 2
"""So many findings are told: a third one says little to who meets the tool for the first time."""

NEXT = """\
import penstock

report = penstock.check(model, batch)      # what is wrong with this start?
start = penstock.initialize(model, batch)  # mend it, in place
print(start)"""
COMMAND = "penstock check path/file.py:Model --input 32,3,224,224"


def opening(*, train: int, test: int, steps: int, width: int) -> list[Line]:
    """What will be seen."""
    text = (
        f"Each is checked, mended by penstock.initialize, and trained for {steps} steps both as it came and mended: on "
        f"the same batches of {BATCH} in the same order, by Adam at {LEARNING_RATE:g}. The data are {train + test:,} "
        f"handwritten digits of 8x8 pixels, {test} of them kept for the test. Guessing gives 10 %."
    )
    return [[("Three networks that do not learn", "bold")], *_plain(text, width)]


def heading(place: int, story: Story, width: int, signs: Signs) -> list[Line]:
    """A story's title, the code that made the start, and why it fails."""
    rule = "-" * width if signs.ascii else "─" * width
    return [
        [],
        [(rule, "dim")],
        [(f"{place}. {story.title}", "bold")],
        [],
        [("   " + fold_middle(story.code, width - 3, ellipsis=signs.ellipsis), "cyan")],
        [],
        *_plain(story.why, width),
    ]


def checked(title: str, report: Report, width: int, signs: Signs) -> list[Line]:
    """The verdict on one line, then the worst findings with what follows from them."""
    words = verdict_words(report)
    style = STYLES["error"] if report.errors else "bold green" if report.ok else STYLES["warning"]
    lines: list[Line] = [[], [(f"{title}: ", "bold"), (words, style)]]
    worst = [item for item in told(report.findings) if item.finding.severity != "note"][:WORST]
    for item in worst:
        lines += _finding(item, width, signs)
    return lines


def _finding(item: Told, width: int, signs: Signs) -> list[Line]:
    finding = item.finding
    places = place_count(finding)
    where = f" ({places} places)" if places > 1 else ""
    lines: list[Line] = [
        [(f"  {finding.severity.upper()} {finding.code} ", STYLES[finding.severity]), (finding.title + where, "bold")]
    ]
    lines += _plain(f"at {finding.place}: {signs.clean(finding.observation)}", width, indent=4)
    if item.consequences:
        lines += [[(f"    follows from it: {counted(item.consequences, signs.times)}", "dim")]]
    return lines


def mended(done: Initialization, width: int, signs: Signs) -> list[Line]:
    """What was drawn and why, each reason once, and what calibration corrected."""
    entries = [e for e in done.plan.entries if e.recipe is not None]
    lines: list[Line] = [[], [("what penstock.initialize did", "bold")]]
    for reason in dict.fromkeys(e.reason for e in entries if e.rule != "biases"):
        group = [e for e in entries if e.reason == reason]
        recipes = ", ".join(dict.fromkeys(e.recipe.describe() for e in group if e.recipe is not None))
        head = f"{len(group)} weight{'s' * (len(group) != 1)}: {recipes}"
        lines.append([("  " + fold_middle(head, width - 2, ellipsis=signs.ellipsis), "green")])
        lines += _plain(signs.clean(reason), width, indent=4)
    lines += [[("  " + text, "green")] for text in _biases(entries)]
    return [*lines, *([("  " + text, "green")] for text in _factors(entries))]


def _biases(entries: Sequence[Entry]) -> list[str]:
    biases = [e for e in entries if e.rule == "biases"]
    centred = {e.calibration.bias for e in entries if e.calibration is not None and e.calibration.centre is not None}
    zero = sum(e.name not in centred for e in biases)
    texts = [f"{len(biases) - zero} biases: set on the batch, each unit gets the mean named above"] if centred else []
    return texts + ([f"{zero} bias{'es' * (zero != 1)}: zero"] if zero else [])


def _factors(entries: Sequence[Entry]) -> list[str]:
    factors = [e.calibration.factor for e in entries if e.calibration is not None and e.calibration.factor]
    if not factors:
        return []
    span = f"{min(factors):.3g} to {max(factors):.3g}"
    return [f"{len(factors)} weights corrected on the batch, by factors of {span}"]


def compared(before: Training, after: Training, width: int, signs: Signs) -> list[Line]:
    """Loss curves and final accuracies side by side."""
    cells = (width - 9) // 2
    gap = "   "
    lines: list[Line] = [[], [("loss".ljust(6) + "as it came".ljust(cells) + gap + "mended", "bold")]]
    for label, left, right in pair(before.losses, after.losses, width=cells, ascii=signs.ascii):
        lines.append([(label + "  ", "dim"), (left, "red"), (gap, ""), (right, "green")])
    steps = f"step 1 to {len(before.losses)}"
    lines.append([("      " + steps.ljust(cells) + gap + steps, "dim")])
    rows = [
        ("last loss", *(number(sum(t.losses[-10:]) / len(t.losses[-10:])) for t in (before, after))),
        ("train accuracy", *(f"{t.train_accuracy:.1%}" for t in (before, after))),
        ("test accuracy", *(f"{t.test_accuracy:.1%}" for t in (before, after))),
    ]
    lines.append([])
    for name, left, right in rows:
        style = "bold" if name.startswith("test") else ""
        lines.append([((f"      {name:<16}{left:>8}").ljust(6 + cells) + gap + f"{name:<16}{right:>8}", style)])
    return lines


def closing(results: Sequence[tuple[Story, Training, Training]], width: int, signs: Signs) -> list[Line]:
    """All networks in one small table, then what to type next."""
    rule = "-" * width if signs.ascii else "─" * width
    size = max(len(story.title) for story, _, _ in results)
    lines: list[Line] = [
        [], [(rule, "dim")], [("test accuracy".ljust(size) + "  as it came  mended", "bold")]
    ]  # fmt: skip
    lines += [
        [(f"{s.title:<{size}}  ", ""), (f"{b.test_accuracy:>10.1%}", "red"), (f"  {a.test_accuracy:>6.1%}", "green")]
        for s, b, a in results
    ]
    lines += [[], [("Next: your own model, in Python", "bold")], []]
    lines += [[("   " + text, "cyan")] if text else [] for text in NEXT.split("\n")]
    return [*lines, [], [("or in a shell", "bold")], [], [("   " + COMMAND, "cyan")]]


def _plain(text: str, width: int, *, indent: int = 0) -> list[Line]:
    return [[(" " * indent + line, "")] for line in wrap(text, width - indent)]
