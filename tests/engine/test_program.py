"""What the engine promises: a cell does not notice its company, and one program trains them all.

Tiny cells of the study double_descent. Most tests share the programs compiled by the fixtures.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from nonzeros import Sparse
from programs import build, compilations, difference

from superpos_jax.engine import program as engine
from superpos_jax.engine.code import ANY_STEP
from superpos_jax.engine.verdicts import ALIVE
from superpos_jax.results.sweep import Sweep
from superpos_jax.studies.double_descent.cell import Cell, Options
from superpos_jax.training import job as train

STUDY = Sparse(Options(n=40, test_samples=36))
STOPS = (5, 12, 25, 40)
BASE = Cell(T=5, m=2, S=0.9, lr=1e-2, reduction=0.0, steps=40)
# In blocks of few rows m is 1 or 7, in those of many 9: three layouts are compiled.
CELLS = (
    replace(BASE, T=1, m=1, seed=3),
    replace(BASE, T=5, m=7, steps=12),
    replace(BASE, T=33, m=7, seed=1),
    replace(BASE, T=400, m=9, seed=2),
    replace(BASE, T=400, m=9, reduction=1.0, steps=25),
    replace(BASE, T=1, m=7, seed=3, reduction=1.0, lr=3e-2, steps=25),
    replace(BASE, T=33, m=7, S=0.92, reduction=1.0),
    replace(BASE, T=5, m=1, data_seed=7, weight_decay=0.1, steps=12),
    replace(BASE, T=400, m=9, reduction=1.0, eps=1e-6, steps=12),
    replace(BASE, T=33, m=1, init_seed=3, lr=1e-3, steps=25),
)
DEADLY = (replace(BASE, T=33, m=7, lr=1e30), replace(BASE, T=400, m=9, lr=1e30))
OTHERS = (
    *DEADLY,
    replace(BASE, T=34, m=7, seed=1),
    replace(BASE, T=2, m=7, lr=0.1),
    replace(BASE, T=450, m=9, seed=2, steps=31),
    replace(BASE, T=40, m=1, S=0.95),
)
ALONE = (3, 5)
NAMES = [
    f"T={cell.T},m={cell.m},{('sum', 'mean')[int(cell.reduction)]}"
    + (f",steps={cell.steps}" if cell.steps < 40 else "")
    for cell in CELLS
]


class Trained(NamedTuple):
    program: engine.Program
    params: list[list[Any]]
    """Parameters of every cell at each stop."""
    records: list[dict[str, np.ndarray]]
    """What `evaluate` says at each stop."""


def fit(cells, devices=1, study=STUDY):
    """Train cells to the last of their steps."""
    program = build(study, cells, devices)
    state, params, records = program.init(), [], []
    longest = max(cell.steps for cell in cells)
    for stop in (s for s in STOPS if s <= longest):
        state = program.advance(state, stop)
        params.append(program.params(state))
        records.append(program.evaluate(state, ANY_STEP))
    return Trained(program, params, records)


def story(trained, place, what, index=None):
    """What a run says about one of `CELLS` at each stop up to its end; where it sits in the run."""
    count = 1 + STOPS.index(CELLS[place if index is None else index].steps)
    if what == "params":
        return [at[place] for at in trained.params[:count]]
    return [{name: at[name][place] for name in at} for at in trained.records[:count]]


@pytest.fixture(scope="module")
def company():
    """All cells together, on two devices."""
    return fit(CELLS, devices=2)


@pytest.fixture(scope="module")
def extended():
    """The same cells and others, two of them deadly, in reverse order on one device."""
    return fit((*OTHERS, *CELLS)[::-1])


@pytest.fixture(scope="module")
def alone():
    """Some cells, each by itself."""
    return {i: fit([CELLS[i]]) for i in ALONE}


def test_cells_differ_and_learn(company):
    """Else all comparisons below would hold for nothing."""
    first, last = company.records[0], company.records[-1]
    assert len(set(last["W_norm"].tolist())) == len(CELLS)
    assert (last["train_loss"] < first["train_loss"]).all()


@pytest.mark.parametrize("what", ["params", "records"])
@pytest.mark.parametrize("index", range(len(CELLS)), ids=NAMES)
def test_other_cells_change_no_bit(company, extended, index, what):
    """Nor does another number of devices."""
    place = len(CELLS) - 1 - index
    assert difference(story(company, index, what), story(extended, place, what, index)) == {}


@pytest.mark.parametrize("what", ["params", "records"])
@pytest.mark.parametrize("index", ALONE, ids=[NAMES[i] for i in ALONE])
def test_a_cell_alone_is_the_cell_in_company(company, alone, index, what):
    mine = story(alone[index], 0, what, index)
    assert difference(story(company, index, what), mine) == {}


@pytest.mark.parametrize("index", range(len(CELLS)), ids=NAMES)
def test_a_finished_cell_stays_as_it_is(company, index):
    steps = CELLS[index].steps
    end = STOPS.index(steps)
    for stop in range(end + 1, len(STOPS)):
        assert difference(company.params[end][index], company.params[stop][index]) == {}
    updates = [int(record["updates"][index]) for record in company.records]
    assert updates == [min(stop, steps) for stop in STOPS]
    assert difference(company.params[0][index], company.params[1][index]) != {}


@pytest.mark.parametrize("deadly", DEADLY, ids=["T=33,m=7", "T=400,m=9"])
def test_a_dead_cell_stops_at_its_last_finite_parameters(extended, deadly):
    place = len(CELLS) + len(OTHERS) - 1 - OTHERS.index(deadly)
    records = [{k: v[place] for k, v in record.items()} for record in extended.records]
    died_at = int(records[-1]["died_at"])
    assert 0 <= died_at < STOPS[0]
    assert [int(record["updates"]) for record in records] == [died_at] * len(STOPS)
    assert [int(record["died_at"]) for record in records] == [died_at] * len(STOPS)
    for params in (at[place] for at in extended.params):
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
        assert difference(params, extended.params[0][place]) == {}


def test_chunk_lengths_do_not_matter(company):
    """Not even where cells finish inside a chunk."""
    states = []
    for stops in ((30,), (1, 3, 30)):
        state = company.program.init()
        for stop in stops:
            state = company.program.advance(state, stop)
        states.append(state)
    assert difference(*states) == {}


def test_a_state_outlives_its_training_and_its_measurement(company):
    state = company.program.init()
    first = company.program.advance(state, 1)
    company.program.evaluate(state, 0)
    assert difference(company.program.init(), state) == {}
    assert difference(first, company.program.advance(state, 1)) == {}


def test_two_devices_share_the_cells(company):
    for group in company.program.init():
        for leaf in jax.tree.leaves(group):
            assert leaf.shape[0] == 2
            assert {shard.device for shard in leaf.addressable_shards} == set(jax.devices()[:2])


def test_an_empty_slot_does_no_step(alone):
    """It would cost as much as a cell of few samples."""
    program = alone[ALONE[-1]].program  # in two slots, at least
    (state,) = program.advance(program.init(), 12)
    (group,) = program.plan.groups
    assert state.step[group.slots >= 0].tolist() == [12]
    assert state.step[group.slots < 0].tolist() == [0]
    assert state.died_at[group.slots < 0].tolist() == [ALIVE]  # it did not try


class ThreeBeside(Sparse):
    """The same cells, three of them at once."""

    def shapes(self, cell, platform):
        return replace(super().shapes(cell, platform), beside=3)


@pytest.mark.unoptimized
def test_cells_side_by_side_agree_with_one_by_one(company):
    """Three cells of a layout at once, which differ in T and in steps; one dies."""
    chosen = [i for i, cell in enumerate(CELLS) if cell.m == 1]
    deadly = replace(DEADLY[0], m=1)
    wide = fit([*(CELLS[i] for i in chosen), deadly], study=ThreeBeside(STUDY.options))
    assert {group.slots.shape for group in wide.program.plan.groups} == {(1, 6)}
    assert int(wide.records[-1]["died_at"][-1]) >= 0
    for place, index in enumerate(chosen):
        for stop in range(len(STOPS)):
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5),
                wide.params[stop][place],
                company.params[stop][index],
            )
            for name, values in wide.records[stop].items():
                expected = company.records[stop][name][index]
                np.testing.assert_allclose(values[place], expected, rtol=1e-4)


class Run(NamedTuple):
    result: Any
    program: engine.Program
    stops: list[int]
    compiled: list[str]


def run(axes):
    """Train a sweep the way a user does, and note what it took."""
    programs, stops = [], []

    class Watched(engine.Program):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            programs.append(self)

        def advance(self, state, stop):
            stops.append(stop)
            return super().advance(state, stop)

    cell = {"S": 0.9, "m": 2, "steps": 60}
    options = {"n": 40, "test_samples": 36}
    sweep = Sweep(study="nonzeros:Sparse", axes=axes, cell=cell, options=options)
    with pytest.MonkeyPatch.context() as patch, compilations() as compiled:
        patch.setattr(train, "Program", Watched)
        result = train.run(sweep, devices=2)
    (program,) = programs
    return Run(result, program, stops, compiled)


@pytest.fixture(scope="module")
def few():
    """Four cells, two of which die."""
    return run({"T": [5, 33], "lr": [0.01, 1e10]})


@pytest.mark.unoptimized
def test_one_compilation_a_program(few):
    assert len(set(np.diff(few.stops))) > 3
    assert few.stops[-1] == 60
    assert few.program.code.train_and_measure._cache_size() == 1


@pytest.mark.unoptimized
def test_many_cells_compile_what_few_do(few):
    assert len(few.compiled) >= 2
    many = run({"T": [5, 32, 33], "lr": [0.01, 0.02, 0.03], "seed": range(12)})
    assert len(many.program.plan.cells) == 108
    assert len(many.program.plan.groups) == len(few.program.plan.groups) == 1
    assert len(many.compiled) == 2  # init; advance and evaluate; all else was compiled before


@pytest.mark.unoptimized
def test_programs_of_one_study_that_differ_in_numbers_share_what_is_compiled():
    cells = [replace(BASE, T=T, lr=lr, seed=seed) for T, lr, seed in [(5, 0.1, 3), (7, 0.2, 4)]]
    programs = [build(STUDY, [cell]) for cell in cells]
    params = [p.params(p.advance(p.init(), 3))[0] for p in programs]
    assert difference(*params) != {}
    assert programs[0].code is programs[1].code
    assert programs[0].code.train_and_measure._cache_size() == 1
    assert build(STUDY, [replace(BASE, T=400)]).code is not programs[0].code


@pytest.mark.unoptimized
def test_result_names_the_dead(few):
    dead = few.result.dead()
    assert [(row["T"], row["lr"]) for row in dead] == [(5, 1e10), (33, 1e10)]
    data = few.result.dataset
    for row in dead:
        at = data.sel(T=row["T"], lr=row["lr"])
        assert row["verdict"] == "non-finite"
        assert 0 <= row["step"] < 60
        assert row["step"] == at.died_at
        assert np.isnan(at.train_loss)
        assert np.isnan(at.test_loss)
        assert np.isnan(at.W_norm)
        cell = few.result.cell(T=row["T"], lr=row["lr"])
        assert cell.W.shape == (2, 40)
        assert np.isfinite(cell.W).all()
        assert np.isfinite(cell.b).all()
        assert np.abs(cell.W).max() > 1e6
    alive = data.sel(lr=0.01)
    assert (alive.verdict == 0).all()
    assert (alive.died_at == -1).all()
    assert np.isfinite(alive.test_loss).all()


@pytest.mark.unoptimized
@pytest.mark.parametrize("layout", ["cpu", "gpu"])
def test_programs_lower_for_accelerators(layout):
    cells = [replace(BASE, T=T) for T in (5, 400)]
    program = build(STUDY, cells, 2, layout)
    state = program.init()
    traced = program.code.train_and_measure.trace(
        program.tables, state, np.int32(3), np.int32(ANY_STEP)
    )
    for chip in ("cuda", "tpu"):
        text = traced.lower(lowering_platforms=(chip,)).as_text()
        assert "stablehlo.while" in text


@pytest.mark.unoptimized
def test_the_layout_of_an_accelerator_trains_the_same_cells():
    """Blocks of 4,096 samples, all features in one tile, cells side by side."""
    cells = [replace(BASE, T=T, steps=5) for T in (5_000, 9_000)]
    programs = [build(STUDY, cells, 1, platform) for platform in ("cpu", "gpu")]
    ours, theirs = (p.evaluate(p.advance(p.init(), 5), step=5) for p in programs)
    assert np.isfinite(ours["train_loss"]).all()
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_allclose(theirs[name], values, rtol=1e-4, err_msg=name)


@pytest.mark.unoptimized
@pytest.mark.parametrize("devices", [1, 2])
def test_the_smallest_cell_is_one_of_the_plan(devices):
    """Of the first device; what it has beside its number is its own."""
    cells = [replace(BASE, T=T, seed=seed) for seed, T in enumerate([9, 20, 700, 300, 150, 400])]
    program = build(STUDY, cells, devices)
    state = program.init()
    number, params, memo = program.smallest(state)
    assert len(program.plan.groups) > 1
    first = np.concatenate([group.slots[0] for group in program.plan.groups])
    assert min(cells[i].T for i in first[first >= 0]) == cells[number].T
    assert not difference(params, program.params(state)[number])
    assert not difference(memo, program.memos(state)[number])
