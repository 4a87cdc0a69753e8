"""The modules for the backend that Keras runs on."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

import keras

from penstock.keras.racing.seeds import kept
from penstock.planning.plan import Plan
from penstock.racing.arm import Arm
from penstock.racing.data import Batch, Kind
from penstock.racing.run import Stack
from penstock.racing.seeds import GUARDS

GUARDS.append(kept)

Loss = Any
"""From (output, targets) to a scalar of the backend."""


class Racer(Protocol):
    """What each backend does in a race."""

    @property
    def MODES(self) -> Sequence[str]:
        """Ways of training arms together, tried in order."""
        ...

    def alone(self) -> AbstractContextManager[Any]:
        """One task at a time in this process."""
        ...

    def seeded(self, seed: int, *words: str) -> AbstractContextManager[None]:
        """Global random states follow from the seed inside, and are as they were outside."""
        ...

    def take(self, batch: Batch) -> Batch:
        """A batch of NumPy arrays as the backend's own."""
        ...

    def loss_of(self, kind: Kind, own: Any) -> Loss:
        """The user's own loss, or cross-entropy in nats, or the mean square error."""
        ...

    def calibrated(self, plan: Plan, model: keras.layers.Layer, inputs: Any, seed: int) -> None:
        """Draw a plan that asks for calibration, and correct it on inputs."""
        ...

    def stack_of(
        self, models: Sequence[keras.layers.Layer], arms: Mapping[Arm, float], *, loss: Loss, kind: Kind, mode: str
    ) -> Stack:
        """Arms of one optimizer with their models and rates, to be trained together."""
        ...


def racer() -> Racer:
    """The racing module of the backend."""
    return cast("Racer", importlib.import_module(f"penstock.keras.racing.on_{keras.backend.backend()}"))


def reader() -> Any:
    """The module that hands models to the backend's adapter."""
    return importlib.import_module(f"penstock.keras.on_{keras.backend.backend()}")
