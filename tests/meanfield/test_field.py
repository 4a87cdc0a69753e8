"""Fixed points, depth scales, the edge of chaos and trainable depth: published numbers, laws, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meanfield.known_answers import EDGES, HALF_STABLE, TANH_EDGE, TANH_FIELD

from penstock.activations import names
from penstock.errors import ArgumentError, UnsupportedError
from penstock.gains import gain
from penstock.meanfield import edge_of_chaos, half_stable_point, mean_field, trainable_depth
from penstock.meanfield.field import scale

ORDINARY = ("tanh", "gelu", "silu", "elu", "selu", "softsign", "hardtanh", "hardswish", "sin", "sigmoid", "mish")


@pytest.mark.parametrize(("weight_variance", "bias_variance"), TANH_FIELD)
def test_tanh(weight_variance: float, bias_variance: float):
    found = mean_field("tanh", weight_std=weight_variance**0.5, bias_std=bias_variance**0.5)
    known = TANH_FIELD[weight_variance, bias_variance]
    exact = 1e-9 if known[0] > 1.5 else 2e-12
    assert math.isclose(found.variance, known[0], abs_tol=exact)
    assert math.isclose(found.chi_1, known[1], abs_tol=exact)
    assert math.isclose(found.correlation, known[2], abs_tol=1e-10)
    assert math.isclose(found.xi_c, known[3], rel_tol=2e-9)
    assert math.isclose(found.xi_q, known[4], abs_tol=1.1e-8)


@pytest.mark.parametrize("bias_variance", TANH_EDGE)
def test_tanhs_edge_of_chaos(bias_variance: float):
    found = edge_of_chaos("tanh", bias_std=bias_variance**0.5)
    assert found is not None
    weight_variance, variance = TANH_EDGE[bias_variance]
    assert math.isclose(found.weight_std**2, weight_variance, abs_tol=1e-12)
    assert math.isclose(found.variance, variance, abs_tol=1e-12)


@pytest.mark.parametrize(("name", "bias_std"), [(name, bias) for name, row in EDGES.items() for bias in row])
def test_edges_of_other_functions(name: str, bias_std: float):
    found = edge_of_chaos(name, bias_std=bias_std)
    assert found is not None
    variance, weight_std = EDGES[name][bias_std]
    assert math.isclose(found.variance, variance, abs_tol=5.1e-7)
    assert math.isclose(found.weight_std, weight_std, abs_tol=5.1e-9)


@settings(max_examples=8)
@given(st.sampled_from(ORDINARY), st.floats(0.05, 1.0))
def test_on_the_edge_chi_is_one(name: str, bias_std: float):
    edge = edge_of_chaos(name, bias_std=bias_std)
    assert edge is not None
    found = mean_field(name, weight_std=edge.weight_std, bias_std=bias_std, variance=edge.variance)
    assert math.isclose(found.chi_1, 1.0, abs_tol=1e-9)
    assert math.isclose(found.variance, edge.variance, rel_tol=1e-8)
    assert found.phase == "edge of chaos"
    assert found.correlation == 1.0
    beside = mean_field(name, weight_std=1.01 * edge.weight_std, bias_std=bias_std, variance=edge.variance)
    assert beside.phase != "edge of chaos"


def test_edges_without_biases():
    for name, weight_std in {"tanh": 1.0, "gelu": 2.0, "silu": 2.0, "mish": 5 / 3, "hardswish": 2.0}.items():
        found = edge_of_chaos(name)
        assert found is not None
        assert math.isclose(found.weight_std, weight_std, abs_tol=1e-10)
        assert found.variance == 0.0
    for name, square in {"relu": 2.0, "leaky_relu_0.2": 2 / 1.04, "abs": 1.0, "identity": 1.0}.items():
        found = edge_of_chaos(name)
        assert found is not None
        assert math.isclose(found.weight_std**2, square, rel_tol=1e-12)
        assert math.isnan(found.variance)
        assert edge_of_chaos(name, bias_std=0.1) is None
    assert edge_of_chaos("softplus") is None


@pytest.mark.parametrize("name", HALF_STABLE)
def test_half_stable_points(name: str):
    found = half_stable_point(name)
    assert found is not None
    weight_variance, bias_variance, variance = HALF_STABLE[name]
    assert math.isclose(found.weight_std**2, weight_variance, abs_tol=6e-11)
    assert math.isclose(found.bias_std**2, bias_variance, abs_tol=6e-11)
    assert math.isclose(found.variance, variance, abs_tol=1e-10)
    field = mean_field(name, weight_std=found.weight_std, bias_std=found.bias_std, variance=found.variance)
    assert math.isclose(field.chi_1, 1.0, abs_tol=1e-9)
    assert math.isclose(field.variance_slope, 1.0, abs_tol=1e-9)


def test_half_stable_at_zero():
    for name in ("tanh", "sin"):
        found = half_stable_point(name)
        assert found is not None
        assert (found.variance, found.bias_std) == (0.0, 0.0)
        assert math.isclose(found.weight_std, 1.0, abs_tol=1e-10)
    relu = half_stable_point("relu")
    assert relu is not None
    assert math.isnan(relu.variance)
    assert half_stable_point("sigmoid") is None


@settings(max_examples=40)
@given(st.sampled_from(names()), st.floats(0.3, 3.0))
def test_the_exact_gain_holds_the_variance(name: str, variance: float):
    """With chi_1 that `penstock.gain` gives, which the mean field has worked out in another way."""
    found = mean_field(name, variance=variance)
    moments = gain(name, variance=variance).moments
    assert found.variance == variance
    assert math.isclose(found.weight_std, variance**0.5 * moments.gain_forward, rel_tol=1e-12)
    assert math.isclose(found.chi_1, moments.chi_1, rel_tol=1e-9, abs_tol=1e-12)


@settings(max_examples=25)
@given(st.sampled_from(ORDINARY), st.floats(0.2, 2.5), st.floats(0.05, 1.0))
def test_fixed_points_are_fixed_and_the_phases_differ(name: str, weight_std: float, bias_std: float):
    found = mean_field(name, weight_std=weight_std, bias_std=bias_std)
    if not 0.0 < found.variance < math.inf:
        return
    again = mean_field(name, weight_std=weight_std, bias_std=bias_std, variance=found.variance)
    assert math.isclose(again.variance, found.variance, rel_tol=1e-7)
    # The correlation map is convex: it has a second fixed point exactly where its slope at 1 is above 1.
    assert (found.correlation < 1.0) == (found.chi_1 > 1.0 + 1e-8)
    assert found.chi_c <= 1.0 + 1e-9


def test_signals_that_die_out_or_grow_without_bound():
    assert mean_field("relu", weight_std=1.4).variance == 0.0
    assert mean_field("relu", weight_std=1.42).variance == math.inf
    assert math.isnan(mean_field("relu", weight_std=1.42).correlation)
    assert mean_field("tanh", weight_std=0.9).variance == 0.0
    assert mean_field("squared_relu", weight_std=1.0).variance == math.inf
    assert mean_field("squared_relu", weight_std=0.6).variance == 0.0
    found = mean_field("relu", weight_std=1.0, bias_std=0.5)  # q = q / 2 + 1 / 4
    assert math.isclose(found.variance, 0.5, rel_tol=1e-12)


def test_scales():
    assert scale(1.0) == math.inf
    assert scale(-0.5) == scale(0.5) == scale(2.0) == 1 / math.log(2)
    assert scale(0.0) == 0.0


def test_trainable_depth_is_six_depth_scales():
    found = trainable_depth("tanh", weight_std=1.5**0.5, bias_std=0.05**0.5)
    assert math.isclose(float(found), 6 * 15.79099403, rel_tol=1e-8)
    assert found.limit == "correlation"
    chaotic = trainable_depth("tanh", weight_std=2.0, bias_std=0.05**0.5)
    assert math.isclose(float(chaotic), 6 / math.log(chaotic.field.chi_1), rel_tol=1e-9)
    assert chaotic.limit == "gradient"
    drifting = trainable_depth("gelu")
    assert math.isclose(float(drifting), 6 / math.log(drifting.field.variance_slope), rel_tol=1e-9)
    assert drifting.limit == "variance"


def test_trainable_depth_on_the_edge():
    assert float(trainable_depth("relu", start="he")) == math.inf
    assert trainable_depth("relu", start="exact").limit == "none"
    assert "any depth" in str(trainable_depth("leaky_relu_0.2"))
    edge = edge_of_chaos("tanh", bias_std=0.1)
    assert edge is not None
    assert trainable_depth("tanh", weight_std=edge.weight_std, bias_std=0.1).layers > 1e6


def test_trainable_depth_on_the_way_to_nowhere():
    """Relu's rate is the same at every variance; softplus grows for ever and still forgets its inputs soon."""
    dying = trainable_depth("relu", weight_std=1.0)
    assert math.isclose(float(dying), 6 / math.log(2), rel_tol=1e-12)
    assert math.isclose(float(trainable_depth("relu", weight_std=2.0)), 6 / math.log(2), rel_tol=1e-12)
    softplus = trainable_depth("softplus", start="he")
    assert softplus.field.variance == math.inf
    assert softplus.limit == "correlation"
    assert 5 < float(softplus) < 20


