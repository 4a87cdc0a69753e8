"""The named plans: one row each. `recipe="gpt2"` and its like are looked up here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from penstock.conventions import Convention
from penstock.planning.named import models
from penstock.planning.named.blocks import BlockFacts
from penstock.planning.named.frameworks import framework_rule
from penstock.planning.named.schemes import Depth, Law, Make, SchemeRule
from penstock.planning.named.single import single_rule
from penstock.planning.site import Rule
from penstock.planning.structure import Structure
from penstock.recipes import (
    Normal,
    Recipe,
    SemiOrthogonal,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    switch_transformer,
)
from penstock.recipes import schemes as s

_KRAHENBUHL = "Krähenbühl: normal, each unit of variance 1 and mean 0 on data"

RuleOf = Callable[[Structure], Rule]


@dataclass(frozen=True, slots=True)
class NamedPlan:
    """A published way to start a whole model.

    Attributes:
        name: what `recipe=` takes.
        draws: what it draws, in short.
        source: where it was published.
        rule: from the graph to the rule that is asked for each parameter.
        aliases: other names.
        needs: what the method wants of the model or the optimiser that no weights can give; becomes a note of the plan.
    """

    name: str
    draws: str
    source: str
    rule: RuleOf
    aliases: tuple[str, ...] = ()
    needs: str = ""


def _framework(convention: Convention, draws: str, source: str, *aliases: str) -> NamedPlan:
    return NamedPlan(convention, draws, source, _constant(framework_rule(convention)), aliases)


def _constant(rule: Rule) -> RuleOf:
    def rule_of(structure: Structure) -> Rule:
        return rule

    return rule_of


def _single(name: str, recipe: Recipe, draws: str, source: str, *aliases: str) -> NamedPlan:
    return NamedPlan(name, draws, source, _constant(single_rule(recipe, f"{name}: {draws}")), aliases)


@dataclass(frozen=True, slots=True)
class SchemeOf:
    """From a graph to the rule of a scheme: how it is made, drawn and counted."""

    cls: type[s.Scheme]
    make: Make
    law: Law = "normal"
    depth: Depth = "layers"
    gate_is_end: bool = False

    def __call__(self, structure: Structure) -> Rule:
        """The rule for one graph."""
        facts = BlockFacts(structure)
        return SchemeRule(facts, self.make, law=self.law, depth=self.depth, gate_is_end=self.gate_is_end)


def _scheme(name: str, rule: SchemeOf, *aliases: str, needs: str = "") -> NamedPlan:
    return NamedPlan(name, rule.cls.formula, rule.cls.source, rule, aliases, needs)


def _plain(cls: type[s.Scheme], *, law: Law = "normal", depth: Depth = "layers", gate_is_end: bool = False) -> SchemeOf:
    def make(facts: BlockFacts, decoder: bool) -> s.Scheme:
        return cls()

    return SchemeOf(cls, make, law, depth, gate_is_end)


def of_scheme(scheme: s.Scheme) -> NamedPlan:
    """The plan of a scheme with parameters of the user's own, drawn and counted as the named one of its kind."""
    rules = (row.rule for row in ROWS if isinstance(row.rule, SchemeOf) and row.rule.cls is type(scheme))
    usual = next(rules, _plain(type(scheme)))

    def make(facts: BlockFacts, decoder: bool) -> s.Scheme:
        return scheme

    rule = replace(usual, make=make)
    return NamedPlan(scheme.name, scheme.formula, scheme.source, rule)


def _deep_norm(facts: BlockFacts, decoder: bool) -> s.Scheme:
    encoder, other = max(facts.layers(decoder=False), 1), facts.layers(decoder=True)
    return s.DeepNorm(encoder=encoder, decoder=other, part="decoder" if decoder else "encoder")


def _gpt2(facts: BlockFacts, decoder: bool) -> s.Scheme:
    sums, layers = facts.sums(decoder=decoder), max(facts.layers(decoder=decoder), 1)
    return s.GPT2(sums_per_layer=max(round(sums / layers), 1))


def _sub_ln(facts: BlockFacts, decoder: bool) -> s.Scheme:
    encoder, other = max(facts.layers(decoder=False), 1), facts.layers(decoder=True)
    return s.SubLN(encoder=encoder, decoder=other, part="decoder" if decoder else "encoder")


def _t_fixup(facts: BlockFacts, decoder: bool) -> s.Scheme:
    return s.TFixup("decoder" if decoder else "encoder")


_RATES = "learning rates of its own, which `plan.param_groups` has"
_BASE = f"{_RATES}: by name the model is its own base; `MuP(width_multiplier=4.0)` is four times as wide as its base"
_DEEP = f"{_RATES}: by name the model is its own base; `CompleteP(width_multiplier=4.0, depth_multiplier=2.0)` is not"

