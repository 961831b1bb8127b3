"""How much memory training takes, and how cells are split so that it is enough."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Any

import jax
import numpy as np
import psutil

from superpos_jax.engine import cgroups
from superpos_jax.engine.layout import TRAIN
from superpos_jax.engine.once import Once
from superpos_jax.engine.plan import Group, Plan, kernels_by_block, make_plan
from superpos_jax.engine.study import DataSet, Study
from superpos_jax.errors import UserError

RUNTIME = 768 * 2**20
"""Bytes of Python, JAX, the compiler and the figures (benchmarks/README.md has a table)."""

COPIES = 4
"""How often parameters and results are held at once, at most: on the devices (or in tables), in a
snapshot (or dataset), and twice more while that is written."""

ROW = 3 * 2**10
"""Bytes of the row of a cell, its arrays aside, in each process."""

USABLE = 0.9
"""Share of the free memory that is used at most, where nobody sets a limit."""


def peak(study: Study, plan: Plan, processes: int = 1, hosts: int = 1) -> float:
    """Most bytes that training the cells of a plan takes at any moment, in all processes.

    The results of the sweep are not among them, see `results`. Parameters and optimizer state are
    held `COPIES` times while a checkpoint is written. Each process holds the samples once, and so
    does each device. The host's share counts too: on a CPU it is the same memory. Where processes
    are on several hosts, each host counts as if it had those that need most.
    """
    kernels = kernels_by_block(plan)
    cell_bytes = {group.layout: _of_cell(study, plan, group) for group in plan.groups}
    block_bytes = {
        block: _of_block(study, next(iter(streams)), block)
        for block, streams in plan.streams.items()
        if not kernels[block]
    }
    parts = list[float]()
    for part in map(plan.part, range(plan.processes)):
        state = samples = 0.0
        for group in part.groups:
            state += group.slots.size * cell_bytes[group.layout]
            if kernel := group.layout.shapes.kernel:
                count = group.data[TRAIN].samples
                samples += kernel.work_bytes(group.layout.shapes.size, count[count > 0].tolist())
        for block, streams in part.streams.items():
            if kernels[block]:
                samples += kernels[block].pool_bytes([*streams.values()])
            else:
                counts = (-(-dataset.samples // block[0]) for dataset in streams.values())
                samples += block_bytes[block] * sum(counts)
        copies = processes / plan.processes + part.devices
        parts.append(COPIES * state + samples * copies)
    on_a_host = -(-plan.processes // hosts)
    return processes * RUNTIME + hosts * sum(sorted(parts, reverse=True)[:on_a_host])


def _of_cell(study: Study, plan: Plan, group: Group) -> int:
    """Bytes of parameters, optimizer state and memo of a cell of a group."""
    cell, shapes = plan.cells[group.slots.max()], group.layout.shapes
    params = jax.eval_shape(lambda: study.init(cell, shapes))
    moments = jax.eval_shape(study.optimizer(cell, shapes).init, params)
    memo = jax.eval_shape(functools.partial(study.memo, cell, shapes), params)
    return sum(map(_bytes, (params, moments, memo)))


def _of_block(study: Study, key: Any, block: tuple[int, ...]) -> int:
    """Bytes of one block of samples."""
    none = jax.tree.leaves(study.blocks(DataSet(key, 0), block))
    return sum(int(np.prod(x.shape[1:])) * x.dtype.itemsize for x in none)


def results(study: Study, cells: Collection[Any], platform: str, processes: int = 1) -> float:
    """Most bytes that the results of a sweep take of the devices' memory, besides the programs.

    Each process holds each cell's results `COPIES` times while they are written, as if every cell
    were the largest, and the cell's row. 0 with accelerators: results lie on the host, not on them.

    Raises:
        UserError: the host of accelerators cannot hold them.
    """
    largest = max(map(Once(functools.partial(_result, study)), cells), default=0.0)
    need = processes * len(cells) * (COPIES * largest + ROW)
    if platform == "cpu":
        return need
    free = free_on_host()
    if need > USABLE * free:
        raise UserError(
            f"memory: results of {len(cells):,} cells need about {words(need)}, and "
            f"{words(USABLE * free)} of the host's {words(free)} may be used; take fewer cells, or "
            "keep less of their training and weights"
        )
    return 0.0


def _result(study: Study, cell: Any) -> float:
    """Bytes of what a cell reports, and of the histories of two losses and two norms."""
    return float(study.result_bytes(cell)) + 16.0 * len(study.recorded(cell))


def free_on_host() -> float:
    """Bytes that are free: the machine's, or what the control groups of this process leave."""
    return min(float(psutil.virtual_memory().available), cgroups.free_memory())


def usable(devices: Sequence[jax.Device], limit: float | None = None) -> float:
    """Bytes that may be used: `limit` GiB, by default `USABLE` of what is free.

    On accelerators that is their own memory; else the machine's or control group's, and what this
    process holds already, which is part of what `peak` counts.
    """
    if limit is not None:
        return limit * 2**30
    first = devices[0]
    statistics = first.memory_stats() if first.platform != "cpu" else None
    if statistics and "bytes_limit" in statistics:
        free = len(devices) * float(statistics["bytes_limit"] - statistics.get("bytes_in_use", 0))
    else:
        free = free_on_host() + psutil.Process().memory_info().rss
    return USABLE * free


def split(
    study: Study,
    cells: Sequence[Any],
    devices: int,
    platform: str,
    room: float,
    processes: int = 1,
    for_results: float = 0.0,
    hosts: int = 1,
) -> list[Plan]:
    """Plans of the cells, in their order, that fit into memory one after another.

    Args:
        study: of the cells.
        cells: to be trained.
        devices: among which they are dealt.
        platform: of the devices.
        room: bytes that may be used, see `usable`.
        processes: in which they are trained.
        for_results: bytes of the results of the whole sweep, see `results`.
        hosts: on which the processes are, with memory of their own; each process of accelerators
            has its own.

    Raises:
        UserError: a cell alone does not fit.
    """
    plan = make_plan(study, cells, devices, platform, processes)
    on_host = (
        processes if platform == "cpu" else 1
    )  # of accelerators the host has memory of its own
    need = peak(study, plan, on_host) + for_results
    if need <= room:
        return [plan]
    if len(cells) == 1:
        own = words(on_host * RUNTIME)
        fewer = ", or fewer --processes" if on_host > 1 else ""
        fewer = ", or fewer --devices" if processes == 1 else fewer
        raise UserError(
            f"memory: {cells[0]} alone needs about {words(need)}, {own} of it for JAX itself and "
            f"{words(for_results)} for the results of the sweep, and {words(room)} may be used; "
            f"take a smaller cell, fewer cells, less of their training and weights kept{fewer}"
        )
    half = len(cells) // 2
    return [
        part
        for some in (cells[:half], cells[half:])
        for part in split(study, some, devices, platform, room, processes, for_results, hosts)
    ]


def words(count: float) -> str:
    """Bytes for a reader.

    >>> words(3 * 2**30)
    '3.0 GiB'
    """
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _bytes(tree: Any) -> int:
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
