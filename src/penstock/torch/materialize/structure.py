"""A plan without data: what each parameter is, as its layer declares it, decides what is drawn.

Nothing runs, so a model on the meta device will do. The rules, tried in order, are in `RULES`; a parameter that none of
them places is an error of `penstock.materialize`, never a guess.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from penstock.fan_table import Declared
from penstock.gains import gain_of
from penstock.geometry import LSTM_GATES
from penstock.planning.plan import Entry, Plan
from penstock.planning.rules.biases import forget_open
from penstock.recipes import Blocks, Constant, Normal, Orthogonal, Recipe, VarianceScaling
from penstock.recipes.families.state_space import mamba, mamba2
from penstock.recipes.log_index import LogIndex
from penstock.torch.materialize.norms import Norms
from penstock.torch.padding import with_zero_padding
from penstock.torch.roles import model_roles
from penstock.torch.scalar import activation_name, as_scalar_function

Decision = tuple[Recipe, str]

SMALL = 0.02
"""Std of what is added to a signal (positions, class tokens): that of BERT and GPT-2."""

_BRANCH_END = re.compile(r"(^|\.)(o_proj|down_proj|c_proj|out_proj|fc2|fc_out|wo|w2|dense_4h_to_h)\.weight$")
_TOKEN = re.compile(
    r"(^|_)(cls|mask|dist|distillation|class|query|register|latent|prompt)_?(token|emb|embed|embedding|query)?s?$"
)
_STDS = ("initializer_range", "init_std")
_DEPTHS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "decoder_layers")
_NOT_SCALAR = (nn.MultiheadAttention, nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin, nn.GLU, nn.PReLU, nn.RReLU)


@dataclass(frozen=True, eq=False)
class Place:
    """One parameter, and what can be told of it without running the model.

    Attributes:
        name: its first name.
        declared: its role and axes.
        module: that owns it.
        own: its name there.
        config: the nearest configuration above it that names a std; None without.
        config_above: the nearest configuration of any kind; None without.
        also_head: an embedding that a linear layer uses too.
        structure: facts of the whole model.
    """

    name: str
    declared: Declared
    module: nn.Module
    own: str
    config: Any
    config_above: Any
    also_head: bool
    structure: Structure

    @property
    def config_std(self) -> float | None:
        """The std that the model's configuration asks for."""
        return _std_of(self.config)


class Structure:
    """Facts of a whole model."""

    def __init__(self, model: nn.Module) -> None:
        """Reads names and modules; runs none of them."""
        self._model = model
        self.norms = Norms()
        # Of each stack the kinds of weights that end a branch, and how many there are.
        self._ends: dict[str, Counter[str]] = {}
        for name, _ in model.named_parameters():
            if _BRANCH_END.search(name):
                self._ends.setdefault(_stack(name), Counter())[_pattern(name)] += 1

    def branch_ends(self, place: Place) -> int:
        """How many residual sums lie on the stream that this weight ends a branch of; 0 if it ends none."""
        if not _BRANCH_END.search(place.name):
            return 0
        stack = self._ends[_stack(place.name)]
        # A stage of a pipeline holds a part of the layers: the configuration knows them all.
        depth = next((d for key in _DEPTHS if type(d := getattr(place.config, key, None)) is int), 0)
        return max(stack.total(), depth * len(stack))

    @cached_property
    def gain(self) -> tuple[float, str]:
        """The gain for weights: 1 where norms set the scale, else that of the model's activation."""
        if any("norm" in type(m).__name__.lower() for m in self._model.modules()):
            return 1.0, "norms set the scale"
        counts = Counter(type(m) for m in self._model.modules() if _is_activation(m))
        if not counts:
            return 1.0, "no activation module is known"
        kind = counts.most_common(1)[0][0]
        module = next(m for m in self._model.modules() if type(m) is kind)
        found = gain_of(as_scalar_function(module), name=activation_name(module))
        return float(found), f"exact gain of {activation_name(module)}"


