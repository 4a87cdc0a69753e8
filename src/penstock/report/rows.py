"""The rows of the table by layer: which nodes are worth seeing, and which findings name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penstock.graph import Node
from penstock.report.report import Report
from penstock.signals import Measured, SignalStats

WEIGHT_NAMES = frozenset({"weight", "kernel", "embedding", "embeddings", "scale", "gamma", "w"})
"""What a layer calls its own weight: it is known by the layer's name."""

# What moves, averages or passes a signal through has its numbers in the row before or after it.
SHOWN_KINDS = frozenset({"input", "contraction", "pointwise", "norm", "gate"})
# The places of so many findings keep a row of their own, and what else they name as long as that is little;
# the others fold among themselves only, with their code.
MAX_PINNED = 24
MAX_ALL_PINNED = 12

Range = tuple[float, float]
# A finding's place, its shape, and the finding's code.
Wanted = tuple[str, tuple[int, ...], str]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table by layer: a node, or a group of like nodes.

    Attributes:
        name: where it is, in the model's own words.
        op: what it does.
        shape: shape of the signal that it makes.
        forward, backward: RMS of the signal and of its gradient: the first and the last of a group where they only
            rise or only fall in between, else the smallest and the largest. None where nothing was measured.
        zero_share, flat_share, correlation, grad_to_weight: means over a group; None where not measured.
        codes: codes of the errors and warnings that name it.
        pinned: never folded.
        count: how many nodes it stands for.
        node: the node's number; of a group that of its first.
        block: the part of the name up to its first index ("layers.3" of "layers.3.mlp"); "" without one.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    forward: Range | None
    backward: Range | None
    zero_share: float | None = None
    flat_share: float | None = None
    correlation: float | None = None
    grad_to_weight: float | None = None
    codes: tuple[str, ...] = ()
    pinned: bool = False
    count: int = 1
    block: str = ""
    node: int = -1


def rows_of(report: Report) -> list[Row]:
    """One row for each node worth seeing, in execution order.

    Those are inputs, contractions, scalar functions, norms, gates, residual sums, and whatever an error or a
    warning names.
    """
    measured = report.measured
    findings = report.at_least("warning")
    places = _Places(measured)
    own = _named(places, [(f.place, f.shape, f.code) for f in findings])
    named = _named(places, [(place, (), f.code) for f in findings for place in f.others], own)
    pinned = set(named if len(named) <= MAX_ALL_PINNED else list(own)[:MAX_PINNED])
    rows: list[Row] = []
    for node, signal in zip(measured.graph.nodes, measured.signals, strict=True):
        worth_seeing = node.kind in SHOWN_KINDS or (node.kind == "sum" and node.residual)
        if signal is not None and (worth_seeing or node.index in named):
            rows.append(_row(measured, node, signal, named.get(node.index, ()), node.index in pinned))
    return rows


def _row(measured: Measured, node: Node, signal: SignalStats, codes: tuple[str, ...], pinned: bool) -> Row:
    weight = measured.parameters.get(node.parameters[0]) if node.parameters else None
    name = node_name(node)
    return Row(
        name=name,
        op=op_name(node),
        shape=signal.shape,
        forward=(signal.rms, signal.rms),
        backward=None if signal.grad_rms is None else (signal.grad_rms, signal.grad_rms),
        zero_share=signal.zero_share,
        flat_share=signal.saturated_share,
        correlation=signal.correlation,
        grad_to_weight=None if weight is None else weight.grad_to_weight,
        codes=codes,
        pinned=pinned,
        block=block_of(name),
        node=node.index,
    )


def block_of(name: str) -> str:
    """A name up to its first index.

    Examples:
        >>> block_of("encoder.layers.3.mlp.0"), block_of("layer1.conv")
        ('encoder.layers.3', '')
    """
    parts = name.split(".")
    first = next((i for i, part in enumerate(parts) if part.isdecimal()), None)
    return "" if first is None else ".".join(parts[: first + 1])


def op_name(node: Node) -> str:
    """What a node does, in the words of people who write models.

    Examples:
        >>> op_name(Node(3, "contraction", "linear")), op_name(Node(4, "sum", "add", residual=True))
        ('linear', 'residual sum')
    """
    if node.kind == "input":
        return "input"
    if node.kind == "sum" and node.residual:
        return "residual sum"
    return node.op or node.kind


def node_name(node: Node) -> str:
    """Where a node is: its module, or its parameter where one module has several.

    Examples:
        >>> node_name(Node(3, "contraction", "linear", path="attn", parameters=("attn.out_proj.weight",)))
        'attn.out_proj'
    """
    if node.kind == "input":
        return node.path or node.op.removesuffix("input")
    if not node.parameters or node.kind == "sum":
        return node.path
    parts = [node.parameters[0].rpartition(sign) for sign in "./"]
    parameter = next((layer for layer, _, last in parts if layer and last in WEIGHT_NAMES), node.parameters[0])
    inside = not node.path or node.parameters[0].startswith((f"{node.path}.", f"{node.path}/"))
    return parameter if inside and len(parameter) >= len(node.path) else node.path


def _named(
    places: _Places, wanted: Sequence[Wanted], known: Mapping[int, tuple[str, ...]] | None = None
) -> dict[int, tuple[str, ...]]:
    """Nodes that findings name, with the codes, after those already known."""
    named = dict(known or {})
    for place, shape, code in wanted:
        node = places.find(place, shape)
        if node is not None:
            named[node] = tuple(dict.fromkeys((*named.get(node, ()), code)))
    return named


class _Places:
    """Finds the node that a finding's place means: a parameter, a path, or an operation and its number ("add#12")."""

    def __init__(self, measured: Measured) -> None:
        self.shapes = {n.index: s.shape for n, s in zip(measured.graph.nodes, measured.signals, strict=True) if s}
        self.shown: set[int] = set()
        self.exact: dict[str, int] = {}
        self.paths: dict[str, list[int]] = {}
        for node in measured.graph.nodes:
            if node.index not in self.shapes:
                continue
            if node.kind in SHOWN_KINDS:
                self.shown.add(node.index)
            for name in (*node.parameters, f"{node.op}#{node.index}"):
                self.exact.setdefault(name, node.index)
            for path in {node.path, node_name(node)} - {""}:
                self.paths.setdefault(path, []).append(node.index)

    def find(self, place: str, shape: tuple[int, ...]) -> int | None:
        """Number of the node; where a path has several the one of this shape, rather one that has a row anyway."""
        # Some checks add to a place what they found there: "fc.weight (wanted 1.4, found 1)".
        place = place.partition(" (")[0]
        if place in self.exact:
            return self.exact[place]
        nodes = self.paths.get(place, [])
        return min(nodes, key=lambda n: (self.shapes[n] != shape, n not in self.shown), default=None)
