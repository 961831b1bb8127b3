"""The plan of a sweep: ragged cells in a few arrays that one compiled program walks over.

Cells of equal layout form a *group*, stacked in slots. A data set is a range of consecutive blocks
in a pool; data sets are nested, so a block of samples is stored once for all cells that read it:
memory grows with the distinct data, not with the cells. Cells are dealt to devices by work; each
device walks its own slots, so a shorter list costs no padding.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from superpos_jax.engine.layout import (
    TRAIN,
    Layout,
    datasets_of,
    grouped,
    layout_of,
    needed_work,
    seen_by_update,
)
from superpos_jax.engine.study import DataSet, PyTree, Study
from superpos_jax.errors import UserError

MIN_SLOTS = 2
"""Slots of a group, at least: XLA drops axes of length one, and with them the bits."""


class Range(NamedTuple):
    """Where a data set of each slot lies in the pool of blocks: int32 arrays (devices, slots)."""

    first: Any
    """Its first block; the others follow."""
    samples: Any
    """0 where a slot is empty."""


class Pace(NamedTuple):
    """What an update and a look of each slot take: int32 arrays (devices, slots)."""

    batch: Any
    """Samples of an update."""
    every: Any
    """Updates between two looks; 0: no looks."""


@dataclass(frozen=True)
class Group:
    """Cells of one layout, dealt to devices."""

    layout: Layout
    slots: np.ndarray
    """(devices, slots) index of the cell, -1 where a slot is empty."""
    beside: int
    """Cells that are computed side by side; it divides the slots. 1 where a kernel takes all."""
    data: dict[str, Range]
    """By name of the data set."""
    more: tuple[dict[str, Range], ...]
    """Of each further draw, by name of the data sets that have it."""
    pace: Pace


@dataclass(frozen=True)
class Plan:
    """How the cells of a sweep are laid out on devices."""

    cells: Sequence[Any]
    groups: tuple[Group, ...]
    evaluate: Mapping[str, str]
    """When each data set is measured, as `DataSet.evaluate`."""
    streams: dict[tuple[int, ...], dict[Any, DataSet]]
    """The longest data set of each stream, by shape of a block."""
    updates: np.ndarray
    """(cells,) optimizer updates."""
    needed: np.ndarray
    """(cells,) operations of one update with no padding."""
    work: np.ndarray
    """(cells,) operations of one update as the program does it. Cells that are computed side by
    side take as long as the largest of them, if not by a kernel."""
    lasts: np.ndarray
    """(cells,) updates of the longest of these."""
    owner: np.ndarray
    """(cells,) the device that trains the cell."""
    devices: int

    @property
    def overhead(self) -> float:
        """Work done / work needed, over the whole training."""
        return float((self.work * self.lasts).sum() / (self.needed * self.updates).sum())

    @property
    def per_device(self) -> np.ndarray:
        """(devices,) operations each device does over the whole training."""
        return np.bincount(self.owner, self.work * self.lasts, self.devices)

    @property
    def updates_per_device(self) -> np.ndarray:
        """(devices,) updates that each device does one after another."""
        updates = np.zeros(self.devices)
        for group in self.groups:
            for device, slots in enumerate(group.slots):
                own = self.lasts[slots[slots >= 0]]
                together = group.layout.shapes.kernel is not None
                updates[device] += own.max(initial=0) if together else own.sum() / group.beside
        return updates

    @property
    def has_kernels(self) -> bool:
        """Whether all cells are computed by kernels of the study's own."""
        return all(group.layout.shapes.kernel for group in self.groups)

    def share(self, step: int) -> float:
        """Share of the whole work that is done when every cell has come to a step."""
        done = (self.work * np.minimum(self.lasts, step)).sum()
        return float(done / (self.work * self.lasts).sum())


def make_plan(study: Study, cells: Sequence[Any], devices: int, platform: str) -> Plan:
    """Group cells by layout, deal them to devices, find their blocks.

    >>> from superpos_jax.results.sweep import load_sweep
    >>> grid = load_sweep("quickstart").grid()
    >>> plan = make_plan(grid.study, grid.cells, devices=2, platform="cpu")
    >>> plan.overhead < 1.1
    True
    """
    layouts = [layout_of(study, cell, platform) for cell in cells]
    data = [datasets_of(study, cell) for cell in cells]
    names = tuple(data[0])
    if len({tuple((n, d.evaluate, len(d.more)) for n, d in sets.items()) for sets in data}) > 1:
        raise UserError(
            f"study {type(study).__name__}: datasets: cells differ in names, in evaluate or in how"
            " many more draws there are; allowed: the same of all cells"
        )
    streams, offsets = _streams(layouts, data)
    seen = [seen_by_update(study, c, d[TRAIN].samples) for c, d in zip(cells, data, strict=True)]
    every = [int(study.look_every(cell)) for cell in cells]

    def padded(i: int) -> float:
        layout = layouts[i]
        rows = layout.batch or layout.shapes.rows
        cost = layout.shapes.row_cost or study.sample_cost(cells[i])
        return _blocks(seen[i], rows) * rows * cost + study.update_cost(cells[i])

    updates = np.array([int(study.steps(cell)) for cell in cells])
    work = np.array([padded(i) for i in range(len(cells))])
    needed = [needed_work(study, cell, count) for cell, count in zip(cells, seen, strict=True)]
    owner = deal(work * updates, devices)
    groups = []
    for layout, members in grouped(layouts).items():
        dealt: list[list[int]] = [[] for _ in range(devices)]
        for i in sorted(members, key=lambda i: (-updates[i], -work[i], i)):  # like beside like
            dealt[owner[i]].append(i)
        slots, count = _ragged(dealt, layout.beside, platform)
        start = offsets[layout.shapes.block]

        def ranges(name: str, start: Mapping[Any, int] = start, slots: Any = slots) -> list[Range]:
            """Of each draw of a data set, the first one first."""
            samples = _taken([d[name].samples for d in data], slots)
            keys = zip(*((d[name].key, *d[name].more) for d in data), strict=True)
            return [Range(_taken([start.get(k, 0) for k in own], slots), samples) for own in keys]

        draws = {name: ranges(name) for name in names}
        more = tuple(
            {name: own[i] for name, own in draws.items() if i < len(own)}
            for i in range(1, max(len(own) for own in draws.values()))
        )
        pace = Pace(_taken(seen, slots), _taken(every, slots))
        first = {name: own[0] for name, own in draws.items()}
        groups.append(Group(layout, slots, count, first, more, pace))

    evaluate = {name: data[0][name].evaluate for name in names}
    beside, lasts = _side_by_side(groups, work, updates)
    return Plan(
        cells, tuple(groups), evaluate, streams,
        updates, np.array(needed), beside, lasts, np.array(owner), devices,
    )  # fmt: skip


