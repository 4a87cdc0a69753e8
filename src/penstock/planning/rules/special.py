"""Parameters that follow a law of their own, which no scale of weights replaces: state-space models."""

from __future__ import annotations

from penstock.planning.site import Decision, Site

LAWS = {
    "A_log": "log of the decay rates of a state-space model",
    "A_imag": "frequencies of a state-space model",
    "log_A_real": "log of the decay rates of a state-space model",
    "dt_bias": "inverse softplus of the time steps of a state-space model",
    "log_dt": "log of the time steps of a state-space model",
    "log_step": "log of the time steps of a state-space model",
    "nu_log": "decay of a linear recurrent unit",
    "theta_log": "phase of a linear recurrent unit",
    "gamma_log": "normaliser of a linear recurrent unit",
    "time_decay": "decay of a linear attention",
    "time_first": "bonus of a linear attention's newest token",
    "a_param": "decay of a gated linear recurrence",
}
"""Names that reference code gives them, and what they hold."""

SKIPS = frozenset({"D"})
"""The skip of a state-space model, one number a channel: recognised beside a parameter of `LAWS`."""

STEPS = frozenset({"dt_proj"})
"""Projections to the time steps, whose bias holds them: drawn together, as Mamba's code does."""


def special(site: Site) -> Decision | None:
    """Kept: these set how long a memory lasts, and the model's own code draws them so; mixing tokens likewise."""
    path, _, leaf = site.name.rpartition(".")
    if leaf in LAWS:
        return Decision(None, f"kept: {LAWS[leaf]}, a law of its own")
    if leaf.startswith("time_mix") or leaf.startswith("time_maa"):
        return Decision(None, "kept: how much each channel mixes in the token before, a law of its own")
    parameters = site.structure.measured.parameters
    beside = any(f"{path}.{name}" in parameters for name in LAWS) if path else any(n in parameters for n in LAWS)
    if leaf in SKIPS and beside:
        return Decision(None, "kept: the skip of a state-space model, a law of its own")
    if path.rpartition(".")[2] in STEPS:
        return Decision(None, f"kept: {leaf} of the projection to a state-space model's time steps, a law of its own")
    return None
