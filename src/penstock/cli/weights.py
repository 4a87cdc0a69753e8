"""Writing a model's weights to a file: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from penstock.errors import ArgumentError, MissingFrameworkError, message
from penstock.frameworks import adapter_of


def check_file(path: Path, *, option: str, suffix: str, force: bool) -> None:
    """Refuse a path that cannot be written, before any work is done.

    Raises:
        ArgumentError: if the file exists and `force` is not set, its folder does not, or its name ends otherwise.
    """
    if path.suffix != suffix:
        raise ArgumentError(
            message(f"{option} must end in {suffix}; got {str(path)!r}.", hint=f"{option} {path.with_suffix(suffix)}")
        )
    if path.is_dir() or (path.exists() and not force):
        raise ArgumentError(message(f"{option}: {path} exists.", hint="--force writes over it"))
    if not path.parent.is_dir():
        raise ArgumentError(
            message(f"{option}: there is no folder {str(path.parent)!r}.", hint=f"mkdir -p {path.parent}")
        )


def check_output(path: Path, *, force: bool) -> None:
    """The same for weights.

    Raises:
        ArgumentError: as `check_file`.
        MissingFrameworkError: if safetensors is not installed.
    """
    check_file(path, option="--output", suffix=".safetensors", force=force)
    try:
        import safetensors  # noqa: F401  (only whether it is there)
    except ImportError as error:
        raise MissingFrameworkError(
            message("penstock init needs safetensors to write weights.", hint="pip install 'penstock[files]'")
        ) from error


def reader_of(model: Any, path: Path) -> str:
    """The call of the model's framework that reads a file of its weights."""
    return adapter_of(model, "initialize").file_reader.format(path=str(path))


SUFFIXES = (".safetensors", ".index.json", ".bin", ".pt", ".pth", ".ckpt")


def is_weights(target: str) -> bool:
    """Whether a command's target is a file or a folder of weights, and no model."""
    path = Path(target)
    return path.is_dir() or (path.is_file() and target.endswith(SUFFIXES)) or target.endswith(".safetensors")


def save(model: Any, path: Path) -> int:
    """Write a model's state to a safetensors file. Tied tensors are written once.

    The file appears under its name when it is complete, so a process that dies leaves the old one, or none.

    Args:
        model: a model of a supported framework.
        path: where to.

    Returns:
        Size of the file. Bytes.
    """
    # In the same folder: a rename between file systems would be a copy.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        adapter_of(model, "initialize").save(model, str(part))
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)  # mkstemp's files are private; weights should be as readable as any other file
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path.stat().st_size
