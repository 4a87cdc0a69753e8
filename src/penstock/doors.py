"""The public doors: they find the framework that a model belongs to and hand over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from penstock.fan_table import FansTable, fans_of_shape
from penstock.frameworks import adapter_of, find_adapter
from penstock.gains import Convention, Gain, gain_of
from penstock.gains import gain as _gain
from penstock.planning.plan import Initialization, Plan
from penstock.report.report import Report


def check(model: Any, batch: Any, *, loss: Callable[[Any], Any] | None = None) -> Report:
    """Say what is wrong with a model before its first step, why, and how to mend it.

    Runs one forward and one backward on the batch and measures every signal, every gradient and every parameter on
    the way. The model comes back exactly as it was: weights, buffers, gradients, training flag, hooks and the global
    random state, also when it raises.

    Args:
        model: a PyTorch module, in the mode (train or eval) that it should be checked in.
        batch: a tensor, a tuple of positional inputs, or a dict of keyword inputs. Real data is best; two inputs at
            least, or nothing can be said about whether they stay apart.
        loss: maps the model's output to a scalar. Default: the inner product of the outputs with fixed random numbers
            of unit variance, so that the backward signal starts at RMS 1.

    Returns:
        A report: it prints, `report.ok` says whether there is neither error nor warning, `report.findings` lists what
        was found, worst first.

    Raises:
        ArgumentError: if the batch holds no tensor or NaN, or the loss is no differentiable scalar.
        ModelError: if the model or the loss raises; their own error is the cause.
        UnsupportedError: if the model is none, has no memory (meta device), or belongs to no supported framework.

    Examples:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> _ = torch.nn.init.zeros_(model[0].weight)
        >>> batch = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
        >>> penstock.check(model, batch).findings[0].code
        'S101'
    """
    return adapter_of(model, "check").check(model, batch, loss=loss)


def plan(model: Any, batch: Any, *, loss: Callable[[Any], Any] | None = None, keep: Sequence[str] = ()) -> Plan:
    """Choose a recipe for every parameter of a model, with the reason; nothing is changed.

    Args:
        model: as for `penstock.check`, as are batch and loss.
        batch: one batch of data, as real as can be: its scale is read.
        loss: maps the model's output to a scalar.
        keep: names, or patterns such as "encoder.*", of parameters to leave alone: those loaded from a checkpoint.

    Returns:
        A plan: it prints, goes to JSON and back, and `plan.apply(model, seed=0)` writes it.

    Raises:
        ArgumentError, ModelError, UnsupportedError: as `penstock.check`; also if a name in `keep` fits no parameter.

    Examples:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> batch = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
        >>> penstock.plan(model, batch)["2.weight"].rule
        'heads'
    """
    return adapter_of(model, "plan").plan(model, batch, loss=loss, keep=keep)


def initialize(
    model: Any,
    batch: Any,
    *,
    loss: Callable[[Any], Any] | None = None,
    seed: int = 0,
    keep: Sequence[str] = (),
) -> Initialization:
    """Give a model the right start: check, plan, write, correct on the batch, check again. In place.

    Args:
        model: as for `penstock.plan`, as are the others.
        batch: one batch of data; each layer is corrected on it.
        loss: maps the model's output to a scalar.
        keep: names or patterns of parameters to leave alone.
        seed: 0 <= seed < 2**64. The same seed and parameter names give the same draws, whatever else is in the model.

    Returns:
        The plan, and the reports before and after; printed, it says what changed.

    Raises:
        ArgumentError, ModelError, UnsupportedError: as `penstock.plan`; then the model is as it was.

    Examples:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> batch = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
        >>> penstock.initialize(model, batch).after.ok
        True
    """
    return adapter_of(model, "initialize").initialize(model, batch, loss=loss, seed=seed, keep=keep)


def gain(activation: str | Callable[[Any], Any], *, variance: float = 1.0, convention: Convention = "exact") -> Gain:
    """The factor by which weights make up for what an activation does to its input; see `penstock.gains.gain`.

    Args:
        activation: a name, or any function of one argument: of NumPy arrays or of PyTorch tensors, a module too.
        variance: of the function's input.
        convention: "exact", or "torch" for the number of `torch.nn.init.calculate_gain`.

    Returns:
        The gains and the moments behind them; `float(gain)` is the forward gain 1 / sqrt(E[phi^2]).

    Raises:
        ArgumentError: if the name is unknown, or the function is not one of each element alone, or not finite.

    Examples:
        >>> round(float(penstock.gain("relu")), 6)
        1.414214
    """
    if not isinstance(activation, str) and callable(activation):
        adapter = find_adapter(activation)
        if adapter is not None:
            function, name = adapter.scalar_function(activation)
            return gain_of(function, name=name, variance=variance, convention=convention)
    return _gain(activation, variance=variance, convention=convention)


def fans(layer: Any, **roles: Any) -> FansTable:
    """fan_in and fan_out of every weight of a layer or a model, or of a shape whose axis roles are given.

    Args:
        layer: a module, or a weight or its shape.
        **roles: for a weight or a shape: in_axes, out_axes, window_axes, batch_axes, groups, ...; see
            `penstock.fan_table.fans_of_shape`.

    Returns:
        A table that prints; of a layer with one weight also `.fan_in` and `.fan_out`.

    Raises:
        ShapeError: if a shape is given and its axes do not fit.
        UnsupportedError: if this is neither a module of a supported framework nor a shape.

    Examples:
        >>> import torch
        >>> penstock.fans(torch.nn.Conv2d(32, 32, 3, groups=32)).fan_in
        9.0
        >>> penstock.fans((8, 64, 32), batch_axes=(0,), in_axes=(2,), out_axes=(1,)).fan_in
        32.0
    """
    if roles or isinstance(layer, (tuple, list)):
        return fans_of_shape(getattr(layer, "shape", layer), **roles)
    return adapter_of(layer, "fans").fans(layer)
