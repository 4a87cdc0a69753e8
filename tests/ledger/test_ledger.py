"""The ledger: what was written is recorded, found again, and written again bit for bit."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from recipes.table import cases
from safetensors.torch import load_file, save_file
from torch import nn

import penstock
from penstock.errors import ArgumentError
from penstock.geometry import Geometry
from penstock.ledger.book import Ledger
from penstock.ledger.content import content_of
from penstock.ledger.rebuild import rebuild, values_of
from penstock.ledger.record import Part, Record, record_from_dict
from penstock.ledger.verify import difference, ledger_path, verify
from penstock.ledger.weights_file import read_header, write_file
from penstock.planning.plan import Entry, Plan
from penstock.recipes import Normal, UniformBetween
from penstock.torch.files import save

DTYPES = [torch.float32, torch.bfloat16]


def batch(rows: int = 64) -> torch.Tensor:
    return torch.randn(rows, 32, generator=torch.Generator().manual_seed(0))


def deep(dtype=torch.float32) -> nn.Module:
    """Deep and plain: kernel shaping, with biases that only the data give; statistics as buffers."""
    torch.manual_seed(0)
    layers = [layer for _ in range(12) for layer in (nn.Linear(32, 32), nn.GELU())]
    return nn.Sequential(*layers, nn.Linear(32, 8), nn.BatchNorm1d(8)).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_initialized_model_is_rebuilt_byte_for_byte(tmp_path, dtype):
    model = deep(dtype)
    ledger = penstock.initialize(model, batch().to(dtype)).ledger
    assert any(record.factors for record in ledger)
    save(model, str(tmp_path / "a.safetensors"))
    rebuild(Ledger.from_json(ledger.to_json()), tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert verify(ledger, tmp_path / "b.safetensors").ok


def test_a_parameter_drawn_under_another_name_is_rebuilt_and_verified(tmp_path):
    """Another framework's name for it makes its key: the ledger tells which."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    ledger = penstock.initialize(model, torch.randn(16, 8), names={"2.weight": "head.kernel"}).ledger
    save(model, str(tmp_path / "a.safetensors"))
    known = Ledger.from_json(ledger.to_json())
    assert (known["2.weight"].drawn_as, known["0.weight"].drawn_as) == ("head.kernel", "")
    assert verify(known, tmp_path / "a.safetensors").ok
    rebuild(known, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    forged = json.loads(ledger.to_json())
    next(r for r in forged["records"] if r["name"] == "2.weight").pop("drawn_as")
    with pytest.raises(ArgumentError, match=r"key of '2\.weight' is not that of seed 0"):
        rebuild(Ledger.from_dict(forged), tmp_path / "c.safetensors")


def test_biases_that_the_data_centred_are_stored():
    ledger = penstock.initialize(deep(), batch()).ledger
    centred = [r for r in ledger if r.name.endswith("bias") and r.stored is not None and r.measured.std > 0]
    assert centred, "this stack is kernel-shaped: some biases are not zero"


def test_moments_and_hash_are_those_of_the_values():
    model = nn.Linear(300, 200)
    ledger = penstock.materialize(model, seed=1)
    values = model.weight.detach().double().numpy()
    record = ledger["weight"]
    assert record.measured.mean == pytest.approx(values.mean(), abs=1e-9)
    assert record.measured.std == pytest.approx(values.std(), rel=1e-6)
    # The std of n truncated normal values is uncertain by less than 1 / sqrt(2 n) of itself.
    assert abs(record.measured.std / record.requested.std - 1) < 5 / math.sqrt(2 * values.size)
    assert record.digest == content_of(model.weight.detach().numpy(), "float32").digest
    assert record.digest != content_of(model.weight.detach().t().contiguous().numpy(), "float32").digest


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_recipe_is_drawn_again_from_its_record(dtype):
    """What PyTorch's memory holds after `Plan.apply` is what NumPy makes from the record."""
    for label, recipe, geometry in cases():
        model = nn.Module()
        model.w = nn.Parameter(torch.zeros(geometry.shape, dtype=dtype))
        plan = Plan("m", (Entry("w", geometry.shape, recipe, "", "", geometry),))
        record = record_from_dict(json.loads(json.dumps(plan.apply(model, seed=2)["w"].to_dict())))
        assert content_of(values_of(record), record.dtype).digest == record.digest, label


def test_ends_that_are_left_out_stay_so_in_half_types():
    for dtype in (torch.bfloat16, torch.float16):
        for low, high in ((0.0, 1.0), (-1.0, 0.0), (0.3, 0.3001), (-2.0, -1.0)):
            model = nn.Module()
            model.w = nn.Parameter(torch.zeros(4096, dtype=dtype))
            plan = Plan("m", (Entry("w", (4096,), UniformBetween(low, high), "", "", Geometry((4096,))),))
            record = plan.apply(model)["w"]
            assert content_of(values_of(record), record.dtype).digest == record.digest, (dtype, low, high)


def test_a_ledger_goes_to_json_and_back(tmp_path):
    ledger = penstock.initialize(deep(), batch()).ledger
    ledger.save(tmp_path / "a.ledger.json")
    assert Ledger.load(tmp_path / "a.ledger.json") == ledger
    assert [p.name for p in tmp_path.iterdir()] == ["a.ledger.json"]
    assert len(str(ledger).splitlines()) == len(ledger) + 3 + len(ledger.notes)


def test_verify_names_what_changed(tmp_path):
    model = deep()
    ledger = penstock.initialize(model, batch()).ledger
    with torch.no_grad():
        model[2].weight[0, 0] += 1e-6
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    del state["4.weight"]
    state["extra"] = torch.zeros(2)
    save_file(state, tmp_path / "w.safetensors")
    result = verify(ledger, tmp_path / "w.safetensors")
    assert (result.changed, result.missing, result.unknown) == (("2.weight",), ("4.weight",), ("extra",))
    assert "changed (1): 2.weight" in str(result)
    assert not result.ok


def test_tied_weights_are_found_under_any_name(tmp_path):
    model = nn.Module()
    model.a, model.b = nn.Embedding(7, 5), nn.Linear(5, 7, bias=False)
    model.b.weight = model.a.weight
    ledger = penstock.materialize(model, seed=0)
    assert ledger["b.weight"] is ledger["a.weight"]
    save_file({"b.weight": model.b.weight.detach().clone()}, tmp_path / "w.safetensors")
    assert verify(ledger, tmp_path / "w.safetensors").ok


def test_two_ledgers_differ_where_their_weights_do():
    first, second = (penstock.materialize(nn.Linear(9, 9), seed=s) for s in (0, 1))
    changed = difference(first, second).changed
    assert set(changed) == {"weight"}
    assert [field for field, _, _ in changed["weight"]] == ["key", "digest"]
    assert difference(first, first).ok
    assert str(difference(first, second)).startswith("seeds: 0 and 1")


def test_large_weights_that_were_kept_come_from_their_file(tmp_path):
    model = nn.Sequential(nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 5))
    start = penstock.initialize(model, torch.randn(64, 100), keep=["0.*"])
    save(model, str(tmp_path / "a.safetensors"))
    with pytest.raises(ArgumentError, match=r"1 parameters were not drawn .*0\.weight"):
        rebuild(start.ledger, tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()
    rebuild(start.ledger, tmp_path / "b.safetensors", kept=tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    other = load_file(tmp_path / "a.safetensors")
    other["0.weight"] += 1.0
    save_file(other, tmp_path / "c.safetensors")
    with pytest.raises(ArgumentError, match=r"'0\.weight' does not come out with the hash"):
        rebuild(start.ledger, tmp_path / "b.safetensors", kept=tmp_path / "c.safetensors")


def test_our_files_are_those_of_the_safetensors_library(tmp_path):
    generator = np.random.default_rng(0)
    tensors = {
        "b": torch.from_numpy(generator.normal(size=(3, 5)).astype(np.float32)),
        "a.ü": torch.arange(7),
        "half": torch.ones(3).bfloat16(),
        "flag": torch.tensor([True, False, True]),
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(2.5),
        "eight": torch.ones(5).to(torch.float8_e4m3fn),
    }
    save_file(tensors, tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    found = read_header(tmp_path / "theirs.safetensors")
    listed = [(t.name, t.dtype, t.shape) for t in found.values()]
    write_file(tmp_path / "ours.safetensors", listed, lambda n: found[n].array(), metadata={"format": "pt"})
    assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()


def _bytes(header: object, data: bytes = b"\0" * 8) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(**changed: object) -> dict[str, object]:
    return {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changed}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "first 8 bytes"),
        (b"\xff" * 16, "gives? a header of"),
        (_bytes(b"{not json"), "no JSON"),
        (_bytes(b"[" * 100_000), "no JSON"),
        (_bytes([1, 2]), "no table"),
        (_bytes({"w": 3}), "has no description"),
        (_bytes(entry(shape=[-1])), "does not lie inside"),
        (_bytes(entry(shape=[2**62, 2**62])), "does not need"),
        (_bytes(entry(data_offsets=[0, 10**12])), "does not lie inside"),
        (_bytes(entry(data_offsets=[8, 0])), "does not lie inside"),
        (_bytes(entry(), b"\0" * 12), "overlap or leave gaps"),
        (_bytes(entry() | {"v": entry()["w"]}), "overlap or leave gaps"),
        (b"\x80\x04\x95pickle", "safetensors"),
    ],
)
def test_damaged_and_hostile_files_are_told(tmp_path, content, match):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(ArgumentError, match=match):
        read_header(tmp_path / "w.safetensors")


