"""Reads the source of penstock and lists what breaks its structure: imports that point up, frameworks outside
their adapter, files and functions that have grown too long.

Run alone (`python tests/architecture.py`) it prints them and exits with 1 if there are any.

A layer may import itself and the layers before it. What counts is every import statement, also inside functions and
under `TYPE_CHECKING`: a name that a module knows about is a dependency whenever it is loaded. `penstock/__init__.py`
is the last layer and so may import all.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "penstock"

ORDER = tuple(
    """
    errors randomness geometry fan_table inputs quadrature moments activations gains recipes conventions numpy
    graph saturation signals tracing provenance frameworks building meanfield checks ledger web lesson report planning
    racing torch jax keras doors distributed demo cli testing pytest_plugin __init__
    """.split()
)

# Module -> layer that it may name although that layer comes later, and why.
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("frameworks", "planning"): "the protocol of an adapter says what its functions return; for types only",
    ("frameworks", "ledger"): "the same",
    ("frameworks", "report"): "the same",
    ("frameworks", "racing"): "the same",
}

FRAMEWORKS = frozenset({"torch", "torchvision", "jax", "jaxlib", "flax", "equinox", "haiku", "keras", "tensorflow"})

# Layer -> frameworks that it may import; with "inside functions" only where True.
ADAPTERS: dict[str, tuple[frozenset[str], bool]] = {
    "torch": (frozenset({"torch"}), False),
    "jax": (frozenset({"jax", "haiku", "flax", "equinox"}), False),
    "keras": (frozenset({"keras", "tensorflow", "jax", "torch"}), False),  # its backends
    "demo": (frozenset({"torch"}), True),
}

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60


def module_name(path: Path, source: Path = SOURCE) -> str:
    """`checks/finding.py` -> "checks.finding"; a package's `__init__.py` has the package's name."""
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imports(tree: ast.Module, module: str, *, is_package: bool) -> Iterator[tuple[int, str, bool]]:
    """Each import as (line, absolute name, whether it stands inside a function or under `TYPE_CHECKING`)."""
    here = ["penstock", *([] if module == "__init__" else module.split("."))]
    package = here if is_package else here[:-1]
    inside = {id(node) for block in ast.walk(tree) if _runs_later(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            # `from penstock import graph` names a layer only together with what is imported from it.
            named = [f"{name}.{alias.name}" for alias in node.names] if name == "penstock" else [name]
            for each in named:
                yield node.lineno, each, id(node) in inside


def _runs_later(node: ast.AST) -> bool:
    """Whether what stands inside is not run when the module is imported."""
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def import_problems(text: str, module: str, *, is_package: bool = False) -> list[str]:
    """Imports of one module that point up, or at a framework which is not its own."""
    layer = module.split(".", maxsplit=1)[0]
    if layer not in ORDER:
        return [f"{module}: the layer {layer!r} is not in ORDER of tests/architecture.py"]
    problems = []
    for line, name, inside in imports(ast.parse(text), module, is_package=is_package):
        root, _, rest = name.partition(".")
        target = rest.split(".")[0]
        allowed, only_inside = ADAPTERS.get(layer, (frozenset(), False))
        if root in FRAMEWORKS and root not in allowed:
            problems.append(f"{module}:{line}: imports {name}; only the adapter penstock.{root} may")
        elif root in FRAMEWORKS and only_inside and not inside:
            problems.append(f"{module}:{line}: imports {name} at the top; {layer} may do so inside functions only")
        elif root == "penstock" and target in ORDER and ORDER.index(target) > ORDER.index(layer):
            if (module, target) not in EXCEPTIONS:
                problems.append(f"{module}:{line}: imports penstock.{target}, which lies above {layer}")
        elif root == "penstock" and target not in ORDER and layer != "__init__":
            problems.append(f"{module}:{line}: imports {name}; name the module that defines it")
    return problems


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from its `def` on, without its docstring."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def size_problems(text: str, module: str) -> list[str]:
    """The file and the functions of one module that are too long."""
    lines = len(text.splitlines())
    problems = [f"{module}: {lines} lines; at most {MAX_FILE_LINES}"] if lines > MAX_FILE_LINES else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and length(node) > MAX_FUNCTION_LINES:
            problems.append(
                f"{module}:{node.lineno}: {node.name} has {length(node)} lines without its docstring; "
                f"at most {MAX_FUNCTION_LINES}"
            )
    return problems


def stale_exceptions(source: Path = SOURCE) -> list[str]:
    """Exceptions that no import needs any more."""
    stale = []
    for module, layer in EXCEPTIONS:
        path = source.joinpath(*module.split(".")).with_suffix(".py")
        tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
        named = {
            name.split(".")[1] for _, name, _ in imports(tree, module, is_package=False) if name.startswith("penstock.")
        }
        if layer not in named:
            stale.append(f"{module}: EXCEPTIONS lets it import penstock.{layer}, which it does not")
    return stale


def all_problems(source: Path = SOURCE) -> list[str]:
    """Everything that breaks the structure, in the order of the files."""
    problems = stale_exceptions(source)
    for path in sorted(source.rglob("*.py")):
        module, text = module_name(path, source), path.read_text(encoding="utf-8")
        problems += import_problems(text, module, is_package=path.name == "__init__.py")
        problems += size_problems(text, module)
    return problems


if __name__ == "__main__":
    found = all_problems()
    print("\n".join(found) if found else "structure: imports point down, files and functions are short")
    sys.exit(bool(found))
