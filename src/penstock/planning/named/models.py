"""How published models are started: each a function from a graph to a rule, from the recipes of their families."""

from __future__ import annotations

import math

from penstock.geometry import Geometry
from penstock.planning.named.blocks import BlockFacts
from penstock.planning.rules.biases import biases
from penstock.planning.rules.contractions import contractions
from penstock.planning.rules.embeddings import embeddings
from penstock.planning.rules.norms import norms
from penstock.planning.rules.recurrent import recurrent
from penstock.planning.site import Decision, Rule, Site
from penstock.planning.structure import Structure
from penstock.recipes import (
    Blocks,
    Constant,
    LogIndex,
    LogOfUniform,
    Normal,
    Recipe,
    StepSize,
    Uniform,
    VarianceScaling,
)
from penstock.recipes.families import bert, dcgan, dit, efficientnet, ppo, resnet, vit_jax

SMALL = 0.02


def bert_rule(structure: Structure) -> Rule:
    """Truncated normal of std 0.02, everywhere."""
    family = bert()

    def rule(site: Site) -> Decision | None:
        if _is_weight(site) or site.stats.role in ("embedding", "position"):
            return Decision(family["weight"], "BERT: normal of std 0.02, cut at two of them")
        return _zeros_and_ones(site)

    return rule


def vit_rule(structure: Structure) -> Rule:
    """Vision transformers as their authors' JAX code draws them."""
    family, facts = vit_jax(), BlockFacts(structure)

    def rule(site: Site) -> Decision | None:
        role, node = site.stats.role, site.node
        if role == "position":
            return Decision(Normal(SMALL), "ViT: positions of std 0.02")
        if role == "bias" and node is not None and node.kind == "contraction":
            branch = facts.branch(node)
            if branch is not None and not branch.attends:
                return Decision(family["mlp_bias"], "ViT: biases of the MLP, std 1e-6")
        if _is_weight(site) and node is not None:
            if structure.is_head(node):
                return Decision(family["head"], "ViT: the head starts at zero")
            if site.geometry.window_axes:
                return Decision(family["patch"], "ViT: patches by LeCun's rule, truncated")
            return Decision(_each(family["linear"], site), "ViT: Glorot uniform, query, key and value each for itself")
        return _zeros_and_ones(site) or embeddings(site)

    return rule


def vit_timm_rule(structure: Structure) -> Rule:
    """Vision transformers as timm draws them by default."""

    def rule(site: Site) -> Decision | None:
        if site.stats.role == "position":
            token = math.prod(site.stats.shape[:-1]) == 1
            return Decision(
                Normal(1e-6 if token else SMALL), f"timm: {'class token 1e-6' if token else 'positions 0.02'}"
            )
        if _is_weight(site) and site.geometry.window_axes:
            recipe = VarianceScaling(math.sqrt(1.0 / 3.0), "fan_in", "uniform")
            return Decision(recipe, "timm: the patch convolution keeps PyTorch's default")
        if _is_weight(site):
            return Decision(Normal(SMALL), "timm: trunc_normal_(std=0.02), whose bounds of +-2 cut nothing")
        return _zeros_and_ones(site) or embeddings(site)

    return rule


def t5_rule(structure: Structure) -> Rule:
    """T5: 1/sqrt(fan_in), but for queries, which carry the attention's 1/sqrt(d_kv)."""
    facts = BlockFacts(structure)

    def rule(site: Site) -> Decision | None:
        node, role = site.node, site.stats.role
        if role in ("embedding", "position"):
            if node is not None and not node.inputs:  # relative positions: one number a head
                width = _model_width(structure)
                return Decision(Normal(width**-0.5), f"T5: relative positions, std 1/sqrt({width})")
            return Decision(Normal(1.0), "T5: embeddings of std 1")
        if not _is_weight(site) or node is None:
            return _zeros_and_ones(site)
        if structure.is_head(node):
            return Decision(Normal(1.0), "T5: a head of its own has std 1, as in the Hugging Face port")
        fan_in = site.geometry.fans.fan_in
        if facts.attention.get(node.index) == frozenset("q"):
            head = _head_dim(structure, node.index)
            return Decision(Normal((fan_in * head) ** -0.5), f"T5: query, 1/sqrt({fan_in:g} * {head})")
        return Decision(Normal(fan_in**-0.5), f"T5: 1/sqrt({fan_in:g})")

    return rule


