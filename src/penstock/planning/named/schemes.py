"""Schemes over a whole network, put into one model's weights: each parameter's place, then the scheme's numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from penstock.geometry import Geometry
from penstock.graph import Node
from penstock.planning.named.blocks import BlockFacts, Branch
from penstock.planning.rules.biases import biases
from penstock.planning.rules.contractions import contractions
from penstock.planning.rules.embeddings import embeddings
from penstock.planning.rules.norms import norms
from penstock.planning.rules.recurrent import recurrent
from penstock.planning.site import Decision, Site
from penstock.planning.structure import Structure
from penstock.recipes import Blocks, Constant, Normal, Recipe, Uniform
from penstock.recipes.bounded_normal import bounded
from penstock.recipes.schemes import Factors, Place, Scheme
from penstock.recipes.schemes.scheme import Role

Law = Literal["normal", "uniform"]
Depth = Literal["layers", "sums"]
Make = Callable[[BlockFacts, bool], Scheme]
"""From the network's branches, and whether the parameter is in the decoder, to the scheme with its counts."""


@dataclass(frozen=True)
class SchemeRule:
    """Asks a scheme for each parameter.

    Attributes:
        facts: the network's branches.
        make: the scheme, for one part of the network.
        law: of the elements whose std the scheme gives.
        depth: what its depth counts: "layers" (of a transformer) or "sums" (residual branches).
        gate_is_end: whether the straight factor of a gated product counts as a branch's end (Llama's w3).
    """

    facts: BlockFacts
    make: Make
    law: Law = "normal"
    depth: Depth = "layers"
    gate_is_end: bool = False

    def __call__(self, site: Site) -> Decision | None:
        """The scheme's numbers for one parameter."""
        role = site.stats.role
        if role in ("offset", "scale", "bias"):
            return self._vector(site, norms(site) or biases(site))
        if role == "gate":
            return self._gate(site)
        node = site.node
        if role in ("embedding", "position"):
            return self._embedding(site)
        if role != "weight" or node is None or not site.geometry.is_weight:
            return None
        if site.cell:
            first = _is_first(site.structure, node) and not site.cell.endswith(".hidden")
            place = self._place("input" if first else "hidden", site.geometry, None)
            return _with_rates(recurrent(site), self.make(self.facts, False).factors(place))
        return self._weight(site, node)

    def _vector(self, site: Site, usual: Decision | None) -> Decision | None:
        """Biases and norms start as usual; what a scheme may have for them is a rate."""
        node, units = site.node, math.prod(site.stats.shape)
        if node is None or usual is None or usual.recipe is None:
            return usual
        branch = self.facts.branch(node)
        scheme = self.make(self.facts, branch is not None and branch.decoder)
        role: Role = "bias" if site.stats.role == "bias" else "norm"
        place = self._place(role, Geometry((units, 1), (1,), (0,)), branch)
        if site.structure.is_head(node):
            place = replace(place, base_fan_out=place.fan_out)  # as many outputs in every model
        end: Role = "branch_out" if site.structure.branch_end(node) is not None else role
        _, fixed, _ = self._size_of_branch(site, node, scheme, end)
        return _with_rates(usual, scheme.factors(place), fixed)

    def _weight(self, site: Site, node: Node) -> Decision | None:
        geometry, labels = site.geometry, self.facts.attention.get(node.index, frozenset())
        branch = self.facts.branch(node)
        if len(labels) > 1 and "v" in labels and geometry.block_names == ("q", "k", "v"):
            names: tuple[Role, ...] = ("query_key", "query_key", "value")
            made = [self._decide(site, node, r, geometry.block(i)) for i, r in enumerate(names)]
            recipes = [d.recipe for d in made if d is not None and d.recipe is not None]
            if len(recipes) == len(names):
                first: Decision = made[0]  # type: ignore[assignment]
                return replace(
                    first, recipe=Blocks(tuple(recipes)), reason=f"packed query, key and value: {first.reason}"
                )
        role: Role = "hidden"
        if site.structure.is_head(node):
            role = "output"
        elif site.structure.branch_end(node) is not None or (self.gate_is_end and _is_second_factor(site, node)):
            role = "branch_out"
        elif "v" in labels:
            role = "value"
        elif labels:
            role = "query_key"
        elif branch is None and _is_first(site.structure, node):
            role = "input"
        return self._decide(site, node, role, geometry)

    def _decide(self, site: Site, node: Node, role: Role, geometry: Geometry) -> Decision | None:
        branch = self.facts.branch(node)
        decoder = branch.decoder if branch is not None else False
        scheme = self.make(self.facts, decoder)
        if branch is None and role in ("hidden", "query_key", "value") and scheme.name == "fixup":
            role = "input"  # a stem or a shortcut: outside of all branches, where the scheme leaves the usual rule
        place = self._place(role, geometry, branch)
        factors = scheme.factors(place)
        size, fixed, told = self._size_of_branch(site, node, scheme, role)
        if factors.value is not None:
            constant = Decision(Constant(factors.value), f"{scheme.name}, {_WORDS[role]}: {factors.value:g}")
            return _with_rates(constant, factors, fixed)
        if factors.std is None:
            usual = contractions(site)
            recipe = None if usual is None or usual.recipe is None else usual.recipe.scaled(size)
            reason = f"{scheme.name} leaves {_WORDS[role]} to the usual rule{told}"
            found = Decision(recipe, reason if usual is None else f"{reason}; {usual.reason}")
            return _with_rates(found, factors, fixed)
        std = factors.std * factors.multiplier * size
        if factors.multiplier != 1.0:
            told += f"; its multiplier {factors.multiplier:.3g} is in the weight, which is the same at step zero"
        reason = f"{scheme.name}, {_WORDS[role]}{_where(branch, self.facts, self.depth)}: std {std:.3g}{told}"
        return _with_rates(Decision(self._recipe(std, role, scheme), reason), factors, fixed)

    def _recipe(self, std: float, role: Role, scheme: Scheme) -> Recipe:
        if std == 0.0:
            return Constant(0.0)
        if scheme.name == "llama" and role == "output":
            return bounded(0.0, std, -3.0 * std, 3.0 * std)
        return Uniform(math.sqrt(3.0) * std) if self.law == "uniform" else Normal(std)

    def _place(self, role: Role, geometry: Geometry | None, branch: Branch | None) -> Place:
        decoder = branch.decoder if branch is not None else False
        depth = self.facts.layers(decoder=decoder) if self.depth == "layers" else self.facts.sums(decoder=decoder)
        index = 1 if branch is None else branch.layer if self.depth == "layers" else branch.order
        fans = geometry.fans if geometry is not None and geometry.is_weight else None
        layers = 2 if branch is None else self.facts.branch_layers(branch)
        if role == "branch":
            index = 1 if branch is None else branch.order
        return Place(
            role=role,
            fan_in=1.0 if fans is None else fans.fan_in,
            fan_out=1.0 if fans is None else fans.fan_out,
            depth=max(depth, 1),
            index=max(index, 1),
            branch_layers=max(layers, 2 if role != "branch_out" else 1),
        )

    def _size_of_branch(self, site: Site, node: Node, scheme: Scheme, role: Role) -> tuple[float, float, str]:
        """The factor that a scheme puts in front of a branch, where the model has no parameter of its own for it.

        Then the same where it is fixed, 1 where it should learn; and a clause that tells.
        """
        if role != "branch_out" or site.structure.branch_end(node) is None:
            return 1.0, 1.0, ""
        factors = scheme.factors(self._place("branch", None, self.facts.branch(node)))
        if factors.multiplier == 1.0 or _has_gate(site.structure, node):
            return 1.0, 1.0, ""
        told = f"; the model has no multiplier for its branches, so {factors.multiplier:.3g} is in the weight"
        return factors.multiplier, 1.0 if factors.trainable else factors.multiplier, told

    def _embedding(self, site: Site) -> Decision | None:
        width = site.stats.shape[-1] if site.stats.shape else 1
        scheme = self.make(self.facts, False)
        factors = scheme.factors(self._place("embedding", Geometry((1, width), (0,), (1,), lookup=True), None))
        if factors.std is None:
            return embeddings(site)
        found = Decision(Normal(factors.std * factors.multiplier), f"{scheme.name}, embedding: std {factors.std:.3g}")
        return _with_rates(found, factors)

    def _gate(self, site: Site) -> Decision | None:
        """A multiplier of a residual branch that learns, where the scheme has one."""
        total = _gated_branch(site)
        if total is None:
            return None
        branch = next((b for b in self.facts.branches if b.total == total.index), None)
        decoder = branch is not None and branch.decoder
        scheme = self.make(self.facts, decoder)
        factors: Factors = scheme.factors(self._place("branch", None, branch))
        if factors.value is None and not factors.trainable:
            return None
        value = factors.multiplier if factors.value is None else factors.value
        return Decision(Constant(value), f"{scheme.name}, multiplier of a residual branch: {value:.3g}")


