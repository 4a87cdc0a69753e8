"""From a jaxpr to a flat program: jit, remat, scan, cond and custom derivatives are looked through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend import core

from penstock.jax.trace.program import Call, Op, Program, Reference, run

SCAN_OPS = 20_000
"""A stack of layers with more operations than this is not unrolled: it is one operation."""

RECURRENT_STEPS = 8
"""Of a longer loop whose steps share their weights so many steps are looked into; the rest is one operation."""

# Parameter that holds the inner function, of primitives that only wrap one.
_WRAPPERS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}
_OWN_DERIVATIVE = frozenset({"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"})


def flatten(closed: Any, inputs: Sequence[Any], *, parameters: int = 0) -> Program:
    """Flatten a closed jaxpr.

    Args:
        closed: what `jax.make_jaxpr` returns.
        inputs: values of its inputs: the branch that a `cond` takes can depend on them.
        parameters: how many of them, from the first, are parameters.
    """
    program = Program()
    program.inputs = tuple(program.new(v.aval) for v in closed.jaxpr.invars)
    flat = _Flattener(program, dict(zip(program.inputs, inputs, strict=True)), parameters)
    program.outputs = flat.inline(closed.jaxpr, flat.constants(closed.jaxpr.constvars, closed.consts), program.inputs)
    return program


class _Flattener:
    def __init__(self, program: Program, inputs: dict[int, Any], parameters: int) -> None:
        self.program = program
        self._inputs = inputs
        self._parameters = frozenset(program.inputs[:parameters])

    def constants(self, variables: Sequence[Any], values: Sequence[Any]) -> tuple[int, ...]:
        numbers = tuple(self.program.new(v.aval) for v in variables)
        self.program.constants.update(zip(numbers, values, strict=True))
        return numbers

    def inline(self, jaxpr: Any, consts: Sequence[Reference], args: Sequence[Reference]) -> tuple[Reference, ...]:
        """Add a jaxpr's operations; returns what it returns."""
        env: dict[Any, Reference] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

        def read(atom: Any) -> Reference:
            return atom if isinstance(atom, core.Literal) else env[atom]

        for eqn in jaxpr.eqns:
            inputs = tuple(read(v) for v in eqn.invars)
            env.update(zip(eqn.outvars, self._equation(eqn, inputs), strict=True))
        return tuple(read(v) for v in jaxpr.outvars)

    def _equation(self, eqn: Any, inputs: tuple[Reference, ...]) -> Sequence[Reference]:
        name = eqn.primitive.name
        if name in _WRAPPERS and _WRAPPERS[name] in eqn.params:
            return self._wrapped(eqn, inputs, name)
        if name == "scan" and self._unrolled(eqn, inputs) <= SCAN_OPS:
            return self._scan(eqn, inputs)
        if name == "cond":
            return self._cond(eqn, inputs)
        return self._op_of(eqn, inputs)

    def _op(self, eqn: Any, inputs: tuple[Reference, ...]) -> Op:
        outputs = tuple(self.program.new(v.aval) for v in eqn.outvars)
        return Op(eqn.primitive.name, inputs, outputs, _binder(eqn), eqn.params)

    def _made(self, name: str, inputs: tuple[Reference, ...], function: Callable[..., Any], **params: Any) -> int:
        """Add an operation of our own, with one result."""
        out = self.program.new(jax.eval_shape(function, *(self._like(i) for i in inputs)))
        self.program.ops.append(Op(name, inputs, (out,), lambda *values: [function(*values)], params))
        return out

    def _wrapped(self, eqn: Any, inputs: tuple[Reference, ...], name: str) -> tuple[Reference, ...]:
        jaxpr, consts = eqn.params[_WRAPPERS[name]], ()
        if hasattr(jaxpr, "jaxpr"):
            jaxpr, consts = jaxpr.jaxpr, self.constants(jaxpr.jaxpr.constvars, jaxpr.consts)
        if name not in _OWN_DERIVATIVE:
            return self.inline(jaxpr, consts, inputs)
        begin, op = len(self.program.ops), self._op(eqn, inputs)
        call = Call(op, ())
        self.program.calls.setdefault(begin, []).append(call)
        call.results, call.stop = self.inline(jaxpr, consts, inputs), len(self.program.ops)
        own = {out for each in self.program.ops[begin : call.stop] for out in each.outputs}
        if any(not isinstance(r, int) or r not in own for r in call.results):
            call.stop = begin  # it hands an input through: its values have no names of their own
        return call.results

    def _scan(self, eqn: Any, inputs: tuple[Reference, ...]) -> Sequence[Reference]:
        """Each step's operations one after the other; what is scanned over is cut into slices."""
        p = eqn.params
        body = p["jaxpr"]
        fixed, carry = inputs[: p["num_consts"]], inputs[p["num_consts"] : p["num_consts"] + p["num_carry"]]
        scanned = inputs[p["num_consts"] + p["num_carry"] :]
        if p["length"] == 0:
            return self._op_of(eqn, inputs)
        consts = self.constants(body.jaxpr.constvars, body.consts)
        rows: dict[int, tuple[Reference, ...]] = {}
        order = list(reversed(range(p["length"]))) if p["reverse"] else list(range(p["length"]))
        seen = order if any(self._is_weight(x) for x in scanned) else order[:RECURRENT_STEPS]
        for step in seen:
            slices = tuple(self._slice(x, step) for x in scanned)
            results = self.inline(body.jaxpr, consts, (*fixed, *carry, *slices))
            carry, rows[step] = results[: p["num_carry"]], results[p["num_carry"] :]
        count = len(eqn.outvars) - p["num_carry"]
        stacked = [self._stack(tuple(rows[i][k] for i in sorted(seen))) for k in range(count)]
        if len(seen) == len(order):
            return [*carry, *stacked]
        rest = self._rest(eqn, (*fixed, *carry, *scanned), len(seen))
        both = zip(stacked, rest[p["num_carry"] :], strict=True)
        joined = [self._joined((later, first) if p["reverse"] else (first, later)) for first, later in both]
        return [*rest[: p["num_carry"]], *joined]

    def _unrolled(self, eqn: Any, inputs: tuple[Reference, ...]) -> int:
        """Number of operations of the steps that would be looked into."""
        p = eqn.params
        layers = any(self._is_weight(x) for x in inputs[p["num_consts"] + p["num_carry"] :])
        steps = p["length"] if layers else min(p["length"], RECURRENT_STEPS)
        return steps * _count(p["jaxpr"].jaxpr)

    def _rest(self, eqn: Any, inputs: tuple[Reference, ...], seen: int) -> tuple[int, ...]:
        """The steps of a loop behind the first ones, as one operation."""
        p = eqn.params
        fixed, first, body = p["num_consts"], p["num_consts"] + p["num_carry"], core.jaxpr_as_fun(p["jaxpr"])
        left = slice(0, p["length"] - seen) if p["reverse"] else slice(seen, None)

        def call(*args: Any) -> list[Any]:
            def step(carry: tuple[Any, ...], xs: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
                made = body(*args[:fixed], *carry, *xs)
                return tuple(made[: p["num_carry"]]), tuple(made[p["num_carry"] :])

            xs = tuple(x[left] for x in args[first:])
            carry, ys = jax.lax.scan(step, tuple(args[fixed:first]), xs, p["length"] - seen, reverse=p["reverse"])
            return [*carry, *ys]

        shapes = jax.eval_shape(call, *(self._like(i) for i in inputs))
        outputs = tuple(self.program.new(shape) for shape in shapes)
        self.program.ops.append(Op("scan_rest", inputs, outputs, call, {}))
        return outputs

    def _is_weight(self, reference: Reference) -> bool:
        """Whether a value is made of parameters alone."""
        if not isinstance(reference, int):
            return False
        read = {i for op in self.program.needed([reference]) for i in op.inputs if isinstance(i, int)} | {reference}
        return bool(leaves := read & set(self.program.inputs)) and leaves <= self._parameters

    def _joined(self, parts: tuple[Reference, ...]) -> Reference:
        return self._made("scan_stack", parts, lambda *values: jax.numpy.concatenate(values))

    def _like(self, reference: Reference) -> Any:
        if not isinstance(reference, int):
            return reference.val
        aval = self.program.avals[reference]
        return jax.ShapeDtypeStruct(aval.shape, aval.dtype)

    def _op_of(self, eqn: Any, inputs: tuple[Reference, ...]) -> tuple[int, ...]:
        op = self._op(eqn, inputs)
        self.program.ops.append(op)
        return op.outputs

    def _slice(self, x: Reference, step: int) -> int:
        return self._made("scan_slice", (x,), lambda v: jax.lax.index_in_dim(v, step, 0, keepdims=False), index=step)

    def _stack(self, parts: tuple[Reference, ...]) -> Reference:
        return self._made("scan_stack", parts, lambda *values: jax.numpy.stack(values)) if parts else parts

    def _cond(self, eqn: Any, inputs: tuple[Reference, ...]) -> tuple[Reference, ...]:
        """The branch that is taken."""
        branches = eqn.params["branches"]
        self.program.branched = True
        chosen = branches[max(0, min(int(self.value_of(inputs[0])), len(branches) - 1))]
        consts = self.constants(chosen.jaxpr.constvars, chosen.consts)
        return self.inline(chosen.jaxpr, consts, inputs[1:])

    def value_of(self, reference: Reference) -> Any:
        """What a value is on this batch, by running what it depends on."""
        return value_of(self.program, self._inputs, reference)


def value_of(program: Program, inputs: dict[int, Any], reference: Reference) -> Any:
    """What a value is, by running what it depends on, and no more."""
    if not isinstance(reference, int):
        return reference.val
    part = Program(program.needed([reference]), {}, program.avals, program.inputs, program.constants, (reference,))
    return run(part, inputs)[0]


def _binder(eqn: Any) -> Callable[..., Sequence[Any]]:
    def call(*args: Any) -> Sequence[Any]:
        if eqn.primitive.name == "while":  # it has no reverse derivative
            args = tuple(jax.lax.stop_gradient(a) for a in args)
        given = eqn.primitive.get_bind_params(eqn.params)
        # Before JAX 0.8 functions among the parameters came apart from the others.
        functions, given = given if isinstance(given, tuple) else ((), given)
        made = eqn.primitive.bind(*functions, *args, **given)
        return made if eqn.primitive.multiple_results else [made]

    return call


def _count(jaxpr: Any) -> int:
    return sum(1 + sum(_count(inner) for inner in core.jaxprs_in_params(eqn.params)) for eqn in jaxpr.eqns)
