"""Fans of declared axes, and the table that shows them."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import ArgumentError, ShapeError
from penstock.fan_table import Declared, fans_of_shape, fans_table
from penstock.geometry import Geometry


def test_axes_in_any_order() -> None:
    torch_like = fans_of_shape((8, 5, 3, 3), in_axes=1, out_axes=0, window_axes=(2, 3))
    keras_like = fans_of_shape((3, 3, 5, 8), in_axes=-2, out_axes=-1, window_axes=(0, 1))
    assert (torch_like.fan_in, torch_like.fan_out) == (45.0, 72.0)
    assert (keras_like.fan_in, keras_like.fan_out) == (45.0, 72.0)


def test_experts_groups_strides_and_lookups() -> None:
    assert fans_of_shape((4, 16, 32), in_axes=1, out_axes=2, batch_axes=0).fan_out == 32.0
    assert fans_of_shape((4, 2, 8, 6), in_axes=(1, 2), out_axes=3, batch_axes=0).fan_in == 16.0
    assert fans_of_shape((4, 1, 3, 3), in_axes=1, out_axes=0, window_axes=(2, 3), groups=4).fan_out == 9.0
    assert (
        fans_of_shape((6, 2, 4), in_axes=0, out_axes=1, window_axes=2, groups=2, stride=2, transposed=True).fan_in
        == 6.0
    )
    assert fans_of_shape((100, 7), in_axes=0, out_axes=1, lookup=True).fan_in == 1.0


@pytest.mark.parametrize(
    ("shape", "arguments", "text"),
    [
        ((4, 3, 2), {"in_axes": 1, "out_axes": 0}, "axis 2 of shape .* is not"),
        ((4, 3), {"in_axes": 2, "out_axes": 0}, r"in_axes must lie in -2\.\.1; got 2"),
        ((4, 3), {"in_axes": 0, "out_axes": 0, "batch_axes": 1}, "must be named once"),
        ((4, 3), {"in_axes": (), "out_axes": 0, "batch_axes": 1}, "needs an input and an output axis"),
        ((4, 3), {"in_axes": 1, "out_axes": 0, "groups": 3}, "groups must divide"),
        ((4, 3), {"in_axes": 1, "out_axes": 0, "groups": 0}, "must be at least 1"),
    ],
)
def test_axes_that_do_not_fit(shape: tuple[int, ...], arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ShapeError, match=text):
        fans_of_shape(shape, **arguments)


def test_the_table() -> None:
    table = fans_table(
        {
            "weight": Declared(
                Geometry((6, 4), in_axes=(1,), out_axes=(0,), blocks=(3, 3), block_names=("k", "v")), "weight"
            ),
            "bias": Declared(Geometry((6,), out_axes=(0,)), "bias"),
        }
    )
    geometry, fans, role = table["weight"]
    assert (geometry.shape, role) == ((6, 4), "weight")
    assert fans is not None
    assert (fans.fan_in, fans.fan_out) == (4.0, 3.0)
    assert list(table) == ["weight", "bias"]
    assert table["bias"].fans is None
    assert str(table).splitlines() == [
        "parameter  shape  role    fan_in  fan_out  notes",
        "weight     6x4    weight       4        3  blocks k, v",
        "bias       6      bias         -        -",
    ]
    with pytest.raises(KeyError, match="nothing"):
        table["nothing"]


def test_one_weight_or_none() -> None:
    linear = Declared(Geometry((6, 4), in_axes=(1,), out_axes=(0,)), "weight")
    with pytest.raises(ArgumentError, match=r"exactly one weight; this has 2: a, b\."):
        _ = fans_table({"a": linear, "b": linear}).fan_in
    with pytest.raises(ArgumentError, match=r"exactly one weight; this has 0\."):
        _ = fans_table({}).fan_out
