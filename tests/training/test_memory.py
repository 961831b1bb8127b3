"""What memory a sweep takes, and how it is cut when that is too much."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from test_growth import same, sweep

import superpos_jax as sp
from superpos_jax.engine import memory
from superpos_jax.engine.memory import COPIES, ROW, RUNTIME, USABLE, peak, results, split
from superpos_jax.engine.plan import make_plan
from superpos_jax.engine.study import Trained
from superpos_jax.engine.verdicts import FINISHED
from superpos_jax.errors import UserError
from superpos_jax.training import job
from superpos_jax.training.estimate import describe

SWEEP = sp.Sweep(
    axes={"T": [3, 40], "seed": [0, 1]},
    cell={"S": 0.9, "steps": 3},
    options={"n": 30, "test_samples": 20},
)


def need_of(grid, cells, devices):
    """Bytes that training some cells of a grid together takes."""
    return peak(grid.study, make_plan(grid.study, cells, devices, "cpu"))


def test_peak_counts_state_and_samples():
    grid = SWEEP.grid()
    one = need_of(grid, grid.cells[:1], 1) - RUNTIME
    # 32 cells side by side, each W, b and two moments of both, 4 times over; two counters.
    state = 32 * (3 * 3 * 30 * 4 + 8) * 4
    blocks = 1 + 2  # of 16 training and test samples with their zeros
    entries = one - state
    assert entries == blocks * 2 * 16 * 30 * 4  # on host and device, 4 bytes each
    two = need_of(grid, grid.cells[:2], 1) - RUNTIME
    assert two - state == 2 * entries  # another seed: other data
    assert need_of(grid, grid.cells[:1], 3) > one + RUNTIME


def test_memory_of_hosts_is_counted_apart():
    """On hosts of their own it does not help that another process needs little."""
    arms = {"wide": {"m": 128, "T": 4}, "long": {"m": 2, "T": 128}}
    grid = sp.Sweep(arms=arms, axes={"seed": range(99)}, cell={"S": 0.9}, options={"n": 300}).grid()
    plan = make_plan(grid.study, grid.cells, 2, "cpu", processes=2)
    less, more = sorted(peak(grid.study, plan.part(i)) - RUNTIME for i in range(2))
    assert less < more
    assert peak(grid.study, plan, 2) == 2 * RUNTIME + less + more
    assert peak(grid.study, plan, 2, hosts=2) == 2 * RUNTIME + 2 * more


@pytest.mark.parametrize(
    ("platform", "processes", "advice"),
    [
        ("cpu", 1, "kept, or fewer --devices"),
        ("cpu", 2, "kept, or fewer --processes"),
        ("gpu", 1, "kept, or fewer --devices"),
        ("gpu", 2, "kept"),  # all devices are used, and fewer processes have less memory
    ],
)
def test_what_may_help_a_cell_that_does_not_fit_is_told(platform, processes, advice):
    grid = SWEEP.grid()
    with pytest.raises(UserError) as told:
        split(grid.study, grid.cells, 2, platform, room=1.0, processes=processes)
    assert str(told.value).endswith(f"less of their training and weights {advice}")


def test_the_time_foreseen_counts_what_is_measured_and_reported():
    def foreseen(seeds, steps=2000, data=None, **options):
        cell = {"T": 16, "m": 4, "S": 0.5, "steps": steps, **(data or {})}
        options = {"n": 16, "test_samples": 20, **options}
        grid = sp.Sweep(axes={"seed": range(seeds)}, cell=cell, options=options).grid()
        return int(describe(grid, devices=1)["time"].split()[1])

    few, many = foreseen(500), foreseen(4000)
    assert 6 * few < many < 10 * few
    assert foreseen(500, test_samples=20_000) > 3 * few
    assert foreseen(4000, steps=1) > 0  # each cell is reported
    shared, own = (foreseen(500, 1, data, test_samples=2000) for data in ({"data_seed": 0}, None))
    assert shared < 2 < 5 <= own  # a million samples are drawn


def test_cells_are_split_until_they_fit():
    grid = SWEEP.grid()
    whole = need_of(grid, grid.cells, 2)
    alone = max(need_of(grid, [cell], 2) for cell in grid.cells)
    (plan,) = split(grid.study, grid.cells, 2, "cpu", whole)
    assert plan.cells == grid.cells
    less = (alone + whole) / 2
    parts = split(grid.study, grid.cells, 2, "cpu", less)
    assert len(parts) > 1
    assert [cell for plan in parts for cell in plan.cells] == list(grid.cells)
    assert all(peak(grid.study, plan) <= less for plan in parts)
    with pytest.raises(sp.UserError, match=r"T=3.* alone needs about 768 MiB, .* and 691 MiB"):
        split(grid.study, grid.cells, 2, "cpu", USABLE * RUNTIME)


@pytest.mark.parametrize(
    "options",
    [
        {"trace_weights": True, "trace_dimensions": True, "history_points": 9},
        {"save_weights": False, "save_hidden": True, "report_samples": 7},
    ],
)
def test_results_are_counted_as_they_are_stored(options, monkeypatch):
    axes = {"T": [3, 40], "m": [2, 5]}
    grid = SWEEP.model_copy(update={"axes": axes, "options": SWEEP.options | options}).grid()
    study, cell = grid.study, grid.cells[-1]
    params = jax.tree.map(np.asarray, study.init(cell, study.shapes(cell, "cpu")))
    report, trace = study.report(cell, Trained(params, {})), study.trace(cell, params)
    arrays = [np.asarray(one.values) for one in report.values() if one.dims]
    arrays += [trace[name] for name in study.traces] * len(study.recorded(cell))
    expected = sum(array.size for array in arrays) * 4
    assert study.result_bytes(cell) == expected
    histories = 16 * len(study.recorded(cell))
    need = 4 * (COPIES * (expected + histories) + ROW)  # four cells, of which it is the largest
    assert results(study, grid.cells, "cpu") == need
    assert results(study, grid.cells, "cpu", processes=3) == 3 * need
    assert results(study, grid.cells, "gpu") == 0  # in the host's memory
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=need))
    with pytest.raises(sp.UserError, match=r"results of 4 cells .* of the host's"):
        results(study, grid.cells, "gpu")
    parts = [
        split(study, grid.cells, 1, "cpu", 2 * RUNTIME, for_results=need) for need in (0.0, 1e3)
    ]
    assert [[plan.cells for plan in plans] for plans in parts] == [[grid.cells]] * 2
    with pytest.raises(sp.UserError, match=r"1.0 GiB for the results of the sweep"):
        split(study, grid.cells, 1, "cpu", 2 * RUNTIME, for_results=2**30)


def test_results_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    large = sweep({"T": [3], "seed": list(range(3))})
    grid = large.grid()
    limit = need_of(grid, grid.cells, 1) / 2**30
    monkeypatch.setattr(memory, "results", lambda *_: float(2**30))
    with pytest.raises(sp.UserError, match=r"1\.0 GiB for the results of the sweep"):
        sp.run(large, out=tmp_path, limit=limit)
    with pytest.raises(sp.UserError, match=r"1\.0 GiB for the results of the sweep"):
        describe(large.grid(), limit=limit)


def test_several_programs_train_the_same_plane(tmp_path):
    plane = sweep({"T": [3, 40], "seed": [0, 1]})
    grid = plane.grid()
    whole = need_of(grid, grid.cells, 2)
    seen = []
    alone = max(need_of(grid, [cell], 2) for cell in grid.cells)
    kept = results(grid.study, grid.cells, "cpu")
    limit = ((alone + whole) / 2 + kept) / 2**30
    parts = len(split(grid.study, grid.cells, 2, "cpu", limit * 2**30, for_results=kept))
    result = sp.run(plane, out=tmp_path, limit=limit, progress=seen.append)
    assert parts > 1
    assert f"program {parts} of {parts}" in seen[-1].doing
    done = np.array([now.done for now in seen])
    assert (np.diff(done) >= 0).all()
    assert result.count(FINISHED) == 4
    same(result.dataset, sp.run(plane).dataset)


def test_every_machine_has_its_own_memory(monkeypatch):
    """Two with half of what is needed each train in one program what one of them could not."""
    plane = sweep({"T": [3, 40]})
    grid = plane.grid()
    need = need_of(grid, grid.cells, 1) + results(grid.study, grid.cells, "cpu")
    half = 0.51 * need / 2**30
    with pytest.raises(sp.UserError, match="alone needs"):
        sp.run(plane, limit=half)
    monkeypatch.setattr("superpos_jax.engine.collective.processes_per_host", lambda: 0.5)
    assert sp.run(plane, limit=half).count(FINISHED) == 2


def test_free_memory_is_bounded_by_the_machine():
    import jax
    import psutil

    free = memory.usable(jax.devices()) / USABLE
    assert 2**20 < free < 1.2 * psutil.virtual_memory().total


def test_planning_that_takes_long_says_so(monkeypatch, caplog):
    describe(SWEEP.grid())
    assert not caplog.text
    monkeypatch.setattr(job, "PLANNING", 10.0)
    describe(SWEEP.grid())
    assert "planning 4 cells takes about 40 s" in caplog.text
