"""The healthy zoo of plain PyTorch models: one row a model, each with a start that is known to be good."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from zoo import modules as m
from zoo import structures as t
from zoo.data import CLASSES, cross_entropy, mean_square, noise, tokens
from zoo.row import Row

Fill = Callable[[Tensor], Any]
Make = Callable[[], nn.Module]


def normal(gain: float) -> Fill:
    """Normal with std gain / sqrt(fan_in), for weights (out, in, *window)."""
    return lambda weight: nn.init.normal_(weight, std=gain / math.sqrt(weight[0].numel()))


HE = normal(math.sqrt(2.0))
UNIT = normal(1.0)


def mlp(
    hidden: int,
    activation: Make,
    *,
    weight: Fill | None,
    norm: Callable[[int], nn.Module] | None = None,
    width: int = 64,
    outputs: int = CLASSES,
    head: Fill = UNIT,
) -> nn.Sequential:
    """`hidden` layers and a head, with zero biases; `weight=None` leaves PyTorch's own start."""
    layers: list[nn.Module] = []
    for _ in range(hidden):
        layers += [nn.Linear(width, width), *([norm(width)] if norm else []), activation()]
    layers.append(nn.Linear(width, outputs))
    model = nn.Sequential(*layers)
    if weight is not None:
        linears = [layer for layer in model if isinstance(layer, nn.Linear)]
        for linear in linears:
            (head if linear is linears[-1] else weight)(linear.weight)
            nn.init.zeros_(linear.bias)
    return model


def vgg(*, norm: bool) -> nn.Sequential:
    """Four 3x3 convolutions, two poolings, a linear head."""
    layers: list[nn.Module] = []
    for inputs, outputs, pool in [(3, 16, False), (16, 16, True), (16, 32, False), (32, 32, True)]:
        middle = [nn.BatchNorm2d(outputs)] if norm else []
        layers += [m.he(nn.Conv2d(inputs, outputs, 3, padding=1)), *middle, nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pool else []
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), m.he(nn.Linear(32, CLASSES), gain=1.0))


def resnet(*, zero_gamma: bool) -> nn.Sequential:
    """A stem, three basic blocks, a head; He weights by fan-out as in the paper's code."""
    blocks = [m.BasicBlock(16, 16, 1), m.BasicBlock(16, 32, 2), m.BasicBlock(32, 32, 1)]
    stem = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    model = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, CLASSES))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if zero_gamma and isinstance(module, m.BasicBlock):
            nn.init.zeros_(module.bn2.weight)
    return model


def encoder(
    *, layer_scale: float | None = None, relu: bool = False, dim: int = 32, heads: int = 4, blocks: int = 2
) -> nn.Sequential:
    """A pre-norm transformer encoder, Xavier weights, mean pooling, a head."""
    scale = None if layer_scale is None else (dim, layer_scale)
    layers: list[nn.Module] = []
    for _ in range(blocks):
        up, gelu, down = m.feed_forward(dim)
        layers.append(m.Residual(nn.Sequential(nn.LayerNorm(dim), m.SelfAttention(dim, heads)), layer_scale=scale))
        body = nn.Sequential(nn.LayerNorm(dim), up, nn.ReLU() if relu else gelu, down)
        layers.append(m.Residual(body, layer_scale=scale))
    model = nn.Sequential(*layers, nn.LayerNorm(dim), m.MeanTokens(), nn.Linear(dim, CLASSES))
    for linear in model.modules():
        if isinstance(linear, nn.Linear):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
    return model


def post_norm() -> nn.Module:
    """torch's own encoder. As it comes its layers are copies of one another, so each weight is drawn again."""
    layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)
    stack = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    for parameter in stack.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
    return nn.Sequential(stack, m.MeanTokens(), nn.Linear(32, CLASSES))


def swiglu() -> nn.Sequential:
    """Three residual gated MLPs under RMS norms."""
    blocks = [m.Residual(nn.Sequential(nn.RMSNorm(48), m.SwiGLU(48, 96))) for _ in range(3)]
    model = nn.Sequential(nn.Linear(48, 48), *blocks, nn.RMSNorm(48), nn.Linear(48, CLASSES))
    return _fill_linears(model, UNIT)


def depthwise() -> nn.Sequential:
    """Depthwise 3x3 and pointwise 1x1 in turn, right fans: 9 terms a depthwise output, all channels a pointwise one."""
    layers: list[nn.Module] = [m.he(nn.Conv2d(3, 64, 3, padding=1)), nn.ReLU()]
    for _ in range(2):
        layers += [m.he(nn.Conv2d(64, 64, 3, padding=1, groups=64)), nn.ReLU(), m.he(nn.Conv2d(64, 64, 1)), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), m.he(nn.Linear(64, CLASSES), gain=1.0))


