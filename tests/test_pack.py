"""Packing, on a study of small integers whose blocks carry the name of what they hold."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superpos_jax.pack import MIN_SLOTS, load_blocks, make_plan
from superpos_jax.studies.double_descent.cell import Cell, Options
from superpos_jax.studies.double_descent.study import DoubleDescent
from superpos_jax.study import DataSet, Layout

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

    def layout(self, cell, platform):
        block = (3 if cell.T < 10 else 8, 2 + cell.m // 3)
        return Layout(block, cell.m + cell.m % 2, 1.0 + cell.m + cell.m % 2)

    def sample_cost(self, cell):
        return 1.0 + cell.m

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


def listed(items, device):
    """(target, block, valid) of each item that a device walks."""
    end = items.length[device]
    columns = (items.target[device], items.block[device], items.valid[device])
    return list(zip(*(column[:end].tolist() for column in columns), strict=True))


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
        assert group.layout == Toy().layout(plan.cells[cell], "cpu")
    for group in plan.groups:
        assert len(group.slots) == plan.devices
        assert group.slots.shape[1] >= MIN_SLOTS
    assert len({group.layout for group in plan.groups}) == len(plan.groups)


@given(sweeps)
@many
def test_items_cover_each_data_set_once(sweep):
    plan, pools = planned(sweep)
    for cell, group, device, slot in places(plan):
        rows, values = group.layout.rows, plan.cells[cell]
        lists = [(group.train, slot, 1, values.T)]
        lists += [
            (group.evaluate, 2 * slot + j, 1 + j, size)
            for j, size in enumerate((values.T, TEST_SAMPLES))
        ]
        for items, target, kind, samples in lists:
            mine = [(block, valid) for to, block, valid in listed(items, device) if to == target]
            pool = pools[group.layout.block]["tag"]
            tags = [tuple(pool[block, :, 0]) for block, _ in mine]
            assert tags == [(kind, 1 + values.seed, 1 + i) for i in range(-(-samples // rows))]
            counts = [valid for _, valid in mine]
            assert sum(counts) == samples
            assert all(count == rows for count in counts[:-1])
            assert 1 <= counts[-1] <= rows


@given(sweeps)
@many
def test_no_item_without_a_cell(sweep):
    plan, _ = planned(sweep)
    for group in plan.groups:
        for device in range(plan.devices):
            taken = set(np.flatnonzero(group.slots[device] >= 0).tolist())
            assert {target for target, *_ in listed(group.train, device)} == taken
            assert {target // 2 for target, *_ in listed(group.evaluate, device)} == taken


@given(sweeps)
@many
def test_nested_streams_share_blocks(sweep):
    plan, pools = planned(sweep)
    longest = {}
    for cell in plan.cells:
        for dataset in Toy().datasets(cell).values():
            key = Toy().layout(cell, "cpu").block, dataset.key
            longest[key] = max(longest.get(key, 0), dataset.samples)
    for shape, pool in pools.items():
        stored = sum(-(-size // shape[0]) for (s, _), size in longest.items() if s == shape)
        assert len(pool["tag"]) == stored
    blocks = {}
    for cell, group, device, slot in places(plan):
        mine = [block for to, block, _ in listed(group.train, device) if to == slot]
        key = group.layout.block, plan.cells[cell].seed
        shorter, longer = sorted((mine, blocks.get(key, mine)), key=len)
        assert longer[: len(shorter)] == shorter
        blocks[key] = longer


@given(sweeps)
@many
def test_active_items_are_those_of_unfinished_cells(sweep):
    plan, _ = planned(sweep)
    for group in plan.groups:
        for step in range(max(cell.steps for cell in plan.cells) + 1):
            active = group.active(step)
            for device in range(plan.devices):
                training = [
                    plan.cells[group.slots[device, slot]].steps > step
                    for slot, *_ in listed(group.train, device)
                ]
                count = int(active[device])
                assert all(training[:count])
                assert not any(training[count:])


@given(sweeps)
@many
def test_work_is_padded_work_and_shared_fairly(sweep):
    plan, _ = planned(sweep)
    assert plan.overhead >= 1
    needed = [(1 + cell.m) * cell.T for cell in plan.cells]
    assert (plan.needed == needed).all()
    for cell, group, device, slot in places(plan):
        items = [to for to, *_ in listed(group.train, device) if to == slot]
        assert plan.work[cell] == len(items) * group.layout.rows * group.layout.row_cost
    jobs = plan.work * plan.updates
    assert plan.per_device.sum() == jobs.sum()
    assert plan.per_device.max() <= plan.per_device.mean() + jobs.max()


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
        tags = pool[group.layout.block]["tag"][:, :, 0]
        walks = [
            [(tuple(tags[block]), valid) for to, block, valid in listed(items, device)
             if to // step == slot]
            for items, step in ((group.train, 1), (group.evaluate, 2))
        ]  # fmt: skip
        return group.layout, walks

    cells, devices = sweep
    assert laid_out([extra, *cells], devices, 0) == laid_out([extra], 1, 0)


@given(sweeps)
@many
def test_pools_hold_each_stream_once(sweep):
    plan, pools = planned(sweep)
    assert set(pools) == {group.layout.block for group in plan.groups}
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
