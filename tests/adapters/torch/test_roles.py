"""The fans that are declared for each layer are those that it has: measured through its own forward and backward.

With unit-variance weights and input, the variance of an output is fan_in; with a unit-variance output gradient, the
variance of the input's gradient is fan_out. Each is the mean over independent draws of weights, inputs and gradients,
and has to agree within 5 standard errors of that mean; the fans of other conventions have to disagree.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from penstock.errors import UnsupportedError
from penstock.fan_table import fans_of_shape
from penstock.geometry import Fans
from penstock.torch.roles import layer_geometry, layer_roles, model_geometry, model_roles, module_fans

DRAWS = 40
STANDARD_ERRORS = 5.0


class Conv1D(nn.Module):
    """As in Hugging Face transformers, which GPT-2 uses: weight (in, out)."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf = nf
        self.weight = nn.Parameter(torch.zeros(nx, nf))
        self.bias = nn.Parameter(torch.zeros(nf))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.weight)


def attend_to_itself(layer: nn.Module, x: Tensor) -> Tensor:
    """Self-attention of a sequence of one: the value projection alone, since the output projection is the identity."""
    return layer(x[:, None], x[:, None], x[:, None], need_weights=False)[0][:, 0]


def first_input(layer: nn.Module, x: Tensor) -> Tensor:
    second = torch.randn(x.shape[0], 5, generator=torch.Generator().manual_seed(int(1e6 * x.detach()[0, 0].abs())))
    return layer(x, second)


def onto(name: str, rows: slice = slice(None)) -> Callable[[nn.Module, Tensor], Tensor]:
    """One block of a cell's linear map."""
    return lambda layer, x: functional.linear(x, layer.get_parameter(name)[rows])


def identity_output(layer: nn.Module) -> None:
    with torch.no_grad():
        layer.get_submodule("out_proj").get_parameter("weight").copy_(torch.eye(12))


@dataclass(frozen=True)
class Case:
    """One layer: how to make it, the shape of its input, which fans are declared and which must be refuted."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    wrong_in: tuple[float, ...] = ()
    wrong_out: tuple[float, ...] = ()
    parameter: str = "weight"
    forward: Callable[[nn.Module, Tensor], Tensor] = lambda layer, x: layer(x)
    prepare: Callable[[nn.Module], None] = lambda layer: None  # after the weights are drawn
    margin: int = 0  # positions left out at both ends of each window axis, of the output and of the gradient
    period: int = 1  # of the positions that see different numbers of taps: whole periods are averaged


CASES: dict[str, Case] = {
    "linear": Case(lambda: nn.Linear(24, 40), (64, 24), (40,), (24,)),
    "conv1d": Case(lambda: nn.Conv1d(6, 10, 3), (8, 6, 30), (30,), (18,), margin=2),
    "conv2d": Case(lambda: nn.Conv2d(4, 6, 3), (8, 4, 12, 12), (54, 4), (36, 6), margin=2),
    "conv2d circular": Case(
        lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), (8, 4, 8, 8), (54, 4), (36, 6)
    ),
    "conv3d": Case(lambda: nn.Conv3d(3, 5, 2), (4, 3, 6, 6, 6), (40,), (24,), margin=1),
    "grouped": Case(lambda: nn.Conv2d(8, 12, 3, groups=4), (8, 8, 12, 12), (72,), (108,), margin=2),
    "depthwise": Case(lambda: nn.Conv2d(8, 8, 3, groups=8), (8, 8, 12, 12), (72,), (72,), margin=2),
    "strided": Case(lambda: nn.Conv2d(4, 8, 3, stride=2), (8, 4, 17, 17), (18,), (72,), margin=2, period=2),
    "dilated": Case(lambda: nn.Conv2d(4, 6, 3, dilation=2), (8, 4, 16, 16), (100,), (150,), margin=4),
    "patches": Case(lambda: nn.Conv2d(3, 16, 4, stride=4), (8, 3, 16, 16), (96,), (256,), period=4),
    "transposed": Case(lambda: nn.ConvTranspose2d(6, 4, 3), (8, 6, 10, 10), (36,), (54,), margin=2),
    "transposed strided": Case(
        lambda: nn.ConvTranspose1d(6, 4, 3, stride=2), (16, 6, 20), (18, 6), (12 / 2, 18), margin=4, period=2
    ),
    "transposed grouped": Case(
        lambda: nn.ConvTranspose2d(8, 12, 4, stride=2, groups=4),
        (8, 8, 13, 13),
        (32, 128),
        (192, 12),
        margin=4,
        period=2,
    ),
    "bilinear": Case(lambda: nn.Bilinear(7, 5, 20), (64, 7), (7, 12), (20, 140), forward=first_input),
    "attention": Case(
        lambda: nn.MultiheadAttention(12, 3, batch_first=True),
        (64, 12),
        (36,),
        (36, 24),
        "in_proj_weight",
        attend_to_itself,
        identity_output,
    ),
    "attention, other sizes": Case(
        lambda: nn.MultiheadAttention(12, 3, kdim=20, vdim=30),
        (64, 30),
        (20, 12),
        (30, 36),
        "v_proj_weight",
        onto("v_proj_weight"),
    ),
    "rnn": Case(lambda: nn.RNN(10, 14), (64, 10), (14,), (10,), "weight_ih_l0", onto("weight_ih_l0")),
    "lstm": Case(lambda: nn.LSTM(10, 14), (64, 10), (14,), (56,), "weight_ih_l0", onto("weight_ih_l0", slice(14, 28))),
    "lstm projected": Case(
        lambda: nn.LSTM(10, 14, proj_size=6), (64, 6), (14,), (56,), "weight_hh_l0", onto("weight_hh_l0", slice(0, 14))
    ),
    "lstm projection": Case(
        lambda: nn.LSTM(10, 14, proj_size=6), (64, 14), (6,), (14,), "weight_hr_l0", onto("weight_hr_l0")
    ),
    "gru cell": Case(lambda: nn.GRUCell(10, 14), (64, 14), (10,), (42,), "weight_hh", onto("weight_hh", slice(28, 42))),
    "transformers Conv1D": Case(lambda: Conv1D(40, 24), (64, 24), (40,), (24,)),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """These tensors are too small to share out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def draw(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator)


def interior(x: Tensor, margin: int, period: int) -> Tensor:
    """The positions that see all taps, in whole periods."""
    for axis in range(2, x.dim()):
        length = (x.shape[axis] - 2 * margin) // period * period
        assert length > 0, "the case leaves no interior"
        x = x.narrow(axis, margin, length)
    return x


def measure(case: Case) -> tuple[Tensor, Tensor]:
    """Mean squares of the output and of the input's gradient, one number a draw of weights, input and gradient."""
    layer, generator = case.make(), torch.Generator().manual_seed(7)
    forward, backward = [], []
    for _ in range(DRAWS):
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.zero_()
            weight = layer.get_parameter(case.parameter)
            weight.copy_(draw(tuple(weight.shape), generator))
        case.prepare(layer)
        x = draw(case.shape, generator).requires_grad_()
        y = case.forward(layer, x)
        (gradient,) = torch.autograd.grad(y, x, draw(tuple(y.shape), generator))
        forward.append(interior(y.detach(), case.margin, case.period).square().mean())
        backward.append(interior(gradient, case.margin, case.period).square().mean())
    return torch.stack(forward).double(), torch.stack(backward).double()


def agrees(draws: Tensor, fan: float) -> bool:
    """Whether the mean is within 5 standard errors of the fan."""
    error = float(draws.std()) / len(draws) ** 0.5
    return abs(float(draws.mean()) - fan) <= STANDARD_ERRORS * error


@pytest.mark.parametrize("name", CASES)
def test_the_fans_are_those_of_the_real_layer(name: str) -> None:
    case = CASES[name]
    fans = layer_geometry(case.make())[case.parameter].fans
    forward, backward = measure(case)
    assert agrees(forward, fans.fan_in), (fans.fan_in, float(forward.mean()))
    assert agrees(backward, fans.fan_out), (fans.fan_out, float(backward.mean()))
    for wrong in case.wrong_in:
        assert not agrees(forward, wrong), wrong
    for wrong in case.wrong_out:
        assert not agrees(backward, wrong), wrong


def test_embeddings() -> None:
    generator = torch.Generator().manual_seed(3)
    for layer in (nn.Embedding(50, 12), nn.EmbeddingBag(50, 12, mode="sum")):
        fans = layer_geometry(layer)["weight"].fans
        assert fans == Fans(1.0, 12.0)
        outputs, gradients = [], []
        for _ in range(DRAWS):
            with torch.no_grad():
                layer.weight.copy_(draw((50, 12), generator))
            ids = torch.randint(50, (64, 1), generator=generator)
            outputs.append(layer(ids).detach().square().mean().double())
            one_hot = functional.one_hot(ids[:, 0], 50).float().requires_grad_()  # the look-up as the sum that it is
            y = one_hot @ layer.weight
            gradients.append(torch.autograd.grad(y, one_hot, draw((64, 12), generator))[0].square().mean().double())
        assert agrees(torch.stack(outputs), fans.fan_in)
        assert not agrees(torch.stack(outputs), 1.2)
        assert agrees(torch.stack(gradients), fans.fan_out)
        assert not agrees(torch.stack(gradients), 50)