def _with_rates(decision: Decision | None, factors: Factors, fixed: float = 1.0) -> Decision | None:
    """The decision with the scheme's learning rates, and Adam's weight decay and epsilon.

    A multiplier c that the model lacks is in the weight. W' = c W moves as c W would with a rate c times as large for
    Adam, and c^2 times for SGD, whose gradient has lost a c too (Yang & Hu 2021, section 3.1,
    https://arxiv.org/abs/2011.14522). Adam's decay, which the rate multiplies, and its epsilon, which stands beside
    the gradient, are c times smaller then. `fixed`: the multiplier of its branch.
    """
    inside = abs(factors.multiplier * fixed) or 1.0  # what a zero multiplies has no rate that would do the same
    sgd, adam = factors.lr_sgd * inside**2, factors.lr_adam * inside
    decay, epsilon = factors.weight_decay / inside, factors.epsilon / inside
    if decision is None or (sgd, adam, decay, epsilon) == (1.0, 1.0, 1.0, 1.0):
        return decision
    told = f"{decision.reason}; learning rate x {adam:.3g} (Adam), x {sgd:.3g} (SGD)"
    others = [f"{name} x {factor:.3g}" for name, factor in (("decay", decay), ("epsilon", epsilon)) if factor != 1.0]
    told += f"; Adam's {', '.join(others)}" if others else ""
    return replace(decision, reason=told, lr_sgd=sgd, lr_adam=adam, weight_decay=decay, epsilon=epsilon)


