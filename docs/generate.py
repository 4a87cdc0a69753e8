"""Write the documentation's pages that come from the code: one page a finding, and their index.

Run it from anywhere: python docs/generate.py
"""

from __future__ import annotations

from pathlib import Path

from penstock.checks.registry import CHECKS
from penstock.report.explain import write_pages

FINDINGS = Path(__file__).resolve().parent / "findings"


def main() -> None:
    """Write all pages and say how many."""
    pages = write_pages(FINDINGS, CHECKS)
    print(f"{len(pages)} pages written to {FINDINGS}")


if __name__ == "__main__":
    main()
