"""From a graph function to a flat program: calls, branches and loops are looked through, by running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from penstock.keras.tensorflow.gradients import Backward, backward_caller, has_own_gradient
from penstock.keras.tensorflow.lists import LISTS, Items, Part, Reference, numbers_of, plain
from penstock.keras.tensorflow.program import Op, Program, perform
from penstock.keras.tensorflow.raw import Caller, attributes_of, caller_of

RECURRENT_STEPS = 8
"""Of a longer loop so many steps are looked into; the rest is one operation."""

_SAME = frozenset({"Identity", "StopGradient", "PreventGradient"})


class Flattener:
    """Runs a graph's operations one by one, and writes down those that are no call, branch or loop.

    Attributes:
        program: what was written down.
        known: the value of each number.
    """

    def __init__(self) -> None:
        self.program = Program()
        self.known: dict[int, Any] = {}
        self._callers: dict[int, tuple[Caller, Mapping[str, Any]]] = {}
        self._backwards: dict[int, Backward] = {}

    def flatten(self, graph: Any, values: Sequence[Any]) -> tuple[Program, dict[int, Any]]:
        """Flatten a graph function.

        Args:
            graph: with its inputs, and outputs that are tensors.
            values: of its inputs, without what it has closed over.

        Returns:
            The program, and each of its values.
        """
        outer = [self.constant(tensor) for tensor, _ in graph.captures]
        inputs = [self._value(value) for value in values]
        self.program.inputs = tuple(inputs)
        outputs = self.inline(graph, [*inputs, *outer])
        self.program.outputs = tuple(number for number in outputs if isinstance(number, int))
        return self.program, self.known

    def inline(self, graph: Any, args: Sequence[Reference]) -> list[Reference]:
        """Add a graph's operations; returns what it returns."""
        env: dict[str, Reference] = {t.name: arg for t, arg in zip(graph.inputs, args, strict=True)}
        self._add(list(graph.get_operations()), env)
        return [env[t.name] for t in graph.outputs]

    def _add(self, ops: Sequence[Any], env: dict[str, Reference]) -> None:
        """Add operations; what they make goes by its name in the graph."""
        for op in ops:
            # What makes nothing is an assertion, a print or an assignment: a check leaves the model as it is.
            if not op.outputs or op.type == "Placeholder":
                continue
            if has_own_gradient(op):
                results: Sequence[Reference] = self._with_own_gradient(op, env)
            else:
                results = self._operation(op, [env[t.name] for t in op.inputs])
            env.update(zip((t.name for t in op.outputs), results, strict=True))

    def emit(
        self, name: str, inputs: Sequence[int], call: Callable[..., Sequence[Any]], params: Mapping[str, Any]
    ) -> list[int]:
        """Run an operation and write it down; returns the numbers of what it makes."""
        results = call(*(self.known[number] for number in inputs))
        outputs = [self._value(value) for value in results]
        self.program.ops.append(Op(name, tuple(inputs), tuple(outputs), call, params))
        return outputs

    def number_at(self, reference: Reference) -> int:
        """The integer that a value is."""
        return int(self.known[plain(reference)].numpy())

    def element(self, part: int | Part) -> int:
        """Number of an element of a list; one of a whole tensor is cut out of it."""
        if isinstance(part, int):
            return part
        row = part.row
        return self.emit("loop_slice", [part.whole], lambda x: [x[row]], {})[0]

    def _value(self, value: Any) -> int:
        number = self.program.new(value)
        self.known[number] = value
        return number

    def constant(self, value: Any) -> int:
        """Number of a value that does not depend on the inputs."""
        number = self._value(value)
        self.program.constants[number] = value
        return number

    def _operation(self, op: Any, inputs: list[Reference]) -> Sequence[Reference]:
        looked_through = _CONTROL.get(op.type)
        if looked_through is not None:
            return looked_through(self, op, inputs)
        if op.type in LISTS:
            return [LISTS[op.type](self, op, inputs)]
        if any(isinstance(each, Items) for each in inputs) and op.type in _SAME:
            return inputs
        # In a loop the same operation comes again and again.
        if id(op) not in self._callers:
            params = attributes_of(op)
            self._callers[id(op)] = caller_of(op, params, len(self.program.avals)), params
        return self.emit(op.type, [plain(each) for each in inputs], *self._callers[id(op)])

    def _with_own_gradient(self, op: Any, env: dict[str, Reference]) -> list[int]:
        """The end of a `tf.custom_gradient`, whose backward operations run where its gradient is asked for."""
        if id(op) not in self._backwards:
            self._backwards[id(op)] = Backward.of(op)
        backward = self._backwards[id(op)]
        inputs = [plain(env[t.name]) for t in op.inputs]
        slopes = [self.constant(tf.zeros_like(self.known[number])) for number in inputs]
        inside = {**env, **{t.name: number for t, number in zip(backward.slopes, slopes, strict=True)}}
        kept, self.program.ops = self.program.ops, []
        try:
            self._add(backward.ops, inside)
            inner = self.program.ops
        finally:
            self.program.ops = kept
        results = [None if t is None else plain(inside[t.name]) for t in backward.results]
        made = {number for each in inner for number in each.outputs}
        read = dict.fromkeys(n for n in (*(n for each in inner for n in each.inputs), *results) if n is not None)
        free = [number for number in read if number not in made and number not in slopes]
        call = backward_caller(inner, inputs=inputs, free=free, slopes=slopes, results=results)
        return self.emit("IdentityN", [*inputs, *free], call, {"own_gradient": True})

    def _const(self, op: Any, inputs: list[Reference]) -> list[Reference]:
        return [self.constant(tf.constant(tf.make_ndarray(op.get_attr("value"))))]

    def _call(self, op: Any, inputs: list[Reference]) -> list[Reference]:
        return self.inline(_function(op, op.get_attr("f").name), inputs)

    def _branch(self, op: Any, inputs: list[Reference]) -> list[Reference]:
        """The branch that is taken."""
        self.program.branched = True
        which = self.known[plain(inputs[0])].numpy()
        if op.type in ("If", "StatelessIf"):
            name = op.get_attr("then_branch" if bool(np.any(which)) else "else_branch").name
        else:
            branches = op.get_attr("branches")
            name = branches[int(which) if 0 <= int(which) < len(branches) else -1].name
        return self.inline(_function(op, name), inputs[1:])

    def _loop(self, op: Any, inputs: list[Reference]) -> list[Reference]:
        """Each step's operations one after the other; those behind the first ones as one operation."""
        self.program.branched = True
        test, body = (_function(op, op.get_attr(part).name) for part in ("cond", "body"))
        state, steps = list(inputs), 0
        while steps < RECURRENT_STEPS and self._goes_on(test, state):
            state, steps = self.inline(body, state), steps + 1
        if steps < RECURRENT_STEPS or not self._goes_on(test, state):
            return state
        return self._rest(test, body, state)

    def _goes_on(self, test: Any, state: list[Reference]) -> bool:
        """Whether a loop takes another step. What the test computes depends on counters, and is not written down."""
        kept, self.program.ops = self.program.ops, []
        try:
            (more,) = self.inline(test, state)
        finally:
            self.program.ops = kept
        return bool(np.all(self.known[plain(more)].numpy()))

    def _rest(self, test: Any, body: Any, state: list[Reference]) -> list[Reference]:
        """All further steps of a loop, in an operation of their own."""
        first, kept = len(self.program.avals), self.program.ops
        inner: list[Op] = []
        self.program.ops = inner
        try:
            while self._goes_on(test, state):
                state = self.inline(body, state)
            state = [self._gathered(each, first) if isinstance(each, Items) else each for each in state]
        finally:
            self.program.ops = kept
        inside = {number for op in inner for number in op.outputs}
        inputs = tuple(dict.fromkeys(n for op in inner for n in op.inputs if n not in inside))
        outputs = tuple(n for n in dict.fromkeys(n for each in state for n in numbers_of(each)) if n in inside)

        def call(*values: Any) -> list[Any]:
            known = dict(zip(inputs, values, strict=True))
            perform(inner, known)
            return [known[number] for number in outputs]

        kept.append(Op("loop_rest", inputs, outputs, call, {}))
        return state

    def _gathered(self, items: Items, first: int) -> Items:
        """The list with its elements that were made from number `first` on as parts of one tensor."""
        new = [each for each in items.elements if isinstance(each, int) and each >= first]
        if not new:
            return items
        (whole,) = self.emit("loop_stack", new, lambda *x: [tf.stack(x)], {})
        rows = iter(range(len(new)))
        elements = (Part(whole, next(rows)) if isinstance(e, int) and e >= first else e for e in items.elements)
        return Items(tuple(elements), items.shape, items.dtype)


def _function(op: Any, name: str) -> Any:
    """The graph of a function that an operation calls; TensorFlow shows it in no public way."""
    return op.graph._get_function(name).graph


_CONTROL: dict[str, Callable[[Flattener, Any, list[Reference]], Sequence[Reference]]] = {
    "Const": Flattener._const,
    **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall"), Flattener._call),
    **dict.fromkeys(("If", "StatelessIf", "Case", "StatelessCase"), Flattener._branch),
    **dict.fromkeys(("While", "StatelessWhile"), Flattener._loop),
}
"""Operations that run others, and how they are looked through."""
