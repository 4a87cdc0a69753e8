"""Many arms in one array: the weights of all of them side by side, one compiled step that is mapped over them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from penstock.jax.learning_rate import squared
from penstock.jax.racing.objective import score_sum
from penstock.jax.racing.trainee import Trainee
from penstock.planning.optimizers import corrections
from penstock.racing.compiled_stack import CompiledStack
from penstock.racing.data import MOST_HELD_OUT, Array, Batch
from penstock.racing.scores import score_of


class Stack(CompiledStack[Trainee]):
    """Arms of one model that are trained together, by one optimizer."""

    def _begin(self, models: Sequence[Trainee], rates: Sequence[float]) -> None:
        self._values = [jnp.stack([t.values[name] for t in models]) for name in models[0].values]
        self._rest = [jnp.stack(each) for each in zip(*(t.rest for t in models), strict=True)]
        self._moments = [(jnp.zeros_like(values), jnp.zeros_like(values)) for values in self._values]
        self._rates = jnp.asarray(rates, jnp.float32)
        self._places = list(range(len(models)))
        self._step = jax.jit(jax.vmap(self._one, in_axes=(0, 0, 0, 0, None, None, None, None)))
        self._measure = jax.jit(jax.vmap(self._score, in_axes=(0, 0, None, None)))

    def step(self, inputs: Any, targets: Array, *, factor: float = 1.0) -> list[float]:
        """One step of every arm; each arm's loss before it."""
        self._made += 1
        correction = corrections(self._made)
        self._values, self._moments, self._rest, losses = self._step(
            self._values, self._moments, self._rest, self._rates, factor, correction, inputs, targets
        )
        return [float(loss) for loss in np.asarray(losses, np.float64)[self._places]]

    def look(self, inputs: Any, targets: Array) -> list[tuple[float, float | None]]:
        """Loss and score of every arm on held-out data."""
        found = np.zeros((2, len(self._rates)))
        for begin in range(0, len(targets), MOST_HELD_OUT):
            some, right = jax.tree_util.tree_map(lambda a, b=begin: a[b : b + MOST_HELD_OUT], (inputs, targets))
            loss, score = self._measure(self._values, self._rest, some, right)
            found[0] += np.asarray(loss, np.float64) * (len(right) / len(targets))
            found[1] += np.asarray(score, np.float64)
        losses, totals = found[:, self._places].tolist()
        if self._kind == "custom":
            return [(loss, None) for loss in losses]
        return [(loss, score_of(self._kind, t, targets)) for loss, t in zip(losses, totals, strict=True)]

    def keep(self, arms: Sequence[int]) -> None:
        """Go on with these arms alone. The others run along unseen while they are few: a new size is compiled anew."""
        self._places = [self._places[arm] for arm in arms]
        if 2 * len(self._places) <= len(self._rates):
            taken = jnp.asarray(self._places)
            everything = (self._values, self._moments, self._rest, self._rates)
            self._values, self._moments, self._rest, self._rates = jax.tree_util.tree_map(
                lambda each: each[taken], everything
            )
            self._places = list(range(len(arms)))

    def _one(
        self,
        values: Any,
        moments: Any,
        rest: Any,
        rate: Any,
        factor: Any,
        correction: Any,
        inputs: Any,
        targets: Any,
    ) -> Any:
        """A step of one arm."""

        def loss_at(values: Any) -> Any:
            output, moved = self._code.train(values, rest, inputs)
            return self._loss(output, targets), moved

        (loss, moved), gradients = jax.value_and_grad(loss_at, has_aux=True)(values)
        following = partial(self._update, rate=rate * factor, correction=correction, sqrt=jnp.sqrt, square=squared)
        done = [following(v, jnp.conj(g), m) for v, g, m in zip(values, gradients, moments, strict=True)]
        # In the types that they had: a product with a rate of 32 bits would widen half types.
        kept = [(new.astype(old.dtype), m) for (new, m), old in zip(done, values, strict=True)]
        others = [
            new if new.dtype == old.dtype else new.astype(old.dtype) for new, old in zip(moved, rest, strict=True)
        ]
        return [v for v, _ in kept], [m for _, m in kept], others, loss

    def _score(self, values: Any, rest: Any, inputs: Any, targets: Any) -> Any:
        output, _ = self._code.evaluate(values, rest, inputs)
        loss = self._loss(output, targets)
        return loss, jnp.zeros(()) if self._kind == "custom" else score_sum(self._kind, output, targets)


def as_arrays(batch: Batch, like: Any) -> Batch:
    """A batch whose real numbers have the model's own type; whole ones those of JAX."""

    def cast(values: Any) -> Any:
        array = np.asarray(values)
        if np.issubdtype(array.dtype, np.floating):
            return array.astype(like)
        return array.astype(np.int32) if np.issubdtype(array.dtype, np.integer) else array

    inputs, targets = batch
    return jax.tree_util.tree_map(cast, inputs), cast(targets)
