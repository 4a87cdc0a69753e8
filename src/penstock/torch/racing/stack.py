"""Many arms in one tensor: the weights of all of them side by side, one forward, one backward, an optimizer each.

The forward pass is mapped over the arms, or written out where the model is a plain chain. Their losses are summed, and
since no arm's loss depends on another's weights, the gradient of the sum holds the gradient of each. An arm that
becomes NaN leaves the others as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from penstock.racing.data import Kind, call_arguments
from penstock.torch.racing.chain import chain_of
from penstock.torch.racing.objective import Loss, losses_of, score_of, score_sum
from penstock.torch.racing.weights import Tensors, Weights

Mode = Literal["error", "same", "alone"]
"""How arms are mapped: "error" no random operation is allowed · "same" each random operation (dropout) draws once, the
same for every arm · "alone" one arm without mapping, for models that cannot be mapped."""

ROWS_AT_ONCE = 256
"""Held-out rows that go through the arms at a time."""

LARGEST_KEPT = 2**25 - 2**19
"""Bytes of the largest block that glibc's allocator may learn to keep: 32 MiB, less what it adds to a block."""


class Stack:
    """Arms of equal shape that are trained together."""

    def __init__(
        self,
        models: Sequence[nn.Module],
        optimizers: Sequence[tuple[str, float]],
        *,
        loss: Loss,
        kind: Kind,
        mode: Mode,
    ) -> None:
        """Copy the weights of the models, one an arm; a model may come several times.

        Args:
            models: of equal shape; the first one lends its code.
            optimizers: name and learning rate of each arm.
            loss: from (output, targets) to a scalar.
            kind: of the targets.
            mode: how arms are mapped.
        """
        self._base, self._loss = models[0], loss
        self._kind: Kind = kind
        self._mode: Mode = mode
        parameters = [dict(model.named_parameters()) for model in models]
        trained = [name for name, p in parameters[0].items() if p.requires_grad]
        self._weights = Weights(trained, parameters, optimizers)
        fixed = [{**dict(m.named_buffers()), **{n: p for n, p in ps.items() if n not in trained}}
                 for m, ps in zip(models, parameters, strict=True)]  # fmt: skip
        self._fixed = {name: torch.stack([f[name].detach() for f in fixed]) for name in fixed[0]}
        self._chain = None if mode == "alone" else chain_of(models[0])
        keep_memory()

    def step(self, inputs: Any, targets: torch.Tensor, *, factor: float = 1.0) -> list[float]:
        """One step of every arm.

        Args:
            inputs: of the batch, the same for all.
            targets: the same.
            factor: of each arm's learning rate.

        Returns:
            Each arm's loss on the batch, before the step.
        """
        leaves = self._weights.leaves
        if self._chain is not None and _is_matrix(inputs):
            outputs, passed = self._chain.outputs(leaves, inputs)
            outputs = outputs.detach().requires_grad_()
            losses = losses_of(self._loss, outputs, targets)
            (gradient,) = torch.autograd.grad(losses.sum(), outputs)
            gradients = self._chain.gradients(leaves, passed, gradient)
        else:
            losses = self._map(lambda output: self._loss(output, targets), inputs)
            every = list(leaves.values())
            gradients = torch.autograd.grad(losses.sum(), every, allow_unused=True, materialize_grads=True)
        self._weights.step(gradients, factor=factor)
        return losses.tolist()

    def look(self, inputs: Any, targets: torch.Tensor) -> list[tuple[float, float | None]]:
        """Loss and score of every arm on held-out data, in evaluation mode."""
        modes = [(module, module.training) for module in self._base.modules()]
        self._base.eval()
        try:
            with torch.no_grad():
                return self._look(inputs, targets)
        finally:
            for module, training in modes:
                module.training = training

    def keep(self, arms: Sequence[int]) -> None:
        """Go on with these arms alone."""
        self._weights.keep(arms)
        self._fixed = {name: values[torch.tensor(arms, device=values.device)] for name, values in self._fixed.items()}

    def _look(self, inputs: Any, targets: torch.Tensor) -> list[tuple[float, float | None]]:
        rows = len(targets)
        losses = torch.zeros(len(self._weights), dtype=torch.float64)
        totals = torch.zeros(len(self._weights), dtype=torch.float64)
        for begin in range(0, rows, ROWS_AT_ONCE):
            part = slice(begin, begin + ROWS_AT_ONCE)
            some, right = _rows(inputs, part), targets[part]

            def measure(output: Any, right: torch.Tensor = right) -> torch.Tensor:
                loss = self._loss(output, right).to(torch.float64)
                none = torch.zeros_like(loss)
                return torch.stack([loss, none if self._kind == "custom" else score_sum(self._kind, output, right)])

            if self._chain is not None and _is_matrix(some):
                outputs, _ = self._chain.outputs(self._weights.leaves, some)
                found = vmap(measure, randomness=self._mode)(outputs).cpu()
            else:
                found = self._map(measure, some).cpu()
            losses += found[:, 0] * (len(right) / rows)
            totals += found[:, 1]
        if self._kind == "custom":
            return [(loss, None) for loss in losses.tolist()]
        scores = [score_of(self._kind, total, targets) for total in totals.tolist()]
        return list(zip(losses.tolist(), scores, strict=True))

    def _map(self, function: Callable[[Any], torch.Tensor], inputs: Any) -> torch.Tensor:
        """A function of the model's output, for each arm."""

        def of_weights(weights: Tensors) -> torch.Tensor:
            return function(functional_call(self._base, weights, *call_arguments(inputs)))

        weights = {**self._weights.leaves, **self._fixed}
        if self._mode == "alone":
            # A view, so that buffers which the model changes in place change here.
            return of_weights({name: values.squeeze(0) for name, values in weights.items()}).unsqueeze(0)
        with _PlainLinear():
            return vmap(of_weights, randomness=self._mode)(weights)


class _PlainLinear(TorchFunctionMode):
    """A linear layer as a product and a sum: PyTorch maps its fused form to twice as many operations."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.linear and len(args) == 3 and args[2] is not None and not kwargs:
            return functional.linear(args[0], args[1]) + args[2]
        return func(*args, **(kwargs or {}))


@cache
def keep_memory() -> None:
    """Let the allocator keep what a step frees for the next one; it changes nothing else.

    Without this, glibc gives the memory of each step back to the system, and gets it back page by page: a tenth of a
    step. It keeps blocks up to the largest that was ever freed, so one is freed here, and never touched.
    """
    torch.empty(LARGEST_KEPT, dtype=torch.uint8)


def _is_matrix(inputs: Any) -> bool:
    return isinstance(inputs, torch.Tensor) and inputs.dim() == 2


def _rows(inputs: Any, part: slice) -> Any:
    if isinstance(inputs, dict):
        return {name: values[part] for name, values in inputs.items()}
    return tuple(values[part] for values in inputs) if isinstance(inputs, tuple) else inputs[part]
