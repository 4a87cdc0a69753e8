"""A Keras model on the PyTorch backend, as a PyTorch module whose parameters have Keras's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from torch import nn

from penstock.fan_table import Declared
from penstock.keras.models import Call, layers_of, parameters_of, stateless
from penstock.torch.adapter import apply, check, initialize, plan, save, scalar_function
from penstock.torch.axis_roles import TABLE

__all__ = ["apply", "batch_of", "check", "initialize", "plan", "save", "scalar_function", "target_of"]


class Place(nn.Module):
    """Runs one layer's `call`, so that PyTorch's hooks see where the model is."""

    def __init__(self, call: Callable[..., Any]) -> None:
        super().__init__()
        self._run = call

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The layer's output."""
        return self._run(*args, **kwargs)


class KerasModule(nn.Module):
    """A Keras model that holds its trained parameters itself, by Keras's paths, and nothing else.

    It shares their memory with the model. A run changes neither running statistics nor seeds.
    """

    def __init__(self, model: keras.layers.Layer) -> None:
        super().__init__()
        known = parameters_of(model)
        for name, one in known.items():
            self.register_parameter(name, one.variable.value)
        self.declared: dict[str, Declared] = {name: one.declared for name, one in known.items()}
        self._layers = layers_of(model)
        for path, layer in self._layers.items():
            self.add_module(path, Place(layer.call))
        # In a tuple, or PyTorch would take the model's own names too.
        self._model = (model,)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's output as it is trained."""
        (model,) = self._model
        try:
            for path, layer in self._layers.items():
                layer.__dict__["call"] = self.get_submodule(path)
            with stateless(model):
                return model(*args, **kwargs, training=True)
        finally:
            for layer in self._layers.values():
                layer.__dict__.pop("call", None)


def _declared(module: KerasModule, name: str, shape: tuple[int, ...]) -> Declared:
    return module.declared[name]


TABLE[KerasModule] = _declared


def target_of(model: keras.layers.Layer, function: str) -> KerasModule:
    """The module that stands for a model; reports call it as the model is called."""
    return type(type(model).__name__, (KerasModule,), {})(model)


def batch_of(call: Call) -> Any:
    """The call as PyTorch's adapter takes it."""
    return dict(call.kwargs) if call.kwargs else call.args
