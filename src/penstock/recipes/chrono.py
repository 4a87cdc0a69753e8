"""Chrono: gate biases for memories of all lengths up to the longest that a task needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from penstock.errors import ArgumentError, message
from penstock.recipes.gates import GateBias
from penstock.recipes.log_of_uniform import LogOfUniform
from penstock.recipes.recipe import finite


@final
@dataclass(frozen=True, slots=True)
class Chrono(GateBias):
    r"""Forget bias log(u), u uniform on (1, T - 1), and input bias -log(u).

    A gate of bias b keeps sigmoid(b) of the memory a step, so its memory lasts exp(b) + 1 = u + 1 steps: uniform up to
    T. Set it on one bias only: PyTorch and cuDNN add an input and a hidden one.

    Attributes:
        max_steps: T, the longest dependence in the data, in steps. > 2.
        gates: how many blocks the bias has.
        remember: the block whose large values keep the memory: 1 for LSTMs of PyTorch (i, f, g, o) and Keras (i, f, c,
            o); 1 for PyTorch's GRU (r, z, n), with gates=3 and write=None.
        write: the block that gets the negative; None where one gate does both.
        gain: multiplies the values.

    Examples:
        >>> from penstock.geometry import Geometry
        >>> bias = Chrono(100.0).draw(Geometry((4 * 256,)), 7)
        >>> bool((bias[:256] == -bias[256:512]).all()), float(abs(bias[512:]).max())
        (True, 0.0)
    """

    max_steps: float
    gates: int = 4
    remember: int = 1
    write: int | None = 0
    gain: float = 1.0

    name: ClassVar[str] = "chrono"
    formula: ClassVar[str] = "b_forget = log u, u ~ U(1, T - 1); b_input = -b_forget; other biases 0"
    when: ClassVar[str] = "LSTM and GRU biases where dependences reach back T steps"
    source: ClassVar[str] = "Tallec & Ollivier 2018, eq. 16, arXiv:1804.11188"

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_steps", finite("Chrono", "max_steps", self.max_steps))
        if self.max_steps <= 2.0:
            fact = f"Chrono: max_steps must be more than 2 steps; got {self.max_steps}."
            raise ArgumentError(message(fact, because="memories are spread between 1 and max_steps - 1"))
        self._check()

    def law(self, hidden: int) -> LogOfUniform:
        """Log of U(1, T - 1)."""
        return LogOfUniform(1.0, self.max_steps - 1.0, self.gain)

    def describe(self) -> str:
        """E.g. "chrono(max_steps=100)"."""
        return f"chrono(max_steps={self.max_steps:.4g}{'' if self.gain == 1.0 else f', gain={self.gain:.4g}'})"
