"""The public gain: known answers for every named activation, names, conventions, and what it prints."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from penstock.activations import canonical, named, names
from penstock.errors import ArgumentError, UnsupportedError
from penstock.gains import gain, gain_of

KNOWN = json.loads((Path(__file__).parent / "data" / "known_gains.json").read_text())
EXACT = 1e-9


def errors(name: str) -> dict[str, float]:
    """Error by column, the smaller of absolute and relative."""
    found = gain(name).moments
    pairs = zip(KNOWN["columns"], map(float, KNOWN["activations"][name]), strict=True)
    return {column: abs(getattr(found, column) - known) / max(1.0, abs(known)) for column, known in pairs}


@pytest.mark.parametrize("name", KNOWN["activations"])
def test_known_answers(name: str) -> None:
    assert max(errors(name).values()) <= EXACT


def test_the_known_answers_can_be_missed() -> None:
    # The nearest wrong functions: the two forms of GELU differ by 3e-5 in their second moment.
    exact, tanh_form = gain("gelu").moments.second, gain("gelu_tanh").moments.second
    assert abs(exact - tanh_form) > 1e4 * EXACT
    assert len(KNOWN["activations"]) == 31
    assert len(KNOWN["columns"]) == 9


def test_named_functions_are_finite_far_out() -> None:
    x = np.array([-700.0, -50.0, -1.0, -0.0, 0.0, 1.0, 50.0, 700.0])
    for name in names():
        with np.errstate(all="raise", under="ignore"):
            assert np.all(np.isfinite(named(name)(x))), name


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("Swish", "silu"),
        ("linear", "identity"),
        ("gelu-new", "gelu_tanh"),
        ("hard_tanh", "hardtanh"),
        ("leaky_relu", "leaky_relu_0.01"),
        ("leaky_relu(0.2)", "leaky_relu_0.2"),
        ("LeakyReLU_0.25", "leaky_relu_0.25"),
        ("relu2", "squared_relu"),
    ],
)
def test_aliases(alias: str, name: str) -> None:
    assert canonical(alias) == name
    assert gain(alias) == gain(name)


def test_any_slope_of_leaky_relu() -> None:
    assert math.isclose(float(gain("leaky_relu_0.3")), math.sqrt(2 / 1.09), rel_tol=EXACT)


def test_names_that_are_not_known() -> None:
    with pytest.raises(ArgumentError, match=r"Did you mean 'gelu'\?"):
        gain("gellu")
    with pytest.raises(UnsupportedError, match="no scalar gain describes it"):
        gain("softmax")
    with pytest.raises(ArgumentError, match="must be a name or a callable; got 3"):
        gain(3)  # pyright: ignore[reportArgumentType]  wrong on purpose


def test_the_whole_message() -> None:
    with pytest.raises(ArgumentError) as caught:
        gain("tanh", convention="keras")  # pyright: ignore[reportArgumentType]  wrong on purpose
    assert str(caught.value) == "gain: convention must be 'exact' or 'torch'; got 'keras'."


def test_callables() -> None:
    assert math.isclose(float(gain(np.tanh)), float(gain("tanh")), rel_tol=EXACT)
    assert math.isclose(float(gain(lambda x: 2 * np.maximum(x, 0))), math.sqrt(0.5), rel_tol=EXACT)
    assert gain(lambda x: x).name == "<lambda>"
    assert gain_of(np.sin, name="leaky_relu_wavy").torch_convention is None


def test_variance() -> None:
    assert math.isclose(gain("relu", variance=4.0).forward, math.sqrt(2 / 4), rel_tol=EXACT)
    assert math.isclose(gain("relu", variance=4.0).backward, math.sqrt(2), rel_tol=EXACT)
    with pytest.raises(ArgumentError, match=r"variance must be positive; got -1.0"):
        gain("relu", variance=-1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tanh", 5 / 3),
        ("selu", 0.75),
        ("sigmoid", 1.0),
        ("relu", math.sqrt(2)),
        ("leaky_relu_0.2", math.sqrt(2 / 1.04)),
    ],
)
def test_pytorchs_convention(name: str, value: float) -> None:
    assert math.isclose(float(gain(name, convention="torch")), value, rel_tol=1e-12)
    assert gain(name).forward == float(gain(name))


def test_pytorch_has_no_number() -> None:
    with pytest.raises(UnsupportedError, match=r"no number for 'gelu'; known: identity.*\n.*penstock.gain\('gelu'\)"):
        gain("gelu", convention="torch")


def test_it_prints() -> None:
    text = str(gain("tanh"))
    for part in (
        "tanh, input ~ N(0, 1)",
        "1.59253741972",
        "1.46741359163",
        "1.66666666667",
        "a convention, not computed",
    ):
        assert part in text
    assert "a convention" not in str(gain("relu"))
    assert "PyTorch" not in str(gain("gelu"))
    assert max(map(len, text.splitlines())) <= 100
