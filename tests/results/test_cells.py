"""Tables of cells: what is in a row, how tables are joined, what a grid shows of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from ridge import Ridge

import superpos_jax as sp
from superpos_jax.engine.study import Trained, Variable
from superpos_jax.engine.verdicts import ALIVE, DIVERGED, FINISHED, NON_FINITE, UNFINISHED
from superpos_jax.results.cells import cells_of, join, outcome_table, stack, take
from superpos_jax.results.reported import placed, reported
from superpos_jax.results.rows import Measured, make_table
from superpos_jax.results.view import describe, from_grid, to_grid

SWEEP = sp.Sweep(study="ridge:Ridge", axes={"T": [3, 5], "steps": [2, 4]})
GRID = SWEEP.grid()


class Weighing(Ridge):
    """Reports arrays of unequal length, of a type that is to be tested."""

    dtype = np.float32

    def report(self, cell, trained):
        of_cell = Variable(("sample",), np.ones(cell.T, self.dtype), {"units": "kg"})
        return {"weight": of_cell, "last": of_cell._replace(of_dead=True)}


def measured(cells, died_at=None, until=4):
    """Losses 10 * cell + step at steps 0, 1, ...; of `cells` cells of 2 and 4 updates."""
    updates = np.array([cell.steps for cell in cells])
    died = np.full(len(cells), -1) if died_at is None else np.array(died_at)
    values = Measured()
    for step in range(until + 1):
        loss = np.float32(10 * np.arange(len(cells)) + np.minimum(step, updates))
        now = {"train_loss": loss, "died_at": died, "updates": np.minimum(step, updates)}
        now["ended"] = np.full(len(cells), -1)
        values.add(step, now)
    return values


def table(cells=GRID.cells, verdict=FINISHED, run=0, study=GRID.study, died_at=None):
    reports = [study.report(cell, Trained(np.arange(24, dtype=np.float32), {})) for cell in cells]
    verdicts = np.full(len(cells), verdict)
    values = measured(cells, died_at)
    columns = reported(study, reports, values.died_at() != ALIVE)
    rows = make_table(study, cells, values, run, verdicts, columns)
    return describe(rows, SWEEP, GRID, [])


def test_a_row_has_the_numbers_of_its_cell():
    rows = table()
    assert rows["T"].values.tolist() == [3, 3, 5, 5]
    assert rows["lr"].values.tolist() == [0.1] * 4
    assert rows["T"].dtype == np.int64
    assert cells_of(rows, GRID.study) == list(GRID.cells)
    assert all(type(cell.T) is int for cell in cells_of(rows, GRID.study))


def test_a_shorter_cell_has_no_history_at_later_steps():
    history = table()["history_train_loss"]
    assert history.step.values.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(history[0], [0, 1, 2, np.nan, np.nan])
    np.testing.assert_array_equal(history[1], [10, 11, 12, 13, 14])


def test_later_rows_replace_earlier_ones_of_the_same_cell():
    old, new = table(GRID.cells[:3], DIVERGED), table(GRID.cells[2:], run=1)
    rows = join(old, new)
    assert cells_of(rows, GRID.study) == list(GRID.cells)
    assert rows["run"].values.tolist() == [0, 0, 1, 1]
    assert rows["verdict"].values.tolist() == [DIVERGED] * 2 + [FINISHED] * 2
    assert rows.attrs == old.attrs
    xr.testing.assert_identical(take(rows, [2, 3]), new.assign_attrs(old.attrs))


def test_ragged_tables_are_padded_with_missing_values():
    study = Weighing(GRID.study.options)
    study.dtype = np.int16
    short, long = table(GRID.cells[:1], study=study), table(GRID.cells[2:], study=study)
    rows = join(short.isel(step=slice(3)), long, outcome_table(study, GRID.cells[1:2]))
    assert rows["weight"].values.tolist() == [[1, 1, 1, -1, -1], [1] * 5, [1] * 5, [-1] * 5]
    assert rows["weight"].attrs == {"units": "kg"}
    assert rows["history_train_loss"].shape == (4, 5)
    assert np.isnan(rows["history_train_loss"].values[0, 3:]).all()
    assert rows["verdict"].values.tolist() == [FINISHED] * 3 + [UNFINISHED]
    assert rows["train_loss"].dtype == np.float32


@pytest.mark.parametrize(
    "dtype", [np.bool_, np.uint8, np.uint64, np.int16, np.float32, np.complex64]
)
def test_of_a_dead_cell_stays_what_outlives_it(dtype):
    study = Weighing(GRID.study.options)
    study.dtype = dtype
    rows = table(GRID.cells[:2], NON_FINITE, study=study, died_at=[1, -1])
    np.testing.assert_array_equal(rows["weight"][1], [1, 1, 1])
    np.testing.assert_array_equal(rows["last"][0], [1, 1, 1])
    blank = rows["weight"].values[0]
    assert (np.isnan(blank) if blank.dtype.kind in "fc" else blank < 0).all()
    assert np.isnan(rows["train_loss"].values[0])


def test_columns_of_shares_come_to_the_places_of_their_cells():
    first = {"x": (("k",), np.float32([[1, 2], [3, 4]]), {"units": "1"})}
    second = {"x": (("k",), np.float64([[5], [6]]), {}), "count": ((), np.array([7, 8]), {})}
    columns = placed([(range(0, 5, 3), first), (range(1, 5, 3), second)], 5)
    dims, values, attrs = columns["x"]
    assert (dims, attrs, values.dtype) == (("k",), {"units": "1"}, np.float64)
    nan = np.nan
    np.testing.assert_array_equal(values, [[1, 2], [5, nan], [nan, nan], [3, 4], [6, nan]])
    assert columns["count"][1].tolist() == [-1, 7, -1, -1, 8]
    assert placed([(range(0), {})], 0) == {}
    with pytest.raises(sp.UserError, match=r"x has the dims \('k',\) in one cell, \(\) in another"):
        placed([([0], first), ([1], {"x": ((), np.ones(1), {})})], 2)


def test_numbers_of_several_kinds_have_one_that_holds_what_is_missing():
    reports = [{"x": Variable((), 3, {})}, {"x": Variable((), 2.5, {})}, {}]
    _, values, _ = reported(GRID.study, reports, np.zeros(3, bool))["x"]
    np.testing.assert_array_equal(values, [3, 2.5, np.nan])


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (None, "a NoneType; allowed: a dict of Variables by name"),
        ({"": Variable((), 1.0, {})}, "'' is not a name; allowed: letters, digits and _"),
        ({"a/b": Variable((), 1.0, {})}, "'a/b' is not a name"),
        ({"x": Variable((), "word", {})}, "x holds str128; allowed: numbers"),
        (
            {"x": Variable((), 1, {"flag_meanings": "a b", "flag_values": 1})},
            "has 2 words; allowed",
        ),
        ({"x": Variable(("k",), 1.0, {})}, "x is an array of 0 dimensions, its dims are"),
        ({"x": Variable((), 1.0, {"of": {1}})}, r"attrs\['of'\] is a set; allowed: text"),
        ({"x": Variable("k", np.ones(1), {})}, "its dims are 'k'; allowed: a tuple"),
        ({"x": Variable(("k", "k"), np.ones((2, 2)), {})}, "other names than 'k'"),
        ({"x": Variable(("lr",), np.ones(2), {})}, "other names than 'lr'"),
        ({"x": Variable(("step",), np.ones(2), {})}, "other names than 'step'"),
        ({"x": Variable(("arm",), np.ones(2), {})}, "other names than 'arm'"),
        ({"x": Variable(("x",), np.ones(2), {})}, "other names than 'x'"),
    ],
)
def test_a_report_that_no_result_can_hold_is_refused(report, words):
    with pytest.raises(sp.UserError, match=words):
        reported(GRID.study, [report], np.zeros(1, bool))


def test_a_report_under_the_name_of_a_number_is_refused():
    class Clashing(Ridge):
        def report(self, cell, trained):
            return {"lr": Variable((), np.float32(1), {})}

    with pytest.raises(sp.UserError, match=r"study Clashing: report: 'lr' is a number of the cell"):
        table(study=Clashing(GRID.study.options))


def test_a_grid_shows_its_cells_and_hides_others():
    rows = table()
    whole = to_grid(rows, GRID)
    assert whole["train_loss"].dims == ("T", "steps")
    one = sp.Sweep(study="ridge:Ridge", axes={"T": [5, 7]}, cell={"steps": 2}).grid()
    shown = to_grid(rows, one)
    assert shown["verdict"].values.tolist() == [FINISHED, UNFINISHED]
    assert shown["step"].values.tolist() == [0, 1, 2]
    xr.testing.assert_equal(
        shown["train_loss"].sel(T=5, drop=True), whole["train_loss"].sel(T=5, steps=2, drop=True)
    )


def test_a_grid_without_rows_is_unfinished():
    shown = to_grid(describe(outcome_table(GRID.study, ()), SWEEP, GRID, []), GRID)
    assert (shown["verdict"] == UNFINISHED).all()
    assert shown["verdict"].shape == GRID.shape
    assert set(shown.data_vars) == {"verdict", "died_at", "run"}
    assert from_grid(shown, GRID).sizes["cell"] == 0


def test_the_last_retry_that_ended_stands_in_the_place_of_a_failed_cell():
    failed, other = GRID.cells[0], GRID.cells[1]
    again = [replace(failed, lr=lr) for lr in (1e-2, 1e-3, 1e-4)]
    rows = join(
        table([failed, other], NON_FINITE),
        table(again[:1], DIVERGED, run=1),
        table(again[1:2], run=2),
        table(again[2:], UNFINISHED, run=3),
        table([replace(GRID.cells[2], lr=1e-2)], run=4),
    )
    rows.attrs["retries"] = json.dumps([{"lr": 1e-2}, {"lr": 1e-3}, {"lr": 1e-4}])
    shown = to_grid(rows, GRID)
    assert shown["run"].values.tolist() == [[2, 0], [-1, -1]]  # one without a row was not retried
    np.testing.assert_array_equal(shown["retry_lr"], [[1e-3, np.nan], [np.nan, np.nan]])
    xr.testing.assert_identical(to_grid(from_grid(shown, GRID), GRID), shown)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_first_cell_does_not_choose_the_type(order):
    """Whole numbers beside fractions, and a short text beside a long one."""
    numbers, texts = [np.int64(1), np.float64(2.5)], [np.array("a"), np.array("hello")]
    assert stack([np.asarray(numbers[i]) for i in order]).tolist() == [(1, 2.5)[i] for i in order]
    assert stack([texts[i] for i in order]).tolist() == [("a", "hello")[i] for i in order]
