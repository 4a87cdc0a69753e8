"""State-space models and linear recurrences. A complex parameter is drawn as a real one with a last axis of size 2."""

from __future__ import annotations

import math

from penstock.recipes.arguments import count
from penstock.recipes.constant import Constant
from penstock.recipes.families.family import Family, entry
from penstock.recipes.hippo import Hippo
from penstock.recipes.log_index import LogIndex
from penstock.recipes.log_of_uniform import LogOfUniform
from penstock.recipes.normal import Normal
from penstock.recipes.recipe import finite
from penstock.recipes.ring import Ring
from penstock.recipes.s4d import S4D, Law
from penstock.recipes.step_size import StepSize
from penstock.recipes.uniform import Uniform

_COMPLEX = Normal(math.sqrt(0.5))
"""Real and imaginary part of a complex normal number of variance 1."""


def s4() -> Family:
    """S4 with HiPPO-LegS: A, B, P, the complex C, the skip D and the logarithm of the time step.

    Examples:
        >>> sorted(s4())
        ['A', 'B', 'C', 'D', 'P', 'log_dt']

    Source:
        Gu, Goel, Ré 2021, https://arxiv.org/abs/2111.00396
    """
    return {
        "A": Hippo("A"),
        "B": Hippo("B"),
        "P": Hippo("P"),
        "C": _COMPLEX,
        "D": Normal(1.0),
        "log_dt": StepSize(1e-3, 0.1),
    }


def s4d(*, law: Law = "lin") -> Family:
    """S4D: the diagonal's decay and frequency, B = 1, the complex C, D and the logarithm of the time step.

    Source:
        Gu, Gupta, Goel, Ré 2022, https://arxiv.org/abs/2206.11893
    """
    return {
        "log_A_real": S4D(law, "log_decay"),
        "A_imag": S4D(law, "imag"),
        "B": Constant(1.0),
        "C": _COMPLEX,
        "D": Normal(1.0),
        "log_dt": StepSize(1e-3, 0.1),
    }


def s5() -> Family:
    """S5's skip D and time steps; its eigenvalues, B and C are arrays: `penstock.recipes.from_values.s5_arrays`.

    Source:
        Smith, Warrington, Linderman 2022, https://arxiv.org/abs/2208.04933
    """
    return {"D": Normal(1.0), "log_step": StepSize(1e-3, 0.1)}


def mamba(*, dt_rank: int) -> Family:
    """Mamba's A_log, D and the projection to the time steps.

    Args:
        dt_rank: inputs of that projection.

    Source:
        Gu & Dao 2023, section 3.6, https://arxiv.org/abs/2312.00752, and its code
    """
    return {
        "A_log": LogIndex(),
        "D": Constant(1.0),
        "dt_proj.weight": Uniform(count("mamba", "dt_rank", dt_rank) ** -0.5),
        "dt_proj.bias": StepSize(1e-3, 0.1, "inverse_softplus", 1e-4),
    }


def mamba2() -> Family:
    """Mamba-2's A_log, D and bias of the time steps.

    Source:
        Dao & Gu 2024, https://arxiv.org/abs/2405.21060, and its code
    """
    return {
        "A_log": LogOfUniform(1.0, 16.0),
        "D": Constant(1.0),
        "dt_bias": StepSize(1e-3, 0.1, "inverse_softplus", 1e-4),
    }


def lru(*, features: int, state: int, inner: float = 0.0, outer: float = 1.0, max_phase: float = 2 * math.pi) -> Family:
    """The linear recurrent unit; gamma_log follows from nu_log: `penstock.recipes.from_values.lru_gamma_log`.

    Args:
        features: size of the input and output.
        state: number of complex states.
        inner: smallest magnitude of the eigenvalues.
        outer: largest magnitude of the eigenvalues.
        max_phase: largest phase, in radians.

    Source:
        Orvieto et al. 2023, https://arxiv.org/abs/2303.06349
    """
    into = Normal(1.0 / math.sqrt(2.0 * count("lru", "features", features)))
    out = Normal(1.0 / math.sqrt(count("lru", "state", state)))
    return {
        "nu_log": Ring(inner, outer, "log_log"),
        "theta_log": LogOfUniform(0.0, finite("lru", "max_phase", max_phase)),
        "B_re": into,
        "B_im": into,
        "C_re": out,
        "C_im": out,
        "D": Normal(1.0),
    }


def rg_lru(*, width: int) -> Family:
    """The gated recurrence of Griffin: the decay parameter and the gates' weights.

    Source:
        De et al. 2024, https://arxiv.org/abs/2402.19427, and the code of RecurrentGemma
    """
    return {
        "a_param": Ring(0.9, 0.999, "inverse_softplus"),
        "gate": Normal(count("rg_lru", "width", width) ** -0.5),
        "gate_bias": Constant(0.0),
    }


ENTRIES = (
    entry(
        "s4", "HiPPO-LegS A, B, P; C complex N(0, 1); log dt ~ U(log 1e-3, log 0.1)", "S4 layers", "arXiv:2111.00396"
    ),
    entry("s4d", "diagonal A, B = 1, C complex N(0, 1), log dt uniform", "diagonal S4 layers", "arXiv:2206.11893"),
    entry("s5", "D ~ N(0, 1), log step uniform; see s5_arrays", "S5 layers", "arXiv:2208.04933"),
    entry("mamba", "A_log = log 1..N, D = 1, softplus(dt_bias) log-uniform on 1e-3..0.1", "Mamba", "arXiv:2312.00752"),
    entry("mamba2", "A_log = log U(1, 16), D = 1, softplus(dt_bias) log-uniform", "Mamba-2", "arXiv:2405.21060"),
    entry("lru", "|lambda|^2 ~ U(inner^2, outer^2), phase ~ U(0, max)", "linear recurrent units", "arXiv:2303.06349"),
    entry("rg_lru", "decay^2 ~ U(0.9^2, 0.999^2), gates N(0, 1/width)", "Griffin, RecurrentGemma", "arXiv:2402.19427"),
)
