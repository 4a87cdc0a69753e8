"""The lesson: one static HTML page, put together from its parts. It needs no network and opens from a file."""

from __future__ import annotations

from typing import Any

from penstock.randomness import transforms
from penstock.randomness.keys import PERSON
from penstock.web.page import asset, page

SCRIPTS = (
    "random.js matrix.js network.js formula.js stage.js figures/signal.js figures/neurons.js figures/rules.js "
    "figures/beyond.js figures/race.js questions.js lesson.js"
).split()

DIGITS = 1000
"""So many of the 1797 digits go into the page: 64 kB, enough for a race of some hundred steps."""


def lesson_page() -> str:
    """The whole lesson as one HTML document."""
    scripts = [asset("penstock.web", "chart.js"), DATA, *(asset("penstock.lesson", name) for name in SCRIPTS)]
    return page(
        "Weight initialization: pipes of the right width · penstock",
        body=asset("penstock.lesson", "lesson.html"),
        styles=[asset("penstock.web", "style.css"), asset("penstock.lesson", "lesson.css")],
        scripts=scripts,
        data={"laws": _laws(), "digits": _digits()},
    )


DATA = 'const DATA = JSON.parse(document.getElementById("data").textContent);'


def _laws() -> dict[str, Any]:
    """The constants of the random streams, from the code that Python itself draws with: one truth."""
    return {
        "person": PERSON.decode(),
        "centre": _centre(transforms.CENTRE),
        "centreEnd": transforms.CENTRE_END,
        "truncated": _centre(transforms.TRUNCATED),
        "truncatedStd": transforms.TRUNCATED_STD,
        "tail": {
            "log": _floats(transforms.LOG),
            "factor": float(transforms.TAIL_FACTOR),
            "numerator": _floats(transforms.TAIL_NUMERATOR),
            "denominator": _floats(transforms.TAIL_DENOMINATOR),
        },
        "exponentOf2To32": float(transforms.EXPONENT_OF_2_32),
    }


def _centre(law: transforms.Centre) -> dict[str, Any]:
    return {
        "step": float(law.step),
        "numerator": _floats(law.numerator),
        "denominator": _floats(law.denominator),
    }


def _floats(values: Any) -> list[float]:
    return [float(value) for value in values]


def _digits() -> dict[str, Any]:
    """Pixels 0 to 16 as the characters "0" to "@", 64 a digit, and the labels as one string of figures."""
    labels, pixels = asset("penstock.lesson", "digits.txt").split()
    values = [ord(character) - ord("0") for character in pixels]
    mean = sum(values) / len(values)
    std = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
    return {"labels": labels, "pixels": pixels, "mean": mean, "std": std}
