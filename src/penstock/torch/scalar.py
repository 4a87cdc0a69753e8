"""Activations of PyTorch as functions of NumPy arrays."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from penstock.errors import ArgumentError, UnsupportedError, message

_PROBE = (-0.75, 0.5, 1.25)

# Modules whose gain has a number in PyTorch's convention, under the names of `penstock.activations`.
_NAMES: dict[type[nn.Module], str] = {
    nn.Identity: "identity",
    nn.ReLU: "relu",
    nn.SELU: "selu",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
}


def wants_tensors(activation: object) -> bool:
    """Whether a callable is one of PyTorch's, or one that fails on NumPy arrays and works on tensors.

    Examples:
        >>> wants_tensors(nn.GELU()), wants_tensors(torch.tanh), wants_tensors(np.tanh)
        (True, True, False)
        >>> wants_tensors(lambda x: x * torch.sigmoid(x)), wants_tensors(lambda x: x * 2)
        (True, False)
    """
    if isinstance(_instance(activation), nn.Module | torch.jit.ScriptFunction):
        return True
    if not callable(activation):
        return False
    function: Any = activation
    while isinstance(function, functools.partial):
        function = function.func
    home = getattr(function, "__module__", None) or getattr(getattr(function, "__objclass__", None), "__module__", "")
    if home == "torch" or str(home).startswith("torch."):
        return True
    try:
        with np.errstate(all="ignore"):
            return isinstance(activation(np.array(_PROBE)), torch.Tensor)
    except Exception:  # whatever it cannot do with arrays: what counts is whether it can do it with tensors
        return _works_on_tensors(activation)


def as_scalar_function(activation: object) -> Callable[[npt.NDArray[np.float64]], npt.NDArray[np.floating]]:
    """Wrap an activation of PyTorch as a function from float64 array to array, without gradients.

    A module is copied, moved to the CPU, set to float64 and to evaluation mode, and its hooks are left out; the one
    given is not touched. A function that insists on float32 gets float32 and its values come back as float32, so
    that their precision can be seen. The global random state stays as it was.

    Args:
        activation: a module, a module class that needs no arguments, or a function of one tensor.

    Returns:
        The function. Takes shape (n,), returns shape (n,).

    Raises:
        UnsupportedError: if the activation is not callable or cannot be copied.
        ArgumentError: when called, if the activation does not return a tensor.

    Examples:
        >>> as_scalar_function(nn.ReLU())(np.array([-1.0, 2.0]))
        array([0., 2.])
    """
    call = _evaluation_copy(activation)
    draws = 0

    def scalar(x: npt.NDArray[np.float64]) -> npt.NDArray[np.floating]:
        nonlocal draws
        draws += 1  # another seed each time, so that noise inside shows as noise
        state = torch.get_rng_state()
        torch.default_generator.manual_seed(draws)
        try:
            with torch.no_grad():
                return _call(call, np.array(x, dtype=np.float64))
        finally:
            torch.set_rng_state(state)

    return scalar


def activation_name(activation: object) -> str:
    """What to call an activation in a report.

    Examples:
        >>> activation_name(nn.LeakyReLU(0.2)), activation_name(nn.ReLU()), activation_name(torch.tanh)
        ('leaky_relu_0.2', 'relu', 'tanh')
    """
    activation = _instance(activation)
    if isinstance(activation, nn.LeakyReLU):
        return f"leaky_relu_{activation.negative_slope:g}"
    if isinstance(activation, nn.Module):
        return _NAMES.get(type(activation)) or " ".join(repr(activation).split())
    return getattr(activation, "__name__", type(activation).__name__)


def _instance(activation: object) -> object:
    """A module for a module class, and anything else as it is."""
    if not (isinstance(activation, type) and issubclass(activation, nn.Module)):
        return activation
    try:
        return activation()
    except TypeError as error:
        raise UnsupportedError(
            message(
                f"gain: {activation.__name__} could not be made without arguments: {error}",
                hint=f"penstock.gain({activation.__name__}(...))",
            )
        ) from None


def _works_on_tensors(activation: Callable[[Any], object]) -> bool:
    """Whether a call with a tensor gives a tensor."""
    try:
        return isinstance(as_scalar_function(activation)(np.array(_PROBE)), np.ndarray)
    except Exception:  # neither arrays nor tensors: the caller reports what happens with arrays
        return False


def _evaluation_copy(activation: object) -> Callable[[torch.Tensor], object]:
    """The callable itself; a module as a float64 copy in evaluation mode."""
    activation = _instance(activation)
    if not callable(activation):
        raise UnsupportedError(
            message(f"gain: activation must be callable; got {activation!r}.", hint="penstock.gain(torch.nn.GELU())")
        )
    if not isinstance(activation, nn.Module):
        return activation
    try:
        module = copy.deepcopy(activation).to("cpu", torch.float64).eval()
    except Exception as error:
        raise UnsupportedError(
            message(
                f"gain: {type(activation).__name__} could not be copied to the CPU in float64: {error}",
                hint="penstock.gain(lambda x: module(x))",
            )
        ) from error
    for part in module.modules():
        part._forward_hooks.clear()
        part._forward_pre_hooks.clear()
    return module


def _call(call: Callable[[torch.Tensor], object], x: npt.NDArray[np.float64]) -> npt.NDArray[np.floating]:
    """One call in float64, or in float32 where float64 is refused."""
    try:
        result = call(torch.from_numpy(x.copy()))
    except RuntimeError as refused:
        try:
            result = call(torch.from_numpy(x.astype(np.float32)))
        except RuntimeError:
            raise ArgumentError(
                message(
                    f"gain: activation must work on a tensor of shape {x.shape}, elementwise; it raised: {refused}",
                    because="a function that differs by channel has one gain for each",
                )
            ) from refused
    if not isinstance(result, torch.Tensor):
        raise ArgumentError(
            message(
                f"gain: activation must return a tensor; got {type(result).__name__}.", hint="penstock.gain(torch.tanh)"
            )
        )
    result = result.detach().cpu()
    return (result.float() if result.dtype in (torch.bfloat16, torch.float16) else result).numpy()
