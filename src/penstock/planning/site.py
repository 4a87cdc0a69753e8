"""A parameter's place in the graph, and what a rule decides for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from penstock.geometry import Geometry
from penstock.graph import Node
from penstock.planning.structure import Structure
from penstock.recipes.recipe import Recipe
from penstock.signals import ParameterStats

CELLS = ("lstm", "gru", "rnn")


@dataclass(frozen=True, slots=True)
class Site:
    """One parameter, where it is used.

    Attributes:
        stats: what was measured of it.
        nodes: the nodes that use it, in order.
        structure: facts about the whole graph.
        keep: whether the user asked to leave it alone.
    """

    stats: ParameterStats
    nodes: tuple[Node, ...]
    structure: Structure
    keep: bool = False

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.stats.name

    @property
    def node(self) -> Node | None:
        """The first node that uses the parameter as its weight, or the first that uses it at all."""
        mine = [n for n in self.nodes if n.parameters[0] == self.name]
        first = (n for n in mine if n.kind == "contraction")
        return next(first, next(iter(mine or self.nodes), None))

    @property
    def cell(self) -> str:
        """Kind and part of its recurrent cell: "lstm.input", "gru_cell.hidden"; "" in every other layer.

        As its layer declares it, or as the one operation shows it that a whole layer is.
        """
        node = self.node
        return self.stats.cell or (node.op if node is not None and node.op.startswith(CELLS) else "")

    @property
    def geometry(self) -> Geometry:
        """Axis roles to draw with; bare shape where no axis has a role."""
        node = self.node
        if node is not None and node.geometry is not None and node.parameters[0] == self.name:
            return node.geometry
        return self.stats.geometry or Geometry(self.stats.shape)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a rule decides: a recipe (None keeps the values), why, and what calibration shall reach.

    Attributes:
        recipe: what is drawn.
        reason: one sentence.
        target: RMS that the layer's output shall have on data; None leaves it alone.
        centre: mean that each unit's output shall have; None leaves it alone.
        geometry: axis roles to draw with, where the rule takes others than the true ones (fused gates as one matrix).
        per_unit: whether calibration scales each unit for itself instead of the whole layer.
        lr_sgd, lr_adam: factors of the learning rate that it wants.
        weight_decay, epsilon: factors of Adam's, the decay being multiplied by the learning rate as in `torch.optim`.
    """

    recipe: Recipe | None
    reason: str
    target: float | None = None
    centre: float | None = None
    geometry: Geometry | None = None
    per_unit: bool = False
    lr_sgd: float = 1.0
    lr_adam: float = 1.0
    weight_decay: float = 1.0
    epsilon: float = 1.0


Rule = Callable[[Site], Decision | None]
