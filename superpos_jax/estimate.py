"""What a sweep will cost, before anything is trained."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from superpos_jax.pack import Plan, make_plan
from superpos_jax.study import DataSet, Study
from superpos_jax.sweep import Sweep
from superpos_jax.train import find_devices

OPERATIONS_PER_SECOND = {"cpu": 2.5e10, "gpu": 5e12, "tpu": 5e12}
"""Per device, as `Study.sample_cost` counts them. CPU: one core did 2e10 on the quickstart and
3.2e10 at n = 10,000 (benchmarks/README.md). The others are guesses from published bandwidths."""


def describe(sweep: Sweep, devices: int | None = None) -> dict[str, str]:
    """Cells, groups, padding, memory and time of a sweep, in words.

    >>> from superpos_jax.sweep import load_sweep
    >>> describe(load_sweep("quickstart"))["programs"]
    '1'
    """
    grid = sweep.grid()
    found = find_devices(devices)
    platform = found[0].platform
    plan = make_plan(grid.study, grid.cells, len(found), platform)
    operations = float((plan.work * plan.updates).sum())
    seconds = plan.per_device.max() / OPERATIONS_PER_SECOND.get(platform, 5e12)
    return {
        "cells": f"{len(grid.cells):,}"
        + "".join(
            f"{' x' if i else ' ='} {len(values)} {axis}"
            for i, (axis, values) in enumerate(grid.axes.items())
        ),
        "programs": "1",
        "groups": f"{len(plan.groups)} of equal layout in that program",
        "devices": f"{plan.devices} x {platform}",
        "updates": f"{int(plan.updates.sum()):,} cell-steps",
        "work": f"{operations:.3g} operations",
        "work done / needed": f"{plan.overhead:.3f}",
        "busiest device / mean": f"{plan.per_device.max() / plan.per_device.mean():.3f}",
        "memory": f"about {memory(grid.study, plan) / 2**20:,.0f} MiB besides the runtime",
        "time": f"about {_duration(seconds)} and compilation",
    }


def memory(study: Study, plan: Plan) -> float:
    """Bytes of training state, gradients and data of a plan.

    State is held twice while a step writes the next one; the data are one first block of each
    stream, times its number of blocks.
    """
    state = 0.0
    for group in plan.groups:
        cell = plan.cells[group.slots.max()]
        params = jax.eval_shape(lambda cell=cell, group=group: study.init(cell, group.layout))
        moments = jax.eval_shape(study.optimizer(cell).init, params)
        one = _bytes(params) + 2 * (_bytes(params) + _bytes(moments))
        state += one * group.slots.size
    data = 0.0
    for block, streams in plan.streams.items():
        for dataset in streams.values():
            first = study.blocks(DataSet(dataset.key, min(block[0], dataset.samples)), block)
            data += sum(leaf.nbytes for leaf in jax.tree.leaves(first)) * -(
                -dataset.samples // block[0]
            )
    return state + data * plan.devices


def _bytes(tree: Any) -> int:
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
