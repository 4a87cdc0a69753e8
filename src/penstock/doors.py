"""The public doors: they find the framework that a model belongs to and hand over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.building import AnotherFramework, adapter_to_build
from penstock.fan_table import FansTable, fans_of_shape
from penstock.frameworks import adapter_of, find_adapter, model_and_batch
from penstock.gains import Convention, Gain, gain_of
from penstock.gains import gain as _gain
from penstock.planning.initialization import Initialization
from penstock.planning.named.choose import RecipeChoice
from penstock.planning.plan import Plan
from penstock.report.audit_report import AuditReport
from penstock.report.report import Report


def check(model: Any, batch: Any, *more: Any, loss: Callable[[Any], Any] | None = None) -> Report:
    """Say what is wrong with a model before its first step, why, and how to mend it.

    Runs one forward and one backward on the batch and measures every signal, every gradient and every parameter on
    the way. The model comes back exactly as it was: weights, buffers, gradients, training flag, hooks and the global
    random state, also when it raises.

    Args:
        model: a PyTorch module, in the mode (train or eval) that it should be checked in; a Keras model on the JAX or
            the PyTorch backend, which is run as it is trained and built from the batch if it is not; a Flax nnx or an
            Equinox module (mapped over the batch); or a function of (params, inputs) of JAX, and then its params:
            `check(module.apply, variables, batch)`.
        batch: a tensor, a tuple of positional inputs, or a dict of keyword inputs. Real data is best; two inputs at
            least, or nothing can be said about whether they stay apart.
        *more: the batch, where params stand before it.
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
    model, batch = model_and_batch("check", model, batch, more)
    return adapter_of(model, "check").check(model, batch, loss=loss)


def audit(model_or_factory: Any, batch: Any = None) -> AuditReport:
    """Say who wrote each parameter and buffer of a model, and what nobody wrote.

    The model is built on memory that is filled with a NaN whose bits no computation makes, and initialized: directly,
    and as libraries do it that load checkpoints (built on the meta device, given memory, initialized by its own
    methods). What is given and all random states stay as they are; nothing is patched. See docs/audit.md.

    In Keras and JAX every array is written when it is made. A Keras model is built from one seed and its parameters
    compared with what their initializers are asked for; a model of JAX is initialized under two keys.

    Args:
        model_or_factory: a function or class without arguments that builds the model, which is called once or twice;
            or a model. One of the transformers package is built anew from its configuration; of any other only its own
            initialization is watched, on a copy without weights. Of JAX: a linen module or a transformed function of
            Haiku, with a batch; or a function of `key` that makes a model or parameters.
        batch: for models that make their parameters from one.

    Returns:
        A report: it prints; `report.findings` are U101 (never written), U102 (not finite), U104 (overwritten), U105
        (written to a copy), U106 (not what was asked for), S102 (copies); `report.audited.tensors` has the writers.

    Raises:
        ArgumentError: if the factory needs arguments.
        ModelError: if the factory, or the model's own initialization, raises; their own error is the cause.
        UnsupportedError: if this is neither a model nor a factory of one, or cannot be copied.

    Examples:
        >>> import torch
        >>> penstock.audit(lambda: torch.nn.Linear(4, 2)).audited.tensors["bias"].direct.last.writer
        'Linear.reset_parameters'
    """
    adapter = adapter_to_build(model_or_factory)
    try:
        return adapter.audit(model_or_factory, batch)
    except AnotherFramework as found:
        if found.owner is None or found.owner is adapter:
            raise
        return found.owner.audit(model_or_factory, batch)


