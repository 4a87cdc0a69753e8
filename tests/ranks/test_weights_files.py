"""Weights in files: what is found in them without their model, and that nothing in them is run."""

from __future__ import annotations

import json
import math
import os
import pickle
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import penstock
from penstock.errors import ArgumentError, UnsupportedError
from penstock.torch.checkpoint.law import law_of
from penstock.torch.files import save

dcp = pytest.importorskip("torch.distributed.checkpoint")


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.02


def trained(*shape: int, seed: int = 0) -> torch.Tensor:
    """As training leaves a weight: some units grow, others do not."""
    generator = torch.Generator().manual_seed(100 + seed)
    return drawn(*shape, seed=seed) * (1.0 + torch.rand(shape[0], 1, generator=generator))


def state() -> dict[str, torch.Tensor]:
    return {f"layers.{i}.weight": trained(96, 64, seed=i) for i in range(4)} | {"norm.weight": torch.ones(96)}


def codes(path, **options) -> list[str]:
    return [f.code for f in penstock.check_weights(path, **options).findings]


def test_a_trained_model_is_fine(tmp_path):
    save_file(state(), tmp_path / "model.safetensors")
    report = penstock.check_weights(tmp_path)
    assert report.ok, str(report)
    assert "ok · 5 tensors · 24,672 elements · 1 file" in str(report).replace("\n", " · ").replace(": ·", ":")


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("S103", lambda s: s | {"layers.1.weight": torch.cat([trained(24, 64)] * 4)}),
        ("S103", lambda s: s | {"layers.1.weight": torch.cat([trained(96, 32)] * 2, dim=1)}),
        ("S101", lambda s: s | {"layers.1.weight": trained(96, 64)[torch.arange(96) % 37]}),
        ("R103", lambda s: s | {"layers.1.weight": trained(96, 64).fill_(math.nan)}),
        (
            "R103",
            lambda s: (
                s | {"layers.1.weight": torch.arange(96 * 64, dtype=torch.int32).view(torch.float32).view(96, 64)}
            ),
        ),
        ("U107", lambda s: s | {"layers.1.weight": drawn(96, 64)}),
        ("U107", lambda s: s | {"layers.1.weight": nn.init.orthogonal_(torch.empty(96, 64))}),
    ],
)
def test_each_kind_of_damage_is_found_alone(tmp_path, code, change):
    torch.manual_seed(0)
    save_file({k: v.contiguous() for k, v in change(state()).items()}, tmp_path / "model.safetensors")
    report = penstock.check_weights(tmp_path / "model.safetensors")
    assert [f.code for f in report.findings] == [code], str(report)
    assert report.findings[0].place == "layers.1.weight"


def test_shards_in_files_of_their_own_are_compared(tmp_path):
    """One name in several files: as ranks write them without an index."""
    for rank in range(3):
        save_file(
            {"w": trained(8, 64, seed=1), "v": trained(8, 64, seed=10 + rank)}, tmp_path / f"rank{rank}.safetensors"
        )
    report = penstock.check_weights(tmp_path)
    assert [f.code for f in report.findings] == ["R101"]
    assert report.findings[0].place == "v"


def test_a_fresh_start_is_a_note_and_its_ledger_knows_for_sure(tmp_path):
    model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 64))
    ledger = penstock.materialize(model, seed=0)
    save(model, str(tmp_path / "start.safetensors"))
    report = penstock.check_weights(tmp_path / "start.safetensors")
    assert [(f.code, f.severity) for f in report.findings] == [("U107", "note")]
    ledger.save(tmp_path / "start.ledger.json")
    with torch.no_grad():
        model[0].weight.mul_(1 + torch.rand(96, 1))
    save(model, str(tmp_path / "start.safetensors"))
    report = penstock.check_weights(tmp_path / "start.safetensors")
    assert [(f.code, f.severity, f.place) for f in report.findings] == [("U107", "warning", "2.weight")]
    assert "its ledger holds the same hash" in report.findings[0].observation


def test_weights_that_learned_something_fit_no_law():
    """The control that matters: real training, on real digits, moves every layer off its law."""
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = (torch.from_numpy(a) for a in datasets.load_digits(return_X_y=True))
    x = (x.float() - x.float().mean()) / x.float().std()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    weights = [model[0].weight, model[2].weight]
    assert all(law_of(w.detach().numpy(), "float32") for w in weights), "as drawn they do"
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert [law_of(w.detach().numpy(), "float32") for w in weights] == [None, None]


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("normal", lambda g, n: g.normal(0, 0.3, n)),
        ("uniform", lambda g, n: g.uniform(-0.1, 0.1, n)),
        ("truncated normal", lambda g, n: np.clip(g.normal(0, 1, (40, *n)), -np.inf, np.inf)),
    ],
)
def test_each_law_is_told_by_its_name_and_false_alarms_are_rare(name, draw):
    seen = []
    for seed in range(20):
        values = draw(np.random.default_rng(seed), (128, 96))
        if values.ndim == 3:  # the first of forty that lies inside
            inside = np.abs(values) <= 2
            values = np.take_along_axis(values, inside.argmax(axis=0)[None], axis=0)[0]
        seen.append(law_of(values.astype(np.float32), "float32"))
    assert all(text is not None and text.startswith(f"{name}(") for text in seen), seen
    heavy = np.random.default_rng(0).standard_t(6, (128, 96)).astype(np.float32)
    assert law_of(heavy, "float32") is None


