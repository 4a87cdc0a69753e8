"""The ways to break a healthy model on purpose: one row a way, with the finding that must name it.

`CASES` is the product: each break on each row that it applies to. `also` lists codes that the same fault shows by
its nature (a signal that overflowed has also exploded): a check may report them as consequences, never instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo import actions as act
from zoo import rewire
from zoo import symptoms as sy
from zoo.data import CLASSES, noise
from zoo.hf import HF, HF_SCALED
from zoo.plain import PLAIN, mlp, residual_batch_norm
from zoo.row import Batch, Loss, Row

# Starts that some breaks need. Not part of the healthy zoo: so deep, nobody promises that they train (and the sigmoid
# network, broken as it is built, does not).
DEEP = tuple(
    Row(name, make, noise(64), tags=frozenset({"plain", "deep"}))
    for name, make in {
        "mlp_gelu_40": lambda: mlp(40, nn.GELU, weight=lambda w: nn.init.orthogonal_(w, gain=1.53)),
        "mlp_tanh_40": lambda: mlp(40, nn.Tanh, weight=nn.init.orthogonal_),
        "mlp_sigmoid_30": lambda: mlp(30, nn.Sigmoid, weight=nn.init.xavier_normal_),
        "mlp_residual_40": lambda: residual_batch_norm(40),
    }.items()
)
ROWS = {row.name: row for row in (*PLAIN, *HF, *HF_SCALED, *DEEP)}


@dataclass(frozen=True, slots=True)
class Break:
    """One way to break models.

    Attributes:
        name: unique name.
        code: the finding that must fire.
        action: changes the model in place, under no_grad, and returns the names of the parameters that it changed;
            none where it changes the structure or the loss.
        rows: names of the rows that it applies to.
        symptom: what an independent measurement must show on the broken model and must not on the healthy one; None
            where the changed parameter itself is the fault.
        also: codes of consequences.
        loss: the loss in place of the row's own.
    """

    name: str
    code: str
    action: act.Action
    rows: tuple[str, ...]
    symptom: sy.Symptom | None = None
    also: frozenset[str] = frozenset()
    loss: Loss | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One break on one row."""

    broken: Break
    row: Row

    @property
    def name(self) -> str:
        """Unique name: code, break, row."""
        return f"{self.broken.code}-{self.broken.name}-{self.row.name}"

    @property
    def loss(self) -> Loss | None:
        """The loss to check with."""
        return self.broken.loss or self.row.loss

    def build(self, seed: int = 0) -> nn.Module:
        """The broken model, the same for the same seed."""
        model = self.row.build(seed)
        with torch.no_grad():
            self.broken.action(model)
        return model

    def batch(self, seed: int = 0) -> Batch:
        """The row's batch."""
        return self.row.batch(seed)


def tagged(*tags: str, without: str = "") -> tuple[str, ...]:
    """Names of the plain rows that have all these tags and none of the others."""
    banned = set(without.split())
    return tuple(row.name for row in PLAIN if row.tags.issuperset(tags) and not row.tags & banned)


def faint_loss(output: Tensor) -> Tensor:
    """Mean square times 1e-4: gradients of 1e-6, which float16 cannot hold without a loss scale.

    Targets alternate along both axes, so that no constant guess knows them.
    """
    signs = 1.0 - 2.0 * ((torch.arange(len(output)).unsqueeze(1) + torch.arange(output.shape[1])) % 2)
    return nn.functional.mse_loss(output.float(), signs) * 1e-4


def _depthwise(_name: str, owner: nn.Module, _weight: Tensor) -> bool:
    return isinstance(owner, nn.Conv2d) and owner.groups > 1


def _transposed(_name: str, owner: nn.Module, weight: Tensor) -> bool:
    return isinstance(owner, nn.ConvTranspose2d) and weight.shape[0] == 256


def _fused(name: str, _owner: nn.Module, _weight: Tensor) -> bool:
    return name.endswith("qkv.weight")


def _stacked(_name: str, _owner: nn.Module, weight: Tensor) -> bool:
    return weight.ndim == 3


def _break(
    name: str,
    code: str,
    action: act.Action,
    rows: tuple[str, ...],
    symptom: sy.Symptom | None = None,
    also: str = "",
    loss: Loss | None = None,
) -> Break:
    return Break(name, code, action, rows, symptom, frozenset(also.split()) - {code}, loss)


