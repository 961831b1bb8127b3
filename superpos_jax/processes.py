"""Several processes that train one sweep together.

Each runs the same program on its own share of the cells, so a cell's numbers do not depend on how
many there are. Process 0 leads: it alone reads, writes and decides. What it found or decided is
told to the others, so that all of them go the same way.

On a CPU one process for each core is faster than one process with as many devices, by half or more:
the devices of one process share a thread pool, and with it their caches.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import numpy as np
import psutil
from jax.experimental import multihost_utils

from superpos_jax.errors import Interrupted, LostProcess, UserError

SILENT = 100
"""Seconds without a sign of life after which a process on another machine is lost."""
SUSPENDED = 30 * 24 * 3600
"""Seconds that processes of one machine may be silent: it may sleep, and they stop and go on
together. That one of them ended they notice without heartbeats."""

FOLLOWS = "SUPERPOS_CORE"
"""Environment variable that tells a launched process its core."""
TASKS = "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"
"""Environment variables with the number of tasks of a job."""
QUOTA = Path("/sys/fs/cgroup/cpu.max")
PIECE = 1 << 24
"""Bytes of each process that are gathered at once."""


def leads() -> bool:
    """Whether this process reads, writes and decides: process 0, or the only one."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def several() -> bool:
    """Whether there are others."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def join(
    coordinator: str | None = None,
    count: int | None = None,
    index: int | None = None,
    launched_here: bool = False,
) -> bool:
    """Join the processes named, or those of a cluster that JAX detects; whether there are any.

    JAX detects Slurm, Open MPI, Kubernetes and TPU slices. A count of 1 without a coordinator joins
    nothing, and so does a job of one task: alone it may use all cores and chips there are.

    Raises:
        UserError: the coordinator cannot be reached, or the cluster is not what it seems.
    """
    if jax.distributed.is_initialized():
        return True
    if coordinator is None and (count == 1 or any(os.environ.get(name) == "1" for name in TASKS)):
        return False
    with contextlib.suppress(RuntimeError):  # JAX has started: its devices are what they are
        jax.config.update("jax_num_cpu_devices", len(cores()))
    try:
        with _silent_stdout():
            silence = SUSPENDED if launched_here else SILENT
            jax.distributed.initialize(coordinator, count, index, heartbeat_timeout_seconds=silence)
            shared(lambda: None)
    except (RuntimeError, ValueError) as error:
        if coordinator is None and isinstance(error, ValueError):
            return False  # JAX detects no cluster
        if coordinator is None and "before" in str(error):
            return False  # JAX is in use already, by this process alone
        reason = str(error).partition("\n")[0]
        raise UserError(f"cluster: {reason}; --processes 1 trains in this one alone") from None
    return True


def shared(function: Callable[[], Any]) -> Any:
    """What a function says to process 0, which alone calls it; its error is everybody's."""
    if not several():
        return function()
    error = None
    said: tuple[bool, Any] = True, None
    if leads():
        try:
            said = True, function()
        except BaseException as caught:  # also Ctrl-C: the others must not wait for ever
            error, said = caught, (False, str(caught))
    packed = np.frombuffer(pickle.dumps(said), np.uint8)
    size = np.array(divmod(len(packed), PIECE), np.int32)
    pieces, rest = np.asarray(multihost_utils.broadcast_one_to_all(size)).tolist()
    packed = np.resize(packed, pieces * PIECE + rest)
    got = [
        np.asarray(multihost_utils.broadcast_one_to_all(packed[start : start + PIECE]))
        for start in range(0, len(packed), PIECE)
    ]
    fine, value = pickle.loads(np.concatenate(got).tobytes())
    if error is not None:
        raise error
    if not fine:
        raise UserError(value)
    return value


def beside() -> int:
    """How many processes share a machine, at most."""
    if not several():
        return 1
    name = zlib.crc32(socket.gethostname().encode()) & 0x7FFFFFFF
    names = multihost_utils.process_allgather(np.array([name], np.int32))
    return int(np.unique(names, return_counts=True)[1].max())


def agreed(count: int, save: bool, stop: bool) -> tuple[int, bool, bool]:
    """Steps to do next and whether to save, as process 0 says; whether any was asked to stop."""
    if not several():
        return count, save, stop
    said = np.asarray(multihost_utils.process_allgather(np.array([count, save, stop], np.int32)))
    return int(said[0, 0]), bool(said[0, 1]), bool(said[:, 2].any())