@pytest.mark.parametrize("how", ["einsum", "bmm"])
def test_stacked_experts_with_declared_axes(how: str) -> None:
    # bmm keeps (expert, in, out), einsum here (expert, out, in): the shapes (4, 10, 26) and (4, 26, 10) tell nothing.
    in_axis, out_axis = (2, 1) if how == "einsum" else (1, 2)
    shape = (4, 26, 10) if how == "einsum" else (4, 10, 26)
    table = fans_of_shape(shape, batch_axes=0, in_axes=in_axis, out_axes=out_axis)
    generator = torch.Generator().manual_seed(5)
    forward, backward = [], []
    for _ in range(DRAWS):
        weight, x = draw(shape, generator), draw((4, 32, 10), generator).requires_grad_()
        y = torch.einsum("ebi,eoi->ebo", x, weight) if how == "einsum" else torch.bmm(x, weight)
        (gradient,) = torch.autograd.grad(y, x, draw((4, 32, 26), generator))
        forward.append(y.detach().square().mean().double())
        backward.append(gradient.square().mean().double())
    assert agrees(torch.stack(forward), table.fan_in)
    assert agrees(torch.stack(backward), table.fan_out)
    for wrong in (26, 40, 104):  # PyTorch takes axis 1 times axis 2 for fan_in or fan_out
        assert not agrees(torch.stack(forward), wrong)


@pytest.mark.parametrize(("kind", "keeps"), [(nn.LSTMCell, "f"), (nn.GRUCell, "z")])
def test_names_of_the_gates(kind: type[nn.LSTMCell] | type[nn.GRUCell], keeps: str) -> None:
    """With its keeping gate open and the others shut a cell keeps its state."""
    cell = kind(3, 4)
    geometry = layer_geometry(cell)["bias_ih"]
    where = dict(zip(geometry.block_names, torch.arange(len(cell.bias_ih)).split(list(geometry.blocks)), strict=True))
    state = torch.randn(2, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        for gate, rows in where.items():
            cell.bias_ih[rows] = 50.0 if gate == keeps else 0.5 if gate in "gn" else -50.0
        kept = (
            cell(torch.ones(2, 3), (state, state))[1]
            if isinstance(cell, nn.LSTMCell)
            else cell(torch.ones(2, 3), state)
        )
        torch.testing.assert_close(kept, state)
        cell.bias_ih[where[keeps]] = -50.0  # control: shut, the state is lost
        lost = (
            cell(torch.ones(2, 3), (state, state))[1]
            if isinstance(cell, nn.LSTMCell)
            else cell(torch.ones(2, 3), state)
        )
        assert float((lost - state).abs().max()) > 0.1


ROLES: dict[str, tuple[Callable[[], nn.Module], dict[str, str]]] = {
    "linear": (lambda: nn.Linear(2, 3), {"weight": "weight", "bias": "bias"}),
    "layer norm": (lambda: nn.LayerNorm([2, 3]), {"weight": "scale", "bias": "offset"}),
    "batch norm": (lambda: nn.BatchNorm2d(3), {"weight": "scale", "bias": "offset"}),
    "group norm": (lambda: nn.GroupNorm(1, 3), {"weight": "scale", "bias": "offset"}),
    "instance norm": (lambda: nn.InstanceNorm1d(3, affine=True), {"weight": "scale", "bias": "offset"}),
    "synchronized": (lambda: nn.SyncBatchNorm(3), {"weight": "scale", "bias": "offset"}),
    "rms norm": (lambda: nn.RMSNorm(3), {"weight": "scale"}),
    "prelu": (nn.PReLU, {"weight": "other"}),
    "attention": (
        lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True),
        {
            "in_proj_weight": "weight",
            "in_proj_bias": "bias",
            "bias_k": "other",
            "bias_v": "other",
            "out_proj.weight": "weight",
            "out_proj.bias": "bias",
        },
    ),
    "adaptive softmax": (
        lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10], div_value=2),
        {f"{name}.weight": "weight" for name in ("head", "tail.0.0", "tail.0.1", "tail.1.0", "tail.1.1")},
    ),
    "weight norm": (
        lambda: parametrizations.weight_norm(nn.Linear(2, 3, bias=False)),
        {"parametrizations.weight.original0": "scale", "parametrizations.weight.original1": "weight"},
    ),
    "spectral norm": (
        lambda: parametrizations.spectral_norm(nn.Conv2d(2, 3, 3, bias=False)),
        {"parametrizations.weight.original": "weight"},
    ),
    "orthogonal": (
        lambda: parametrizations.orthogonal(nn.Linear(2, 3, bias=False)),
        {"parametrizations.weight.original": "weight"},
    ),
    "old spectral norm": (
        lambda: nn.utils.spectral_norm(nn.Linear(2, 3)),
        {"bias": "bias", "weight_orig": "weight"},
    ),
    "positions": (
        lambda: nn.ModuleDict({"wte": nn.Embedding(5, 2), "wpe": nn.Embedding(5, 2)}),
        {"wte.weight": "embedding", "wpe.weight": "position"},
    ),
}


