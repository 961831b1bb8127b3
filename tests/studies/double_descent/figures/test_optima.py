"""The figure `optima`: which solution wins, and where, on losses that are known by hand."""

import numpy as np
import pytest
from cells import assert_on_page, cells
from made import gid, texts

from superpos_jax.studies.double_descent.criteria import unsquash
from superpos_jax.studies.double_descent.figures.optima import KINDS, applies, optima, optima_table

SIZES = [10, 100, 1000]
AXES = {"T": SIZES, "lr": [0.01, 0.001], "init_seed": [0, 1, 2, 3]}


def regime(at):
    """Seed 0 memorizes, seed 1 is in the middle, 2 generalizes; 3 does so from T = 1,000 on."""
    return np.where(at.init_seed == 3, np.where(at.T == 1000, 2, 0), at.init_seed)


def train_loss(at):
    """Seed 2 passes seed 0 at T = 10 sqrt(10); the second lr is better by 0.1."""
    level = np.log10(at.T) / 4
    slope = np.select([at.init_seed == 0, at.init_seed == 2], [0, 0.375 - level], 0.5)
    return 0.2 + level + slope + 100 * at.lr / 10 + 0 * at.T


def held_out(at):
    """Falls below 1 at T = 500, for seed 2 at T = 50."""
    return unsquash(np.log(np.where(at.init_seed == 2, 50, 500) / at.T) + at.lr)


def result(axes=AXES, **options):
    functions = {"train_loss": train_loss, "test_loss": held_out, "regime": regime}
    return cells(axes, **{**functions, **options})


def said(figure):
    return next(text for text in texts(figure) if text.startswith("At every T"))


def test_the_lowest_training_loss_of_each_kind():
    made = result()
    table = optima_table(made).query("part == 'best' and split == 'regime'")
    kinds = list(KINDS["regime"])
    loss = made.dataset["train_loss"].values
    codes = made.dataset["regime"].values
    for _, row in table.iterrows():
        index = SIZES.index(row["T"])
        of = codes[index] == kinds.index(row["kind"])
        lowest = loss[index].min()
        assert row["cells"] == of.sum()
        assert row["train_loss"] == pytest.approx(loss[index][of].min())
        assert row["gap"] == pytest.approx(loss[index][of].min() - lowest)
        assert row["wins"] == (loss[index][of].min() == lowest)
        at = made.dataset.sel(T=row["T"], lr=row["lr"], init_seed=row["init_seed"])
        assert row["train_loss"] == float(at["train_loss"])
        assert row["test_loss"] == float(at["test_loss"])
        assert row["lr"] == 0.001


def test_the_crossover_is_interpolated_between_the_trained_T():
    rows = optima_table(result()).query("part == 'crossover'").set_index(["split", "kind"])
    best = rows.loc[("regime", "best")]
    assert best["T"] == pytest.approx(10**1.5)
    assert (best["below"], best["above"]) == (10, 100)
    # By regime 1 of 4 generalizes at T = 100 and 2 of 4 at T = 1,000, which is no majority.
    assert rows.loc[("regime", "usual"), "T"] == np.inf
    assert rows.loc[("test_loss", "usual"), "T"] == pytest.approx(500 * np.exp(0.01), rel=1e-6)


def test_the_caption_says_which_way_the_usual_training_fails():
    text = said(optima(result()))
    assert "The lowest loss generalizes from T ≈ 31.6 on, " in text
    assert "the usual training (lr = 0.01) not up to the largest T." in text
    assert "the middle is an optimization failure" in text
    early = result(regime=lambda at: np.where((at.lr == 0.01) | (at.T == 1000), 2, 0))
    text = said(optima(early))
    assert "(lr = 0.01) at every T." in text
    assert "misses the lowest loss, which does not generalize" in text
    assert "failure" not in text


def test_a_kind_that_is_missing_on_one_side_puts_the_crossover_halfway():
    made = result(regime=lambda at: np.where(at.T >= 100, 2, 0))
    rows = optima_table(made).query("part == 'crossover' and split == 'regime'")
    assert rows["T"].tolist() == pytest.approx([10**1.5] * 2)
    best = optima_table(made).query("part == 'best' and split == 'regime' and T == 10")
    assert best["train_loss"].isna().tolist() == [False, True, True]


