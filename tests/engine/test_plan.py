"""Packing, on a study of small integers whose blocks carry the name of what they hold."""

from dataclasses import dataclass, replace
from itertools import product
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nonzeros import Sparse
from programs import layout_of

from superpos_jax.engine.layout import SAFE_ROWS, Layout
from superpos_jax.engine.plan import MIN_SLOTS, load_blocks, make_plan
from superpos_jax.engine.program import _stack
from superpos_jax.engine.study import DataSet, Fresh, FullBatch, Minibatch, Shapes
from superpos_jax.studies.double_descent.cell import Cell, Options
from superpos_jax.studies.double_descent.study import DoubleDescent

NAMES = ("train", "test")
TEST_SAMPLES = 7


@dataclass(frozen=True)
class Small:
    T: int
    m: int
    seed: int
    steps: int


class Toy:
    """What `make_plan` asks of a study. A block holds (kind, seed, its place in the stream) in
    each of its columns, all of them positive.
    """

    def shapes(self, cell, platform):
        block = (3 if cell.T < 10 else 8, 2 + cell.m // 3)
        even = cell.m + cell.m % 2
        return Shapes(even, block, row_cost=1.0 + even, beside=1)

    def feed(self, cell):
        return FullBatch()

    def look_every(self, cell):
        return 0

    def sample_cost(self, cell):
        return 1.0 + cell.m

    def update_cost(self, cell):
        return 7.0 * cell.m

    def steps(self, cell):
        return cell.steps

    def datasets(self, cell):
        samples = zip(NAMES, (cell.T, TEST_SAMPLES), strict=True)
        return {name: DataSet((name, cell.seed), size) for name, size in samples}

    def blocks(self, dataset, block):
        rows, columns = block
        name, seed = dataset.key
        count = -(-dataset.samples // rows)
        tags = [(1 + NAMES.index(name), 1 + seed, 1 + i) for i in range(count)]
        return {"tag": np.repeat(np.array(tags)[:, :, None], columns, axis=2)}


number = st.integers
small = st.builds(Small, number(1, 40), number(1, 4), number(0, 3), number(1, 5))
sweeps = st.tuples(st.lists(small, min_size=1, max_size=25), number(1, 4))
many = settings(max_examples=80, deadline=None)


def planned(sweep):
    cells, devices = sweep
    plan = make_plan(Toy(), cells, devices, "cpu")
    return plan, load_blocks(Toy(), plan)


def walk(group, name, device, slot):
    """(block, valid rows) of each block of a data set of a slot's cell."""
    first, samples = (int(values[device, slot]) for values in group.data[name])
    rows = group.layout.shapes.rows
    return [(first + i, min(rows, samples - i * rows)) for i in range(-(-samples // rows))]


def places(plan):
    """(cell, group, device, slot) of every cell in the plan."""
    for group in plan.groups:
        for device, slot in np.argwhere(group.slots >= 0).tolist():
            yield int(group.slots[device, slot]), group, device, slot


@given(sweeps)
@many
def test_every_cell_sits_in_one_slot(sweep):
    plan, _ = planned(sweep)
    assert sorted(cell for cell, *_ in places(plan)) == list(range(len(plan.cells)))
    for cell, group, device, _ in places(plan):
        assert plan.owner[cell] == device
        assert group.layout == layout_of(Toy(), plan.cells[cell], "cpu")
    for group in plan.groups:
        assert len(group.slots) == plan.devices
        assert group.slots.shape[1] >= MIN_SLOTS
    assert len({group.layout for group in plan.groups}) == len(plan.groups)


def test_groups_come_in_the_same_order_in_every_process():
    """Whatever address an object without a representation of its own has there."""
    one, other = (Layout(Shapes((3, object()))) for _ in range(2))
    assert one != other
    assert one.text() == other.text()


def test_a_number_has_the_type_of_its_field_not_of_a_default_of_0():
    """Else the first of some cells would decide how the others are rounded."""

    @jax.tree_util.register_dataclass
    @dataclass(frozen=True)
    class Decayed:
        steps: int = 4
        decay: float = 0

    study = SimpleNamespace(Cell=Decayed, cell_fields=lambda: ("steps", "decay"))
    group = SimpleNamespace(slots=np.array([[0, 1], [-1, 1]]))
    stacked = _stack(study, [Decayed(), Decayed(decay=0.5)], group)
    assert (stacked.steps.dtype, stacked.decay.dtype) == (np.int32, np.float32)
    assert stacked.decay.tolist() == [[0, 0.5], [0.5, 0.5]]


@given(sweeps)
@many
def test_blocks_cover_each_data_set_once(sweep):
    plan, pools = planned(sweep)
    for cell, group, device, slot in places(plan):
        rows, values = group.layout.shapes.rows, plan.cells[cell]
        pool = pools[group.layout.shapes.block]["tag"]
        for kind, (name, samples) in enumerate(zip(NAMES, (values.T, TEST_SAMPLES), strict=True)):
            mine = walk(group, name, device, slot)
            tags = [tuple(pool[block, :, 0]) for block, _ in mine]
            wanted = [(1 + kind, 1 + values.seed, 1 + i) for i in range(-(-samples // rows))]
            assert tags == wanted
            assert sum(valid for _, valid in mine) == samples


@given(sweeps)
@many
def test_an_empty_slot_has_no_data(sweep):
    plan, _ = planned(sweep)
    for group in plan.groups:
        for data in group.data.values():
            assert ((data.samples > 0) == (group.slots >= 0)).all()


@given(sweeps)
@many
def test_nested_streams_share_blocks(sweep):
    plan, pools = planned(sweep)
    longest = {}
    for cell in plan.cells:
        for dataset in Toy().datasets(cell).values():
            key = Toy().shapes(cell, "cpu").block, dataset.key
            longest[key] = max(longest.get(key, 0), dataset.samples)
    for shape, pool in pools.items():
        stored = sum(-(-size // shape[0]) for (s, _), size in longest.items() if s == shape)
        assert len(pool["tag"]) == stored
    blocks = {}
    for cell, group, device, slot in places(plan):
        mine = [block for block, _ in walk(group, "train", device, slot)]
        key = group.layout.shapes.block, plan.cells[cell].seed
        shorter, longer = sorted((mine, blocks.get(key, mine)), key=len)
        assert longer[: len(shorter)] == shorter
        blocks[key] = longer


@given(sweeps, number(2, 3))
@many
def test_the_parts_of_a_plan_have_each_cell_once(sweep, processes):
    """Laid out as in the plan of all, but for the numbers of cells and the empty slots."""
    cells, each = sweep
    plan = make_plan(Toy(), cells, processes * each, "cpu", processes)
    pools = load_blocks(Toy(), plan)
    laid = {cell: (group, device, slot) for cell, group, device, slot in places(plan)}
    seen = []
    for process in range(processes):
        part, own = plan.part(process), plan.places(process)
        assert [cells[i] for i in own] == part.cells
        assert sorted(cell for cell, *_ in places(part)) == list(range(len(own)))
        parted = load_blocks(Toy(), part)
        for number, group, device, slot in places(part):
            cell = int(own[number])
            whole, there, place = laid[cell]
            assert (group.layout, device + process * each) == (whole.layout, there)
            block = group.layout.shapes.block
            for name in NAMES:
                mine, same = walk(group, name, device, slot), walk(whole, name, there, place)
                assert [valid for _, valid in mine] == [valid for _, valid in same]
                for (here, _), (everywhere, _) in zip(mine, same, strict=True):
                    tags = parted[block]["tag"][here], pools[block]["tag"][everywhere]
                    assert (tags[0] == tags[1]).all()
        for group in part.groups:
            assert group.slots.shape[0] == each
            assert group.slots.shape[1] == max(MIN_SLOTS, (group.slots >= 0).sum(axis=1).max())
        for name in ("updates", "needed", "work", "lasts"):
            assert (getattr(part, name) == getattr(plan, name)[own]).all()
        assert (part.owner == plan.owner[own] - process * each).all()
        seen += own.tolist()
    assert sorted(seen) == list(range(len(cells)))


@given(sweeps)
@many
def test_work_is_padded_work_and_shared_fairly(sweep):
    plan, _ = planned(sweep)
    assert plan.overhead >= 1
    needed = [(1 + cell.m) * cell.T + 7 * cell.m for cell in plan.cells]
    assert (plan.needed == needed).all()
    for cell, group, device, slot in places(plan):
        blocks = len(walk(group, "train", device, slot))
        shapes, update = group.layout.shapes, 7 * plan.cells[cell].m
        assert plan.work[cell] == blocks * shapes.rows * shapes.row_cost + update
    jobs = plan.work * plan.updates
    assert plan.per_device.sum() == jobs.sum()
    assert plan.per_device.max() <= plan.per_device.mean() + jobs.max()


class Beside(Sparse):
    """The same cells, several of them side by side."""

    count = 1

    def shapes(self, cell, platform):
        return replace(super().shapes(cell, platform), beside=self.count)


def test_cells_side_by_side_take_as_long_as_the_longest():
    """By numbers of steps: each on its own, two at once, four at once."""
    study = Beside(Options(n=100))
    cells = [Cell(T=T, S=0.9, steps=steps) for T, steps in ((5, 9), (30, 3), (20, 9), (64, 3))]
    alone = make_plan(study, cells, 1, "cpu")
    assert alone.lasts.tolist() == alone.updates.tolist()
    study.count = 2
    pairs = make_plan(study, cells, 1, "cpu")
    (group,) = pairs.groups
    assert pairs.lasts.tolist() == [9, 3, 9, 3]
    assert group.slots.tolist() == [[0, 2, 3, 1]]
    work = alone.work
    assert pairs.work.tolist() == [work[0], work[3], work[0], work[3]]  # T = 5 and 20: one block
    assert pairs.overhead > alone.overhead
    assert pairs.per_device.tolist() == [9 * 2 * work[0] + 3 * 2 * work[3]]
    assert pairs.share(3) == pytest.approx(3 * pairs.work.sum() / (pairs.work * pairs.lasts).sum())
    study.count = 4
    four = make_plan(study, cells, 1, "cpu")
    assert set(four.lasts) == {9}
    assert set(four.work) == {work.max()}
    assert four.per_device.tolist() == [9 * 4 * work.max()]


@given(sweeps)
@many
def test_share_of_the_work_done(sweep):
    plan, _ = planned(sweep)
    last = int(plan.updates.max())
    shares = [plan.share(step) for step in range(last + 2)]
    assert shares[0] == 0
    assert shares[last:] == [1, 1]
    assert all(np.diff(shares[: last + 1]) > 0)


@given(sweeps, small)
@many
def test_a_cell_is_laid_out_as_if_alone(sweep, extra):
    def laid_out(cells, devices, index):
        plan = make_plan(Toy(), cells, devices, "cpu")
        pool = load_blocks(Toy(), plan)
        group, device, slot = next(at[1:] for at in places(plan) if at[0] == index)
        tags = pool[group.layout.shapes.block]["tag"][:, :, 0]
        walks = [
            [(tuple(tags[block]), valid) for block, valid in walk(group, name, device, slot)]
            for name in NAMES
        ]
        return group.layout, walks

    cells, devices = sweep
    assert laid_out([extra, *cells], devices, 0) == laid_out([extra], 1, 0)


def test_blocks_that_a_plan_does_not_expect_are_refused():
    class Cut(Toy):
        def blocks(self, dataset, block):
            return {"tag": super().blocks(dataset, block)["tag"][1:]}

    plan = make_plan(Cut(), [Small(20, 1, 0, 1)], 1, "cpu")
    with pytest.raises(ValueError, match="not 3 blocks"):
        load_blocks(Cut(), plan)


@given(sweeps)
@many
def test_pools_hold_each_stream_once(sweep):
    plan, pools = planned(sweep)
    assert set(pools) == {group.layout.shapes.block for group in plan.groups}
    for block, streams in plan.streams.items():
        originals = [Toy().blocks(dataset, block)["tag"] for dataset in streams.values()]
        assert (pools[block]["tag"] == np.concatenate(originals)).all()
        assert len({dataset.key for dataset in streams.values()}) == len(streams)


REFERENCE = {
    "T": (3, 4, 5, 6, 8, 10, 15, 30, 50, 100, 200, 500, 1000, 2000, 5000),
    "m": tuple(range(2, 17)),
}


@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_reference_plane_wastes_little(devices):
    study = DoubleDescent(Options(n=10_000))
    cells = [Cell(T=T, m=m, steps=50_000) for T, m in product(*REFERENCE.values())]
    plan = make_plan(study, cells, devices, "cpu")
    assert 1 <= plan.overhead <= 1.1
    assert plan.per_device.max() / plan.per_device.mean() <= 1.05


@pytest.mark.parametrize("untied", [0, 1])
def test_an_update_costs_as_much_as_it_has_parameters(untied):
    study = DoubleDescent(Options(n=1024))
    cell = Cell(T=5, m=4, untied=untied)
    params = jax.eval_shape(lambda: study.init(cell, study.shapes(cell, "cpu")))  # no padding here
    assert study.update_cost(cell) == 250 * sum(leaf.size for leaf in jax.tree.leaves(params))


def test_a_sample_drawn_at_every_step_costs_its_drawing_too():
    study = DoubleDescent(Options(n=1024))
    stored, online = (Cell(T=500, m=4, S=0.99, online=online) for online in (0, 1))
    drawing = study.sample_cost(online) - study.sample_cost(stored)
    assert drawing == 2300 * study.shapes(online, "cpu").size.slots > 0
    rows = [study.shapes(cell, "cpu").row_cost for cell in (stored, online)]
    assert rows[1] - rows[0] == drawing


class Free(Toy):
    """Shapes and feeds without a block of their own: the engine chooses."""

    def __init__(self, feed=None):
        self.own = feed or FullBatch()

    def shapes(self, cell, platform):
        return Shapes()

    def feed(self, cell):
        return self.own


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
@given(number(1, 10_000))
@many
def test_blocks_that_the_engine_chooses(platform, samples):
    """Little padding, few sizes, and on a CPU rows that keep the bits."""
    layout = layout_of(Free(), Small(samples, 1, 0, 1), platform)
    rows = layout.shapes.rows
    assert rows < max(33, 2 * samples)
    assert layout.single == (samples <= rows)
    if platform == "cpu":
        assert rows == SAFE_ROWS or (layout.single and rows & (rows - 1) == 0)
    elif not layout.single:
        assert 2048 < rows <= 4096
        assert rows % 512 == 0
        assert -(-samples // rows) * rows - samples < 2 * 512 + samples / 8


@given(number(1, 10_000), number(1, 10_000))
@many
def test_the_rows_of_a_minibatch(size, samples):
    """Room for all of its samples, little padding, and neighbours share code."""
    layouts = {
        layout_of(Free(Minibatch(near)), Small(samples, 1, 0, 1), "cpu")
        for near in range(size, size + 9)
    }
    for layout in layouts:
        assert (layout.order, layout.single) == ("epochs", False)
    seen = min(size, samples)
    rows = layout_of(Free(Minibatch(size)), Small(samples, 1, 0, 1), "cpu").batch
    assert seen <= rows <= max(seen + 7, 1.25 * seen)
    assert len(layouts) <= 3


@pytest.mark.parametrize("feed", [Minibatch(20, "replace"), Fresh(20)])
def test_an_update_costs_what_it_sees(feed):
    """Not the whole training set."""
    plan = make_plan(Free(feed), [Small(900, 3, 0, 5)], 1, "cpu")
    assert plan.needed.tolist() == [4 * 20 + 21]
    (group,) = plan.groups
    assert group.pace.batch[0, 0] == 20
    rows = group.layout.batch or 128
    assert plan.work.tolist() == [4 * rows + 21]


@pytest.mark.parametrize(
    ("samples", "shapes", "every", "beside"),
    [
        (40, Shapes(), 0, 4),
        (10**6, Shapes(), 0, 1),
        (40, Shapes(), 5, 4),
        (40, Shapes(block=(64,)), 0, 4),
        (40, Shapes(beside=7), 5, 7),
    ],
    ids=["tiny", "large", "looked at", "blocks of its own", "the study's choice"],
)
def test_a_cpu_takes_tiny_cells_a_few_at_a_time(samples, shapes, every, beside):
    """Those that looks may stop too, though each then waits for the others."""

    class Sized(Free):
        def shapes(self, cell, platform):
            return shapes

        def look_every(self, cell):
            return every

    cell = Small(samples, 1, 0, 1)
    assert layout_of(Sized(), cell, "cpu").beside == beside
    plan = make_plan(Sized(), [cell] * 5, 1, "cpu")
    (group,) = plan.groups
    assert (group.beside, group.slots.shape[1] % beside) == (beside, 0)
