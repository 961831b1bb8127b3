"""Packing: ragged cells into a few arrays that one compiled program walks over.

Cells of equal layout form a *group*, stacked in slots. A data set is a range of consecutive blocks
in a pool; data sets are nested, so a block of samples is stored once for all cells that read it:
memory grows with the distinct data, not with the cells. Cells are dealt to devices by work; each
device walks its own slots, so a shorter list costs no padding.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from superpos_jax.engine.study import DataSet, Layout, PyTree, Study

TRAIN = "train"
SIDE_BY_SIDE = {"cpu": 1, "gpu": 16_384, "tpu": 16_384}
"""Samples of different cells computed at once: one cell keeps a CPU's cache, many keep an
accelerator busy."""
MIN_SLOTS = 2
"""Slots of a group, at least: XLA drops axes of length one, and with them the bits."""


class Range(NamedTuple):
    """Where a data set of each slot lies in the pool of blocks: int32 arrays (devices, slots)."""

    first: Any
    """Its first block; the others follow."""
    samples: Any
    """0 where a slot is empty."""


@dataclass(frozen=True)
class Group:
    """Cells of one layout, dealt to devices."""

    layout: Layout
    slots: np.ndarray
    """(devices, slots) index of the cell, -1 where a slot is empty."""
    data: dict[str, Range]
    """By name of the data set."""


@dataclass(frozen=True)
class Plan:
    """How the cells of a sweep are laid out on devices."""

    cells: Sequence[Any]
    groups: tuple[Group, ...]
    samples: dict[str, np.ndarray]
    """(cells,) number of samples of each data set."""
    streams: dict[tuple[int, ...], dict[Any, DataSet]]
    """The longest data set of each stream, by shape of a block."""
    updates: np.ndarray
    """(cells,) optimizer updates."""
    needed: np.ndarray
    """(cells,) operations of one update with no padding."""
    work: np.ndarray
    """(cells,) operations of one update as the program does it: those of the largest cell of those
    that are computed side by side."""
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

    def share(self, step: int) -> float:
        """Share of the whole work that is done when every cell has come to a step."""
        done = (self.work * np.minimum(self.lasts, step)).sum()
        return float(done / (self.work * self.lasts).sum())


def together(layout: Layout, slots: int, platform: str) -> int:
    """How many cells of a layout are computed side by side, of so many slots."""
    samples = SIDE_BY_SIDE.get(platform, SIDE_BY_SIDE["gpu"])
    return max(1, min(samples // layout.rows, slots))


def make_plan(study: Study, cells: Sequence[Any], devices: int, platform: str) -> Plan:
    """Group cells by layout, deal them to devices, find their blocks.

    >>> from superpos_jax.results.sweep import load_sweep
    >>> grid = load_sweep("quickstart").grid()
    >>> plan = make_plan(grid.study, grid.cells, devices=2, platform="cpu")
    >>> plan.overhead < 1.1
    True
    """
    layouts = [study.layout(cell, platform) for cell in cells]
    data = [study.datasets(cell) for cell in cells]
    names = tuple(data[0])
    streams, offsets = _streams(layouts, data)

    def padded(i: int) -> float:
        rows = layouts[i].rows
        samples = _blocks(data[i][TRAIN].samples, rows) * rows
        return samples * layouts[i].row_cost + study.update_cost(cells[i])

    updates = np.array([int(study.steps(cell)) for cell in cells])
    work = np.array([padded(i) for i in range(len(cells))])
    needed = [_needed(study, c, d[TRAIN].samples) for c, d in zip(cells, data, strict=True)]
    owner = _deal(work * updates, devices)
    groups = []
    for layout, members in by_layout(study, cells, platform).items():
        dealt: list[list[int]] = [[] for _ in range(devices)]
        for i in sorted(members, key=lambda i: (-updates[i], -work[i], i)):  # like beside like
            dealt[owner[i]].append(i)
        start = offsets[layout.block]
        ranges = {
            name: Range(
                _ragged([[start[data[i][name].key] for i in device] for device in dealt], 0),
                _ragged([[data[i][name].samples for i in device] for device in dealt], 0),
            )
            for name in names
        }
        groups.append(Group(layout, _ragged(dealt, -1), ranges))

    samples = {name: np.array([d[name].samples for d in data]) for name in names}
    beside, lasts = _side_by_side(groups, platform, work, updates)
    return Plan(
        cells, tuple(groups), samples, streams,
        updates, np.array(needed), beside, lasts, np.array(owner), devices,
    )  # fmt: skip


def _side_by_side(
    groups: Sequence[Group], platform: str, work: np.ndarray, updates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(cells,) each: the largest work and the most updates of the cells computed with a cell."""
    most = work.copy(), updates.copy()
    for group in groups:
        count = together(group.layout, group.slots.shape[1], platform)
        for device in group.slots:
            for start in range(0, len(device), count):
                here = device[start : start + count]
                here = here[here >= 0]
                for values in most:
                    values[here] = values[here].max(initial=0)
    return most


