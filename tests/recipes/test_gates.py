from __future__ import annotations

import numpy as np
import pytest
from standard_error import assert_mean, assert_std

from penstock.errors import ArgumentError, ShapeError
from penstock.geometry import Geometry
from penstock.recipes import Chrono, LogitOfUniform, UniformGate

HIDDEN = 5000
LSTM = Geometry((4 * HIDDEN,))


def test_chrono_memories_are_uniform_up_to_the_longest():
    write, remember, candidate, output = np.split(Chrono(100.0).draw(LSTM, 3).astype(np.float64), 4)
    np.testing.assert_array_equal(write, -remember)
    np.testing.assert_array_equal([candidate, output], 0.0)
    sigmoid = 1 / (1 + np.exp(-remember))
    memory = sigmoid / (1 - sigmoid)
    assert 1.0 <= memory.min() < memory.max() < 99.001
    assert_mean(memory, 50.0)
    assert_std(memory, 98 / np.sqrt(12))
    # The control: log U(1, T) instead of log U(1, T - 1) with T a tenth larger.
    with pytest.raises(AssertionError, match="mean"):
        assert_mean(np.exp(np.split(Chrono(110.0).draw(LSTM, 3), 4)[1]), 50.0)


def test_uniform_gates_open_evenly():
    write, remember, candidate, output = np.split(UniformGate().draw(LSTM, 3).astype(np.float64), 4)
    np.testing.assert_array_equal([write, candidate, output], 0.0)
    opened = 1 / (1 + np.exp(-remember))
    assert opened.min() > 0.999 / HIDDEN
    assert_mean(opened, 0.5)
    assert_std(opened, (1 - 2 / HIDDEN) / np.sqrt(12))


def test_a_gru_has_one_gate():
    reset, update, new = np.split(Chrono(50.0, gates=3, remember=1, write=None).draw(Geometry((30,)), 1), 3)
    assert (update >= 0).all()
    np.testing.assert_array_equal([reset, new], 0.0)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Chrono(2.0), "max_steps must be more than 2 steps; got 2.0"),
        (lambda: Chrono(10.0, remember=0), "remember and write must be different gates below gates=4"),
        (lambda: Chrono(10.0, gates=1), "remember and write must be different gates below gates=1"),
        (lambda: UniformGate(gates=0), "gates must be an integer >= 1; got 0"),
        (lambda: LogitOfUniform(0.6), "margin must be 0 < margin <= 1/2; got 0.6"),
    ],
)
def test_bad_parameters_are_errors(make, match):
    with pytest.raises(ArgumentError, match=match):
        make()


@pytest.mark.parametrize("shape", [(7,), (4, 4), ()])
def test_only_a_bias_of_equal_blocks_will_do(shape):
    with pytest.raises(ShapeError, match=r"Chrono\.draw: a bias of 4 equal blocks is needed"):
        Chrono(10.0).draw(Geometry(shape), 0)


def test_of_two_biases_that_are_added_the_first_has_the_values():
    recipe = Chrono(100.0, gates=3, remember=0, write=None)
    two, one = Geometry((2, 3 * 64), out_axes=(1, 0)), Geometry((3 * 64,))
    drawn = recipe.draw(two, 7)
    np.testing.assert_array_equal(drawn[0], recipe.draw(one, 7))
    np.testing.assert_array_equal(drawn[1], np.zeros(3 * 64))
    np.testing.assert_array_equal(recipe.draw(two, 7, window=(slice(0, 2), slice(60, 70))), drawn[:, 60:70])
    # Zeros below halve both moments.
    assert recipe.moments(two).mean == pytest.approx(recipe.moments(one).mean / 2)
    squares = [m.std**2 + m.mean**2 for m in (recipe.moments(two), recipe.moments(one))]
    assert squares[0] == pytest.approx(squares[1] / 2)
    assert not np.array_equal(drawn[0], drawn[1])
