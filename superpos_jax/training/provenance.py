"""Who trained a result, with which code: machine, versions, hash of the study, times."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import platform as host_platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from superpos_jax.engine.bits import ANY
from superpos_jax.engine.study import Study
from superpos_jax.results.registry import source_hash

Machine = dict[str, Any]
SOURCE, FLAGS, SHARD = "study_source", "XLA_FLAGS", "shard"
THREADS, PARTS = CORES = "threads", "one_device_or_several"
"""What is noted of a CPU's cores where it decides bits, else `bits.ANY`."""


def machine() -> Machine:
    """Kind of machine, versions and code: where they are equal, bits are."""
    device = jax.devices()[0]
    packages = ("superpos_jax", "jax", "jaxlib", "optax", "numpy")
    return {
        "versions": {name: version(name) for name in packages},
        "commit": _commit(),
        "machine": host_platform.machine(),
        "processor": _processor(),
        "device": f"{device.platform}: {device.device_kind}",
        FLAGS: os.environ.get(FLAGS, ""),
    }


def trainer(study: Study) -> Machine:
    """The machine, and a hash of the study's source; empty where there is no source to read."""
    return {**machine(), SOURCE: source_hash(type(study))}


def begun(mesh: jax.sharding.Mesh, study: Study) -> dict[str, Any]:
    """The entry of a run that begins now on a mesh."""
    return {
        "started": now(),
        **trainer(study),
        "python": host_platform.python_version(),
        "devices": mesh.size,
        "processes": jax.process_count(),
        "compile_seconds": 0.0,
        "saving_seconds": 0.0,
        "wall_seconds": 0.0,
    }


def differences(run: Machine, present: Machine) -> list[str]:
    """What of machine, versions and code differs between a run and the present, in words.

    A run of version 0.1 has no hash of its study, and notes no cores: that is no difference.
    """
    then, today = _flat(run), _flat(present)
    unknown = {FLAGS: ""} | {key: today.get(key) for key in (SOURCE, *CORES)}
    then = {key: value for key, value in then.items() if key not in CORES or value != ANY}
    return [
        f"{key} {then.get(key, unknown.get(key))}, here {value}"
        for key, value in today.items()
        if then.get(key, unknown.get(key)) != value
    ]


def changed_source(runs: Sequence[Machine], study: type[Study]) -> str:
    """In words, that a study's code is not what trained some of its cells; empty if it is."""
    present = source_hash(study)
    others = {str(run[SOURCE]) for run in runs if run.get(SOURCE)} - {present}
    if not others or not present:
        return ""
    return (
        f"the code of {study.name()} has changed since its cells were trained "
        f"({SOURCE} {', '.join(sorted(others))}, now {present})"
    )


def now() -> str:
    """The time, for a reader anywhere."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _flat(run: Machine) -> dict[str, Any]:
    return {key: value for key, value in run.items() if key != "versions"} | run["versions"]


def _processor() -> str:
    """The model of the processor, whose vector units decide how sums are rounded."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith("model name")).partition(": ")[2]
    return host_platform.processor()


def _commit() -> str:
    """Commit of the checkout the package runs from, and its changes; empty if it is installed."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""

    def git(*arguments: str) -> bytes:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, timeout=10, check=True).stdout

    try:
        commit = git("describe", "--always", "--dirty", "--abbrev=12").decode().strip()
        if commit.endswith("-dirty"):  # one changed checkout is not another
            commit += (
                "-" + hashlib.sha256(git("diff", "HEAD", "--", "superpos_jax")).hexdigest()[:8]
            )
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit
