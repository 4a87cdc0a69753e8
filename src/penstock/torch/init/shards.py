"""Which box of the whole tensor lies where on this rank: DTensor's placements as windows.

The index arithmetic is done here, and not taken from PyTorch, whose own gives only the first offset of a strided shard
and is private. Nothing of `torch.distributed` is imported unless a DTensor is handed over, which proves it is loaded.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import torch

from penstock.errors import UnsupportedError, message
from penstock.randomness import Window

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

Runs = tuple[tuple[int, int], ...]


class Split(NamedTuple):
    """One division of an axis among ranks.

    Attributes:
        ranks: how many take part.
        rank: which one this is.
        strided: pieces the axis is cut into first, each of which is then divided; 1 for a plain shard.
    """

    ranks: int
    rank: int
    strided: int = 1


def is_dtensor(tensor: torch.Tensor) -> TypeGuard[DTensor]:
    """Whether this is a DTensor, without importing distributed PyTorch."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def pieces(tensor: torch.Tensor) -> Iterator[tuple[torch.Tensor, Window | None]]:
    """The memory to be written on this rank, each piece with its window in the whole tensor; None for all of it.

    Raises:
        UnsupportedError: if the placements have pending sums, or this rank's part is not what they say.
    """
    if not is_dtensor(tensor):
        yield tensor, None
        return
    with torch.no_grad():  # the memory itself, not a view of it that autograd would know
        local = tensor.to_local()
    held, boxes = _boxes(tuple(tensor.shape), tuple(tuple(splits) for splits in _splits(tensor)))
    if held != tuple(local.shape):
        raise _unsupported(tensor, f"this rank holds a part of shape {tuple(local.shape)}, which they do not give")
    for place, window in boxes:
        yield local if place is None else local[place], window


@lru_cache(maxsize=1024)
def _boxes(
    shape: tuple[int, ...], splits: tuple[tuple[Split, ...], ...]
) -> tuple[tuple[int, ...], tuple[tuple[Window | None, Window], ...]]:
    """The shape of a rank's part; and where each of its boxes lies in it, None for all of it, and in the whole tensor.

    Kept, since the layers of a model are alike: a rank spends as much on this as on a small shard's values.
    """
    runs = [shard_runs(size, some) for size, some in zip(shape, splits, strict=True)]
    held = tuple(sum(stop - start for start, stop in axis) for axis in runs)
    whole = all(len(axis) == 1 for axis in runs)
    boxes = []
    for box in itertools.product(*runs):
        place = None if whole else tuple(slice(*_local(axis, run)) for axis, run in zip(runs, box, strict=True))
        boxes.append((place, tuple(slice(start, stop) for start, stop in box)))
    return held, tuple(boxes)


def shard_runs(size: int, splits: Sequence[Split]) -> Runs:
    """The indices of an axis that one rank holds, as runs (start, stop) in the order they lie in memory.

    Each split cuts as `torch.chunk` does: ranks get ceil(n / ranks) in turn, the last ones less or nothing.

    Args:
        size: of the whole axis.
        splits: from the first dimension of the mesh to the last.

    Examples:
        >>> shard_runs(10, [Split(4, 1)]), shard_runs(10, [Split(4, 3)])
        (((3, 6),), ((9, 10),))
        >>> shard_runs(8, [Split(2, 1, strided=2)])
        ((2, 4), (6, 8))
    """
    runs: Runs = ((0, size),)
    for ranks, rank, strided in splits:
        length = sum(stop - start for start, stop in runs)
        taken = []
        for start, stop in _chunks(0, length, strided):
            begin, end = _chunks(start, stop, ranks)[rank]
            taken += [_local_to_global(runs, begin, end)]
        runs = _merged(itertools.chain.from_iterable(taken))
    return runs


def shared_key(tensor: DTensor, key: int) -> int:
    """The key of the mesh's first rank, on all of them: the parts of one tensor must come from one key."""
    import torch.distributed as dist

    mesh = tensor.device_mesh
    box = torch.tensor([key - 2**63], dtype=torch.int64, device=mesh.device_type)
    # Along one dimension after the other: then all agree with the rank at the mesh's origin.
    for dimension in range(mesh.ndim):
        group = mesh.get_group(dimension)
        dist.broadcast(box, dist.get_global_rank(group, 0), group=group)
    return int(box.item()) + 2**63


def _splits(tensor: DTensor) -> list[list[Split]]:
    """For each axis its divisions among ranks, in the order of the mesh's dimensions."""
    coordinate = tensor.device_mesh.get_coordinate()
    if coordinate is None:
        raise _unsupported(tensor, "this rank is not in its mesh")
    axes: list[list[Split]] = [[] for _ in tensor.shape]
    for ranks, rank, placement in zip(tensor.device_mesh.shape, coordinate, tensor.placements, strict=True):
        # A strided shard is no Shard in newer versions of PyTorch, but has an axis and a factor.
        axis: Any = getattr(placement, "dim", None)
        if isinstance(axis, int):
            axes[axis].append(Split(ranks, rank, int(getattr(placement, "split_factor", 1))))
        elif not placement.is_replicate():
            raise _unsupported(tensor, "its values are sums still to be made")
    return axes


def _chunks(start: int, stop: int, count: int) -> list[tuple[int, int]]:
    step = max(1, -(-(stop - start) // count))
    edges = [min(start + i * step, stop) for i in range(count + 1)]
    return list(itertools.pairwise(edges))


def _local_to_global(runs: Runs, begin: int, end: int) -> list[tuple[int, int]]:
    """The part begin..end of the indices that the runs hold one after the other."""
    found, before = [], 0
    for start, stop in runs:
        first, last = max(begin - before, 0), min(end - before, stop - start)
        if first < last:
            found.append((start + first, start + last))
        before += stop - start
    return found


def _merged(runs: Iterator[tuple[int, int]]) -> Runs:
    """Neighbouring runs as one; an empty axis keeps one empty run."""
    merged: list[tuple[int, int]] = []
    for start, stop in runs:
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], stop)
        else:
            merged.append((start, stop))
    return tuple(merged) or ((0, 0),)


def _local(runs: Runs, run: tuple[int, int]) -> tuple[int, int]:
    """Where a run lies in this rank's memory."""
    begin = sum(stop - start for start, stop in runs[: runs.index(run)])
    return begin, begin + run[1] - run[0]


def _unsupported(tensor: DTensor, fact: str) -> UnsupportedError:
    return UnsupportedError(
        message(
            f"penstock.torch.init: a DTensor must be sharded or replicated; {fact}.",
            at=f"shape {tuple(tensor.shape)}, placements {tensor.placements}",
            hint="tensor.redistribute(placements=[Shard(0)]) first",
        )
    )
