"""Plans as a table, and before and after."""

from __future__ import annotations

import pytest
from report_builders import broken_mlp, finding, healthy_transformer, hostile, mlp, transformer
from rich.cells import cell_len

from penstock.report.compare import before_after_to_text
from penstock.report.plan_text import PlanRow, fold_plan, plan_to_text
from penstock.signals import LossStats


def gpt_plan(depth: int = 12) -> list[PlanRow]:
    rows = [PlanRow("embed.weight", (1000, 64), "normal(std=1)", 1.0, "look-up: unit variance of what it feeds")]
    for i in range(depth):
        sums = "last of a residual branch: scaled by 1/sqrt(24 sums)"
        logits = "feeds attention logits: queries and keys keep unit variance, so the softmax starts soft"
        rows += [
            PlanRow(f"layers.{i}.attn.q_proj.weight", (64, 64), "orthogonal(gain=1.00)", 0.125, logits),
            PlanRow(f"layers.{i}.mlp.0.weight", (256, 64), "normal(gain=1.53)", 0.19, "feeds gelu: gain 1.53"),
            PlanRow(f"layers.{i}.mlp.0.bias", (256,), "zeros", None, "a bias: nothing is known that it should add"),
            PlanRow(f"layers.{i}.mlp.2.weight", (64, 256), "normal(gain=0.204)", 0.0128, sums),
        ]
    return [*rows, PlanRow("head.weight", (10, 64), "zeros", None, "")]


@pytest.mark.parametrize("width", [80, 120])
def test_golden(width, golden):
    text = plan_to_text(
        gpt_plan(), title="Plan for GPT, seed 0", notes=["head.weight is kept."], width=width, encoding="utf-8"
    )
    golden(f"plan_{width}.txt", text)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider(width):
    name = "<b>\x1b[0m" + "very.long.name." * 9
    rows = [*gpt_plan(), PlanRow(name, (1, 2, 3, 4, 5), "recipe" * 20, 1e-9, "because " * 40)]
    text = plan_to_text(rows, title="Plan " * 40, notes=["note " * 40], width=width, encoding="utf-8")
    assert max(map(cell_len, text.split("\n"))) <= width
    assert "\x1b" not in text


def test_rows_of_all_layers_fold():
    names = [(row.name, row.count) for row in fold_plan(gpt_plan())]
    assert names == [
        ("embed.weight", 1),
        ("layers.{0..11}.attn.q_proj.weight", 12),
        ("layers.{0..11}.mlp.0.weight", 12),
        ("layers.{0..11}.mlp.0.bias", 12),
        ("layers.{0..11}.mlp.2.weight", 12),
        ("head.weight", 1),
    ]


def row(name: str, **changes: object) -> PlanRow:
    values = {"shape": (4, 4), "recipe": "he_normal", "std": 0.7, "reason": "feeds relu"} | changes
    return PlanRow(name, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"recipe": "zeros"}, {"reason": "frozen"}, {"shape": (2, 2)}, {"std": 0.8}])
def test_unlike_rows_do_not_fold(changes):
    assert len(fold_plan([row("0.weight"), row("1.weight", **changes)])) == 2
    assert len(fold_plan([row("0.weight"), row("1.weight")])) == 1


def test_a_pattern_names_only_what_is_in_the_plan():
    """Two indices fold together where all pairs are there, else along one of them."""
    grid = [row(f"h.{i}.mlp.{j}.weight") for i in range(3) for j in (0, 2)]
    assert [r.name for r in fold_plan(grid)] == ["h.{0..2}.mlp.{0,2}.weight"]
    assert [r.name for r in fold_plan(grid[:-1])] == ["h.{0..2}.mlp.0.weight", "h.{0,1}.mlp.2.weight"]


def test_gaps_are_shown():
    assert [r.name for r in fold_plan([row(f"{i}.weight") for i in (0, 3, 4, 5, 9)])] == ["{0,3..5,9}.weight"]


def test_each_reason_is_written_once():
    text = plan_to_text(gpt_plan(), title="Plan", encoding="utf-8")
    assert text.count("feeds gelu: gain 1.53") == 1


def test_plan_without_parameters():
    assert plan_to_text([], title="Plan for Empty") == "Plan for Empty"


def mended():
    return mlp(gain=1.01).report(loss=LossStats(2.35, given=True, constant=2.303))


@pytest.mark.parametrize("width", [80, 120])
def test_before_after_golden(width, golden):
    golden(f"before_after_{width}.txt", before_after_to_text(broken_mlp(), mended(), width=width, encoding="utf-8"))


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    "pair", [(hostile, hostile), (broken_mlp, mended), (healthy_transformer, transformer(12).report)]
)
def test_before_after_is_never_wider(pair, width):
    text = before_after_to_text(pair[0](), pair[1](), width=width, encoding="utf-8")
    assert max(map(cell_len, text.split("\n"))) <= width
    assert "\x1b" not in text


def test_before_after_of_different_graphs_has_no_bars():
    text = before_after_to_text(mlp(3).report([finding()]), mlp(4).report(), encoding="utf-8")
    assert "1 place" in text
    assert "bars:" not in text
