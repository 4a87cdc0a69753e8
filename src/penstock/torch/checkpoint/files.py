"""Which tensors lie in which files of a checkpoint, whatever its format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from penstock.checks.held import Box
from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.ledger.weights_file import Stored, read_header

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
DISTRIBUTED = ".metadata"
"""Name of the file that makes a folder a torch distributed checkpoint."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a tensor in a file.

    Attributes:
        place: the file's name.
        name, shape, dtype: of the whole tensor.
        box: which part of it.
        values: as stored.
    """

    place: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    box: Box
    values: npt.NDArray[Any]


def chunks_of(path: Path, *, allow_pickle: bool) -> Iterator[Chunk]:
    """Every part of every tensor of a checkpoint: a file, or a folder of them.

    Raises:
        ArgumentError: if there is nothing to read, or a file is damaged, or an index names what is not there.
        UnsupportedError: if only pickle could read it, which runs code that is in the file.
    """
    if path.is_dir() and (path / DISTRIBUTED).exists():
        from penstock.torch.checkpoint.distributed import chunks_of_distributed

        yield from chunks_of_distributed(path)
        return
    files = _files(path)
    pickled = [file for file in files if file.suffix in PICKLES]
    if pickled and not allow_pickle:
        raise UnsupportedError(
            message(
                f"check: {str(pickled[0])!r} is a pickle; reading one can run code that is in it.",
                hint=f"penstock check {path} --allow-pickle  # only for files that you trust",
            )
        )
    for file in files:
        if file.suffix in PICKLES:
            from penstock.torch.checkpoint.pickled import chunks_of_pickle

            yield from chunks_of_pickle(file)
        else:
            yield from (_chunk(tensor) for tensor in read_header(file).values())


def _files(path: Path) -> list[Path]:
    if path.suffix == ".json" and path.is_file():
        return _indexed(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ArgumentError(message(f"check: there is no file or folder {str(path)!r}."))
    indices = sorted(path.glob("*.index.json"))
    safe = sorted(path.glob("*.safetensors"))
    named = [file for index in indices for file in _indexed(index)]
    files = list(dict.fromkeys([*named, *safe])) or [f for f in sorted(path.iterdir()) if f.suffix in PICKLES]
    if not files:
        raise ArgumentError(
            message(
                f"check: {str(path)!r} must hold .safetensors files or a distributed checkpoint; it holds neither.",
                hint="penstock check path/to/weights/",
            )
        )
    return files


def _indexed(index: Path) -> list[Path]:
    """The files of an index; each must be there, inside its folder, and hold what the index says."""
    try:
        table = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        pairs = [(str(name), str(file)) for name, file in table.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ArgumentError(message(f"check: {str(index)!r} must be an index of weights with a weight_map.")) from None
    files: dict[str, Path] = {}
    for name, file in pairs:
        if Path(file).name != file:
            raise ArgumentError(message(f"check: {str(index)!r} names {file!r} for {name!r}, outside its folder."))
        files[file] = index.parent / file
    for file in files.values():
        if file.suffix == ".safetensors":
            held = read_header(file)
            missing = [name for name, named in pairs if named == file.name and name not in held]
            if missing:
                raise ArgumentError(
                    message(f"check: {str(index)!r} says that {file.name!r} holds {missing[0]!r}; it does not.")
                )
    return list(files.values())


def _chunk(tensor: Stored) -> Chunk:
    box = tuple((0, size) for size in tensor.shape)
    return Chunk(tensor.path.name, tensor.name, tensor.shape, tensor.dtype, box, tensor.array())
