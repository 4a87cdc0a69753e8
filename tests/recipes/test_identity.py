from __future__ import annotations

import numpy as np
import pytest
from recipes.table import GEOMETRIES

from penstock.geometry import Geometry
from penstock.randomness import fill
from penstock.recipes import Identity

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6)])
def test_equal_to_torchs_eye(shape):
    ours = Identity().draw(Geometry(shape, in_axes=(1,), out_axes=(0,)), 0)
    np.testing.assert_array_equal(ours, torch.nn.init.eye_(torch.empty(shape)).numpy())


@pytest.mark.parametrize(
    ("shape", "groups"), [((6, 4, 3), 1), ((6, 2, 3, 5), 3), ((4, 4, 2, 4), 2), ((4, 8, 3, 3, 3), 2)]
)
def test_equal_to_torchs_dirac(shape, groups):
    window = tuple(range(2, len(shape)))
    geometry = Geometry(shape, in_axes=(1,), out_axes=(0,), window_axes=window, groups=groups)
    theirs = torch.nn.init.dirac_(torch.empty(shape), groups=groups).numpy()
    np.testing.assert_array_equal(Identity().draw(geometry, 0), theirs)


def test_a_padded_convolution_passes_its_input_on():
    geometry = Geometry((6, 2, 3, 3), in_axes=(1,), out_axes=(0,), window_axes=(2, 3), groups=3)
    inputs = torch.from_numpy(fill("normal", (2, 6, 5, 5), 1))
    weight = torch.from_numpy(Identity(2.0).draw(geometry, 0))
    outputs = torch.nn.functional.conv2d(inputs, weight, padding=1, groups=3)
    np.testing.assert_array_equal(outputs.numpy(), 2.0 * inputs.numpy())


def test_a_grouped_transposed_convolution_passes_its_input_on():
    geometry = Geometry(
        (6, 2, 3), in_axes=(0,), out_axes=(1,), window_axes=(2,), groups=3, split="out", transposed=True
    )
    inputs = torch.from_numpy(fill("normal", (2, 6, 7), 1))
    outputs = torch.nn.functional.conv_transpose1d(
        inputs, torch.from_numpy(Identity().draw(geometry, 0)), padding=1, groups=3
    )
    np.testing.assert_array_equal(outputs.numpy(), inputs.numpy())


def test_each_fused_block_and_each_expert_has_its_own():
    qkv = Identity().draw(GEOMETRIES["qkv"], 0)
    np.testing.assert_array_equal(qkv[32:40], np.eye(8, 16))
    np.testing.assert_array_equal(qkv[40:], np.eye(8, 16))
    np.testing.assert_array_equal(Identity().draw(GEOMETRIES["experts"], 0)[3], np.eye(16, 24))