RECORD = {"name": "w", "shape": [2], "dtype": "float32", "reason": "", "parts": [{"blake2b": "0" * 64}]}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"name": 3}, "must have a name"),
        ({"shape": [-1]}, "list of sizes"),
        ({"shape": [2**40, 2**40]}, "less than 2"),
        ({"recipe": {"recipe": "evil"}}, "unknown recipe 'evil'"),
        ({"recipe": []}, "must be an object"),
        ({"key": "xyz"}, "hexadecimal"),
        ({"key": "1" * 40}, "64 bits"),
        ({"parts": [{"blake2b": "zz"}]}, "64 hexadecimal digits"),
        ({"parts": [{"blake2b": "0" * 64, "box": [[0, 9]]}]}, "lie inside"),
        ({"factors": [math.inf]}, "must be finite"),
        ({"geometry": {"shape": [1]}}, "a field that it cannot have"),
        ({"geometry": {"in_axes": 1}}, "a field that it cannot have"),
        ({"requested": {"mean": 0}}, "a mean and a std"),
        ({"kind": "code"}, "parameter or buffer"),
        ({"stored": 5}, "must be text"),
        ({"measured": 1}, "a mean and a std"),
    ],
)
def test_damaged_and_hostile_ledgers_are_told(change, match):
    with pytest.raises(ArgumentError, match=match):
        record_from_dict(RECORD | change)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "penstock ledger", "version": 9}', "[" * 100_000, '{"format": 1}']
)
def test_no_ledger_is_no_ledger(text):
    with pytest.raises(ArgumentError, match=r"Ledger\.from_(json|dict): "):
        Ledger.from_json(text)


