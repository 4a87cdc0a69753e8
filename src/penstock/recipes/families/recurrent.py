"""Recurrent cells."""

from __future__ import annotations

from penstock.recipes.arguments import count
from penstock.recipes.blocks import Blocks
from penstock.recipes.constant import Constant
from penstock.recipes.families.family import Family, entry
from penstock.recipes.identity import Identity
from penstock.recipes.normal import Normal
from penstock.recipes.orthogonal import Orthogonal
from penstock.recipes.per_block import PerBlock
from penstock.recipes.recipe import finite
from penstock.recipes.scaling import VarianceScaling


def irnn(*, scale: float = 1.0) -> Family:
    """A ReLU recurrence that starts by copying its state.

    Args:
        scale: of the identity: 1 for long memory, smaller (0.01) for tasks with short dependences.

    Examples:
        >>> irnn()["recurrent"].describe()
        'identity(gain=1)'

    Source:
        Le, Jaitly, Hinton 2015, https://arxiv.org/abs/1504.00941
    """
    return {"input": Normal(0.001), "recurrent": Identity(finite("irnn", "scale", scale)), "bias": Constant(0.0)}


def lstm(*, hidden: int, forget: float = 1.0) -> Family:
    """Glorot inputs, orthogonal recurrence for each gate, forget bias 1 (gates i, f, g, o or i, f, c, o).

    Where a cell adds two biases (PyTorch, cuDNN), give this to one and zeros to the other. Cells that add 1 to the
    forget gate themselves (Haiku, TensorFlow 1) want forget=0.

    Examples:
        >>> lstm(hidden=8)["bias"].describe()
        'per_block(0, 1, 0, 0)'

    Source:
        Jozefowicz, Zaremba, Sutskever 2015 (forget bias 1); Keras's defaults for the weights
    """
    hidden = count("lstm", "hidden", hidden)
    return {
        "input": Blocks((VarianceScaling(1.0, "fan_avg", "uniform"),) * 4),
        "recurrent": Blocks((Orthogonal(1.0),) * 4),
        "bias": PerBlock((0.0, finite("lstm", "forget", forget), 0.0, 0.0), (hidden,) * 4),
    }


ENTRIES = (
    entry(
        "irnn", "W_hh = I, W_xh ~ N(0, 0.001^2), b = 0", "ReLU recurrences", "Le, Jaitly, Hinton 2015, arXiv:1504.00941"
    ),
    entry(
        "lstm",
        "W_x Glorot and W_h orthogonal for each gate, b_forget = 1",
        "LSTM cells",
        "Jozefowicz, Zaremba, Sutskever 2015",
    ),
)
