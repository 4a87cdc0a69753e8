"""Small configurations of transformers models: the same modules and the same code, few numbers.

Who writes a parameter does not depend on its size, so an audit needs no seven billion parameters. Sizes are known by
the names that configurations give them. Where a class does not build with the smallest ones, milder ones are tried.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from penstock.cli.huggingface import configured, described, maker
from penstock.cli.targets import Target
from penstock.cli.usercode import user_code
from penstock.errors import ModelError, message

MAX_SIZE = 50_000_000
"""Parameters of the largest model that is still made: 200 MB, some seconds."""

VOCABULARY = 128
LAYERS, WIDTH, HEADS, KV_HEADS, HEAD_WIDTH, INNER = 2, 32, 4, 2, 8, 64

# Pattern of an attribute's name -> its small value, or a function of its own one. The first that fits counts.
Rule = int | Callable[[Any], Any]


def _list(smallest: int) -> Callable[[Any], Any]:
    """Numbers of a list in proportion, the smallest of them `smallest`."""

    def shrink(values: Any) -> Any:
        if isinstance(values, (list, tuple)) and values and all(type(v) is int and v > 0 for v in values):
            low = min(values)
            return type(values)(max(smallest * v // low, 1) for v in values)
        return values

    return shrink


def _ones(values: Any) -> Any:
    """A depth for each stage: one."""
    if isinstance(values, (list, tuple)) and all(type(v) is int for v in values):
        return type(values)(min(v, 1) for v in values)
    return min(values, LAYERS) if type(values) is int else values


def _once(value: Any) -> Any:
    """Kinds of layers with how often they repeat, as of GPT-Neo: once."""
    repeats = isinstance(value, list) and all(isinstance(v, list) and len(v) == 2 for v in value)
    return [[kinds, 1] for kinds, _ in value] if repeats else value


_DEPTHS: dict[str, Rule] = {
    r"(num_|n_)?(hidden_|encoder_|decoder_|transformer_|text_|vision_|audio_|block_)*layers?|layers_count|depth|"
    r"(num|n)_(layers?|blocks|hidden_layers)|\w+_(num_layers|num_hidden_layers|n_layers?|depth)|"
    r"num_\w*_(layers|blocks)|(encoder|decoder)_(num_)?(hidden_)?layers": LAYERS,
    r"depths|num_blocks|layers|layer_depths|block_sizes": _ones,
    r"attention_types": _once,
    r"(num_|n_)?(local_|routed_)?experts|num_local_experts|n_routed_experts|moe_num_experts|num_experts": 4,
    r"num_experts_per_tok|num_experts_per_token|moe_k|moe_topk|top_k_experts": 2,
    r"n_shared_experts|moe_num_shared_experts|num_shared_experts": 1,
    r"vocab_size|\w*vocab(ulary)?_size|num_embeddings|codebook_size|padded_vocab_size": VOCABULARY,
}
_WIDTHS: dict[str, Rule] = {
    r"(num|n)_(key_value|kv)_heads?|num_key_value_heads|multi_query_group_num|\w+_num_key_value_heads": KV_HEADS,
    r"(num_|n_)?(attention_|attn_|encoder_|decoder_)*heads?|n_head|(encoder|decoder)_attention_heads|"
    r"(encoder|decoder)_num_attention_heads|num_\w*heads": HEADS,
    r"head_dim|d_kv|d_head|attention_head_dim|head_size|kv_channels|dim_head|\w+_head_dim": HEAD_WIDTH,
    r"hidden_sizes|embed_dims|encoder_hidden_sizes|neck_hidden_sizes|conv_dim|channels|stage_channels": _list(16),
    r"num_heads|num_attention_heads|n_heads": _list(2),
    r"hidden_size|d_model|n_embd|dim|embed_dim|embedding_size|width|hidden_dim|model_dim|d_embed|emb_dim|"
    r"(encoder|decoder|text|vision|audio|cross|enc_to_dec|encoder_|decoder_)+_?(hidden_size|hidden_dim|embed_dim|dim)|"
    r"word_embed_proj_dim|hidden_width|attention_hidden_size|projection_dim|proj_dim|\w+_hidden_size|"
    r"\w+_embed_dim": WIDTH,
    r"intermediate_size|d_ff|d_inner|ffn_dim|n_inner|ffn_hidden_size|mlp_dim|inner_dim|dim_feedforward|"
    r"(encoder|decoder)_ffn_dim|\w+_intermediate_size|\w+_ffn_dim|ffn_hidden_dim|dim_ff|\w*mlp_hidden_dim": INNER,
    # heads * head_dim must be expand * hidden_size, and is with these numbers.
    r"expand|mamba_expand": 1,
    r"mamba_(n|num)_heads": HEADS,
    r"mamba_d_head|mamba_headdim|mamba_head_dim": HEAD_WIDTH,
    r"max_position_embeddings|n_positions|max_sequence_length|n_ctx|seq_length": 64,
}
# From the smallest to the mildest.
LADDER: tuple[Mapping[str, Rule], ...] = ({**_DEPTHS, **_WIDTHS}, _DEPTHS, {})


def small_values(config: Any, rules: Mapping[str, Rule]) -> dict[str, Any]:
    """The values to overwrite in a configuration, those of its parts in dictionaries.

    Args:
        config: an instance with the values to shrink.
        rules: patterns of names and what to do with these values.
    """
    found: dict[str, Any] = {}
    parts = set(getattr(config, "sub_configs", None) or {})
    for name, value in vars(config).items():
        if name.startswith("_") or "feat_extract" in name:
            continue
        if name in parts and hasattr(value, "to_dict"):
            found[name] = {"model_type": value.model_type, **small_values(value, rules)}
        else:
            small = _small(name, value, rules)
            if small != value:
                found[name] = small
    return found


def _small(name: str, value: Any, rules: Mapping[str, Rule]) -> Any:
    if rules and re.fullmatch(r"\w*token_(id|index|idx)|\w+_token", name) and type(value) is int:
        return value % VOCABULARY
    for pattern, rule in rules.items():
        if re.fullmatch(pattern, name):
            if callable(rule):
                return rule(value)
            if type(value) is int and value > 0:
                return min(value, rule)
            if isinstance(value, (list, tuple)):
                continue
            return value
    return value


def smaller(settings: Mapping[str, Any], kept: Mapping[str, Any]) -> Iterator[Any]:
    """Configurations from the smallest to the one described; those that cannot be made are left out.

    Args:
        settings: all values, `model_type` among them.
        kept: those of them that stay as they are.

    Yields:
        One configuration a rung of `LADDER`.
    """
    own = configured(settings)
    for rules in LADDER:
        small = small_values(own, rules) if rules else {}
        try:
            yield configured({**settings, **small, **kept})
        except Exception:  # the class's own check of what fits together: a milder rung may pass
            continue


def small_factory(target: Target) -> tuple[Callable[[], Any], int]:
    """A function that makes a small model of a target, and the number of its parameters.

    Args:
        target: of transformers; values that it gives by name stay as they are: hf:bert(num_hidden_layers=1).

    Raises:
        MissingFrameworkError, ArgumentError: see `penstock.cli.huggingface.build`.
        ModelError: if no configuration makes a model, or none a model of at most `MAX_SIZE` parameters.
    """
    from penstock.torch.audit.blank import size_on_meta

    settings = described(target)
    told = "no smaller configuration could be made"
    with user_code(f"TARGET: making {target.text}"):
        make = maker(settings)
        for config in smaller(settings, target.arguments):
            try:
                size = size_on_meta(partial(make, config))
            except Exception as error:  # what one rung breaks, a milder one may not
                told = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
                continue
            if size <= MAX_SIZE:
                return partial(make, config), size
            told = f"the smallest has {size:,} parameters, more than {MAX_SIZE:,}"
    raise ModelError(
        message(f"TARGET: {target.text} could not be made small: {told}.", hint="--full-size builds it as it is")
    )
