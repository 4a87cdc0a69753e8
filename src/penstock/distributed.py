"""The public doors for models that begin without memory, and for those that many ranks hold together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.frameworks import adapter_named, adapter_of
from penstock.ledger.book import Ledger
from penstock.planning.plan import Plan
from penstock.recipes.recipe import Recipe
from penstock.report.ranks_report import RanksReport


def materialize(
    model: Any,
    *,
    seed: int,
    plan: Plan | Mapping[str, Recipe] | None = None,
    device: Any = "cpu",
    skip: Sequence[str] = (),
    progress: Callable[[int, int, str], None] | None = None,
    group: Any = None,
    timeout: float = 300.0,
) -> Ledger:
    """Give a model on the meta device its memory and its start, parameter by parameter, by what each of them is.

    No `reset_parameters` is called, and no more memory is taken than the weights need. On DTensors (`fully_shard`,
    tensor parallel layers) each rank makes its own part alone: the values are those of one process, bit for bit,
    whatever the mesh and the placements. Ranks that do not agree on seed, model or plan are told before anything is
    written; a rank that fails or dies fails all of them, and the model is left as it was.

    Without a plan, structure decides, since there are no data: see "What is drawn" in docs/sharded.md. Parameters that
    have memory already are drawn too (where they lie; a copy is kept until all is done); name those of a checkpoint in
    `skip`. Tied parameters are one. Buffers without memory, and parameters that are frozen from the start, are computed
    again by known rules or by calling their module's class with the arguments that it keeps.

    Args:
        model: a PyTorch module.
        seed: 0 <= seed < 2**64. Each parameter's values depend on it, its name and its shape alone.
        plan: from `penstock.plan`, or recipes by name or pattern for some parameters; None for none.
        device: where what is on the meta device goes to.
        skip: names or patterns of parameters and buffers that a checkpoint will load: they hold NaN until then.
        progress: called with the bytes done, the bytes in all, and the name of what was just written. By default a bar
            is shown where standard error is a terminal.
        group: the ranks that have to agree; by default those of the mesh that the parameters lie on. Give
            `torch.distributed.group.WORLD` for replicas and stages of a pipeline.
        timeout: how long a rank waits for the others. Seconds.

    Returns:
        The ledger: what was written, with a hash of each parameter (of each rank its own part).

    Raises:
        ArgumentError: if the seed, the plan or a pattern in `skip` does not fit, or ranks do not agree.
        UnsupportedError: if a parameter is placed by no rule, or a buffer cannot be computed again; they are named.
        ModelError: if another rank failed or did not answer.

    Examples:
        >>> import torch
        >>> with torch.device("meta"):
        ...     model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> penstock.materialize(model, seed=0)["2.weight"].recipe.describe()
        'fan_in truncated_normal(gain=1.414)'
        >>> model(torch.ones(1, 8)).shape
        torch.Size([1, 2])
    """
    return adapter_of(model, "materialize").materialize(
        model, seed=seed, plan=plan, device=device, skip=skip, progress=progress, group=group, timeout=timeout
    )


def check_ranks(model: Any, *, group: Any = None, timeout: float = 300.0) -> RanksReport:
    """Whether ranks that hold one model together hold the right parts: replicas equal, shards different, none left out.

    Every rank calls it and gets the same report. Only hashes and counts are sent.

    Args:
        model: a PyTorch module, with DTensors or plain tensors.
        group: the ranks; by default all of them.
        timeout: how long a rank waits for the others. Seconds.

    Returns:
        A report with findings R101 to R104; `report.ok` where there are none.

    Raises:
        ModelError: if a rank failed or did not answer.
        UnsupportedError: if `torch.distributed` is not set up, or parameters have no memory.
    """
    return adapter_of(model, "check_ranks").check_ranks(model, group=group, timeout=timeout)


def check_weights(
    path: str | os.PathLike[str], *, ledger: Ledger | None = None, allow_pickle: bool = False
) -> RanksReport:
    """What is wrong with weights in files, without their model: repeated rows and blocks, equal shards, gaps, garbage.

    Also layers that still are what they were drawn as, in a file whose other layers are not: never loaded, or never
    trained. Nothing in the files is run.

    Args:
        path: a .safetensors file, a folder of them (with an index or without), an index, or the folder of a torch
            distributed checkpoint.
        ledger: of the start; by default the one beside the file, if there is one.
        allow_pickle: read .bin, .pt and .pth files too. That can run code in them: only for files that you trust.

    Returns:
        A report with findings R101 to R103, S101, S103 and U107.

    Raises:
        ArgumentError: if there is nothing to read, or a file is damaged; it is named.
        UnsupportedError: if only pickle could read it, and `allow_pickle` is not set.
    """
    return adapter_named("torch").check_weights(path, ledger=ledger, allow_pickle=allow_pickle)
