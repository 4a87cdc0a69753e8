"""Audit every family of the transformers package that a small configuration builds, and write docs/audit.md.

    python docs/audit_families.py            # goes on where it was broken off
    python docs/audit_families.py bert clip  # only these, again
    python docs/audit_families.py --page     # only the page, from what was found

Each family is audited in a process that has loaded the package once; one that takes too long or dies is noted, and the
next one gets a new process. What was found is kept in build/audit_families.jsonl, one line a family.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "build" / "audit_families.jsonl"
PAGE = ROOT / "docs" / "audit.md"
TIMEOUT = 300.0
"""Seconds for one family."""


def main() -> None:
    """Audit what has not been audited yet, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("families", nargs="*", help="model types; all that have not been audited by default")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.families)
        return
    found = read()
    if not arguments.page:
        names = arguments.families or [name for name in all_families() if name not in found]
        RESULTS.parent.mkdir(exist_ok=True)
        for row in supervise(names):
            found[row["family"]] = row
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{len(found):4} {row['family']:32} {row.get('failed') or row['findings'] or 'ok'}", flush=True)
    PAGE.write_text(page(list(found.values())), encoding="utf-8")
    print(PAGE)


def read() -> dict[str, dict[str, Any]]:
    """What was found so far; the last line of a family counts."""
    if not RESULTS.exists():
        return {}
    rows = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    return {row["family"]: row for row in rows}


def all_families() -> list[str]:
    """Every model type that has a plain model."""
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    return [name for name in CONFIG_MAPPING if name in MODEL_MAPPING_NAMES]


# -- one process that audits ----------------------------------------------------------------------------------------


def work(names: list[str]) -> None:
    """Audit families one after the other; a line of JSON each on the standard output."""
    import logging
    import warnings

    import torch

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    results, sys.stdout = sys.stdout, sys.stderr
    for name in names:
        print(json.dumps(audit_family(name)), file=results, flush=True)


def audit_family(name: str) -> dict[str, Any]:
    """What an audit of one family's plain model finds."""
    import transformers

    import penstock
    from penstock.cli.targets import parse_target
    from penstock.cli.tiny import small_factory

    row: dict[str, Any] = {"family": name, "transformers": transformers.__version__}
    start = time.process_time()
    try:
        factory, size = small_factory(parse_target(f"hf:{name}"))
        report = penstock.audit(factory)
    except Exception as error:
        return {**row, "failed": " ".join(str(error).split())[:300]}
    tensors = report.audited.tensors.values()
    unwritten = {
        path: [t.name for t in tensors if (h := getattr(t, path)) is not None and h.unwritten > 0]
        for path in ("direct", "meta")
    }
    return {
        **row,
        "model": report.model,
        "parameters": size,
        "tensors": len(tensors),
        "paths": report.audited.paths,
        **unwritten,
        "findings": [[f.code, f.severity, f.place, f.observation] for f in report.findings],
        "notes": report.audited.notes,
        "seconds": round(time.process_time() - start, 2),
    }


def supervise(names: list[str]) -> Iterator[dict[str, Any]]:
    """The row of each family, from a process that is replaced when it dies or takes too long over one."""
    left = list(names)
    while left:
        command = [sys.executable, __file__, "--worker", *left]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=_environment()
        )
        lines: queue.Queue[str | None] = queue.Queue()
        reader = threading.Thread(target=_pump, args=(process, lines), daemon=True)
        reader.start()
        try:
            while left:
                try:
                    # The first family waits for the package to load, too.
                    line = lines.get(timeout=TIMEOUT)
                except queue.Empty:
                    line, why = None, f"took longer than {TIMEOUT:.0f} s"
                else:
                    why = "ended its process"
                if line is None:
                    yield {"family": left.pop(0), "failed": why}
                    break
                left.pop(0)
                yield json.loads(line)
        finally:
            process.kill()
            process.wait()


def _pump(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    for line in process.stdout or ():
        lines.put(line)
    lines.put(None)


def _environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "OMP_NUM_THREADS": "1"}


# -- the page -------------------------------------------------------------------------------------------------------

