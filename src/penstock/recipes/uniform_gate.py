"""UniformGate: gate biases that spread the gates' activations evenly between 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from penstock.recipes.gates import GateBias
from penstock.recipes.logit_of_uniform import LogitOfUniform


@final
@dataclass(frozen=True, slots=True)
class UniformGate(GateBias):
    r"""Forget bias sigmoid^{-1}(u), u uniform on (1/H, 1 - 1/H) for H units.

    Unlike `Chrono` it needs no length: memories of all scales arise, short ones most often.

    Attributes:
        gates: how many blocks the bias has.
        remember: the block whose large values keep the memory: 1 for LSTMs of PyTorch (i, f, g, o) and Keras (i, f, c,
            o).
        write: a block that gets the negative; None for none.
        gain: multiplies the values.

    Examples:
        >>> from penstock.geometry import Geometry
        >>> bias = UniformGate().draw(Geometry((4 * 64,)), 7)
        >>> bool((abs(bias) < 4.144).all()), float(abs(bias[:64]).max())
        (True, 0.0)
    """

    gates: int = 4
    remember: int = 1
    write: int | None = None
    gain: float = 1.0

    name: ClassVar[str] = "uniform_gate"
    formula: ClassVar[str] = "b_forget = logit u, u ~ U(1/H, 1 - 1/H); other biases 0"
    when: ClassVar[str] = "LSTM biases where the length of the dependences is not known"
    source: ClassVar[str] = "Gu, Gulcehre, Paine, Hoffman, Pascanu 2020, arXiv:1910.09890"

    def __post_init__(self) -> None:
        self._check()

    def law(self, hidden: int) -> LogitOfUniform:
        """Logit of U(1/H, 1 - 1/H); 0 for fewer than two units."""
        return LogitOfUniform(1.0 / max(hidden, 2), self.gain)

    def describe(self) -> str:
        """E.g. "uniform_gate"."""
        return "uniform_gate" if self.gain == 1.0 else f"uniform_gate(gain={self.gain:.4g})"