def test_a_row_for_padding_hides_no_embedding_that_was_never_trained():
    """PyTorch leaves the row `padding_idx` at zero; the others tell whether the table is as drawn."""
    torch.manual_seed(0)
    table = nn.Embedding(256, 64, padding_idx=3).weight.detach().numpy().copy()
    assert not table[3].any()
    assert law_of(table, "float32").startswith("normal(")
    moved = table.copy()
    moved[10:40] *= 3.0
    assert law_of(moved, "float32") is None, "rows that were trained"
    few = np.zeros_like(table)
    few[:7] = table[4:11]
    assert law_of(few, "float32") is None, "too few rows are left to tell"


class Evil:
    def __reduce__(self):
        return os.system, ("echo ran > ran.txt",)


def test_pickles_are_refused_unless_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w").mkdir()
    torch.save({"state_dict": state()}, tmp_path / "w" / "model.bin")
    with pytest.raises(UnsupportedError, match=r"is a pickle; reading one can run code"):
        penstock.check_weights(tmp_path / "w")
    assert penstock.check_weights(tmp_path / "w", allow_pickle=True).ok
    (tmp_path / "w" / "model.bin").write_bytes(b"not a pickle")
    with pytest.raises(ArgumentError, match=r"cannot be read"):
        penstock.check_weights(tmp_path / "w", allow_pickle=True)


def test_the_metadata_of_a_distributed_checkpoint_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "dcp"
    folder.mkdir()
    (folder / ".metadata").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UnsupportedError, match=r"is no metadata .* it asks for (posix|nt|os)\.system"):
        penstock.check_weights(folder)
    assert not (tmp_path / "ran.txt").exists()
    (folder / ".metadata").write_bytes(b"\x80\x04garbage")
    with pytest.raises((ArgumentError, UnsupportedError), match=r"\.metadata|metadata cannot be read"):
        penstock.check_weights(folder)


@pytest.mark.filterwarnings("ignore")
def test_a_distributed_checkpoint_is_read(tmp_path):
    dcp.save({"model": state(), "optim": {"step": torch.zeros(3)}}, checkpoint_id=tmp_path / "good")
    report = penstock.check_weights(tmp_path / "good")
    assert report.ok, str(report)
    assert {part.name for part in report.holdings.parts} == {f"model.{name}" for name in state()}
    broken = state() | {"layers.2.weight": torch.cat([trained(48, 64)] * 2)}
    dcp.save({"model": broken}, checkpoint_id=tmp_path / "bad")
    assert codes(tmp_path / "bad") == ["S103"]
    data = next((tmp_path / "bad").glob("*.distcp"))
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(ArgumentError, match=r"cannot be read"):
        penstock.check_weights(tmp_path / "bad")
    data.unlink()
    with pytest.raises(ArgumentError, match=r"must be a whole torch distributed checkpoint"):
        penstock.check_weights(tmp_path / "bad")


def test_an_index_must_tell_the_truth(tmp_path):
    save_file(state(), tmp_path / "a.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(state(), "a.safetensors")}))
    assert penstock.check_weights(index).ok
    for table, match in (
        ({"x": "a.safetensors"}, r"says that 'a.safetensors' holds 'x'; it does not"),
        ({"x": "../a.safetensors"}, r"outside its folder"),
        ({"x": "b.safetensors"}, r"cannot be read"),
    ):
        index.write_text(json.dumps({"weight_map": table}))
        with pytest.raises(ArgumentError, match=match):
            penstock.check_weights(tmp_path)
    index.write_text("[]")
    with pytest.raises(ArgumentError, match="must be an index of weights"):
        penstock.check_weights(index)


def test_nothing_to_read_is_told(tmp_path):
    with pytest.raises(ArgumentError, match=r"it holds neither"):
        penstock.check_weights(tmp_path)
    with pytest.raises(ArgumentError, match=r"there is no file or folder"):
        penstock.check_weights(tmp_path / "missing")


def test_the_command_line_reads_files(tmp_path, capsys):
    from penstock.cli.app import main

    save_file(state() | {"layers.1.weight": torch.cat([trained(24, 64)] * 4)}, tmp_path / "model.safetensors")
    with pytest.raises(SystemExit) as end:
        main(["check", str(tmp_path)])
    assert end.value.code == 1
    assert "ERROR S103" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        main(["check", str(tmp_path), "--ignore", "S103", "--format", "json"])
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    assert "torch" in sys.modules
