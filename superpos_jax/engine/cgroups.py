"""What this process may use: cores, and the memory and time that its control groups grant.

Containers, Slurm and systemd limit a process through its own group, or through any group above it;
Linux has two versions of them, which may be mounted beside each other.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
"""Lines `number:controllers:/path`, one for each hierarchy; the one of version 2 names none."""
MOUNTS = {
    "memory": ("", "unified", "memory"),
    "cpu": ("", "unified", "cpu", "cpu,cpuacct", "cpuacct,cpu"),
}
"""Where the hierarchies with a controller are mounted below `ROOT`: version 2, then version 1."""


def affinity() -> list[int]:
    """The cores on which this process may run."""
    if not hasattr(os, "sched_getaffinity"):
        return list(range(os.cpu_count() or 1))
    return sorted(os.sched_getaffinity(0))


def free_memory() -> float:
    """Bytes that the groups leave, the least of all; infinite where none has a limit.

    Pages of files count as used in a group, but make room when it is needed.
    """
    free = math.inf
    for group in _groups("memory"):
        limit = min(
            _number(group / name) for name in ("memory.max", "memory.high", "memory.limit_in_bytes")
        )
        used = min(_number(group / name) for name in ("memory.current", "memory.usage_in_bytes"))
        if math.isfinite(limit) and math.isfinite(used):
            free = min(free, max(0.0, limit - used + _inactive(group)))
    return free


def cores() -> float:
    """Cores for which the groups grant time, the fewest of all; infinite where none has a limit."""
    granted = math.inf
    for group in _groups("cpu"):
        quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
        with contextlib.suppress(OSError, ValueError):  # not version 2, or "max": no limit
            quota, period = map(float, (group / "cpu.max").read_text().split())
        if 0 < quota < math.inf and 0 < period < math.inf:
            granted = min(granted, quota / period)
    return granted


def _groups(controller: str) -> Iterator[Path]:
    """Where the process's own groups and those above them may lie; some folders may be missing.

    A container may not see its own group under the host's name for it, but it sees the root.
    """
    try:
        lines = OWN.read_text().splitlines()
    except OSError:  # no Linux, or /proc is hidden
        lines = []
    paths = {PurePosixPath("/")}
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            own = PurePosixPath(name)
            paths |= {own, *own.parents}
    for mount in MOUNTS[controller]:
        for path in sorted(paths):
            if ".." not in path.parts:
                yield ROOT / mount / str(path).lstrip("/")


def _number(path: Path) -> float:
    """The number in a file; infinite where there is none, or "max"."""
    try:
        return float(int(path.read_text()))
    except (OSError, ValueError):
        return math.inf


def _inactive(group: Path) -> float:
    """Bytes of pages of files that nothing has used lately, those of groups below included."""
    counts: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        lines = (group / "memory.stat").read_text().strip().splitlines()
        counts = dict(line.split() for line in lines)
    return float(counts.get("total_inactive_file", counts.get("inactive_file", 0)))
