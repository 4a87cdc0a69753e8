"""The rules, in the order in which they are asked: the first that has something to say decides."""

from __future__ import annotations

from penstock.planning.rules.attention import attention_logits
from penstock.planning.rules.biases import biases, long_memory
from penstock.planning.rules.branch_norms import branch_norms
from penstock.planning.rules.contractions import contractions
from penstock.planning.rules.embeddings import embeddings
from penstock.planning.rules.heads import heads
from penstock.planning.rules.kept import kept, left_over
from penstock.planning.rules.multipliers import multipliers
from penstock.planning.rules.norms import norms
from penstock.planning.rules.recurrent import recurrent
from penstock.planning.rules.residual import residual
from penstock.planning.rules.shaped import shaped
from penstock.planning.rules.sines import sines
from penstock.planning.rules.special import special
from penstock.planning.rules.weight_norm import weight_norm
from penstock.planning.rules.zeros import zeros
from penstock.planning.site import Rule

RULES: tuple[tuple[str, Rule], ...] = (
    ("kept", kept),
    ("special", special),
    ("zeros", zeros),
    ("recurrent", recurrent),
    ("weight_norm", weight_norm),
    ("branch norms", branch_norms),
    ("norms", norms),
    ("sines", sines),
    ("long memory", long_memory),
    ("biases", biases),
    ("embeddings", embeddings),
    ("heads", heads),
    ("attention", attention_logits),
    ("residual", residual),
    ("shaped", shaped),
    ("contractions", contractions),
    ("multipliers", multipliers),
    ("left over", left_over),
)
