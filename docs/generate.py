"""Write everything in the documentation that comes from the code: findings, recipes, gallery, mean field, picture.

Run it from anywhere: python docs/generate.py
"""

from __future__ import annotations

from pathlib import Path

import blocks
import gallery
import meanfield_page
import named_plans
import picture

from penstock.checks.registry import CHECKS
from penstock.report.explain import write_pages

FINDINGS = Path(__file__).resolve().parent / "findings"


def main() -> None:
    """Write all pages and say which."""
    pages = write_pages(FINDINGS, CHECKS)
    print(f"{FINDINGS}: {len(pages)} pages")
    pages = [*blocks.write(), *gallery.write(), *meanfield_page.write(), *named_plans.write(), *picture.write()]
    for path in dict.fromkeys(pages):
        print(path)


if __name__ == "__main__":
    main()
