"""Arms of a Keras model on the PyTorch backend: what the racer of PyTorch models trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import keras
import torch
from torch import nn

from penstock.keras.models import call_of
from penstock.keras.on_torch import batch_of, target_of
from penstock.keras.racing.backend import Loss
from penstock.keras.racing.parts import is_seed, parts_of
from penstock.planning.plan import Plan
from penstock.racing.arm import Arm
from penstock.racing.data import Batch, Kind
from penstock.torch.calibrate import calibrate
from penstock.torch.racing.batches import as_tensors
from penstock.torch.racing.objective import loss_of
from penstock.torch.racing.seeds import alone, seeded
from penstock.torch.racing.stack import Mode, Stack
from penstock.torch.write import apply

__all__ = ["MODES", "alone", "calibrated", "loss_of", "seeded", "stack_of", "take"]

MODES = ("error", "same")


def take(batch: Batch) -> Batch:
    """Tensors on the device and in the type that Keras uses."""
    like: Any = keras.ops.zeros((), keras.config.floatx())
    return as_tensors(batch, like)


def calibrated(plan: Plan, model: keras.layers.Layer, inputs: Any, seed: int) -> None:
    """Draw a plan that asks for calibration, and correct it on inputs."""
    module = target_of(model, "race")
    apply(plan, module, seed=seed)
    calibrate(module, plan, batch_of(call_of(model, inputs)))


def stack_of(
    models: Sequence[keras.layers.Layer], arms: Mapping[Arm, float], *, loss: Loss, kind: Kind, mode: str
) -> Stack:
    """The arms mapped where that is possible."""
    optimizers = [(arm.optimizer, rate) for arm, rate in arms.items()]
    return Stack([Raced(model) for model in models], optimizers, loss=loss, kind=kind, mode=cast("Mode", mode))


class Raced(nn.Module):
    """A Keras model whose variables are this module's parameters and buffers, so that others can take their place.

    A run in training moves the buffers in place. Seeds, which PyTorch reads as numbers of Python, move apart from them:
    they are the same for all arms.
    """

    def __init__(self, model: keras.layers.Layer) -> None:
        super().__init__()
        parts = self._parts = parts_of(model)
        for name, variable in zip(parts.names, parts.own, strict=True):
            self.register_parameter(name, nn.Parameter(variable.value.detach().clone()))
        self._seeds = {i: v.value.detach().clone() for i, v in enumerate(parts.rest) if is_seed(v)}
        self._moving = [i for i in range(len(parts.rest)) if i not in self._seeds]
        for i in self._moving:
            self.register_buffer(f"rest {i}", parts.rest[i].value.detach().clone())

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's output, as it is trained in training mode."""
        inputs = kwargs or (args[0] if len(args) == 1 else args)
        buffers: dict[int, torch.Tensor] = {i: getattr(self, f"rest {i}") for i in self._moving}
        rest = {**buffers, **self._seeds}
        values = [getattr(self, name) for name in self._parts.names]
        output, after = self._parts.run(values, [rest[i] for i in sorted(rest)], inputs, training=self.training)
        if self.training:
            for i, buffer in buffers.items():
                if after[i] is not buffer:
                    buffer.copy_(after[i].detach())
            self._seeds = {i: after[i].detach() for i in self._seeds}
        return output