ROWS: tuple[NamedPlan, ...] = (
    _framework("torch", "U(+-1/sqrt(fan_in)), biases too; embeddings N(0, 1)", "torch/nn/modules", "pytorch"),
    _framework("keras", "Glorot uniform; recurrences orthogonal; forget bias 1", "keras/src/layers", "tensorflow"),
    _framework("flax", "LeCun normal, truncated; recurrences orthogonal", "flax/linen", "jax"),
    _framework("haiku", "truncated normal, 0.88/sqrt(fan_in) after its cut", "haiku/_src"),
    _single("he", he_normal(), "N(0, 2/fan_in)", "He et al. 2015, arXiv:1502.01852", "kaiming", "he_normal"),
    _single("he_uniform", he_uniform(), "U(+-sqrt(6/fan_in))", "He et al. 2015, arXiv:1502.01852", "kaiming_uniform"),
    _single("xavier", glorot_uniform(), "U(+-sqrt(6/(fan_in+fan_out)))", "Glorot & Bengio 2010", "glorot"),
    _single("xavier_normal", glorot_normal(), "N(0, 2/(fan_in+fan_out))", "Glorot & Bengio 2010", "glorot_normal"),
    _single("lecun", lecun_normal(), "N(0, 1/fan_in)", "LeCun et al. 1998", "lecun_normal"),
    _single("lecun_uniform", lecun_uniform(), "U(+-sqrt(3/fan_in))", "LeCun et al. 1998"),
    _single("orthogonal", SemiOrthogonal(1.0), "random orthogonal matrices", "Saxe et al. 2014, arXiv:1312.6120"),
    _single("switch", switch_transformer(), "truncated, variance 0.1/fan_in", "Fedus et al. 2021, arXiv:2101.03961"),
    NamedPlan(
        "exact", "1/sqrt(fan_in E[phi^2]), the exact gain of each function", "as recipe='auto'", models.exact_rule
    ),
    NamedPlan(
        "lsuv",
        "orthogonal, then each output scaled to RMS 1 on the batch",
        "Mishkin & Matas 2016, arXiv:1511.06422",
        _constant(single_rule(SemiOrthogonal(1.0), "LSUV: orthogonal, output of RMS 1 on data", target=1.0)),
    ),
    NamedPlan(
        "krahenbuhl",
        "normal, then each unit scaled to variance 1 and centred on the batch",
        "Krähenbühl et al. 2016, arXiv:1511.06856, section 3.1",
        _constant(single_rule(Normal(0.01), _KRAHENBUHL, target=1.0, centre=0.0, per_unit=True)),
        ("data_dependent",),
        "the second half of the method, equal rates of change in all layers (section 3.2), is not done",
    ),
    _scheme("gpt2", SchemeOf(s.GPT2, _gpt2), "megatron"),
    _scheme("llama", _plain(s.Llama, gate_is_end=True)),
    NamedPlan("bert", "normal of std 0.02 cut at 0.04", "Devlin et al. 2018, arXiv:1810.04805", models.bert_rule),
    NamedPlan(
        "vit",
        "Glorot uniform, patches LeCun, head 0, MLP biases N(0, 1e-12)",
        "Dosovitskiy et al. 2020, arXiv:2010.11929",
        models.vit_rule,
        ("vit_jax",),
    ),
    NamedPlan("vit_timm", "std 0.02, class token 1e-6", "timm, vision_transformer.py", models.vit_timm_rule),
    NamedPlan(
        "t5", "1/sqrt(fan_in), queries over sqrt(d_kv) too", "Raffel et al. 2020, arXiv:1910.10683", models.t5_rule
    ),
    NamedPlan(
        "dit", "Glorot uniform, modulations and last layer 0", "Peebles & Xie 2022, arXiv:2212.09748", models.dit_rule
    ),
    NamedPlan("mamba", "A_log = log 1..N, D = 1, time steps log-uniform", "arXiv:2312.00752", models.mamba_rule),
    NamedPlan(
        "resnet", "He by fan_out, last norm of a branch 0", "arXiv:1502.01852; arXiv:1706.02677", models.resnet_rule
    ),
    NamedPlan(
        "efficientnet", "N(0, 2/fan_out), head uniform", "timm, after TensorFlow's code", models.efficientnet_rule
    ),
    NamedPlan(
        "dcgan", "std 0.02, norm scales N(1, 0.02^2)", "Radford et al. 2015, arXiv:1511.06434", models.dcgan_rule
    ),
    NamedPlan("ppo", "orthogonal, sqrt(2) inside, policy 0.01, value 1", "CleanRL, ppo.py", models.ppo_rule),
    _scheme("fixup", _plain(s.Fixup, depth="sums"), needs="a scalar bias before each weight and function"),
    _scheme("skipinit", _plain(s.SkipInit, depth="sums"), "skip_init", needs="a multiplier that learns on each branch"),
    _scheme("rezero", _plain(s.ReZero, depth="sums"), "re_zero", needs="a multiplier that learns on each branch"),
    _scheme("layerscale", _plain(s.LayerScale), "layer_scale", needs="multipliers that learn on each branch"),
    _scheme("stable_resnet", _plain(s.StableResNet, depth="sums"), needs="a factor 1/sqrt(L) on each branch"),
    _scheme(
        "deepnorm",
        SchemeOf(s.DeepNorm, _deep_norm),
        "deep_norm",
        needs="alpha x + f(x) in front of each norm, alpha = (2 N)^(1/4) for N layers of one part",
    ),
    _scheme("sub_ln", SchemeOf(s.SubLN, _sub_ln), "magneto", needs="a second norm inside each branch"),
    _scheme("t_fixup", SchemeOf(s.TFixup, _t_fixup, law="uniform"), needs="a transformer without norms"),
    _scheme("ds_init", _plain(s.DSInit, law="uniform")),
    _scheme("mup", _plain(s.MuP), needs=f"attention q k / head_dim; weight decay of hidden weights times m; {_BASE}"),
    _scheme(
        "completep",
        _plain(s.CompleteP),
        "complete_p",
        needs=f"attention q k / head_dim; weight decay and epsilon; {_DEEP}",
    ),
    _scheme("unit_mup", _plain(s.UnitMuP), "u_mup", needs=f"multipliers in front of each layer; {_RATES}"),
    _scheme("ntk", _plain(s.NTK), needs="1/sqrt(fan_in) in front of each layer"),
    _scheme("spectral", _plain(s.SpectralCondition), "spectral_condition", needs=f"{_RATES}, absolute ones"),
)
"""Every named plan, one row each."""

NAMED: Mapping[str, NamedPlan] = MappingProxyType({name: row for row in ROWS for name in (row.name, *row.aliases)})
"""By every name."""
