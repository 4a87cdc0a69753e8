"""Recurrent cells of JAX's libraries are planned gate by gate, as each library's own step uses the weights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
import torch
from flax import linen, nnx

import penstock
from penstock.jax import Model
from penstock.jax.cells import cells_of
from penstock.jax.check import measure
from penstock.jax.models import target_of
from penstock.planning.build import build_plan
from penstock.planning.drawing import drawn_arrays
from penstock.planning.plan import Plan
from penstock.recipes import Chrono, Constant, PerBlock

INPUTS, UNITS, STEPS = 5, 4, 2
KEY = jax.random.key(0)
GATES = {"lstm": "ifgo", "gru": "rzn", "rnn": "-"}
Arrays = Mapping[str, np.ndarray]
Step = Callable[..., tuple[Any, ...]]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def compiled_quickly() -> Iterator[None]:
    """Small models run once: compiling them well takes longer than running them."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


BATCH = normal(16, STEPS, INPUTS)


@dataclass(frozen=True)
class Case:
    """A library's cell.

    Attributes:
        kind: lstm, gru or rnn.
        model: runs it over a sequence.
        step: (model, input, states) -> the states that follow, h first, in the library's own code.
        gate: (parameters, gate, side) -> the matrix of one gate, (inputs, units).
        biases: whether the state's share of a GRU's last gate is reset after the product.
    """

    kind: str
    model: Any
    step: Step
    gate: Callable[[Arrays, str, str], np.ndarray]
    reset_after: bool = True


def over(step: Step, x: Any, count: int) -> Any:
    states = (jnp.zeros((x.shape[0], UNITS)),) * count
    for t in range(x.shape[1]):
        states = step(x[:, t], *states)
    return states[0]


def swapped(carry: Any) -> tuple[Any, ...]:
    """Flax's carry of an LSTM is (c, h)."""
    return tuple(reversed(carry)) if isinstance(carry, tuple) else (carry,)


def packed(states: Sequence[Any]) -> Any:
    return (states[1], states[0]) if len(states) > 1 else states[0]


def of_linen(kind: str, cell: linen.Module) -> Case:
    count = 2 if kind == "lstm" else 1
    states = (jnp.zeros((16, UNITS)),) * count
    variables = cell.init(KEY, packed(states), BATCH[:, 0])

    def step(params: Any, x: Any, *states: Any) -> tuple[Any, ...]:
        return swapped(cell.apply(params, packed(states), x)[0])

    model = Model(lambda params, x: over(functools.partial(step, params), x, count), variables)
    gate = per_gate if kind != "rnn" else lambda p, g, side: p[f"params.{side}.kernel"]
    return Case(kind, model, lambda m, x, *s: step(m.params, x, *s), gate)


def per_gate(parameters: Arrays, gate: str, side: str) -> np.ndarray:
    names = {f"{side}{gate}.kernel", f"{side}{gate}_.kernel"}
    return next(v for n, v in parameters.items() if n.split(".", 1)[1] in names)


class Nnx(nnx.Module):
    def __init__(self, cell: Callable[..., Any], count: int) -> None:
        self.cell, self.count = cell, count

    def step(self, x, *states):
        return swapped(self.cell(packed(states), x)[0])

    def __call__(self, x):
        return over(self.step, x, self.count)


class Equinox(eqx.Module):
    cell: Callable[..., Any]
    count: int

    def step(self, x, *states):
        made = self.cell(x, states if self.count == 2 else states[0])
        return made if self.count == 2 else (made,)

    def __call__(self, x):
        states = (jnp.zeros(UNITS),) * self.count
        for t in range(STEPS):
            states = self.step(x[t], *states)
        return states[0]


def fused(first: str, second: str, order: str, *, units_first: bool = False) -> Callable[..., np.ndarray]:
    """The gate's share of a matrix of all gates."""

    def gate(parameters: Arrays, name: str, side: str) -> np.ndarray:
        values = parameters[first if side == "i" else second]
        return np.split(values.T if units_first else values, len(order), axis=1)[order.index(name)]

    return gate


def of_haiku(kind: str, make: Callable[[], Any], gate: Callable[..., np.ndarray], **more: bool) -> Case:
    count = 2 if kind == "lstm" else 1

    def taken(x: Any, *states: Any) -> tuple[Any, ...]:
        given = hk.LSTMState(*states) if count == 2 else states[0]
        made = make()(x, given)[1]
        return (made.hidden, made.cell) if count == 2 else (made,)

    one = hk.without_apply_rng(hk.transform(taken))
    params = one.init(jax.random.PRNGKey(0), BATCH[:, 0], *[jnp.zeros((16, UNITS))] * count)
    model = Model(lambda p, x: over(functools.partial(one.apply, p), x, count), params)
    return Case(kind, model, lambda m, x, *s: one.apply(m.params, x, *s), gate, **more)


