"""The figure `repeats`, on a boundary of memorization that is known beforehand."""

import numpy as np
import pytest
from cells import assert_on_page
from made import gid, texts
from traced import Traced

from superpos_jax import plots
from superpos_jax.studies.double_descent.figures import FIGURES, save

SIZES, TIMES = [100, 200, 400, 800, 1600], [1, 2, 4, 8, 16]
N = 100


def fill(cell):
    """Seed s memorizes the sample where R > 0.5 (1 + s/10) T/n."""
    held = cell.repeats > 0.5 * (1 + cell.seed / 10) * cell.T / N
    return {"repeated_rank": 0 if held else cell.T - 1}


def many(seeds=4, **more):
    axes = {"repeats": TIMES[::-1], "seed": list(range(seeds)), "T": SIZES}
    return Traced(axes, fill, n=N, **{"repeated": 1, **more})


def kind(table, name):
    return table[table["kind"] == name]


def test_shares_count_the_seeds_that_hold_the_sample():
    table = plots.repeats_table(many())
    cells = kind(table, "cell").set_index(["T", "repeats"])
    for (T, R), row in cells.iterrows():
        held = sum(0.5 * (1 + seed / 10) * T / N < R for seed in range(4))
        assert (row["held"], row["known"], row["runs"]) == (held, 4, 4)
        assert row["share"] == held / 4
        assert row["ratio"] == T / N
    assert len(cells) == 25


@pytest.mark.parametrize(
    ("T", "over", "held"), [(900, 0, 1), (900, 1, 0), (3000, 2, 1), (3000, 3, 0)]
)
def test_a_sample_is_held_among_the_largest_thousandth(T, over, held):
    def crowd(cell):
        return {"repeated_rank": over}

    result = Traced({"T": [500, T], "repeats": [1, 2]}, crowd, repeated=1)
    cells = kind(plots.repeats_table(result), "cell").set_index("T")
    assert set(cells.loc[T, "held"]) == {held}


def test_the_boundary_is_where_half_of_the_seeds_memorize():
    """All seeds turn between R = T/2n and R = T/n, so it lies at the geometric mean."""
    edge = kind(plots.repeats_table(many()), "boundary").set_index("T")
    for T in (200, 400, 800, 1600):
        ratio = T / N
        assert edge.loc[T, "repeats"] == pytest.approx(ratio / 2**0.5)
        assert edge.loc[T, "low"] == edge.loc[T, "high"] == pytest.approx(ratio / 2**0.5)
    assert edge.loc[100, "side"] == "below"
    assert np.isnan(edge.loc[100, "repeats"])


def test_the_fit_finds_the_exponent_and_the_reference_is_drawn():
    figure = plots.repeats(many())
    (row,) = kind(plots.repeats_table(many()), "fit").itertuples()
    assert row.exponent == pytest.approx(1.0)
    assert row.factor == pytest.approx(0.5 * 2**0.5)
    (line,), (reference,) = gid(figure, "fit"), gid(figure, "reference")
    np.testing.assert_allclose(line.get_xdata(), [2, 16])
    np.testing.assert_allclose(line.get_ydata(), [2**0.5, 16 / 2**0.5])
    x, y = reference.get_data()
    np.testing.assert_allclose(y, 0.4 * np.asarray(x))
    words = "For T/n ≥ 2 this R grows as (T/n)^a, a = 1.00 (1.00 to 1.00)."
    assert any(words in text for text in texts(figure))
    (dots,) = gid(figure, "cells")
    table = kind(plots.repeats_table(many()), "cell")
    np.testing.assert_allclose(dots.get_offsets(), table[["ratio", "repeats"]])
    np.testing.assert_allclose(dots.get_array(), table["share"])


def test_resampled_seeds_widen_the_boundary():
    """Half of the seeds turn at R = 2 to 4, the other half at R = 8 to 16."""

    def split(cell):
        held = cell.repeats > (3 if cell.seed % 2 else 12)
        return {"repeated_rank": 0 if held else 50}

    axes = {"T": [200, 400], "repeats": TIMES, "seed": list(range(8))}
    edge = kind(plots.repeats_table(Traced(axes, split, n=N, repeated=1)), "boundary")
    middle = edge["repeats"]
    stretched = 2.36 / 1.96 * (8 / 7) ** 0.5  # Student's t of 8 seeds
    for name, end in (("low", 8**0.5), ("high", 128**0.5)):
        np.testing.assert_allclose(edge[name], middle * (end / middle) ** stretched, rtol=0.1)
    one = kind(plots.repeats_table(Traced(axes, split, n=N, repeated=1), seed=3), "boundary")
    np.testing.assert_allclose(one["repeats"], 8**0.5)
    assert one["low"].isna().all()


def test_dead_unfinished_and_unknown_runs_are_not_counted():
    result = many(dead=[(0, slice(None), 0), (1, 0, 0)], training=[(1, 1, 0)])
    result.dataset["repeated_rank"][2, 2:] = -1
    table = plots.repeats_table(result)
    cells = kind(table, "cell").set_index(["T", "repeats"])
    assert np.isnan(cells.loc[(100, 16), "share"])
    assert cells.loc[(100, 8), ["died", "unfinished", "known"]].tolist() == [1, 1, 2]
    assert (cells.xs(4, level="repeats")["known"] == 2).all()
    figure = plots.repeats(result)
    (cross,) = gid(figure, "died")
    assert (cross.get_xdata().tolist(), cross.get_ydata().tolist()) == ([1], [16])
    assert any("1 run is unfinished" in text for text in texts(figure))
    assert any("5 runs died or diverged: left out." in text for text in texts(figure))
    empty = many(training=[(slice(None), slice(None), slice(None))])
    assert len(gid(plots.repeats(empty), "unknown")[0].get_xdata()) == 25


def test_without_three_boundaries_no_line_is_fitted():
    figure = plots.repeats(many(), T=[100, 200, 400])
    assert not gid(figure, "fit")
    assert any(
        "No line is fitted: fewer than 3 boundaries at T/n ≥ 2." in text for text in texts(figure)
    )
    assert any("At T/n = 1 it lies below the smallest R." in text for text in texts(figure))


def test_a_boundary_beyond_the_swept_repeats_bends_no_line():
    """With R up to 8 the boundary at T/n = 16 is unknown, not absent."""
    few = many().dataset.isel(repeats=[1, 2, 3, 4])
    result = many()
    result.dataset = few
    assert kind(plots.repeats_table(result), "fit").empty
    assert any(
        "a boundary beyond the swept R at T/n" in text for text in texts(plots.repeats(result))
    )


def test_applies_says_what_is_missing(tmp_path):
    applies = FIGURES["repeats"].applies
    older = many()
    older.dataset = older.dataset.drop_vars("repeated_rank")
    assert "needs repeated_rank, which this result does not hold" in applies(older.dataset)
    with pytest.raises(ValueError, match="needs repeated_rank"):
        save(older, FIGURES["repeats"], tmp_path)
    assert applies(many(repeated=2).dataset).endswith("needs repeated = 1, not 2")
    assert applies(many().dataset.isel(T=[0])).startswith("repeats needs two swept axes T and")
    assert applies(many().dataset) is None


@pytest.mark.parametrize("times", [[1, 2], list(range(1, 25))])
def test_everything_is_on_the_page(times):
    axes = {"T": [30, *SIZES], "repeats": times, "seed": [0, 1]}
    dead, training = [(0, 0)], [(1, 1)]
    result = Traced(axes, fill, n=N, repeated=1, dead=dead, training=training)
    assert_on_page(plots.repeats(result))
