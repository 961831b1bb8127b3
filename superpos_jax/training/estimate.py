"""What a sweep will cost, before anything is trained."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from superpos_jax.engine import memory
from superpos_jax.engine.numerics import pinned
from superpos_jax.engine.once import Once
from superpos_jax.engine.plan import Group, Plan, make_plan, works
from superpos_jax.engine.study import Study
from superpos_jax.results.grid import Grid
from superpos_jax.training import launch, shards
from superpos_jax.training.job import find_devices, tell_of_planning

KERNELS = "gpu, by kernels"
OPERATIONS_PER_SECOND = {"cpu": 7e10, "gpu": 5e12, KERNELS: 2.4e13, "tpu": 1e12}
"""Per device, as `Study.sample_cost` and `update_cost` count them. CPU: one core with AVX-512. GPU:
an H100. TPU: what published bandwidths allow (benchmarks/on_paper.md); nothing was run there."""

SECONDS_PER_UPDATE = {"cpu": 1e-5, "gpu": 7e-5, KERNELS: 7e-5}
"""Seconds that an update takes on a device besides its operations: a loop of small kernels. With
both constants the estimate was 0.7 to 1.3 times the measured time of nine trainings, eight on an
H100 and one on an H200."""

SMALL_ROW, SMALL_ROW_POWER = 1.5e5, 0.25
"""A CPU with cells side by side is slower if a sample takes few operations: below `SMALL_ROW`
its rate falls as their power `SMALL_ROW_POWER`. Measured at 900, 8,000 and 150,000 operations."""

SECONDS_PER_CELL = 3e-4
"""Seconds that one process takes per cell apart from training: its plan, its report, its row."""

SECONDS_PER_SAMPLE = 7e-6
"""Seconds that each process takes to draw a sample, before training: about those of an autoencoder
of few features. Bags of words take less."""

FORWARD = 1 / 3
"""Share of a sample's operations that it takes to measure it."""

WORTH_LAUNCHING = 10.0
"""Seconds that one process would train for, from which several are worth their start."""


def processes_for(
    study: Study, cells: Sequence[Any], devices: int | None, limit: float | None = None
) -> int:
    """How many processes to train some cells with on this machine, of at most `limit` GiB.

    On a CPU as many as there are cores, cells and memory for; one where training is short.
    """
    cores = len(launch.cores())
    if (devices or 1) > cores or not _is_long(study, cells) or not launch.can_launch():
        return 1
    free = memory.free_on_host() if limit is None else limit * 2**30
    return devices or max(1, min(cores, len(cells), int(free / (2 * memory.RUNTIME))))


def _is_long(study: Study, cells: Sequence[Any]) -> bool:
    """Whether one process would train some cells for long; of a million it looks at the first."""
    seconds = 0.0
    for cell, work in zip(cells, works(study, cells), strict=True):
        seconds += work / OPERATIONS_PER_SECOND["cpu"]
        seconds += int(study.steps(cell)) * SECONDS_PER_UPDATE["cpu"]
        if seconds >= WORTH_LAUNCHING:
            return True
    return False


@pinned()
def describe(grid: Grid, devices: int | None = None, limit: float | None = None) -> dict[str, str]:
    """Cells, programs, padding, memory and time of a grid, in words.

    Args:
        grid: of any size.
        devices: to shard over; all by default.
        limit: GiB of memory of this machine; what is free by default.

    Raises:
        UserError: a cell alone needs more memory than there is.

    >>> from superpos_jax.results.sweep import load_sweep
    >>> describe(load_sweep("quickstart").grid())["programs"]
    '1'
    """
    tell_of_planning(len(grid.cells))
    count = processes_for(grid.study, grid.cells, devices, limit)
    chips = find_devices(devices)
    platform = chips[0].platform
    room = memory.usable(chips, limit)
    shape = (count if count > 1 else len(chips)), platform
    results = memory.results(grid.study, grid.cells, platform, count)
    programs = memory.split(grid.study, grid.cells, *shape, room, count, results)
    need = results + max(memory.peak(grid.study, plan, count) for plan in programs)
    plan = programs[0] if len(programs) == 1 else make_plan(grid.study, grid.cells, *shape, count)
    operations = float(plan.per_device.sum())
    return {
        "cells": f"{len(grid.cells):,}"
        + "".join(
            f"{' x' if i else ' ='} {len(values)} {axis}"
            for i, (axis, values) in enumerate(grid.axes.items())
        ),
        "programs": f"{len(programs)}" + (", one after another" if len(programs) > 1 else ""),
        "groups": f"{len(plan.groups)} of equal layout",
        "devices": f"{plan.devices} x {platform}, in {count} process{'es' * (count > 1)}",
        "updates": f"{int(plan.updates.sum()):,} cell-steps",
        "work": f"{operations:.3g} operations",
        "work done / needed": f"{plan.overhead:.3f}",
        "busiest device / mean": f"{plan.per_device.max() / plan.per_device.mean():.3f}",
        "memory": f"about {memory.words(need)} at most, {memory.words(room)} may be used",
        "time": _time(grid.study, plan, platform, count),
    }


