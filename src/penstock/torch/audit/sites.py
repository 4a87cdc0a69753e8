"""Which call is writing: the stack above an operation, read from inside out.

Nothing is patched. Frames of PyTorch and of initializer functions are passed over until one decides: user or library
code, or the `reset_parameters` of one of PyTorch's own layers. Initializers leave their arguments in their frame.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Literal

import torch
from torch import nn

Kind = Literal["torch", "layer", "initializer", "passed", "audit", "user"]

_PENSTOCK = str(Path(__file__).resolve().parents[2]) + os.sep
_TORCH = os.path.dirname(torch.__file__) + os.sep
_STANDARD = sysconfig.get_paths()["stdlib"] + os.sep
# Functions that fill the tensor they are given; who calls them decides.
_INITIALIZERS = (
    os.path.join(_TORCH, "nn", "init.py"),
    os.path.join("transformers", "initialization.py"),
    os.path.join("timm", "layers", "weight_init.py"),
    os.path.join(_PENSTOCK, "torch", "init") + os.sep,
)
_LAYERS = os.path.join(_TORCH, "nn", "modules") + os.sep
# Where torch's own modules only pass a call on: Module.apply, Module.__init__ ...
_PASSES_ON = os.path.join(_LAYERS, "module.py")
_DRIVER = os.path.join(_PENSTOCK, "torch", "audit") + os.sep


@dataclass(frozen=True, slots=True)
class Call:
    """One call that writes.

    Attributes:
        key: the same object for all operations of one call.
        writer, site, builtin: as in `penstock.provenance.Write`.
        initializers: frames of the initializer functions between the writer and the operation, outermost first.
        users: the nearest frames of user or library code, innermost first.
    """

    key: tuple[FrameType | None, int]
    writer: str
    site: str
    builtin: bool
    initializers: tuple[FrameType, ...]
    users: tuple[FrameType, ...]


MAX_USERS = 3
"""Frames of user code that are looked at for the module that is being initialized: helpers stand between."""


def calling() -> Call:
    """The call that runs the current operation."""
    initializers: list[FrameType] = []
    layer: FrameType | None = None
    users: list[FrameType] = []
    for frame, kind in _frames(sys._getframe(1)):
        if kind == "initializer" and layer is None and not users:
            initializers.insert(0, frame)
        elif kind == "layer" and not users:
            layer = layer or frame
        elif kind == "user":
            users.append(frame)
            if len(users) == MAX_USERS:
                break
    user = users[0] if users else None
    decider = layer or user
    at = user or layer
    key = (initializers[0], 0) if initializers else (decider, decider.f_lineno if decider else 0)
    return Call(
        key=key,
        writer=decider.f_code.co_qualname.replace("<locals>.", "") if decider else "",
        site=_site(at.f_code, at.f_lineno) if at else "",
        builtin=layer is not None,
        initializers=tuple(initializers),
        users=tuple(users),
    )


def modules_in(frames: tuple[FrameType, ...]) -> tuple[tuple[int, ...], ...]:
    """The ids of the modules that each frame holds in its variables."""
    return tuple(tuple(id(v) for v in list(frame.f_locals.values()) if isinstance(v, nn.Module)) for frame in frames)


def _frames(frame: FrameType | None) -> Iterator[tuple[FrameType, Kind]]:
    """The frames above one, up to the audit that drives them."""
    inside = True  # the recorder's own frames come first
    while frame is not None:
        kind = _kind(frame.f_code)
        if kind == "audit":
            if not inside:
                return
        else:
            inside = False
            yield frame, kind
        frame = frame.f_back


@lru_cache(maxsize=4096)
def _kind(code: CodeType) -> Kind:
    file = code.co_filename
    if file.startswith(_DRIVER):
        return "audit"
    if any(part in file for part in _INITIALIZERS):
        return "initializer"
    if file.startswith(_LAYERS) and file != _PASSES_ON:
        return "layer"
    if file.startswith(_TORCH):
        return "torch"
    standard = file.startswith((_STANDARD, "<frozen")) and "site-packages" not in file
    return "passed" if standard or file.startswith(_PENSTOCK) else "user"


def _site(code: CodeType, line: int) -> str:
    return f"{short_path(code.co_filename)}:{line}"


@lru_cache(maxsize=1024)
def short_path(file: str) -> str:
    """A file's path from its package on, or from the working folder on."""
    for mark in ("site-packages", "dist-packages"):
        _, found, rest = file.partition(f"{os.sep}{mark}{os.sep}")
        if found:
            return Path(rest).as_posix()
    here = os.getcwd() + os.sep
    return Path(file.removeprefix(here)).as_posix()
