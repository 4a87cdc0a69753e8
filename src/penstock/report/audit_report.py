"""The report of an audit: who wrote what, and what was found, as one frozen value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from penstock.checks.finding import Finding
from penstock.provenance import Audited
from penstock.report.verdict import Verdict

VERSION = 1


@dataclass(frozen=True)
class AuditReport(Verdict):
    """What `penstock.audit` found.

    Attributes:
        audited: each parameter and buffer with its writers.
        findings: worst first.
    """

    audited: Audited
    findings: tuple[Finding, ...]

    @property
    def model(self) -> str:
        """Name of the model's class."""
        return self.audited.model

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data: dicts, lists, strings, finite numbers, bools and None.

        Returns:
            A dict with the keys "version", "kind" ("audit"), "verdict", "model", "library", "paths", "own", "findings",
            "tensors" and "notes".
        """
        from penstock.report.json import plain, verdict_to_dict

        audited = self.audited
        return plain(
            {
                "version": VERSION,
                "kind": "audit",
                "verdict": verdict_to_dict(self),
                "model": audited.model,
                "library": audited.library,
                "paths": audited.paths,
                "own": audited.own,
                "findings": self.findings,
                "tensors": list(audited.tensors.values()),
                "notes": audited.notes,
            }
        )

    def to_json(self) -> str:
        """The report as JSON text that any strict parser reads."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def __str__(self) -> str:
        from penstock.report.audit_text import audit_to_text

        return audit_to_text(self)

    def __repr__(self) -> str:
        return f"<AuditReport of {self.model}: {self.counted()}>"

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from penstock.report.audit_text import render_audit

        yield from render_audit(self, width=options.max_width)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from html import escape

        return {"text/plain": str(self), "text/html": f"<pre>{escape(str(self), quote=True)}</pre>"}
