"""A learning rate to start with: the rule that reads it off a ramp of rates, and the numbers as data.

A ramp trains the model on one batch while the rate grows by a constant factor a step. The loss falls, then turns where
the rate is too large to be stable. A fixed share of the rates in between is the one to train with: the learning rate
range test of Smith 2015 (https://arxiv.org/abs/1506.01186, section 3.3), with where to read it and the share measured
on penstock's own starts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from penstock.errors import ArgumentError, closest, message
from penstock.signals import CALL

Optimizer = Literal["sgd", "adam"]

OPTIMIZERS: tuple[Optimizer, ...] = ("sgd", "adam")
"""Those that a rate is found for: SGD with momentum 0.9, and Adam with its usual betas."""

ALIASES: dict[str, Optimizer] = {"sgd": "sgd", "adam": "adam", "adamw": "adam", "nadam": "adam"}
"""Optimizers whose first steps are as large as those of the one that was tried."""

STRIDE = 2.0
"""Factor from one step of the ramp to the next, as long as the loss has not moved."""

GROWTH = 1.25
"""The same from then on."""

MOVED = 0.01
"""The loss has moved when it has fallen by this share of the first one."""

SHARE: dict[Optimizer, float] = {"sgd": 0.13, "adam": 1.5}
"""Of the rate that the ramp points at. SGD's is about 1 - momentum: with momentum m a rate r moves the weights as far
as r / (1 - m) does without. Both are empirical, as is all of `rate_from_ramp`: see docs/learning_rate.md."""

POWER = 0.3
"""The rate goes with this power of the share of the loss that the ramp took away. Where that is little, the loss
turned before the output grew, and the network bends more when it has."""

LOWEST: dict[Optimizer, float] = {"sgd": 1e-6, "adam": 1e-7}
"""Where the ramp begins: a hundredth of the lowest best rates that were met, at depth 120."""

EARLY = 6
"""A ramp that turns within so few steps began too high for this loss, as with losses that are sums over thousands."""

LOWER = 1e-5
"""Then it begins again at this share."""

TRIES = 4

STEPS = 64
"""The ramp ends here if the loss has not turned: a range of more than a million."""

RISE = 0.1
"""The ramp ends when the loss is above the first one by this share of it."""

HUMP = 0.3
"""For SGD, what comes after a rise by this share of the fall so far is not read: the rate was too large already."""

DONE = 1e-3
"""The ramp also ends when the loss is below this share of the first one: the batch is learned by heart, and what the
loss does from then on says nothing about the rate."""

HOW = "not measured; penstock.initialize with loss=loss and learning_rate=True measures it"


@dataclass(frozen=True, slots=True)
class LearningRate:
    """Rates to start with.

    Attributes:
        sgd: for SGD with momentum 0.9; None where none was found.
        adam: for Adam and AdamW; None where none was found.
        notes: why one is missing, or what to know about it.
        passes: how many forward and backward passes on the batch it took to find them.

    Examples:
        >>> LearningRate(adam=3e-4).of("adamw")
        0.0003
    """

    sgd: float | None = None
    adam: float | None = None
    notes: tuple[str, ...] = (HOW,)
    passes: int = 0

    @property
    def measured(self) -> bool:
        """Whether a rate was found for any optimizer."""
        return self.sgd is not None or self.adam is not None

    def of(self, optimizer: str) -> float:
        """The rate for an optimizer, by name: "sgd", "adam", "adamw".

        Raises:
            ArgumentError: if the name is unknown, or no rate was found for it.
        """
        name = known_optimizer(optimizer, "LearningRate.of")
        found: float | None = getattr(self, name)
        if found is None:
            raise ArgumentError(
                message(
                    f"LearningRate.of: a rate for {name!r} must have been measured; there is none.",
                    because="; ".join(self.notes) or None,
                    hint=f"penstock.initialize(model, batch, loss=..., learning_rate={name!r}).plan.learning_rate",
                )
            )
        return found

    def describe(self) -> str:
        """In a sentence."""
        found = [
            f"{rate:g} for {name}"
            for rate, name in ((self.sgd, "SGD with momentum 0.9"), (self.adam, "Adam and AdamW"))
            if rate is not None
        ]
        told = [f"{', '.join(found)} (found in {self.passes} passes over the batch)"] if found else []
        return "; ".join([*told, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "notes": list(self.notes)}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> LearningRate:
        """What `to_dict` wrote."""
        return LearningRate(data["sgd"], data["adam"], tuple(data["notes"]), data["passes"])


NOT_MEASURED = LearningRate()
"""What a plan holds that was not asked for rates."""


def known_optimizer(name: object, function: str) -> Optimizer:
    """The optimizer whose rate serves for this one.

    Raises:
        ArgumentError: if the name is unknown.
    """
    found = ALIASES.get(name.lower()) if isinstance(name, str) else None
    if found is None:
        raise ArgumentError(
            message(
                f"{function}: optimizer must be one of {', '.join(map(repr, ALIASES))}; got {name!r}.",
                hint=closest(name, list(ALIASES)) if isinstance(name, str) else "optimizer='adam'",
            )
        )
    return found


def wanted_optimizers(wanted: bool | str, *, loss: object, call: str = CALL) -> tuple[Optimizer, ...]:
    """Those that `learning_rate=` asks for: none, all, or one by name.

    Args:
        wanted: what the user gave.
        loss: what the user gave.
        call: the model and its batch as the arguments of the user's call, for messages.

    Raises:
        ArgumentError: if it is neither a truth value nor a name, or there is no loss to measure with.
    """
    if wanted is False:
        return ()
    if loss is None:
        raise ArgumentError(
            message(
                "initialize: learning_rate needs the loss that will be trained; got loss=None.",
                because="a rate is right for one loss: ten times the loss wants a tenth of SGD's rate",
                hint=f"penstock.initialize({call}, loss=lambda output: loss(output, targets), learning_rate=True)",
            )
        )
    if wanted is True:
        return OPTIMIZERS
    if not isinstance(wanted, str):
        raise ArgumentError(
            message(
                f"initialize: learning_rate must be True, False or an optimizer's name; got {wanted!r}.",
                because="penstock finds the rate: it does not take one",
                hint=f"penstock.initialize({call}, loss=lambda output: loss(output, targets), learning_rate='adam')",
            )
        )
    return (known_optimizer(wanted, "initialize"),)


Step = Callable[[float], float]
"""Takes a rate; evaluates the loss where the weights are, then moves them with that rate; returns the loss."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """What a ramp has shown.

    Attributes:
        rates: tried, growing.
        losses: the loss before the step with each rate.
        passes: how many steps it took, those of ramps that began too high included.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    passes: int


