"""Run a model forward and backward once, measured: `penstock.check` for PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from penstock.checks.registry import find
from penstock.report.report import Report
from penstock.signals import Measured
from penstock.torch.measure.batch import (
    Loss,
    arguments,
    batch_size,
    call,
    check_model,
    eager,
    named_tensors,
    output_tensors,
    unwrapped,
)
from penstock.torch.measure.blocks import real_float
from penstock.torch.measure.guard import untouched
from penstock.torch.measure.loss import backward, check_loss
from penstock.torch.measure.meter import StatsMeter, rms_of
from penstock.torch.measure.parameters import measure_parameters
from penstock.torch.roles import model_roles
from penstock.torch.trace.ops import NAMES
from penstock.torch.trace.tracer import Tracer
from penstock.tracing.readings import signal_stats
from penstock.tracing.simplify import simplify


def check(model: nn.Module, batch: Any, *, loss: Loss | None = None) -> Report:
    """See `penstock.check`."""
    measured = measure(model, batch, loss=loss)
    return Report(measured, find(measured))


def measure(model: nn.Module, batch: Any, *, loss: Loss | None = None) -> Measured:
    """One forward and one backward, everything measured, the model left as it was.

    Raises:
        ArgumentError, ModelError, UnsupportedError: see `penstock.check`.
    """
    model = check_model(model, "check")
    check_loss(loss)
    args, kwargs = arguments(batch)
    size = batch_size(args, kwargs)
    meter = StatsMeter(size)
    with untouched(model) as guard, _differentiable():
        args, kwargs = usable(args, kwargs)
        tracer = Tracer(model, meter=meter, before_write=guard.before_write)
        for name, tensor in named_tensors(args, kwargs):
            tracer.add_input(name, tensor)
        with tracer.active():
            output = call(unwrapped(model), args, kwargs)
        outputs = tuple(n for t in output_tensors(output) if (n := tracer.signal(t)) is not None)
        with _gradients(model) as gradients:
            loss_stats = backward(output, loss)
        del output
    declared = model_roles(model)
    geometries = {name: d.geometry for name, d in declared.items()}
    graph, numbers = simplify(tracer.recording, tuple(dict.fromkeys(outputs)), NAMES, geometries)
    readings = meter.readings
    measured = Measured(
        model=type(unwrapped(model)).__name__,
        graph=graph,
        signals=tuple(signal_stats(graph, {i: readings[n] for i, n in enumerate(numbers) if n in readings})),
        parameters=measure_parameters(model, graph, declared, gradients),
        loss=loss_stats,
        batch_size=size,
    )
    return replace(measured, notes=tuple(_notes(model, measured)))


@contextmanager
def _differentiable() -> Iterator[None]:
    """Gradients on, whatever the caller's mode."""
    with torch.inference_mode(False), torch.enable_grad(), eager():
        yield


def usable(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Inputs made in inference mode cannot be saved for backward; those that want a gradient must not get ours."""

    def ours(item: Any) -> Any:
        if isinstance(item, torch.Tensor) and item.requires_grad:
            return item.detach().requires_grad_()
        if isinstance(item, torch.Tensor):
            return item.clone() if item.is_inference() else item
        if type(item) in (list, tuple):
            return type(item)(ours(i) for i in item)
        return {k: ours(v) for k, v in item.items()} if type(item) is dict else item

    return tuple(ours(a) for a in args), {k: ours(v) for k, v in kwargs.items()}


@contextmanager
def _gradients(model: nn.Module) -> Iterator[dict[str, float]]:
    """Within this block, each parameter's gradient is measured when it is complete, and dropped."""
    found: dict[str, float] = {}
    handles = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not parameter.is_inference():

            def arrived(p: torch.Tensor, name: str = name) -> None:
                if p.grad is not None and p.grad.layout == torch.strided:
                    found[name] = rms_of(real_float(p.grad.detach()))
                elif p.grad is not None:
                    values = real_float(p.grad.coalesce().values())
                    found[name] = rms_of(values) * math.sqrt(values.numel() / max(p.numel(), 1))
                p.grad = None

            handles.append(parameter.register_post_accumulate_grad_hook(arrived))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _notes(model: nn.Module, measured: Measured) -> Iterator[str]:
    if not measured.parameters:
        yield "The model has no parameters: only its signals were checked."
    elif not any(p.trainable for p in measured.parameters.values()):
        yield "No parameter requires a gradient: the backward signal was not measured."
    elif measured.graph.outputs and not measured.loss.given and math.isnan(measured.loss.value):
        yield "No output requires a gradient (it is detached): the backward signal was not measured."
    if measured.batch_size is not None and measured.batch_size < 2:
        yield "The batch holds one input: whether inputs stay distinguishable was not measured. Give at least two."
    if isinstance(model, nn.DataParallel):
        yield "The model inside DataParallel was run, on one device."
    if unwrapped(model) is not model and not isinstance(model, nn.DataParallel):
        yield "The model was run without torch.compile: compiled code hides its signals."
    if any("quantize" in op for op in measured.graph.unknown_ops):
        yield "Quantised layers were passed through: their integer weights are not measured."
    if not measured.graph.outputs:
        yield "No output tensor depends on the input: the backward signal was not measured."
