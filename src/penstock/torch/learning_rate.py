"""Climb a ramp of learning rates with a model that is put back afterwards, and make groups for `torch.optim`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from penstock.errors import ArgumentError, message
from penstock.planning.learning_rate import LearningRate, Optimizer, Step, known_optimizer
from penstock.planning.plan import Plan
from penstock.planning.rate_search import BETAS, EPSILON, MOMENTUM, NOTHING, search
from penstock.torch.check import usable
from penstock.torch.measure.batch import Loss, arguments, call, check_model, eager, unwrapped
from penstock.torch.measure.guard import untouched
from penstock.torch.roles import model_roles

SEED = 0
"""Before each step the random state is the same, so that dropout makes the same choice: else its noise would hide at
which rate the loss turns."""

DECAYING = ("weight", "embedding")
"""Roles that weight decay is for, by convention; not for biases, and scales and offsets of norms."""

DECAY = 0.01
"""Of `torch.optim.AdamW`, by default."""


def measure_learning_rate(model: nn.Module, batch: Any, *, loss: Loss, optimizers: Sequence[Optimizer]) -> LearningRate:
    """Find the rate for each optimizer by training on the batch with a growing one.

    The model comes back bit for bit as it was: weights, buffers, gradients, flags, hooks, random state.

    Args:
        model: at its start, in the mode it will be trained in.
        batch: one batch, of the size that it will be trained with.
        loss: from the model's output to a scalar.
        optimizers: for which.
    """
    check_model(model, "initialize")
    parameters = [p for p in model.parameters() if p.requires_grad and p.numel() > 0]
    if not parameters:
        return NOTHING
    with untouched(model), _put_back(parameters) as put_back, torch.inference_mode(False), torch.enable_grad(), eager():

        def begin(optimizer: Optimizer, momentum: float) -> Step:
            put_back()
            return Trainer(model, batch, loss, parameters, optimizer, momentum=momentum).step

        return search(optimizers, begin)


@contextmanager
def _put_back(parameters: Sequence[nn.Parameter]) -> Iterator[Callable[[], None]]:
    """Gives a function that puts all values back, and calls it at the end."""
    saved = [p.detach().clone() for p in parameters]

    def put_back() -> None:
        with torch.no_grad():
            for parameter, values in zip(parameters, saved, strict=True):
                parameter.detach().copy_(values)

    try:
        yield put_back
    finally:
        put_back()


class Trainer:
    """Steps of one optimizer on one batch, on float32 copies of weights that are held in less."""

    def __init__(
        self,
        model: nn.Module,
        batch: Any,
        loss: Loss,
        parameters: Sequence[nn.Parameter],
        optimizer: Optimizer,
        *,
        momentum: float = 0.0,
    ) -> None:
        self._model = unwrapped(model)
        self._args, self._kwargs = usable(*arguments(batch))
        self._loss = loss
        self._parameters = parameters
        # Rounding in bfloat16 would swallow small steps; training in it keeps such copies too.
        self._masters = [p.detach().float() if p.dtype in _SHORT else p.detach() for p in parameters]
        self._update = _adam if optimizer != "sgd" else _heavy_ball if momentum else _sgd
        states = 2 if optimizer != "sgd" else 1 if momentum else 0
        self._state = [[torch.zeros_like(m) for m in self._masters] for _ in range(states)]
        self._steps = 0

    def step(self, rate: float) -> float:
        """See `penstock.planning.learning_rate.Step`."""
        torch.manual_seed(SEED)
        try:
            value = self._loss(call(self._model, self._args, self._kwargs)).reshape(())
        except Exception:
            if self._steps == 0:
                raise
            return math.nan  # many losses refuse what a network gives that has left all bounds
        found = float(value.detach())
        if not math.isfinite(found):
            return found
        gradients = torch.autograd.grad(value, self._parameters, allow_unused=True)
        self._steps += 1
        with torch.no_grad():
            for i, (parameter, master, gradient) in enumerate(
                zip(self._parameters, self._masters, gradients, strict=True)
            ):
                if gradient is None:
                    continue
                dense = gradient if gradient.layout == torch.strided else gradient.to_dense()
                self._update(master, dense.to(master.dtype), [s[i] for s in self._state], rate, self._steps)
                if master.dtype != parameter.dtype:
                    parameter.copy_(master)
        return found


_SHORT = (torch.bfloat16, torch.float16)


def _sgd(weight: torch.Tensor, gradient: torch.Tensor, state: list[torch.Tensor], rate: float, step: int) -> None:
    """SGD without momentum, which would hide where the loss turns: it lags behind a growing rate, and overshoots."""
    weight.sub_(gradient, alpha=rate)


def _heavy_ball(
    weight: torch.Tensor, gradient: torch.Tensor, state: list[torch.Tensor], rate: float, step: int
) -> None:
    """SGD with momentum as `torch.optim.SGD` has it."""
    weight.sub_(state[0].mul_(MOMENTUM).add_(gradient), alpha=rate)


def _adam(weight: torch.Tensor, gradient: torch.Tensor, state: list[torch.Tensor], rate: float, step: int) -> None:
    """Adam as `torch.optim.Adam` has it."""
    mean, square = state
    mean.mul_(BETAS[0]).add_(gradient, alpha=1.0 - BETAS[0])
    square.mul_(BETAS[1]).add_((gradient * gradient.conj()).real, alpha=1.0 - BETAS[1])
    root = (square / (1.0 - BETAS[1] ** step)).sqrt_().add_(EPSILON)
    weight.sub_(mean / root, alpha=rate / (1.0 - BETAS[0] ** step))


def param_groups(
    plan: Plan,
    model: nn.Module,
    *,
    optimizer: str = "adam",
    learning_rate: float | None = None,
    weight_decay: float | None = None,
) -> list[dict[str, Any]]:
    """See `penstock.Plan.param_groups`."""
    name = known_optimizer(optimizer, "Plan.param_groups")
    rate = plan.learning_rate.of(name) if learning_rate is None else float(learning_rate)
    entries = {n: e for e in plan.entries for n in (e.name, *e.ties)}
    if weight_decay is None and name == "adam" and any(e.weight_decay != 1.0 for e in plan.entries):
        weight_decay = DECAY if optimizer.lower() == "adamw" else 0.0
    roles: Mapping[str, Any] = model_roles(model)
    groups: dict[tuple[float, float, float, bool], dict[str, Any]] = {}
    for path, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if path not in entries or entries[path].shape != tuple(parameter.shape):
            raise ArgumentError(
                message(
                    f"Plan.param_groups: model must have the parameters that were planned ({plan.model}); "
                    f"the plan has no {path!r} of shape {tuple(parameter.shape)}.",
                    hint="plan = penstock.plan(model, batch) for this model",
                )
            )
        entry = entries[path]
        decays = path in roles and roles[path].role in DECAYING and parameter.dim() > 1
        faster, decay, epsilon = (
            (entry.lr_sgd, 1.0, 1.0) if name == "sgd" else (entry.lr_adam, entry.weight_decay, entry.epsilon)
        )
        key = (faster, decay if decays else 0.0, epsilon, decays)
        if key not in groups:
            groups[key] = {"params": [], "lr": rate * faster, "name": _group_name(faster, epsilon, decays=decays)}
            if not decays:
                groups[key]["weight_decay"] = 0.0
            elif weight_decay is not None:
                groups[key]["weight_decay"] = float(weight_decay) * decay
            if epsilon != 1.0:
                groups[key]["eps"] = EPSILON * epsilon
        groups[key]["params"].append(parameter)
    return list(groups.values())


def _group_name(faster: float, epsilon: float, *, decays: bool) -> str:
    name = "weights" if decays else "biases, norms and other vectors"
    name += f" x {faster:g}" if faster != 1.0 else ""
    return name + (f", epsilon x {epsilon:g}" if epsilon != 1.0 else "")
