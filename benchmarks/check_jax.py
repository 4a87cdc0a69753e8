"""What a check of a JAX model costs after compilation, in units of one compiled forward and backward.

    JAX_PLATFORMS=cpu PYTHONPATH=src:tests python benchmarks/check_jax.py

Both in seconds of CPU time, the best of a few; compiling is told apart. The unit is the gradient of the same inner
product with respect to all parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from penstock.frameworks import Applied
from penstock.jax.check import measured_of
from penstock.jax.measure.batch import arguments
from penstock.jax.measure.passes import BothPasses
from penstock.jax.models import target_of
from penstock.jax.trace.tracer import trace

KEY = jax.random.key(0)


def normal(*shape: int) -> jax.Array:
    """Weights that keep the RMS."""
    return jax.random.normal(KEY, shape) * (1.0 / shape[-2]) ** 0.5


def mlp(p: Any, x: Any) -> Any:
    """Ten layers, width 1024."""
    for w in p:
        x = jax.nn.gelu(x @ w)
    return x


def cnn(p: Any, x: Any) -> Any:
    """Six 3x3 convolutions with batch norms."""
    for w in p:
        x = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu((x - x.mean((0, 1, 2))) * jax.lax.rsqrt(x.var((0, 1, 2)) + 1e-5))
    return x.mean((1, 2))


def transformer(p: Any, x: Any) -> Any:
    """Six pre-norm layers of width 384, eight heads."""
    for q in p:
        y = (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)
        a, b, c = (jnp.einsum("btd,dhk->bthk", y, w) for w in q["qkv"])
        weights = jax.nn.softmax(jnp.einsum("bthk,bshk->bhts", a, b) / a.shape[-1] ** 0.5)
        x = x + jnp.einsum("bthk,hkd->btd", jnp.einsum("bhts,bshk->bthk", weights, c), q["o"])
        x = x + jax.nn.gelu(x @ q["up"]) @ q["down"]
    return x


def layer(width: int, heads: int) -> dict[str, Any]:
    """The parameters of one layer."""
    size = width // heads
    return {
        "qkv": tuple(normal(width, heads, size) * (heads / width) ** 0.5 for _ in range(3)),
        "o": normal(heads, size, width),
        "up": normal(width, 4 * width),
        "down": normal(4 * width, width),
    }


CASES: dict[str, tuple[Callable[[Any, Any], Any], Any, jax.Array]] = {
    "mlp 10x1024, batch 256": (mlp, [normal(1024, 1024)] * 10, jax.random.normal(KEY, (256, 1024))),
    "cnn 6x64, 16x32x32": (
        cnn,
        [normal(3, 3, 3 if i == 0 else 64, 64) for i in range(6)],
        jax.random.normal(KEY, (16, 32, 32, 3)),
    ),
    "transformer 6x384, 8x128": (transformer, [layer(384, 8)] * 6, jax.random.normal(KEY, (8, 128, 384))),
}


def best(function: Callable[[], Any], times: int = 4) -> float:
    """Least CPU time of some calls."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        jax.block_until_ready(function())
        taken.append(time.process_time() - began)
    return min(taken)


def main() -> None:
    """Print the table."""
    print("| model | forward and backward | check | times | compile: unit | compile: check |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, (function, params, x) in CASES.items():
        weights = jax.random.normal(KEY, jax.eval_shape(function, params, x).shape)
        step = jax.jit(jax.grad(lambda p, x, f=function, w=weights: jnp.sum(f(p, x) * w)))
        began = time.process_time()
        jax.block_until_ready(step(params, x))
        compile_unit = time.process_time() - began
        unit = best(lambda s=step, p=params, x=x: s(p, x))
        target, batch = target_of(Applied(function, params), "check"), arguments(x)
        began = time.process_time()
        both = BothPasses(trace(target, batch), None)
        measured_of(target, batch, both, given_loss=False)
        compile_check = time.process_time() - began
        check = best(lambda t=target, b=batch, both=both: measured_of(t, b, both, given_loss=False).loss.value, 3)
        print(
            f"| {name} | {unit:.3f} s | {check:.3f} s | {check / unit:.2f} "
            f"| {compile_unit - unit:.1f} s | {compile_check - check:.1f} s |"
        )


if __name__ == "__main__":
    main()
