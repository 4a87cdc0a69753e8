"""The page's engine against Python: the same random bits, the same signals and gradients."""

from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pytest
import torch

import penstock
from penstock import conventions
from penstock.geometry import Geometry
from penstock.lesson.page import lesson_page
from penstock.randomness import fill, key_for
from penstock.recipes import Normal, glorot_normal, he_normal, lecun_normal

ACTIVATIONS = {
    "linear": lambda h: h,
    "relu": torch.relu,
    "leaky relu 0.2": lambda h: torch.nn.functional.leaky_relu(h, 0.2),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
    "selu": torch.selu,
    "softplus": torch.nn.functional.softplus,
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("lesson") / "lesson.html"
    path.write_text(lesson_page(), encoding="utf-8")
    return path


@pytest.fixture
def page(watched, path):
    one = watched()
    one.open(path)
    return one.page


def bits(page, expression: str) -> np.ndarray:
    """A Float32Array of the page, as it lies in memory."""
    found = page.evaluate(
        f"() => {{ const v = Float32Array.from({expression});"
        " return Array.from(new Uint32Array(v.buffer, v.byteOffset, v.length)); }"
    )
    return np.array(found, dtype=np.uint32).view(np.float32)


@pytest.mark.parametrize(
    ("seed", "name"), [(0, "0.weight"), (2**53 - 1, "x"), (7, "grüße.weight"), (3, "a" * 300), (1, "")]
)
def test_keys_are_pythons(page, seed, name):
    low, high = page.evaluate("([seed, name]) => penstock.keyFor(seed, name)", [seed, name])
    assert low + (high << 32) == key_for(seed, name)


@pytest.mark.parametrize("law", ["uniform", "normal", "truncated_normal"])
def test_draws_are_pythons_bit_for_bit(page, law):
    ours = bits(page, f'penstock.raw("{law}", 5, "layer.weight", 100003)')
    wanted = fill(law, (100003,), key_for(5, "layer.weight"))
    np.testing.assert_array_equal(ours.view(np.uint32), wanted.view(np.uint32))
    if law == "normal":
        assert np.abs(ours).max() > 4.0  # tails, and not the centre alone, were compared
    other = fill(law, (100003,), key_for(6, "layer.weight"))
    assert (ours.view(np.uint32) == other.view(np.uint32)).mean() < 1e-3  # the control


STARTS = {
    "small": Normal(0.01),
    "xavier": glorot_normal(),
    "he": he_normal(),
    "lecun": lecun_normal(),
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("shape", [(64, 64), (32, 64), (10, 32)])
def test_starts_are_the_recipes_bit_for_bit(page, start, shape):
    outputs, inputs = shape
    act = 'penstock.activationOf("relu")'
    ours = bits(
        page, f'penstock.network({{widths: [{inputs}, {outputs}], start: "{start}", seed: 2, act: {act}}})[0].w'
    )
    geometry = Geometry(shape, in_axes=(1,), out_axes=(0,))
    wanted = STARTS[start].draw(geometry, key_for(2, "0.weight"))
    np.testing.assert_array_equal(ours.view(np.uint32), wanted.ravel().view(np.uint32))


@pytest.mark.parametrize(("start", "framework"), [("pytorch", "torch"), ("keras", "keras"), ("flax", "flax")])
def test_defaults_are_those_of_the_conventions(page, start, framework):
    act = 'penstock.activationOf("relu")'
    ours = bits(page, f'penstock.network({{widths: [64, 32], start: "{start}", seed: 2, act: {act}}})[0].w')
    geometry = Geometry((32, 64), in_axes=(1,), out_axes=(0,))
    wanted = conventions.layer_defaults(framework)["Linear"]["weight"](geometry).draw(geometry, key_for(2, "0.weight"))
    np.testing.assert_array_equal(ours.view(np.uint32), wanted.ravel().view(np.uint32))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_signals_and_gradients_are_pytorchs(page, name):
    depth, width = 6, 24
    told = page.evaluate(
        "([name, depth, width]) => {"
        " const t = penstock.measured({depth, width, start: 1.3, seed: 4, ofWeights: true,"
        " act: penstock.activationOf(name)});"
        " const [w, out] = [Array.from(t.back.w[0]), Array.from(t.trace.post.at(-1))];"
        " return {signal: t.signal, gradient: t.gradient, w, out}; }",
        [name, depth, width],
    )

    def draw(label, shape):
        return torch.from_numpy(fill("normal", shape, key_for(4, label))).double()

    scale = float(np.float32(1.3 / math.sqrt(width)))
    x = draw("input", (16, width)).requires_grad_()
    weights = [
        (
            torch.from_numpy(fill("normal", (width, width), key_for(4, f"{i}.weight"), scale=scale)).double()
        ).requires_grad_()
        for i in range(depth)
    ]
    signals = [x]
    for weight in weights:
        signals.append(ACTIVATIONS[name](signals[-1] @ weight.T))
        signals[-1].retain_grad()
    signals[-1].backward(draw("gradient", (16, width)))

    def rms(t):
        return float(t.detach().square().mean().sqrt())

    np.testing.assert_allclose(told["signal"], [rms(s) for s in signals], rtol=1e-6)
    np.testing.assert_allclose(told["gradient"], [rms(s.grad) for s in signals], rtol=1e-6)
    np.testing.assert_allclose(told["out"], signals[-1].detach().ravel(), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(told["w"], weights[0].grad.ravel(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gains_are_penstocks(page, name):
    ours = page.evaluate("name => penstock.gainOf(penstock.activationOf(name))", name)
    np.testing.assert_allclose(ours, float(penstock.gain(ACTIVATIONS[name])), rtol=1e-6)


def test_the_loss_and_its_gradient_are_pytorchs(page):
    logits = np.linspace(-3, 4, 40).reshape(4, 10)
    labels = [1, 0, 9, 5]
    told = page.evaluate(
        "([l, y]) => { const t = penstock.crossEntropy(l, y, 4, 10); return [t.loss, Array.from(t.grad)]; }",
        [logits.ravel().tolist(), labels],
    )
    tensor = torch.tensor(logits, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(tensor, torch.tensor(labels))
    loss.backward()
    np.testing.assert_allclose(told[0], loss.item(), rtol=1e-12)
    np.testing.assert_allclose(told[1], tensor.grad.ravel(), atol=1e-15)


FORMULAS = {
    "x * sigmoid(1.7 * x)": lambda x: x / (1 + np.exp(-1.7 * x)),
    "max(0, x)^2": lambda x: np.maximum(0, x) ** 2,
    "-x^2 + 2*x**3/4 - 1e-1": lambda x: -(x**2) + x**3 / 2 - 0.1,
    "2^-abs(x) * sin(pi*x)": lambda x: 2.0 ** -np.abs(x) * np.sin(np.pi * x),
    "softplus(x)-erf(x)+gelu(x)": None,
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_mean_what_they_say(page, formula):
    points = np.linspace(-3, 3, 13)
    told = page.evaluate(
        "([t, xs]) => { const f = penstock.formulaOf(t).f; return xs.map(f); }", [formula, points.tolist()]
    )
    if FORMULAS[formula] is None:
        t = torch.tensor(points)
        wanted = (torch.nn.functional.softplus(t) - torch.erf(t) + torch.nn.functional.gelu(t)).numpy()
    else:
        wanted = FORMULAS[formula](points)
    np.testing.assert_allclose(told, wanted, rtol=1e-12, atol=1e-12)


BAD = {
    "x +": "ends too early",
    "foo(x)": '"foo" is unknown',
    "3": "constant",
    "log(x)": "not finite at x = -5",
    "x)": "left over",
    "alert(1)": '"alert" is unknown',
    "constructor(x)": '"constructor" is unknown',
    "1/x": "not finite at x = 0",
    "": "ends too early",
    "x $ 2": "left over",
}


@pytest.mark.parametrize("formula", BAD)
def test_what_is_no_activation_is_said(page, formula):
    assert BAD[formula] in page.evaluate("t => penstock.formulaOf(t).error", formula)


CODE = {
    "pipe": ("relu", {"act": "gelu", "depth": 7, "gain": 0.3, "seed": 3}, "signal.at(-1)"),
    "depth": ("linear", {"gain": 0.9, "depth": 12}, "signal.at(-1)"),
    "small": ("tanh", {"depth": 5, "std": -1.5}, "signal.at(-1)"),
}


def printed(code: str, **names) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, names)
    return out.getvalue()


@pytest.mark.parametrize("figure", CODE)
def test_the_folded_python_gives_the_figures_number(page, figure):
    _, state, _ = CODE[figure]
    told = page.evaluate(
        "([id, state]) => { const f = penstock.figures.get(id); Object.assign(f.state, state); const s = f.state;"
        " const gain = id === 'pipe' ? 10 ** s.gain : id === 'depth' ? s.gain : 10 ** s.std * 8;"
        " const act = penstock.activationOf(id === 'pipe' ? s.act : id === 'depth' ? 'linear' : 'tanh');"
        " const told = penstock.measured({depth: s.depth, width: 64, start: gain, seed: s.seed ?? 0, act});"
        " return [f.code(s), told.signal.at(-1)]; }",
        [figure, state],
    )
    np.testing.assert_allclose(float(printed(told[0])), told[1], rtol=2e-5)


@pytest.mark.parametrize("act", ["relu", "leaky relu 0.2", "gelu", "softplus"])
def test_the_gain_in_python_is_the_figures(page, act):
    code, gain = page.evaluate(
        "act => [penstock.figures.get('he').code({act, depth: 3, formula: ''}),"
        " penstock.gainOf(penstock.activationOf(act))]",
        act,
    )
    np.testing.assert_allclose(float(printed(code)), gain, rtol=1e-6)


@pytest.mark.parametrize(
    "formula", ["x * sigmoid(1.7 * x)", "max(0, x)^2", "gelu(x) + abs(x) * e", "tanh(pi * x) - 0.1 * relu(x)"]
)
def test_the_gain_of_a_formula_in_python_is_the_figures(page, formula):
    code, gain = page.evaluate(
        "t => [penstock.figures.get('he').code({act: 'relu', depth: 3, formula: t}),"
        " penstock.gainOf(penstock.activationOf(t, penstock.formulaOf(t).f))]",
        formula,
    )
    np.testing.assert_allclose(float(printed(code)), gain, rtol=1e-5)


def test_the_other_lines_of_python_run(page):
    codes = page.evaluate(
        "() => ['xavier', 'zeros', 'frameworks', 'beyond'].map((id) => penstock.figures.get(id))"
        ".map((f) => f.code(f.state))"
    )
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    names = {"model": model, "batch": torch.randn(16, 8, generator=torch.Generator().manual_seed(0))}
    texts = [printed(code, **names) for code in codes]
    assert 1.0 < float(texts[0]) < 2.0
    assert "S101" in texts[1]
    assert "plan for Sequential" in texts[3]


def blocks(kind: str, gain: float, depth: int, width: int) -> tuple[list[float], list[float]]:
    """What the figure on sums and norms measures, by PyTorch's autograd."""

    def draw(label, shape):
        return torch.from_numpy(fill("normal", shape, key_for(0, label))).double()

    x = draw("input", (16, width)).requires_grad_()
    signals = [x]
    for i in range(depth):
        scale = float(np.float32(gain / math.sqrt(width)))
        weight = torch.from_numpy(fill("normal", (width, width), key_for(0, f"{i}.weight"), scale=scale)).double()
        last = signals[-1]
        y = torch.tanh(last @ weight.T)
        if kind in ("residual", "scaled"):
            y = last + y / (math.sqrt(depth) if kind == "scaled" else 1.0)
        elif kind == "norm":
            y = y / (y.square().mean(dim=1, keepdim=True).sqrt() + 1e-12)
        y.retain_grad()
        signals.append(y)
    signals[-1].backward(draw("gradient", (16, width)))
    return tuple(
        [float(t.detach().square().mean().sqrt()) for t in side] for side in (signals, [s.grad for s in signals])
    )


@pytest.mark.parametrize("kind", ["plain", "residual", "scaled", "norm"])
def test_sums_and_norms_are_pytorchs_forward_and_backward(page, kind):
    told = page.evaluate("kind => penstock.blocksMeasured({kind, gain: 1.4, depth: 5, width: 12})", kind)
    signal, gradient = blocks(kind, 1.4, 5, 12)
    np.testing.assert_allclose(told["signal"], signal, rtol=1e-6)
    np.testing.assert_allclose(told["gradient"], gradient, rtol=1e-6)
