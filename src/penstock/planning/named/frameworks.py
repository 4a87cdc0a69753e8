"""What a framework's own layers would have drawn, whatever framework the model is written in."""

from __future__ import annotations

import math

from penstock.conventions import Convention, as_seen_by, layer_defaults
from penstock.planning.named.part import Part, part_of
from penstock.planning.rules.norms import norms
from penstock.planning.site import Decision, Rule, Site
from penstock.recipes import Blocks, Constant, PerBlock, Uniform, VarianceScaling
from penstock.recipes.recipe import Recipe

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
    if part.layer == "LSTM" and convention == "haiku":
        return _haiku_lstm(part, site)
    return None


def _haiku_lstm(part: Part, site: Site) -> Decision:
    """Haiku has one matrix on input and state together, and adds 1 to the forget gate while it runs."""
    if part.parameter == "bias":
        hidden = part.weight.blocks or (int(part.weight.fans.fan_out),) * 4
        recipe: Recipe = PerBlock((0.0, 1.0, 0.0, 0.0), hidden)
        return Decision(recipe, "Haiku adds 1 to the forget gate in its forward pass: here it is in the bias")
    if part.parameter == "second_bias":
        return Decision(Constant(0.0), "Haiku has one bias here, and PyTorch's layer two: the second is zero")
    own = part.weight.fans.fan_in
    stem = site.name.replace("_hh_", "_ih_") if part.parameter == "recurrent" else site.name.replace("_ih_", "_hh_")
    other = site.structure.measured.parameters.get(stem)
    joint = own + (other.shape[-1] if other is not None and stem != site.name else part.weight.fans.fan_out)
    base = layer_defaults("haiku")["LSTM"]["weight"](part.weight)
    gain = base.std(part.weight) * math.sqrt(own) * math.sqrt(own / joint)
    recipe = VarianceScaling(gain, "fan_in", "truncated_normal")
    return Decision(recipe, f"what Haiku draws for LSTM: one matrix on input and state, fan_in {joint:g}")
