"""Check, plan and initialize for functions, Flax, Equinox and Haiku; what is refused; what stays as it was."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

pytest.importorskip("jax.numpy", reason="jax is not installed")

import jax
import jax.numpy as jnp

import penstock
import penstock.jax as pj
from penstock.ledger.rebuild import values_of

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (32, 12))
SEQUENCE = jax.random.normal(KEY, (8, 4, 5))
IMAGE = jax.random.normal(KEY, (8, 8, 8, 3))


def weight(*shape: int, seed: int = 1) -> jax.Array:
    return 3.0 * jax.random.normal(jax.random.key(seed), shape)


def mlp(p, x):
    return jnp.tanh(x @ p["a"] + p["b"]) @ p["c"]


def params():
    return {"a": weight(12, 16), "b": jnp.zeros(16), "c": weight(16, 3)}


Pair = namedtuple("Pair", "first second")

TREES = {
    "list": ([weight(12, 16), weight(16, 3)], ["0", "1"]),
    "tuple": ((weight(12, 16), None, weight(16, 3)), ["0", "2"]),
    "named tuple": (Pair(weight(12, 16), weight(16, 3)), ["first", "second"]),
    "nested": ({"x": {"w": weight(12, 16)}, "y": [weight(16, 3), 3, "text"]}, ["x.w", "y.0"]),
    "keys": ({"w": weight(12, 16), "o": weight(16, 3), "rng": jax.random.key(3)}, ["o", "w"]),
}


@pytest.mark.parametrize("name", TREES)
def test_trees(name):
    tree, names = TREES[name]

    def apply(p, x):
        first, second = sorted(
            (leaf for leaf in jax.tree.leaves(p) if getattr(leaf, "ndim", 0) == 2), key=lambda w: -w.shape[1]
        )
        return jnp.tanh(x @ first) @ second

    start = penstock.initialize(apply, tree, X)
    assert sorted(start.before.measured.parameters) == names
    assert jax.tree.structure(start.params) == jax.tree.structure(tree)
    assert type(start.params) is type(tree)
    assert start.after.ok


def test_initialize_is_pure_and_mends():
    before = params()
    kept = jax.tree.map(np.array, before)
    start = penstock.initialize(mlp, before, X, seed=1)
    assert not start.before.ok
    assert start.after.ok
    jax.tree.map(np.testing.assert_array_equal, before, kept)
    assert penstock.check(mlp, start.params, X).findings == start.after.findings
    again = penstock.initialize(pj.Model(mlp, before), X, seed=1)
    jax.tree.map(np.testing.assert_array_equal, start.params, again.params)
    assert "plan for mlp" in str(start)


def test_what_the_ledger_says_is_there():
    start = penstock.initialize(mlp, params(), X, seed=1)
    for record in start.ledger:
        np.testing.assert_array_equal(values_of(record), np.asarray(start.params[record.name]), err_msg=record.name)
    factor = start.plan["a"].calibration.factor
    assert start.ledger["a"].factors == (factor,)
    assert factor != 1.0


def test_calibration_reaches_its_target():
    def deep(p, x):
        for i in range(4):
            x = jax.nn.gelu(x @ p[f"w{i}"] + p[f"b{i}"])
        return x @ p["o"]

    # Correlated inputs, which no analysis foresees.
    batch = 2.0 + 0.3 * jax.random.normal(KEY, (64, 32))
    tree = {f"w{i}": weight(32, 32, seed=i) for i in range(4)} | {f"b{i}": jnp.ones(32) for i in range(4)}
    start = penstock.initialize(deep, tree | {"o": weight(32, 3)}, batch)
    measured = start.after.measured
    for entry in start.plan.entries:
        calibration = entry.calibration
        if calibration is None or calibration.factor is None:
            continue
        signal = measured.signals[measured.graph.users(entry.name)[0].index]
        assert signal.rms == pytest.approx(np.hypot(calibration.target, calibration.centre or 0.0), rel=5.1e-3)


def test_stack_under_scan_is_its_layers():
    def stack(p, x):
        return jax.lax.scan(lambda h, q: (jnp.tanh(h @ q["w"] + q["b"]), None), x, p["layers"])[0] @ p["o"]

    tree = {"layers": {"w": weight(3, 12, 12), "b": jnp.zeros((3, 12))}, "o": weight(12, 2)}
    names = {f"layers.w[{i}]": f"layers.{i}.weight" for i in range(3)}
    start = penstock.initialize(stack, tree, X, names=names)
    assert set(names) <= set(start.before.measured.parameters)
    assert start.params["layers"]["w"].shape == (3, 12, 12)
    assert start.after.ok
    # Each layer is drawn under the name that a list of layers would give it.
    flat = {f"l{i}": weight(12, 12, seed=i) for i in range(3)} | {"o": weight(12, 2)}

    def listed(p, x):
        for i in range(3):
            x = jnp.tanh(x @ p[f"l{i}"])
        return x @ p["o"]

    recipe = penstock.recipes.Normal(0.1)
    own = {f"l{i}": f"layers.{i}.weight" for i in range(3)}
    apart, _ = pj.apply(penstock.plan(listed, flat, X, recipe=recipe, names=own), pj.Model(listed, flat), seed=4)
    whole, _ = pj.apply(penstock.plan(stack, tree, X, recipe=recipe, names=names), pj.Model(stack, tree), seed=4)
    for i in range(3):
        np.testing.assert_array_equal(whole.params["layers"]["w"][i], apart.params[f"l{i}"])


def test_materialize_draws_what_apply_draws():
    plan = penstock.plan(mlp, params(), X, recipe=penstock.recipes.Normal(0.1), names={"a": "fc.weight"})
    model, _ = pj.apply(plan, pj.Model(mlp, params()), seed=2)
    shapes = {name: jax.ShapeDtypeStruct(value.shape, value.dtype) for name, value in params().items()}
    for made in (pj.materialize(shapes, None, plan, 2), jax.jit(lambda: pj.materialize(shapes, None, plan, 2))()):
        jax.tree.map(np.testing.assert_array_equal, made, model.params)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_types(dtype):
    tree = jax.tree.map(lambda w: w.astype(dtype), params())
    start = penstock.initialize(lambda p, x: mlp(p, x.astype(dtype)), tree, X)
    assert start.params["a"].dtype == dtype
    assert start.before.measured.signals[1].dtype == dtype
    assert start.after.ok
    for record in start.ledger:
        assert record.digest is not None


def test_float64():
    with jax.enable_x64(True):
        tree = jax.tree.map(lambda w: jnp.asarray(np.asarray(w), jnp.float64), params())
        start = penstock.initialize(mlp, tree, np.asarray(X, np.float64))
        assert start.params["a"].dtype == jnp.float64
        assert start.after.ok


def test_sharding_is_kept():
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    where = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    tree = jax.tree.map(lambda w: jax.device_put(w, where), params())
    start = penstock.initialize(mlp, tree, X)
    assert all(w.sharding == where for w in jax.tree.leaves(start.params))


def test_plan_of_nnx_is_applied_in_place_and_others_are_not():
    nnx = pytest.importorskip("flax.nnx")
    layer = nnx.Linear(12, 4, rngs=nnx.Rngs(0))
    plan = penstock.plan(layer, X, recipe=penstock.recipes.Constant(0.5))
    ledger = plan.apply(layer, seed=0)
    np.testing.assert_array_equal(layer.kernel[...], np.full((12, 4), 0.5, np.float32))
    assert ledger["kernel"].recipe == penstock.recipes.Constant(0.5)
    plan = penstock.plan(mlp, params(), X)
    with pytest.raises(penstock.UnsupportedError, match=r"penstock\.jax\.apply\(plan, model, seed=0\)"):
        plan.apply(pj.Model(mlp, params()), seed=0)


def linen_models():
    linen = pytest.importorskip("flax.linen")

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.relu(linen.BatchNorm(use_running_average=True)(linen.Conv(16, (3, 3))(x)))
            x = linen.GroupNorm(4)(linen.ConvTranspose(16, (3, 3), strides=(2, 2))(linen.avg_pool(x, (2, 2))))
            return linen.Dense(5)(x.mean((1, 2)))

    class Recurrent(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.Dense(3)(linen.RNN(linen.OptimizedLSTMCell(16))(x)[:, -1])

    return {"net": (Net(), IMAGE), "recurrent": (Recurrent(), SEQUENCE)}


@pytest.mark.parametrize("name", ["net", "recurrent"])
def test_linen(name):
    module, batch = linen_models()[name]
    variables = module.init(KEY, batch)
    start = penstock.initialize(module.apply, variables, batch)
    assert not [f for f in start.before.findings if f.severity == "error"]
    assert not [f for f in start.after.findings if f.severity == "error"]
    assert all(n.startswith("params.") for n in start.before.measured.parameters)
    assert not start.before.measured.graph.unknown_ops
    for collection, values in variables.items():
        if collection != "params":
            jax.tree.map(np.testing.assert_array_equal, start.params[collection], values)
    assert penstock.check(module.bind(variables), batch).findings == start.before.findings


def test_fused_gates_are_weights_of_their_own():
    module, batch = linen_models()["recurrent"]
    plan = penstock.plan(module.apply, module.init(KEY, batch), batch)
    gates = [e for e in plan.entries if e.name.endswith("kernel") and "Cell" in e.name]
    assert len(gates) == 8
    assert all(e.recipe is not None and e.recipe.std(e.geometry) > 0.0 for e in gates)


def test_haiku():
    hk = pytest.importorskip("haiku")
    net = hk.transform(lambda x: hk.Linear(3)(hk.LayerNorm(-1, True, True)(hk.nets.MLP([16, 16])(x))))
    start = penstock.initialize(net.apply, net.init(jax.random.PRNGKey(0), X), X)
    assert start.after.ok
    roles = {n: p.role for n, p in start.after.measured.parameters.items()}
    assert roles["mlp/~/linear_0.w"] == "weight"
    assert roles["mlp/~/linear_0.b"] == "bias"
    assert (roles["layer_norm.scale"], roles["layer_norm.offset"]) == ("scale", "offset")


def test_equinox_is_mapped_over_the_batch():
    eqx = pytest.importorskip("equinox")
    model = eqx.nn.MLP(12, 3, 16, 2, key=KEY)
    start = penstock.initialize(model, X)
    assert start.after.ok
    assert isinstance(start.model, eqx.nn.MLP)
    assert start.model.layers[0].weight.shape == (16, 12)
    assert not np.array_equal(start.model.layers[0].weight, model.layers[0].weight)
    assert start.plan["layers.0.weight"].geometry.fans.fan_in == 12.0


BAD = {
    "shapes": (lambda: penstock.check(mlp, params(), X[:, :5]), penstock.ModelError, "must run on the batch"),
    "nan": (lambda: penstock.check(mlp, params(), X.at[0, 0].set(jnp.nan)), penstock.ArgumentError, "must be finite"),
    "no batch": (lambda: penstock.check(mlp, params(), 3), penstock.ArgumentError, "batch must be an array"),
    "no params": (lambda: penstock.check(mlp, {"n": 3}, X), penstock.ArgumentError, "at least one array"),
    "four": (lambda: penstock.check(mlp, params(), X, X), penstock.ArgumentError, r"\(apply_fn, params, batch\)"),
    "no function": (lambda: penstock.check(3, params(), X), penstock.ArgumentError, "int as apply_fn"),
    "shapes only": (
        lambda: penstock.check(mlp, jax.eval_shape(params), X),
        penstock.UnsupportedError,
        r"penstock\.jax\.materialize",
    ),
    "loss": (
        lambda: penstock.check(mlp, params(), X, loss=lambda y: y),
        penstock.ArgumentError,
        "must return a scalar",
    ),
    "loss raises": (
        lambda: penstock.check(mlp, params(), X, loss=lambda y: y @ y),
        penstock.ModelError,
        "loss must take",
    ),
    "names": (lambda: penstock.plan(mlp, params(), X, names={"q": "w"}), penstock.ArgumentError, "names must map"),
    "seed": (lambda: penstock.initialize(mlp, params(), X, seed=-1), penstock.ArgumentError, "seed must be"),
    "rate": (
        lambda: penstock.initialize(mlp, params(), X, learning_rate=True),
        penstock.ArgumentError,
        "needs the loss",
    ),
    "plan": (
        lambda: pj.apply(penstock.plan(mlp, params(), X), pj.Model(mlp, {"a": jnp.ones(3)})),
        penstock.ArgumentError,
        "the model has no 'b'",
    ),
    "array": (lambda: penstock.fans(jnp.ones((3, 4))), penstock.UnsupportedError, "what a model computes"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, error, text = BAD[name]
    with pytest.raises(error, match=text):
        call()


def test_a_while_loop_is_passed_through():
    def loop(p, x):
        return jax.lax.while_loop(lambda s: s[1] < 3, lambda s: (jnp.tanh(s[0]), s[1] + 1), (x @ p["a"], 0))[0]

    report = penstock.check(loop, {"a": weight(12, 4)}, X)
    assert report.measured.graph.unknown_ops == ("while",)
    assert any("while loop" in note for note in report.measured.notes)


def test_dropout_of_nnx_leaves_the_model_as_it_was():
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.a, self.drop = nnx.Linear(12, 16, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)
            self.norm, self.b = nnx.BatchNorm(16, rngs=rngs), nnx.Linear(16, 3, rngs=rngs)

        def __call__(self, x):
            return self.b(self.drop(jax.nn.relu(self.norm(self.a(x)))))

    model = Net(nnx.Rngs(0))
    before = jax.tree.map(np.array, nnx.state(model, nnx.Not(nnx.RngState)))
    count = int(model.drop.rngs.count[...])
    assert penstock.check(model, X).ok
    jax.tree.map(np.testing.assert_array_equal, nnx.state(model, nnx.Not(nnx.RngState)), before)
    assert int(model.drop.rngs.count[...]) == count
