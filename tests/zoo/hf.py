"""The healthy zoo of Hugging Face families: one row a family, tiny, from a configuration, without the network.

The weights are those that the library itself draws. Dropout keeps each family's default; what skips whole layers
or masks inputs at random (layer drop, drop path, masks in time) is off: each parameter is used in each forward pass.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo.row import Row

VOCABULARY = 100
SHAPE = (4, 12)

Sample = Callable[[torch.Generator], dict[str, Tensor]]

# The names that most configurations share.
TEXT: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA = {**TEXT, "num_key_value_heads": 2}
SEQ2SEQ: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
VISION: dict[str, Any] = {
    "image_size": 16,
    "patch_size": 4,
    "num_channels": 3,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}


def ids(generator: torch.Generator) -> dict[str, Tensor]:
    """Random tokens, without the special ones."""
    return {"input_ids": torch.randint(4, VOCABULARY, SHAPE, generator=generator)}


def ids_both(generator: torch.Generator) -> dict[str, Tensor]:
    """Tokens for an encoder and a decoder."""
    return {**ids(generator), "decoder_input_ids": ids(generator)["input_ids"]}


def ids_segments(generator: torch.Generator) -> dict[str, Tensor]:
    """Tokens of two segments."""
    segment = (torch.arange(SHAPE[1]) >= SHAPE[1] // 2).long().expand(SHAPE)
    return {**ids(generator), "token_type_ids": segment}


def ids_global(generator: torch.Generator) -> dict[str, Tensor]:
    """Tokens, of which the first attends everywhere."""
    first = torch.zeros(SHAPE, dtype=torch.long)
    first[:, 0] = 1
    return {**ids(generator), "global_attention_mask": first}


def pixels(size: int) -> Sample:
    """Images of unit variance."""
    return lambda generator: {"pixel_values": torch.randn(SHAPE[0], 3, size, size, generator=generator)}


def ids_pixels(generator: torch.Generator) -> dict[str, Tensor]:
    """Texts with images."""
    return {**ids(generator), **pixels(16)(generator)}


def wave(generator: torch.Generator) -> dict[str, Tensor]:
    """Sound of unit variance."""
    return {"input_values": torch.randn(SHAPE[0], 400, generator=generator)}


def spectrum(generator: torch.Generator) -> dict[str, Tensor]:
    """Spectrograms for an encoder, tokens for a decoder."""
    features = torch.randn(SHAPE[0], 16, 40, generator=generator)
    return {"input_features": features, "decoder_input_ids": ids(generator)["input_ids"]}


@dataclass(frozen=True, slots=True)
class Family:
    """One family: a model class of transformers, and the options of the configuration that the class itself names."""

    name: str
    model: str
    sample: Sample
    options: dict[str, Any]
    unused: tuple[str, ...] = ()

    def row(self, *, suffix: str = "", **more: Any) -> Row:
        """Its row, with more options."""

        def make() -> nn.Module:
            # Here and not at the top: importing transformers takes seconds, and most test runs do not need it.
            cls = getattr(importlib.import_module("transformers"), self.model)
            return cls(cls.config_class(**{**self.options, **more})).train()

        tags = frozenset({"hf", self.name})
        return Row(f"hf_{self.name}{suffix}", make, self.sample, tags=tags, unused=self.unused)


_ENDS = {"bos_token_id": 1, "eos_token_id": 2}
_GPT2 = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, **_ENDS}
_T5 = {"vocab_size": VOCABULARY, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
_CLIP: dict[str, Any] = {
    "text_config": TEXT,
    "vision_config": VISION,
    "projection_dim": 16,
}
_DISTILBERT: dict[str, Any] = {"vocab_size": VOCABULARY, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
_XLNET: dict[str, Any] = {"vocab_size": VOCABULARY, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}
_FUNNEL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "block_sizes": [1, 1],
    "n_head": 4,
    "d_head": 8,
    "d_inner": 64,
}
_GPT_NEO: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_layers": 2,
    "num_heads": 4,
    "attention_types": [[["global", "local"], 1]],
    "window_size": 8,
    "max_position_embeddings": 64,
    **_ENDS,
}
_MAMBA: dict[str, Any] = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}
_RWKV: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "attention_hidden_size": 32,
    "use_cache": False,
}
_SWIN: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 4,
    "embed_dim": 16,
    "depths": [1, 1],
    "num_heads": [2, 4],
    "window_size": 4,
    "drop_path_rate": 0.0,
}
_RESNET: dict[str, Any] = {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1], "layer_type": "basic"}
_WAV2VEC2: dict[str, Any] = {
    **TEXT,
    "conv_dim": [16, 16],
    "conv_kernel": [10, 4],
    "conv_stride": [5, 4],
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "layerdrop": 0.0,
    "mask_time_prob": 0.0,
}
_WHISPER: dict[str, Any] = {**SEQ2SEQ, "num_mel_bins": 16, "max_source_positions": 20, "max_target_positions": 64}
_BLOOM: dict[str, Any] = {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4}
_CONVNEXT: dict[str, Any] = {"hidden_sizes": [16, 32], "depths": [1, 2], "num_stages": 2}

FAMILIES: tuple[Family, ...] = (
    Family("bert", "BertModel", ids_segments, TEXT),
    Family("roberta", "RobertaModel", ids, {**TEXT, "type_vocab_size": 1}),
    Family("distilbert", "DistilBertModel", ids, _DISTILBERT),
    Family("albert", "AlbertModel", ids_segments, {**TEXT, "embedding_size": 16}),
    Family("electra", "ElectraModel", ids_segments, {**TEXT, "embedding_size": 16}),
    Family("deberta_v2", "DebertaV2Model", ids, {**TEXT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
    Family("mpnet", "MPNetModel", ids, TEXT),
    Family("longformer", "LongformerModel", ids_global, {**TEXT, "attention_window": 4}),
    Family("xlnet", "XLNetModel", ids_segments, _XLNET, unused=("mask_emb",)),
    Family("funnel", "FunnelModel", ids, _FUNNEL),
    Family("modernbert", "ModernBertModel", ids, {**TEXT, "cls_token_id": 1, "sep_token_id": 2}),
    Family("gpt2", "GPT2LMHeadModel", ids, _GPT2),
    Family("gpt_neo", "GPTNeoForCausalLM", ids, _GPT_NEO),
    Family("gptj", "GPTJForCausalLM", ids, {**_GPT2, "rotary_dim": 4}),
    Family("gpt_neox", "GPTNeoXForCausalLM", ids, TEXT),
    Family("opt", "OPTForCausalLM", ids, {**TEXT, "ffn_dim": 64, "word_embed_proj_dim": 32}),
    Family("bloom", "BloomForCausalLM", ids, _BLOOM),
    Family("llama", "LlamaForCausalLM", ids, LLAMA),
    Family("mistral", "MistralForCausalLM", ids, LLAMA),
    Family("mixtral", "MixtralForCausalLM", ids, {**LLAMA, "num_local_experts": 4}),
    Family("qwen2", "Qwen2ForCausalLM", ids, LLAMA),
    Family("qwen3", "Qwen3ForCausalLM", ids, {**LLAMA, "head_dim": 8}),
    Family("gemma", "GemmaForCausalLM", ids, {**LLAMA, "head_dim": 8}),
    Family("gemma2", "Gemma2ForCausalLM", ids, {**LLAMA, "head_dim": 8}),
    Family("phi", "PhiForCausalLM", ids, TEXT),
    Family("phi3", "Phi3ForCausalLM", ids, LLAMA),
    Family("falcon", "FalconForCausalLM", ids, {**TEXT, "ffn_hidden_size": 64}),
    Family("olmo", "OlmoForCausalLM", ids, LLAMA),
    Family("stablelm", "StableLmForCausalLM", ids, LLAMA),
    Family("cohere", "CohereForCausalLM", ids, LLAMA),
    Family("mamba", "MambaForCausalLM", ids, _MAMBA),
    Family("rwkv", "RwkvForCausalLM", ids, _RWKV),
    Family("t5", "T5ForConditionalGeneration", ids_both, _T5),
    Family("bart", "BartForConditionalGeneration", ids_both, SEQ2SEQ),
    Family("mbart", "MBartForConditionalGeneration", ids_both, SEQ2SEQ),
    Family("marian", "MarianMTModel", ids_both, SEQ2SEQ),
    Family("pegasus", "PegasusForConditionalGeneration", ids_both, SEQ2SEQ),
    Family("vit", "ViTModel", pixels(16), VISION),
    Family("deit", "DeiTModel", pixels(16), VISION),
    Family("beit", "BeitModel", pixels(16), {**VISION, "drop_path_rate": 0.0}),
    Family("dinov2", "Dinov2Model", pixels(16), VISION, unused=("embeddings.mask_token",)),
    Family("swin", "SwinModel", pixels(32), _SWIN),
    Family("convnext", "ConvNextModel", pixels(32), _CONVNEXT),
    Family("resnet", "ResNetModel", pixels(32), _RESNET),
    Family("clip", "CLIPModel", ids_pixels, _CLIP),
    Family("wav2vec2", "Wav2Vec2Model", wave, _WAV2VEC2),
    Family("whisper", "WhisperForConditionalGeneration", spectrum, _WHISPER),
)

# These draw by fan-in, or have a factor in place of a std: their gain does not depend on the width.
UNSCALED = frozenset({"funnel", "mamba", "rwkv", "t5", "resnet", "clip"})
# As the library draws them at this width.
HF = tuple(family.row() for family in FAMILIES)
# With the gain of the real width: the default std of 0.02 is meant for 768 inputs, 0.02 * sqrt(768 / 32) = 0.1.
HF_SCALED = tuple(
    f.row(suffix="_scaled", initializer_range=0.1, init_std=0.1) for f in FAMILIES if f.name not in UNSCALED
)