def plan_from_structure(model: nn.Module) -> Plan:
    """Choose a recipe for every parameter by what it is; nothing runs and nothing is changed.

    With a configuration that has an `initializer_range` (Hugging Face's models), weights, embeddings and tokens are
    normal with that std, and the last weight of each residual branch is smaller by 1/sqrt(residual sums). Without one,
    weights are truncated normal by their logical fan in with the gain of the model's activation (1 where there are
    norms), embeddings have rows of RMS 1. Biases are zero, norms start as the identity.

    Args:
        model: any module, on any device.

    Returns:
        The plan. What no rule places keeps its values; on the meta device its class has to compute it.
    """
    structure = Structure(model)
    declared, ties = model_roles(model), _ties(model)
    roles: dict[int, set[str]] = {}
    owners: dict[int, tuple[nn.Module, str, Any, Any]] = {}
    for path, module, config, above in _with_config(model):
        for own, parameter in module.named_parameters(recurse=False):
            owners.setdefault(id(parameter), (module, own, config, above))
            roles.setdefault(id(parameter), set()).add("weight" if isinstance(module, nn.Linear) else path)
    entries = []
    for name, parameter in model.named_parameters():
        place = Place(name, declared[name], *owners[id(parameter)], "weight" in roles[id(parameter)], structure)
        rule, decision = next(((r, d) for r, ask in RULES if (d := ask(place)) is not None), ("left over", None))
        recipe, reason = decision or (None, "no rule places it")
        if not parameter.requires_grad:
            # Frozen from the start: computed by its class (sinusoids), not drawn.
            recipe, reason, rule = None, "frozen: its class computes it", "left over"
        entries.append(
            Entry(name, tuple(parameter.shape), recipe, reason, rule, declared[name].geometry, None, ties[name])
        )
    return with_zero_padding(Plan(type(model).__name__, tuple(entries)), model)


def _bias(place: Place) -> Decision | None:
    if place.declared.role != "bias":
        return None
    geometry = place.declared.geometry
    if geometry.block_names == LSTM_GATES and place.own.startswith("bias_ih"):
        return forget_open(geometry), "LSTM bias: forget gate open at one, other gates zero"
    return Constant(0.0), "bias: zero"


def _norm(place: Place) -> Decision | None:
    if place.declared.role == "offset":
        return Constant(0.0), "norm offset: zero"
    if place.declared.role != "scale":
        return None
    start = place.structure.norms.starts_at(place.module, place.own)
    return Constant(start), f"scale: at {start:g} the norm's output has RMS 1"


def _gate(place: Place) -> Decision | None:
    if place.declared.role != "gate":
        return None
    for key in ("layer_scale_init_value", "layerscale_value", "layer_scale_initial_scale"):
        value = getattr(place.config, key, None)
        if isinstance(value, int | float):
            return Constant(float(value)), f"scale of a branch: {key} of the configuration"
    return Constant(1.0), "scale of a branch: one, as if it were not there"


def _state_space(place: Place) -> Decision | None:
    """Mamba's own parameters, by the names that its code and all ports of it use."""
    shape, layer = place.declared.geometry.shape, place.name.rpartition(".")[0].rpartition(".")[2]
    own = f"{layer}.{place.own}" if layer == "dt_proj" else place.own
    if own not in ("A_log", "D", "dt_bias", "dt_proj.weight", "dt_proj.bias"):
        return None
    if own == "A_log" and len(shape) == 1:
        own = "A_log of Mamba-2"
    families = mamba2() if own == "A_log of Mamba-2" else mamba(dt_rank=shape[-1]) | mamba2()
    recipe = LogIndex() if own == "A_log" else families[own.removesuffix(" of Mamba-2")]
    return recipe, f"state-space layer: {own} as Mamba draws it"


def _t5_queries(place: Place) -> Decision | None:
    """T5's attention is not divided by sqrt(head size): its queries are that much smaller instead."""
    head = getattr(place.config_above, "d_kv", None)
    if place.declared.role != "weight" or type(head) is not int or not re.search(r"Attention\.q\.weight$", place.name):
        return None
    return VarianceScaling(head**-0.5, "fan_in", "truncated_normal"), f"queries of T5: by fan in, over sqrt({head})"