def joined(parameters: Arrays, gate: str, side: str) -> np.ndarray:
    block = np.split(parameters["memory/linear.w"], 4, axis=1)["igfo".index(gate)]
    return block[:INPUTS] if side == "i" else block[INPUTS:]


def of_nnx(kind: str, cls: Any, gate: Callable[..., np.ndarray]) -> Case:
    model = Nnx(cls(INPUTS, UNITS, rngs=nnx.Rngs(0)), 2 if kind == "lstm" else 1)
    return Case(kind, model, lambda m, x, *s: m.step(x, *s), gate)


def of_equinox(kind: str, cls: Any) -> Case:
    model = Equinox(cls(INPUTS, UNITS, key=KEY), 2 if kind == "lstm" else 1)
    gate = fused("cell.weight_ih", "cell.weight_hh", GATES[kind], units_first=True)
    return Case(kind, model, lambda m, x, *s: jax.vmap(m.step)(x, *s), gate)


DENSE = ("cell.dense_i.kernel", "cell.dense_h.kernel")
CASES: dict[str, Callable[[], Case]] = {
    "linen LSTMCell": lambda: of_linen("lstm", linen.LSTMCell(UNITS)),
    "linen OptimizedLSTMCell": lambda: of_linen("lstm", linen.OptimizedLSTMCell(UNITS)),
    "linen GRUCell": lambda: of_linen("gru", linen.GRUCell(UNITS)),
    "linen SimpleCell": lambda: of_linen("rnn", linen.SimpleCell(UNITS)),
    "nnx LSTMCell": lambda: of_nnx("lstm", nnx.LSTMCell, per_gate),
    "nnx OptimizedLSTMCell": lambda: of_nnx("lstm", nnx.OptimizedLSTMCell, fused(*DENSE, "ifgo")),
    "nnx GRUCell": lambda: of_nnx("gru", nnx.GRUCell, fused(*DENSE, "rzn")),
    "nnx SimpleCell": lambda: of_nnx("rnn", nnx.SimpleCell, fused(*DENSE, "-")),
    "equinox LSTMCell": lambda: of_equinox("lstm", eqx.nn.LSTMCell),
    "equinox GRUCell": lambda: of_equinox("gru", eqx.nn.GRUCell),
    # A name of one's own: the class alone tells what it is.
    "haiku LSTM": lambda: of_haiku("lstm", lambda: hk.LSTM(UNITS, name="memory"), joined),
    "haiku GRU": lambda: of_haiku("gru", lambda: hk.GRU(UNITS), fused("gru.w_i", "gru.w_h", "zrn"), reset_after=False),
    "haiku VanillaRNN": lambda: of_haiku(
        "rnn", lambda: hk.VanillaRNN(UNITS, name="memory"), fused("memory/linear.w", "memory/linear_1.w", "-")
    ),
}
"""Name -> how it is made, and where its matrices lie."""

PYTORCH = [name for name in CASES if not name.startswith("haiku") and "Simple" not in name]
LSTMS = [name for name in CASES if "LSTM" in name]


def arrays(model: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(a) for name, a in target_of(model, "check").parameters.items()}


@functools.cache
def planned(name: str) -> tuple[Case, Plan, Any]:
    """The case, its plan, and its model drawn by it."""
    case = CASES[name]()
    plan = penstock.plan(case.model, jnp.asarray(BATCH))
    return case, plan, penstock.jax.apply(plan, CASES[name]().model, seed=1)[0]


def sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-np.asarray(x, np.float64)))


def textbook(case: Case, matrices: Mapping[str, tuple[np.ndarray, np.ndarray]], x: Any, *states: Any) -> Any:
    """The state that follows, by the equations, with a forget gate open at one and no other bias."""
    h = states[0]
    a = {gate: (x @ w, h @ u) for gate, (w, u) in matrices.items()}
    if case.kind == "lstm":
        i, f, g, o = (sum(a[gate]) for gate in "ifgo")
        return sigmoid(o) * np.tanh(sigmoid(f + 1.0) * states[1] + sigmoid(i) * np.tanh(g))
    if case.kind == "gru":
        r, z = sigmoid(sum(a["r"])), sigmoid(sum(a["z"]))
        if case.reset_after:
            return (1 - z) * np.tanh(a["n"][0] + r * a["n"][1]) + z * h
        return z * np.tanh(a["n"][0] + (r * h) @ matrices["n"][1]) + (1 - z) * h
    return sum(a["-"])  # of inputs so small that the function is a line, or all positive


