"""The three networks of the demonstration, and what is told about each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

PIXELS, CLASSES = 64, 10


@dataclass(frozen=True, slots=True)
class Story:
    """One network that fails.

    Attributes:
        name: short, for code.
        title: what it is.
        why: why it fails, in two or three sentences.
        code: the lines that made its start.
        build: makes the network; draws from the global random state.
    """

    name: str
    title: str
    why: str
    code: str
    build: Callable[[], nn.Module]


def deep_gelu() -> nn.Module:
    """Forty linear layers of width 64 with GELU between them, as PyTorch makes them."""
    from torch import nn

    layers: list[nn.Module] = []
    for _ in range(39):
        layers += [nn.Linear(64, 64), nn.GELU()]
    return nn.Sequential(*layers, nn.Linear(64, CLASSES))


def small_convnet() -> nn.Module:
    """Eight convolutions with ReLU and no normalisation, every weight `randn * 0.01`, every bias zero."""
    import torch
    from torch import nn

    layers: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8))]
    channels = 1
    for number, wider in enumerate((16, 16, 16, 16, 32, 32, 32, 32)):
        layers += [nn.Conv2d(channels, wider, 3, padding=1), nn.ReLU()]
        channels = wider
        if number == 3:
            layers.append(nn.MaxPool2d(2))
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 4 * 4, CLASSES))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.01 if parameter.dim() > 1 else torch.zeros_like(parameter))
    return model


def zeros() -> nn.Module:
    """Three linear layers with ReLU between them, all zeros."""
    from torch import nn

    model = nn.Sequential(nn.Linear(PIXELS, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, CLASSES))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    return model


STORIES = (
    Story(
        "gelu",
        "40 layers of GELU, as PyTorch makes them",
        "nn.Linear draws its weights without knowing what function follows. Behind GELU they are too small, and "
        "whatever differs between two digits shrinks at every layer until all digits look the same.",
        "nn.Linear(64, 64), nn.GELU()  # 39 times, then nn.Linear(64, 10)",
        deep_gelu,
    ),
    Story(
        "convnet",
        "8 convolutions whose weights are randn * 0.01",
        "A constant knows neither how many inputs a unit sums nor how many layers follow. Here each layer passes on "
        "a small part of what it gets, and after eight of them next to nothing is left, forward or backward.",
        "conv.weight.copy_(torch.randn_like(conv.weight) * 0.01)",
        small_convnet,
    ),
    Story(
        "zeros",
        "an MLP of zeros",
        "Units that start equal get equal gradients and stay equal. All zeros are the worst case: only the last bias "
        "gets a gradient at all, so that the network can learn how frequent each digit is, and no more.",
        "nn.init.zeros_(parameter)  # for each parameter",
        zeros,
    ),
)