def test_usual_starts():
    torch = trainable_depth("relu", start="torch", fan_in=300)
    assert math.isclose(torch.field.weight_std, 3**-0.5)
    assert math.isclose(torch.field.bias_std, 1 / 30)
    assert math.isclose(float(torch), 6 / math.log(6), rel_tol=1e-9)
    assert trainable_depth("tanh", start="xavier").field.weight_std == 1.0
    assert trainable_depth("tanh", bias_std=0.2).field.bias_std == 0.2


def test_it_prints():
    text = str(trainable_depth("silu"))
    assert text.startswith("silu, sigma_w 1.67653, sigma_b 0: about 38 layers; the variance drifts away from q* = 1")
    assert "unstable" in str(mean_field("silu"))
    assert "about 1 layer;" in str(trainable_depth("squared_relu", start="torch"))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mean_field("tanh", weight_std=-1.0), "weight_std must be a finite number of at least 0; got -1.0"),
        (lambda: mean_field("tanh", bias_std=float("nan")), "bias_std must be a finite number of at least 0; got nan"),
        (lambda: mean_field("tanh", variance=0), "variance must be a finite number above 0; got 0"),
        (lambda: mean_field("tanh", bias_std=2.0), "exact one does not exist: tanh has a bias variance above 1"),
        (lambda: mean_field(np.zeros_like), "zeros_like is constantly zero"),
        (lambda: mean_field(lambda x: 1 / x), "must be finite"),
        (lambda: edge_of_chaos("tanh", bias_std=-0.1), "bias_std must be a finite number of at least 0; got -0.1"),
        (lambda: trainable_depth("tanh", start="kaiming"), r"got 'kaiming'.\nHint: Known: exact, he, torch, xavier"),
        (lambda: trainable_depth("tanh", start="torch", fan_in=0), "fan_in must be a finite number above 0; got 0"),
    ],
)
def test_bad_arguments(call, words: str):
    with pytest.raises(ArgumentError, match=words):
        call()


def test_functions_of_a_vector():
    with pytest.raises(UnsupportedError, match="no scalar gain describes it"):
        mean_field("softmax")