def matrices_of(case: Case, model: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    own = arrays(model)
    return {gate: (case.gate(own, gate, "i"), case.gate(own, gate, "h")) for gate in GATES[case.kind]}


def assert_steps_alike(case: Case, model: Any, matrices: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    rng = np.random.default_rng(2)
    scale = 1e-4 if case.kind == "rnn" else 1.0
    x, *states = (scale * rng.standard_normal((64, n)) for n in (INPUTS, *[UNITS] * (2 if case.kind == "lstm" else 1)))
    found = np.asarray(case.step(model, jnp.float32(x), *map(jnp.float32, states))[0], np.float64)
    expected = textbook(case, matrices, x, *states)
    shown = found > 0.0 if case.kind == "rnn" else np.ones_like(found, bool)  # Haiku's has a ReLU
    assert shown.sum() > 64
    np.testing.assert_allclose(found[shown], expected[shown], rtol=1e-4, atol=2e-6 * scale)


def assert_orthogonal(matrices: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    for gate, (_, state) in matrices.items():
        miss = np.abs(state.astype(np.float64) @ state.T - np.eye(UNITS)).max()
        assert miss < 1e-5, f"gate {gate!r} is not orthogonal"


@pytest.mark.parametrize("name", CASES)
def test_each_gate_is_orthogonal_where_the_cell_reads_it(name):
    case, _, model = planned(name)
    matrices = matrices_of(case, model)
    assert_orthogonal(matrices)
    assert_steps_alike(case, model, matrices)
    if len(matrices) > 1:  # controls: gates in another order; the states of one in two halves
        first, second = list(matrices)[:2]
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            assert_steps_alike(case, model, matrices | {first: matrices[second], second: matrices[first]})
    with pytest.raises(AssertionError, match="is not orthogonal"):
        assert_orthogonal(
            {gate: (w, np.roll(u, 1, axis=0) @ np.diag([1, 1, 1, 1.001])) for gate, (w, u) in matrices.items()}
        )


@pytest.mark.parametrize("name", CASES)
def test_inputs_have_the_fan_of_the_input_alone(name):
    case, plan, _ = planned(name)
    old = arrays(case.model)
    drawn = [old | drawn_arrays(plan, old, seed=seed) for seed in range(20)]
    values = np.concatenate([case.gate(own, g, "i").ravel() for own in drawn for g in GATES[case.kind]])
    se = 1.0 / np.sqrt(2 * values.size)
    assert abs(values.std() * INPUTS**0.5 - 1.0) < 5 * se
    assert abs(values.std() * (INPUTS + UNITS) ** 0.5 - 1.0) > 5 * se  # control: the joint fan


@pytest.mark.parametrize("name", LSTMS)
def test_the_forget_gate_starts_open(name):
    """The share of its memory that a cell keeps in a step with neither input nor state."""
    case, plan, model = planned(name)

    def kept(model: Any) -> np.ndarray:
        zeros = jnp.zeros((1, UNITS))
        after = [case.step(model, jnp.zeros((1, INPUTS)), zeros, c)[1] for c in (zeros + 1.0, zeros)]
        return np.asarray(after[0] - after[1])[0]

    np.testing.assert_allclose(kept(model), sigmoid(1.0), rtol=1e-5)
    before = kept(CASES[name]().model)
    if "haiku" in name:
        np.testing.assert_allclose(before, sigmoid(1.0), rtol=1e-5)
        assert "adds one to its forget gate itself" in plan["memory/linear.b"].reason
    elif "equinox" not in name:  # control: Flax's own start is half open
        np.testing.assert_allclose(before, sigmoid(0.0), rtol=1e-5)


class Native(torch.nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.cell = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](INPUTS, UNITS, batch_first=True)

    def forward(self, x):
        return self.cell(x)[0][:, -1]


def torch_name(name: str) -> str:
    """The parameter of PyTorch that holds one of a JAX library."""
    *_, layer, last = ["", *name.removeprefix("params.").removeprefix("cell.").split(".")]
    if last == "bias_n" or (layer == "hn" and last == "bias"):
        return "cell.bias_hh_l0"
    if "bias" in last:
        return "cell.bias_ih_l0"
    state = layer.startswith("h") or layer == "dense_h" or last == "weight_hh"
    return f"cell.weight_{'hh' if state else 'ih'}_l0"


@pytest.mark.parametrize("name", PYTORCH)
def test_a_seed_gives_the_bits_of_pytorch_by_its_names(name):
    case, plan, _ = planned(name)
    native, x = Native(case.kind), torch.from_numpy(BATCH)
    penstock.plan(native, x).apply(native, seed=5)
    values = {n: p.detach().numpy() for n, p in native.named_parameters()}
    same = replace(plan, entries=tuple(replace(e, drawn_as=torch_name(e.name)) for e in plan.entries))
    new = penstock.jax.apply(same, CASES[name]().model, seed=5)[0]
    blocks = {
        side: dict(
            zip(GATES[case.kind], np.split(values[f"cell.weight_{side}h_l0"], len(GATES[case.kind])), strict=True)
        )
        for side in "ih"
    }
    for gate, (w, u) in matrices_of(case, new).items():
        np.testing.assert_array_equal(w, blocks["i"][gate].T)
        np.testing.assert_array_equal(u, blocks["h"][gate].T)
        # Control: another gate's bits are others.
        assert not any(np.array_equal(u, other.T) for g, other in blocks["h"].items() if g != gate)
    bias = np.concatenate([b for n, b in arrays(new).items() if "bias" in n and torch_name(n).endswith("ih_l0")])
    assert sorted(bias) == sorted(values["cell.bias_ih_l0"])


def test_long_sequences_get_memories_of_all_lengths_where_one_bias_holds_the_gates():
    cell = nnx.RNN(nnx.OptimizedLSTMCell(INPUTS, UNITS, rngs=nnx.Rngs(0)))
    plan = penstock.plan(cell, jnp.asarray(normal(4, 33, INPUTS)))
    assert plan["cell.dense_h.bias"].recipe == Chrono(33.0)
    short = planned("nnx OptimizedLSTMCell")[1]["cell.dense_h.bias"]  # control
    assert short.recipe == PerBlock((0.0, 1.0, 0.0, 0.0), (UNITS,) * 4)


def test_a_gru_with_a_bias_for_each_gate_gets_them_on_the_one_that_remembers():
    cell, x = linen.RNN(linen.GRUCell(UNITS)), jnp.asarray(normal(4, 33, INPUTS))
    plan = penstock.plan(cell.apply, cell.init(KEY, x), x)
    recipes = {gate: plan[f"params.cell.i{gate}.bias"].recipe for gate in "rzn"}
    assert recipes == {"r": Constant(0.0), "n": Constant(0.0), "z": Chrono(33.0, gates=1, remember=0, write=None)}
    native = torch.nn.GRU(INPUTS, UNITS, batch_first=True)
    fused = penstock.plan(native, torch.from_numpy(np.array(x)))["bias_ih_l0"]
    z = plan["params.cell.iz.bias"]
    assert recipes["z"] is not None
    assert fused.recipe is not None
    drawn = fused.recipe.draw(fused.geometry, 7)
    np.testing.assert_array_equal(recipes["z"].draw(z.geometry, 7), drawn[UNITS : 2 * UNITS])


def test_layouts_of_other_layers_are_no_cells():
    dense = {"i.kernel": (5, 4), "i.bias": (4,), "h.kernel": (4, 3)}
    assert not cells_of(dense)
    assert set(cells_of(dense | {"h.kernel": (4, 4)})) == {"i.kernel", "i.bias", "h.kernel"}
    two = {"mlp/linear.w": (5, 4), "mlp/linear.b": (4,), "mlp/linear_1.w": (4, 4), "mlp/linear_1.b": (4,)}
    assert not cells_of(two)
    assert cells_of(two, frozenset({("VanillaRNN", "mlp")}))["mlp/linear_1.w"].cell == "rnn.hidden"
    stack = cells_of({f"cell.weight_{side}h[{i}]": (12, 3) for i in range(2) for side in "ih"})
    assert stack["cell.weight_hh[1]"].cell == "lstm.hidden"


def test_the_other_conventions_know_a_weight_on_input_and_state():
    measured = measure(CASES["haiku LSTM"]().model, jnp.asarray(BATCH))
    plans = {recipe: build_plan(measured, recipe=recipe) for recipe in ("torch", "keras", "haiku")}
    told = {
        name: str(plan["memory/linear.w"].recipe and plan["memory/linear.w"].recipe.describe())
        for name, plan in plans.items()
    }
    biases = {name: plan["memory/linear.b"].recipe for name, plan in plans.items()}
    assert biases["keras"] == biases["haiku"] == Constant(0.0)
    assert told["torch"] == "joined(uniform(bound=0.5), uniform(bound=0.5))"
    assert told["keras"].startswith("joined(fan_in uniform(gain=")
    assert told["keras"].endswith(", semi_orthogonal(gain=1))")
    assert told["haiku"].startswith("fan_in truncated_normal(gain=0.87")
