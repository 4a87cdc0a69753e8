"""Families of the transformers package: what version 5.23 leaves unwritten, and what it writes as it should."""

from __future__ import annotations

import importlib
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import penstock
from penstock.cli.targets import parse_target
from penstock.cli.tiny import small_factory
from penstock.errors import ArgumentError, ModelError
from zoo.hf import FAMILIES, LLAMA, TEXT, VISION

# Depends on the version, so what is asserted is what no later version needs to keep, or what one checks by itself.
transformers = pytest.importorskip("transformers")


def build(model: str, **options: Any) -> Any:
    cls = getattr(importlib.import_module("transformers"), model)
    return cls(cls.config_class(**options))


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "t5", "mamba", "vit"])
def test_families_that_write_everything(name):
    family = next(f for f in FAMILIES if f.name == name)
    report = penstock.audit(partial(build, family.model, **family.options))
    assert report.ok, str(report)
    assert report.audited.paths == ("direct", "meta")
    assert report.audited.loads_through_meta
    assert report.audited.library == f"transformers {transformers.__version__}"


def test_residual_projections_of_gpt2_have_their_own_std():
    """0.02 / sqrt(2 * layers), which was never applied for years: huggingface/transformers#47458."""
    report = penstock.audit(partial(build, "GPT2Model", n_layer=2, n_embd=32, n_head=4, vocab_size=50))
    last = report.audited.tensors["h.0.attn.c_proj.weight"].meta.last
    assert last.std == pytest.approx(0.02 / 2)
    assert last.writer == "GPT2PreTrainedModel._init_weights"
    assert last.site.startswith("transformers/models/gpt2/modeling_gpt2.py:")


class Forgets(transformers.BertPreTrainedModel):
    """A head with a token that only its constructor writes, as in a dozen families of the library."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.bert = transformers.BertModel(config, add_pooling_layer=False)
        self.token = torch.nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.post_init()


def test_what_only_a_constructor_writes_is_an_error_there():
    built = Forgets(transformers.BertConfig(**TEXT))
    before = [p.detach().clone() for p in built.parameters()]
    report = penstock.audit(built)
    (finding,) = report.findings
    assert (finding.code, finding.severity, finding.place) == ("U101", "error", "token")
    assert "built on the meta device, and there only Forgets._init_weights writes" in finding.observation
    assert finding.hint.endswith("init.constant_(module.token, 0)")
    assert report.audited.paths == ("direct", "meta")
    assert all(torch.equal(a, b) for a, b in zip(before, built.parameters(), strict=True))


def test_that_finding_is_what_a_user_gets(tmp_path):
    """`from_pretrained` of a checkpoint without that key: PyTorch shows unwritten memory as NaN when it is asked to."""
    from safetensors.torch import load_file, save_file

    Forgets(transformers.BertConfig(**TEXT)).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    kept = {k: v for k, v in load_file(file).items() if k != "token"}
    save_file(kept, file, metadata={"format": "pt"})
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        loaded = Forgets.from_pretrained(tmp_path)
    finally:
        torch.use_deterministic_algorithms(before)
    assert torch.isnan(loaded.token).all()
    assert torch.isfinite(loaded.bert.embeddings.word_embeddings.weight).all()


def test_ties_are_opened_while_models_are_initialized_and_closed_again():
    report = penstock.audit(partial(build, "LlamaForCausalLM", **LLAMA, tie_word_embeddings=True))
    tensor = report.audited.tensors["model.embed_tokens.weight"]
    assert tensor.ties == ("lm_head.weight",)
    assert [w.asked for w in tensor.meta.writes if w.share == 1.0] == ["normal_(std=0.02)"]


def test_nothing_of_the_library_is_left_changed():
    from transformers import initialization, modeling_utils

    def parts() -> list[object]:
        names = [*vars(initialization), *vars(torch.nn.init)]
        found = [getattr(m, n, None) for m in (initialization, torch.nn.init) for n in names]
        return [
            *found,
            modeling_utils.PreTrainedModel.tie_weights,
            modeling_utils.PreTrainedModel.init_weights,
            torch.linspace,
        ]

    before = parts()
    penstock.audit(partial(build, "ViTModel", **VISION))
    assert [a is b for a, b in zip(before, parts(), strict=True)] == [True] * len(before)


def test_a_small_configuration():
    factory, size = small_factory(parse_target("hf:llama(num_hidden_layers=1)"))
    model = factory()
    assert size == sum(p.numel() for p in model.parameters()) < 100_000
    assert model.config.num_hidden_layers == 1
    assert type(model).__name__ == "LlamaModel"


def test_what_cannot_be_made_small_is_told():
    with pytest.raises(ArgumentError, match=r"knows no model type 'lama'.*\nHint: hf:llama"):
        small_factory(parse_target("hf:lama"))
    with pytest.raises(ModelError, match=r"could not be made small: .*\nHint: --full-size"):
        small_factory(parse_target("hf:bert(hidden_size=40000, vocab_size=100000)"))


def test_the_page_has_its_table():
    """At least 90 families, and those that were known before the page was made."""
    lines = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    rows = {row[0]: row[3] for row in cells if len(row) == 5}
    assert len(rows) > 90
    known = "wav2vec2 hubert wavlm sew unispeech vits vilt levit regnet timesformer groupvit decision_transformer"
    assert all(re.fullmatch(r"\d+ of \d+", rows[name]) for name in known.split())
    assert rows["bert"] == rows["llama"] == rows["gpt2"] == "0"
