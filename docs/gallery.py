"""Broken starts with what penstock really says about them: each is built, checked and mended when this runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blocks import README, write_block

from penstock import doors
from penstock.demo.training import quiet_torch
from penstock.planning.initialization import Initialization
from penstock.report.order import place_count, told
from penstock.report.report import Report
from penstock.report.table import DRAWN, wrap
from penstock.report.text import place_text, verdict_words

PAGE = Path(__file__).resolve().with_suffix(".md")
FOLDER = PAGE.with_suffix("")
WIDTH = 100

SETTING = """\
import torch, penstock
from torch import nn


def mlp(depth, act=nn.ReLU):
    hidden = [layer for _ in range(depth - 1) for layer in (nn.Linear(64, 64), act())]
    return nn.Sequential(*hidden, nn.Linear(64, 10))


batch = torch.randn(64, 64)"""


@dataclass(frozen=True, slots=True)
class Case:
    """A broken start.

    Attributes:
        title: what was done.
        code: the lines that do it; they make `model`, and `batch` where it is another than in SETTING.
        finds: code of the finding that must come first.
    """

    title: str
    code: str
    finds: str


CASES = (
    Case(
        "All zeros",
        "model = mlp(depth=4)\nfor p in model.parameters():\n    nn.init.zeros_(p)",
        "S101",
    ),
    Case(
        "A constant from a tutorial",
        "model = mlp(depth=10)\nfor layer in model[::2]:\n"
        "    nn.init.normal_(layer.weight, std=0.01), nn.init.zeros_(layer.bias)",
        "F101",
    ),
    Case(
        "Weights that are too large",
        "model = mlp(depth=20)\nfor layer in model[::2]:\n    nn.init.uniform_(layer.weight, -0.6, 0.6)",
        "F102",
    ),
    Case(
        "PyTorch's default, thirty layers of GELU",
        "model = mlp(depth=30, act=nn.GELU)",
        "F103",
    ),
    Case(
        "A deep stack of sigmoids",
        "model = mlp(depth=10, act=nn.Sigmoid)",
        "F103",
    ),
    Case(
        "Depthwise convolutions with the fan of dense ones",
        "pair = lambda: (nn.Conv2d(64, 64, 3, groups=64, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 1), nn.ReLU())\n"
        "model, batch = nn.Sequential(*pair(), *pair(), *pair()), torch.randn(8, 64, 8, 8)\n"
        "for conv in model[::2]:\n"
        "    nn.init.normal_(conv.weight, std=(2 / (conv.in_channels * conv.kernel_size[0] ** 2)) ** 0.5)",
        "G101",
    ),
    Case(
        "Memory that nobody initialized (here it held integers)",
        "model = mlp(depth=4)\n"
        "model[2].weight.data = torch.arange(64 * 64, dtype=torch.int32).view(torch.float32).view(64, 64)",
        "U103",
    ),
    Case(
        "Four ranks that drew the same shard",
        "model = mlp(depth=4)\nshard = torch.randn(16, 64) * 0.18\nmodel[2].weight.data = torch.cat([shard] * 4)",
        "S103",
    ),
    Case(
        "A bias that switches every ReLU off",
        "model = mlp(depth=4)\nnn.init.constant_(model[2].bias, -10.0)",
        "A101",
    ),
    Case(
        "tanh on its flat ends",
        "model = mlp(depth=4, act=nn.Tanh)\nfor layer in model[::2]:\n    nn.init.normal_(layer.weight, std=1.0)",
        "A102",
    ),
    Case(
        "A weight file with a hole in it",
        'model = mlp(depth=4)\nmodel[4].weight.data[3, 5] = float("nan")',
        "U102",
    ),
    Case(
        "Layers that are copies of one",
        "from copy import deepcopy\n\nblock = nn.Sequential(nn.Linear(64, 64), nn.ReLU())\n"
        "model = nn.Sequential(*[deepcopy(block) for _ in range(4)], nn.Linear(64, 10))",
        "S102",
    ),
)

IN_README = 8
"""So many, the first ones, stand in the README too."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A case with what came of it.

    Attributes:
        case: the case.
        done: what `penstock.initialize` did to it.
    """

    case: Case
    done: Initialization

    @property
    def before(self) -> Report:
        """The report on it as it was."""
        return self.done.before

    @property
    def after(self) -> Report:
        """The report on it, mended."""
        return self.done.after

    @property
    def file(self) -> Path:
        """Where its report stands as a page."""
        return FOLDER / (re.sub(r"[^a-z0-9]+", "_", self.case.title.lower()).strip("_") + ".html")


def play(case: Case) -> Shown:
    """Run a case's lines as they are printed, then check and mend the model."""
    with quiet_torch(0):
        names: dict[str, Any] = {}
        exec(f"{SETTING}\n{case.code}", names)
        done = doors.initialize(names["model"], names["batch"])
    return Shown(case, done)


def case_to_markdown(shown: Shown) -> str:
    """One case as Python: its lines, the worst finding as comments, the mend with the verdict after it."""
    finding = told(shown.before.findings)[0].finding
    more = place_count(finding) - 1
    said = [
        f"{finding.severity.upper()} {finding.code} {finding.title}, at {place_text(finding, WIDTH, DRAWN)}"
        + (f" and {more} more" if more else ""),
        *("  " + line for line in wrap(finding.observation, WIDTH - 4)),
        *(("  hint: " if i == 0 else "        ") + line for i, line in enumerate(wrap(finding.hint, WIDTH - 10))),
    ]
    comments = "\n".join(f"# {line}" for line in said)
    mend = f"penstock.initialize(model, batch)  # {verdict_words(shown.after)}"
    return f"**{shown.case.title}**\n```python\n{shown.case.code}\n{comments}\n{mend}\n```"


def page(shown: list[Shown]) -> str:
    """The page of the documentation: every case with its whole report."""
    parts = [
        "# Broken starts",
        "What `penstock.check(model, batch)` says about starts that people really write. Written by `make docs`, which "
        "runs every line. Before each:",
        f"```python\n{SETTING}\n```",
    ]
    for one in shown:
        parts += [
            f"## {one.case.title}",
            f"```python\n{one.case.code}\nprint(penstock.check(model, batch))\n```",
            f"```text\n{one.before}\n```",
            f"Mended by `penstock.initialize(model, batch)`: {verdict_words(one.after)}. "
            + " ".join(f"[{code}](findings/{code}.md)" for code in dict.fromkeys(f.code for f in one.before.findings))
            + f" · [before and after as a page]({FOLDER.name}/{one.file.name})",
        ]
    return "\n\n".join(parts) + "\n"


def write() -> list[Path]:
    """Write docs/gallery.md, its pages and the README's gallery.

    Raises:
        RuntimeError: if a start is no longer found broken as it should be, or no longer mended.
    """
    shown = [play(case) for case in CASES]
    for one in shown:
        first = one.before.findings[0].code if one.before.findings else "nothing"
        if first != one.case.finds or one.after.errors:
            raise RuntimeError(f"{one.case.title}: found {first}, not {one.case.finds}; after: {one.after!r}")
    PAGE.write_text(page(shown), encoding="utf-8")
    FOLDER.mkdir(exist_ok=True)
    for one in shown:
        one.done.to_html(one.file)
    write_block(README, "gallery", "\n".join(case_to_markdown(one) for one in shown[:IN_README]))
    return [PAGE, *(one.file for one in shown), README]