def gathered(tree: Any, by_all: bool = True) -> Any:
    """Arrays (devices, ...) that are sharded over the devices of all processes, as numpy.

    The devices of one process lie side by side in the mesh.

    `by_all`: every process gets them; else process 0 only, and the others None.
    """
    if not several():
        return jax.tree.map(np.asarray, tree)
    leaves, structure = jax.tree.flatten(tree)
    own = [np.concatenate([np.asarray(s.data) for s in _in_order(x)]) for x in leaves]
    # All leaves side by side, as bytes: gathered in a few pieces, however many leaves there are.
    rows = np.concatenate([x.reshape(len(x), -1).view(np.uint8) for x in own], axis=1)
    pieces = []
    for start in range(0, rows.shape[1], PIECE):
        piece = multihost_utils.process_allgather(rows[:, start : start + PIECE])
        if by_all or leads():
            pieces.append(piece)
    if not pieces:
        return None
    whole = np.concatenate([np.asarray(piece).reshape(-1, piece.shape[-1]) for piece in pieces], 1)
    ends = np.cumsum([x.nbytes // len(x) for x in own])
    parts = np.split(whole, ends[:-1], axis=1)
    return jax.tree.unflatten(
        structure,
        [
            np.ascontiguousarray(part).view(x.dtype).reshape(-1, *x.shape[1:])
            for part, x in zip(parts, own, strict=True)
        ],
    )


def _in_order(array: jax.Array) -> list[Any]:
    """The pieces of a sharded array on the devices of this process."""
    return sorted(array.addressable_shards, key=lambda piece: piece.index[0].start or 0)


def spread(tree: Any, sharding: jax.sharding.Sharding) -> Any:
    """Numpy arrays that every process holds, on the devices of all of them."""

    def place(host: Any) -> jax.Array:
        host = np.asarray(host)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return jax.tree.map(place, tree)


def can_launch() -> bool:
    """Whether this process may lead others on this machine: on a CPU, before JAX has started.

    It is asked by giving JAX one device, which works only then; `find_devices` has the last word.
    """
    platforms = os.environ.get("JAX_PLATFORMS")
    if platforms != "cpu" if platforms else find_spec("jax_plugins"):
        return False
    try:
        jax.config.update("jax_num_cpu_devices", 1)
    except RuntimeError:
        return False
    return True


@contextlib.contextmanager
def launched(count: int, command: Sequence[str]) -> Iterator[None]:
    """Lead `count` processes on this machine, one on each core; the others run a command.

    Yields once all have joined. They end with this process, however it ends.

    Raises:
        UserError: there are fewer cores.
        LostProcess: one of them ended before its time.
    """
    if count == 1:
        yield
        return
    if count > len(cores()):
        raise UserError(f"--processes {count}: allowed here: 1 to {len(cores())}, one a core")
    whole = _affinity()
    mine = _least_busy(count, whole)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    others = [
        subprocess.Popen(
            [
                *command,
                "--coordinator",
                coordinator,
                "--processes",
                str(count),
                "--process",
                str(i),
            ],
            stdin=subprocess.PIPE,
            env={**os.environ, FOLLOWS: str(mine[i])},
        )
        for i in range(1, count)
    ]
    try:
        _pin(mine[0])
        join(coordinator, count, 0, launched_here=True)
        yield
        jax.distributed.shutdown()
    except (UserError, Interrupted):
        raise
    except Exception:
        ended = [other.poll() for other in others]
        if not any(ended):
            raise
        code = next(filter(None, ended))
        raise LostProcess(f"a process of this run ended (exit code {code})") from None
    finally:
        patience = time.monotonic() + 5
        for other in others:
            with contextlib.suppress(subprocess.TimeoutExpired):
                other.wait(max(0.0, patience - time.monotonic()))
            other.kill()
        _pin(*whole)


def follow() -> bool:
    """Make a process that `launched` started sit on its core, and end with the one that leads.

    Whether this is such a process.
    """
    core = os.environ.get(FOLLOWS)
    if core is None:
        return False
    _pin(int(core))

    def watch() -> None:
        os.read(0, 1)  # until the other end is gone
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    return True


def cores() -> list[int]:
    """The cores that this process may use: those of its affinity, as many as a container grants."""
    mine = _affinity()
    with contextlib.suppress(OSError, ValueError):  # no control group, or "max": no limit
        quota, period = map(int, QUOTA.read_text().split())
        mine = mine[: max(1, -(-quota // period))]
    return mine


def _affinity() -> list[int]:
    if not hasattr(os, "sched_getaffinity"):
        return list(range(os.cpu_count() or 1))
    return sorted(os.sched_getaffinity(0))


def _least_busy(count: int, among: Sequence[int]) -> list[int]:
    """So many of some cores: those with the least to do, another run's may be the first ones."""
    if count == len(among):
        return list(among)
    busy = dict(enumerate(psutil.cpu_percent(0.2, percpu=True)))
    return sorted(sorted(among, key=lambda core: busy.get(core, 0.0))[:count])


def _pin(*cores: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def _silent_stdout() -> Iterator[None]:
    """Gloo, which connects the processes, greets on standard output."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