def grouped() -> nn.Sequential:
    """Convolutions in 32 groups of 2 channels between pointwise ones."""
    layers: list[nn.Module] = [m.he(nn.Conv2d(3, 64, 3, padding=1)), nn.ReLU()]
    for _ in range(2):
        layers += [m.he(nn.Conv2d(64, 64, 3, padding=1, groups=32)), nn.ReLU(), m.he(nn.Conv2d(64, 64, 1)), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), m.he(nn.Linear(64, CLASSES), gain=1.0))


def autoencoder() -> nn.Sequential:
    """Two strided convolutions down, three transposed ones up, whose outputs sum fan_in taps / stride^2 terms."""
    return nn.Sequential(
        m.he(nn.Conv2d(4, 32, 3, 2, 1)),
        nn.ReLU(),
        m.he(nn.Conv2d(32, 256, 3, 2, 1)),
        nn.ReLU(),
        m.he(nn.ConvTranspose2d(256, 8, 3, 1, 1), fan_in=256 * 9),
        nn.ReLU(),
        m.he(nn.ConvTranspose2d(8, 16, 4, 2, 1), fan_in=8 * 16 / 4),
        nn.ReLU(),
        m.he(nn.ConvTranspose2d(16, 4, 4, 2, 1), fan_in=16 * 16 / 4, gain=1.0),
    )


def experts(*, einsum: bool) -> nn.Sequential:
    """A linear stem, a residual mixture of experts under a norm, a head."""
    body = nn.Sequential(nn.LayerNorm(64), m.StackedExperts(experts=4, dim=64, hidden=64, einsum=einsum))
    return nn.Sequential(nn.Linear(64, 64), m.Residual(body), nn.LayerNorm(64), nn.Linear(64, CLASSES))


def lora() -> nn.Sequential:
    """A trained-like MLP, frozen, with low-rank updates."""
    layers: list[nn.Module] = []
    for _ in range(3):
        linear = m.he(nn.Linear(64, 64))
        assert isinstance(linear, nn.Linear)
        layers += [m.LoraLinear(linear, rank=4), nn.ReLU()]
    return nn.Sequential(*layers, m.he(nn.Linear(64, CLASSES), gain=1.0))


def weight_normed() -> nn.Sequential:
    """He weights behind torch's weight-norm parametrization."""
    model = mlp(4, nn.ReLU, weight=HE)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.utils.parametrizations.weight_norm(layer)
    return model


def narrow() -> nn.Sequential:
    """A relu MLP, for rows in narrow types."""
    return mlp(4, nn.ReLU, weight=HE)


def residual_batch_norm(blocks: int) -> nn.Sequential:
    """Many residual blocks of linear, batch norm, relu, linear."""
    body = [
        m.Residual(nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64)))
        for _ in range(blocks)
    ]
    return nn.Sequential(*body, nn.BatchNorm1d(64), nn.Linear(64, CLASSES))


def _fill_linears(model: nn.Sequential, weight: Fill) -> nn.Sequential:
    for linear in model.modules():
        if isinstance(linear, nn.Linear):
            weight(linear.weight)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)
    return model


def _row(name: str, make: Make, sample: Any, tags: str, **extra: Any) -> Row:
    return Row(name, make, sample, tags=frozenset(tags.split()), **extra)


