"""Who trained a result: machine, versions, commit, times."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import platform as host_platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

Machine = dict[str, Any]


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
    }


def begun(mesh: jax.sharding.Mesh) -> dict[str, Any]:
    """The entry of a run that begins now on a mesh."""
    return {
        "started": now(),
        **machine(),
        "python": host_platform.python_version(),
        "devices": mesh.size,
        "processes": jax.process_count(),
        "compile_seconds": 0.0,
        "saving_seconds": 0.0,
        "wall_seconds": 0.0,
    }


def now() -> str:
    """The time, for a reader anywhere."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


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
