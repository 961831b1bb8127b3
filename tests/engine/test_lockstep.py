"""Cells that a kernel computes all at once: the same training as block by block."""

import threading
from dataclasses import replace

import jax
import numpy as np
import pytest
from nonzeros import Sparse
from programs import build, compilations, difference, layout_of

from superpos_jax.engine import code
from superpos_jax.engine.code import ANY_STEP, code_for
from superpos_jax.engine.numerics import pinned
from superpos_jax.engine.plan import load_blocks, make_plan
from superpos_jax.engine.program import _tiles
from superpos_jax.engine.verdicts import ALIVE
from superpos_jax.errors import UserError
from superpos_jax.studies.double_descent import autoencoders
from superpos_jax.studies.double_descent.cell import Cell, Options
from superpos_jax.studies.double_descent.study import DoubleDescent

STUDY = Sparse(Options(n=40, test_samples=20, test_draws=3))
BASE = Cell(T=33, m=2, S=0.9, lr=1e-2, reduction=0.0, steps=20)
DEADLY = replace(BASE, T=20, lr=1e30)
CELLS = (
    BASE,
    replace(BASE, T=1, seed=3, steps=9),
    DEADLY,
    replace(BASE, T=50, seed=1, reduction=1.0),
    replace(BASE, T=7, S=0.95, data_seed=2),
)


@pytest.fixture
def by_kernel(monkeypatch):
    """The study has its kernel, or rather the plain counterpart, on a CPU."""
    monkeypatch.setattr(autoencoders, "backend", lambda platform: autoencoders.DENSE)


@pytest.mark.unoptimized
def test_the_training_is_that_of_the_walk_over_blocks(by_kernel, monkeypatch):
    """Cells of any T, one that ends early, one that dies; on two devices, and interrupted."""
    ours = build(STUDY, CELLS, devices=2)
    (group,) = ours.plan.groups
    assert group.layout.shapes.kernel
    halfway = ours.advance(ours.init(), 12)
    stored = ours.to_host(halfway)
    state = ours.advance(halfway, 20)
    measured = ours.finish(state)
    again = ours.advance(ours.from_host(stored), 20)
    assert not difference(ours.params(again), ours.params(state))

    monkeypatch.setattr(autoencoders, "backend", lambda platform: "")
    theirs = build(STUDY, CELLS)
    other = theirs.advance(theirs.init(), 20)
    expected = theirs.finish(other)
    assert measured.keys() == expected.keys()
    alive = measured["died_at"] == ALIVE
    assert alive.tolist() == [True, True, False, True, True]
    for name in ("died_at", "updates"):
        assert measured[name].tolist() == expected[name].tolist()
    for name, values in expected.items():
        ours_alive, theirs_alive = measured[name][alive], values[alive]
        np.testing.assert_allclose(ours_alive, theirs_alive, rtol=2e-5, atol=1e-6, err_msg=name)
    assert measured["updates"].tolist()[1] == 9
    for cell, params, plain in zip(CELLS, ours.params(state), theirs.params(other), strict=True):
        pairs = zip(STUDY.crop(cell, params), STUDY.crop(cell, plain), strict=True)
        for one, two in pairs if cell is not DEADLY else ():
            np.testing.assert_allclose(one, two, atol=2e-5)


@pytest.mark.unoptimized
def test_only_cells_at_a_step_are_measured(by_kernel):
    program = build(STUDY, CELLS[:2])
    state = program.advance(program.init(), 12)
    loss = program.evaluate(state, 12)["test_loss"]
    assert np.isnan(loss).tolist() == [False, True]
    every = program.evaluate(state, ANY_STEP)["test_loss"]
    assert every[0] == loss[0]
    assert np.isfinite(every).all()


def test_a_kernel_takes_full_batches_and_no_looks(by_kernel):
    class Watched(DoubleDescent):
        def look_every(self, cell):
            return 5

    class Noisy(DoubleDescent):
        def augment(self, cell, shapes, step, index, batch):
            return batch

    for study in (Watched, Noisy):
        with pytest.raises(UserError, match="a kernel takes a full batch, no looks"):
            layout_of(study(STUDY.options), BASE, "cpu")


def test_a_study_that_changes_the_loss_has_no_kernel(by_kernel):
    class Doubled(DoubleDescent):
        def loss_and_grad(self, *arguments):
            return super().loss_and_grad(*arguments)

    assert Doubled(STUDY.options).shapes(BASE, "gpu").kernel is None


def test_cells_in_lock_step_are_foreseen_to_take_as_long_as_the_longest(by_kernel):
    cells = [replace(BASE, steps=steps) for steps in (5, 70, 20)]
    plan = make_plan(STUDY, cells, 2, "cpu")
    assert sorted(plan.updates_per_device) == [20, 70]


