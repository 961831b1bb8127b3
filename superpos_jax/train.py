"""Running a sweep: plan, compile, train in chunks, evaluate on the way, label the result."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform as host_platform
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from superpos_jax import folder
from superpos_jax import result as results
from superpos_jax.checkpoint import Checkpoints, Tree
from superpos_jax.engine import Program, make_mesh
from superpos_jax.errors import Interrupted, UserError
from superpos_jax.pack import make_plan
from superpos_jax.sweep import Sweep, load_sweep

CHUNK_SECONDS = 0.5
CHECKPOINT_SECONDS = 30.0
RECORDS = 24
"""History is kept at about that many log-spaced steps, and at the first and the last."""


class Progress(NamedTuple):
    """Where a run stands: share of all work done, what is happening, steps done and to do."""

    done: float
    doing: str
    step: int
    steps: int


def run(
    sweep: Sweep | str | Path,
    *,
    out: str | Path | None = None,
    devices: int | None = None,
    fresh: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> results.Result:
    """Train every cell of a sweep, or continue where an interrupted run in `out` stopped.

    Args:
        sweep: a `Sweep`, a sweep file, or the name of a shipped sweep.
        out: write checkpoints and the result in this folder.
        devices: how many devices to shard the cells over; all by default (on a CPU as many as
            there are cores, where JAX has not started yet).
        fresh: start over, whatever `out` holds of this or another sweep.
        checkpoint_seconds: least time between two checkpoints.
        progress: called between chunks.

    Returns:
        The labelled result.

    Raises:
        UserError: wrong sweep, more devices than there are, or `out` holds something else.
        Interrupted: after Ctrl-C or SIGTERM, if `out` is given; the same call continues.

    >>> result = run(Sweep(axes=dict(T=[5], m=[2, 3]), cell=dict(steps=10), options=dict(n=100)))
    >>> result.dataset.train_loss.shape
    (1, 2)
    """
    if not isinstance(sweep, Sweep):
        sweep = load_sweep(sweep)
    grid = sweep.grid()
    if out is not None:
        folder.prepare(out, sweep, fresh=fresh)
    started = time.time()
    mesh = make_mesh(find_devices(devices))
    study = grid.study
    plan = make_plan(study, grid.cells, mesh.size, mesh.devices.flat[0].platform)
    longest = int(plan.updates.max())
    progress(Progress(0.0, "drawing data, compiling", 0, longest))
    program = Program(study, plan, mesh)
    checkpoints = Checkpoints(out, checkpoint_seconds) if out is not None else None
    trained = _train(program, progress, checkpoints)
    progress(Progress(1.0, "measuring", longest, longest))
    with np.errstate(all="ignore"):  # a dead cell's weights may be huge; its numbers are blanked
        reports = [
            study.report(cell, params)
            for cell, params in zip(grid.cells, program.params(trained.state), strict=True)
        ]
    provenance = _provenance(mesh) | {
        "compile_seconds": round(trained.compile_seconds, 3),
        "wall_seconds": round(time.time() - started, 3),
        "work_done_per_needed": round(plan.overhead, 4),
    }
    result = results.build(
        sweep, grid, trained.final, trained.history, trained.steps, reports, provenance
    )
    if out is not None:
        folder.write(out, result)
    if checkpoints is not None:
        checkpoints.discard()
    return result


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


def record_steps(lengths: Sequence[int]) -> list[int]:
    """Steps at which history is kept: log-spaced up to each of the lengths, and 0.

    >>> record_steps([8])
    [0, 1, 2, 3, 4, 5, 6, 7, 8]
    """
    steps = {0}
    for length in set(lengths):
        steps |= set(np.geomspace(1, length, RECORDS).round().astype(int).tolist())
    return sorted(steps)


class _Trained:
    """Where training stands: step, state of all cells, history so far."""

    def __init__(self, program: Program, saved: Tree | None) -> None:
        begin = time.perf_counter()
        self.step, self.steps, self.records = 0, [], []  # type: int, list[int], list[Any]
        if saved is None:
            self.state = program.init()
            self.record(program)
        else:
            self.step, self.steps = int(saved["step"]), saved["steps"].tolist()
            stacked = _under("record.", saved)
            self.records = [{k: v[i] for k, v in stacked.items()} for i in range(len(self.steps))]
            self.state = program.from_host(_under("state.", saved))
        self.state = program.advance(self.state, self.step, 0)
        self.compile_seconds = time.perf_counter() - begin

    def record(self, program: Program) -> None:
        """Add losses and norms at this step to the history."""
        self.steps.append(self.step)
        self.records.append(program.evaluate(self.state))

    def snapshot(self, program: Program) -> Tree:
        """All of it as arrays; `saved` of a later `_Trained`."""
        stacked = {k: np.stack([record[k] for record in self.records]) for k in self.records[0]}
        return (
            {"step": np.asarray(self.step), "steps": np.asarray(self.steps)}
            | {f"record.{k}": v for k, v in stacked.items()}
            | {f"state.{k}": v for k, v in program.to_host(self.state).items()}
        )

    @property
    def final(self) -> dict[str, np.ndarray]:
        """Losses and norms at the end."""
        return self.records[-1]

    @property
    def history(self) -> dict[str, np.ndarray]:
        """The same at every recorded step: (cells, steps)."""
        names = [name for name in self.final if name not in ("died_at", "updates")]
        return {name: np.stack([r[name] for r in self.records], axis=1) for name in names}


def _under(prefix: str, tree: Tree) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): v for key, v in tree.items() if key.startswith(prefix)}


def _train(
    program: Program, progress: Callable[[Progress], None], checkpoints: Checkpoints | None
) -> _Trained:
    saved = checkpoints.newest() if checkpoints else None
    trained = _Trained(program, saved)
    plan = program.plan
    stops = record_steps(plan.updates.tolist())  # no cell ends between two stops
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
                checkpoints.save(trained.step, trained.snapshot(program))
            if asked_to_stop():
                raise Interrupted(f"interrupted at step {trained.step:,} of {stops[-1]:,}")
    return trained


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


def _provenance(mesh: jax.sharding.Mesh) -> dict[str, Any]:
    device = mesh.devices.flat[0]
    packages = ("superpos_jax", "jax", "jaxlib", "optax", "numpy", "xarray", "zarr")
    return {
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in packages},
        "python": host_platform.python_version(),
        "machine": host_platform.machine(),
        "devices": mesh.size,
        "device": f"{device.platform}: {device.device_kind}",
        "commit": _commit(),
    }


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
