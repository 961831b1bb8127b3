"""Whether a result holds what training gives: some cells trained again, alone, and compared."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import jax
import numpy as np

from superpos_jax.engine import bits
from superpos_jax.engine.bits import ANY
from superpos_jax.engine.study import Study
from superpos_jax.engine.verdicts import UNFINISHED
from superpos_jax.errors import UserError
from superpos_jax.results.archive import rounded
from superpos_jax.results.cells import missing
from superpos_jax.results.result import Result
from superpos_jax.results.store import one_nan
from superpos_jax.results.sweep import Sweep
from superpos_jax.results.view import ARCHIVED, provenance
from superpos_jax.training import launch
from superpos_jax.training.job import run
from superpos_jax.training.progress import Progress
from superpos_jax.training.provenance import (
    CORES,
    PARTS,
    THREADS,
    changed_data,
    data_sources,
    differences,
    trainer,
)


@dataclass(frozen=True)
class Finding:
    """One cell that was trained again."""

    point: dict[str, Any]
    """Its values of the swept axes."""
    same: bool
    """Whether every number has the same bits."""
    difference: float
    """The largest absolute difference of two numbers; infinite where only one is finite."""
    quantity: str
    """The quantity that differs most; empty if none does."""
    changed: str
    """Why bits are not promised: what of machine, versions and data differs, or that it is an
    accelerator and the study has no kernel for all of its sums; empty if they are."""
    archived: bool
    """Whether it was read from an archive, of which only what it holds is compared."""


def audit(
    result: Result,
    cells: int,
    seed: int | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Iterator[Finding]:
    """Train random finished cells again, each alone.

    Of a cell that was read from an archive only what the archive holds is compared.

    Args:
        result: to be audited.
        cells: how many; all there are if that is fewer.
        seed: chooses the cells.
        progress: called between chunks.

    Raises:
        UserError: no cell is trained yet.

    >>> result = run(Sweep(axes=dict(T=[3]), cell=dict(steps=5, S=0.9), options=dict(n=50)))
    >>> [finding.same for finding in audit(result, 1)]
    [True]
    """
    verdicts = result.dataset["verdict"].values
    trained = np.argwhere(verdicts != UNFINISHED)
    if not len(trained):
        raise UserError("audit: no cell is trained yet")
    chosen = np.random.default_rng(seed).permutation(len(trained))[:cells]
    sweep, runs = result.sweep, provenance(result.dataset)
    devices = _take_cores(runs)
    parts = "one" if devices == 1 else "several"
    present = {**trainer(result.grid.study), THREADS: bits.threads(), PARTS: parts}
    for number, index in enumerate(trained[np.sort(chosen)]):
        point = {
            axis: result.dataset[axis].values[i].item()
            for axis, i in zip(result.axes, index, strict=True)
        }
        stored, cell = result.at(**point), result.trained_cell(**point)
        values = {field.name: getattr(cell, field.name) for field in fields(cell)}
        given = {f.name: values[f.name] for f in fields(cell) if values[f.name] != f.default}
        alone = Sweep(study=sweep.study, cell=given, options=sweep.options)

        def told(now: Progress, number: int = number) -> None:
            progress(now._replace(doing=f"{now.doing}, cell {number + 1} of {len(chosen)}"))

        again = run(alone, devices=devices, progress=told).dataset
        number = int(stored["run"])
        made = runs[number] if 0 <= number < len(runs) else None
        changed = [
            difference
            for before in ((made, *made.get("continued", [])) if made else ())
            for difference in differences(before, present)
        ]
        if made and (other := changed_data([made], data_sources(result.grid.study, [cell]))):
            changed.append(other)
        if not made:
            changed.append("no run is noted that trained it")
        platform = present["device"].partition(":")[0]
        if platform != "cpu" and (why := _rounded_by_others(result.grid.study, cell, platform)):
            changed.append(why)
        archived = bool(made and made.get(ARCHIVED))
        same, apart, where = _compare(stored, again, archived)
        why = "; ".join(dict.fromkeys(changed))
        yield Finding(point, same, apart, where, why, archived)


def _take_cores(runs: Sequence[Any]) -> int:
    """Set the threads and devices that a result was trained with, where JAX has not started yet.

    Returns how many devices to train on: 2 if all runs in which it matters had several, else 1.
    """
    numbers, parts = ({run.get(key, ANY) for run in runs} - {ANY} for key in CORES)
    wanted = 2 if parts == {"several"} else 1
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", wanted)  # refused once JAX has started
        if len(numbers) == 1 and isinstance(number := next(iter(numbers)), int):
            os.environ[bits.THREADS[0]] = str(number)
    launch.start()
    return min(wanted, jax.local_device_count())


def _rounded_by_others(study: Study, cell: Any, platform: str) -> str:
    """Why a cell's bits depend on the cells mapped with it; empty if they do not."""
    shapes = study.shapes(cell, platform)
    if not shapes.kernel:
        return "an accelerator computes cells side by side, how many decides rounding"
    if bits.sums_outside_kernel(study, cell, shapes):
        return "optimizer or summaries leave sums to XLA: how many cells decides rounding"
    return ""


def _compare(stored: Any, again: Any, archived: bool) -> tuple[bool, float, str]:
    """Whether all bits agree, the largest difference and where it is."""
    same, largest, where = True, 0.0, ""
    for name in again.data_vars:
        if name == "run" or (archived and name not in stored):
            continue
        if name not in stored:
            same, largest, where = False, float("inf"), str(name)
            continue
        old, new = one_nan(stored[name]), one_nan(again[name])
        if "step" in new.dims:
            old = old.sel(step=new["step"])
        before = old.values[tuple(map(slice, new.shape))].astype(new.dtype)
        after = new.values
        if archived:
            after = _as_held(before, after, single={*new.dims} <= {"step"})
        if before.tobytes() == after.tobytes():
            continue
        same = False
        with np.errstate(all="ignore"):
            apart = np.atleast_1d(np.abs(before.astype(np.float64) - after.astype(np.float64)))
        apart[np.atleast_1d((before == after) | (np.isnan(before) & np.isnan(after)))] = 0
        difference = float(np.max(np.nan_to_num(apart, nan=np.inf, posinf=np.inf), initial=0))
        if difference >= largest:
            largest, where = difference, str(name)
    return same, largest, where


def _as_held(held: np.ndarray, values: np.ndarray, single: bool) -> np.ndarray:
    """Numbers as an archive would hold them, judged by what it holds.

    NaN stands for a number that it lacks: an earlier version had no such quantity yet. A `single`
    number and its history are held whole; of other arrays some values may be, rounded.

    >>> again = np.float32([0.123456789, 7])
    >>> held = np.where([True, False], rounded(again), np.float32(np.nan))
    >>> (_as_held(held, again, single=False) == held).tolist()
    [True, False]
    >>> (_as_held(held, again, single=True) == held).tolist()
    [False, False]
    """
    if held.tobytes() == values.tobytes():
        return values
    left_out = np.isnan(held) if held.dtype.kind == "f" else np.zeros(held.shape, bool)
    if not single:
        left_out = left_out | (held == missing(held.dtype))
        values = rounded(values)
    return np.where(left_out, held, values)