_WORDS: dict[str, str] = {
    "input": "a weight outside of the branches",
    "embedding": "embedding",
    "hidden": "weight",
    "query_key": "query or key",
    "value": "value",
    "branch_out": "end of a residual branch",
    "output": "output head",
}


def _where(branch: Branch | None, facts: BlockFacts, depth: str) -> str:
    if branch is None:
        return ""
    part = "decoder " if branch.decoder else ""
    if depth == "layers":
        return f" in {part}layer {branch.layer} of {facts.layers(decoder=branch.decoder)}"
    return f" in {part}branch {branch.order} of {facts.sums(decoder=branch.decoder)}"


def _is_first(structure: Structure, node: Node) -> bool:
    source = structure.feed(node)
    return source is None or source.kind == "input"


def _is_second_factor(site: Site, node: Node) -> bool:
    """Whether the output is the factor of a gated product that no function bends (w3 of Llama's feed-forward)."""
    readers = site.structure.readers(node)
    return bool(readers) and all(r.kind == "gate" and r.op == "mul" and len(r.inputs) == 2 for r in readers)


def _has_gate(structure: Structure, node: Node) -> bool:
    parameters = structure.measured.parameters
    return any(
        r.kind == "gate" and any(p in parameters and parameters[p].role == "gate" for p in r.parameters)
        for r in structure.readers(node)
    )


def _gated_branch(site: Site) -> Node | None:
    """The residual sum whose branch a parameter multiplies."""
    graph = site.structure.graph
    for node in site.nodes:
        for reader in site.structure.readers(node) if node.kind == "gate" else ():
            if reader.kind == "sum" and reader.residual:
                return reader
            if reader.kind == "gate" and any(graph.nodes[c].residual for c in graph.consumers[reader.index]):
                return next(graph.nodes[c] for c in graph.consumers[reader.index] if graph.nodes[c].residual)
    return None
