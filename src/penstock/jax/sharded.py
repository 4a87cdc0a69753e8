"""A tree of parameters from its shapes alone, each device making its own part: eager, and inside `jax.jit`."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Sharding, SingleDeviceSharding

from penstock.errors import ArgumentError, closest, message
from penstock.geometry import Geometry
from penstock.jax.initializer import Initializer, _on_host, _placed
from penstock.jax.laws import law_of, values
from penstock.planning.plan import Plan
from penstock.randomness import key_for
from penstock.recipes import Recipe
from penstock.recipes.ordered import draw_ordered
from penstock.recipes.uniform_between import open_end, rounded

Rules = Mapping[str, Recipe | Initializer]


def materialize(shapes: Any, sharding: Any, plan: Plan | Rules, seed: SupportsIndex) -> Any:
    """Make parameters from their shapes; every device makes the part that it holds, and nobody holds more.

    A value depends on the seed, the parameter's name and its index alone: any sharding, any number of devices, and
    `jax.jit` give the same bits, which are also those of `penstock.materialize` for a parameter of that name and shape
    (matrices and complex values are made by NumPy, whole, on each host). Names are the keys of the tree joined by
    dots: "params.Dense_0.kernel".

    Args:
        shapes: a tree of `jax.ShapeDtypeStruct` or arrays, as `jax.eval_shape(model.init, key, x)` gives.
        sharding: one `jax.sharding.Sharding` for all, a tree of them like `shapes`, or None for the default device.
        plan: a `penstock.Plan` with these names; or a mapping from names or patterns ("*.kernel") to recipes, drawn
            with JAX's axes (in -2, out -1), or to initializers of `penstock.jax`, which carry axes of their own. The
            first pattern that fits counts.
        seed: 0 <= seed < 2**64.

    Returns:
        A tree of arrays like `shapes`.

    Raises:
        ArgumentError: if a parameter is not in the plan, has another shape there, or a pattern fits nothing.

    Examples:
        >>> shapes = {"dense": {"kernel": jax.ShapeDtypeStruct((8, 4), jnp.float32)}}
        >>> made = materialize(shapes, None, {"*.kernel": penstock.recipes.Normal(0.02)}, 0)
        >>> made["dense"]["kernel"].shape
        (8, 4)
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(shapes)
    names = [_name(path) for path, _ in leaves]
    laid = _shardings(sharding, tree, len(leaves))
    chosen = [_chosen(plan, name, tuple(leaf.shape)) for name, (_, leaf) in zip(names, leaves, strict=True)]
    _check_used(plan, names)
    make = _traced if isinstance(jnp.zeros(()), Tracer) else _placed_parts
    made = [
        make(recipe, geometry, key_for(seed, key_name), np.dtype(leaf.dtype), where)
        for (_, leaf), (recipe, geometry, key_name), where in zip(leaves, chosen, laid, strict=True)
    ]
    return jax.tree_util.tree_unflatten(tree, made)


def _placed_parts(
    recipe: Recipe, geometry: Geometry, key: int, dtype: np.dtype[Any], where: Sharding | None
) -> jax.Array:
    """One callback a device, each for the window that lies there."""
    is_complex = jnp.issubdtype(dtype, jnp.complexfloating)

    def part(index: Any) -> Any:
        window = tuple(slice(*part.indices(size)[:2]) for part, size in zip(index, geometry.shape, strict=True))
        return rounded(recipe, draw_ordered(recipe, geometry, key, window=window, is_complex=is_complex), dtype)

    target = where or SingleDeviceSharding(jax.devices()[0])
    return jax.make_array_from_callback(geometry.shape, target, part)


def _traced(recipe: Recipe, geometry: Geometry, key: int, dtype: np.dtype[Any], where: Sharding | None) -> jax.Array:
    """Arithmetic that XLA compiles and divides; recipes without such a law ask NumPy in a callback."""
    words = jnp.array([key >> 32, key & 0xFFFFFFFF], jnp.uint32)
    laid = geometry.laid_out()
    law = None if jnp.issubdtype(dtype, jnp.complexfloating) else law_of(recipe, laid)
    made = values(words[0], words[1], laid.shape, law) if law is not None else _on_host(words, recipe, laid, dtype)
    if geometry.order:
        made = made.transpose(np.argsort(geometry.order))
    if dtype == jnp.bfloat16:
        made = jax.lax.reduce_precision(made, exponent_bits=8, mantissa_bits=7)
    end = open_end(recipe, dtype)
    made = made.astype(dtype) if end is None else jnp.minimum(made.astype(dtype), end)
    return made if where is None else jax.lax.with_sharding_constraint(made, where)


def _name(path: tuple[Any, ...]) -> str:
    return ".".join(str(getattr(part, "key", getattr(part, "name", getattr(part, "idx", part)))) for part in path)


def _shardings(sharding: Any, tree: Any, count: int) -> list[Sharding | None]:
    if sharding is None or isinstance(sharding, Sharding):
        return [sharding] * count
    found = jax.tree_util.tree_leaves(sharding, is_leaf=lambda x: isinstance(x, Sharding) or x is None)
    if len(found) != count or not all(isinstance(one, Sharding) or one is None for one in found):
        fact = (
            f"materialize: sharding must be one Sharding, or a tree of {count} of them like shapes; got {len(found)}."
        )
        raise ArgumentError(message(fact, hint="jax.tree.map(lambda shape: sharding, shapes)"))
    return found


def _chosen(plan: Plan | Rules, name: str, shape: tuple[int, ...]) -> tuple[Recipe, Geometry, str]:
    if isinstance(plan, Plan):
        entry = next((e for e in plan.entries if name in (e.name, *e.ties)), None)
        if entry is None or entry.recipe is None or entry.shape != shape:
            known = "nothing" if entry is None else f"{entry.shape} drawn from {entry.recipe}"
            fact = f"materialize: plan must draw {name!r} of shape {shape}; it has {known}."
            raise ArgumentError(message(fact, hint=closest(name, [e.name for e in plan.entries])))
        return entry.recipe, entry.geometry, entry.key_name
    rule = next((rule for pattern, rule in plan.items() if fnmatch.fnmatchcase(name, pattern)), None)
    if isinstance(rule, Initializer):
        if rule.factor is not None:
            raise ArgumentError(message(f"materialize: the initializer of {name!r} has a traced scale; give a number."))
        return *_placed(rule.recipe, shape, rule.in_axis, rule.out_axis, rule.batch_axis), name
    if not isinstance(rule, Recipe):
        fact = f"materialize: plan must have a recipe or an initializer for {name!r}; got {rule!r}."
        raise ArgumentError(message(fact, hint=f"plan={{..., {name!r}: penstock.recipes.Normal(0.02)}}"))
    return *_placed(rule, shape, -2, -1, ()), name


def _check_used(plan: Plan | Rules, names: list[str]) -> None:
    for pattern in () if isinstance(plan, Plan) else plan:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
            raise ArgumentError(message(f"materialize: {pattern!r} fits no parameter.", hint=closest(pattern, names)))
