"""`penstock audit` from outside: what it prints where, and with which code it ends."""

from __future__ import annotations

import json

import pytest


def test_a_class_is_built_and_watched(penstock):
    done = penstock("audit", "models.py:Net")
    assert done.code == 0, done.err
    assert done.out.startswith("Net: ok\n8 parameters · built directly and on the meta device")
    assert "Net.__init__, models.py:" in done.out


def test_a_factory_takes_its_arguments(penstock):
    done = penstock("audit", "models.py:Net(depth=1)", "--format", "json")
    assert len(json.loads(done.out)["tensors"]) == 4


def test_prints_of_the_model_stay_out_of_the_report(penstock):
    done = penstock("audit", "models.py:Chatty", "--format", "json")
    assert json.loads(done.out)["kind"] == "audit"
    assert "being made" in done.err


@pytest.fixture
def forgets(folder):
    (folder / "forgets.py").write_text(
        "import torch\n\n\nclass Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.w = torch.nn.Parameter(torch.empty(3))\n\n\nmodel = Net()\n"
    )


def test_findings_decide_the_exit_code(penstock, forgets):
    done = penstock("audit", "forgets.py:Net", "--format", "github")
    assert done.code == 1
    assert done.out.startswith("::error title=U101")
    assert penstock("audit", "forgets.py:Net", "--ignore", "U101").code == 0
    assert penstock("audit", "forgets.py:Net", "--select", "U104").code == 0


def test_a_model_that_is_there_is_audited_by_its_own_initialization(penstock, forgets):
    done = penstock("audit", "forgets.py:model", "--fail-on", "warning")
    assert done.code == 1
    assert "was built before" in done.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["models.py:Nothing"], "has no 'Nothing'"),
        (["models.py:Net(colour=1)"], "the arguments must fit Net"),
        (["models.py:__name__"], "must be a model, or a class or function"),
        (["forgets.py:model(width=3)"], "is a model already and takes no arguments"),
        (["models.py:Net", "--select", "X1"], "--select must name codes"),
    ],
)
def test_bad_input_ends_with_2_and_one_message(penstock, forgets, arguments, told):
    done = penstock("audit", *arguments)
    assert done.code == 2
    assert told in done.err
    assert done.out == ""


def test_a_family_is_made_small(penstock):
    pytest.importorskip("transformers")
    done = penstock("audit", "hf:bert")
    assert done.code == 0, done.out + done.err
    assert "hf:bert was made small" in done.err
    assert "BertPreTrainedModel._init_weights" in done.out or "PreTrainedModel._init_weights" in done.out
