"""Lists of tensors, which TensorFlow's loops collect their steps in: what they hold is followed, and they vanish."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from penstock.errors import UnsupportedError, message

if TYPE_CHECKING:
    from penstock.keras.tensorflow.flatten import Flattener


class Part(NamedTuple):
    """Row `row` of the value `whole`."""

    whole: int
    row: int


class Items(NamedTuple):
    """A list.

    Attributes:
        elements: numbers of values, or rows of them; None where nothing was written yet.
        shape: of an element, if it was said.
        dtype: of the elements, as TensorFlow has it.
    """

    elements: tuple[int | Part | None, ...]
    shape: tuple[int, ...] | None
    dtype: Any


Reference = int | Items
"""What a tensor of a graph is: the number of a value, or a list."""


def plain(reference: Reference) -> int:
    """The number of a value that is no list."""
    if not isinstance(reference, int):
        raise UnsupportedError(message("check: a model that handles lists of tensors in this way cannot be read."))
    return reference


def numbers_of(reference: Reference) -> list[int]:
    """The values that a reference stands for."""
    if isinstance(reference, int):
        return [reference]
    return [each if isinstance(each, int) else each.whole for each in reference.elements if each is not None]


def _reserved(flat: Flattener, op: Any, inputs: list[Reference]) -> Reference:
    count = flat.number_at(inputs[1]) if op.type == "TensorListReserve" else 0
    return Items((None,) * count, _shape(flat, inputs[0]), op.get_attr("element_dtype"))


def _shape(flat: Flattener, reference: Reference) -> tuple[int, ...] | None:
    """The shape that a list's elements are said to have, if it is known."""
    sizes = flat.known[plain(reference)].numpy()
    return tuple(int(s) for s in sizes) if sizes.ndim and (sizes >= 0).all() else None


def _from_tensor(flat: Flattener, op: Any, inputs: list[Reference]) -> Reference:
    whole = plain(inputs[0])
    count = flat.program.avals[whole].shape[0]
    return Items(tuple(Part(whole, i) for i in range(count)), None, op.get_attr("element_dtype"))


def _get(flat: Flattener, op: Any, inputs: list[Reference]) -> Reference:
    items, index = _items(inputs[0]), flat.number_at(inputs[1])
    held = items.elements[index]
    return _zeros(flat, items) if held is None else flat.element(held)


def _set(flat: Flattener, op: Any, inputs: list[Reference]) -> Reference:
    items, index = _items(inputs[0]), flat.number_at(inputs[1])
    elements = [*items.elements, *[None] * (index + 1 - len(items.elements))]
    elements[index] = plain(inputs[2])
    return Items(tuple(elements), items.shape, items.dtype)


def _push(flat: Flattener, op: Any, inputs: list[Reference]) -> Reference:
    items = _items(inputs[0])
    return Items((*items.elements, plain(inputs[1])), items.shape, items.dtype)


def _length(flat: Flattener, op: Any, inputs: list[Reference]) -> Reference:
    return flat.constant(tf.constant(len(_items(inputs[0]).elements)))


def _stack(flat: Flattener, op: Any, inputs: list[Reference]) -> Reference:
    """All elements in one tensor: those that are one already, as they are."""
    items = _items(inputs[0])
    if not items.elements:
        return flat.constant(tf.zeros((0, *(items.shape or ())), items.dtype))
    held = [_zeros(flat, items) if each is None else each for each in items.elements]
    pieces: list[int] = []
    place = 0
    while place < len(held):
        first = held[place]
        if isinstance(first, Part):
            size = flat.program.avals[first.whole].shape[0]
            if held[place : place + size] == [Part(first.whole, i) for i in range(size)]:
                pieces.append(first.whole)
                place += size
                continue
        end = place + 1
        while end < len(held) and isinstance(held[end], int) and isinstance(first, int):
            end += 1
        run = [flat.element(each) for each in held[place:end]]
        pieces += flat.emit("loop_stack", run, lambda *x: [tf.stack(x)], {})
        place = end
    if len(pieces) == 1:
        return pieces[0]
    return flat.emit("loop_stack", pieces, lambda *x: [tf.concat(x, axis=0)], {})[0]


def _zeros(flat: Flattener, items: Items) -> int:
    """What an element holds that was never written."""
    avals = flat.program.avals
    held = (e for e in items.elements if e is not None)
    shapes = (avals[e].shape if isinstance(e, int) else avals[e.whole].shape[1:] for e in held)
    return flat.constant(tf.zeros(next(shapes, items.shape or ()), items.dtype))


def _items(reference: Reference) -> Items:
    if not isinstance(reference, Items):
        raise UnsupportedError(message("check: a model that is handed a list of tensors cannot be read."))
    return reference


LISTS: dict[str, Callable[[Flattener, Any, list[Reference]], Reference]] = {
    "TensorListReserve": _reserved,
    "EmptyTensorList": _reserved,
    "TensorListFromTensor": _from_tensor,
    "TensorListGetItem": _get,
    "TensorListSetItem": _set,
    "TensorListPushBack": _push,
    "TensorListLength": _length,
    "TensorListStack": _stack,
}
"""Operations on lists of tensors, which loops collect their steps in: they are followed, and vanish."""
