"""The row of an embedding that stands for padding is zero, however the start is made; all other rows are as without."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import penstock
from penstock.errors import ArgumentError, ShapeError
from penstock.geometry import Geometry
from penstock.ledger.book import Ledger
from penstock.ledger.rebuild import rebuild
from penstock.planning.plan import Plan
from penstock.recipes import Constant, Normal, ZeroRows

ROWS, WIDTH = 40, 16
IDS = torch.arange(30).reshape(6, 5)


class Words(nn.Module):
    """A table that is the output head, too, and a bag with a padding of its own."""

    def __init__(self, padding: int | None = -3, bag: int | None = 4) -> None:
        super().__init__()
        self.embed = nn.Embedding(ROWS, WIDTH, padding_idx=padding)
        self.bag = nn.EmbeddingBag(ROWS, WIDTH, padding_idx=bag)
        self.layer = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, ROWS, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(torch.relu(self.layer(self.embed(ids).mean(dim=1) + self.bag(ids))))


def zero_rows(table: torch.Tensor) -> list[int]:
    return (table == 0).all(dim=1).nonzero().flatten().tolist()


def initialized(**kind) -> tuple[Words, Ledger]:
    model = Words(**kind)
    return model, penstock.initialize(model, IDS, seed=5).ledger


def applied(**kind) -> tuple[Words, Ledger]:
    model = Words(**kind)
    plan = Plan.from_json(penstock.plan(model, IDS).to_json())
    return model, plan.apply(model, seed=5)


def materialized(**kind) -> tuple[Words, Ledger]:
    with torch.device("meta"):
        model = Words(**kind)
    return model, penstock.materialize(model, seed=5)


@pytest.mark.parametrize("start", [initialized, applied, materialized])
def test_only_the_row_of_the_padding_is_zero(start, tmp_path):
    model, ledger = start()
    assert zero_rows(model.embed.weight) == [ROWS - 3]
    assert zero_rows(model.bag.weight) == [4]
    assert "padding: row 37 zero" in ledger["embed.weight"].reason
    assert ledger["head.weight"] is ledger["embed.weight"]
    assert torch.equal(model.embed(torch.tensor([ROWS - 3])), torch.zeros(1, WIDTH))
    ledger.save(tmp_path / "l.json")
    rebuild(Ledger.load(tmp_path / "l.json"), tmp_path / "w.safetensors")
    again = load_file(tmp_path / "w.safetensors")
    for name, parameter in model.named_parameters():
        assert torch.equal(again[name], parameter), name


@pytest.mark.parametrize("start", [applied, materialized])
def test_without_padding_nothing_is_zero_and_the_other_rows_are_the_same(start):
    padded, plain = start()[0], start(padding=None, bag=None)[0]
    assert zero_rows(plain.embed.weight) == zero_rows(plain.bag.weight) == []
    others = [row for row in range(ROWS) if row != ROWS - 3]
    assert torch.equal(padded.embed.weight[others], plain.embed.weight[others])


def test_what_the_user_chose_is_drawn_as_chosen():
    with torch.device("meta"):
        model = Words()
    penstock.materialize(model, seed=5, plan={"embed.weight": Normal(0.5)})
    assert zero_rows(model.embed.weight) == []
    assert zero_rows(model.bag.weight) == [4]


def test_a_computed_table_is_left_alone():
    model = nn.utils.parametrizations.weight_norm(nn.Embedding(ROWS, WIDTH, padding_idx=0))
    recipes = [e.recipe for e in penstock.plan(model, IDS).entries]
    assert not any(isinstance(recipe, ZeroRows) for recipe in recipes)
    assert isinstance(penstock.plan(Words(), IDS)["embed.weight"].recipe, ZeroRows)


def test_large_tables_in_half_precision_keep_their_bits():
    geometry = Geometry((3000, 8), in_axes=(0,), out_axes=(1,), lookup=True)
    whole = Normal(0.02).draw(geometry, 9)
    table = torch.empty(3000, 8, dtype=torch.bfloat16)
    with torch.device("meta"):
        model = nn.Embedding(3000, 8, padding_idx=2999, dtype=torch.bfloat16)
    ledger = penstock.materialize(model, seed=5)
    part = ledger["weight"].recipe.part
    table.copy_(torch.from_numpy(part.draw(geometry, ledger["weight"].key)))
    assert torch.equal(model.weight[:2999], table[:2999])
    assert zero_rows(model.weight) == [2999]
    assert not zero_rows(torch.from_numpy(whole))


@pytest.mark.parametrize(
    "wrong", [lambda: ZeroRows(Normal(1.0), ()), lambda: ZeroRows(Normal(1.0), (-1,)), lambda: ZeroRows(3.0, (0,))]
)
def test_a_recipe_needs_a_part_and_rows(wrong):
    with pytest.raises(ArgumentError, match="ZeroRows: part must be a recipe, rows one or more integers"):
        wrong()


def test_a_row_outside_the_table_is_named():
    with pytest.raises(ShapeError, match="row 9 must lie in the table"):
        ZeroRows(Constant(1.0), (9,)).draw(Geometry((9, 2)), 0)
