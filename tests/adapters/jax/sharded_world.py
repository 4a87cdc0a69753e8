"""Eight virtual devices: `XLA_FLAGS=--xla_force_host_platform_device_count=8 python sharded_world.py`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from penstock import jax as pjax
from penstock.geometry import Geometry
from penstock.planning.plan import Entry, Plan
from penstock.randomness import key_for
from penstock.recipes import Constant, Normal, Orthogonal, Recipe, Sparse, TruncatedNormal, Uniform, VarianceScaling

SHAPES = {
    "embed": jax.ShapeDtypeStruct((64, 24), jnp.bfloat16),
    "dense": {"kernel": jax.ShapeDtypeStruct((24, 40), jnp.float32), "bias": jax.ShapeDtypeStruct((40,), jnp.float32)},
    "experts": [jax.ShapeDtypeStruct((8, 16, 8), jnp.float32), jax.ShapeDtypeStruct((16, 8), jnp.float16)],
    "square": jax.ShapeDtypeStruct((16, 16), jnp.float32),
    "sparse": jax.ShapeDtypeStruct((16, 32), jnp.float32),
}
RULES: dict[str, Recipe | pjax.Initializer] = {
    "embed": Normal(0.02),
    "*.kernel": VarianceScaling(1.0, "fan_in", "truncated_normal"),
    "*.bias": Constant(0.5),
    "experts.0": pjax.initializer(VarianceScaling(1.0, "fan_out", "uniform"), batch_axis=0),
    "experts.1": TruncatedNormal(0.02),
    "square": Orthogonal(1.0),
    "sparse": Sparse(3),
}
SEED = 5


def bits(tree) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def main() -> None:
    devices = jax.devices()
    assert len(devices) == 8
    alone = bits(pjax.materialize(SHAPES, None, RULES, SEED))
    drawn = Normal(0.02).draw(Geometry((64, 24)), key_for(SEED, "embed")).astype(jnp.bfloat16)
    assert drawn.tobytes() in alone, "the bits of every other door"
    for count in (1, 2, 4, 8):
        for shape, axes in (((count,), ("x",)), ((count // 2, 2), ("x", "y")))[: 1 + (count > 1)]:
            mesh = jax.sharding.Mesh(np.array(devices[:count]).reshape(shape), axes)

            def spec(leaf, mesh=mesh, axes=axes):
                """The last axis over the first mesh axis, the first one over the second, where they divide."""
                last = axes[0] if leaf.shape[-1] % mesh.shape[axes[0]] == 0 else None
                first = axes[1] if len(axes) > 1 and len(leaf.shape) > 1 else None
                return NamedSharding(
                    mesh, PartitionSpec(*[first, *[None] * (len(leaf.shape) - 2), last][-len(leaf.shape) :])
                )

            shardings = jax.tree.map(spec, SHAPES)
            made = pjax.materialize(SHAPES, shardings, RULES, SEED)
            assert bits(made) == alone, f"{count} devices"
            held = {tuple(s.data.shape) for s in made["dense"]["kernel"].addressable_shards}
            assert held == {shardings["dense"]["kernel"].shard_shape((24, 40))}
            compiled = jax.jit(lambda s=shardings: pjax.materialize(SHAPES, s, RULES, SEED), out_shardings=shardings)()
            assert bits(compiled) == alone, f"{count} devices, compiled"
    plan = Plan("tree", (Entry("w", (64, 8), Uniform(0.1), "", "", Geometry((64, 8))),))
    tree = {"w": jax.ShapeDtypeStruct((64, 8), jnp.float32)}
    rows = NamedSharding(jax.sharding.Mesh(np.array(devices), ("x",)), PartitionSpec("x"))
    assert bits(pjax.materialize(tree, rows, plan, 1)) == bits(pjax.materialize(tree, None, plan, 1))
    assert bits(pjax.materialize(tree, rows, plan, 1)) != bits(pjax.materialize(tree, rows, plan, 2)), "control"
    print("all equal")


main()
