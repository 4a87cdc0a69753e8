"""Many arms in one tensor: the weights of all of them side by side, one forward, one backward, an optimizer each.

All parameters of an arm lie in one row of a matrix (one matrix a type), so that its optimizer has a single tensor to
update, and PyTorch's own fused optimizers can be used, each with its own learning rate. The forward pass is mapped over
the arms; their losses are summed, and since no arm's loss depends on another's weights, the gradient of the sum holds
the gradient of each. An arm that becomes NaN leaves the others as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from penstock.racing.data import Kind
from penstock.torch.racing.batches import call_arguments
from penstock.torch.racing.objective import Loss, score_of, score_sum

Mode = Literal["error", "same", "alone"]
"""How arms are mapped: "error" no random operation is allowed · "same" each random operation (dropout) draws once, the
same for every arm · "alone" one arm without mapping, for models that cannot be mapped."""

Tensors = dict[str, torch.Tensor]

MOMENTUM = 0.9

ROWS_AT_ONCE = 256
"""Held-out rows that go through the arms at a time."""


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
        self._blocks = [
            _Block([n for n in trained if parameters[0][n].dtype == dtype], dtype, parameters)
            for dtype in dict.fromkeys(parameters[0][n].dtype for n in trained)
        ]
        fixed = [{**dict(m.named_buffers()), **{n: p for n, p in ps.items() if n not in trained}}
                 for m, ps in zip(models, parameters, strict=True)]  # fmt: skip
        self._fixed = {name: torch.stack([f[name].detach() for f in fixed]) for name in fixed[0]}
        self.rates = [rate for _, rate in optimizers]
        self._optimizers = [
            make_optimizer(name, [block.rows[arm] for block in self._blocks])
            for arm, (name, _) in enumerate(optimizers)
        ]

    def step(self, inputs: Any, targets: torch.Tensor, *, factor: float = 1.0) -> list[float]:
        """One step of every arm.

        Args:
            inputs: of the batch, the same for all.
            targets: the same.
            factor: of each arm's learning rate.

        Returns:
            Each arm's loss on the batch, before the step.
        """
        leaves = {name: leaf for block in self._blocks for name, leaf in block.leaves.items()}
        losses = self._map(lambda weights: self._loss(self._output(weights, inputs), targets), leaves)
        gradients = torch.autograd.grad(losses.sum(), list(leaves.values()), allow_unused=True, materialize_grads=True)
        kept = iter(gradients)
        for block in self._blocks:
            block.take_gradients([next(kept) for _ in block.leaves])
        for optimizer, rate in zip(self._optimizers, self.rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()
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
        index = torch.tensor(list(arms), device=self._blocks[0].flat.device if self._blocks else None)
        for block in self._blocks:
            block.keep(arms, index)
        self._fixed = {name: values[index] for name, values in self._fixed.items()}
        self.rates = [self.rates[arm] for arm in arms]
        self._optimizers = [self._optimizers[arm] for arm in arms]

    def _look(self, inputs: Any, targets: torch.Tensor) -> list[tuple[float, float | None]]:
        leaves = {name: leaf for block in self._blocks for name, leaf in block.leaves.items()}
        rows = len(targets)
        losses = torch.zeros(len(self.rates), dtype=torch.float64)
        totals = torch.zeros(len(self.rates), dtype=torch.float64)
        for begin in range(0, rows, ROWS_AT_ONCE):
            part = slice(begin, begin + ROWS_AT_ONCE)
            some, right = _rows(inputs, part), targets[part]

            def measure(weights: Tensors, some: Any = some, right: torch.Tensor = right) -> torch.Tensor:
                output = self._output(weights, some)
                loss = self._loss(output, right).to(torch.float64)
                none = torch.zeros_like(loss)
                return torch.stack([loss, none if self._kind == "custom" else score_sum(self._kind, output, right)])

            found = self._map(measure, leaves).cpu()
            losses += found[:, 0] * (len(right) / rows)
            totals += found[:, 1]
        if self._kind == "custom":
            return [(loss, None) for loss in losses.tolist()]
        scores = [score_of(self._kind, total, targets) for total in totals.tolist()]
        return list(zip(losses.tolist(), scores, strict=True))

    def _map(self, function: Any, leaves: Tensors) -> torch.Tensor:
        weights = {**leaves, **self._fixed}
        if self._mode == "alone":
            # A view, so that buffers which the model changes in place change here.
            return function({name: values.squeeze(0) for name, values in weights.items()}).unsqueeze(0)
        with _PlainLinear():
            return vmap(function, randomness=self._mode)(weights)

    def _output(self, weights: Tensors, inputs: Any) -> Any:
        return functional_call(self._base, weights, *call_arguments(inputs))


class _Block:
    """The trained parameters of one type: a matrix with a row an arm, seen as the model's tensors."""

    def __init__(
        self, names: Sequence[str], dtype: torch.dtype, parameters: Sequence[Mapping[str, torch.Tensor]]
    ) -> None:
        self._shapes = {name: parameters[0][name].shape for name in names}
        rows = [torch.cat([p[name].detach().reshape(-1) for name in names]) for p in parameters]
        self.flat = torch.stack(rows)
        self.rows = [torch.empty(0, dtype=dtype, device=self.flat.device) for _ in rows]
        self._see()

    def keep(self, arms: Sequence[int], index: torch.Tensor) -> None:
        """Only these rows; the tensors that their optimizers hold stay the same objects."""
        self.flat = self.flat[index]
        self.rows = [self.rows[arm] for arm in arms]
        self._see()

    def take_gradients(self, gradients: Sequence[torch.Tensor]) -> None:
        for view, gradient in zip(self._gradient_views, gradients, strict=True):
            view.copy_(gradient)

    def _see(self) -> None:
        gradient = torch.zeros_like(self.flat)
        self.leaves = {name: view.requires_grad_() for name, view in self._views(self.flat).items()}
        self._gradient_views = list(self._views(gradient).values())
        for row, values, gradients in zip(self.rows, self.flat, gradient, strict=True):
            row.grad = None
            row.data = values
            row.grad = gradients

    def _views(self, matrix: torch.Tensor) -> Tensors:
        views, begin = {}, 0
        for name, shape in self._shapes.items():
            views[name] = matrix[:, begin : begin + shape.numel()].view(len(matrix), *shape).detach()
            begin += shape.numel()
        return views


class _PlainLinear(TorchFunctionMode):
    """A linear layer as a product and a sum: PyTorch maps its fused form to twice as many operations."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.linear and len(args) == 3 and args[2] is not None and not kwargs:
            return functional.linear(args[0], args[1]) + args[2]
        return func(*args, **(kwargs or {}))


def make_optimizer(name: str, rows: list[torch.Tensor]) -> torch.optim.Optimizer:
    """The optimizer of one arm: PyTorch's own, in its fused form, which works element by element."""
    fused = all(row.is_floating_point() for row in rows)
    if name == "sgd":
        return torch.optim.SGD(rows, lr=1.0, momentum=MOMENTUM, fused=fused)
    if name == "adamw":
        return torch.optim.AdamW(rows, lr=1.0, fused=fused)
    return torch.optim.Adam(rows, lr=1.0, fused=fused)


def _rows(inputs: Any, part: slice) -> Any:
    if isinstance(inputs, dict):
        return {name: values[part] for name, values in inputs.items()}
    return tuple(values[part] for values in inputs) if isinstance(inputs, tuple) else inputs[part]