def test_cells_of_one_hidden_size_share_code(by_kernel):
    cells = [replace(BASE, T=T, m=m) for m in (2, 3) for T in (3, 3_000)]
    layouts = [layout_of(STUDY, cell, "cpu") for cell in cells]
    assert layouts[0] == layouts[1] != layouts[2] == layouts[3]
    walked = layout_of(STUDY, replace(BASE, online=1), "cpu")
    large = layout_of(STUDY, replace(BASE, m=17), "cpu")
    assert (walked.shapes.kernel, large.shapes.kernel) == (None, None)


@pytest.mark.unoptimized
@pytest.mark.parametrize("cores", [1, 2])
def test_kernels_are_compiled_beside_each_other_and_nothing_twice(by_kernel, monkeypatch, cores):
    asked = {True: set(), False: set()}
    gradient = autoencoders.Autoencoders.loss_and_grad

    def watched(kernel, params, *arguments):
        in_main = threading.current_thread() is threading.main_thread()
        asked[in_main].add((params.W.shape, jax.config.jax_default_matmul_precision))
        return gradient(kernel, params, *arguments)

    monkeypatch.setattr(autoencoders.Autoencoders, "loss_and_grad", watched)
    monkeypatch.setattr(code, "affinity", lambda: [*range(cores)])
    code_for.cache_clear()
    cells = [BASE, replace(BASE, T=9), replace(BASE, m=3)]
    with pinned():
        program = build(STUDY, cells, devices=2)
        program.compile()
        with compilations() as compiled:
            state = program.advance(program.init(), 3)
            measured = program.evaluate(state, 3)
    assert not compiled
    assert np.isfinite(measured["train_loss"]).all()
    # The threads ask for what training asks for, else a kernel would be compiled for each.
    assert asked[True] == {((2, m, 256), "highest") for m in (2, 3)}
    assert asked[False] == (asked[True] if cores > 1 else set())


def test_a_process_has_the_tiles_of_its_cells(by_kernel):
    cells = [replace(BASE, T=T, m=m) for m in (2, 3) for T in (3, 40, 300)]
    plan = make_plan(STUDY, cells, 2, "cpu", processes=2)

    def tiles(part, places):
        for group in part.groups:
            table = _tiles(group, group.data)["train"]
            for device, slot in np.argwhere(group.slots >= 0).tolist():
                cell = int(places[group.slots[device, slot]])
                yield cell, [int(leaf[device, slot]) for leaf in table]

    whole = dict(tiles(plan, range(6)))
    parts = [dict(tiles(plan.part(i), plan.places(i))) for i in range(2)]
    assert parts[0] | parts[1] == whole
    assert min(map(len, parts)) > 0


@pytest.mark.unoptimized
def test_what_is_wrong_with_a_kernel_is_said_once(by_kernel, monkeypatch):
    def broken(kernel, *arguments):
        raise ValueError("no such instruction")

    monkeypatch.setattr(autoencoders.Autoencoders, "loss_and_grad", broken)
    code_for.cache_clear()
    with pytest.raises(ValueError, match="no such instruction"):
        build(STUDY, [BASE]).compile()


def test_a_gpu_without_kernels_says_what_is_missing():
    assert "pip install 'superpos_jax[cuda]'" in STUDY.hint("gpu")
    assert not STUDY.hint("cpu")


def test_one_kind_of_block_is_read_by_kernels_or_by_none(by_kernel):
    class Mixed(Sparse):
        def shapes(self, cell, platform):
            shapes = super().shapes(cell, platform)
            return shapes if cell.m > 1 else replace(shapes, kernel=None)

    plan = make_plan(Mixed(STUDY.options), [BASE, replace(BASE, m=1)], 1, "cpu")
    with pytest.raises(ValueError, match="with a kernel, and without"):
        load_blocks(plan=plan, study=STUDY)


def test_scratch_memory_grows_with_samples_and_spans(by_kernel):
    shapes = STUDY.shapes(BASE, "cpu")
    width = autoencoders.width(40)
    one, two = (shapes.kernel.work_bytes(shapes.size, [T]) for T in (2048, 2064))
    assert one == 4 * (5 * 2048 + 3 * width)
    assert two - one == 4 * (5 * 16 + 3 * width)


def test_blocks_of_kernels_are_in_the_memory_that_is_foreseen(by_kernel):
    kernel = STUDY.shapes(BASE, "cpu").kernel
    datasets = [*STUDY.datasets(replace(BASE, T=2_000)).values()]
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(kernel.pool(datasets)))
    assert held == pytest.approx(kernel.pool_bytes(datasets), rel=0.1)
