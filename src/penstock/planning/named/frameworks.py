"""What a framework's own layers would have drawn, whatever framework the model is written in."""

from __future__ import annotations

import math

from penstock.conventions import Convention, as_seen_by, layer_defaults
from penstock.geometry import LSTM_GATES
from penstock.planning.named.part import Part, part_of
from penstock.planning.rules.biases import OPEN
from penstock.planning.rules.norms import norms
from penstock.planning.rules.recurrent import sides
from penstock.planning.site import Decision, Rule, Site
from penstock.recipes import Blocks, Constant, Joined, PerBlock, Uniform, VarianceScaling
from penstock.recipes.joined import beside

TITLES = {"torch": "PyTorch", "keras": "Keras", "jax": "Flax", "flax": "Flax", "haiku": "Haiku"}


def framework_rule(convention: Convention) -> Rule:
    """The rule that asks a framework's defaults for each parameter."""
    defaults, title = layer_defaults(convention), TITLES[convention]

    def rule(site: Site) -> Decision | None:
        part = part_of(site)
        if part is None:
            return None
        if part.layer == "Norm":
            return norms(site)
        special = _special(convention, part, site)
        if special is not None:
            return special
        layer = defaults.get(part.layer, defaults["Linear"])
        parameter = {"projection": "recurrent", "second_bias": "bias"}.get(part.parameter, part.parameter)
        default = layer.get(parameter) or layer["bias" if parameter.endswith("bias") else "weight"]
        recipe = default(part.weight)
        if isinstance(recipe, PerBlock) and part.parameter == "second_bias":
            return Decision(Constant(0.0), f"{title} has one bias here, and PyTorch's layer two: the second is zero")
        geometry = None
        if convention == "keras" and part.parameter == "recurrent":
            geometry = as_seen_by("keras", part.weight)  # one orthogonal matrix over all gates
        return Decision(recipe, f"what {title} draws for {part.layer}: {parameter}", geometry=geometry)

    return rule


def _special(convention: Convention, part: Part, site: Site) -> Decision | None:
    """Where the layer of this model is cut otherwise than the framework's own."""
    title, weight = TITLES[convention], part.weight
    if part.layer == "Bilinear" and convention == "torch":
        bound = weight.shape[weight.in_axes[0]] ** -0.5
        return Decision(Uniform(bound), "what PyTorch draws for Bilinear: U(+-1/sqrt(in1))")
    if part.parameter == "projection" and convention == "torch":
        return Decision(Uniform(weight.fans.fan_in**-0.5), "what PyTorch draws for LSTM: projection")
    if part.parameter == "in_proj" and weight.blocks and convention != "torch":
        rule = layer_defaults(convention).get("Attention", layer_defaults(convention)["Linear"])
        each = rule.get("in_proj") or rule["weight"]
        parts = tuple(each(weight.block(i)) for i in range(len(weight.blocks)))
        return Decision(Blocks(parts), f"what {title} draws for attention: query, key and value each for itself")
    return _of_cell(convention, part, site)


def _of_cell(convention: Convention, part: Part, site: Site) -> Decision | None:
    """What depends on how the cell keeps its matrices and its forget gate."""
    if part.parameter == "joined" and convention != "haiku":
        return _joined(convention, part, site)
    if part.layer == "LSTM" and convention in ("haiku", "keras") and part.parameter == "bias":
        return _forget_gate(convention, part, site)
    return _haiku_lstm(part, site) if part.layer == "LSTM" and convention == "haiku" else None


def _joined(convention: Convention, part: Part, site: Site) -> Decision:
    """One matrix on input and state, where the framework has two."""
    layer, weight = layer_defaults(convention)[part.layer], part.weight
    sizes = sides(site)
    inputs, state = beside(weight, sizes)
    recipe = Joined((layer["input"](inputs), layer["recurrent"](state)), sizes)
    geometry = as_seen_by("keras", weight) if convention == "keras" else None  # one orthogonal matrix over all gates
    return Decision(recipe, f"what {TITLES[convention]} draws for {part.layer}: input and recurrent", geometry=geometry)


def _forget_gate(convention: Convention, part: Part, site: Site) -> Decision:
    """One for the forget gate: Keras has it in the bias, Haiku adds it while it runs."""
    title, gates = TITLES[convention], part.weight.block_names or LSTM_GATES
    if site.cell.startswith(OPEN):
        return Decision(Constant(0.0), f"{title}'s forget gate starts at one, which this cell adds itself: zero")
    if "f" not in gates:
        return Decision(Constant(0.0), f"what {title} draws for LSTM: bias")
    values = tuple(1.0 if gate == "f" else 0.0 for gate in gates)
    recipe = PerBlock(values, part.weight.blocks or (int(part.weight.fans.fan_out),) * len(gates))
    if convention == "haiku":
        return Decision(recipe, "Haiku adds 1 to the forget gate in its forward pass: here it is in the bias")
    return Decision(recipe, f"what {title} draws for LSTM: bias")


def _haiku_lstm(part: Part, site: Site) -> Decision | None:
    """Haiku has one matrix on input and state together; its convolutional cell has two."""
    if part.parameter == "second_bias":
        return Decision(Constant(0.0), "Haiku has one bias here, and PyTorch's layer two: the second is zero")
    if part.parameter not in ("input", "recurrent") or part.weight.window_axes:
        return None
    own, units = part.weight.fans.fan_in, part.weight.fans.fan_out
    joint = own + (units if part.parameter == "input" else _inputs_of_cell(site))
    base = layer_defaults("haiku")["LSTM"]["weight"](part.weight)
    gain = base.std(part.weight) * math.sqrt(own) * math.sqrt(own / joint)
    recipe = VarianceScaling(gain, "fan_in", "truncated_normal")
    return Decision(recipe, f"what Haiku draws for LSTM: one matrix on input and state, fan_in {joint:g}")


def _inputs_of_cell(site: Site) -> float:
    """Features of the input that a cell reads beside its state: its weight on it is used last before that on this."""
    nodes, parameters = site.structure.graph.nodes, site.structure.measured.parameters
    for node in reversed(nodes[: site.node.index] if site.node is not None else ()):
        cell = parameters[node.parameters[0]].cell or node.op if node.kind == "contraction" else ""
        if cell.startswith("lstm") and cell.endswith(".input") and node.geometry is not None:
            return node.geometry.fans.fan_in
    return 0.0
