"""One operation of a graph, run on tensors outside of the graph."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from penstock.randomness import fill, key_for

Caller = Callable[..., Sequence[Any]]


def attributes_of(op: Any) -> dict[str, Any]:
    """The attributes of an operation in a graph, by name."""
    return {attribute.name: op.get_attr(attribute.name) for attribute in op.op_def.attr}


def caller_of(op: Any, params: Mapping[str, Any], number: int) -> Caller:
    """A function that runs an operation of a graph on tensors.

    Args:
        op: of a graph.
        params: its attributes.
        number: that no other operation of the program has; it stands in for the seed that an unseeded one has none of.
    """
    if op.type in _RANDOM:
        return functools.partial(_random, op.type, params["dtype"], number)
    function = getattr(tf.raw_ops, op.type)
    arguments = [(a.name, _count(a, params)) for a in op.op_def.input_arg]
    inferred = {getattr(a, f"{kind}_attr") for a in op.op_def.input_arg for kind in ("type", "number", "type_list")}
    attributes = [name for name in params if name not in inferred]
    names = _python_names(function, [*(name for name, _ in arguments), *attributes])
    given = {names[name]: params[name] for name in attributes if name in names}
    if op.type in _GROUPED:
        return functools.partial(_convolved, function, given)

    def call(*tensors: Any) -> Sequence[Any]:
        rest = list(tensors)
        inputs: dict[str, Any] = {}
        for name, count in arguments:
            inputs[names[name]] = rest.pop(0) if count is None else [rest.pop(0) for _ in range(count)]
        return _listed(function(**inputs, **given))

    return call


def _python_names(function: Any, names: Sequence[str]) -> dict[str, str]:
    """What the Python function calls each argument: some are named anew there, none is put elsewhere."""
    known = [name for name in inspect.signature(function).parameters if name != "name"]
    own = [name for name in names if name not in known]
    others = [name for name in known if name not in names]
    return {name: name for name in names if name in known} | dict(zip(own, others, strict=False))


def _listed(made: Any) -> Sequence[Any]:
    """The results one by one: a tensor, a list of them, or a named tuple that may hold lists."""
    if isinstance(made, tf.Tensor):
        return [made]
    return [tensor for part in made or () for tensor in (part if isinstance(part, list) else [part])]


def _count(argument: Any, params: Mapping[str, Any]) -> int | None:
    """How many tensors an argument takes as a list; None where it takes one."""
    if argument.number_attr:
        return int(params[argument.number_attr])
    return len(params[argument.type_list_attr]) if argument.type_list_attr else None


_GROUPED = frozenset({"Conv2D", "Conv3D"})


def _convolved(function: Any, given: Mapping[str, Any], x: Any, kernel: Any) -> Sequence[Any]:
    """A convolution; a grouped one group by group, for on a CPU TensorFlow has no gradient of it whole."""
    axis = 1 if given["data_format"].startswith(b"NC") else x.shape.rank - 1
    groups = x.shape[axis] // kernel.shape[-2] if kernel.shape[-2] else 1
    if groups == 1:
        return [function(input=x, filter=kernel, **given)]
    pieces = zip(tf.split(x, groups, axis=axis), tf.split(kernel, groups, axis=-1), strict=True)
    return [tf.concat([function(input=part, filter=own, **given) for part, own in pieces], axis=axis)]


_RANDOM = frozenset({"RandomUniform", "RandomStandardNormal", "TruncatedNormal"})
"""Operations that draw from a state of TensorFlow's own: they would give other numbers in each run."""


def _random(kind: str, dtype: Any, number: int, shape: Any) -> Sequence[Any]:
    """The same numbers in each run, from penstock's own generator."""
    sizes = tuple(int(size) for size in shape.numpy())
    key = key_for(0, f"{kind}.{number}")
    if kind == "RandomUniform":
        values = fill("uniform", sizes, key, scale=0.5, shift=0.5)
    else:
        values = fill("normal" if kind == "RandomStandardNormal" else "truncated_normal", sizes, key)
    return [tf.cast(values, dtype)]
