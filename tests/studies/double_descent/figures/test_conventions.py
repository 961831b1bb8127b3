"""The figure `conventions`: everything depends on n^reduction eps alone."""

import numpy as np
import pytest
from cells import assert_on_page, cells
from made import gid, texts

from superpos_jax.studies.double_descent.criteria import unsquash
from superpos_jax.studies.double_descent.figures.conventions import (
    applies,
    conventions,
    conventions_table,
    power,
)

SIZES = [10, 20, 50, 100, 200, 500, 1000]
EPS = [1e-9, 1e-8, 1e-6]
SEEDS = [0, 1, 2]


def scale(at):
    return 100.0**at.reduction * at.eps


def turn(at):
    """Where the test loss of a cell falls below 1."""
    return 60.0 * (scale(at) / 1e-8) ** -0.1


def loss(at):
    """Straight on the squashed scale in log T: it crosses 1 at `turn`, whatever the seed."""
    bump = np.where(turn(at) > 3 * at.T, 0.1, 1.0)
    return unsquash((5 + at.seed) * bump * np.log(turn(at) / at.T))


def result(axes=None, test_loss=loss, **options):
    axes = axes or {"T": SIZES, "eps": EPS, "reduction": [1.0, 0.0], "seed": SEEDS}
    functions = {
        "test_loss": test_loss,
        "W_norm": lambda at: 50 * np.exp(-(np.log(at.T / 50) ** 2)) + at.seed,
        "b_norm": lambda at: 9 + 0 * at.T + scale(at) ** 0.1,
    }
    return cells(axes, **functions, **options)


def test_the_effective_eps_is_in_units_of_the_summed_loss():
    table = conventions_table(result())
    mean = table[table["reduction"] == 1].groupby("eps")["effective_eps"].unique()
    assert [list(values) for values in mean] == [[1e-7], [1e-6], [1e-4]]
    rows = table[table["reduction"] == 0]
    assert (rows["eps"] == rows["effective_eps"]).all()


def test_the_default_eps_is_marked_under_both_losses():
    figure = conventions(result())
    assert sorted({line.get_xdata()[0] for line in gid(figure, "default")}) == [1e-8, 1e-6]
    assert {"sum", "mean"} <= set(texts(figure))
    alone = conventions(result({"T": SIZES, "eps": [1e-9, 1e-8], "reduction": [0.0]}))
    assert not gid(alone, "default")  # the mean's is beyond what is swept


def test_lines_are_the_medians_of_the_seeds():
    made = result()
    rows = conventions_table(made).query("part == 'line' and quantity == 'test_loss'")
    assert len(rows) == len(SIZES) * len(EPS) * 2
    for _, row in rows.iterrows():
        at = {"T": row["T"], "eps": row["eps"], "reduction": row["reduction"]}
        values = made.dataset["test_loss"].sel(at).values
        assert row["median"] == pytest.approx(np.median(values))
        assert (row["min"], row["max"]) == pytest.approx((values.min(), values.max()))


def test_the_transition_is_found_where_it_was_put():
    summary = conventions_table(result()).query("part == 'summary'")
    onset = summary[summary["quantity"] == "onset"]
    assert len(onset) == 2 * len(EPS)
    expected = 60.0 * (onset["effective_eps"] / 1e-8) ** -0.1
    for column in ("median", "T", "min", "max"):
        np.testing.assert_allclose(onset[column], expected, rtol=1e-6)
    for _, row in summary[summary["quantity"] == "peak"].iterrows():
        at = 60.0 * (row["effective_eps"] / 1e-8) ** -0.1
        assert row["median"] == min(size for size in SIZES if size >= at / 3)


def test_the_largest_norms_over_T():
    summary = conventions_table(result()).query("part == 'summary' and quantity == 'W_norm'")
    assert set(summary["T"]) == {50}
    assert summary["median"].to_numpy() == pytest.approx(51)
    assert summary[["min", "max"]].drop_duplicates().to_numpy().tolist() == [[50, 52]]


def test_norms_that_are_still_zero_are_drawn():
    made = result()
    made.dataset["b_norm"][...] = 0.0  # as after one step
    assert_on_page(conventions(made))


