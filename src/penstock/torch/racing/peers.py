"""Other people's starts, so that a race has somebody to beat. Each changes a model in place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from penstock.fan_table import Declared
from penstock.racing.data import call_arguments
from penstock.racing.propagation import incoming_seconds
from penstock.racing.weights_plan import plan_of_weights
from penstock.recipes import Orthogonal, VarianceScaling, glorot_uniform, he_normal
from penstock.recipes.recipe import Recipe
from penstock.torch.check import measure
from penstock.torch.roles import model_roles
from penstock.torch.write import apply

Correct = Callable[[nn.Module, torch.Tensor], torch.Tensor]

_UNIT_AXIS = {nn.Linear: -1, nn.Conv1d: 1, nn.Conv2d: 1, nn.Conv3d: 1}
"""Layers that are corrected on data, and the axis of their output that counts units."""


def draw_recipe(model: nn.Module, recipe: Recipe, seed: int) -> None:
    """One recipe in every weight, zeros in every bias; embeddings and norms stay as the model made them."""
    _apply_to_weights(model, lambda name, declared: recipe, seed)


def start_peer(name: str, model: nn.Module, inputs: Any, seed: int) -> None:
    """One of the starts in `penstock.racing.start.PEERS` that are not penstock's own."""
    if name == "he":
        draw_recipe(model, he_normal(), seed)
    elif name == "xavier":
        draw_recipe(model, glorot_uniform(), seed)
    elif name in {"orthogonal", "mean_variance"}:
        _propagated(model, inputs, seed, orthogonal=name == "orthogonal")
    elif name == "lsuv":
        draw_recipe(model, Orthogonal(), seed)
        _corrected(model, inputs, _unit_variance)
    elif name == "krahenbuhl":
        draw_recipe(model, VarianceScaling(1.0, "fan_in", "normal"), seed)
        _corrected(model, inputs, _standardised)


def _propagated(model: nn.Module, inputs: Any, seed: int, *, orthogonal: bool) -> None:
    """Gain 1 / sqrt(E[x^2]) of what feeds each weight, from means and variances propagated through the graph."""
    args, kwargs = call_arguments(inputs)
    seconds = incoming_seconds(measure(model, kwargs if kwargs else args))

    def recipe(name: str, declared: Declared) -> Recipe:
        gain = 1.0 / math.sqrt(seconds.get(name, 1.0))
        return Orthogonal(gain) if orthogonal else VarianceScaling(gain, "fan_in", "normal")

    _apply_to_weights(model, recipe, seed)


def _apply_to_weights(model: nn.Module, recipe: Callable[[str, Declared], Recipe], seed: int) -> None:
    """Draw weights by a rule and set biases to zero, as a plan: tied and parametrised weights are met once."""
    apply(plan_of_weights(type(model).__name__, model_roles(model), recipe), model, seed=seed)


def _corrected(model: nn.Module, inputs: Any, correct: Correct) -> None:
    """One forward pass in which each layer's weights are corrected on its output before the next layer sees it."""
    args, kwargs = call_arguments(inputs)
    done: set[int] = set()

    def hook(layer: nn.Module, _: Any, output: torch.Tensor) -> torch.Tensor | None:
        if id(layer) in done or not isinstance(output, torch.Tensor):
            return None
        done.add(id(layer))
        return correct(layer, output)

    with torch.no_grad(), _hooks(model, hook):
        model(*args, **kwargs)


@contextmanager
def _hooks(model: nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    handles = [m.register_forward_hook(hook) for m in model.modules() if type(m) in _UNIT_AXIS]
    buffers = [(b, b.clone()) for b in model.buffers()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for buffer, before in buffers:
            buffer.copy_(before)


def _unit_variance(layer: Any, output: torch.Tensor) -> torch.Tensor:
    """W <- W / std(W x): with a bias of zero one step is exact, where the paper takes up to ten.

    Source:
        Mishkin & Matas 2016, algorithm 1, https://arxiv.org/abs/1511.06422
    """
    std = float(output.std(correction=0))
    if not math.isfinite(std) or std <= 0.0:
        return output
    layer.weight.div_(std)
    return output / std


def _standardised(layer: Any, output: torch.Tensor) -> torch.Tensor:
    """Each unit's output to variance 1 and, where there is a bias, mean 0.

    Source:
        Krähenbühl et al. 2016, section 3.1 (within-layer), https://arxiv.org/abs/1511.06856
    """
    axis = _UNIT_AXIS[type(layer)]
    others = [a for a in range(output.dim()) if a != axis % output.dim()]
    std = output.std(dim=others, correction=0, keepdim=True)
    std = torch.where((std > 1e-6 * std.max()) & std.isfinite(), std, torch.ones_like(std))
    mean = output.mean(dim=others, keepdim=True) if layer.bias is not None else torch.zeros_like(std)
    layer.weight.div_(std.reshape(-1, *[1] * (layer.weight.dim() - 1)))
    if layer.bias is not None:
        layer.bias.copy_((-mean / std).reshape(-1))
    return (output - mean) / std