@pinned()
def of_shards(grid: Grid, count: int, devices: int | None = None) -> list[tuple[str, ...]]:
    """Name, cells, work and time of each shard of a grid, in words.

    Args:
        grid: of any size.
        count: how many shards there are.
        devices: that train one shard; all of this machine by default.

    Raises:
        UserError: there are more shards than cells.
    """
    owners = shards.cut(grid, count)
    rows = list[tuple[str, ...]]()
    for shard in sorted({*owners}):
        cells = [cell for cell, owner in zip(grid.cells, owners, strict=True) if owner == shard]
        processes = processes_for(grid.study, cells, devices)
        chips = find_devices(devices)
        platform = chips[0].platform
        shape = processes if processes > 1 else len(chips), platform
        plan = make_plan(grid.study, cells, *shape, processes)
        rows.append(
            (
                str(shard),
                f"{len(cells):,}",
                f"{plan.per_device.sum():.3g} operations",
                _time(grid.study, plan, platform, processes),
            )
        )
    return rows


def _time(study: Study, plan: Plan, platform: str, processes: int) -> str:
    """How long a run takes, in words."""
    seconds = _seconds(study, plan, platform, processes)
    if seconds < 120:
        return f"about {seconds:.0f} s and compilation"
    words = f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
    return f"about {words} and compilation"


def _seconds(study: Study, plan: Plan, platform: str, processes: int) -> float:
    """How long a run takes: the host, and the busiest device."""
    how = KERNELS if plan.has_kernels else platform
    rate = OPERATIONS_PER_SECOND.get(how, OPERATIONS_PER_SECOND["gpu"])
    measuring = np.array([*map(Once(functools.partial(_measuring, study)), plan.cells)])
    seconds = (plan.work * plan.lasts + measuring) / rate
    for group in plan.groups if platform == "cpu" else ():
        together = group.slots.reshape(-1, group.beside)
        filled = together >= 0
        # An empty place costs as much as a cell.
        share = filled.mean(axis=1, keepdims=True) * _vectorised(study, group, plan.cells)
        seconds[together[filled]] /= np.broadcast_to(share, together.shape)[filled]
    loops = plan.updates_per_device * SECONDS_PER_UPDATE.get(how, 0.0)
    busiest = (np.bincount(plan.owner, seconds, plan.devices) + loops).max()
    samples = sum(own.samples for streams in plan.streams.values() for own in streams.values())
    on_host = samples * SECONDS_PER_SAMPLE + len(plan.cells) * SECONDS_PER_CELL / processes
    return float(busiest) + on_host


def _measuring(study: Study, cell: Any) -> float:
    """Operations of all that is measured of a cell, at its looks, along training and at the end."""
    every, steps = int(study.look_every(cell)), int(study.steps(cell))
    times = {"end": 0, "history": len(study.recorded(cell))}
    times["look"] = times["history"] + (steps // every if every else 0)
    samples = sum(
        own.samples * (1 + len(own.more) + times[own.evaluate])
        for own in study.datasets(cell).values()
    )
    return FORWARD * study.sample_cost(cell) * samples


def _vectorised(study: Study, group: Group, cells: Sequence[Any]) -> float:
    """Share of a core's rate that cells side by side reach; 1 for cells one after another."""
    if group.beside == 1:
        return 1.0
    cost = group.layout.shapes.row_cost or study.sample_cost(cells[group.slots.max()])
    return float(min(1.0, (cost / SMALL_ROW) ** SMALL_ROW_POWER))
