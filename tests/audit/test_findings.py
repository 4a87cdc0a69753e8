"""Each fault is found, alone and where it is; the same model without it gives nothing."""

from __future__ import annotations

import pytest
import torch
from audit.broken import CASES, Case, Mixer, Part, Resettable, Scale, Table, frozen_copy, linear
from torch import nn

import penstock
from penstock.checks.registry import CHECKS
from penstock.provenance import Form
from penstock.torch.audit.measure import form_of


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_fault_is_found_and_it_alone(case: Case):
    report = penstock.audit(case.broken)
    told = [(f.code, f.severity, f.place) for f in report.findings]
    assert told == [(case.code, case.severity, case.place)], str(report)
    assert report.ok is False


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_without_the_fault_nothing_is_found(case: Case):
    report = penstock.audit(case.silent)
    assert report.findings == (), str(report)


def test_every_code_of_an_audit_has_a_case():
    codes = {check.code for check in CHECKS if check.audit.__name__ != "nothing"}
    assert codes == {case.code for case in CASES}


def test_the_share_that_is_unwritten():
    (finding,) = penstock.audit(lambda: Part(whole=False)).findings
    assert finding.value == pytest.approx(0.9)
    assert "90 % of its elements" in finding.observation


def test_bools_count_as_written_when_a_write_was_seen():
    """They have no room for a sign."""
    tensors = penstock.audit(lambda: Table(filled=False)).audited.tensors
    assert (tensors["mask"].direct.unwritten, tensors["mask"].meta.unwritten) == (1.0, 1.0)
    tensors = penstock.audit(lambda: Table(filled=True)).audited.tensors
    assert (tensors["mask"].direct.unwritten, tensors["mask"].meta.unwritten) == (0.0, 0.0)
    assert tensors["mask"].persistent is False


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64])
def test_every_type_of_numbers_shows_what_is_unwritten(dtype: torch.dtype):
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.empty(4, 6, dtype=dtype))
            with torch.no_grad():
                self.w[:, :3].fill_(0.5)

    assert penstock.audit(Half).audited.tensors["w"].direct.unwritten == 0.5


def test_a_frozen_copy_is_no_twin():
    assert penstock.audit(frozen_copy).ok


def test_layers_of_an_encoder_are_copies():
    """PyTorch documents it: all layers start from the same parameters."""

    def build() -> nn.Module:
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    assert [f.code for f in penstock.audit(build).errors] == ["S102"]


def test_a_default_under_a_model_s_own_rule_is_no_loss():
    """The general before the special, as everywhere: PyTorch's default, then the model's."""
    report = penstock.audit(linear(lambda layer: nn.init.normal_(layer.weight, std=0.02)))
    writes = report.audited.tensors["weight"].direct.writes
    assert [w.asked for w in writes] == ["kaiming_uniform_(a=2.236)", "normal_(std=0.02)"]
    assert [w.builtin for w in writes] == [True, False]
    assert all(w.overwritten_by is None for w in writes)


def test_the_same_law_twice_is_no_loss():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mixer = Mixer()
            self.apply(self._init_weights)

        def _init_weights(self, module: nn.Module) -> None:
            if isinstance(module, nn.Linear):
                nn.init.uniform_(module.bias, -5.0, -1.0)

    assert penstock.audit(Twice).ok


def test_writers_call_sites_and_laws():
    tensors = penstock.audit(Resettable).audited.tensors
    (write,) = tensors["scale"].direct.writes
    assert (write.writer, write.asked, write.mean, write.std) == ("Resettable.reset_parameters", "ones_()", 1.0, 0.0)
    assert write.site.startswith("tests/audit/broken.py:")
    assert tensors["scale"].meta.writes == (write,)
    made = penstock.audit(lambda: Scale("made")).audited.tensors["scale"].direct.writes[0]
    assert (made.writer, made.asked, made.made) == ("Scale.__init__", "ones", True)


def test_what_a_tensor_is_made_of_is_named():
    class Made(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(4, 4) * 0.02)

    assert penstock.audit(Made).audited.tensors["w"].direct.writes[-1].asked == "randn, mul"


@pytest.mark.parametrize(
    ("initializer", "std"),
    [
        (lambda w: nn.init.kaiming_uniform_(w, a=1.0), 1 / 64**0.5),
        (lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"), (2 / 64) ** 0.5),
        (nn.init.xavier_uniform_, (2 / 128) ** 0.5),
        (nn.init.xavier_normal_, (2 / 128) ** 0.5),
        # Johnson, Kotz and Balakrishnan 1994, 10.1: a normal law cut at one standard deviation has std 0.53956.
        (lambda w: nn.init.trunc_normal_(w, std=1.0, a=-1.0, b=1.0), 0.539560),
        (lambda w: w.uniform_(-0.5, 0.5), 1 / 12**0.5),
        (lambda w: w.normal_(0.0, 0.3), 0.3),
    ],
)
def test_the_std_that_each_initializer_asks_for(initializer, std):
    report = penstock.audit(linear(lambda layer: initializer(layer.weight)))
    assert report.findings == ()
    assert report.audited.tensors["weight"].direct.last.std == pytest.approx(std, rel=1e-4)


@pytest.mark.parametrize(
    "write",
    [
        lambda layer: nn.init.orthogonal_(layer.weight, gain=0.1),
        lambda layer: nn.init.orthogonal_(layer.weight, gain=-2.0),
        lambda layer: nn.init.orthogonal_(layer.weight[:20].view(20, 4, 4, 4)),
        lambda layer: nn.init.orthogonal_(layer.weight).mul_(2.0),
        lambda layer: nn.init.sparse_(layer.weight, sparsity=0.01),
        lambda layer: nn.init.sparse_(layer.weight, sparsity=1.0),
        lambda layer: nn.init.sparse_(layer.weight, sparsity=0.5).add_(1.0),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_matrices_of_a_form_that_are_as_asked_or_changed_in_sight(write, dtype):
    assert penstock.audit(linear(write, dtype=dtype)).findings == ()


def test_what_is_measured_of_a_form():
    """0.1 of 64 rows is 7 after rounding up; a draw without a form has none."""
    forms = [
        penstock.audit(linear(write)).audited.tensors["weight"].direct.form
        for write in (
            lambda layer: nn.init.orthogonal_(layer.weight),
            lambda layer: nn.init.sparse_(layer.weight, sparsity=0.1, std=0.5),
            lambda layer: nn.init.normal_(layer.weight),
        )
    ]
    assert forms[2] is None
    assert forms[0].gram < 1e-5
    assert forms[1].zeros == 7 / 64
    # The std of n normal numbers has the standard error std / sqrt(2 n).
    assert abs(forms[1].std - 0.5) < 5 * 0.5 / (2 * 57 * 64) ** 0.5


def test_a_normal_draw_is_not_orthogonal():
    """What the limit of 1 % is held against: inner products of 64 normal numbers have the standard error 1 / 8."""
    weight = torch.randn(64, 64, generator=torch.Generator().manual_seed(0)) / 8
    assert form_of(weight, Form(gain=1.0)).gram > 0.125
    assert form_of(torch.linalg.qr(weight).Q * 1.01, Form(gain=1.0)).gram == pytest.approx(0.0201, abs=1e-4)


def test_ties_are_one_tensor():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, 4)
            self.head = nn.Linear(4, 10, bias=False)
            self.head.weight = self.embedding.weight

    report = penstock.audit(Tied)
    assert set(report.audited.tensors) == {"embedding.weight"}
    assert report.audited.tensors["embedding.weight"].ties == ("head.weight",)
    assert report.ok
