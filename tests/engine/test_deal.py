"""Who trains which cells: by work, and a group by one process where that costs no time."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import difference
from ridge import Regression, Ridge

from superpos_jax.engine.code import make_mesh
from superpos_jax.engine.deal import WORTH, deal, owners
from superpos_jax.engine.plan import make_plan
from superpos_jax.engine.program import Program, choose, merged
from superpos_jax.results.sweep import load_sweep

number = st.integers
cell = st.tuples(number(1, 50), number(1, 4), number(0, 3))
dealt = st.tuples(st.lists(cell, min_size=1, max_size=30), number(1, 3), number(1, 2))


def waited(owner, work, updates, devices):
    """Operations one after another, update by update: the busiest device keeps all waiting."""
    total = 0
    for update in range(updates.max()):
        going = updates > update
        total += np.bincount(owner[going], work[going], devices).max()
    return total


@given(dealt)
@settings(max_examples=200, deadline=None)
def test_whole_groups_cost_no_time(case):
    cells, processes, each = case
    work, updates, group = np.array(cells).T
    devices = processes * each
    owner = owners(work, updates, group, devices, processes)
    assert set(owner) <= {*range(devices)}
    evenly = deal(work * updates, devices)
    assert waited(owner, work, updates, devices) <= (WORTH + 1e-9) * waited(
        evenly, work, updates, devices
    )
    if processes == 1:
        assert owner.tolist() == evenly.tolist()


@pytest.mark.parametrize(
    ("cells", "split"),
    [
        ([(3, 8, 0)] * 5 + [(1, 8, 1)] * 15, set()),  # both groups are half of the work
        ([(3, 8, 0)] * 5 + [(1, 8, 1)] * 25, {1}),  # the larger one is too much for one
        ([(3, 8, 0)] * 4 + [(1, 96, 1)], set()),  # the second trains on alone, split or not
        ([(16, 2, 0)] * 6 + [(1, 32, 1)] * 6, {0, 1}),  # one would wait at first, then the other
        ([(10, 8, 0)] * 3 + [(1, 8, 1)] * 20, {0, 1}),  # three large ones cannot be halved
    ],
)
def test_a_group_is_split_where_it_has_to_be(cells, split):
    work, updates, group = np.array(cells).T
    owner = owners(work, updates, group, 2, 2)
    assert {g for g in set(group) if len(set(owner[group == g])) > 1} == split


def test_each_process_compiles_half_of_the_quickstart():
    grid = load_sweep("quickstart").grid()
    plan = make_plan(grid.study, grid.cells, 2, "cpu", processes=2)
    assert [len(plan.part(i).groups) for i in range(2)] == [4, 4]
    assert len(plan.groups) == 8
    assert plan.per_device.max() <= WORTH * plan.per_device.mean()


def parts_of(plan, study):
    """The program of each process, each on a device of its own."""
    return [
        Program(study, plan.part(i), make_mesh([jax.devices()[i % len(jax.devices())]]))
        for i in range(plan.processes)
    ]


@pytest.mark.parametrize("processes", [2, 4])
def test_parts_hold_what_one_program_holds(processes):
    """The state at step 3, put together and taken apart; of four processes some have no cell."""
    study = Ridge(Ridge.Options())
    cells = [Regression(T=T, width=width, steps=5) for T in (3, 30) for width in (4, 20)][:3]
    alone = Program(study, make_plan(study, cells, 1, "cpu"), make_mesh(jax.devices()[:1]))
    whole = alone.to_host(alone.advance(alone.init(), 3))
    plan = make_plan(study, cells, processes, "cpu", processes)
    assert sum(len(plan.places(i)) == 0 for i in range(processes)) == (processes == 4)
    programs = parts_of(plan, study)
    states = [own.advance(own.init(), 3) for own in programs]
    stored = merged(plan, [own.to_host(state) for own, state in zip(programs, states, strict=True)])
    assert difference(stored, whole) == {}
    end = alone.evaluate(alone.advance(alone.from_host(whole), 5), 5)
    for i, own in enumerate(programs):
        again = own.from_host(choose(stored, study, "cpu", cells, own.plan.cells))
        measured = own.evaluate(own.advance(again, 5), 5)
        assert set(measured) == (set(end) if own.plan.cells else set())
        for name, values in measured.items():
            np.testing.assert_array_equal(values, end[name][plan.places(i)])
        assert own.finish(again).keys() == measured.keys()
        assert (own.smallest(again) is None) == (not own.plan.cells)
