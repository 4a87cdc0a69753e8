"""Torch distributed checkpoints, read without general pickle.

Their `.metadata` file is a pickle, of a handful of plain classes. It is read by an unpickler that knows these and
nothing else; tensors are read by `torch.load(weights_only=True)`.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.torch.checkpoint.files import DISTRIBUTED, Chunk
from penstock.torch.materialize.records import bits, name_of

_MODULES = ("torch.distributed.checkpoint.metadata", "torch.distributed.checkpoint.filesystem")
_CLASSES = frozenset(
    "Metadata TensorStorageMetadata BytesStorageMetadata ChunkStorageMetadata TensorProperties MetadataIndex "
    "StorageMeta _MEM_FORMAT_ENCODING _StorageInfo _StoragePrefix".split()
)
_PATHS = ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")
_PLAIN = {
    ("torch", "Size"),
    ("collections", "OrderedDict"),
    ("torch.serialization", "_get_layout"),
    *(("pathlib", name) for name in _PATHS),
}


class _Unpickler(pickle.Unpickler):
    """Knows the classes of a checkpoint's metadata."""

    def find_class(self, module: str, name: str) -> Any:
        if (module in _MODULES and name in _CLASSES) or (module, name) in _PLAIN:
            return super().find_class(module, name)
        if module == "torch" and isinstance(
            getattr(torch, name, None), torch.dtype | torch.layout | torch.memory_format
        ):
            return getattr(torch, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def chunks_of_distributed(folder: Path) -> Iterator[Chunk]:
    """Every stored part of every tensor; the states of optimizers are left out.

    Raises:
        ArgumentError: if a file is missing, damaged, or asks for anything but a checkpoint's own classes.
    """
    metadata = _metadata(folder)
    for name, tensor in metadata.state_dict_metadata.items():
        if name.partition(".")[0].startswith("optim") or not hasattr(tensor, "chunks"):
            continue
        shape = tuple(int(size) for size in tensor.size)
        for chunk in tensor.chunks:
            key = next(
                (k for k in metadata.storage_data if k.fqn == name and tuple(k.offset or ()) == tuple(chunk.offsets)),
                None,
            )
            if key is None:
                raise _damaged(folder, f"it says nothing about where {name!r} lies")
            where = metadata.storage_data[key]
            box = tuple((int(o), int(o) + int(s)) for o, s in zip(chunk.offsets, chunk.sizes, strict=True))
            if any(not 0 <= a <= b <= n for (a, b), n in zip(box, shape, strict=True)):
                raise _damaged(folder, f"a part of {name!r} lies outside of it")
            values = _tensor(folder, where)
            if tuple(values.shape) != tuple(b - a for a, b in box):
                raise _damaged(folder, f"a part of {name!r} has the shape {tuple(values.shape)}")
            yield Chunk(str(where.relative_path), name, shape, name_of(values.dtype), box, bits(values))


def _metadata(folder: Path) -> Any:
    try:
        with (folder / DISTRIBUTED).open("rb") as file:
            metadata = _Unpickler(file).load()
        metadata.state_dict_metadata.items()
        metadata.storage_data.items()
    except OSError as error:
        raise ArgumentError(message(f"check: {str(folder)!r} cannot be read: {error.strerror}.")) from None
    except pickle.UnpicklingError as error:
        raise UnsupportedError(
            message(
                f"check: {str(folder / DISTRIBUTED)!r} is no metadata of a torch distributed checkpoint: {error}.",
                because="only the classes of such metadata are read: a pickle can run any code",
            )
        ) from None
    except Exception as error:  # damaged bytes can fail in any way inside an unpickler
        raise _damaged(folder, f"its metadata cannot be read ({type(error).__name__})") from None
    return metadata


def _tensor(folder: Path, where: Any) -> torch.Tensor:
    relative = str(where.relative_path)
    if Path(relative).name != relative:
        raise _damaged(folder, f"it names {relative!r}, outside of its folder")
    try:
        with (folder / relative).open("rb") as file:
            file.seek(where.offset)
            data = file.read(where.length)
        value = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except OSError as error:
        raise _damaged(folder, f"{relative!r} cannot be read: {error.strerror}") from None
    except Exception as error:  # as above
        raise _damaged(folder, f"a tensor in {relative!r} cannot be read ({type(error).__name__})") from None
    if not isinstance(value, torch.Tensor):
        raise _damaged(folder, f"{relative!r} holds {type(value).__name__} where a tensor should be")
    return value


def _damaged(folder: Path, fact: str) -> ArgumentError:
    return ArgumentError(message(f"check: {str(folder)!r} must be a whole torch distributed checkpoint; {fact}."))