_HF = tuple(row.name for row in HF)
_FILLED = tagged(without="parametrized lora functional shared tied gated rnn experts narrow")
_MLPS = tagged("mlp", without="parametrized lora residual norm narrow")
_FADE = "F101 F103 B101 B103 L103 G102"
_BURST = "F102 B102 L101 L102 G102 P101"
_LOUD = "L101 L102 G102 F102 B102 B104"
_SAME = "F103 L103 A101"
# Rows in which no two weights of a layer have the same shape.
_SINGLE = {"cnn_he", "cnn_batch_norm", "cnn_autoencoder"}
# torch's attention reads its projection's weight without calling the projection.
_UNCALLED = {"transformer_post_norm"}
_DEEP_RELU = ("mlp_relu_6", "mlp_relu_12", "cnn_he", "cnn_depthwise", "cnn_grouped")
_ALL = _FILLED + _HF
_PAIRS = tuple(n for n in _ALL if n not in _SINGLE)
_CALLED = tuple(n for n in _ALL if n not in _UNCALLED)
_CLASSIFIERS = tagged("classifier", without="parametrized")
_TRUNKS = ("mlp_relu_6", "cnn_he", "cnn_batch_norm", "transformer_pre_norm")
_RELU_BIASED = ("mlp_relu_6", "mlp_relu_12", "mlp_regression", "cnn_he")
_BOUNDED = ("mlp_tanh_6", "mlp_tanh_30", "mlp_sigmoid_2")
_HEADS = ("mlp_relu_12", "mlp_regression", "transformer_pre_norm")
_OUTPUTS = ("mlp_relu_12", "transformer_pre_norm", "swiglu", "cnn_autoencoder")
_REGRESSIONS = ("mlp_regression",)
_ONE = ("mlp_regression",)
_GRAD_ROWS = ("mlp_relu_6", "mlp_relu_12", "mlp_tanh_6", "mlp_tanh_30")

