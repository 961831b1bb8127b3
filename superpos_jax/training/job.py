"""Running a sweep: what is left to train, in which programs, and what becomes of its cells.

A run opens a `Job` (it locks and reads the folder), trains its cells, and labels the result.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from superpos_jax.engine import collective, memory
from superpos_jax.engine.code import make_mesh
from superpos_jax.engine.numerics import pinned
from superpos_jax.engine.plan import Plan
from superpos_jax.engine.program import Program
from superpos_jax.errors import UserError
from superpos_jax.results import cells, rows, view
from superpos_jax.results.result import Result
from superpos_jax.results.sweep import Sweep, read_sweep
from superpos_jax.text import counted
from superpos_jax.training import checkpoint, launch, opening, shards
from superpos_jax.training.checkpoint import Checkpoints, Saved, about, drop_finished, find
from superpos_jax.training.folder import Folder
from superpos_jax.training.logbook import Logbook
from superpos_jax.training.loop import Training, advance
from superpos_jax.training.opening import Job, opened
from superpos_jax.training.progress import Progress, shown
from superpos_jax.training.provenance import (
    Machine,
    changed_data,
    changed_source,
    data_sources,
    differences,
)
from superpos_jax.training.reports import finished_rows, try_report
from superpos_jax.training.signals import stop_requests

PLANNING = 3e-5
"""Seconds that planning takes for each cell that has data of its own: 20 to 36 millionths on one
core, for 100,000 and a million of them. Where cells share data it takes a fifth."""

KEPT = (
    "the trained cells are kept in a checkpoint: when the report is mended, the same command with"
    " --mix trains none of them again"
)

logger = logging.getLogger(__name__)


@pinned()
def run(
    sweep: Sweep | str | Path,
    *,
    out: str | Path | None = None,
    devices: int | None = None,
    fresh: bool = False,
    retry: Mapping[str, Any] | None = None,
    mix: bool = False,
    shard: str | None = None,
    limit: float | None = None,
    checkpoint_seconds: float | None = None,
    progress: Callable[[Progress], None] | bool = True,
) -> Result:
    """Train the cells of a sweep that `out` does not hold yet, or all of them without `out`.

    A run that was interrupted is continued from its last checkpoint; a sweep that has grown since
    trains its new cells only.

    Args:
        sweep: a `Sweep`, a sweep file, or the name of a shipped sweep.
        out: keep checkpoints and the result in this folder.
        devices: how many devices to shard the cells over; all by default (on a CPU as many as
            there are cores, where JAX has not started yet).
        fresh: start over, whatever `out` holds of this or another sweep.
        retry: train only the cells that died or diverged, again, with these values
            (`{"lr": 1e-4}`) in place of the sweep's.
        mix: train what is left in `out` though cells were trained with other code of the study or
            on other data. Cells that are half trained so begin again.
        shard: train the third of 16 parts of the cells, `"3/16"`, cut by work; `merge` puts the
            folders of all parts together.
        limit: GiB of memory to stay below, on each machine; by default 90 % of what is free. Cells
            that do not fit together are trained in several programs, one after another.
        checkpoint_seconds: least time between two checkpoints; by default 30, or longer where they
            would take more than 2 % of the run time.
        progress: called between chunks with a `Progress`: the losses are in it. By default a bar
            on a terminal and in a notebook; False for none.

    Returns:
        The labelled result.

    Raises:
        UserError: wrong sweep, more devices than there are, `out` holds something else or is in
            use, or a cell alone needs more memory than there is.
        Interrupted: after Ctrl-C or SIGTERM, if `out` is given; the same call continues.

    >>> result = run(Sweep(axes=dict(T=[5], m=[2, 3]), cell=dict(steps=10), options=dict(n=100)))
    >>> result.dataset.train_loss.shape
    (1, 2)
    """
    if not isinstance(sweep, Sweep | str | Path):
        raise UserError(f"run: {sweep!r}: allowed: a Sweep, a sweep file or a shipped name")
    numbers = {"devices": devices, "limit": limit, "checkpoint_seconds": checkpoint_seconds}
    for name, value in numbers.items():
        kind, words = (Integral, "a whole number") if name == "devices" else (Real, "a number")
        if value is not None and not (isinstance(value, kind) and value >= 0):
            raise UserError(f"{name} = {value!r}: allowed: {words}, not negative")
    if fresh and retry is not None:
        raise UserError("fresh drops what retry would train again; give one of them")
    if retry is not None and out is None:
        raise UserError("retry: which cells died is in a result folder; give it as out")
    part = None if shard is None else shards.parse(shard)
    if isinstance(sweep, Sweep):
        sweep.refuse_figures()
        grid = sweep.grid()
    else:
        sweep, grid = read_sweep(sweep)
    with contextlib.ExitStack() as stack:

        def open_job() -> Job:
            folder = None if out is None else Folder(out, sweep, grid)
            job = opened(sweep, grid, folder, fresh=fresh, retry=retry, mix=mix, shard=part)
            return stack.enter_context(job)

        job = collective.shared(open_job, opening.packed, opening.unpacked)
        if job.cells and devices is None:
            launch.use_all_cores()
        bar = progress if job.cells or callable(progress) else False
        return train(
            job,
            devices=devices,
            limit=limit,
            checkpoint_seconds=checkpoint_seconds,
            progress=stack.enter_context(shown(bar, collective.leads())),
        )


@pinned()
def train(
    job: Job,
    *,
    devices: int | None = None,
    limit: float | None = None,
    checkpoint_seconds: float | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Result:
    """Train the cells of a job, in as many programs as memory and checkpoints ask for.

    Args:
        job: opened; by process 0, where there are several.
        devices, limit, checkpoint_seconds, progress: as `run` takes them.

    Raises:
        UserError, Interrupted: as `run` raises them.
    """
    study = job.grid.study
    book = Logbook(job.sweep, job.grid, job.folder, job.table, job.retry, job.shard)
    if job.cells:
        found, index = find_devices(devices), jax.process_index()
        if collective.leads() and (hint := study.hint(found[0].platform)):
            logger.warning("%s", hint)
        programs, stale = _programs(job, book, found, limit)
        mesh = make_mesh(of_this_process(found))
        machines = [machine for _, saved in programs if saved for machine in saved.machines]
        book.begin(len(found), machines)
        _tell_of_others(machines, book.machines[-1])
        shares = np.array([plan.per_device.sum() for plan, _ in programs])
        shares /= shares.sum()
        with stop_requests(job.folder is not None) as asked_to_stop:
            for i, (plan, saved) in enumerate(programs):
                programs[i] = plan, None  # a checkpoint is held until its last cells go on
                which = f", program {i + 1} of {len(programs)}" if len(programs) > 1 else ""
                told = functools.partial(
                    _told, progress, len(job.cells), shares[:i].sum(), shares[i], which
                )
                step, steps = int(saved.arrays["step"]) if saved else 0, int(plan.updates.max())
                told(Progress(plan.share(step), "drawing data, compiling", step, steps))
                own_part = functools.partial(Program, study, plan.part(index), mesh)
                program = collective.everywhere(own_part)
                own = saved.part(study, plan.cells) if saved else None
                training = Training(program, own, plan)
                saved = own = None
                collective.everywhere(functools.partial(try_report, training))
                if i == 0:  # it compiles, and reports: what the folder holds may go
                    if job.folder and job.fresh:
                        collective.shared(job.folder.clear)
                    for path in stale if collective.leads() else ():
                        shutil.rmtree(path, ignore_errors=True)
                    book.write()
                book.add_seconds("compile_seconds", training.compile_seconds)
                book.note_cores(program)
                checkpoints, save = _train_program(
                    training, book, checkpoint_seconds, asked_to_stop, told
                )
                told(Progress(1.0, "measuring", training.step, training.step))
                try:
                    ended = finished_rows(training, len(book.runs) - 1)
                except Exception:  # a mistake in a report must not cost the training
                    if book.folder and save() and collective.leads():
                        logger.warning("%s", KEPT)
                    raise
                if i + 1 == len(programs):
                    book.finish()
                book.add(ended)
                if checkpoints:
                    checkpoints.discard()
    elif job.folder and _shows_other(job.table, book.table):
        book.write()
    if collective.leads() and job.folder:
        drop_finished(job.folder.path, book.trained(), study)
    return book.result()


def _tell_of_others(machines: Sequence[Machine], present: Machine) -> None:
    """Say that cells go on from checkpoints of another machine, version or code."""
    apart = dict.fromkeys(each for machine in machines for each in differences(machine, present))
    if apart and collective.leads():
        logger.warning(
            "cells go on from a checkpoint of another machine or version (%s); their last bits are"
            " not those of one run",
            "; ".join(apart),
        )


def tell_of_planning(cells: int) -> None:
    """Say that planning takes a while, where it does."""
    if cells * PLANNING > 5:
        logger.warning("planning %s cells takes about %.0f s", f"{cells:,}", cells * PLANNING)


def _programs(
    job: Job, book: Logbook, devices: Sequence[jax.Device], limit: float | None
) -> tuple[list[tuple[Plan, Saved | None]], list[Path]]:
    """The plan of each program, and the checkpoint from which it goes on; checkpoints of no use.

    Raises:
        UserError: there is too little memory; a checkpoint is of another kind of machine.
    """
    if collective.leads():
        tell_of_planning(len(job.cells))
    study, platform, count = job.grid.study, devices[0].platform, jax.process_count()
    room = collective.shared(lambda: memory.usable(devices, limit))
    per_host = collective.processes_per_host()
    if platform == "cpu" or limit is not None:  # each machine has what the first one has
        room *= count / per_host
    all_cells = {*job.grid.cells, *job.cells, *cells.cells_of(book.table, study)}
    copies = count if platform == "cpu" else per_host
    results = collective.shared(lambda: memory.results(study, all_cells, platform, copies))
    parts, stale = _parts(job, platform)
    programs = [
        (plan, saved)
        for part, saved in parts
        for plan in memory.split(
            study, part, len(devices), platform, room, count, results, -(-count // per_host)
        )
    ]
    return programs, stale


def _parts(job: Job, platform: str) -> tuple[list[tuple[list[Any], Saved | None]], list[Path]]:
    """The cells to train, together with the checkpoint from which some of them go on.

    Also the stale checkpoints: by other code of the study, or of other data.
    """
    left, parts = dict.fromkeys(job.cells), list[tuple[list[Any], Saved | None]]()
    stale = list[Path]()
    checkpoints: list[Saved] = []
    if (folder := job.folder) and not job.fresh:
        checkpoints = collective.shared(
            lambda: find(folder.path, job.grid.study),
            checkpoint.packed,
            lambda message: checkpoint.unpacked(message, job.grid.study),
        )
    for saved in checkpoints:
        mine = [cell for cell in saved.cells if cell in left]
        if mine and saved.platform != platform:
            raise UserError(
                f"checkpoint: written on {saved.platform}, this is {platform}; continue there, "
                "or --fresh"
            )
        if mine and not _goes_on(saved, mine, job):
            stale.append(saved.path)
            continue
        if mine:
            parts.append((mine, saved))
            for cell in mine:
                del left[cell]
    return [*parts, (list(left), None)] if left else parts, stale


def _goes_on(saved: Saved, cells: Sequence[Any], job: Job) -> bool:
    """Whether cells go on from a checkpoint.

    Half-trained ones do not if the study's code or its data have changed since.
    """
    study = job.grid.study
    if saved.arrays["step"] >= max(map(study.steps, cells)):
        return True
    latest = [] if job.table is None else view.provenance(job.table)[-1:]
    changed = changed_source(saved.machines, type(study))
    changed = changed or changed_data(latest, data_sources(study, cells))
    if changed and collective.leads():
        again = counted(len(cells), "half-trained cell")
        logger.warning("%s; from the start: %s", changed, again)
    return not changed


def _train_program(
    training: Training,
    book: Logbook,
    checkpoint_seconds: float | None,
    asked_to_stop: Callable[[], bool],
    told: Callable[[Progress], None],
) -> tuple[Checkpoints | None, Callable[[], bool]]:
    """Train a program's cells to their end.

    Returns:
        Its checkpoints, which process 0 alone keeps; and what writes one.
    """
    program, trained = training.program, training.plan.cells
    checkpoints = None
    if book.folder and collective.leads():
        checkpoints = Checkpoints(book.folder.path, trained, checkpoint_seconds)
    owner = about(program.study, trained, program.platform, book.machines)

    def save() -> bool:
        """Write a checkpoint, and show how far the cells have come; whether it was written."""
        with checkpoints.timed() if checkpoints else contextlib.nullcontext():
            arrays = training.arrays()  # gathered from all processes
            written = checkpoints is None or checkpoints.save(training.step, arrays, owner)
            try:
                run = len(book.runs) - 1
                book.add(rows.make_table(program.study, trained, training.measured, run))
            except UserError as error:  # a full disk: the next time may be better
                logger.warning("%s", error)
        return written

    def is_due() -> bool:
        return checkpoints is not None and checkpoints.due()

    advance(training, is_due, save, asked_to_stop, told)
    if checkpoints:
        book.add_seconds("saving_seconds", checkpoints.spent)
    return checkpoints, save


def _told(
    progress: Callable[[Progress], None],
    count: int,
    before: float,
    share: float,
    which: str,
    now: Progress,
) -> None:
    """Tell the progress of one program as progress of all."""
    done = float(before + now.done * share)
    progress(now._replace(done=done, doing=now.doing + which, cells=count))


def _shows_other(stored: xr.Dataset | None, table: xr.Dataset) -> bool:
    """Whether a folder shows other cells than the sweep's, or in another order."""
    shown = ("sweep", "retries")
    return stored is None or any(stored.attrs[name] != table.attrs[name] for name in shown)


def find_devices(count: int | None) -> list[jax.Device]:
    """The devices to use; splits the CPU into `count` (by default one per core) if still possible.

    Of several processes all devices are used, those of one process side by side, as a plan has
    them.

    Raises:
        UserError: there are fewer than `count`; or, of several processes, another number, or one
            process has more than another.
    """
    if not collective.several():
        with contextlib.suppress(RuntimeError):  # JAX has started: its devices are what they are
            jax.config.update("jax_num_cpu_devices", count or len(launch.cores()))
    devices = sorted(launch.start(), key=lambda device: (device.process_index, device.id))
    if collective.several() and count not in (None, len(devices)):
        raise UserError(f"--devices {count}: {len(devices)} in all processes, and all are used")
    each = Counter(device.process_index for device in devices)
    if len(set(each.values())) > 1:
        raise UserError(f"cluster: devices of each process: {list(each.values())}; allowed: equal")
    if count is not None and not 1 <= count <= len(devices):
        raise UserError(f"--devices {count}: allowed: 1 to {len(devices)} here")
    return devices[:count]


def of_this_process(devices: Sequence[jax.Device]) -> list[jax.Device]:
    """Those of some devices that this process has."""
    return [device for device in devices if device.process_index == jax.process_index()]
