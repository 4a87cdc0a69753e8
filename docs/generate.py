"""Write everything in the documentation that comes from the code: findings, recipes, gallery, picture.

Run it from anywhere: python docs/generate.py
"""

from __future__ import annotations

from pathlib import Path

import blocks
import gallery
import picture

from penstock.checks.registry import CHECKS
from penstock.report.explain import write_pages

FINDINGS = Path(__file__).resolve().parent / "findings"


def main() -> None:
    """Write all pages and say which."""
    pages = write_pages(FINDINGS, CHECKS)
    print(f"{FINDINGS}: {len(pages)} pages")
    for path in dict.fromkeys([*blocks.write(), *gallery.write(), *picture.write()]):
        print(path)


if __name__ == "__main__":
    main()
