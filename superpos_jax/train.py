"""Running a sweep: plan, compile, train in chunks, evaluate on the way, label the result."""

from __future__ import annotations

import contextlib
import datetime
import functools
import logging
import os
import platform as host_platform
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from superpos_jax import memory, records
from superpos_jax.checkpoint import Checkpoints, Tree
from superpos_jax.engine import Program, choose, make_mesh
from superpos_jax.errors import Interrupted, UserError
from superpos_jax.folder import CHECKPOINT, Folder
from superpos_jax.pack import TRAIN, make_plan
from superpos_jax.records import Measured, Record, history_steps
from superpos_jax.result import Result
from superpos_jax.study import Study
from superpos_jax.sweep import Grid, Sweep, load_sweep
from superpos_jax.verdicts import DIVERGED, NON_FINITE, UNFINISHED

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
        limit: GiB of memory to stay below; what is free by default. Cells that do not fit
            together are trained in several programs, one after another.
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
    if not isinstance(sweep, Sweep):
        sweep = load_sweep(sweep)
    grid = sweep.grid()
    folder = Folder(out, sweep) if out is not None else None
    with folder.locked() if folder else contextlib.nullcontext():
        known, runs = folder.open(fresh=fresh) if folder else ({}, [])
        job = _Job(sweep, grid, known, runs, retry, folder, checkpoint_seconds, progress)
        if job.todo:
            job.train(find_devices(devices), limit)
        elif folder:
            job.tidy(folder)
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
        self.known, self.runs = known, runs
        self.checkpoint_seconds, self.progress = checkpoint_seconds, progress
        self.retried = grid.replacements(retry or {})
        self.clock = 0.0
        self.wanted = (UNFINISHED,) if retry is None else (NON_FINITE, DIVERGED)
        cells = [cell for cell in grid.cells if records.verdict(known.get(cell)) in self.wanted]
        self.todo = {replace(cell, **self.retried): cell for cell in cells}
        """As it is trained -> as it is labelled."""
        if len(self.todo) < len(cells):
            raise UserError("--retry-dead: two cells would be trained with the same values")

    def train(self, devices: Sequence[jax.Device], limit: float | None) -> None:
        """Train everything, in as many programs as memory asks for."""
        mesh = make_mesh(devices)
        platform = mesh.devices.flat[0].platform
        checkpoints = None
        saved = None
        if self.folder:
            self.publish({})
            checkpoints = Checkpoints(self.folder.path, self.checkpoint_seconds)
            saved = checkpoints.newest()
        held = _cells_of(saved, next(iter(self.todo))) if saved else []
        if saved and (there := saved["platform"].tobytes().decode()) != platform:
            raise UserError(
                f"checkpoint: written on {there}, this is {platform}; continue there, or --fresh"
            )
        ahead = {cell: None for cell in held if cell in self.todo}
        behind = [cell for cell in self.todo if cell not in ahead]
        free = memory.available(devices[0]) if limit is None else limit * 2**30
        batches = [
            batch
            for part in (list(ahead), behind) if part
            for batch in memory.split(self.study, part, len(devices), platform, free)
        ]  # fmt: skip
        self.begin(mesh)
        work = np.array([_work(self.study, batch) for batch in batches])
        shares = work / work.sum()
        for i, batch in enumerate(batches):
            part = None
            if saved and batch[0] in ahead:
                part = _choose(saved, self.study, platform, held, batch)
            which = f", program {i + 1} of {len(batches)}" if len(batches) > 1 else ""
            progress = functools.partial(self.told, shares[:i].sum(), shares[i], which)
            plan = make_plan(self.study, batch, mesh.size, platform)
            progress(Progress(0.0, "drawing data, compiling", 0, int(plan.updates.max())))
            program = Program(self.study, plan, mesh)
            trained = _Trained(program, part)
            self.advance(program, trained, checkpoints, progress)
            progress(Progress(1.0, "measuring", trained.step, trained.step))
            self.runs[-1]["compile_seconds"] += round(trained.compile_seconds, 3)
            self.runs[-1]["saving_seconds"] += round(checkpoints.spent, 3) if checkpoints else 0
            found = self.measure(program, trained)
            if i + 1 == len(batches):
                self.runs[-1]["finished"] = _now()
            self.publish(found)
            if checkpoints:
                checkpoints.discard()
        if checkpoints:
            checkpoints.close()

    def tidy(self, folder: Folder) -> None:
        """With nothing to train: show the sweep's cells, drop a checkpoint of finished ones."""
        if folder.stored != self.sweep:
            self.publish({})
        if (folder.path / CHECKPOINT).is_dir():
            checkpoints = Checkpoints(folder.path)
            saved = checkpoints.newest()
            trained = {records.as_trained(cell, known) for cell, known in self.known.items()}
            if saved and {*_cells_of(saved, next(iter(trained)))} <= trained:
                checkpoints.discard()
            checkpoints.close()

    def begin(self, mesh: jax.sharding.Mesh) -> None:
        """Note who trains; an interrupted run on this machine goes on under its old entry."""
        run = _provenance(mesh)
        if self.runs and "finished" not in self.runs[-1]:
            *finished, interrupted = self.runs
            if all(interrupted.get(key) == value for key, value in machine().items()):
                self.runs, run = finished, interrupted
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
        checkpoints: Checkpoints | None,
        progress: Callable[[Progress], None],
    ) -> None:
        """Train a program's cells to their end; save and stop on the way when it is time to."""
        plan = program.plan
        stops = _stops(plan.updates.tolist())  # no cell ends between two stops
        chunk = 1
        with _stop_requests(checkpoints is not None) as asked_to_stop:
            while trained.step < stops[-1]:
                stop = next(stop for stop in stops if stop > trained.step)
                count = min(chunk, stop - trained.step)
                begin = time.perf_counter()
                state = program.advance(trained.state, trained.step, count)
                trained.state = jax.block_until_ready(state)
                seconds = (time.perf_counter() - begin) / count
                chunk = max(1, min(2 * count, int(CHUNK_SECONDS / seconds)))
                trained.step += count
                if trained.step == stop:
                    trained.record(program)
                progress(Progress(plan.share(trained.step), "training", trained.step, stops[-1]))
                if checkpoints and (checkpoints.due() or asked_to_stop()):
                    with checkpoints.pause():
                        checkpoints.save(trained.step, trained.snapshot(program))
                        self.look(program, trained)
                if asked_to_stop():
                    raise Interrupted(f"interrupted at step {trained.step:,} of {stops[-1]:,}")

    def measure(self, program: Program, trained: _Trained) -> dict[Any, Record]:
        """Records of a program's cells, which are trained to their end."""
        cells = program.plan.cells
        with np.errstate(
            all="ignore"
        ):  # a dead cell's weights may be huge; its numbers are blanked
            reports = [
                self.study.report(cell, params)
                for cell, params in zip(cells, program.params(trained.state), strict=True)
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
        if self.folder:
            self.folder.write(self.known, self.runs)


def find_devices(count: int | None) -> list[jax.Device]:
    """The devices to use; splits the CPU into `count` (by default one per core) if still possible.

    Raises:
        UserError: there are fewer than `count`.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with contextlib.suppress(RuntimeError):  # JAX has started: its devices are what they are
        jax.config.update("jax_num_cpu_devices", count or cores or 1)
    devices = jax.devices()
    if count is not None and not 1 <= count <= len(devices):
        raise UserError(f"--devices {count}: allowed: 1 to {len(devices)} here")
    return devices[:count]


def _stops(lengths: Sequence[int]) -> list[int]:
    """Steps at which something is recorded for any cell; every cell ends at one of them."""
    return sorted({step for length in set(lengths) for step in history_steps(length)})


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
            measured = _under("measured.", saved)
            for i, step in enumerate(saved["steps"].tolist()):
                self.measured.add(step, {name: values[i] for name, values in measured.items()})
            self.state = program.from_host(_under("state.", saved))
        self.state = program.advance(self.state, self.step, 0)
        self.compile_seconds = time.perf_counter() - begin

    def record(self, program: Program) -> None:
        """Measure losses and norms at this step."""
        self.measured.add(self.step, program.evaluate(self.state))

    def snapshot(self, program: Program) -> Tree:
        """All of it as arrays, and whose they are; `saved` of a later `_Trained`."""
        values = self.measured.values
        stacked = {name: np.stack([value[name] for value in values]) for name in values[0]}
        cells = np.array([astuple(cell) for cell in program.plan.cells], np.float64)
        return (
            {"step": np.asarray(self.step), "steps": np.asarray(self.measured.steps)}
            | {"cells": cells, "platform": np.frombuffer(program.platform.encode(), np.uint8)}
            | {f"measured.{name}": value for name, value in stacked.items()}
            | {f"state.{name}": leaf for name, leaf in program.to_host(self.state).items()}
        )


def _work(study: Study, cells: Sequence[Any]) -> float:
    """Operations it takes to train cells, padding aside."""
    return sum(
        study.sample_cost(cell) * study.datasets(cell)[TRAIN].samples * int(study.steps(cell))
        for cell in cells
    )


def _cells_of(saved: Tree, like: Any) -> list[Any]:
    """The cells that a checkpoint holds, in its order; numbers typed as in the cell `like`."""
    kinds = [type(value) for value in astuple(like)]
    return [
        type(like)(*(kind(value) for kind, value in zip(kinds, row, strict=True)))
        for row in saved["cells"].tolist()
    ]


def _choose(
    saved: Tree, study: Study, platform: str, held: Sequence[Any], wanted: Sequence[Any]
) -> Tree:
    """A checkpoint of some of the cells that a checkpoint holds."""
    rows = [held.index(cell) for cell in wanted]
    state = choose(_under("state.", saved), study, platform, held, wanted)
    return (
        {"step": saved["step"], "steps": saved["steps"]}
        | {f"measured.{k}": v[:, rows] for k, v in _under("measured.", saved).items()}
        | {f"state.{k}": v for k, v in state.items()}
    )


def _under(prefix: str, tree: Tree) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): v for key, v in tree.items() if key.startswith(prefix)}


@contextlib.contextmanager
def _stop_requests(heed: bool) -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM has asked to stop; a second Ctrl-C stops at once."""
    asked: list[int] = []
    if not heed or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def ask(number: int, _: Any) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def machine() -> dict[str, Any]:
    """Kind of machine, versions and code: where they are equal, bits are."""
    device = jax.devices()[0]
    packages = ("superpos_jax", "jax", "jaxlib", "optax", "numpy")
    return {
        "versions": {name: version(name) for name in packages},
        "commit": _commit(),
        "machine": host_platform.machine(),
        "processor": _processor(),
        "device": f"{device.platform}: {device.device_kind}",
    }


def _provenance(mesh: jax.sharding.Mesh) -> dict[str, Any]:
    return {
        "started": _now(),
        **machine(),
        "python": host_platform.python_version(),
        "devices": mesh.size,
        "compile_seconds": 0.0,
        "saving_seconds": 0.0,
        "wall_seconds": 0.0,
    }


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _processor() -> str:
    """The model of the processor, whose vector units decide how sums are rounded."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith("model name")).partition(": ")[2]
    return host_platform.processor()


def _commit() -> str:
    """Commit of the checkout the package runs from; empty for an installed package."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return ""
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return described.stdout.strip()