# Tags say what a break may rely on: "deep" is plain and at least 6 layers; "plain" has neither norms nor skips.
_CE = cross_entropy
_flat = noise(64)
_image = noise(3, 16, 16)
_words = tokens(50, 12)
_bf16, _fp16 = torch.bfloat16, torch.float16
PLAIN: tuple[Row, ...] = (
    _row("mlp_relu_6", lambda: mlp(6, nn.ReLU, weight=HE), _flat, "plain deep mlp relu classifier", loss=_CE),
    _row("mlp_relu_12", lambda: mlp(12, nn.ReLU, weight=HE), _flat, "plain deep mlp relu"),
    _row("mlp_tanh_6", lambda: mlp(6, nn.Tanh, weight=nn.init.xavier_normal_), _flat, "plain deep mlp bounded"),
    _row("mlp_tanh_30", lambda: mlp(30, nn.Tanh, weight=nn.init.orthogonal_), _flat, "plain deep mlp bounded"),
    _row("mlp_sigmoid_2", lambda: mlp(2, nn.Sigmoid, weight=nn.init.xavier_normal_), _flat, "plain mlp bounded"),
    _row("mlp_gelu_3", lambda: mlp(3, nn.GELU, weight=None), _flat, "plain mlp classifier", loss=_CE),
    _row("mlp_layer_norm", lambda: mlp(5, nn.GELU, weight=UNIT, norm=nn.LayerNorm), _flat, "mlp norm"),
    _row("mlp_regression", lambda: mlp(3, nn.ReLU, weight=HE, outputs=1), _flat, "plain mlp relu", loss=mean_square),
    _row("mlp_zero_head", lambda: mlp(4, nn.ReLU, weight=HE, head=nn.init.zeros_), _flat, "plain mlp relu", loss=_CE),
    _row("mlp_weight_norm", weight_normed, _flat, "plain mlp relu classifier parametrized", loss=_CE),
    _row("mlp_lora", lora, _flat, "mlp relu lora"),
    _row("mlp_residual_16", lambda: residual_batch_norm(16), _flat, "residual norm relu mlp"),
    _row("cnn_he", lambda: vgg(norm=False), _image, "plain cnn relu classifier", loss=_CE),
    _row("cnn_batch_norm", lambda: vgg(norm=True), _image, "norm cnn relu classifier", loss=_CE),
    _row("cnn_depthwise", depthwise, _image, "plain cnn relu depthwise"),
    _row("cnn_grouped", grouped, _image, "plain cnn relu grouped"),
    _row("cnn_autoencoder", autoencoder, noise(4, 16, 16), "plain cnn relu transposed regression", loss=mean_square),
    _row("resnet", lambda: resnet(zero_gamma=False), _image, "residual norm cnn relu classifier", loss=_CE),
    _row("resnet_zero_gamma", lambda: resnet(zero_gamma=True), _image, "residual norm cnn relu classifier", loss=_CE),
    _row("transformer_pre_norm", encoder, noise(8, 32), "residual norm transformer fused"),
    _row("transformer_relu", lambda: encoder(relu=True), noise(8, 32), "residual norm transformer relu fused"),
    _row("transformer_16_heads", lambda: encoder(dim=64, heads=16), noise(8, 64), "residual norm transformer fused"),
    _row("transformer_layer_scale", lambda: encoder(layer_scale=1e-4), noise(8, 32), "residual norm transformer fused"),
    _row("transformer_post_norm", post_norm, noise(8, 32), "residual norm transformer relu fused"),
    _row("language_model_tied", lambda: m.TiedLanguageModel(50, dim=32), _words, "tied norm residual", loss=_CE),
    _row("lstm", lambda: m.Recurrent(nn.LSTM, classes=CLASSES), _words, "rnn classifier", loss=_CE),
    _row("gru", lambda: m.Recurrent(nn.GRU, classes=CLASSES), _words, "rnn classifier", loss=_CE),
    _row("swiglu", swiglu, noise(48), "residual norm gated"),
    _row("experts_einsum", lambda: experts(einsum=True), _flat, "residual norm relu experts"),
    _row("experts_bmm", lambda: experts(einsum=False), _flat, "residual norm relu experts"),
    _row("functional", lambda: m.HandWritten((48, 64, 64, 64, 10)), noise(48), "norm functional"),
    _row("shared_layers", lambda: m.SharedLayers(64, 4), _flat, "norm relu shared"),
    _row("dynamic_flow", lambda: m.DynamicFlow(64), _flat, "plain relu dynamic"),
    _row("mlp_bfloat16", narrow, noise(64, dtype=_bf16), "plain mlp relu narrow", dtype=_bf16),
    _row("mlp_float16", narrow, noise(64, dtype=_fp16), "plain mlp relu narrow", dtype=_fp16),
)

STRUCTURES: tuple[Row, ...] = (
    *(
        _row(f"transformer_{kind}", lambda kind=kind: t.transformer(kind), noise(8, 32), "structure")
        for kind in ("free", "sandwich", "parallel", "parallel_chain", "deep_norm", "grouped")
    ),
    _row("siren", t.siren, lambda g: 2.0 * torch.rand(64, 2, generator=g) - 1.0, "structure"),
    _row("fourier_frozen", lambda: t.Fourier(trained=False), noise(2), "structure"),
    _row("fourier_trained", lambda: t.Fourier(trained=True), noise(2), "structure"),
    _row("skip_init", lambda: t.skip_init(start=0.0), _flat, "structure"),
    _row("skip_init_one", lambda: t.skip_init(start=1.0), _flat, "structure"),
    _row("diffusion", lambda: t.Diffusion(32), lambda g: (noise(16)(g), noise(8)(g)), "structure"),
    _row("cnn_spectral_norm", t.spectral, _image, "structure"),
    _row("gated", t.gated_residual, noise(48), "structure"),
    _row("rnn", lambda: m.Recurrent(nn.RNN, classes=CLASSES), _words, "structure", loss=_CE),
    _row("lstm_long", lambda: m.Recurrent(nn.LSTM, classes=CLASSES), tokens(50, 40), "structure", loss=_CE),
)
"""Healthy models whose structure decides how they should start; the breaks are tried on the others alone."""
