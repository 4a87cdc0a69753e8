"""What the trace makes of the ways in which people write a network."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch_models import Residual, Written, integers, normal, picture, seeded, trace

import penstock
from penstock.graph import Node
from penstock.moments import moments

X = normal(8, 4)
X3 = normal(8, 3, 4)
IDS = integers(8, 3, high=7)


def one_hot(model: Any, ids: Tensor) -> Tensor:
    return F.one_hot(ids, 7).float() @ model.w


def conv_1d_of_gpt(model: Any, x: Tensor) -> Tensor:
    return torch.addmm(model.b, x.view(-1, 4), model.w).view(8, 3, 5)


def swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # scripting still works and is still used
        function = torch.jit.script(swish)
    return Written(lambda m, x: function(x @ m.w) @ m.o, w=normal(4, 5), o=normal(5, 2))


# model, input, the graph in one line.
PICTURES: dict[str, tuple[Callable[[], nn.Module], Tensor, str]] = {
    "linear": (lambda: nn.Linear(4, 5), X, "input ; contraction[0] weight+bias"),
    "linear, 3 axes": (lambda: nn.Linear(4, 5), X3, "input ; contraction[0] weight+bias"),
    "linear, no bias": (lambda: nn.Linear(4, 5, bias=False), X3, "input ; contraction[0] weight"),
    "x @ w + b": (
        lambda: Written(lambda m, x: x @ m.w + m.b, w=normal(4, 5), b=normal(5)),
        X,
        "input ; contraction[0] w+b",
    ),
    "x @ w + b, 3 axes": (
        lambda: Written(lambda m, x: x @ m.w + m.b, w=normal(4, 5), b=normal(5)),
        X3,
        "input ; contraction[0] w+b",
    ),
    "F.linear": (
        lambda: Written(lambda m, x: F.linear(x, m.w, m.b), w=normal(5, 4), b=normal(5)),
        X,
        "input ; contraction[0] w+b",
    ),
    "addmm": (lambda: Written(conv_1d_of_gpt, w=normal(4, 5), b=normal(5)), X3, "input ; contraction[0] w+b"),
    "embedding": (lambda: nn.Embedding(7, 5), IDS, "input ; contraction[0] weight"),
    "rows": (lambda: Written(lambda m, i: m.w[i], w=normal(7, 5)), IDS, "input ; contraction[0] w"),
    "one-hot": (lambda: Written(one_hot, w=normal(7, 5)), IDS, "input ; contraction[0] w"),
    "plain sum": (
        lambda: Written(lambda m, x: x @ m.a + x @ m.b, a=normal(4, 5), b=normal(4, 5)),
        X,
        "input ; contraction[0] a ; contraction[0] b ; sum[1, 2]",
    ),
    "position": (
        lambda: Written(lambda m, i: m.e[i] + m.p[: i.shape[1]], e=normal(7, 5), p=normal(9, 5)),
        IDS,
        "input ; contraction[0] e ; sum[1] p",
    ),
    "glu": (
        lambda: nn.Sequential(nn.Linear(4, 8, bias=False), nn.GLU()),
        X,
        "input ; contraction[0] 0.weight ; gate[1]",
    ),
    "swiglu": (
        lambda: Written(
            lambda m, x: (F.silu(x @ m.g) * (x @ m.u)) @ m.d, g=normal(4, 6), u=normal(4, 6), d=normal(6, 4)
        ),
        X,
        "input ; contraction[0] g ; pointwise[1] ; contraction[0] u ; gate[2, 3] ; contraction[4] d",
    ),
    "layer scale": (
        lambda: Written(lambda m, x: m.g * (x @ m.w), w=normal(4, 5), g=normal(5)),
        X,
        "input ; contraction[0] w ; gate[1] g",
    ),
    "dropout": (
        lambda: nn.Sequential(nn.Linear(4, 5, bias=False), nn.Dropout(0.5), nn.Linear(5, 3, bias=False)),
        X,
        "input ; contraction[0] 0.weight ; move[1] ; contraction[2] 2.weight",
    ),
    "no_grad part": (
        lambda: Written(lambda m, x: without_gradient(x @ m.w) @ m.o, w=normal(4, 5), o=normal(5, 2)),
        X,
        "input ; contraction[0] w ; pointwise[1] ; contraction[2] o",
    ),
    "scripted": (
        scripted,
        X,
        "input ; contraction[0] w ; pointwise[1] ; contraction[2] o",
    ),
}


def without_gradient(x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.relu(x)


@pytest.mark.parametrize("case", PICTURES)
def test_the_graph_is(case: str):
    make, batch, wanted = PICTURES[case]
    assert picture(trace(seeded(make), batch)) == wanted


def test_a_picture_shows_another_model():
    """Control: the one-line form tells models apart."""
    make, batch, wanted = PICTURES["linear"]
    assert picture(trace(nn.Sequential(make(), nn.ReLU()), batch)) != wanted


# model, batch, and what its first contraction's geometry says.
GEOMETRIES: dict[str, tuple[Callable[[], nn.Module], Tensor, dict[str, Any]]] = {
    "nn.Linear": (lambda: nn.Linear(4, 5), X, {"in_axes": (1,), "out_axes": (0,)}),
    "x @ w": (lambda: Written(lambda m, x: x @ m.w, w=normal(4, 5)), X, {"in_axes": (0,), "out_axes": (1,)}),
    "x @ w.T": (lambda: Written(lambda m, x: x @ m.w.T, w=normal(5, 4)), X, {"in_axes": (1,), "out_axes": (0,)}),
    "w @ x": (
        lambda: Written(lambda m, x: (m.w @ x.T).T, w=normal(5, 4)),
        X,
        {"in_axes": (1,), "out_axes": (0,)},
    ),
    "addmm": (lambda: Written(conv_1d_of_gpt, w=normal(4, 5), b=normal(5)), X3, {"in_axes": (0,), "out_axes": (1,)}),
    "einsum": (
        lambda: Written(lambda m, x: torch.einsum("bi,oi->bo", x, m.w), w=normal(5, 4)),
        X,
        {"in_axes": (1,), "out_axes": (0,)},
    ),
    "einsum, heads": (
        lambda: Written(lambda m, x: torch.einsum("bti,ihd->bhtd", x, m.w), w=normal(4, 2, 3)),
        X3,
        {"in_axes": (0,), "out_axes": (1, 2)},
    ),
    "experts, bmm": (
        lambda: Written(lambda m, x: torch.bmm(x, m.w), w=normal(8, 4, 5)),
        X3,
        {"in_axes": (1,), "out_axes": (2,), "batch_axes": (0,)},
    ),
    "experts, einsum": (
        lambda: Written(lambda m, x: torch.einsum("ebi,eoi->ebo", x, m.w), w=normal(8, 5, 4)),
        X3,
        {"in_axes": (2,), "out_axes": (1,), "batch_axes": (0,)},
    ),
    "experts, baddbmm": (
        lambda: Written(lambda m, x: torch.baddbmm(m.b, x, m.w), w=normal(8, 4, 5), b=normal(8, 1, 5)),
        X3,
        {"in_axes": (1,), "out_axes": (2,), "batch_axes": (0,)},
    ),
    "conv 1d, strided": (
        lambda: nn.Conv1d(4, 6, 3, stride=2),
        normal(8, 4, 9),
        {"in_axes": (1,), "window_axes": (2,), "stride": 2},
    ),
    "conv 2d, grouped": (
        lambda: nn.Conv2d(4, 6, 3, groups=2, stride=(1, 2)),
        normal(8, 4, 9, 9),
        {"window_axes": (2, 3), "groups": 2, "stride": 2},
    ),
    "F.conv2d": (
        lambda: Written(lambda m, x: F.conv2d(x, m.w, stride=2), w=normal(6, 4, 3, 3)),
        normal(8, 4, 9, 9),
        {"out_axes": (0,), "window_axes": (2, 3), "stride": 4},
    ),
    "conv 3d": (lambda: nn.Conv3d(2, 4, 2), normal(4, 2, 4, 4, 4), {"window_axes": (2, 3, 4)}),
    "transposed": (
        lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2),
        normal(8, 4, 5, 5),
        {"in_axes": (0,), "out_axes": (1,), "split": "out", "transposed": True, "stride": 4, "groups": 2},
    ),
    "embedding": (lambda: nn.Embedding(7, 5), IDS, {"lookup": True, "out_axes": (1,)}),
    "one-hot is no look-up": (lambda: Written(one_hot, w=normal(7, 5)), IDS, {"lookup": False, "in_axes": (0,)}),
    "packed attention": (
        lambda: nn.MultiheadAttention(4, 2, batch_first=True),
        X3,
        {"blocks": (4, 4, 4), "block_names": ("q", "k", "v")},
    ),
}


@pytest.mark.parametrize("case", GEOMETRIES)
def test_the_axes_are(case: str):
    make, batch, wanted = GEOMETRIES[case]
    inputs = (batch,) * 3 if case == "packed attention" else (batch,)
    measured = trace(seeded(make), *inputs)
    geometry = next(n.geometry for n in measured.graph.nodes if n.kind == "contraction")
    assert geometry is not None
    assert {key: getattr(geometry, key) for key in wanted} == wanted


# Activations by their names in penstock.gain, and ways to write them.
ACTIVATIONS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "F.gelu": ("gelu", F.gelu),
    "gelu by tanh": (
        "gelu_tanh",
        lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x.pow(3)))),
    ),
    "gelu by erf": ("gelu", lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))),
    "x sigmoid(x)": ("silu", lambda x: x * torch.sigmoid(x)),
    "x sigmoid(1.702 x)": ("quick_gelu", lambda x: x * torch.sigmoid(1.702 * x)),
    "log1p(exp(x))": ("softplus", lambda x: torch.log1p(torch.exp(x))),
    "mish": ("mish", lambda x: x * torch.tanh(F.softplus(x))),
    "clamp": ("relu", lambda x: x.clamp(min=0)),
    "maximum": ("relu", lambda x: torch.maximum(x, torch.zeros_like(x))),
    "where": ("relu", lambda x: torch.where(x > 0, x, torch.zeros_like(x))),
    "where, leaky": ("leaky_relu_0.2", lambda x: torch.where(x > 0, x, 0.2 * x)),
    "times a mask": ("relu", lambda x: x * (x > 0)),
    "times a float mask": ("relu", lambda x: x * (x > 0).float()),
    "in place": ("relu", lambda x: x.mul_(1.0).relu_()),
    "squared": ("squared_relu", lambda x: F.relu(x) ** 2),
    "scaled tanh": ("lecun_tanh_1.7159", lambda x: 1.7159 * torch.tanh(x * (2 / 3))),
    "prelu": ("leaky_relu_0.25", nn.PReLU()),
    "prelu by channel": ("leaky_relu_0.25", nn.PReLU(5)),
    "selu": ("selu", F.selu),
    "hardswish": ("hardswish", F.hardswish),
    "log sigmoid": ("log_sigmoid", F.logsigmoid),
}


@pytest.mark.parametrize("case", ACTIVATIONS)
def test_an_activation_is_one_node_with_its_function(case: str):
    name, function = ACTIVATIONS[case]
    model = Written(lambda m, x: function(x @ m.w), w=normal(4, 5))
    if isinstance(function, nn.Module):
        model.activation = function
    node = _after(trace(model, X), ["input", "contraction"])
    assert node.kind == "pointwise"
    assert node.function is not None
    x = np.linspace(-6, 6, 301)
    np.testing.assert_allclose(node.function(x), _numpy(name, x), rtol=1e-12, atol=1e-12)
    exact = penstock.gain(name).moments
    assert moments(node.function).second == pytest.approx(exact.second, rel=1e-9)
    with pytest.raises(AssertionError, match="Not equal"):
        np.testing.assert_allclose(node.function(x), _numpy("elu", x), rtol=1e-12, atol=1e-12)


def test_two_activations_in_a_row_are_one():
    node = _after(trace(Written(lambda m, x: torch.tanh(F.relu(x @ m.w)), w=normal(4, 5)), X), ["input", "contraction"])
    assert node.function is not None
    np.testing.assert_allclose(node.function(np.array([-1.0, 2.0])), [0.0, math.tanh(2.0)])


def test_a_mask_of_another_signal_is_no_activation():
    measured = trace(Written(lambda m, x: (x @ m.w) * (x @ m.v > 0), w=normal(4, 5), v=normal(4, 5, seed=1)), X)
    assert measured.graph.nodes[-1].function is None


def affine(m: Any, x: Tensor) -> Tensor:
    return x * m.g + m.b


def textbook(m: Any, x: Tensor) -> Tensor:
    h = x @ m.w
    mean = h.mean(-1, keepdim=True)
    return affine(m, (h - mean) / torch.sqrt(((h - mean) ** 2).mean(-1, keepdim=True) + 1e-5))


def annotated_transformer(m: Any, x: Tensor) -> Tensor:
    h = x @ m.w
    return m.g * (h - h.mean(-1, keepdim=True)) / (h.std(-1, keepdim=True) + 1e-6) + m.b


def var_mean(m: Any, x: Tensor) -> Tensor:
    h = x @ m.w
    variance, mean = torch.var_mean(h, -1, keepdim=True)
    return affine(m, (h - mean) * torch.rsqrt(variance + 1e-5))


def llama(m: Any, x: Tensor) -> Tensor:
    h = x @ m.w
    return m.g * (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)) + m.b


def gemma(m: Any, x: Tensor) -> Tensor:
    h = (x @ m.w).float()
    return (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)).type_as(x) * (1.0 + m.g) + m.b


@pytest.mark.parametrize("function", [textbook, annotated_transformer, var_mean, llama, gemma])
def test_a_norm_by_hand_is_one_node_with_its_parameters(function: Callable[..., Tensor]):
    measured = trace(Written(function, w=normal(4, 5), g=torch.ones(5), b=torch.zeros(5)), X)
    assert picture(measured) == "input ; contraction[0] w ; norm[1] g+b"
    assert [p.role for p in measured.parameters.values()] == ["weight", "scale", "offset"]


def test_norms_that_follow_each_other_stay_two():
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 5, bias=False), nn.LayerNorm(5), nn.LayerNorm(5)))
    assert [n.kind for n in trace(model, X).graph.nodes] == ["input", "contraction", "norm", "norm"]
    hand = Written(
        lambda m, x: torch.stack([textbook(m, x), textbook(m, x)]).sum(0), w=normal(4, 5), g=torch.ones(5), b=normal(5)
    )
    assert sum(n.kind == "norm" for n in trace(hand, X).graph.nodes) == 2


def shifted(h: Tensor) -> Tensor:
    e = torch.exp(h - h.max(-1, keepdim=True).values)
    return e / e.sum(-1, keepdim=True)


def unshifted(h: Tensor) -> Tensor:
    return h.exp() / h.exp().sum(-1, keepdim=True)


def log_softmax(h: Tensor) -> Tensor:
    return h - torch.logsumexp(h, -1, keepdim=True)


def log_of_sum(h: Tensor) -> Tensor:
    m = h.max(-1, keepdim=True)[0]
    return h - (m + torch.log(torch.exp(h - m).sum(-1, keepdim=True)))


@pytest.mark.parametrize("function", [shifted, unshifted, log_softmax, log_of_sum])
def test_a_softmax_by_hand_is_a_mix(function: Callable[[Tensor], Tensor]):
    measured = trace(Written(lambda m, x: function(x @ m.w), w=normal(4, 5)), X)
    assert picture(measured) == "input ; contraction[0] w ; mix[1]"
    assert measured.graph.nodes[-1].op == "softmax"


def in_place_residual(m: Any, x: Tensor) -> Tensor:
    y = x @ m.w
    y += torch.tanh(y) @ m.u
    return y @ m.o


def test_residual_sums():
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 4), Residual(nn.Linear(4, 4)), nn.Linear(4, 2)))
    assert [n.index for n in trace(model, X).graph.nodes if n.residual] == [3]
    measured = trace(Written(in_place_residual, w=normal(4, 5), u=normal(5, 5), o=normal(5, 2)), X)
    assert [n.residual for n in measured.graph.nodes if n.kind == "sum"] == [True]
    make, batch, _ = PICTURES["plain sum"]
    assert not any(n.residual for n in trace(make(), batch).graph.nodes)


def by_hand(m: Any, x: Tensor) -> Tensor:
    q, k, v = x @ m.q, x @ m.k, x @ m.v
    logits = (q @ k.transpose(-1, -2) / 2).masked_fill(torch.ones(3, 3).triu(1).bool(), -math.inf)
    return (logits.softmax(-1) @ v) @ m.o


def by_softmax_by_hand(m: Any, x: Tensor) -> Tensor:
    return (shifted((x @ m.q) @ (x @ m.k).transpose(-1, -2)) @ (x @ m.v)) @ m.o


def by_sdpa(m: Any, x: Tensor) -> Tensor:
    q, k, v = ((x @ w).view(8, 3, 2, 2).transpose(1, 2) for w in (m.q, m.k, m.v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(8, 3, 4) @ m.o


@pytest.mark.parametrize("function", [by_hand, by_softmax_by_hand, by_sdpa])
def test_attention_is_a_mix_of_the_values(function: Callable[..., Tensor]):
    weights = {name: normal(4, 4, seed=i) for i, name in enumerate("qkvo")}
    graph = trace(Written(function, **weights), X3).graph
    (output,) = graph.users("o")
    averaged = graph.nodes[output.inputs[0]]
    assert averaged.kind == "mix"
    (values,) = graph.users("v")
    assert values.index in averaged.inputs
    assert not any(n.kind == "norm" for n in graph.nodes)


@pytest.mark.parametrize("weights", [True, False])
def test_multihead_attention(weights: bool):
    layer = seeded(lambda: nn.MultiheadAttention(4, 2, batch_first=True))
    model = Written(lambda m, x: m.layer(x, x, x, need_weights=weights)[0])
    model.layer = layer
    graph = trace(model, X3).graph
    assert [n.parameters[0] for n in graph.nodes if n.kind == "contraction"] == [
        "layer.in_proj_weight",
        "layer.out_proj.weight",
    ]
    (last,) = graph.users("layer.out_proj.weight")
    assert graph.nodes[last.inputs[0]].kind == "mix"


@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers(make: Callable[..., nn.Module]):
    layer = seeded(lambda: make(4, 6, num_layers=2, bidirectional=True, batch_first=True))
    graph = trace(layer, X3).graph
    blocks = {"LSTM": 4, "GRU": 3, "RNN": 0}[type(layer).__name__]
    made = {n.parameters[0]: n for n in graph.nodes if n.kind == "contraction"}
    assert len(made) == 8
    for node in made.values():
        assert node.geometry is not None
        assert node.geometry.blocks == (6,) * blocks
        assert len(node.parameters) == 2
    for direction in ("", "_reverse"):
        assert made[f"weight_ih_l0{direction}"].inputs == (0,)
        below = {made[f"weight_{kind}_l0{d}"].index for kind in ("ih", "hh") for d in ("", "_reverse")}
        assert set(made[f"weight_ih_l1{direction}"].inputs) == below


def packed(m: Any, x: Tensor) -> Tensor:
    rows = nn.utils.rnn.pack_padded_sequence(x, [3, 3, 2, 2, 2, 1, 1, 1], batch_first=True)
    states, _ = nn.utils.rnn.pad_packed_sequence(m.layer(rows)[0], batch_first=True)
    return states @ m.o


def cells(m: Any, x: Tensor) -> Tensor:
    state = None
    for t in range(3):
        state = m.layer(x[:, t], state)
    return (state[0] if isinstance(state, tuple) else state) @ m.o


@pytest.mark.parametrize(
    ("function", "make", "uses"),
    [
        (packed, lambda: nn.LSTM(4, 6, batch_first=True), 1),
        (cells, lambda: nn.LSTMCell(4, 6), 3),
        (cells, lambda: nn.GRUCell(4, 6), 3),
        (cells, lambda: nn.RNNCell(4, 6), 3),
    ],
)
def test_packed_sequences_and_cells_reach_the_output(
    function: Callable[..., Tensor], make: Callable[[], nn.Module], uses: int
):
    model = Written(function, o=normal(6, 2))
    model.layer = seeded(make)
    measured = trace(model, X3)
    (head,) = measured.graph.users("o")
    first = min(n.index for n in measured.graph.nodes if n.kind == "contraction")
    assert {first, head.index} <= measured.graph.live
    weight = next(p for n, p in measured.parameters.items() if "weight_ih" in n)
    assert weight.uses == uses


def through_a_buffer(m: Any, x: Tensor) -> Tensor:
    buffer, h = torch.zeros(8, 3, 5), torch.zeros(8, 5)
    for t in range(3):
        h = torch.tanh(x[:, t] @ m.w + h @ m.u)
        buffer[:, t] = h
    return buffer @ m.o


def test_writes_through_views_keep_the_dependency():
    measured = trace(Written(through_a_buffer, w=normal(4, 5), u=normal(5, 5), o=normal(5, 2)), X3)
    (head,) = measured.graph.users("o")
    assert head.index in measured.graph.live
    assert all(n.index in measured.graph.live for n in measured.graph.users("w"))
    assert measured.parameters["u"].role == "weight"
    # The buffer's empty part is nobody's signal.
    assert all(s is None or s.rms > 0 for s in measured.signals)


def test_a_storage_of_before_is_not_a_write_of_before():
    """Memory that is freed and given to a new tensor carries no dependency with it."""

    def churn(m: Any, x: Tensor) -> Tensor:
        for _ in range(20):
            (x @ m.w).zero_().add_(1)
            fresh = torch.from_numpy(np.ones((8, 5), dtype=np.float32))
        return x @ m.w + 0.0 * fresh

    graph = trace(Written(churn, w=normal(4, 5)), X).graph
    assert all(len(n.inputs) <= 1 for n in graph.nodes)


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x * x * grad


def test_a_custom_autograd_function_is_seen_through_and_gets_its_gradient():
    model = Written(lambda m, x: Cube.apply(x @ m.w) @ m.o, w=normal(4, 5), o=normal(5, 2))
    measured = trace(model, X)
    node = measured.graph.nodes[2]
    assert node.function is not None
    np.testing.assert_allclose(node.function(np.array([2.0])), [8.0])
    signal = measured.signals[node.index]
    assert signal is not None
    assert signal.grad_rms == pytest.approx(_gradient_at_cube(model), rel=1e-5)


def _gradient_at_cube(model: nn.Module) -> float:
    o = model.get_parameter("o").detach()
    g = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    return float((g @ o.T).pow(2).mean().sqrt())


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_parts_are_traced_once(reentrant: bool):
    def part(m: Any, x: Tensor) -> Tensor:
        return checkpoint(lambda h: torch.relu(h @ m.w), x @ m.a, use_reentrant=reentrant) @ m.o

    model = Written(part, a=normal(4, 4), w=normal(4, 5), o=normal(5, 2))
    measured = trace(model, X)
    assert picture(measured) == "input ; contraction[0] a ; contraction[1] w ; pointwise[2] ; contraction[3] o"
    assert all(p.grad_rms for p in measured.parameters.values())


def test_control_flow_is_followed_as_it_ran():
    def flow(m: Any, x: Tensor) -> Tensor:
        h = x @ m.w
        return torch.relu(h) if h.mean() > 100 else torch.tanh(h)

    assert trace(Written(flow, w=normal(4, 5)), X).graph.nodes[-1].op == "tanh"


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (lambda m, x: torch.fft.rfft(x @ m.w).real, "_fft_r2c"),
        (lambda m, x: torch.linalg.inv((x @ m.w).view(8, 2, 2) + 9 * torch.eye(2)), "linalg_inv_ex"),
    ],
)
def test_unknown_operations_are_passed_through_and_listed(function: Callable[..., Tensor], op: str):
    measured = trace(Written(function, w=normal(4, 4)), X)
    assert measured.graph.unknown_ops == (f"aten.{op}",)
    assert measured.graph.users("w")[0].index in measured.graph.live
    assert measured.parameters["w"].grad_rms


def test_a_bilinear_layer_is_one_contraction_of_two_signals():
    layer = seeded(lambda: nn.Bilinear(4, 3, 5))
    measured = trace(layer, X, normal(8, 3))
    assert picture(measured) == "input ; input ; contraction[0, 1] weight+bias"
    geometry = measured.graph.nodes[-1].geometry
    assert geometry is not None
    assert (geometry.in_axes, geometry.out_axes, geometry.bilinear) == ((1, 2), (0,), True)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_nested_tensors_are_passed_through():
    def ragged(m: Any, x: Tensor) -> Tensor:
        rows = x @ m.w
        return torch.nested.as_nested_tensor([rows[0, :2], rows[1]]).to_padded_tensor(0.0) @ m.o

    measured = trace(Written(ragged, w=normal(4, 5), o=normal(5, 2)), X3)
    assert {n.index for n in measured.graph.users("w")} <= measured.graph.live
    assert measured.graph.unknown_ops


def test_functional_call_and_vmap_are_seen_through():
    def called(m: Any, x: Tensor) -> Tensor:
        return torch.vmap(lambda row: torch.func.functional_call(m.layer, {"weight": m.w}, (row,)))(x)

    model = Written(called, w=normal(5, 4))
    model.layer = nn.Linear(4, 5, bias=False)
    assert picture(trace(model, X)) == "input ; contraction[0] w"


def test_shared_and_tied_weights_count_once():
    layer = nn.Linear(4, 4)
    measured = trace(nn.Sequential(layer, nn.ReLU(), layer), X)
    assert list(measured.parameters) == ["0.weight", "0.bias"]
    assert measured.parameters["0.weight"].uses == 2
    assert measured.parameters["0.weight"].ties == ("2.weight",)


def test_the_tied_head_is_a_contraction_and_not_a_look_up():
    model = nn.Sequential(nn.Embedding(7, 5), nn.Linear(5, 7, bias=False))
    model[1].weight = model[0].weight
    first, second = trace(model, IDS).graph.users("0.weight")
    assert first.geometry is not None
    assert second.geometry is not None
    assert (first.geometry.lookup, second.geometry.lookup) == (True, False)
    assert (second.geometry.in_axes, second.geometry.out_axes) == ((1,), (0,))


def test_the_trunk_of_plain_and_residual_nets():
    plain = seeded(lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)))
    assert trace(plain, X).graph.trunk == (1, 2, 3)
    residual = seeded(lambda: nn.Sequential(nn.Linear(4, 4), Residual(nn.Linear(4, 4)), nn.Linear(4, 2)))
    assert trace(residual, X).graph.trunk == (1, 3, 4)  # 2 is the branch


@dataclasses.dataclass
class Answer:
    first: Tensor
    rest: Any


@pytest.mark.parametrize(
    "wrap",
    [
        lambda a, b: (a, b),
        lambda a, b: [a, {"b": b}],
        lambda a, b: {"a": a, "deep": {"b": (b, None)}},
        lambda a, b: Answer(a, {"b": b, "text": "x"}),
    ],
)
def test_outputs_are_found_in_containers(wrap: Callable[[Tensor, Tensor], Any]):
    measured = trace(Written(lambda m, x: wrap(x @ m.a, x @ m.b), a=normal(4, 5), b=normal(4, 2)), X)
    assert measured.graph.outputs == (1, 2)
    assert all(measured.signals[i].grad_rms for i in (1, 2))


def test_paths_say_where_in_the_model():
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2))))
    assert [n.path for n in trace(model, X).graph.nodes[1:]] == ["0", "1.0", "1.1"]


def _after(measured: Any, kinds: list[str]) -> Node:
    """The one node behind these kinds, which is the last."""
    assert [n.kind for n in measured.graph.nodes[:-1]] == kinds
    return measured.graph.nodes[-1]


def _numpy(name: str, x: np.ndarray) -> np.ndarray:
    from penstock.activations import named

    return named(name)(x)
