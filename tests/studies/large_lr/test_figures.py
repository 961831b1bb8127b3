"""The figures: their tables are the seeds' medians, and what cannot be drawn says why."""

import copy

import numpy as np
import pytest
import xarray as xr

import superpos_jax as sp
from superpos_jax.engine.verdicts import DIVERGED
from superpos_jax.studies.large_lr.figures import FIGURES
from superpos_jax.studies.large_lr.figures.joint import joint_rates
from superpos_jax.studies.large_lr.figures.tandem import mean_ranks, tandem_table
from superpos_jax.studies.large_lr.figures.trends import (
    NEGLIGIBLE,
    against_limit,
    normalized,
    stable_rates,
)
from superpos_jax.studies.large_lr.statements import statistics

pytestmark = pytest.mark.unoptimized

OF_A_GRID = ("bundle", "groups", "joint", "representation", "pruned", "mechanism")


@pytest.fixture(scope="module")
def grid(small_grid):
    result = own_copy(small_grid)
    result.dataset["verdict"].loc[{"lr": 2.0, "rho": 0.95}] = DIVERGED
    result.dataset["verdict"].loc[{"lr": 1.0, "rho": 0.9, "seed": 2}] = DIVERGED
    return result


@pytest.fixture(scope="module")
def arms(small_arms):
    result = own_copy(small_arms)
    result.dataset["train_accuracy"][:] = 1.0
    return result


def own_copy(result):
    own = copy.copy(result)
    own.dataset = result.dataset.copy(deep=True)
    return own


@pytest.mark.parametrize("name", OF_A_GRID)
def test_figures_of_a_grid_are_drawn(grid, name, tmp_path):
    assert FIGURES[name].applies(grid.dataset) is None
    picture, numbers = sp.plots.save(grid, FIGURES[name], tmp_path)
    assert picture.stat().st_size > 10_000
    assert numbers.stat().st_size > 100


@pytest.mark.parametrize("name", sorted({*FIGURES} - {*OF_A_GRID}))
def test_other_figures_say_what_they_need(grid, name):
    assert name in FIGURES[name].applies(grid.dataset)


def test_medians_are_of_the_seeds_that_have_not_diverged(grid):
    table = FIGURES["groups"].table(grid)
    rows = table[(table["quantity"] == "unbiased_accuracy") & (table["rho"] == 0.9)]
    row = rows[rows["lr"] == 1.0].iloc[0]
    kept = grid.dataset["unbiased_accuracy"].sel(rho=0.9, lr=1.0, seed=[0, 1])
    assert row["median"] == pytest.approx(float(kept.median()))
    assert (row["died"], row["runs"]) == (1, 3)
    other = table[(table["rho"] == 0.95) & (table["quantity"] == "unbiased_accuracy")]
    assert other["median"].isna().tolist() == [False, False, False, True]
    assert (other["limit"] == 1.0).all()


def test_the_bundle_lies_between_0_and_1(grid):
    table = FIGURES["bundle"].table(grid, rho=[0.9])
    for _, rows in table.groupby("quantity"):
        raw, scaled = rows["raw_median"].to_numpy(), rows["median"].to_numpy()
        if raw.max() - raw.min() > NEGLIGIBLE:
            np.testing.assert_allclose(scaled, (raw - raw.min()) / (raw.max() - raw.min()))


def test_a_negligible_range_is_not_stretched(grid):
    table = FIGURES["groups"].table(grid, rho=[0.9]).assign(unconverged=0)
    table["median"] = 1 - 0.05 * NEGLIGIBLE * (table["lr"] == 2.0)
    assert np.ptp(normalized(table)["median"]) == pytest.approx(0.05)


@pytest.mark.parametrize(("lost", "most"), [("unconverged", 3), ("died", 2)])
def test_collapsed_networks_do_not_set_the_scale(grid, lost, most):
    table = FIGURES["groups"].table(grid, rho=[0.9]).assign(unconverged=0, died=0)
    assert (table["runs"] == 3).all()
    table[lost] = np.where(table["lr"] == 2.0, most, 0)
    table["median"] = table["lr"]
    assert normalized(table).groupby("lr")["median"].first().tolist() == pytest.approx(
        [0, 0.4 / 0.9, 1, (2 - 0.1) / 0.9]
    )


def test_rates_in_units_of_the_largest_stable_one_are_told(grid):
    table = against_limit(FIGURES["groups"].table(grid))
    np.testing.assert_allclose(table["lr"] * table["stable"], table["own_lr"])
    stable = table.groupby("rho")["stable"].first().to_dict()
    assert stable == {0.9: 2.0, 0.95: 1.0}  # where at most a quarter of the seeds died
    (told,) = stable_rates(table)
    assert told.replace("\xa0", " ") == "Largest stable rate: ρ = 0.9: 2; ρ = 0.95: 1."


def test_joint_rates_gain_a_margin_in_both(grid):
    table = FIGURES["groups"].table(grid, rho=[0.9]).assign(unconverged=0, died=0)
    values = {
        "unbiased_accuracy": [0.5, 0.5, 0.6, 0.54],
        "worst_group_accuracy": [0.1, 0.1, 0.2, 0.3],
    }
    for name, numbers in values.items():
        table.loc[table["quantity"] == name, "median"] = numbers
    assert joint_rates(table, tuple(values)) == [1.0]
    assert joint_rates(table.assign(died=table["runs"]), tuple(values)) == []


def test_knobs_are_ranked_at_their_best_value(arms):
    table = tandem_table(arms)
    ranks = mean_ranks(table, "oracle")
    assert sorted(ranks.index) == ["l1", "lr"]
    assert ranks["mean_rank"].sum() == pytest.approx(3)
    of_statement = statistics.rank_of("lr", "unbiased_accuracy")(arms.dataset)
    assert of_statement == pytest.approx(ranks.loc["lr", "mean_rank"])
    assert FIGURES["tandem"].draw(table).axes


def test_statistics_pair_the_seeds():
    values = np.array([[1.0, 2.0, 4.0], [2.0, 3.0, 4.0]])
    data = xr.Dataset({"x": (("seed", "lr"), values)}, {"seed": [0, 1], "lr": [0.1, 1.0, 2.0]})
    data["y"] = -data["x"]
    assert statistics.gain("x", 2.0, 0.1)(data) == pytest.approx(2.5)
    assert statistics.ratio("x", 2.0, 0.1)(data) == pytest.approx(8 / 3)
    assert statistics.more_gain("x", "y", 1.0, 0.1)(data) == pytest.approx(2.0)
    assert statistics.trend("x")(data) == pytest.approx(1)
    assert statistics.trend("y")(data) == pytest.approx(-1)
    assert statistics.below_best("y", 2.0)(data) == pytest.approx(-2.5)
    assert statistics.across("x", "y")(data) == pytest.approx(-1)
    assert statistics.joint_share(("x",), 0.1)(data) == 1
    assert statistics.joint_share(("x", "y"), 0.1)(data) == 0
