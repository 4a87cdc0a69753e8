"""From the text of a TARGET to the object that it names.

package.module:Net              a class or a factory, which is called; or a model, which is taken as it is
path/to/file.py:build           the same, from a file
package.module:build(depth=20)  with keyword arguments, which are Python literals
hf:bert                         a Hugging Face model type with its default configuration
hf:path/to/config               a folder with a config.json, or that file
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.cli.usercode import user_code
from penstock.errors import ArgumentError, ModelError, message

FORMS = "package.module:Name, path/to/file.py:Name, either with (keyword=literal), or hf:bert"

_TEXT = re.compile(r"(?P<where>.+?):(?P<name>[A-Za-z_][\w.]*)(?P<call>\(.*\))?", re.DOTALL)
_HF = re.compile(r"hf:(?P<name>[^()]+)(?P<call>\(.*\))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Target:
    """A TARGET taken apart.

    Attributes:
        text: as it was written.
        kind: "module", "file" or "hf".
        where: module, file or (for hf) model type, file or folder.
        name: name in the module, may have dots; "" for hf.
        arguments: keyword arguments for the call.
        owner: the option or argument that it was given for, to begin messages with.
    """

    text: str
    kind: str
    where: str
    name: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    owner: str = "TARGET"


def parse_target(text: str, *, owner: str = "TARGET") -> Target:
    """Take a TARGET apart, without importing anything.

    Raises:
        ArgumentError: if the text has none of the forms, or an argument that is not a literal.

    Examples:
        >>> parse_target("nets.py:build(depth=20)").arguments
        {'depth': 20}
    """
    if match := _HF.fullmatch(text):
        return Target(text, "hf", match["name"], arguments=_arguments(text, match["call"], owner), owner=owner)
    match = _TEXT.fullmatch(text)
    if match is None:
        is_file = text.endswith(".py") and Path(text).is_file()
        raise ArgumentError(
            message(
                f"{owner} must be {FORMS}; got {text!r}.",
                hint=f"{text}:{_names_in_file(text)}" if is_file else "nets.py:build, for `def build()` in nets.py",
            )
        )
    kind = "file" if match["where"].endswith(".py") else "module"
    if kind == "module" and not all(part.isidentifier() for part in match["where"].split(".")):
        raise ArgumentError(f"{owner} must be {FORMS}; {match['where']!r} is neither a module's name nor a .py file.")
    return Target(text, kind, match["where"], match["name"], _arguments(text, match["call"], owner), owner)


def load(target: Target) -> Any:
    """Import what a target names, and call nothing.

    Raises:
        ArgumentError: if there is no such file, module or name.
        ModelError: if the import itself fails.
    """
    module = _import_file(target) if target.kind == "file" else _import_module(target)
    value: Any = module
    for part in target.name.split("."):
        if not hasattr(value, part):
            raise ArgumentError(_no_such_name(target, value, part))
        value = getattr(value, part)
    return value


def call(target: Target, function: Any) -> Any:
    """Call what a target names, with its arguments.

    Raises:
        ArgumentError: if the arguments do not fit.
        ModelError: if the call fails.
    """
    signature = _signature(function)
    if signature is not None:
        try:
            signature.bind(**target.arguments)
        except TypeError as error:
            raise ArgumentError(
                message(
                    f"{target.owner}: the arguments must fit {target.name}{signature}; {error}.",
                    hint=f"'{target.where}:{target.name}({_missing(signature)})'",
                )
            ) from None
    with user_code(f"{target.owner}: calling {target.text}"):
        return function(**target.arguments)


def describe(value: Any) -> str:
    """A few words on a value of the wrong kind."""
    kind = type(value).__name__
    if isinstance(value, tuple | list):
        return f"a {kind} of {len(value)} ({', '.join(type(v).__name__ for v in value[:3])})"
    return f"the module {value.__name__}" if isinstance(value, ModuleType) else f"a value of type {kind}"


def _arguments(text: str, call_text: str | None, owner: str) -> dict[str, Any]:
    if not call_text:
        return {}
    try:
        parsed = ast.parse(f"f{call_text}", mode="eval").body
    except SyntaxError as error:
        raise ArgumentError(f"{owner}: the arguments must be Python; got {call_text!r} ({error.msg}).") from None
    if not isinstance(parsed, ast.Call) or parsed.args or any(k.arg is None for k in parsed.keywords):
        raise ArgumentError(
            message(f"{owner}: arguments must have names; got {text!r}.", hint="nets.py:build(depth=20)")
        )
    values = {}
    for keyword in parsed.keywords:
        try:
            values[str(keyword.arg)] = ast.literal_eval(keyword.value)
        except ValueError:
            raise ArgumentError(
                message(
                    f"{owner}: {keyword.arg} must be a literal (a number, a string, True, a tuple ...); "
                    f"got {ast.unparse(keyword.value)}.",
                    hint="write a small factory function for anything more, and name that",
                )
            ) from None
    return values


def _import_module(target: Target) -> ModuleType:
    _search_here(Path.cwd())
    try:
        with user_code(f"{target.owner}: importing {target.where}"):
            return importlib.import_module(target.where)
    except ModelError as error:
        cause = error.__cause__
        # Only where the target itself is missing; a module that the user's own code lacks is that code's error.
        if isinstance(cause, ModuleNotFoundError) and f"{target.where}.".startswith(f"{cause.name}."):
            file = f"{target.where.replace('.', '/')}.py"
            raise ArgumentError(
                message(
                    f"{target.owner}: there is no module {cause.name!r}; "
                    f"looked in {Path.cwd()} and in this Python's packages.",
                    hint=f"{file}:{target.name}" if Path(file).is_file() else f"path/to/file.py:{target.name}",
                )
            ) from None
        raise


def _import_file(target: Target) -> ModuleType:
    path = Path(target.where).resolve()
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.py")], n=1)
        meant = str(Path(target.where).with_name(near[0])) if near else None
        raise ArgumentError(
            message(
                f"{target.owner}: there is no file {target.where!r}.", hint=f"{meant}:{target.name}" if meant else None
            )
        )
    _search_here(Path.cwd())
    _search_here(path.parent)  # so that the file finds its neighbours, as it does when it is run
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else f"penstock_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ArgumentError(f"{target.owner}: {target.where!r} is not a file that Python can import.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with user_code(f"{target.owner}: importing {target.where}"):
            spec.loader.exec_module(module)
    except ModelError:
        del sys.modules[name]
        raise
    return module


def _search_here(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _no_such_name(target: Target, owner: Any, part: str) -> str:
    public = [name for name in dir(owner) if not name.startswith("_") and callable(getattr(owner, name, None))]
    own = [n for n in public if getattr(getattr(owner, n), "__module__", None) == getattr(owner, "__name__", "")]
    near = difflib.get_close_matches(part, public, n=3, cutoff=0.6)
    names = near or sorted(own or public)[:12]
    told = f"The closest: {', '.join(near)}." if near else f"It has: {', '.join(names)}." if names else "It is empty."
    prefix = target.name.rpartition(".")[0] + "." if owner is not None and "." in target.name else ""
    hint = f"{target.where}:{prefix}{names[0]}" if names else None
    return message(f"{target.owner}: {target.where} has no {part!r}. {told}", hint=hint)


def _names_in_file(text: str) -> str:
    """The first class or function that a file defines, for the hint."""
    with contextlib.suppress(SyntaxError, ValueError, OSError):
        for node in ast.parse(Path(text).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                return node.name
    return "Name"


def _signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):  # some built-in callables have none to look at
        return None


def _missing(signature: inspect.Signature) -> str:
    needed = [p.name for p in signature.parameters.values() if p.default is p.empty and p.kind not in (2, 4)]
    return ", ".join(f"{name}=..." for name in needed)
