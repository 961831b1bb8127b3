"""The figure `onset`: on results whose largest D_f crosses 0.15 at a known place."""

import numpy as np
import pytest
from cells import assert_on_page, cells
from made import gid, texts

from superpos_jax.studies.double_descent.figures.onset import applies, onset, onset_table

SIZES = [10, 20, 50, 100, 200, 500, 1000, 2000]
S = [0.9, 0.95, 0.98]
SEEDS = [0, 1, 2]
WEIGHTS = np.linspace(1.0, 0.05, 20)
"""D_f of the 20 features, as shares of the largest; shuffled in a model."""


def features(largest):
    return np.asarray(largest)[..., None] * np.random.default_rng(0).permutation(WEIGHTS)


def seen(at):
    """D_f = 0.15 where a feature is seen 8 m times; straight in log T."""
    return features(0.15 + 0.03 * (1 + at.seed) * np.log(at.T * (1 - at.S) / (8 * at.m / 2)))


def size(at):
    """D_f = 0.15 at T = 90, or 10 % later from one weight decay to the next."""
    place = 90 * np.where(at.weight_decay > 0.05, 1.1, 1.0)
    return features(0.15 + 0.02 * np.log(at.T / place) + 0 * at.seed)


def result(function=seen, axes=None, **options):
    axes = axes or {"T": SIZES, "S": S, "seed": SEEDS}
    return cells(axes, n=20, feature_dimensionality=function, **options)


def said(figure):
    return next(text for text in texts(figure) if text.startswith("Dots: the 10 largest"))


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_lines_collapse_in_T_times_one_minus_S():
    table = onset_table(result())
    rows = table[table["part"] == "onset"]
    assert sorted(rows["S"]) == S
    np.testing.assert_allclose(rows["seen"], 8, rtol=1e-6)
    np.testing.assert_allclose(rows["T"], 8 / (1 - rows["S"]), rtol=1e-6)
    np.testing.assert_allclose(rows[["min", "max"]].T, [rows["T"]] * 2, rtol=1e-6)
    text = said(onset(result()))
    assert "Onsets at T (1 − S) ≈ 8." in text
    assert "Largest over smallest: 1 in T (1 − S), 5 in T." in text


def test_lines_that_are_set_by_T_are_said_to_be():
    text = said(onset(result(lambda at: features(0.15 + 0.03 * np.log(at.T / 90) + 0 * at.S))))
    assert "Largest over smallest: 5 in T (1 − S), 1 in T." in text


def test_weight_decay_is_drawn_over_T():
    made = result(size, {"T": SIZES, "weight_decay": [0.01, 0.1], "seed": SEEDS})
    rows = onset_table(made).query("part == 'onset'").set_index("weight_decay")
    assert rows["T"].to_dict() == pytest.approx({0.01: 90, 0.1: 99})
    figure = onset(made)
    assert "Largest over smallest: 1.1 in T." in said(figure)
    for value, place in ((0.01, 90), (0.1, 99)):
        (line,) = gid(figure, f"line:{value:g}")
        np.testing.assert_allclose(line.get_xdata(), SIZES)
        assert place in [round(dot.get_xdata()[0], 6) for dot in gid(figure, "onset")]


def test_lines_are_medians_of_the_largest_and_dots_the_ten_largest():
    made = result()
    table = onset_table(made)
    largest = made.dataset["feature_dimensionality"].max("feature")
    for _, row in table[table["part"] == "largest"].iterrows():
        values = largest.sel(T=row["T"], S=row["S"]).values
        assert row["median"] == pytest.approx(np.median(values))
        assert (row["min"], row["max"]) == pytest.approx((values.min(), values.max()))
    dots = table[(table["part"] == "feature") & (table["T"] == 500) & (table["S"] == 0.95)]
    assert len(dots) == 10 * len(SEEDS)
    everything = made.dataset["feature_dimensionality"].sel(T=500, S=0.95)
    expected = [np.sort(everything.sel(seed=seed).values)[-3] for seed in SEEDS]
    assert sorted(dots.loc[dots["rank"] == 2, "D_f"]) == pytest.approx(sorted(expected))
    drawn = sum(len(points.get_offsets()) for points in gid(onset(made), "dots"))
    assert drawn == 10 * len(SEEDS) * len(SIZES) * len(S)