def works(study: Study, cells: Sequence[Any]) -> Iterator[float]:
    """Operations that it takes to train each of some cells, padding aside."""
    for cell in cells:
        seen = seen_by_update(study, cell, datasets_of(study, cell)[TRAIN].samples)
        yield needed_work(study, cell, seen) * int(study.steps(cell))


def load_blocks(study: Study, plan: Plan) -> dict[tuple[int, ...], PyTree]:
    """The distinct blocks of samples, by shape of a block: numpy, leading axis of blocks.

    Raises:
        ValueError: the study cuts a data set into another number of blocks.
    """
    pools = {}
    kernels = kernels_by_block(plan)
    for block, streams in plan.streams.items():
        if kernels[block]:
            pools[block] = kernels[block].pool([*streams.values()])
            continue
        parts = [study.blocks(dataset, block) for dataset in streams.values()]
        for dataset, part in zip(streams.values(), parts, strict=True):
            wanted = _blocks(dataset.samples, block[0])
            if any(len(leaf) != wanted for leaf in jax.tree.leaves(part)):
                raise ValueError(f"{type(study).__name__}.blocks: {dataset}: not {wanted} blocks")
        pools[block] = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    return pools


def kernels_by_block(plan: Plan) -> dict[tuple[int, ...], Any]:
    """A kernel that reads the data of each shape of a block; None where there is none.

    Raises:
        ValueError: of one shape some cells have a kernel and others have none.
    """
    kernels: dict[tuple[int, ...], Any] = {}
    for shapes in (group.layout.shapes for group in plan.groups):
        kernel = kernels.setdefault(shapes.block, shapes.kernel)
        if (kernel is None) != (shapes.kernel is None):
            raise ValueError(f"blocks {shapes.block}: of cells with a kernel, and without")
    return kernels


def _streams(
    layouts: Sequence[Layout], data: Sequence[Any]
) -> tuple[dict[tuple[int, ...], dict[Any, DataSet]], dict[tuple[int, ...], dict[Any, int]]]:
    """The longest data set of each stream, by shape of a block, and where its blocks start."""
    streams: dict[tuple[int, ...], dict[Any, DataSet]] = {}
    for layout, datasets in zip(layouts, data, strict=True):
        longest = streams.setdefault(layout.shapes.block, {})
        for dataset in datasets.values():
            for key in (dataset.key, *dataset.more):
                if key not in longest or longest[key].samples < dataset.samples:
                    longest[key] = DataSet(key, dataset.samples)
    offsets = {}
    for block, longest in streams.items():
        counts = [_blocks(dataset.samples, block[0]) for dataset in longest.values()]
        starts = np.cumsum([0, *counts[:-1]]).tolist()
        offsets[block] = dict(zip(longest, starts, strict=True))
    return streams, offsets


def _side_by_side(
    groups: Sequence[Group], work: np.ndarray, updates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(cells,) each: the largest work and the most updates of the cells computed with a cell."""
    most = work.copy(), updates.copy()
    for group in groups:
        if group.layout.shapes.kernel:
            continue
        for device in group.slots:
            for start in range(0, len(device), group.beside):
                beside = device[start : start + group.beside]
                beside = beside[beside >= 0]
                for values in most:
                    values[beside] = values[beside].max(initial=0)
    return most


def deal(work: np.ndarray, devices: int) -> list[int]:
    """Longest job first, each to the device that has least to do."""
    owner = [0] * len(work)
    load = [(0.0, device) for device in range(devices)]  # a heap
    for i in sorted(range(len(work)), key=lambda i: (-work[i], i)):
        least, device = heapq.heappop(load)
        owner[i] = device
        heapq.heappush(load, (least + work[i], device))
    return owner


def _blocks(samples: int, rows: int) -> int:
    return -(-samples // rows)


def _ragged(cells: list[list[int]], beside: int, platform: str) -> tuple[np.ndarray, int]:
    """Indices of cells, a row a device, filled up with -1; and how many are side by side.

    On a CPU that is always the same number, so that the last ones are computed in the same shape.
    """
    width = max(MIN_SLOTS, *(len(row) for row in cells))
    parts = -(-width // beside)
    count = beside if platform == "cpu" else -(-width // parts)
    return np.array([row + [-1] * (parts * count - len(row)) for row in cells], np.int32), count


def _taken(values: Sequence[int], slots: np.ndarray) -> np.ndarray:
    """A number of each cell, by slot; 0 where a slot is empty."""
    return np.where(slots < 0, 0, np.asarray(values)[slots]).astype(np.int32)
