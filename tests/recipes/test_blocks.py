from __future__ import annotations

import numpy as np
import pytest
from recipes.table import BLOCKS, GEOMETRIES

from penstock.errors import ArgumentError, ShapeError
from penstock.geometry import Geometry
from penstock.randomness import key_for
from penstock.recipes import Blocks, Constant, Normal, Orthogonal, PerBlock, VarianceScaling

QKV = GEOMETRIES["qkv"]


def test_each_block_is_its_recipe_drawn_alone():
    weight = BLOCKS.draw(QKV, 7)
    begin = 0
    for index, size in enumerate(QKV.blocks):
        alone = BLOCKS.parts[index].draw(QKV.block(index), key_for(7, "block", str(index)))
        np.testing.assert_array_equal(weight[begin : begin + size], alone)
        begin += size


def test_each_block_has_its_own_fan_out():
    rule = Blocks((VarianceScaling(1.0, "fan_out"),) * 3)
    expected = np.sqrt((32 * (1 / 32) + 8 * (1 / 8) + 8 * (1 / 8)) / 48)
    np.testing.assert_allclose(rule.std(QKV), expected)


def test_equal_recipes_do_not_give_equal_blocks():
    geometry = Geometry((24, 8), in_axes=(1,), out_axes=(0,), blocks=(8, 8, 8))
    first, second, third = np.split(Blocks((Normal(1.0),) * 3).draw(geometry, 0), 3)
    assert not np.isin(first, second).any()
    assert not np.isin(first, third).any()


def test_blocks_lie_on_the_first_output_axis():
    geometry = Geometry((5, 12), in_axes=(0,), out_axes=(1,), blocks=(4, 8))
    weight = Blocks((Constant(1.0), Constant(2.0))).draw(geometry, 0)
    np.testing.assert_array_equal(weight, np.broadcast_to([1.0] * 4 + [2.0] * 8, (5, 12)))


def test_moments_include_the_differences_between_blocks():
    geometry = Geometry((12, 5), in_axes=(1,), out_axes=(0,), blocks=(4, 8))
    rule = Blocks((Constant(1.0), Constant(4.0)))
    values = rule.draw(geometry, 0)
    np.testing.assert_allclose(rule.moments(geometry), (values.mean(), values.std()), rtol=1e-6)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((Orthogonal(),) * 3, "3 x orthogonal(gain=1)"),
        ((Orthogonal(), Orthogonal(), Constant(0.0)), "blocks(2 x orthogonal(gain=1), zeros)"),
        ((Constant(1.0), Constant(0.0), Constant(1.0)), "blocks(ones, zeros, ones)"),
        ((Constant(1.0),), "blocks(ones)"),
    ],
)
def test_describe_counts_equal_neighbours(parts, text):
    assert Blocks(parts).describe() == text


def test_parts_must_be_recipes_and_as_many_as_blocks():
    with pytest.raises(ArgumentError, match="Blocks: parts must be one or more recipes; got"):
        Blocks(())
    with pytest.raises(ArgumentError, match="Blocks: parts must be one or more recipes; got"):
        Blocks((1.0, 2.0))
    with pytest.raises(ShapeError, match="one block for each of the 2 parts"):
        Blocks((Orthogonal(), Orthogonal())).draw(QKV, 0)


def test_the_forget_gate_alone_gets_a_one():
    bias = PerBlock((0.0, 1.0, 0.0, 0.0), (3, 3, 3, 3)).draw(Geometry((12,)), 0)
    np.testing.assert_array_equal(bias, [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])


def test_per_block_fills_the_other_axes_alike():
    values = PerBlock((1.0, 2.0), (1, 2)).draw(Geometry((3, 2)), 0, window=(slice(1, 3), slice(0, 2)))
    np.testing.assert_array_equal(values, [[2.0, 2.0], [2.0, 2.0]])


@pytest.mark.parametrize(("values", "sizes"), [((), ()), ((1.0,), (1, 2)), ((1.0,), (-1,)), ((1.0,), (1.5,))])
def test_values_and_sizes_must_go_together(values, sizes):
    with pytest.raises(ArgumentError, match="PerBlock: values and sizes must be as many"):
        PerBlock(values, sizes)


def test_sizes_must_add_up_to_the_bias():
    with pytest.raises(ShapeError, match="sizes must add up to the first axis"):
        PerBlock((0.0, 1.0), (3, 3)).draw(Geometry((7,)), 0)
