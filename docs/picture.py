"""The picture of a report: of the demonstration's convnet on real digits, as penstock draws it."""

from __future__ import annotations

from pathlib import Path

from torch.nn.functional import cross_entropy

from penstock import doors
from penstock.demo.digits import load
from penstock.demo.stories import small_convnet
from penstock.demo.training import BATCH, quiet_torch
from penstock.report.svg import report_to_svg

PICTURE = Path(__file__).resolve().parent / "report.svg"


def picture() -> str:
    """The SVG: a check of eight convolutions whose weights are randn * 0.01."""
    with quiet_torch(0):
        digits = load()
        labels = digits.labels[:BATCH]
        report = doors.check(small_convnet(), digits.images[:BATCH], loss=lambda output: cross_entropy(output, labels))
    return report_to_svg(report, title="penstock.check(model, batch)")


def write() -> list[Path]:
    """Write docs/report.svg."""
    PICTURE.write_text(picture(), encoding="utf-8")
    return [PICTURE]