def test_solutions_can_be_told_apart_by_test_loss():
    made = result()
    table = optima_table(made, split="test_loss")
    assert table["split"].iloc[0] == "test_loss"
    rows = table[(table["part"] == "best") & (table["split"] == "test_loss")]
    by = rows.set_index(["T", "kind"])["cells"]
    assert by[:, "test loss < 1"].to_dict() == {10: 0, 100: 2, 1000: 8}
    figure = optima(made, split="test_loss")
    assert gid(figure, "loss:test loss < 1")
    assert "The lowest loss generalizes from" in said(figure)
    with pytest.raises(ValueError, match=r"split is .* not 'loss'"):
        optima(made, split="loss")


def test_panels_show_losses_gaps_and_test_losses():
    made = result()
    table = optima_table(made).query("split == 'regime'")
    figure = optima(made)
    best = table[table["part"] == "best"].set_index("kind")
    for kind in KINDS["regime"]:
        (line,), (gap,) = gid(figure, f"loss:{kind}"), gid(figure, f"gap:{kind}")
        np.testing.assert_allclose(line.get_ydata(), best.loc[kind, "train_loss"])
        np.testing.assert_allclose(gap.get_ydata(), best.loc[kind, "gap"])
    (winner,), (usual,) = gid(figure, "winner"), gid(figure, "usual")
    wins = best[best["wins"].astype(bool)].sort_values("T")
    np.testing.assert_allclose(winner.get_ydata(), wins["test_loss"])
    first = made.dataset["test_loss"].sel(lr=0.01)
    np.testing.assert_allclose(usual.get_ydata(), first.median("init_seed"))
    (lowest,) = gid(figure, "lowest")
    np.testing.assert_allclose(lowest.get_ydata(), best.groupby("T")["train_loss"].min())
    marks = gid(figure, "crossover:best")
    assert len(marks) == 3
    assert marks[0].get_xdata()[0] == pytest.approx(10**1.5)
    assert not gid(figure, "crossover:usual")


def test_dead_runs_never_win_and_unfinished_sweeps_have_no_crossover():
    made = result(dead=lambda at: (at.init_seed == 0) & (at.lr == 0.001) & (at.T == 10))
    table = optima_table(made).query("split == 'regime' and part == 'best' and T == 10")
    assert table.set_index("kind").loc["memorizing", "cells"] == 3
    assert table.set_index("kind").loc["memorizing", "lr"] == 0.01
    assert "1 run died or diverged: left out." in said(optima(made))
    made = result(training=lambda at: (at.T == 1000) & (at.init_seed == 1))
    table = optima_table(made)
    assert "crossover" not in set(table["part"])
    text = said(optima(made))
    assert "2 runs are unfinished and left out." in text
    assert "The lowest loss generalizes" not in text


@pytest.mark.parametrize(
    "axes",
    [
        {"lr": [1e-3, 3e-3], "T": [1000, 10]},
        {"T": SIZES, "init_seed": [0, 2], "m": [2, 4], "data_seed": [0, 1]},
        {"reduction": [1.0, 0.0], **AXES, "init_seed": range(12), "T": range(10, 300, 20)},
    ],
)
def test_few_and_many_values_fit_the_page(axes):
    full = {"init_seed": 0, "data_seed": 0}
    made = result(
        axes,
        train_loss=lambda at: train_loss(_with(at, full)),
        test_loss=lambda at: held_out(_with(at, full)),
        regime=lambda at: regime(_with(at, full)) % 3,
    )
    assert_on_page(optima(made))


def _with(at, others):
    for name, value in others.items():
        if not hasattr(at, name):
            setattr(at, name, value)
    return at


@pytest.mark.parametrize("which", ["dead", "training"])
def test_results_without_a_trained_cell_are_drawn(which):
    figure = optima(result(**{which: lambda at: True}))
    assert_on_page(figure)
    assert not gid(figure, "crossover:best")


def test_applies_gives_the_reason():
    assert applies(result().dataset) is None
    alone = result().dataset.isel(lr=[0], init_seed=[0])
    assert applies(alone) == ("optima needs a swept axis lr, reduction or init_seed; swept: T")
    assert "a swept axis T" in applies(result().dataset.isel(T=[0]))
    assert "regime" in applies(result().dataset.drop_vars("regime"))
    with pytest.raises(ValueError, match="optima needs"):
        optima_table(result({"T": SIZES, "init_seed": [1]}))
