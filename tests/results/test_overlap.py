"""Cells that several results hold are compared, whatever they are called there."""

import numpy as np
import pytest

import superpos_jax as sp
from superpos_jax.engine.verdicts import FINISHED, UNFINISHED
from superpos_jax.results import cells, store, view
from superpos_jax.results.overlap import overlaps
from superpos_jax.studies.double_descent import DoubleDescent
from superpos_jax.text import NBSP

RUN = {"started": "2026-11-22T07:12", "commit": "83d599be7e6e"}


@pytest.fixture
def kept(tmp_path):
    """Write a result that holds, of each cell, T + its seeds as test loss; its path."""

    def write(name, axes, options=None, change=None, **cell):
        sweep = sp.Sweep(name=name, axes=axes, cell=cell, options={"n": 50} | (options or {}))
        grid = sweep.grid()
        table = cells.outcome_table(grid.study, grid.cells, FINISHED)
        loss = np.array([cell.T + 2.0 * cell.data_key + cell.init_key for cell in grid.cells])
        history = np.stack([loss, loss], axis=1)
        table = table.assign_coords(step=[0, 10]).assign(
            test_loss=("cell", loss), history_test_loss=(("cell", "step"), history)
        )
        table["run"][:] = 0
        if change:
            change(table)
        store.write_table(view.describe(table, sweep, grid, [RUN, RUN]), tmp_path / name)
        return tmp_path / name

    return write


def test_equal_cells_are_found_under_other_names(kept):
    one = kept("one", {"T": [3, 5], "seed": range(3)})
    other = kept("other", {"T": [5, 9], "init_seed": range(3)}, {"save_hidden": True}, data_seed=1)
    apart = kept("apart", {"T": [3, 5]}, {"n": 60})
    (pair,) = overlaps([one, other, apart])
    assert (pair.first, pair.second) == (str(one), str(other))
    assert (pair.cells, pair.differing, pair.largest, pair.trained) == (1, 0, "", "")


@pytest.mark.parametrize(
    ("options", "compared"), [({"test_draws": 4}, {"history"}), ({"test_samples": 9}, set())]
)
def test_losses_of_other_test_samples_are_not_compared(kept, options, compared):
    """Neither the mean over more draws, nor what the data alone give of them."""

    def change(table):
        table["test_loss"] += 1.0
        table["zero_test_loss"] = table["test_loss"] * 0

    def history(table):
        table["history_test_loss"] += 1.0

    def both(table):
        change(table)
        history(table)

    one = kept("one", {"T": [3, 5]})
    more = kept("more", {"T": [3, 5]}, options, change)
    (pair,) = overlaps([one, more])
    assert (pair.cells, pair.differing) == (2, 0)
    other = kept("other", {"T": [3, 5]}, options, both)
    assert overlaps([one, other])[0].differing == (2 if compared else 0)


def test_data_that_are_not_here_are_not_asked_for(kept, monkeypatch):
    """A corpus of text, where both results have the same options."""
    results = [kept(name, {"T": [3, 5]}) for name in ("one", "other")]
    monkeypatch.setattr(DoubleDescent, "datasets", None)
    assert overlaps(results)[0].differing == 0


def test_a_number_that_differs_is_told(kept, superpos):
    def change(table):
        table["history_test_loss"][1, 1] += 1e-9
        table["test_loss"][2] = 7.5
        table["verdict"][3] = UNFINISHED

    one = kept("one", {"T": [3, 5], "seed": range(2)})
    other = kept("other", {"T": [3, 5], "seed": range(2)}, change=change)
    (pair,) = overlaps([one, other])
    assert (pair.cells, pair.differing) == (3, 2)
    assert pair.largest.startswith("test_loss 5 and 7.5, T")
    assert pair.trained == "83d599be7e6e (2026-11-22) and 83d599be7e6e (2026-11-22)"
    code, out, _ = superpos("compare", one, other)
    assert code == 1
    assert "test_loss 5 and 7.5, T = 5, seed = 0" in out
    assert (
        "3 cells are in two results, 2 of them with other numbers: in 1 of 1 pair of results."
        in out
    )
    code, _, err = superpos("compare", one, one)
    assert (code, err) == (2, "superpos: compare: one result; give two or more\n")


def test_cells_of_two_platforms_are_told_apart(kept, superpos, monkeypatch):
    """Nobody promises a GPU the bits of a CPU."""

    def change(table):
        table["test_loss"][2] = 7.5

    one = kept("one", {"T": [3, 5], "seed": range(2)})
    monkeypatch.setitem(RUN, "device", "gpu: NVIDIA H100")
    other = kept("other", {"T": [3, 5], "seed": range(2)}, change=change)
    (pair,) = overlaps([one, other])
    assert (pair.differing, pair.elsewhere, pair.strange) == (1, 1, 0)
    code, out, _ = superpos("compare", one, other)
    assert code == 0
    assert "1 of these were trained on two platforms." in out


def test_what_one_result_does_not_have_is_no_difference(kept):
    def older(table):
        table["test_loss"][0] = np.nan
        del table["history_test_loss"]

    one = kept("one", {"T": [3, 5]})
    (pair,) = overlaps([one, kept("other", {"T": [3, 5]}, change=older)])
    assert (pair.cells, pair.differing) == (2, 0)


@pytest.mark.parametrize(
    ("other", "differing", "largest"),
    [
        ([5.0, np.inf, 7.0], 0, ""),
        ([np.nan, np.inf, np.nan], 0, ""),
        (
            [5.0, np.inf, np.nextafter(np.float32(7), np.float32(8))],
            1,
            "test_loss 7 and 7.00000048, T = 9",
        ),
        ([5.5, np.inf, 6.0], 2, "test_loss 7 and 6, T = 9"),
        ([5.0, 1.0, 7.5], 2, "test_loss inf and 1, T = 5"),
    ],
)
def test_numbers_are_compared_to_the_last_digit(kept, other, differing, largest):
    def holds(losses):
        return lambda table: table["test_loss"].values.__setitem__(slice(None), losses)

    axes = {"T": [3, 5, 9]}
    results = [
        kept(name, axes, change=holds(losses))
        for name, losses in (("one", [5.0, np.inf, 7.0]), ("other", other))
    ]
    (pair,) = overlaps(results)
    assert (pair.differing, pair.largest.replace(NBSP, " ")) == (differing, largest)


def test_arrays_and_runs_are_not_compared(kept):
    def archived(table, value):
        table["w"] = (("cell", "feature"), np.full((2, 3), value))  # in five digits, or a part
        table["run"][:] = int(value)

    def later(table):
        archived(table, 1.0)
        table["history_test_loss"][1, 1] = 0.5

    axes = {"T": [3, 5]}
    one = kept("one", axes, change=lambda table: archived(table, 0.0))
    pairs = overlaps([one, kept("two", axes, change=lambda table: archived(table, 1.0))])
    assert [pair.differing for pair in pairs] == [0]
    (pair,) = overlaps([one, kept("three", axes, change=later)])
    assert (pair.differing, pair.largest.split(",")[0]) == (1, "history_test_loss by 4.5")


def test_histories_are_compared_at_the_steps_of_both(kept):
    def other_steps(table):
        table["step"] = [0, 20]
        table["history_test_loss"][:, 1] = 9

    axes = {"T": [3, 5]}
    (pair,) = overlaps([kept("one", axes), kept("other", axes, change=other_steps)])
    assert (pair.cells, pair.differing) == (2, 0)
