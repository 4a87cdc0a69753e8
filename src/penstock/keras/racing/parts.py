"""A Keras model as a race trains it: what moves by gradients, what moves by itself, and a call that says how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from penstock.keras.models import call_of, parameters_of, stateless


@dataclass(frozen=True)
class Parts:
    """A model and its variables.

    Attributes:
        model: built.
        names: of what gradients move.
        own: these variables.
        rest: all others: running statistics, seeds, frozen parameters.
    """

    model: keras.layers.Layer
    names: tuple[str, ...]
    own: tuple[Any, ...]
    rest: tuple[Any, ...]

    def run(self, values: Sequence[Any], rest: Sequence[Any], inputs: Any, *, training: bool) -> tuple[Any, list[Any]]:
        """The output where the variables have these values, and the values of `rest` after it; none is changed."""
        call = call_of(self.model, inputs)
        given = [*zip(self.own, values, strict=True), *zip(self.rest, rest, strict=True)]
        with stateless(self.model, given) as scope:
            output = self.model(*call.args, **call.kwargs, training=training)
        return output, [scope.get_current_value(variable) for variable in self.rest]


def parts_of(model: keras.layers.Layer) -> Parts:
    """The variables of a model that is built."""
    trained = {name: one.variable for name, one in parameters_of(model).items() if not one.frozen}
    own = {id(variable) for variable in trained.values()}
    rest = tuple(variable for variable in model.variables if id(variable) not in own)
    return Parts(model, tuple(trained), tuple(trained.values()), rest)


def is_seed(variable: Any) -> bool:
    """Whether this is the state of a seed generator."""
    return variable.name == "seed_generator_state"