BREAKS: tuple[Break, ...] = (
    # Values that nothing drew.
    _break("nan", "U102", act.one_nan, _ALL, also="F102 P101"),
    _break("integers", "U103", act.garbage_integers, _ALL, also=_FADE),
    _break("pointers", "U103", act.garbage_pointers, _ALL, also=_BURST + " A102 B104 P102 F103"),
    # Symmetry and copies.
    _break("identical_units", "S101", act.identical_units, _ALL, also=_SAME),
    _break("constant", "S101", act.constant(0.05), (*_MLPS, "cnn_he", "resnet"), also=_SAME),
    _break("zero_layer", "S101", act.constant(0.0), _MLPS, also=_FADE + " A101"),
    _break(
        "all_zero", "S101", act.all_zero, ("mlp_relu_6", "mlp_tanh_6", "cnn_he", "mlp_layer_norm"), also=_FADE + " A101"
    ),
    _break("twin", "S102", act.copy_to_twin, _PAIRS),
    _break("cloned_layers", "S102", act.cloned_layers, ("transformer_post_norm",)),
    _break("tiled", "S103", act.tile_rows, _ALL, also="S101"),
    _break("outliers", "P102", act.outliers, _ALL, also="B104"),
    # The signal on its way forward.
    _break(
        "small",
        "F101",
        act.scale_all(0.01),
        ("mlp_tanh_6", "cnn_autoencoder", *_DEEP_RELU),
        sy.forward_below(1e-4),
        _FADE,
    ),
    _break("randn_0.01", "F101", act.normal_everywhere(0.01), _DEEP_RELU, sy.forward_below(1e-4), _FADE + " G101"),
    _break("large", "F102", act.scale_hidden(10.0), _DEEP_RELU, sy.forward_above(3e3), _BURST),
    _break(
        "drowned",
        "F103",
        act.drowned(0.02, 1.0),
        ("mlp_relu_12", "mlp_relu_6"),
        sy.alike(1e-4),
        "L103 F102 B101 G102 A101",
    ),
    _break("torch_default", "F103", act.torch_default, ("mlp_gelu_40", "mlp_tanh_40"), sy.alike(1e-4), _FADE),
    # The gradient on its way back.
    # The gradient vanishes too, at the rate at which inputs converge: that is the consequence.
    _break("sigmoid", "F103", rewire.nothing, ("mlp_sigmoid_30",), sy.backward_span(1e-6), _FADE),
    _break("leaking", "B101", rewire.scaled_gradient(0.1), _GRAD_ROWS, sy.backward_span(1e-4), "B104"),
    _break("chaotic", "B102", act.scale_hidden(2.5), ("mlp_tanh_40",), sy.backward_span(1e3), "A102 B104 G102"),
    _break("no_skips", "B102", rewire.without_skips, ("mlp_residual_40",), sy.backward_span(1e3), "B104"),
    _break("swelling", "B102", rewire.scaled_gradient(10.0), _GRAD_ROWS, sy.backward_span(1e4), "B104"),
    _break("detached", "B103", rewire.detached_trunk, _TRUNKS, sy.no_gradient),
    _break("no_grad", "B103", rewire.without_gradient, _CALLED, sy.no_gradient),
    _break(
        "unequal", "B104", act.scale_middle(5e-3), ("mlp_layer_norm", "cnn_batch_norm"), sy.ratio_span(1e4), "B102 G102"
    ),
    # Activations.
    _break("negative_biases", "A101", act.negative_biases, _RELU_BIASED, sy.zeros_above(0.74), "F103 F102 G102"),
    _break("dead_branch", "A101", act.negative_offsets("1.body.1.bias"), ("transformer_relu",), sy.zeros_above(0.99)),
    _break("dead_norm", "A101", act.negative_offsets("5.body.1.bias"), ("mlp_residual_16",), sy.zeros_above(0.99)),
    _break("saturated", "A102", act.scale_middle(100.0), _BOUNDED, sy.flat_above(0.8), "B102 B104 G102 F102"),
    # Fans and gains.
    _break("depthwise", "G101", act.scale_where(_depthwise, 1 / 8), ("cnn_depthwise",), also="G102 F101"),
    _break("grouped", "G101", act.scale_where(_depthwise, 32**-0.5), ("cnn_grouped",), also="G102 F101"),
    _break("transposed", "G101", act.scale_where(_transposed, 32**0.5), ("cnn_autoencoder",), also="G102"),
    _break("fused_heads", "G101", act.scale_where(_fused, 4.0), ("transformer_16_heads",), also="G102"),
    _break("stacked", "G101", act.scale_where(_stacked, 1 / 8), ("experts_einsum", "experts_bmm"), also="G102"),
    _break("low_gain", "G102", act.scale_hidden(0.6), ("mlp_relu_12",), sy.last_scale_changed(30), "B101 L103"),
    _break("high_gain", "G102", act.scale_hidden(1.5), ("mlp_relu_12",), sy.last_scale_changed(30), "B102 L102"),
    # Loss and output.
    _break("loud_head", "L101", act.scale_head(300.0), _CLASSIFIERS, sy.loss_above(2 * math.log(CLASSES)), _LOUD),
    _break("loud_regression", "L101", act.scale_head(1e3), _REGRESSIONS, sy.output_above(100), _LOUD),
    _break("loud_output", "L102", act.scale_head(1e3), _OUTPUTS, sy.output_above(100), _LOUD),
    _break("bias_only", "L103", act.head_ignores_input, _HEADS, sy.output_constant, "F101 F103 B101 B104 G102"),
    _break(
        "softmax_of_one", "L103", rewire.appended(lambda: nn.Softmax(-1)), _ONE, sy.output_constant, "F103 B101 B103"
    ),
    _break(
        "norm_of_one", "L103", rewire.appended(lambda: nn.LayerNorm(1)), _ONE, sy.output_constant, "F101 F103 B101 B103"
    ),
    # Precision.
    _break("overflow_16", "P101", act.scale_all(300.0), ("mlp_float16",), sy.not_finite, _BURST + " B103"),
    _break("overflow_bf16", "F102", act.scale_all(1e9), ("mlp_bfloat16",), sy.not_finite, _BURST + " B103"),
    _break("underflow_16", "F101", act.scale_all(0.03), ("mlp_float16",), sy.forward_below(6e-5), _FADE),
    _break("faint_gradient", "P101", rewire.nothing, ("mlp_float16",), sy.tiny_gradients, "B101", faint_loss),
)


def cases(breaks: Iterable[Break] = BREAKS) -> tuple[Case, ...]:
    """Each break on each of its rows."""
    return tuple(Case(broken, ROWS[name]) for broken in breaks for name in broken.rows)


CASES = cases()
