"""Running a sweep: plan, compile, train in chunks, evaluate on the way, label the result."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from superpos_jax.engine import collective, memory
from superpos_jax.engine.numerics import pinned
from superpos_jax.engine.plan import make_plan, total_work
from superpos_jax.engine.program import Program, make_mesh
from superpos_jax.engine.verdicts import DIVERGED, NON_FINITE, UNFINISHED
from superpos_jax.errors import Interrupted, UserError
from superpos_jax.results import records
from superpos_jax.results.grid import Grid, refuse_wrong
from superpos_jax.results.records import Measured, Record
from superpos_jax.results.result import Result
from superpos_jax.results.sweep import Sweep, load_sweep
from superpos_jax.training import launch, provenance
from superpos_jax.training.checkpoint import (
    Checkpoints,
    Saved,
    Tree,
    drop_finished,
    find,
    owners,
    under,
)
from superpos_jax.training.folder import Folder
from superpos_jax.training.provenance import Machine
from superpos_jax.training.signals import stop_requests

CHUNK_SECONDS = 0.5
logger = logging.getLogger(__name__)


class Progress(NamedTuple):
    """Where a run stands: share of all work done, what is happening, steps done and to do."""

    done: float
    doing: str
    step: int
    steps: int
    cells: int = 0
    """Cells that this run trains."""


@pinned()
def run(
    sweep: Sweep | str | Path,
    *,
    out: str | Path | None = None,
    devices: int | None = None,
    fresh: bool = False,
    retry: Mapping[str, Any] | None = None,
    limit: float | None = None,
    checkpoint_seconds: float | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
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
        limit: GiB of memory to stay below, on each machine; what is free by default. Cells that do
            not fit together are trained in several programs, one after another.
        checkpoint_seconds: least time between two checkpoints; by default 30, or as many as keep
            their cost below 2 % of the time.
        progress: called between chunks.

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
    if not isinstance(sweep, Sweep):
        sweep = load_sweep(sweep)
    numbers = {"devices": devices, "limit": limit, "checkpoint_seconds": checkpoint_seconds}
    for name, value in numbers.items():
        kind, words = (Integral, "a whole number") if name == "devices" else (Real, "a number")
        if value is not None and not (isinstance(value, kind) and value >= 0):
            raise UserError(f"{name} = {value!r}: allowed: {words}, not negative")
    if fresh and retry is not None:
        raise UserError("fresh drops what retry would train again; give one of them")
    if retry is not None and out is None:
        raise UserError("retry: which cells died is in a result folder; give it as out")
    grid = sweep.grid()
    folder = collective.shared(lambda: None if out is None else Folder(out, sweep))
    with contextlib.ExitStack() as stack:

        def read() -> tuple[dict[Any, Record], list[Any]]:
            if folder is None:
                return {}, []
            stack.enter_context(folder.locked())
            return ({}, []) if fresh else folder.read()

        known, runs = collective.shared(read)
        job = _Job(sweep, grid, known, runs, retry, folder, checkpoint_seconds, progress)
        if job.todo:
            job.train(find_devices(devices), limit, fresh)
        elif folder and collective.shared(folder.shows_other):
            job.publish({})
        if collective.leads() and folder:
            drop_finished(folder.path, job.trained(), job.study)
        shown = {cell: job.known[cell] for cell in grid.cells if cell in job.known}
        return Result(records.build(sweep, grid, shown, job.runs))


class _Job:
    """What one call of `run` has to do: the cells to train, and the folder they go to."""

    def __init__(
        self,
        sweep: Sweep,
        grid: Grid,
        known: dict[Any, Record],
        runs: list[Any],
        retry: Mapping[str, Any] | None,
        folder: Folder | None,
        checkpoint_seconds: float | None,
        progress: Callable[[Progress], None],
    ) -> None:
        self.sweep, self.study, self.folder = sweep, grid.study, folder
        self.cells = {*grid.cells, *known}
        self.known, self.runs = known, runs
        self.checkpoint_seconds, self.progress = checkpoint_seconds, progress
        whole = folder.whole(known) if folder else grid
        self.retried = whole.replacements(retry or {})
        self.clock = 0.0
        self.machines: list[Machine] = []
        """Whose bits are in the cells that are trained."""
        self.wanted = (UNFINISHED,) if retry is None else (NON_FINITE, DIVERGED)
        cells = [cell for cell in grid.cells if records.verdict(known.get(cell)) in self.wanted]
        self.todo = {replace(cell, **self.retried): cell for cell in cells}
        """As it is trained -> as it is labelled."""
        refuse_wrong(self.study, self.todo)

    def train(self, devices: Sequence[jax.Device], limit: float | None, fresh: bool) -> None:
        """Train everything, in as many programs as memory and checkpoints ask for."""
        mesh = make_mesh(devices)
        platform = mesh.devices.flat[0].platform
        free = (
            collective.shared(lambda: memory.available(devices)) if limit is None else limit * 2**30
        )
        count = jax.process_count() if platform == "cpu" else 1
        beside = collective.beside()
        if platform == "cpu" or limit is not None:  # each machine has what the first one has
            free *= jax.process_count() / beside
        shape = len(devices), platform
        results = collective.shared(
            lambda: memory.results(
                self.study,
                self.cells,
                platform,
                count if platform == "cpu" else beside,
                self.folder.places(self.known) if self.folder else 0,
            )
        )
        batches = [
            (list(part.cells), saved)
            for cells, saved in self.parts(platform, fresh)
            for part in memory.split(self.study, cells, *shape, free, count, results)
        ]
        if self.folder and fresh:
            collective.shared(self.folder.clear)
        self.publish({})
        self.begin(mesh, [saved for _, saved in batches if saved])
        shares = np.array([total_work(self.study, batch) for batch, _ in batches])
        shares /= shares.sum()
        with stop_requests(self.folder is not None) as asked_to_stop:
            for i, (batch, saved) in enumerate(batches):
                batches[i] = batch, None  # a checkpoint is held until its last cells go on
                which = f", program {i + 1} of {len(batches)}" if len(batches) > 1 else ""
                progress = functools.partial(self.told, shares[:i].sum(), shares[i], which)
                plan = make_plan(self.study, batch, mesh.size, platform)
                progress(Progress(0.0, "drawing data, compiling", 0, int(plan.updates.max())))
                program = Program(self.study, plan, mesh)
                trained = _Trained(program, saved.part(self.study, batch) if saved else None)
                saved = None
                self.runs[-1]["compile_seconds"] += round(trained.compile_seconds, 3)
                checkpoints = self.advance(program, trained, progress, asked_to_stop)
                progress(Progress(1.0, "measuring", trained.step, trained.step))
                found = self.measure(program, trained)
                if i + 1 == len(batches):
                    self.runs[-1]["finished"] = provenance.now()
                self.publish(found)
                if checkpoints:
                    checkpoints.discard()

    def parts(self, platform: str, fresh: bool) -> list[tuple[list[Any], Saved | None]]:
        """The cells to train, together with the checkpoint from which some of them go on."""
        left, found = dict(self.todo), []
        saved: list[Saved] = []
        if self.folder and not fresh:
            path = self.folder.path
            saved = collective.shared(lambda: find(path, self.study))
        for one in saved:
            mine = [cell for cell in one.cells if cell in left]
            taken = set(mine)
            if mine and one.platform != platform:
                raise UserError(
                    f"checkpoint: written on {one.platform}, this is {platform}; continue there, "
                    "or --fresh"
                )
            if mine:
                found.append((mine, one))
                left = {cell: label for cell, label in left.items() if cell not in taken}
        return [*found, (list(left), None)] if left else [*found]

    def trained(self) -> set[Any]:
        """The cells that are trained to their end, with the values they were trained with."""
        return {
            records.as_trained(cell, record)
            for cell, record in self.known.items()
            if records.verdict(record) != UNFINISHED
        }

    def begin(self, mesh: jax.sharding.Mesh, saved: Sequence[Saved]) -> None:
        """Note who trains; an interrupted run on this machine goes on under its old entry.

        Where it goes on from checkpoints of other machines, bits of theirs are in its cells.
        """
        here, run = provenance.machine(), provenance.begun(mesh)
        if self.runs and "finished" not in self.runs[-1]:
            *finished, interrupted = self.runs
            if {key: interrupted.get(key) for key in here} == here:
                self.runs, run = finished, interrupted
        others = [*run.get("continued", []), *(one for each in saved for one in each.machines)]
        if others := [one for i, one in enumerate(others) if one not in (here, *others[:i])]:
            run["continued"] = others
        self.machines = [*others, here]
        self.runs = [*self.runs, run]
        self.clock = time.monotonic()

    def told(self, before: float, share: float, which: str, now: Progress) -> None:
        """Progress of one program as progress of all."""
        done = float(before + now.done * share)
        self.progress(now._replace(done=done, doing=now.doing + which, cells=len(self.todo)))

    def advance(
        self,
        program: Program,
        trained: _Trained,
        progress: Callable[[Progress], None],
        asked_to_stop: Callable[[], bool],
    ) -> Checkpoints | None:
        """Train a program's cells to their end; save and stop on the way when it is time to."""
        plan = program.plan
        recorded = {step for cell in plan.cells for step in self.study.recorded(cell)}
        stops = sorted(recorded | {int(plan.updates.max())})
        checkpoints = None
        if self.folder and collective.leads():
            checkpoints = Checkpoints(self.folder.path, plan.cells, self.checkpoint_seconds)
        chunk, saved = 1, trained.step
        while trained.step < stops[-1]:
            stop = next(stop for stop in stops if stop > trained.step)
            count, due, halt = collective.agreed(
                min(chunk, stop - trained.step),
                checkpoints is not None and checkpoints.due(),
                asked_to_stop(),
            )
            wanted = self.folder and (due or halt) and trained.step > saved
            if wanted and self.save(program, trained, checkpoints):
                saved = trained.step
            if halt:
                raise Interrupted(
                    f"interrupted at step {trained.step:,} of {stops[-1]:,}",
                    "there" if saved == trained.step else f"step {saved:,}",
                )
            begin = time.perf_counter()
            trained.step += count
            trained.state = jax.block_until_ready(program.advance(trained.state, trained.step))
            seconds = (time.perf_counter() - begin) / count
            chunk = max(1, min(2 * count, int(CHUNK_SECONDS / seconds)))
            if trained.step == stop:
                trained.record(program)
            progress(Progress(plan.share(trained.step), "training", trained.step, stops[-1]))
        if checkpoints:
            self.runs[-1]["saving_seconds"] += round(checkpoints.spent, 3)
        return checkpoints

    def save(self, program: Program, trained: _Trained, checkpoints: Checkpoints | None) -> bool:
        """Write a checkpoint, and show how far the cells have come; whether it was written."""
        with checkpoints.pause() if checkpoints else contextlib.nullcontext():
            snapshot = trained.snapshot(program, self.machines)
            written = checkpoints is None or checkpoints.save(trained.step, snapshot)
            self.look(program, trained)
        return written

    def measure(self, program: Program, trained: _Trained) -> dict[Any, Record]:
        """Records of a program's cells, which are trained to their end."""
        cells = program.plan.cells
        with np.errstate(all="ignore"):  # a dead cell's weights may be huge; they are blanked
            steps = trained.measured.steps
            reports = [
                self.study.report(cell, params, {"step": np.array(steps)}, memo)
                for cell, params, memo in zip(
                    cells, program.params(trained.state), program.memos(trained.state), strict=True
                )
            ]
        return self.label(program, trained.measured, reports)

    def look(self, program: Program, trained: _Trained) -> None:
        """Show in the folder how far the cells have come; those that are retried keep their end."""
        if UNFINISHED in self.wanted:
            try:
                self.publish(self.label(program, trained.measured, None))
            except UserError as error:  # a full disk: the next time may be better
                logger.warning("%s", error)

    def label(
        self, program: Program, measured: Measured, reports: Sequence[Record] | None
    ) -> dict[Any, Record]:
        cells = program.plan.cells
        run = len(self.runs) - 1
        found = records.make_records(self.study, cells, measured, reports, run, self.retried)
        return dict(zip((self.todo[cell] for cell in cells), found, strict=True))

    def publish(self, found: Mapping[Any, Record]) -> None:
        """Take records in, and store all there are."""
        self.known |= found
        if self.clock and self.runs:
            now = time.monotonic()
            self.runs[-1]["wall_seconds"] += round(now - self.clock, 3)
            self.clock = now
        if folder := self.folder:
            collective.shared(lambda: folder.write(self.known, self.runs))


