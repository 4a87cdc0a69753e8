"""The role of every parameter of a PyTorch model, and of each of its axes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from penstock.errors import ShapeError, UnsupportedError, message
from penstock.fan_table import Declared, FansTable, fans_table
from penstock.geometry import Geometry
from penstock.torch.axis_roles import is_position, rule_for


def layer_roles(module: nn.Module, *, path: str = "") -> dict[str, Declared]:
    """Declare the axes and the role of a module's own parameters, those of its parametrizations included.

    Args:
        module: any module; its children are left out.
        path: where it is in the model, for error messages and for embeddings of positions.

    Returns:
        Own parameter name ("weight", "parametrizations.weight.original1") -> geometry and role.

    Raises:
        UnsupportedError: if a parameter of a lazy layer has no shape yet.

    Examples:
        >>> layer_roles(nn.Linear(3, 5))["weight"].role
        'weight'
    """
    return {name: declared for name, _, declared in _own(module, path)}


def layer_geometry(module: nn.Module) -> dict[str, Geometry]:
    """Declare the axes of a module's own parameters.

    Raises:
        UnsupportedError: if a parameter of a lazy layer has no shape yet.

    Examples:
        >>> layer_geometry(nn.Conv2d(4, 8, 3, groups=2, bias=False))["weight"].fans
        Fans(fan_in=18.0, fan_out=36.0)
    """
    return {name: declared.geometry for name, declared in layer_roles(module).items()}


def model_roles(model: nn.Module) -> dict[str, Declared]:
    """Declare the axes and the role of every parameter by qualified name; tied ones once, under their first name.

    Raises:
        UnsupportedError: if a parameter of a lazy layer has no shape yet.

    Examples:
        >>> {name: d.role for name, d in model_roles(nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5))).items()}
        {'0.weight': 'weight', '0.bias': 'bias', '1.weight': 'scale', '1.bias': 'offset'}
    """
    found: dict[int, Declared] = {}
    for path, module in model.named_modules():
        for _, parameter, declared in _own(module, path):
            found.setdefault(id(parameter), declared)
    return {name: found[id(parameter)] for name, parameter in model.named_parameters()}


def model_geometry(model: nn.Module) -> dict[str, Geometry]:
    """Declare the axes of every parameter by qualified name; tied ones once, under their first name.

    Raises:
        UnsupportedError: if a parameter of a lazy layer has no shape yet.

    Examples:
        >>> list(model_geometry(nn.Sequential(nn.Linear(3, 5))))
        ['0.weight', '0.bias']
    """
    return {name: declared.geometry for name, declared in model_roles(model).items()}


def module_fans(module: nn.Module) -> FansTable:
    """The fans of every parameter of a layer or of a whole model.

    Raises:
        UnsupportedError: if a parameter of a lazy layer has no shape yet.

    Examples:
        >>> module_fans(nn.Linear(3, 5)).fan_in
        3.0
    """
    return fans_table(model_roles(module))


def _own(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Parameter, Declared]]:
    """Each parameter of this module and of its parametrizations, with what is declared of it."""
    for name, parameter in module.named_parameters(recurse=False):
        yield name, parameter, _declare(module, path, name, parameter)
    if not parametrize.is_parametrized(module):
        return
    # The parametrized attribute itself is not read: a spectral norm moves its buffers when it is computed.
    for attribute, wrapped in module.get_submodule("parametrizations").named_children():
        for name, parameter in wrapped.named_parameters(recurse=False):
            yield f"parametrizations.{attribute}.{name}", parameter, _original(module, path, attribute, wrapped, name)


def _declare(module: nn.Module, path: str, name: str, parameter: torch.Tensor) -> Declared:
    """One parameter, wrapped by the older `weight_norm`, `spectral_norm` and `prune` or not at all."""
    if is_lazy(parameter):
        at = f"{path}.{name}" if path else name
        raise UnsupportedError(
            message(
                f"fans: {type(module).__name__} has no shape yet: it is made at the first call.",
                at=at,
                hint="model(batch), once, before",
            )
        )
    shape = tuple(parameter.shape)
    if not parameter.is_floating_point() and not parameter.is_complex():
        return Declared(Geometry(shape), "other")  # packed bits of a quantised weight: the shape is not the logical one
    for ending in ("_g", "_v", "_orig"):
        attribute = name.removesuffix(ending)
        if attribute != name and attribute in module.__dict__ and attribute not in module._parameters:
            return _norm_of_weight(shape) if ending == "_g" else _apply(module, path, attribute, shape)
    return _apply(module, path, name, shape)


def _original(module: nn.Module, path: str, attribute: str, wrapped: nn.Module, name: str) -> Declared:
    """One of the tensors from which a parametrized attribute is computed."""
    parameter = wrapped.get_parameter(name)
    shape = tuple(parameter.shape)
    if name == "original":
        return _apply(module, path, attribute, shape)
    if type(next(wrapped.children())).__name__ == "_WeightNorm":
        return _norm_of_weight(shape) if name == "original0" else _apply(module, path, attribute, shape)
    return Declared(Geometry(shape), "other")


def _norm_of_weight(shape: tuple[int, ...]) -> Declared:
    """The g of a weight norm: the length of each unit's weights."""
    return Declared(Geometry(shape, out_axes=tuple(range(len(shape)))), "scale")


def _apply(module: nn.Module, path: str, name: str, shape: tuple[int, ...]) -> Declared:
    """Ask the layer's rule; a tensor that a parametrization stores in another shape has no declared axes."""
    try:
        declared = rule_for(module)(module, name, shape)
    except ShapeError:
        return Declared(Geometry(shape), "other")
    return declared._replace(role="position") if declared.role == "embedding" and is_position(path) else declared
