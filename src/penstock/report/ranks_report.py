"""The report on what ranks, or files, hold of one model."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from penstock.checks.finding import Finding
from penstock.checks.held import Holdings
from penstock.report.verdict import Verdict

VERSION = 1


@dataclass(frozen=True)
class RanksReport(Verdict):
    """What `penstock.check_ranks` found, or `penstock check` in files of weights.

    Attributes:
        holdings: what each rank, or each file, holds: hashes and counts.
        findings: worst first.
    """

    holdings: Holdings
    findings: tuple[Finding, ...]

    @property
    def model(self) -> str:
        """The model's class, or the path of the files."""
        return self.holdings.model

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, with a version; "kind" is "ranks"."""
        from penstock.report.json import plain, verdict_to_dict

        return plain(
            {
                "version": VERSION,
                "kind": "ranks",
                "verdict": verdict_to_dict(self),
                "model": self.model,
                "findings": self.findings,
                "parts": self.holdings.parts,
                "notes": self.holdings.notes,
            }
        )

    def to_json(self) -> str:
        """The report as JSON text that any strict parser reads."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def facts(self) -> list[str]:
        """What was looked at, as short phrases."""
        held = self.holdings
        sizes = {part.name: math.prod(part.shape) for part in held.parts}
        count = len(held.places)
        phrases = [
            f"{len(sizes):,} tensors",
            f"{sum(sizes.values()):,} elements",
            f"{count} {held.kind}{'s' * (count != 1)}",
        ]
        sharded = len({part.name for part in held.parts if math.prod(part.shape) != part.elements})
        return [*phrases, f"{sharded} sharded"] if sharded else phrases

    def __str__(self) -> str:
        from penstock.report.ranks_text import ranks_to_text

        return ranks_to_text(self)

    def __repr__(self) -> str:
        return f"<RanksReport of {self.model}: {self.counted()}>"

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from penstock.report.ranks_text import render_ranks

        yield from render_ranks(self, width=options.max_width)
