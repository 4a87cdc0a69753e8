"""A hint is the call that works for what was handed over: each one is run as it is printed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flax.nnx", reason="flax is not installed")
pytest.importorskip("equinox", reason="equinox is not installed")
pytest.importorskip("haiku", reason="haiku is not installed")

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
from flax import linen, nnx

import penstock
from penstock.errors import ArgumentError, UnsupportedError

BATCH = jnp.asarray(np.random.default_rng(0).standard_normal((16, 6)), jnp.float32)
KEY = jax.random.key(0)


def large(tree: Any) -> Any:
    return jax.tree_util.tree_map(lambda leaf: 1e4 * leaf if eqx.is_inexact_array(leaf) else leaf, tree)


def of_linen() -> dict[str, Any]:
    model = linen.Dense(3)
    return {"model": model, "variables": large(model.init(KEY, BATCH))}


def of_haiku() -> dict[str, Any]:
    model = hk.transform(lambda x: hk.Linear(3)(x))  # noqa: PLW0108  a module is made within the function
    return {"model": model, "params": large(model.init(jax.random.PRNGKey(0), BATCH))}


def forward(params, x):
    return x @ params["w"]


def of_function() -> dict[str, Any]:
    return {"forward": forward, "params": {"w": 1e4 * jax.random.normal(KEY, (6, 3))}}


def of_lambda() -> dict[str, Any]:
    return {"apply_fn": lambda params, x: x @ params, "params": 1e4 * jax.random.normal(KEY, (6, 3))}


def of_nnx() -> dict[str, Any]:
    model = nnx.Linear(6, 3, rngs=nnx.Rngs(0))
    nnx.update(model, large(nnx.state(model, nnx.Param)))
    return {"model": model}


def of_equinox() -> dict[str, Any]:
    return {"model": large(eqx.nn.Linear(6, 3, key=KEY))}


HANDED = {
    "linen": (of_linen, "model.apply, variables, batch"),
    "haiku": (of_haiku, "model.apply, params, batch"),
    "function": (of_function, "forward, params, batch"),
    "lambda": (of_lambda, "apply_fn, params, batch"),
    "nnx": (of_nnx, "model, batch"),
    "equinox": (of_equinox, "model, batch"),
}
"""What is handed over, by the names that it has in a hint; and the call's arguments."""


def run(call: str, names: dict[str, Any]) -> Any:
    return eval(call, {"penstock": penstock, "batch": BATCH, **names})


@pytest.mark.parametrize("library", HANDED)
def test_the_hint_of_a_finding_is_the_call_that_mends_it(library):
    make, arguments = HANDED[library]
    names = make()
    report = run(f"penstock.check({arguments})", names)
    hints = {f.hint.partition("  #")[0] for f in report.findings if "penstock.initialize(" in f.hint}
    assert hints == {f"penstock.initialize({arguments})"}
    assert f"penstock.initialize({arguments})" in str(report)
    assert not {f.code for f in run(hints.pop(), names).after.findings} & {f.code for f in report.findings}
    if arguments != "model, batch":  # control: the call of other models
        other = {"model": names.get("model", names.get("forward", names.get("apply_fn")))}
        with pytest.raises(UnsupportedError, match=r"must come with its parameters|must be a model of a supported"):
            run("penstock.initialize(model, batch)", other)


@pytest.mark.parametrize("library", ["linen", "haiku", "function"])
def test_the_error_of_a_model_without_its_parameters_says_how_to_hand_them_over(library):
    make, arguments = HANDED[library]
    names = make()
    arguments = arguments.replace("forward", "apply_fn")
    model = names.get("model", names.get("forward"))
    names["apply_fn"] = model
    for function in ("check", "initialize", "plan"):
        with pytest.raises(UnsupportedError, match=re.escape(f"Hint: penstock.{function}({arguments})")):
            run(f"penstock.{function}(model, batch)", {"model": model})
    assert run(f"penstock.plan({arguments})", names).entries


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_errors_about_learning_rates_show_the_call(library):
    make, arguments = HANDED[library]
    expected = f"Hint: penstock.initialize({arguments}, loss=lambda output: loss(output, targets), learning_rate=True)"
    with pytest.raises(ArgumentError, match=re.escape(expected)):
        run(f"penstock.initialize({arguments}, learning_rate=True)", make())
