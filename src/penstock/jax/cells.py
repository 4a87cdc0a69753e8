"""Recurrent cells of JAX's libraries, by the layout of their parameters: the part and the gates that each one is.

A function of parameters does not say of which class its layers are, but a cell's own names and sizes show it: Flax
linen has a layer for each gate, Flax nnx, Equinox and Haiku's GRU fuse them. Haiku's LSTM, one layer on input and state
together, and its plain RNN have names that any two layers may have. These two are told by their class, which is seen
while the model is traced, or by the name that Haiku gives them.
"""

from __future__ import annotations

import contextlib
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.fan_table import Declared
from penstock.geometry import FUSED_GATES, LSTM_GATES, Geometry

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

_KINDS = {4: "lstm", 3: "gru", 1: "rnn"}

_HAIKU = {"LSTM": "lstm", "VanillaRNN": "vanilla_rnn"}
"""Class of Haiku -> the name that it gives its modules."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One parameter of a cell: "input", "hidden" or "joined", the gates that it holds, and whether it is a bias."""

    part: str
    gates: tuple[str, ...] = ()
    bias: bool = False
    units_first: bool = False


@dataclass(frozen=True, slots=True)
class _Cell:
    """Kind of a cell, and its parameters by their names inside it."""

    kind: str
    leaves: Mapping[str, _Leaf]


def cells_of(shapes: Shapes, seen: frozenset[tuple[str, str]] = frozenset()) -> dict[str, Declared]:
    """What is known of those parameters that belong to a recurrent cell.

    Args:
        shapes: of all parameters, and of the layers of those that are stacks, by name.
        seen: class and path of modules of Haiku, from `watched`.

    Examples:
        >>> known = cells_of({"cell.weight_ih": (12, 5), "cell.weight_hh": (12, 3), "cell.bias": (12,)})
        >>> known["cell.weight_hh"].cell, known["cell.weight_hh"].geometry.block_names
        ('lstm.hidden', ('i', 'f', 'g', 'o'))
    """
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for name in shapes:
        whole, _, layer = name.partition("[")
        parts = re.split(r"[./]", whole)
        for depth in (1, 2):  # a leaf of the cell itself, or of a layer in it
            if len(parts) >= depth:
                inside = ".".join(parts[len(parts) - depth :])
                groups.setdefault((whole[: len(whole) - len(inside)], layer), {})[inside] = name
    found: dict[str, Declared] = {}
    for (path, _), inside in groups.items():
        own = {leaf: shapes[name] for leaf, name in inside.items() if math.prod(shapes[name])}
        cell = next((c for match in _LAYOUTS if (c := match(path.rstrip("./"), own, seen)) is not None), None)
        if cell is not None:
            made = {leaf: _declared(cell.kind, known, own[leaf]) for leaf, known in cell.leaves.items() if leaf in own}
            found |= {inside[leaf]: declared for leaf, declared in made.items() if declared is not None}
    return found


