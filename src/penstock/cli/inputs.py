"""The batch that a command works on: the user's own, one drawn from a description, or one guessed from the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.cli.models import Found, is_model
from penstock.cli.targets import call, describe, load, parse_target
from penstock.cli.usercode import seed_everything
from penstock.errors import ArgumentError, message
from penstock.frameworks import Adapter
from penstock.inputs import InputSpec, draw, parse_inputs


def make_batch(found: Found, *, batch: str | None, inputs: Sequence[str], seed: int) -> tuple[Any, str | None]:
    """The batch for a model, and a sentence on where it came from if the user gave none.

    Args:
        found: the model, with the batch that its factory returned.
        batch: `module:function` or `file.py:function` that returns the batch (or names it); None for none.
        inputs: descriptions as in `penstock.inputs`; empty for none.
        seed: for the numbers of drawn inputs.

    Raises:
        ArgumentError: if both are given, one cannot be read, or nothing is given and nothing can be guessed.
    """
    made, told = given_batch(found, batch=batch, inputs=inputs, seed=seed)
    if made is None:
        raise ArgumentError(
            message(
                "--input or --batch must be given: this model's input could not be guessed from its first layer.",
                hint="--input 32,3,224,224   or   --input 'ids=i64[8,128]<50257'   or   --batch module:function",
            )
        )
    return made, told


def given_batch(found: Found, *, batch: str | None, inputs: Sequence[str], seed: int) -> tuple[Any, str | None]:
    """The same, or None where nothing is given and nothing can be guessed."""
    if batch is not None and inputs:
        raise ArgumentError("--batch and --input must not be given together: one of them is the batch.")
    if batch is not None:
        return load_batch(batch, seed=seed), None
    if inputs:
        return tensors(found.adapter, parse_inputs(inputs), seed=seed), None
    if found.batch is not None:
        return found.batch, None
    spec = found.adapter.guess_input(found.model)
    if spec is None:
        return None, None
    told = f"input guessed from the first layer: --input '{spec}'"
    return tensors(found.adapter, (spec,), seed=seed), told


def load_batch(text: str, *, seed: int = 0) -> Any:
    """What a `--batch` names: the result of a function, or a value that is there already."""
    target = parse_target(text, owner="--batch")
    if target.kind == "hf":
        raise ArgumentError(f"--batch must be module:function or file.py:function; got {text!r}.")
    value = load(target)
    if is_model(value):
        raise ArgumentError(f"--batch must be a tensor, a tuple or a dict, or a function that makes one; got {text!r}.")
    if not callable(value):
        return value
    seed_everything(seed)
    return call(target, value)


def load_loss(text: str | None) -> Any:
    """What a `--loss` names: a function from the model's output to a scalar."""
    if text is None:
        return None
    target = parse_target(text, owner="--loss")
    value = None if target.kind == "hf" else load(target)
    if not callable(value):
        raise ArgumentError(
            message(
                f"--loss must name a function from the model's output to a scalar; got {describe(value)}.",
                hint="--loss train.py:loss, for `def loss(output): return ((output - 1) ** 2).mean()`",
            )
        )
    # A name with arguments is a factory of losses, as a target is one of models.
    return call(target, value) if target.arguments else value


def tensors(adapter: Adapter, specs: Sequence[InputSpec], *, seed: int) -> Any:
    """Draw inputs for a model: one tensor, a tuple of several, or a dict where they have names."""
    values = [adapter.tensor(draw(spec, seed=seed, index=i), spec.dtype) for i, spec in enumerate(specs)]
    if specs[0].name:
        return {str(spec.name): value for spec, value in zip(specs, values, strict=True)}
    return values[0] if len(values) == 1 else tuple(values)