def resnet_rule(structure: Structure) -> Rule:
    """He by fan_out; the last norm of each branch zero."""
    family = resnet()

    def rule(site: Site) -> Decision | None:
        node = site.node
        if site.stats.role == "scale" and node is not None and structure.branch_end(node) is not None:
            return Decision(family["last_norm"], "ResNet: the last norm of a branch starts at zero")
        if _is_weight(site) and site.geometry.window_axes:
            return Decision(family["conv"], "ResNet: He by fan_out")
        return _linear_of_torch(site) or _zeros_and_ones(site) or embeddings(site)

    return rule


def efficientnet_rule(structure: Structure) -> Rule:
    """N(0, 2 / fan_out) with the fan of one group; a uniform head."""
    family = efficientnet()

    def rule(site: Site) -> Decision | None:
        if _is_weight(site):
            part = "conv" if site.geometry.window_axes else "head"
            return Decision(family[part], f"EfficientNet: {part}")
        return _zeros_and_ones(site) or embeddings(site)

    return rule


def dcgan_rule(structure: Structure) -> Rule:
    """N(0, 0.02^2) for all weights, N(1, 0.02^2) for norm scales."""
    family = dcgan()

    def rule(site: Site) -> Decision | None:
        if _is_weight(site) or site.stats.role in ("embedding", "position"):
            return Decision(family["conv"], "DCGAN: std 0.02")
        if site.stats.role == "scale" and site.node is not None and site.node.kind == "norm":
            return Decision(family["norm"], "DCGAN: norm scales of mean 1 and std 0.02")
        return _zeros_and_ones(site)

    return rule


def dit_rule(structure: Structure) -> Rule:
    """Diffusion transformers: modulations and the last layer zero, so that every block is the identity."""
    family = dit()

    def rule(site: Site) -> Decision | None:
        node = site.node
        if site.stats.role in ("embedding", "position"):
            return Decision(family["label_embedding"], "DiT: embeddings of std 0.02")
        if not _is_weight(site) or node is None:
            return _zeros_and_ones(site)
        if structure.is_head(node):
            return Decision(family["final"], "DiT: the last layer starts at zero")
        if _modulates(structure, node.index):
            return Decision(family["modulation"], "DiT: a modulation of norms and branches starts at zero")
        return Decision(_each(family["linear"], site), "DiT: Glorot uniform")

    return rule


def ppo_rule(structure: Structure) -> Rule:
    """Orthogonal: sqrt(2) inside, 0.01 for a policy's head, 1 for a value's, told apart by their outputs."""
    family = ppo()

    def rule(site: Site) -> Decision | None:
        node = site.node
        if _is_weight(site) and node is not None:
            if not structure.is_head(node):
                return Decision(family["hidden"], "PPO: orthogonal of gain sqrt(2)")
            value = math.prod(site.stats.shape[a] for a in site.geometry.out_axes) == 1
            part = "value" if value else "policy"
            return Decision(family[part], f"PPO: head of the {part} ({'one output' if value else 'several outputs'})")
        return _zeros_and_ones(site) or embeddings(site)

    return rule


def mamba_rule(structure: Structure) -> Rule:
    """Mamba and Mamba-2, by the names of their parameters."""
    blocks = max(BlockFacts(structure).sums(decoder=False), 1)

    def rule(site: Site) -> Decision | None:
        if site.stats.role == "embedding":
            return Decision(Normal(SMALL), "Mamba: embeddings of std 0.02")
        if (own := _state_space(site)) is not None or not _is_weight(site) or site.node is None:
            return own or _zeros_and_ones(site)
        gain = math.sqrt(1.0 / 3.0)
        if structure.branch_end(site.node) is not None:
            gain /= math.sqrt(blocks)
            return Decision(_uniform(gain), f"Mamba: PyTorch's default over sqrt({blocks}) at a branch's end")
        return Decision(_uniform(gain), "Mamba: PyTorch's default")

    return rule