def _declared(kind: str, leaf: _Leaf, shape: Shape) -> Declared | None:
    count, last = len(leaf.gates), len(shape) - 1
    out = 0 if leaf.units_first or leaf.bias else last
    if count and shape[out] % count:
        return None
    blocks = (shape[out] // count,) * count if count else ()
    cell = f"{kind}.{leaf.part}"
    if leaf.bias:
        return Declared(Geometry(shape, out_axes=(0,), blocks=blocks, block_names=leaf.gates), "bias", cell)
    inputs = (1,) if leaf.units_first else (last - 1,)
    windows = () if leaf.units_first else tuple(range(last - 1))
    geometry = Geometry(shape, inputs, (out,), windows, blocks=blocks, block_names=leaf.gates)
    return Declared(geometry.in_order(), "weight", cell)


def _flax_linen(path: str, own: Shapes, seen: frozenset[tuple[str, str]]) -> _Cell | None:
    """A layer for each gate; nnx's LSTMCell too, which writes `if_`. The one bias of a gate is where it is."""
    clean = {leaf.replace("if_.", "if."): leaf for leaf in own}
    for kind, gates in (("lstm", "ifgo"), ("gru", "rzn"), ("gru", "fn")):
        kernels = [f"{side}{gate}.kernel" for side in "ih" for gate in gates]
        kernel_of = [own[clean[k]] for k in kernels if k in clean]
        if len(kernel_of) < len(kernels) or len([k for k in clean if k.endswith(".kernel")]) > len(kernels):
            continue
        units = kernel_of[-1][-1]
        if any(len(s) != 2 or s[1] != units for s in kernel_of) or kernel_of[-1][0] != units:
            continue
        leaves = {}
        for gate in gates:
            leaves[clean[f"i{gate}.kernel"]] = _Leaf("input", (gate,))
            leaves[clean[f"h{gate}.kernel"]] = _Leaf("hidden", (gate,))
            biases = [clean[f"{side}{gate}.bias"] for side in "ih" if f"{side}{gate}.bias" in clean]
            leaves |= {leaf: _Leaf("hidden" if n else "input", (gate,), bias=True) for n, leaf in enumerate(biases)}
        return _Cell(kind, leaves)
    return None


def _fused(
    weights: tuple[str, str], biases: tuple[str, ...], orders: Mapping[int, tuple[str, ...]], *, units_first: bool
) -> Callable[[str, Shapes, frozenset[tuple[str, str]]], _Cell | None]:
    """One weight on the input and one on the state, with all gates side by side."""

    def match(path: str, own: Shapes, seen: frozenset[tuple[str, str]]) -> _Cell | None:
        if not set(weights) <= set(own) or len([leaf for leaf in own if own[leaf][1:]]) > 2:
            return None
        shape, shape_hidden = own[weights[0]], own[weights[1]]
        out, inputs = (0, 1) if units_first else (-1, -2)
        if len(shape) < 2 or len(shape_hidden) != len(shape) or shape[out] != shape_hidden[out]:
            return None
        count, rest = divmod(shape[out], shape_hidden[inputs])
        if rest or count not in orders:
            return None
        # Of convolutions, those of Flax and of Haiku, the forget gate is held open by the code.
        windows = len(shape) > 2
        if windows and count != 4:
            return None
        gates = ("i", "g", "f", "o") if windows else orders[count]
        leaves = {
            name: _Leaf(part, gates, units_first=units_first)
            for part, name in zip(("input", "hidden"), weights, strict=True)
        }
        added = [b for b in biases if b in own and own[b] == (shape[out],)]
        leaves |= {name: _Leaf("hidden" if n else "input", gates, bias=True) for n, name in enumerate(added)}
        if count == 3 and "bias_n" in own:  # Equinox's GRU adds a second one to its last gate
            leaves["bias_n"] = _Leaf("hidden", gates[2:], bias=True)
        return _Cell("lstm_open" if windows else _KINDS[count], leaves)

    return match


def _haiku(path: str, own: Shapes, seen: frozenset[tuple[str, str]]) -> _Cell | None:
    """The cells of Haiku whose layers have names like any other's."""
    last = re.sub(r"_\d+$", "", path.rpartition("/")[2].rpartition(".")[2])
    kinds = {cls for cls, name in _HAIKU.items() if name == last}
    kinds |= {cls for cls, place in seen if path == place or path.endswith(f".{place}")}
    joined, state = own.get("linear.w", ()), own.get("linear_1.w", ())
    if "LSTM" in kinds and len(joined) == 2 and joined[1] % 4 == 0 and joined[0] > joined[1] // 4:
        gates = ("i", "g", "f", "o")
        leaves = {"linear.w": _Leaf("joined", gates), "linear.b": _Leaf("input", gates, bias=True)}
        return _Cell("lstm_open", leaves)
    if "VanillaRNN" in kinds and len(joined) == 2 and state == (joined[1], joined[1]):
        leaves = {"linear.w": _Leaf("input"), "linear_1.w": _Leaf("hidden")}
        leaves |= {"linear.b": _Leaf("input", bias=True), "linear_1.b": _Leaf("hidden", bias=True)}
        return _Cell("rnn", leaves)
    return None


_LAYOUTS = (
    _flax_linen,
    # Haiku's GRU has the gates z, r, a, and its z is what it writes: 1 minus PyTorch's.
    _fused(("w_i", "w_h"), ("b",), {3: ("u", "r", "n")}, units_first=False),
    _fused(("i.kernel", "h.kernel"), ("i.bias",), {1: ()}, units_first=False),
    _fused(("dense_i.kernel", "dense_h.kernel"), ("dense_i.bias", "dense_h.bias"), FUSED_GATES, units_first=False),
    _fused(("ih.kernel", "hh.kernel"), ("ih.bias", "hh.bias"), {4: LSTM_GATES}, units_first=False),
    _fused(
        ("input_to_hidden.w", "hidden_to_hidden.w"),
        ("input_to_hidden.b", "hidden_to_hidden.b"),
        {4: LSTM_GATES},
        units_first=False,
    ),
    _fused(("weight_ih", "weight_hh"), ("bias",), FUSED_GATES, units_first=True),
    _haiku,
)


@contextlib.contextmanager
def watched() -> Iterator[set[tuple[str, str]]]:
    """Within it, the class and the path of each of Haiku's cells that is called are collected."""
    found: set[tuple[str, str]] = set()
    haiku = sys.modules.get("haiku")
    if haiku is None:
        yield found
        return

    def note(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        name = next((c.__name__ for c in type(context.module).__mro__ if c.__name__ in _HAIKU), None)
        if name is not None and context.method_name == "__call__":
            found.add((name, context.module.module_name))
        return call(*args, **kwargs)

    with haiku.intercept_methods(note):
        yield found
