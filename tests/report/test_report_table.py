"""Numbers, bars, names and folding."""

from __future__ import annotations

import doctest
import importlib
import math

import pytest
from rich.cells import cell_len

from penstock.report.fold import fold_like, fold_rows, merged_name
from penstock.report.rows import Row
from penstock.report.table import fold_middle, log_axis, log_bar, log_position, number, share, signs_for, span, wrap

MODULES = ["table", "rows", "fold", "order", "github", "plan_text", "layers", "blocks", "explain", "text"]


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    assert doctest.testmod(importlib.import_module(f"penstock.report.{module}")).failed == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(999.9, "1.00e3"), (999.4, "999"), (9.999, "10.0"), (0.00999, "9.99e-3"), (0.009999, "0.0100"), (-0.5, "-0.500"),
     (1e-300, "1.00e-300"), (math.inf, "inf"), (None, "")],
)  # fmt: skip
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize("value", [1.2345e-7, 0.045678, 0.98765, 12.3456, 123.456, 98765.0])
def test_number_keeps_three_digits(value):
    assert math.isclose(float(number(value)), value, rel_tol=0.5e-2)


def test_span_of_nothing_and_of_nan():
    assert span(None, None) == ""
    assert span(math.nan, math.nan) == "nan"


@pytest.mark.parametrize("text", ["encoder.layers.3", "層.重み.層.重み", "a"])
@pytest.mark.parametrize("width", range(12))
def test_fold_middle_fits(text, width):
    assert cell_len(fold_middle(text, width)) <= width


@pytest.mark.parametrize("width", [1, 2, 7, 30])
def test_wrap_fits_and_keeps_all(width):
    text = "the signal vanishes in_a_place_with_a_long_name 層層層"
    lines = wrap(text, width)
    assert max(map(cell_len, lines)) <= max(width, 2)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_bar_grows_with_the_logarithm():
    """Equal factors are equal lengths; zero is empty; what is positive is never empty."""
    lengths = [len(log_bar(10.0**k, 10.0**k, (-6, 0), 12).rstrip()) for k in range(-6, 1)]
    assert lengths == [1, 2, 4, 6, 8, 10, 12]
    assert log_bar(0.0, 0.0, (-6, 0), 12).strip() == ""
    assert log_bar(math.nan, math.nan, (-6, 0), 4) == "!!!!"


def test_bar_of_a_linear_axis_would_differ():
    """Control: on a linear axis half the largest value would be half a bar."""
    assert log_position(0.5, (-6, 0)) > 0.9


def test_axis_holds_all_values():
    low, high = log_axis([3e-9, 40.0, 0.0, math.nan, math.inf])
    assert (low, high) == (-9, 2)


def test_share_hides_what_rounds_to_nothing():
    assert share(0.004) == ""


def test_unknown_encoding_is_drawn_plainly():
    assert signs_for("no-such-encoding").ascii


def rows(count: int, *, forward=lambda i: 1.0, name="blocks.{}.mlp", codes=lambda i: ()) -> list[Row]:
    return [
        Row(name.format(i), "linear", (4, 4), (forward(i), forward(i)), (1.0, 1.0), codes=codes(i), block=f"blocks.{i}")
        for i in range(count)
    ]


def test_like_rows_fold_into_one():
    (row,) = fold_like(rows(36))
    assert (row.name, row.count, row.forward) == ("blocks.0-35.mlp", 36, (1.0, 1.0))


def test_numbers_beyond_the_factor_do_not_fold():
    """1.2 folds, 1.3 does not."""
    assert len(fold_like(rows(2, forward=lambda i: 1.0 + 0.2 * i))) == 1
    assert len(fold_like(rows(2, forward=lambda i: 1.0 + 0.3 * i))) == 2


def test_all_of_a_group_are_within_the_factor():
    """Steps of 1.1 would chain without end if only neighbours were compared."""
    for row in fold_like(rows(40, forward=lambda i: 1.1**i)):
        assert row.forward is not None
        assert max(row.forward) <= 1.25 * min(row.forward)


def test_a_trend_is_shown_from_first_to_last():
    (row,) = fold_like(rows(3, forward=lambda i: 1.2 - 0.1 * i))
    assert row.forward == pytest.approx((1.2, 1.0))
    (row,) = fold_like(rows(3, forward=lambda i: (1.1, 1.0, 1.2)[i]))
    assert row.forward == (1.0, 1.2)


@pytest.mark.parametrize("odd", [0.0, math.nan, math.inf])
def test_zeros_and_nan_fold_only_among_themselves(odd):
    folded = fold_like(rows(6, forward=lambda i: odd if i >= 3 else 1.0))
    assert [row.count for row in folded] == [3, 3]


def test_rows_with_other_findings_do_not_share_a_line():
    folded = fold_like(rows(9, codes=lambda i: ("F101",) if i >= 6 else ()))
    assert [(row.count, row.codes) for row in folded] == [(6, ()), (3, ("F101",))]


def test_blocks_fold_whole():
    """A fold begins where a block begins, not in its middle."""
    block = [Row(f"b.{i}.{part}", "op", (4,), (1.0, 1.0), None) for i in range(6) for part in ("n", "q", "o")]
    first = Row("b.0.n", "op", (4,), (9.0, 9.0), None)
    names = [row.name for row in fold_like([first, *block[1:]])]
    assert names == ["b.0.n", "b.0.q", "b.0.o", "b.1-5.n", "b.1-5.q", "b.1-5.o"]


def test_merged_name_of_pairs():
    assert merged_name(["h.0.a.1", "h.2.a.1", "h.4.a.1"]) == "h.0..4.a.1"


def test_fold_rows_reaches_its_aim():
    unlike = [Row(f"x{'y' * i}", "op", (i,), (10.0**i, 10.0**i), None) for i in range(200)]
    folded = fold_rows(unlike, max_rows=20)
    assert len(folded) <= 20
    assert sum(row.count for row in folded) == 200
