"""Processes of one machine that train a sweep together: how they start, join and end.

On a CPU one process for each core trains faster than one process with as many devices: the devices
of one process share a thread pool, and with it their caches.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec

import jax
import psutil
from jax._src.distributed import global_state as coordination
from jaxlib import _jax as jaxlib_client

from superpos_jax.engine import cgroups
from superpos_jax.engine.collective import prove, several, shared
from superpos_jax.errors import Interrupted, LostProcess, UserError
from superpos_jax.text import counted, first_line

logger = logging.getLogger(__name__)

SILENT = 100
"""Seconds without a sign of life after which a process on another machine is lost."""

WAITS = 300
"""Seconds that the processes of a cluster wait for each other before they give up."""
AT_ONCE = 1.0
"""Seconds after which the first process says for whom it waits."""

FOLLOWS = "SUPERPOS_CORE"
"""Environment variable that tells a launched process its core."""
LOOPBACK = "127.0.0.1"
TASKS = "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"
"""Environment variables with the number of tasks of a job, or of its step: an interactive step of a
job of four tasks is one task."""
LAUNCHERS = "JOB_COMPLETION_INDEX", "TPU_WORKER_HOSTNAMES", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"
"""Environment variables: a Kubernetes pod that is one of several has one of them."""
RANKS = "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"
"""Environment variables with the number of a task."""
SECRET_BYTES = 32


def join(
    coordinator: str | None = None,
    count: int | None = None,
    index: int | None = None,
    secret: bytes = b"",
) -> bool:
    """Join the processes named, or those of a cluster that JAX detects; whether there are any.

    JAX detects Slurm, Open MPI, Kubernetes and TPU slices. A count of 1 without a coordinator joins
    nothing, and so does a job of one task: alone it may use all cores and chips there are.

    Args:
        coordinator: HOST:PORT at which process 0 waits.
        count, index: how many processes there are, and which of them this one is.
        secret: of the processes of one machine that `launched` started; they talk over 127.0.0.1
            alone, and each proves to the others that it holds it.

    Raises:
        UserError: the coordinator cannot be reached, or the cluster is not what it seems.
        LostProcess: a process joined that does not hold the secret.
    """
    if jax.distributed.is_initialized():
        return True
    if coordinator is None and (count == 1 or _is_alone()):
        return False
    with contextlib.suppress(RuntimeError):  # JAX has started: its devices are what they are
        jax.config.update("jax_num_cpu_devices", len(cores()))
    jax.config.update("jax_enable_preemption_service", False)  # it would swallow SIGTERM
    try:
        with _silent_stdout():
            if secret:
                _join_here(str(coordinator), count, index, secret)
            else:
                with _said_for_whom(coordinator, count, index):
                    meet = functools.partial(_meet, coordinator, count, index)
                    _join_watching([], meet, WAITS)
    except LostProcess:
        raise
    except Exception as error:  # whatever a cluster's own library says, Kubernetes' among them
        if coordinator is None and isinstance(error, ValueError):
            return False  # JAX detects no cluster
        if coordinator is None and "before" in str(error):
            return False  # JAX is in use already, by this process alone
        raise UserError(
            f"cluster: {first_line(error)}; --processes 1 trains in this one alone"
        ) from None
    return True


def _is_alone() -> bool:
    """Whether no launcher says that this process is one of several."""
    if any(os.environ.get(name) == "1" for name in TASKS):
        return True
    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ
    return in_pod and not any(name in os.environ for name in LAUNCHERS)


def _meet(coordinator: str | None, count: int | None, index: int | None) -> None:
    """Join processes on other machines, or those of a cluster, once all of them are there."""
    jax.distributed.initialize(
        coordinator,
        count,
        index,
        initialization_timeout=2 * WAITS,  # JAX would end this process with a stack trace
        heartbeat_timeout_seconds=SILENT,
    )
    shared(lambda: None)


@contextlib.contextmanager
def _said_for_whom(coordinator: str | None, count: int | None, index: int | None) -> Iterator[None]:
    """Let the first process say, if it does not go on at once, for whom it waits and how long."""
    rank = next((os.environ[name] for name in RANKS if name in os.environ), "0")
    tasks = [(name, os.environ[name]) for name in TASKS if name in os.environ]
    if coordinator is not None:
        whom = f"the other {(count or 1) - 1} of {count} processes, at {coordinator}"
    elif tasks:
        name, number = tasks[-1]
        whom = f"the other tasks of this job, which has {number} ({name})"
    else:
        whom = "the other processes of this cluster"
    is_first = (rank if index is None else str(index)) == "0"
    text = "waiting for %s, at most %d s; --processes 1 trains in this one alone"
    timer = threading.Timer(AT_ONCE, logger.warning, (text, whom, WAITS))
    timer.daemon = True
    if is_first:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _join_here(coordinator: str, count: int | None, index: int | None, secret: bytes) -> None:
    """Join the processes of this machine, over the loopback interface and past any proxy.

    Once they have met, they leave JAX's coordinator. It measures the silence since a heartbeat by
    the machine's clock: after a sleep, or a clock set back, it would take the processes for lost
    and abort them. Gloo's connections stay; by them a process notices that another one has ended.
    """
    names = ("no_grpc_proxy", "no_proxy", "NO_PROXY")
    others = next((os.environ[name] for name in names if os.environ.get(name)), "")
    os.environ[names[0]] = f"{others},{LOOPBACK}" if others else LOOPBACK  # gRPC reads it
    jax.config.update("jax_check_proxy_envs", False)  # it would warn of a hang
    connect = jaxlib_client.make_gloo_tcp_collectives
    # JAX has no setting for the address that gloo listens on: by default that of the host's name.
    jaxlib_client.make_gloo_tcp_collectives = functools.partial(connect, hostname=LOOPBACK)
    try:
        jax.distributed.initialize(
            coordinator,
            count,
            index,
            cluster_detection_method="deactivate",
            coordinator_bind_address=coordinator,
        )
        prove(secret)
        assert coordination.client is not None
        coordination.client.shutdown()
    finally:
        jaxlib_client.make_gloo_tcp_collectives = connect


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
        UserError: there are fewer cores, or JAX is to use something else.
        LostProcess: one of them ended before its time.
    """
    if count == 1:
        yield
        return
    platforms = os.environ.get("JAX_PLATFORMS")
    if platforms not in (None, "", "cpu"):
        raise UserError(
            f"--processes {count}: processes of one machine train on its CPU; JAX_PLATFORMS="
            f"{platforms}: allowed: cpu, or unset"
        )
    if count > len(cores()):
        raise UserError(f"--processes {count}: allowed here: 1 to {len(cores())}, one per core")
    whole = cgroups.affinity()
    mine = _least_busy(count, whole)
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        coordinator = f"{LOOPBACK}:{free.getsockname()[1]}"
    secret = secrets.token_bytes(SECRET_BYTES)
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
        for other in others:
            with contextlib.suppress(OSError):  # it has ended already
                os.write(_stdin(other), secret)
        _pin(mine[0])
        _join_watching(others, functools.partial(join, coordinator, count, 0, secret))
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
            if other.stdin:
                other.stdin.close()
        _pin(*whole)