def test_a_ledger_that_contradicts_itself_and_one_of_other_weights(tmp_path):
    ledger = penstock.materialize(nn.Linear(3, 3), seed=0)
    save_file({"weight": torch.zeros(3, 3)}, tmp_path / "w.safetensors")
    forged = Ledger(ledger.model, 1, ledger.records)
    with pytest.raises(ArgumentError, match="contradicts itself"):
        verify(forged, tmp_path / "w.safetensors")
    with pytest.raises(ArgumentError, match=r"rebuild: .*key of 'weight' is not that of seed 1"):
        rebuild(forged, tmp_path / "r.safetensors")
    assert not (tmp_path / "r.safetensors").exists()
    save_file({"other": torch.zeros(3, 3)}, tmp_path / "o.safetensors")
    with pytest.raises(ArgumentError, match="no name in common"):
        verify(ledger, tmp_path / "o.safetensors")
    damaged = Record(name="w", shape=(2,), dtype="float32", reason="", stored="AAA", parts=(Part("0" * 64),))
    with pytest.raises(ArgumentError, match="stored of 'w' are damaged"):
        values_of(damaged)


def test_a_failed_apply_leaves_the_model_as_it_was():
    model = nn.Linear(4, 4)
    before = model.weight.detach().clone()
    entries = (
        Entry("weight", (4, 4), Normal(1.0), "", "", Geometry((4, 4))),
        Entry("bias", (4,), penstock.recipes.Orthogonal(1.0), "", "", Geometry((4,))),
    )
    with pytest.raises(ArgumentError, match="needs an input and an output axis"):
        Plan("m", entries).apply(model)
    assert torch.equal(model.weight, before)


def test_on_the_command_line(tmp_path, monkeypatch, capsys):
    from penstock.cli.app import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("import torch\ndef net():\n    return torch.nn.Linear(6, 4)\n")

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out + told.err

    assert run("init", "net.py:net", "-o", "a.safetensors", "--input", "8,6")[0] == 0
    assert ledger_path("a.safetensors").exists()
    code, text = run("ledger", "verify", "a.safetensors")
    assert (code, text.strip()) == (0, "2 of 2 parameters have the recorded bytes")
    assert run("ledger", "rebuild", "a.ledger.json", "-o", "b.safetensors")[0] == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    run("init", "net.py:net", "-o", "c.safetensors", "--input", "8,6", "--seed", "1")
    code, text = run("ledger", "diff", "a.ledger.json", "c.ledger.json")
    assert code == 1
    assert text.startswith("seeds: 0 and 1\nweight\n")
    assert run("ledger", "verify", "c.safetensors", "--ledger", "a.ledger.json")[0] == 1
    code, text = run("ledger", "verify", "a.safetensors", "--ledger", "missing.json")
    assert code == 2
    assert "'missing.json' must be a ledger" in text
