"""Keras's recurrent cells, gate by gate, as their own forward pass uses the weights. See `model_cases.py`."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

import penstock
from penstock.keras.models import parameters_of
from penstock.randomness import key_for
from penstock.recipes import Chrono, PerBlock

UNITS = 8
TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a unit normal law that is cut at two deviations, which Haiku does not make up for."""
BACKEND = keras.backend.backend()
LSTM, GRU = {"i": 0, "f": 1, "g": 2, "o": 3}, {"z": 0, "r": 1, "n": 2}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def array(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def model_of(*cells, steps=3):
    return keras.Sequential([layers.Input((steps, 5)), *cells, layers.Dense(3)]), normal(16, steps, 5)


def planned(model, batch):
    """A model's plan, drawn into it."""
    plan = penstock.plan(model, batch)
    plan.apply(model, seed=1)
    return plan


def step(cell, x, *states):
    """What a cell makes of an input and its states in one step: the first state that follows."""
    given = [ops.convert_to_tensor(state.astype("float32")) for state in states]
    return array(cell(ops.convert_to_tensor(x.astype("float32")), given)[0]).astype(np.float64)


def seen_by(kind, trained, gate):
    """The state-to-state matrix of one gate, as a step of the layer shows it.

    A layer with linear functions gets the weights, but for those of other gates: these are held open (1) or shut (0).
    The states are then multiplied by this gate's matrix alone.
    """
    linear = {} if kind is layers.SimpleRNNCell else {"recurrent_activation": "linear"}
    cell = kind(UNITS, activation="linear", **linear)
    cell.build((None, 5))
    kernel, bias = np.zeros_like(array(cell.recurrent_kernel)), np.zeros_like(array(cell.bias))
    gates = {layers.LSTMCell: LSTM, layers.GRUCell: GRU}.get(kind, {"": 0})
    own = slice(gates[gate] * UNITS, (gates[gate] + 1) * UNITS)
    kernel[:, own] = array(trained.recurrent_kernel)[:, own]
    others = {"i": "go", "f": "o", "g": "io", "o": "ig", "z": "", "r": "", "n": "r", "": ""}[gate]
    for other in others:
        bias[..., gates[other] * UNITS : (gates[other] + 1) * UNITS] = 1.0
    if gate == "r":
        bias[1, gates["n"] * UNITS :] = 1.0
    if kind is layers.GRUCell and gate == "n":
        bias[1] = 0.0
    cell.recurrent_kernel.assign(kernel)
    cell.bias.assign(bias)
    states, x = np.eye(UNITS) + 2.0, np.zeros((UNITS, 5))
    memory = [np.ones((UNITS, UNITS)) if gate == "f" else np.zeros((UNITS, UNITS))] if kind is layers.LSTMCell else []
    made = step(cell, x, states, *memory)
    return np.linalg.solve(states, made / states if gate == "z" else made)


def assert_orthogonal(kind, trained, gates):
    for gate in gates:
        matrix = seen_by(kind, trained, gate)
        assert np.abs(matrix @ matrix.T - np.eye(UNITS)).max() < 1e-5, f"gate {gate!r} is not orthogonal"


CELLS = {
    layers.LSTM: (layers.LSTMCell, LSTM),
    layers.GRU: (layers.GRUCell, GRU),
    layers.SimpleRNN: (layers.SimpleRNNCell, ("",)),
}


def case_each_gate_is_orthogonal_in_the_layers_own_step():
    for make, (kind, gates) in CELLS.items():
        model, batch = model_of(make(UNITS))
        planned(model, batch)
        cell = model.layers[0].cell
        assert_orthogonal(kind, cell, gates)
        # Controls: Keras's own start, one orthogonal matrix over all gates; and blocks that lie along the inputs.
        blocks = np.split(array(cell.recurrent_kernel), len(gates), axis=1)
        wrong = [
            np.concatenate(blocks).reshape(UNITS, -1),
            array(model_of(make(UNITS))[0].layers[0].cell.recurrent_kernel),
        ]
        for kernel in wrong if len(gates) > 1 else [normal(UNITS, UNITS) / UNITS**0.5]:
            cell.recurrent_kernel.assign(kernel)
            with pytest.raises(AssertionError, match="is not orthogonal"):
                assert_orthogonal(kind, cell, gates)


def kept(cell):
    """The share of its memory that an LSTM keeps in a step with neither input nor state."""
    zeros = np.zeros((2, UNITS))
    states = [[ops.convert_to_tensor(s.astype("float32")) for s in (zeros, memory)] for memory in (zeros + 1.0, zeros)]
    made = [array(cell(ops.convert_to_tensor(np.zeros((2, 5), "float32")), given)[1][1]) for given in states]
    return (made[0] - made[1])[0]


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-np.asarray(x, np.float64)))


def case_the_forget_gate_starts_open():
    model, batch = model_of(layers.LSTM(UNITS, unit_forget_bias=False))
    np.testing.assert_allclose(kept(model.layers[0].cell), sigmoid(0.0), rtol=1e-5)
    plan = planned(model, batch)
    assert bias_of(plan).recipe == PerBlock((0.0, 1.0, 0.0, 0.0), (UNITS,) * 4)
    np.testing.assert_allclose(kept(model.layers[0].cell), sigmoid(1.0), rtol=1e-5)


def bias_of(plan, kind="lstm"):
    return next(e for e in plan.entries if e.key_name.endswith(f"{kind}_cell/bias"))