def total_work(study: Study, cells: Sequence[Any]) -> float:
    """Operations it takes to train cells, padding aside."""
    return sum(
        _needed(study, cell, study.datasets(cell)[TRAIN].samples) * int(study.steps(cell))
        for cell in cells
    )


def _needed(study: Study, cell: Any, samples: int) -> float:
    """Operations of an update with no padding."""
    return study.sample_cost(cell) * samples + study.update_cost(cell)


def load_blocks(study: Study, plan: Plan) -> dict[tuple[int, ...], PyTree]:
    """The distinct blocks of samples, by shape of a block: numpy, leading axis of blocks.

    Raises:
        ValueError: the study cuts a data set into another number of blocks.
    """
    pools = {}
    for block, streams in plan.streams.items():
        parts = [study.blocks(dataset, block) for dataset in streams.values()]
        for dataset, part in zip(streams.values(), parts, strict=True):
            wanted = _blocks(dataset.samples, block[0])
            if any(len(leaf) != wanted for leaf in jax.tree.leaves(part)):
                raise ValueError(f"{type(study).__name__}.blocks: {dataset}: not {wanted} blocks")
        pools[block] = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    return pools


def by_layout(study: Study, cells: Sequence[Any], platform: str) -> dict[Layout, list[int]]:
    """Indices of the cells of each layout, in the order in which groups are kept."""
    members: dict[Layout, list[int]] = {}
    for i, cell in enumerate(cells):
        members.setdefault(study.layout(cell, platform), []).append(i)
    return dict(sorted(members.items(), key=lambda item: repr(item[0])))


def _streams(
    layouts: Sequence[Layout], data: Sequence[Any]
) -> tuple[dict[tuple[int, ...], dict[Any, DataSet]], dict[tuple[int, ...], dict[Any, int]]]:
    """The longest data set of each stream, by shape of a block, and where its blocks start."""
    streams: dict[tuple[int, ...], dict[Any, DataSet]] = {}
    for layout, datasets in zip(layouts, data, strict=True):
        longest = streams.setdefault(layout.block, {})
        for dataset in datasets.values():
            if dataset.key not in longest or longest[dataset.key].samples < dataset.samples:
                longest[dataset.key] = dataset
    offsets = {}
    for block, longest in streams.items():
        counts = [_blocks(dataset.samples, block[0]) for dataset in longest.values()]
        starts = np.cumsum([0, *counts[:-1]]).tolist()
        offsets[block] = dict(zip(longest, starts, strict=True))
    return streams, offsets


def _deal(work: np.ndarray, devices: int) -> list[int]:
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


def _ragged(rows: list[list[int]], fill: int) -> np.ndarray:
    width = max(MIN_SLOTS, *(len(row) for row in rows))
    return np.array([row + [fill] * (width - len(row)) for row in rows], np.int32)