INTRODUCTION = """# Audit: who wrote each parameter

`penstock.audit` builds a model on memory that is filled with a NaN whose bits no computation makes, runs its own
initialization, and says who wrote what and what nobody wrote:

```python
report = penstock.audit(build)   # a function or class without arguments, or a model
print(report)                    # findings, then who wrote each group of parameters, with what, and the std measured
report.ok, report.findings, report.audited.tensors
```

```
penstock audit package.module:build
penstock audit nets.py:Net --format github
penstock audit hf:clip
```

It takes two paths. **Directly**: the model is built as a script builds it. **Over the meta device**: it is built
without memory, given some, and initialized by its own methods, as libraries do it when they load a checkpoint;
whatever a constructor writes is lost there. A parameter that is written on the first path and not on the second is fine
in tests that build the model, and is whatever was in memory when a checkpoint lacks its key.

| finding | what |
| --- | --- |
| [U101](findings/U101.md) | nothing writes it |
| [U102](findings/U102.md) | NaN or infinite values were written |
| [U104](findings/U104.md) | an initialization is overwritten by a more general one |
| [U105](findings/U105.md) | the initializer wrote to a copy |
| [U106](findings/U106.md) | measured mean or std are not what was asked for |
| [S102](findings/S102.md) | two parameters hold the same drawn values |

The audit reads the call stack and sees every operation below autograd; nothing is patched, and the model, its class and
all random states stay as they are. A model of another library than transformers is initialized, over the meta device,
by each module's `reset_parameters`, then by the outermost `init_weights`, `initialize_weights` or `_init_weights`.
What writes through NumPy or C++ is measured but not attributed. A factory is called twice.

In Keras and JAX every array is written when it is made, so nothing can be left unwritten. `penstock.audit(build)`
builds a Keras model from one seed and compares each parameter with what its layer's initializer is asked for (U106);
one initializer instance in two layers of one shape is found as S102. JAX shows no writer: `penstock.audit(module,
batch)` of a linen module or a transformed function of Haiku, and `penstock.audit(lambda key: Net(nnx.Rngs(key)))`,
initialize under two keys, and find copies (a key used twice) and numbers that are none, and note what no key decides.
"""


def page(rows: list[dict[str, Any]]) -> str:
    """The documentation's page."""
    rows = sorted(rows, key=lambda row: row["family"])
    done = [row for row in rows if "failed" not in row]
    failed = [row for row in rows if "failed" in row]
    versions = ", ".join(sorted({row["transformers"] for row in done}))
    unwritten = [row for row in done if row["meta"] or row["direct"]]
    seconds = sum(row["seconds"] for row in done)
    lines = [
        INTRODUCTION,
        "## Every family of transformers",
        "",
        f"transformers {versions}: {len(done)} families whose plain model (`AutoModel`) a small configuration builds, "
        f"{sum(row['tensors'] for row in done):,} parameters and buffers, {seconds:.0f} s of one CPU core. "
        f"**{len(unwritten)} leave parameters unwritten on the path over the meta device**, "
        f"{sum(bool(row['direct']) for row in done)} when they are built directly. The command that makes this page: "
        "`python docs/audit_families.py`.",
        "",
        "| family | parameters | unwritten, directly | unwritten, over meta | other findings |",
        "| --- | ---: | ---: | ---: | --- |",
        *(table_row(row) for row in sorted(done, key=lambda row: (not row["findings"], row["family"]))),
    ]
    first = [row for row in done if row["findings"]]
    lines += ["", "## What was found", ""]
    lines += [f"- **{row['family']}** {finding_text(row)}" for row in first]
    lines += ["", "## Not built", "", f"{len(failed)} families were not built from their small configuration here:", ""]
    reasons: dict[str, list[str]] = {}
    for row in failed:
        reasons.setdefault(reason(row["failed"]), []).append(row["family"])
    lines += [f"- {why}: {', '.join(names)}." for why, names in sorted(reasons.items(), key=lambda item: -len(item[1]))]
    return "\n".join(lines) + "\n"


def table_row(row: dict[str, Any]) -> str:
    """One family's line of the table."""
    total = row["tensors"]
    counts = [f"{len(row[path])} of {total}" if row[path] else "0" for path in ("direct", "meta")]
    if "meta" not in row["paths"]:
        counts[1] = "not taken"
    codes = Counter(code for code, _, _, _ in row["findings"] if code != "U101")
    others = ", ".join(f"{code} ({n})" if n > 1 else code for code, n in codes.items())
    return f"| {row['family']} | {row['parameters']:,} | {counts[0]} | {counts[1]} | {others} |"


def finding_text(row: dict[str, Any]) -> str:
    """The worst finding of a family in one line."""
    code, _, place, observation = row["findings"][0]
    more = f" (and {len(row['meta']) - 1} more)" if len(row["meta"]) > 1 else ""
    _, found, rest = observation.partition("built directly they come from ")
    if found:
        return f"{code} `{place}`{more}: only the constructor writes it, {rest.partition(';')[0]}."
    return f"{code} `{place}`{more}: {observation.partition(' writes to ')[0]} writes to what was computed from it."


def reason(text: str) -> str:
    """Why a family was not built, in a few words that many share."""
    if "requires the" in text:
        return f"a package that is not installed ({text.partition('requires the ')[2].partition(' ')[0]})"
    if "more than" in text:
        return "no small configuration was found"
    if "took longer" in text or "ended its process" in text:
        return text
    return "the default configuration does not build it"


if __name__ == "__main__":
    main()