def case_memories_are_as_long_as_the_sequence():
    model, batch = model_of(layers.LSTM(UNITS, return_sequences=True), layers.GRU(UNITS), steps=33)
    plan = planned(model, batch)
    biases = [e for e in plan.entries if e.key_name.endswith("_cell/bias")]
    assert [e.recipe for e in biases] == [Chrono(33.0), Chrono(33.0, gates=3, remember=GRU["z"], write=None)]
    drawn = [e.recipe.draw(e.geometry, key_for(1, e.key_name)) for e in biases]
    np.testing.assert_allclose(kept(model.layers[0].cell), sigmoid(drawn[0][UNITS : 2 * UNITS]), rtol=1e-4)
    # The two biases of a GRU are added: the second stays zero.
    np.testing.assert_array_equal(array(model.layers[1].cell.bias)[0], drawn[1][0])
    np.testing.assert_array_equal(array(model.layers[1].cell.bias)[1], np.zeros(3 * UNITS))
    assert (drawn[1][0][:UNITS] > 0.0).all()
    assert bias_of(penstock.plan(*model_of(layers.LSTM(UNITS), steps=31))).recipe != Chrono(31.0)


def case_all_kinds_of_recurrent_layers():
    rows = layers.ConvLSTM1D(3, 2, return_sequences=True)
    stacked = layers.RNN([layers.LSTMCell(6), layers.GRUCell(5, reset_after=False)], return_sequences=True)
    body = [layers.Bidirectional(layers.LSTM(4, return_sequences=True)), stacked, layers.Reshape((3, 5, 1)), rows]
    model, batch = model_of(*body, layers.Flatten(), steps=3)
    plan = penstock.plan(model, batch)
    told = {e.name: e.recipe.describe() for e in plan.entries if e.name.endswith("recurrent_kernel")}
    assert len(told) == 5
    assert sorted(told.values()) == ["3 x orthogonal(gain=1)"] + ["4 x orthogonal(gain=1)"] * 4, told
    forget = [e.recipe.values for e in plan.entries if isinstance(e.recipe, PerBlock)]
    assert forget == [(0.0, 1.0, 0.0, 0.0)] * 4


def case_named_plans_know_the_cells():
    model, batch = model_of(layers.LSTM(UNITS))
    told = {
        recipe: [e.recipe.describe() for e in penstock.plan(model, batch, recipe=recipe).entries if "lstm" in e.name]
        for recipe in ("keras", "torch")
    }
    assert "semi_orthogonal(gain=1)" in told["keras"]
    assert "per_block(0, 1, 0, 0)" in told["keras"]
    assert told["torch"] == [f"uniform(bound={UNITS**-0.5:.4g})"] * 3


def case_haikus_fan_is_that_of_input_and_state_together():
    model, batch = model_of(layers.LSTM(UNITS, return_sequences=True), layers.LSTM(3))
    plan = penstock.plan(model, batch, recipe="haiku")
    joint = {"lstm": 5 + UNITS, "lstm_1": UNITS + 3}
    for kernel in ("kernel", "recurrent_kernel"):
        found = [e for e in plan.entries if e.name.endswith(f"lstm_cell/{kernel}")]
        assert len(found) == 2
        for entry, fan in zip(found, joint.values(), strict=True):
            std, own = entry.recipe.std(entry.geometry), entry.geometry.fans.fan_in
            np.testing.assert_allclose(std, TRUNCATED_STD / fan**0.5, rtol=1e-6)
            # Controls: the fan of one matrix alone, and that of two states.
            assert abs(std * own**0.5 / TRUNCATED_STD - 1.0) > 0.1
            assert abs(std * (2 * UNITS) ** 0.5 / TRUNCATED_STD - 1.0) > 0.1
    plan.apply(model, seed=1)
    cell = model.layers[0].cell
    values = np.concatenate([array(w).ravel() for w in (cell.kernel, cell.recurrent_kernel)])
    # A normal law cut at two deviations has a kurtosis of 2.06: its deviation is known to sqrt((2.06 - 1) / 4n).
    assert abs(values.std() * 13**0.5 / TRUNCATED_STD - 1.0) < 5 * (1.06 / (4 * values.size)) ** 0.5


def case_weights_of_cells_are_pytorchs_by_its_names():
    if BACKEND != "torch":
        return
    import torch
    from torch import nn

    for own, theirs, order in ((layers.LSTM, nn.LSTM, "ifgo"), (layers.GRU, nn.GRU, "rzn")):
        native, batch = theirs(5, UNITS, batch_first=True), normal(16, 6, 5)
        penstock.initialize(last_step_of(native), torch.from_numpy(batch), seed=5)
        model = keras.Sequential([layers.Input((6, 5)), own(UNITS)])
        known = parameters_of(model)
        names = {name: TORCH[name.rpartition("/")[2]] for name in known}
        penstock.initialize(model, batch, seed=5, names=names)
        gates = LSTM if own is layers.LSTM else GRU
        for name, one in known.items():
            values = np.split(native.get_parameter(names[name].removeprefix("cell.")).detach().numpy(), len(gates))
            blocks = dict(zip(order, values, strict=True))
            expected = np.concatenate([blocks[gate] for gate in gates]).T
            found = array(one.variable)
            np.testing.assert_array_equal(found[0] if found.shape[0] == 2 else found, expected)
            if name.endswith("kernel"):  # control: in the order of the other framework
                moved = np.concatenate([blocks[gate] for gate in reversed(gates)]).T
                assert not np.array_equal(found, moved)


TORCH = {"kernel": "cell.weight_ih_l0", "recurrent_kernel": "cell.weight_hh_l0", "bias": "cell.bias_ih_l0"}


def last_step_of(cell):
    """A PyTorch module that returns the last step of a recurrent layer."""
    from torch import nn

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = cell

        def forward(self, x):
            return self.cell(x)[0][:, -1]

    return Module()


CASES = {name.removeprefix("case_"): case for name, case in list(globals().items()) if name.startswith("case_")}