def plan(
    model: Any,
    batch: Any,
    *more: Any,
    loss: Callable[[Any], Any] | None = None,
    keep: Sequence[str] = (),
    recipe: RecipeChoice = "auto",
    names: Mapping[str, str] | None = None,
) -> Plan:
    """Choose a recipe for every parameter of a model, with the reason; nothing is changed.

    Args:
        model: as for `penstock.check`, as are batch and loss.
        batch: one batch of data, as real as can be: its scale is read.
        *more: the batch, where a function and its parameters come first, as for `penstock.check`.
        loss: maps the model's output to a scalar.
        keep: names, or patterns such as "encoder.*", of parameters to leave alone: those loaded from a checkpoint.
        recipe: "auto", which chooses for each parameter by what the network computes; a published plan by name
            ("torch", "keras", "gpt2", "fixup", "lsuv" ...: `penstock.planning.named.table.NAMED`); a recipe for all
            weights (`penstock.recipes.Orthogonal(1.0)`); a scheme (`penstock.recipes.schemes.GPT2(std=0.01)`); "auto"
            with other numbers for kernel shaping (`penstock.planning.Shaped(slope=1.2)`); or a function of a
            `penstock.planning.site.Site` that returns a recipe, a decision, or None for "as auto".
        names: parameter -> the name that it is drawn under, where that is not its own. The same architecture gets the
            same weights in another framework by the names that it has there: {"Dense_0.kernel": "fc1.weight"}.

    Returns:
        A plan: it prints, goes to JSON and back, and `plan.apply(model, seed=0)` writes it.

    Raises:
        ArgumentError, ModelError, UnsupportedError: as `penstock.check`; also if a name in `keep` fits no parameter, or
            there is no such recipe.

    Examples:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> batch = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
        >>> penstock.plan(model, batch)["2.weight"].rule
        'heads'
        >>> penstock.plan(model, batch, recipe="gpt2")["2.weight"].recipe
        Normal(sigma=0.02, mean=0.0)
    """
    model, batch = model_and_batch("plan", model, batch, more)
    return adapter_of(model, "plan").plan(model, batch, loss=loss, keep=keep, recipe=recipe, names=names)


def initialize(
    model: Any,
    batch: Any,
    *more: Any,
    loss: Callable[[Any], Any] | None = None,
    seed: int = 0,
    keep: Sequence[str] = (),
    recipe: RecipeChoice = "auto",
    names: Mapping[str, str] | None = None,
    learning_rate: bool | str = False,
) -> Initialization:
    """Give a model the right start: check, plan, write, correct on the batch, check again.

    PyTorch, Keras and Flax nnx models are changed in place. Of a JAX function or an Equinox module nothing is changed:
    the new one is `.model` of what is returned, the new parameters of a function are `.params`.

    Args:
        model: as for `penstock.plan`, as are the others.
        batch: one batch of data; each layer is corrected on it.
        *more: the batch, where a function and its parameters come first, as for `penstock.check`.
        loss: maps the model's output to a scalar.
        keep: names or patterns of parameters to leave alone.
        recipe: "auto", a published plan by name, a recipe, a scheme or a function of a site. Only "auto" and methods
            that say so themselves ("lsuv", "krahenbuhl") are corrected on the batch.
        seed: 0 <= seed < 2**64. The same seed and parameter names give the same draws, whatever else is in the model.
        names: as for `penstock.plan`.
        learning_rate: True measures rates for SGD with momentum and for Adam ("sgd", "adam": for one) with the loss,
            by steps of training that are taken back (about 35 for Adam, 80 to 130 for SGD); see
            `Plan.learning_rate` and, for PyTorch, `Plan.param_groups`.

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
    model, batch = model_and_batch("initialize", model, batch, more)
    return adapter_of(model, "initialize").initialize(
        model, batch, loss=loss, seed=seed, keep=keep, recipe=recipe, names=names, learning_rate=learning_rate
    )


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


def fans(layer: Any, *more: Any, **roles: Any) -> FansTable:
    """fan_in and fan_out of every weight of a layer or a model, or of a shape whose axis roles are given.

    Args:
        layer: a module of PyTorch; a Keras layer or model; a model of JAX as for `penstock.check`, whose axes show in
            what it computes; or a weight or its shape.
        *more: a batch, or params and a batch, as for `penstock.check`: for models of JAX, and for layers of Keras that
            are not built. A module of Flax nnx or Equinox may go without where its first layer says what it takes.
        **roles: for a weight or a shape: in_axes, out_axes, window_axes, batch_axes, groups, ...; see
            `penstock.fan_table.fans_of_shape`.

    Returns:
        A table that prints; of a layer with one weight also `.fan_in` and `.fan_out`.

    Raises:
        ShapeError: if a shape is given and its axes do not fit.
        ArgumentError: if a batch is needed and there is none, or a Keras layer is not built.
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
    model, batch = model_and_batch("fans", layer, more[0], more[1:]) if more else (layer, None)
    return adapter_of(model, "fans").fans(model, batch)