def _state_space(site: Site) -> Decision | None:
    path, _, leaf = site.name.rpartition(".")
    projects = path.endswith("dt_proj")
    if leaf == "A_log":
        recipe = LogIndex() if len(site.stats.shape) > 1 else LogOfUniform(1.0, 16.0)
        return Decision(recipe, "Mamba: A = -1 ... -N in each channel (Mamba-2: -U(1, 16) in each head)")
    if leaf == "D":
        return Decision(Constant(1.0), "Mamba: the skip starts at one")
    if leaf == "dt_bias" or (leaf == "bias" and projects):
        return Decision(StepSize(1e-3, 0.1, "inverse_softplus", 1e-4), "Mamba: time steps 0.001 to 0.1, log-uniform")
    if projects and _is_weight(site):
        return Decision(Uniform(site.geometry.fans.fan_in**-0.5), "Mamba: projection to the time steps")
    return None


def exact_rule(structure: Structure) -> Rule:
    """The exact gain of each function, without anything else."""

    def rule(site: Site) -> Decision | None:
        decision = recurrent(site) or contractions(site)
        if decision is not None:
            return Decision(decision.recipe, decision.reason)
        return _zeros_and_ones(site) or embeddings(site)

    return rule


def _is_weight(site: Site) -> bool:
    return site.stats.role == "weight" and site.geometry.is_weight


def _zeros_and_ones(site: Site) -> Decision | None:
    return norms(site) or biases(site)


def _each(recipe: Recipe, site: Site) -> Recipe:
    return Blocks((recipe,) * len(site.geometry.blocks)) if site.geometry.blocks else recipe


def _uniform(gain: float) -> Recipe:
    return VarianceScaling(gain, "fan_in", "uniform")


def _linear_of_torch(site: Site) -> Decision | None:
    if not _is_weight(site):
        return None
    return Decision(_uniform(math.sqrt(1.0 / 3.0)), "ResNet: linear layers keep PyTorch's default")


def _model_width(structure: Structure) -> int:
    """Width of the token embeddings."""
    tables = (p for p in structure.measured.parameters.values() if p.role == "embedding")
    return max((p.shape[-1] for p in tables if any(n.inputs for n in structure.graph.users(p.name))), default=1)


def _head_dim(structure: Structure, index: int) -> int:
    """Size of one attention head: the last axis of the queries in their product with the keys."""
    for reader in structure.graph.consumers[index]:
        signal = structure.measured.signals[reader]
        if structure.graph.nodes[reader].kind in ("pointwise", "move", "norm") and signal is not None:
            return signal.shape[-1]
    signal = structure.measured.signals[index]
    keys = [n for n in structure.readers(structure.graph.nodes[index]) if n.op in ("matmul", "attention")]
    made = structure.measured.signals[keys[0].index] if keys else None
    if made is not None and keys[0].op == "attention":
        return made.shape[-1]
    return signal.shape[-1] if signal is not None else 1


def _modulates(structure: Structure, index: int) -> bool:
    """Whether an output only scales and shifts other signals: all of its pieces end in gates and sums with others."""
    node = structure.graph.nodes[index]
    if structure.branch_end(node) is not None:
        return False
    waiting, ends = [index], list[str]()
    while waiting:
        for reader in structure.graph.consumers[waiting.pop()]:
            follower = structure.graph.nodes[reader]
            shifted = follower.kind == "sum" and len(follower.inputs) == 1
            scaled = follower.kind == "pointwise" and follower.op in ("identity", "scale")
            if follower.kind == "move" or shifted or scaled:
                waiting.append(reader)
            else:
                ends.append(follower.kind)
    return "gate" in ends and set(ends) <= {"gate", "sum"} and isinstance(node.geometry, Geometry)
