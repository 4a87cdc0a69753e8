"""Correct weights on real data: one forward pass in execution order, each layer measured and mended as it runs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from penstock.planning.correcting import FACTOR_RANGE
from penstock.planning.plan import Calibration, Plan
from penstock.planning.rounding import rounded, rounded_each, rounded_to, step_of
from penstock.torch.measure.batch import arguments, call, check_model, eager, named_tensors, unwrapped
from penstock.torch.measure.guard import untouched
from penstock.torch.trace.tracer import Tracer
from penstock.tracing.recording import Step

Factors = dict[str, float]


def calibrate(model: nn.Module, plan: Plan, batch: Any) -> tuple[Factors, tuple[str, ...]]:
    """Scale each planned weight so that its layer's output has the planned RMS, and centre its units where planned.

    The pass goes on with the corrected signal, so that every layer is measured behind corrected ones. In place;
    buffers, training flags and the global random state stay as they were.

    Args:
        model: with the plan applied.
        plan: says which layers, and what they shall have.
        batch: the data.

    Returns:
        Factor by which each weight was scaled, and sentences about layers that could not be corrected.
    """
    check_model(model, "initialize")
    args, kwargs = arguments(batch)
    worker = _Worker(model, plan)
    with untouched(model), torch.inference_mode(False), torch.no_grad(), eager():
        tracer = Tracer(model, intervene=worker)
        for name, tensor in named_tensors(args, kwargs):
            tracer.add_input(name, tensor)
        with tracer.active():
            call(unwrapped(model), args, kwargs)
    return worker.factors, tuple(worker.notes)


class _Worker:
    """Corrects each planned layer when its output is made, the first time."""

    def __init__(self, model: nn.Module, plan: Plan) -> None:
        self.factors: Factors = {}
        self.notes: list[str] = []
        self._parameters = dict(model.named_parameters())
        fixed = _spectral(model)
        self._todo = {e.name: e.calibration for e in plan.entries if e.calibration is not None and e.name not in fixed}
        self._units = {e.name: e.geometry.out_axes[0] for e in plan.entries if e.geometry.out_axes}

    def __call__(self, step: Step, number: int, tensor: torch.Tensor) -> None:
        name = step.parameters[0] if step.parameters else ""
        wanted = self._todo.get(name)
        if step.kind != "contraction" or wanted is None or tensor.numel() == 0:
            return
        if wanted.bias is not None and wanted.bias not in step.parameters:
            return  # the bias is added by an operation of its own, which comes next
        del self._todo[name]
        axis = step.unit_axis if step.unit_axis is not None else tensor.dim() - 1
        self._correct(name, wanted, tensor, axis)

    def _correct(self, name: str, wanted: Calibration, tensor: torch.Tensor, axis: int) -> None:
        """Tensor = W x + b becomes factor (W x) + new b, with the wanted RMS around the wanted mean."""
        shape = [1] * tensor.dim()
        shape[axis] = -1
        bias = self._parameters[wanted.bias] if wanted.bias is not None else None
        if bias is not None and bias.numel() != tensor.shape[axis]:
            bias = None  # only a slice of it was added here (one gate's), and it is drawn zero
        product = tensor.float() - (bias.float().reshape(shape) if bias is not None else 0.0)
        others = [a for a in range(tensor.dim()) if a != axis]
        mean = product.mean(dim=others, keepdim=True) if wanted.centre is not None else torch.zeros(())
        if wanted.per_unit:
            ratio = self._equalise(name, wanted, product - mean, axis)
            product, mean = product * ratio, mean * ratio
        rms = float(torch.linalg.vector_norm(product - mean)) / math.sqrt(product.numel())
        factor = rounded(wanted.target / rms) if rms > 0.0 else math.inf
        if not FACTOR_RANGE[0] < factor < FACTOR_RANGE[1]:
            self.notes.append(
                f"{name}: left as drawn; its output has RMS {rms:.3g} where {wanted.target:.3g} was planned, "
                "which is too far to be mended by scaling."
            )
            return
        self._parameters[wanted.knob].mul_(factor)
        self.factors[name] = factor
        if wanted.centre is not None and bias is not None:
            centred = rounded_to(
                (wanted.centre - mean * factor).reshape(bias.shape).cpu().numpy(), step_of(wanted.target)
            )
            bias.copy_(torch.from_numpy(centred))
        corrected = product * factor + (bias.float().reshape(shape) if bias is not None else 0.0)
        tensor.copy_(corrected)

    def _equalise(self, name: str, wanted: Calibration, product: torch.Tensor, axis: int) -> torch.Tensor:
        """Scale each unit's weights so that all units have the layer's RMS; returns their factors."""
        weight, along = self._parameters[wanted.knob], self._units.get(name)
        units = product.shape[axis]
        if along is None or weight.shape[along] != units:
            return torch.ones((), dtype=product.dtype)
        others = [a for a in range(product.dim()) if a != axis]
        rms = product.square().mean(dim=others).sqrt()
        overall = rms.square().mean().sqrt()
        ratio = torch.where(rms > 0.0, overall / rms, torch.ones_like(rms))
        ratio = torch.from_numpy(rounded_each(ratio.cpu().numpy())).to(ratio)
        weight.mul_(ratio.reshape([-1 if a == along else 1 for a in range(weight.dim())]).to(weight.dtype))
        return ratio.reshape([-1 if a == axis else 1 for a in range(product.dim())])


def _spectral(model: nn.Module) -> frozenset[str]:
    """Weights behind a spectral norm: it divides every scale out again, so there is nothing to correct."""
    names: set[str] = set()
    for path, module in model.named_modules():
        for hook in module._forward_pre_hooks.values():
            if type(hook).__name__ == "SpectralNorm":
                names.add(f"{path}.{getattr(hook, 'name', 'weight')}_orig".lstrip("."))
        if type(module).__name__ == "_SpectralNorm":
            names.add(f"{path.rpartition('.')[0]}.original".lstrip("."))
    return frozenset(names)