def _join_watching(
    others: Sequence[subprocess.Popen[bytes]],
    call: Callable[[], object],
    patience: float = math.inf,
) -> None:
    """Join in a thread, so that Ctrl-C is heard, and a process that ends before is noticed.

    Raises:
        LostProcess: one ended, or they did not come within so many seconds.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    last = time.monotonic() + patience
    while thread.is_alive():
        thread.join(0.05)
        if thread.is_alive() and time.monotonic() > last:
            raise LostProcess(
                f"the other processes did not join within {patience:.0f} s; --processes 1 trains in"
                " this one alone",
                goes_on_from="",
            )
        if thread.is_alive() and any(other.poll() is not None for other in others):
            thread.join(1.0)  # it may just have been told so itself
            break
    if raised:
        raise raised[0]
    if thread.is_alive():
        ended = [other.poll() for other in others if other.poll() is not None]
        raise LostProcess(f"a process of this run exited as it started (exit code {ended[0]})")


def _stdin(process: subprocess.Popen[bytes]) -> int:
    assert process.stdin is not None
    return process.stdin.fileno()


def follow() -> bytes:
    """Make a process that `launched` started sit on its core, and end with the one that leads.

    Returns:
        The secret of the run, read from standard input; empty in any other process.
    """
    core = os.environ.get(FOLLOWS)
    if core is None:
        return b""
    _pin(int(core))
    secret = b""
    while len(secret) < SECRET_BYTES:
        piece = os.read(0, SECRET_BYTES - len(secret))
        if not piece:
            os._exit(1)  # who leads is gone
        secret += piece

    def watch() -> None:
        os.read(0, 1)  # until the other end is gone
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    return secret


def cores() -> list[int]:
    """The cores that this process may use: those of its affinity, as many as it is granted."""
    mine = cgroups.affinity()
    return mine[: max(1, math.ceil(min(cgroups.cores(), len(mine))))]


@functools.cache  # once per process
def use_all_cores() -> None:
    """Give JAX a CPU device per core, or say that it has started with fewer."""
    count = len(cores())
    if several():
        return
    with contextlib.suppress(RuntimeError):  # it has started, else it starts with that many
        jax.config.update("jax_num_cpu_devices", count)
        return
    start()
    started = jax.local_device_count()
    if jax.default_backend() == "cpu" and started < count:
        logger.warning(
            "JAX was started before, with %s: training uses %d of %d cores; to use all, call sp.run"
            " before anything else that computes with JAX, or first"
            " jax.config.update('jax_num_cpu_devices', %d)",
            counted(started, "CPU device"),
            started,
            count,
            count,
        )


def start() -> list[jax.Device]:
    """Let JAX start, unless it has; all its devices.

    Raises:
        UserError: `JAX_PLATFORMS` names a platform that is not there.
    """
    try:
        return jax.devices()
    except (RuntimeError, AssertionError) as error:  # what JAX says of such a platform
        wanted = os.environ.get("JAX_PLATFORMS")
        if not wanted:
            raise
        reason = first_line(error) or "there is no such device here"
        raise UserError(f"JAX_PLATFORMS={wanted}: {reason}; allowed: cpu, or unset") from None


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
    """Nothing on standard output: Gloo, which connects the processes, prints a banner there."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