def _embedding(place: Place) -> Decision | None:
    role, std = place.declared.role, place.config_std
    if role == "position" or (role == "other" and _TOKEN.search(place.own)):
        return Normal(std or SMALL), "added to a signal (a position, a learned token): small"
    if role != "embedding":
        return None
    if std is not None:
        return Normal(std), f"embedding: std {std:g} of the configuration"
    width = place.declared.geometry.shape[-1]
    if place.also_head:
        return Normal(1.0 / math.sqrt(width)), f"embedding tied to the output head: std 1/sqrt({width})"
    return Normal(1.0), "embedding: rows of RMS 1"


def _recurrent(place: Place) -> Decision | None:
    if place.declared.role != "weight" or not isinstance(place.module, nn.RNNBase | nn.RNNCellBase):
        return None
    hidden = not place.own.startswith("weight_ih")
    recipe: Recipe = Orthogonal(1.0) if hidden else VarianceScaling(1.0, "fan_in", "truncated_normal")
    gates = len(place.declared.geometry.blocks)
    why = "state-to-state weights: orthogonal" if hidden else "input weights: by fan in"
    return Blocks((recipe,) * gates) if gates else recipe, f"{why}, each gate for itself" if gates else why


def _configured(place: Place) -> Decision | None:
    """Also weights of classes whose axes are not known (experts in one tensor): this rule needs no fan."""
    std = place.config_std
    wide = sum(size > 1 for size in place.declared.geometry.shape) > 1
    if std is None or not (place.declared.role == "weight" or (place.declared.role == "other" and wide)):
        return None
    sums = place.structure.branch_ends(place)
    if sums > 1:
        share = 1.0 / math.sqrt(sums)
        return Normal(std * share), f"last weight of a residual branch: std {std:g} of the configuration / sqrt({sums})"
    return Normal(std), f"weight: std {std:g} of the configuration"


def _weight(place: Place) -> Decision | None:
    if place.declared.role != "weight" or not place.declared.geometry.is_weight:
        return None
    gain, why = place.structure.gain
    sums = place.structure.branch_ends(place)
    if sums > 1:
        gain /= math.sqrt(sums)
        why = f"last weight of a residual branch, 1/sqrt({sums}); {why}"
    return VarianceScaling(gain, "fan_in", "truncated_normal"), f"weight: by fan in; {why}"


RULES: tuple[tuple[str, Callable[[Place], Decision | None]], ...] = (
    ("state space", _state_space),
    ("T5", _t5_queries),
    ("biases", _bias),
    ("norms", _norm),
    ("branch scales", _gate),
    ("embeddings", _embedding),
    ("recurrent", _recurrent),
    ("configuration", _configured),
    ("weights", _weight),
)
"""Name and rule, in the order in which they are asked."""


def _with_config(model: nn.Module) -> Iterator[tuple[str, nn.Module, Any, Any]]:
    """Each module with the nearest configuration above it that names a std, and the nearest of any kind."""
    configs: dict[str, tuple[Any, Any]] = {}
    for path, module in model.named_modules():
        own = getattr(module, "config", None)
        stated, nearest = configs[path.rpartition(".")[0]] if path else (None, None)
        stated = own if _std_of(own) is not None else stated
        configs[path] = stated, nearest if own is None else own
        yield path, module, *configs[path]


def _std_of(config: Any) -> float | None:
    values = (getattr(config, name, None) for name in _STDS)
    return next((float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)), None)


def _ties(model: nn.Module) -> dict[str, tuple[str, ...]]:
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {group[0]: tuple(group[1:]) for group in names.values()}


def _is_activation(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.activation" and not isinstance(module, _NOT_SCALAR)


def _pattern(name: str) -> str:
    return re.sub(r"\d+", "*", name)


def _stack(name: str) -> str:
    """The path down to the layer's number: what all layers of one stack share."""
    return re.split(r"\.\d+\.", name, maxsplit=1)[0]