def test_a_transition_outside_the_swept_T_is_marked_as_such():
    def sunk(at):
        return np.where(at.eps == 1e-9, 1.005, 0.99) + 0 * at.T

    table = conventions_table(result(test_loss=sunk)).query("part == 'summary'")
    at = table.set_index(["quantity", "reduction", "eps"])["median"]
    assert at["onset", 0.0, 1e-9] == np.inf
    assert at["onset", 0.0, 1e-6] == 0
    assert at["peak"].isna().all()
    figure = conventions(result(test_loss=sunk))
    marks = {(line.get_marker(), len(line.get_xdata())) for line in gid(figure, "beyond")}
    assert marks == {("^", 1), ("v", 2)}
    assert "beyond the swept T" in texts(figure)


def test_mean_and_sum_coincide_where_they_share_the_effective_eps():
    axes = {"T": SIZES, "reduction": [0.0, 1.0], "eps": [1e-8, 1e-6], "seed": SEEDS}
    figure = conventions(result(axes))
    (mean,), (summed,) = gid(figure, "1:1e-06"), gid(figure, "0:1e-06")
    np.testing.assert_allclose(mean.get_ydata(), summed.get_ydata())
    assert mean.get_color() == summed.get_color()
    assert mean.get_linestyle() != summed.get_linestyle()
    (text,) = [text for text in texts(figure) if "in exact arithmetic" in text]
    assert "(7 points)" in text
    assert "less than 0.01 % at most" in text


def test_the_caption_tells_how_far_the_reductions_differ():
    def apart(at):
        return loss(at) * np.where((at.reduction == 1) & (at.T == 50), 1.25, 1.0)

    axes = {"T": SIZES, "reduction": [0.0, 1.0], "eps": [1e-8, 1e-6], "seed": SEEDS}
    assert any("by 25 % at most" in text for text in texts(conventions(result(axes, apart))))
    alone = {"T": SIZES, "eps": EPS}
    assert not any("both medians" in text for text in texts(conventions(result(alone))))


def test_dead_runs_are_left_out_and_unfinished_lines_not_summarised():
    made = result(
        dead=lambda at: (at.T == 20) & (at.seed == 1),
        training=lambda at: (at.T == 500) & (at.eps == 1e-8),
    )
    table = conventions_table(made)
    rows = table.query("part == 'line' and quantity == 'test_loss' and T == 20")
    assert set(rows["died"]) == {1}
    for _, row in rows.iterrows():
        at = {"T": 20, "eps": row["eps"], "reduction": row["reduction"], "seed": [0, 2]}
        assert row["median"] == pytest.approx(float(made.dataset["test_loss"].sel(at).median()))
    assert set(table.loc[table["part"] == "summary", "eps"]) == {1e-9, 1e-6}
    figure = conventions(made)
    said = " ".join(texts(figure))
    assert "18 runs are unfinished" not in said
    assert "6 runs are unfinished and drawn at the last recorded step. 6 runs died" in said
    assert len(gid(figure, "died")) == 1


@pytest.mark.parametrize(
    "axes",
    [
        {"T": SIZES, "eps": EPS},
        {"seed": range(9), "eps": [1e-8, 1e-6], "T": [1000, 10, 50], "lr": [1e-3, 1e-2, 3e-2]},
        {"reduction": [0.0, 0.5, 1.0], "T": [10, 1000], "seed": [0, 1], "m": [2, 4]},
        {"T": SIZES, "lr": [1e-3, 3e-3], "eps": 10.0 ** np.arange(-16, -2)},
    ],
)
def test_few_and_many_values_fit_the_page(axes):
    figure = conventions(result(axes))
    assert len(figure.axes) == 3 * len(axes.get("lr", [1]))
    assert_on_page(figure)


@pytest.mark.parametrize("which", ["dead", "training"])
def test_results_without_a_trained_cell_are_drawn(which):
    assert_on_page(conventions(result(**{which: lambda at: True})))


def test_applies_gives_the_reason():
    assert applies(result().dataset) is None
    lone = result({"T": SIZES, "seed": SEEDS}).dataset
    assert applies(lone) == ("conventions needs a swept axis eps or reduction; swept: T, seed")
    assert "a swept axis T" in applies(result({"eps": EPS}).dataset)
    assert "W_norm" in applies(result().dataset.drop_vars("W_norm"))
    with pytest.raises(ValueError, match="eps or reduction"):
        conventions_table(result({"T": SIZES}))


def test_powers_of_ten_are_written_as_such():
    assert [power(x) for x in (1e-11, 1e-5, 2.5e-6, 1.0)] == ["10⁻¹¹", "10⁻⁵", "2.5·10⁻⁶", "10⁰"]