@pytest.mark.parametrize("name", ROLES)
def test_roles(name: str) -> None:
    make, expected = ROLES[name]
    assert {key: declared.role for key, declared in model_roles(make()).items()} == expected


def test_every_parametrised_layer_of_torch_is_declared() -> None:
    encoder = nn.TransformerEncoderLayer(8, 2, 16)
    decoder = nn.TransformerDecoderLayer(8, 2, 16)
    roles = {declared.role for declared in model_roles(nn.ModuleList([encoder, decoder, nn.LSTM(3, 4, 2)])).values()}
    assert roles == {"weight", "bias", "scale", "offset"}
    assert layer_geometry(nn.LSTM(3, 4, 2, bidirectional=True))["weight_ih_l1_reverse"].fans == Fans(8.0, 4.0)


def test_wrapped_weights_keep_their_axes_and_are_not_computed() -> None:
    plain = layer_geometry(nn.Conv2d(4, 6, 3, groups=2, bias=False))["weight"]
    wrapped = parametrizations.weight_norm(nn.Conv2d(4, 6, 3, groups=2, bias=False))
    assert layer_geometry(wrapped)["parametrizations.weight.original1"] == plain
    spectral = parametrizations.spectral_norm(nn.Linear(4, 6))
    before = {name: buffer.clone() for name, buffer in spectral.named_buffers()}
    layer_roles(spectral)
    for name, buffer in spectral.named_buffers():
        torch.testing.assert_close(buffer, before[name], rtol=0, atol=0)
    _ = spectral.weight  # control: computing the weight moves the buffers
    assert any(not torch.equal(buffer, before[name]) for name, buffer in spectral.named_buffers())


def test_old_weight_norm() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        layer = nn.utils.weight_norm(nn.Linear(3, 4, bias=False))
    roles = layer_roles(layer)
    assert {name: declared.role for name, declared in roles.items()} == {"weight_g": "scale", "weight_v": "weight"}
    assert roles["weight_v"].geometry.fans == Fans(3.0, 4.0)


def test_tied_parameters_are_named_once() -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(10, 4), "head": nn.Linear(4, 10, bias=False)})
    model["head"].weight = model["embed"].weight
    assert list(model_geometry(model)) == ["embed.weight"]
    assert model_geometry(model)["embed.weight"].lookup


def test_own_classes() -> None:
    class MyRMSNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = MyRMSNorm()
            self.gamma = nn.Parameter(torch.ones(4))
            self.pos_embed = nn.Parameter(torch.zeros(1, 9, 4))
            self.experts = nn.Parameter(torch.zeros(2, 4, 4))

    roles = {name: declared.role for name, declared in model_roles(Block()).items()}
    assert roles == {"gamma": "gate", "pos_embed": "position", "experts": "other", "norm.weight": "scale"}
    assert not model_geometry(Block())["experts"].is_weight  # its axes have to be declared


def test_lazy_layers() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = nn.Sequential(nn.ReLU(), nn.LazyLinear(4))
    with pytest.raises(UnsupportedError, match=r"has no shape yet.*\n  at: 1\.weight\n"):
        model_roles(model)
    model(torch.zeros(2, 3))
    assert model_geometry(model)["1.weight"].fans == Fans(3.0, 4.0)


def test_the_table_of_a_layer() -> None:
    table = module_fans(nn.Conv2d(8, 8, 3, groups=8, stride=2, bias=False))
    assert (table.fan_in, table.fan_out) == (9.0, 2.25)
    assert str(table) == (
        "parameter  shape    role    fan_in  fan_out  notes\n"
        "weight     8x1x3x3  weight       9     2.25  groups 8, strides 4 in all"
    )
