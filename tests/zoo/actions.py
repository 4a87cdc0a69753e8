"""The breaks that change values: each acts on a built model in place and returns the names of what it changed."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

Names = tuple[str, ...]
Action = Callable[[nn.Module], Names]
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)
MIN_SIDE = 8


def layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Linear and convolution modules, in order, transformers' own (in, out) kind included."""
    named = list(model.named_modules())
    found = [(n, mod) for n, mod in named if isinstance(mod, LAYERS) or type(mod).__name__ == "Conv1D"]
    return [(n, mod) for n, mod in found if isinstance(mod._parameters.get("weight"), Tensor)]


def targets(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Trainable weights of layers, neither small nor tied to an embedding; without the last layer, the head."""
    tied = {id(mod.weight) for mod in model.modules() if isinstance(mod, nn.Embedding)}
    names = {id(p): n for n, p in model.named_parameters()}
    found = [mod.weight for _, mod in layers(model)[:-1]]
    weights = [w for w in dict.fromkeys(found) if isinstance(w, Tensor) and w.requires_grad and id(w) not in tied]
    return [(names[id(w)], w) for w in weights if min(w.shape[:2]) >= MIN_SIDE]


def middle(model: nn.Module) -> tuple[str, Tensor]:
    """The target halfway through the model."""
    found = targets(model)
    return found[len(found) // 2]


def one_nan(model: nn.Module) -> Names:
    """One element becomes NaN."""
    name, weight = middle(model)
    weight.flatten()[weight.numel() // 3] = float("nan")
    return (name,)


def garbage_integers(model: nn.Module) -> Names:
    """Memory that held small integers: subnormal numbers when read as floats."""
    name, weight = middle(model)
    generator = torch.Generator().manual_seed(1)
    weight.copy_(torch.randint(1, 1 << 20, weight.shape, generator=generator, dtype=torch.int32).view(torch.float32))
    return (name,)


def garbage_pointers(model: nn.Module) -> Names:
    """Memory that held 64-bit addresses 0x00007f..: every other number subnormal, its neighbour anything finite."""
    name, weight = middle(model)
    generator = torch.Generator().manual_seed(2)
    words = torch.randint(-(1 << 31), 1 << 31, (weight.numel(),), generator=generator, dtype=torch.int64).to(
        torch.int32
    )
    words[1::2] = 0x7F00 + (words[1::2] & 0xFF)
    floats = words.view(torch.float32)
    weight.copy_(torch.where(floats.isfinite(), floats, 0.0).view(weight.shape))
    return (name,)


def identical_units(model: nn.Module) -> Names:
    """All units of a layer become copies of its first one."""
    name, weight = middle(model)
    owner = model.get_submodule(name.rpartition(".")[0])
    axis = 1 if type(owner).__name__ == "Conv1D" or isinstance(owner, nn.ConvTranspose2d) else 0
    weight.copy_(weight.select(axis, 0).unsqueeze(axis).expand_as(weight).clone())
    return (name,)


def constant(value: float) -> Action:
    """A layer's weight becomes one number."""

    def act(model: nn.Module) -> Names:
        name, weight = middle(model)
        weight.fill_(value)
        return (name,)

    return act


def all_zero(model: nn.Module) -> Names:
    """Every weight of every layer becomes zero."""
    return scale_all(0.0)(model)


def copy_to_twin(model: nn.Module) -> Names:
    """A weight is copied into the next one of the same shape."""
    found = targets(model)
    for start in (*range(len(found) // 2, len(found)), *range(len(found) // 2)):
        for name, weight in found[start + 1 :]:
            if weight.shape == found[start][1].shape:
                weight.copy_(found[start][1])
                return (name,)
    raise ValueError("copy_to_twin: no two weights have the same shape")


def cloned_layers(model: nn.Module) -> Names:
    """The second layer of a stack starts as a copy of the first, as nn.TransformerEncoder leaves it."""
    stack = next(mod for mod in model.modules() if isinstance(mod, nn.TransformerEncoder)).layers
    prefix = next(name for name, mod in model.named_modules() if mod is stack)
    stack[1].load_state_dict(stack[0].state_dict())
    return tuple(f"{prefix}.1.{name}" for name, p in stack[1].named_parameters() if p.ndim > 1)


def tile_rows(model: nn.Module) -> Names:
    """The second half of the rows repeats the first, as when two ranks drew with one seed."""
    name, weight = next((n, w) for n, w in (middle(model), *targets(model)) if w.shape[0] % 2 == 0)
    half = weight.shape[0] // 2
    weight[half:] = weight[:half].clone()
    return (name,)


def outliers(model: nn.Module) -> Names:
    """Three elements become 1000 times the standard deviation."""
    name, weight = middle(model)
    std = weight.std().item()
    for k, sign in enumerate((1.0, -1.0, 1.0)):
        weight.flatten()[(k + 1) * weight.numel() // 5] = sign * 1e3 * std
    return (name,)


def scale_all(factor: float) -> Action:
    """Every weight of every layer, the head's too, times a factor."""

    def act(model: nn.Module) -> Names:
        return _scale(model, layers(model), factor)

    return act


def scale_hidden(factor: float) -> Action:
    """Every weight but the head's times a factor."""

    def act(model: nn.Module) -> Names:
        return _scale(model, layers(model)[:-1], factor)

    return act


def scale_head(factor: float) -> Action:
    """The last layer's weight times a factor."""

    def act(model: nn.Module) -> Names:
        return _scale(model, layers(model)[-1:], factor)

    return act


def scale_middle(factor: float) -> Action:
    """One hidden weight times a factor."""

    def act(model: nn.Module) -> Names:
        name, weight = middle(model)
        weight.mul_(factor)
        return (name,)

    return act


def scale_where(fits: Callable[[str, nn.Module, Tensor], bool], factor: float) -> Action:
    """The weights that fit, by name, owner and shape, times a factor."""

    def act(model: nn.Module) -> Names:
        owned = [(n, model.get_submodule(n.rpartition(".")[0]), p) for n, p in model.named_parameters()]
        names = tuple(n for n, owner, p in owned if p.ndim > 1 and fits(n, owner, p))
        for name in names:
            model.get_parameter(name).mul_(factor)
        return names

    return act


def normal_everywhere(std: float) -> Action:
    """Every layer's weight from one normal distribution, whatever its fans."""

    def act(model: nn.Module) -> Names:
        generator = torch.Generator().manual_seed(3)
        for _, layer in layers(model):
            nn.init.normal_(layer.get_parameter("weight"), std=std, generator=generator)
        return tuple(f"{name}.weight" for name, _ in layers(model))

    return act


def torch_default(model: nn.Module) -> Names:
    """Every weight and bias uniform in +-1 / sqrt(fan_in), as PyTorch leaves a new layer."""
    generator = torch.Generator().manual_seed(4)
    for _, layer in layers(model):
        bound = 1 / math.sqrt(layer.get_parameter("weight")[0].numel())
        for parameter in layer.parameters(recurse=False):
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return _own_names(model)


def drowned(factor: float, std: float) -> Action:
    """Small weights under random biases in every layer but the head: the biases drown what the inputs say."""

    def act(model: nn.Module) -> Names:
        generator = torch.Generator().manual_seed(5)
        for _, layer in layers(model)[:-1]:
            layer.get_parameter("weight").mul_(factor)
            nn.init.normal_(layer.get_parameter("bias"), std=std, generator=generator)
        return tuple(f"{name}.{kind}" for name, _ in layers(model)[:-1] for kind in ("weight", "bias"))

    return act


def negative_biases(model: nn.Module) -> Names:
    """Seven eighths of the units in the second layer get a bias of -10, so that their relu never opens."""
    name, layer = layers(model)[1]
    bias = layer.get_parameter("bias")
    bias[bias.numel() // 8 :] = -10.0
    return (f"{name}.bias",)


def negative_offsets(name: str) -> Action:
    """All offsets before a relu become -10, in a branch beside a skip connection."""

    def act(model: nn.Module) -> Names:
        model.get_parameter(name).fill_(-10.0)
        return (name,)

    return act


def head_ignores_input(model: nn.Module) -> Names:
    """The head's weight shrinks to nothing beside its bias."""
    name, head = layers(model)[-1]
    head.get_parameter("weight").mul_(1e-7)
    head.get_parameter("bias").fill_(0.5)
    return (f"{name}.weight", f"{name}.bias")


def _scale(model: nn.Module, chosen: list[tuple[str, nn.Module]], factor: float) -> Names:
    del model
    for _, layer in chosen:
        layer.get_parameter("weight").mul_(factor)
    return tuple(f"{name}.weight" for name, _ in chosen)


def _own_names(model: nn.Module) -> Names:
    return tuple(f"{name}.{own}" for name, layer in layers(model) for own, _ in layer.named_parameters(recurse=False))