def find_devices(count: int | None) -> list[jax.Device]:
    """The devices to use; splits the CPU into `count` (by default one per core) if still possible.

    Of several processes all devices are used, those of one process side by side: what is gathered
    comes process by process.

    Raises:
        UserError: there are fewer than `count`; or, of several processes, another number, or one
            process has more than another.
    """
    if not collective.several():
        with contextlib.suppress(RuntimeError):  # JAX has started: its devices are what they are
            jax.config.update("jax_num_cpu_devices", count or len(launch.cores()))
    devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    if collective.several() and count not in (None, len(devices)):
        raise UserError(f"--devices {count}: {len(devices)} in all processes, and all are used")
    each = Counter(device.process_index for device in devices)
    if len(set(each.values())) > 1:
        raise UserError(f"cluster: devices of each process: {list(each.values())}; allowed: equal")
    if count is not None and not 1 <= count <= len(devices):
        raise UserError(f"--devices {count}: allowed: 1 to {len(devices)} here")
    return devices[:count]


class _Trained:
    """Where the training of a program stands: step, state of all cells, what was measured."""

    def __init__(self, program: Program, saved: Tree | None) -> None:
        begin = time.perf_counter()
        self.step, self.measured = 0, Measured()
        if saved is None:
            self.state = program.init()
            self.record(program)
        else:
            self.step = int(saved["step"])
            measured = under("measured.", saved)
            for i, step in enumerate(saved["steps"].tolist()):
                self.measured.add(step, {name: values[i] for name, values in measured.items()})
            self.state = program.from_host(under("state.", saved))
        self.state = program.advance(self.state, self.step)
        self.compile_seconds = time.perf_counter() - begin

    def record(self, program: Program) -> None:
        """Measure losses and norms at this step, and what the study traces."""
        values, study, cells = program.finish(self.state), program.study, program.plan.cells
        if study.traces:
            pairs = zip(cells, program.params(self.state), strict=True)
            with np.errstate(all="ignore"):  # a dead cell's weights may be huge
                traced = [study.trace(cell, params) for cell, params in pairs]
            values |= {
                name: records.stack([np.asarray(one[name], np.float32) for one in traced])
                for name in study.traces
            }
        self.measured.add(self.step, values)

    def snapshot(self, program: Program, machines: Sequence[Machine]) -> Tree:
        """All of it as arrays, whose they are and who trained; `saved` of a later `_Trained`."""
        values = self.measured.values
        stacked = {name: records.stack([value[name] for value in values]) for name in values[0]}
        return (
            owners(program.study, program.plan.cells, program.platform, machines)
            | {"step": np.asarray(self.step), "steps": np.asarray(self.measured.steps)}
            | {f"measured.{name}": value for name, value in stacked.items()}
            | {f"state.{name}": leaf for name, leaf in program.to_host(self.state).items()}
        )
