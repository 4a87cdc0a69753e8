"""Small messages between ranks: some bytes from each to all, with a limit on the time that is waited."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch

from penstock.errors import ModelError, message

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup
    from torch.distributed.device_mesh import DeviceMesh

TIMEOUT = 300.0
"""Seconds that a rank waits for the others, if nothing else is said."""

Messages = dict[int, Any]
"""Global rank -> what it said."""


class Exchange:
    """Everybody tells everybody: within a process group, or along each dimension of a mesh in turn."""

    def __init__(self, where: ProcessGroup | DeviceMesh, *, function: str, timeout: float = TIMEOUT) -> None:
        """`function` is the public function that was called, for messages; `timeout` is in seconds."""
        import torch.distributed as dist
        from torch.distributed.device_mesh import DeviceMesh

        mesh = where if isinstance(where, DeviceMesh) else None
        self._groups = [where] if mesh is None else [mesh.get_group(d) for d in range(mesh.ndim)]
        self._function, self._limit = function, timeout
        self.rank = dist.get_rank()

    def tell(self, what: Any) -> Messages:
        """Send plain data (JSON), get that of all ranks.

        Raises:
            ModelError: if a rank ended or did not answer in time.
        """
        known: Messages = {self.rank: what}
        try:
            for group in self._groups:
                parts = _gathered(json.dumps(list(known.items())).encode(), group, self._limit)
                known = {rank: said for part in parts for rank, said in json.loads(part)}
        except RuntimeError as error:
            raise ModelError(
                message(
                    f"{self._function}: a rank ended, or did not answer in {self._limit:g} s; nothing is done here.",
                    because=str(error).partition("\n")[0][:200],
                    hint="look at the other ranks' errors: one of them came first",
                )
            ) from error
        return known


def _gathered(data: bytes, group: Any, limit: float) -> list[bytes]:
    """The bytes of every rank of a group: lengths first, then contents padded to the longest."""
    import torch.distributed as dist

    device = "cuda" if dist.get_backend(group) == "nccl" else "cpu"
    size = dist.get_world_size(group)
    lengths = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(size)]
    mine = torch.tensor([len(data)], dtype=torch.int64, device=device)
    _wait(dist.all_gather(lengths, mine, group=group, async_op=True), limit)
    longest = max(int(length) for length in lengths)
    padded = torch.frombuffer(bytearray(data.ljust(longest, b" ")), dtype=torch.uint8).to(device)
    boxes = [torch.zeros(longest, dtype=torch.uint8, device=device) for _ in range(size)]
    _wait(dist.all_gather(boxes, padded, group=group, async_op=True), limit)
    return [bytes(box.cpu().numpy()[: int(length)]) for box, length in zip(boxes, lengths, strict=True)]


def _wait(work: Any, limit: float) -> None:
    work.wait(timedelta(seconds=limit))
