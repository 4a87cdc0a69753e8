"""hf: targets read local configurations, and never the network."""

from __future__ import annotations

import json
import os
import re

import pytest
import torch

from penstock.cli.models import resolve
from penstock.errors import ArgumentError

pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("folder")

TINY = "hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, vocab_size=50"
CONFIG = {
    "model_type": "bert",
    **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 50},
}


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # so that what the resolver sets is put back


def test_a_model_type_with_arguments():
    model = resolve(f"hf:bert({TINY})")
    assert type(model).__name__ == "BertModel"
    assert len(model.encoder.layer) == 2
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_folder_and_a_file_with_a_configuration(folder):
    (folder / "config.json").write_text(json.dumps({**CONFIG, "architectures": ["BertForMaskedLM"]}))
    for text in ("hf:.", "hf:config.json", f"hf:{folder}"):
        assert type(resolve(text)).__name__ == "BertForMaskedLM"
    assert len(resolve("hf:config.json(num_hidden_layers=1)").bert.encoder.layer) == 1


def test_one_seed_makes_one_model():
    first, again, other = (resolve(f"hf:bert({TINY})", seed=s) for s in (1, 1, 2))
    weights = [m.embeddings.word_embeddings.weight for m in (first, again, other)]
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hf:bret", "transformers knows no model type 'bret'.\nHint: hf:bert"),
        (
            "hf:google/bert-base",
            "no file or folder 'google/bert-base' with a configuration.\n  because: hf: reads local",
        ),
        ("hf:google/bert-base", "Hint: hf:bert"),
        ("hf:missing.json", "no file or folder 'missing.json'"),
        ("hf:list.json", "list.json must be a configuration with a model_type; it has none."),
        ("hf:broken.json", "broken.json must be JSON;"),
    ],
)
def test_bad_configurations_say_what_is_wrong(folder, text, wanted):
    (folder / "list.json").write_text("[1, 2]")
    (folder / "broken.json").write_text("{")
    with pytest.raises(ArgumentError, match=re.escape(wanted)):
        resolve(text)
