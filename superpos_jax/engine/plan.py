"""The plan of a sweep: ragged cells in a few arrays that one compiled program walks over.

Cells of equal layout form a *group*, stacked in slots. A data set is a range of consecutive blocks
in a pool; data sets are nested, so a block of samples is stored once for all cells that read it:
memory grows with the distinct data, not with the cells. Cells are dealt to devices by work; each
device walks its own slots, so a shorter list costs no padding. Each process has a part of the plan.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from superpos_jax.engine.deal import owners
from superpos_jax.engine.layout import (
    TRAIN,
    Layout,
    all_datasets,
    grouped,
    layout_with,
    look_every,
    needed_work,
    seen_by_update,
)
from superpos_jax.engine.once import Once
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

    def part(self, devices: slice, number: np.ndarray) -> Group:
        """What some devices have of the group.

        Args:
            devices: of one process.
            number: (cells,) what each of their cells is called instead.
        """
        slots = self.slots[devices]
        most = max(MIN_SLOTS, *(slots >= 0).sum(axis=1))
        width = -(-most // self.beside) * self.beside

        def cut(leaf: np.ndarray) -> np.ndarray:
            return leaf[devices, :width]

        slots = np.where(cut(self.slots) < 0, -1, number[cut(self.slots)])
        tables = jax.tree.map(cut, (self.data, self.more, self.pace))
        return Group(self.layout, slots.astype(np.int32), self.beside, *tables)


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
    """(cells,) operations of one update as the program does it. Each of some cells side by side
    counts as much as the largest of them; with a kernel, each counts its own."""
    lasts: np.ndarray
    """(cells,) updates that the program does for the cell: its own, or, side by side, the most."""
    owner: np.ndarray
    """(cells,) the device that trains the cell."""
    devices: int
    processes: int = 1
    """The devices are theirs in equal parts, side by side."""

    def places(self, process: int) -> np.ndarray:
        """Which of the cells a process trains, ascending."""
        return np.flatnonzero(self.owner // (self.devices // self.processes) == process)

    def part(self, process: int) -> Plan:
        """The plan of one process alone: its cells, their groups, and blocks of their shapes."""
        if self.processes == 1:
            return self
        each, places = self.devices // self.processes, self.places(process)
        devices = slice(process * each, (process + 1) * each)
        number = np.full(len(self.cells), -1)
        number[places] = np.arange(len(places))
        groups = tuple(
            group.part(devices, number)
            for group in self.groups
            if (group.slots[devices] >= 0).any()
        )
        blocks = {group.layout.shapes.block for group in groups}
        return Plan(
            cells=[self.cells[i] for i in places],
            groups=groups,
            evaluate=self.evaluate,
            streams={block: own for block, own in self.streams.items() if block in blocks},
            updates=self.updates[places],
            needed=self.needed[places],
            work=self.work[places],
            lasts=self.lasts[places],
            owner=self.owner[places] - devices.start,
            devices=each,
        )

    @property
    def ends_as_it_goes(self) -> bool:
        """Whether the end is measured as the way there: no data set at the end only, one draw."""
        return "end" not in self.evaluate.values() and not self.groups[0].more

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


def make_plan(
    study: Study, cells: Sequence[Any], devices: int, platform: str, processes: int = 1
) -> Plan:
    """Group cells by layout, deal them to devices, find their blocks.

    >>> from superpos_jax.results.sweep import load_sweep
    >>> grid = load_sweep("quickstart").grid()
    >>> plan = make_plan(grid.study, grid.cells, devices=2, platform="cpu")
    >>> plan.overhead < 1.1
    True
    """
    data = [*all_datasets(study, cells)]
    asked = Once(functools.partial(_asked, study, platform))
    asks = [asked(cell, own[TRAIN].samples) for cell, own in zip(cells, data, strict=True)]
    # Of a million cells few differ in what they ask for: each is taken from its kind.
    pairs = {(id(ask), id(own)): (ask, own) for ask, own in zip(asks, data, strict=True)}
    number = {pair: i for i, pair in enumerate(pairs)}
    kind = np.array([number[id(ask), id(own)] for ask, own in zip(asks, data, strict=True)])
    kinds = [*pairs.values()]
    alike = [{name: (d.evaluate, len(d.more)) for name, d in own.items()} for _, own in kinds]
    if any(own != alike[0] for own in alike):
        raise UserError(
            f"study {type(study).__name__}: datasets: cells differ in names, in evaluate or in how"
            " many more draws there are; allowed: the same of all cells"
        )
    streams, offsets = _streams(kinds)
    draws = {name: _draws(name, kinds, offsets) for name in data[0]}
    pace = Pace(np.array([ask.seen for ask, _ in kinds]), np.array([ask.every for ask, _ in kinds]))
    updates, work, needed = (
        np.array([getattr(ask, name) for ask, _ in kinds])[kind]
        for name in ("updates", "work", "needed")
    )
    layouts = grouped([ask.layout for ask in asks])
    numbers = np.zeros(len(cells), np.int64)
    for i, members in enumerate(layouts.values()):
        numbers[members] = i
    owner = owners(work, updates, numbers, devices, processes)
    groups = []
    for layout, members in layouts.items():
        own = np.array(members)
        own = own[np.lexsort((own, -work[own], -updates[own]))]  # like beside like
        slots, count = _ragged([own[owner[own] == i] for i in range(devices)], layout, platform)
        taken = functools.partial(_taken, kind=kind, slots=slots)
        laid = {
            name: [Range(*map(taken, draw)) for draw in columns] for name, columns in draws.items()
        }
        first, *more = (
            {name: own[i] for name, own in laid.items() if i < len(own)}
            for i in range(max(map(len, laid.values())))
        )
        groups.append(Group(layout, slots, count, first, tuple(more), Pace(*map(taken, pace))))

    evaluate = {name: dataset.evaluate for name, dataset in data[0].items()}
    beside, lasts = _side_by_side(groups, work, updates)
    return Plan(
        cells,
        tuple(groups),
        evaluate,
        streams,
        updates,
        needed,
        beside,
        lasts,
        owner,
        devices,
        processes,
    )


class _Ask(NamedTuple):
    """What a cell asks for, besides its data."""

    layout: Layout
    seen: int
    """Samples of an update."""
    every: int
    updates: int
    work: float
    needed: float


def _asked(study: Study, platform: str, cell: Any, samples: int) -> _Ask:
    """What a cell with so many samples to train on asks for."""
    layout, seen = layout_with(study, platform, cell, samples), seen_by_update(study, cell, samples)
    rows = layout.batch or layout.shapes.rows
    cost = layout.shapes.row_cost or study.sample_cost(cell)
    work = _blocks(seen, rows) * rows * cost + study.update_cost(cell)
    every, updates = look_every(study, cell), int(study.steps(cell))
    return _Ask(layout, seen, every, updates, work, needed_work(study, cell, seen))


def works(study: Study, cells: Sequence[Any]) -> Iterator[float]:
    """Operations that it takes to train each of some cells, padding aside."""

    def work(cell: Any, samples: int) -> float:
        seen = seen_by_update(study, cell, samples)
        return needed_work(study, cell, seen) * int(study.steps(cell))

    once = Once(work)
    for cell, data in zip(cells, all_datasets(study, cells), strict=True):
        yield once(cell, data[TRAIN].samples)


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
    kinds: Sequence[tuple[_Ask, Mapping[str, DataSet]]],
) -> tuple[dict[tuple[int, ...], dict[Any, DataSet]], dict[tuple[int, ...], dict[Any, int]]]:
    """The longest data set of each stream, by shape of a block, and where its blocks start."""
    streams: dict[tuple[int, ...], dict[Any, DataSet]] = {}
    for ask, datasets in kinds:
        longest = streams.setdefault(ask.layout.shapes.block, {})
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


def _draws(
    name: str,
    kinds: Sequence[tuple[_Ask, Mapping[str, DataSet]]],
    offsets: Mapping[tuple[int, ...], Mapping[Any, int]],
) -> list[Range]:
    """Where each draw of a data set lies, of each kind of cells; the first draw first."""
    samples = np.array([own[name].samples for _, own in kinds])
    keys = [(own[name].key, *own[name].more) for _, own in kinds]
    starts = [offsets[ask.layout.shapes.block] for ask, _ in kinds]
    first = [[start[key] for key in own] for start, own in zip(starts, keys, strict=True)]
    return [Range(column, samples) for column in np.array(first).T]


def _side_by_side(
    groups: Sequence[Group], work: np.ndarray, updates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each cell and those side by side with it: the largest work, the most updates; (cells,)."""
    most = work.copy(), updates.copy()
    for group in groups:
        if group.layout.shapes.kernel or group.beside == 1:
            continue
        together = group.slots.reshape(-1, group.beside)
        for values in most:
            own = np.where(together < 0, 0, values[together]).max(axis=1, keepdims=True)
            own = np.broadcast_to(own, together.shape)
            values[together[together >= 0]] = own[together >= 0]
    return most


def _blocks(samples: int, rows: int) -> int:
    return -(-samples // rows)


def _ragged(cells: Sequence[np.ndarray], layout: Layout, platform: str) -> tuple[np.ndarray, int]:
    """Indices of cells, a row a device, filled up with -1; and how many are side by side.

    On a CPU that is always the same number, so that the last ones are computed in the same shape.
    """
    width, beside = max(MIN_SLOTS, *map(len, cells)), layout.beside
    parts = -(-width // beside)
    count = beside if platform == "cpu" else -(-width // parts)
    slots = np.full((len(cells), parts * count), -1, np.int32)
    for row, own in zip(slots, cells, strict=True):
        row[: len(own)] = own
    return slots, count


def _taken(column: np.ndarray, kind: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """A number of each kind, by slot; 0 where a slot is empty."""
    return np.where(slots < 0, 0, column[kind[slots]]).astype(np.int32)
