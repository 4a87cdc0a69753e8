"""What stacks of arms share whose step is compiled from arrays, as in JAX and TensorFlow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from penstock.planning.optimizers import update
from penstock.racing.arm import WEIGHT_DECAY
from penstock.racing.data import Kind

Code = TypeVar("Code")


class CompiledStack(ABC, Generic[Code]):
    """Arms of one model that are trained by one optimizer."""

    def __init__(
        self,
        models: Sequence[Code],
        optimizer: str,
        rates: Sequence[float],
        *,
        loss: Callable[[Any, Any], Any],
        kind: Kind,
    ) -> None:
        """Copy the weights of the models.

        Args:
            models: one an arm, of equal shapes; the first one lends its code.
            optimizer: of all arms.
            rates: learning rate of each.
            loss: from (output, targets) to a scalar.
            kind: of the targets.
        """
        self._kind: Kind = kind
        self._code, self._loss = models[0], loss
        self._update = partial(update, optimizer, decay=WEIGHT_DECAY if optimizer == "adamw" else 0.0)
        self._made = 0
        self._begin(models, rates)

    @abstractmethod
    def _begin(self, models: Sequence[Code], rates: Sequence[float]) -> None:
        """Copy what the models hold, and compile what is done with it."""