def climb(optimizer: Optimizer, begin: Callable[[], Step]) -> Ramp:
    """Train with a growing rate until the loss has turned, vanished or the steps are used up.

    Args:
        optimizer: whose range of rates is climbed.
        begin: puts the weights back to the start, and returns what takes steps from there.
    """
    lowest, passes = LOWEST[optimizer], 0
    ramp = Ramp((), (), 0)
    for _ in range(TRIES):
        ramp = _climb(lowest, begin())
        passes += ramp.passes
        if len(ramp.losses) > EARLY or not math.isfinite(ramp.losses[0]):
            break
        lowest *= LOWER
    return replace(ramp, passes=passes)


def _climb(rate: float, step: Step) -> Ramp:
    rates: list[float] = []
    losses: list[float] = []
    while len(losses) < STEPS:
        loss = step(rate)
        rates.append(rate)
        losses.append(loss)
        if _turned(losses) or abs(loss) < DONE * abs(losses[0]):
            break
        rate *= STRIDE if losses[0] - loss < MOVED * abs(losses[0]) else GROWTH
    return Ramp(tuple(rates), tuple(losses), len(losses))


def _turned(losses: Sequence[float]) -> bool:
    """Whether the last loss is no number, or clearly above the first one."""
    return not losses[-1] - losses[0] <= RISE * abs(losses[0])


def rate_from_ramp(optimizer: Optimizer, ramp: Ramp) -> float | None:
    """The rate that the fall of the loss points at; None where the loss never fell.

    With s the share of the loss that is gone where the loss is least:

    Adam: 1.5 s^0.3 times the geometric mean of the rates at a quarter of the fall, at half of it and where it ends. It
    moves every weight by about its rate, whatever the loss, so that the beginning of the fall says as much as its end.

    SGD with momentum 0.9, from a ramp without: 0.13 s^0.3 times the rate at which the loss is least.

    Examples:
        >>> rate_from_ramp("adam", Ramp((0.1, 0.2, 0.4, 0.8), (2.0, 1.5, 1.0, 9.0), 4))
        0.31
        >>> rate_from_ramp("sgd", Ramp((0.1, 0.2, 0.4, 0.8), (2.0, 1.5, 1.0, 9.0), 4))
        0.042
        >>> rate_from_ramp("adam", Ramp((0.1, 0.2), (2.0, 3.0), 2)) is None
        True
    """
    losses = _before_the_hump(ramp.losses) if optimizer == "sgd" else ramp.losses
    first = losses[0]
    finite = [i for i, loss in enumerate(losses) if math.isfinite(loss)]
    least = min(finite, key=lambda i: losses[i], default=0)
    fall = first - losses[least]
    if least == 0 or not fall > MOVED * abs(first):
        return None
    shares = (1.0,) if optimizer == "sgd" else (0.25, 0.5, 1.0)
    at = math.prod(_fallen(ramp, share * fall) for share in shares) ** (1.0 / len(shares))
    return float(f"{SHARE[optimizer] * min(fall / abs(first), 1.0) ** POWER * at:.2g}")


def _fallen(ramp: Ramp, height: float) -> float:
    """The rate at which the loss had fallen so far."""
    return next(r for r, loss in zip(ramp.rates, ramp.losses, strict=True) if ramp.losses[0] - loss >= height)


def _before_the_hump(losses: Sequence[float]) -> Sequence[float]:
    first = least = losses[0]
    for i, loss in enumerate(losses):
        least = min(least, loss)
        if not loss - least <= HUMP * (first - least) + 1e-3 * abs(first):
            return losses[: max(i, 1)]
    return losses