def test_a_rise_that_passes_again_is_no_onset():
    def twice(at):
        return features(np.where(at.T == 20, 0.4, 0.15 + 0.03 * np.log(at.T / 300)) + 0 * at.S)

    rows = onset_table(result(twice)).query("part == 'onset'")
    assert rows["T"].to_numpy() == pytest.approx(300)
    below = 0.03 * np.log(10 / 300)  # at T = 10, the swept T before 20
    first = 10 * 2 ** (below / (below - 0.25))
    assert rows["first"].to_numpy() == pytest.approx(first)
    figure = onset(result(twice))
    assert "first rise" in legend(figure)
    seen = sorted(ring.get_xdata()[0] for ring in gid(figure, "first"))
    assert seen == pytest.approx(sorted(first * (1 - value) for value in S))
    plain = onset(result())
    assert "first rise" not in legend(plain)
    assert not gid(plain, "first")


def test_onsets_outside_the_swept_T_point_there():
    def far(at):
        place = np.select([at.S < 0.91, at.S < 0.96], [1.0, 9999.0], 100.0)
        return features(0.15 + 0.01 * np.log(at.T / place) + 0 * at.seed)

    rows = onset_table(result(far)).query("part == 'onset'").set_index("S")
    assert rows["T"].to_dict() == pytest.approx({S[0]: 0, S[1]: np.inf, S[2]: 100})
    figure = onset(result(far))
    assert {mark.get_marker() for mark in gid(figure, "beyond")} == {"<", ">"}
    assert len(gid(figure, "onset")) == 1
    assert "no onset\nin swept T" in legend(figure)
    assert "over smallest" not in said(figure)
    none = onset(result(lambda at: features(0.1 + 0 * at.T * at.S)))
    assert "No line has its onset within the swept T." in said(none)


def test_dead_and_unfinished_runs_are_left_out():
    made = result(
        dead=lambda at: (at.T == 200) & (at.seed == 2),
        training=lambda at: (at.T == 50) & (at.S == 0.9) & (at.seed == 0),
    )
    table = onset_table(made)
    largest = made.dataset["feature_dimensionality"].max("feature")
    at = table[table["part"] == "largest"].set_index(["S", "T"])
    for place, seeds in (((0.95, 200), [0, 1]), ((0.9, 50), [1, 2])):
        values = largest.sel(S=place[0], T=place[1], seed=seeds)
        assert at.loc[place, "median"] == pytest.approx(float(values.median()))
    assert set(table.loc[table["part"] == "onset", "S"]) == {0.95, 0.98}
    figure = onset(made)
    text = said(figure)
    assert "1 run is unfinished and left out. 3 runs died or diverged: left out." in text
    assert sorted(gid(figure, "died")[0].get_xdata()) == pytest.approx([4, 10, 20])


def test_m_and_weight_decay_make_rows_and_columns():
    axes = {"weight_decay": [0.1, 0.01, 0.001], "m": [8, 4], "T": SIZES, "S": S}
    figure = onset(result(seen, axes))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    titles = [title.replace("\N{NO-BREAK SPACE}", " ") for title in titles if title]
    assert titles[:2] == ["m = 4, weight decay = 0.001", "m = 4, weight decay = 0.01"]
    assert titles[3:] == [f"m = 8, weight decay = {value}" for value in (0.001, 0.01, 0.1)]
    assert "T (1 − S) ≈ 16 (m = 4), 32 (m = 8)" in said(figure)
    assert_on_page(figure)


@pytest.mark.parametrize(
    "axes",
    [
        {"T": [10, 1000]},
        {"T": SIZES, "seed": range(9)},
        {"init_seed": [0, 1], "T": [1000, 10, 50], "m": [2, 3, 4, 5]},
        {"T": SIZES, "S": [0.9, 0.95, 0.98, 0.99, 0.995], "lr": [1e-3, 1e-2]},
    ],
)
def test_few_and_many_values_fit_the_page(axes):
    assert_on_page(onset(result(seen, axes)))


@pytest.mark.parametrize("which", ["dead", "training"])
def test_results_without_a_trained_cell_are_drawn(which):
    figure = onset(result(**{which: lambda at: True}))
    assert_on_page(figure)
    assert not gid(figure, "onset")


def test_applies_gives_the_reason():
    dataset = result().dataset
    assert applies(dataset) is None
    assert applies(dataset.isel(T=[0])) == ("onset needs a swept axis T; swept: S, seed")
    assert "feature_dimensionality" in applies(dataset.drop_vars("feature_dimensionality"))
    with pytest.raises(ValueError, match="onset needs"):
        onset_table(result(seen, {"S": S}))
