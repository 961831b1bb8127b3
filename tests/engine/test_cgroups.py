"""Limits of control groups, wherever they lie: own groups and those above, of both versions."""

import math
import os

import pytest

from superpos_jax.engine import cgroups, memory
from superpos_jax.training import launch

GIB = 2**30


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Make files of control groups, and say in which groups this process is."""

    def make(own, **files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "fs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    monkeypatch.setattr(cgroups, "ROOT", tmp_path / "fs")
    monkeypatch.setattr(cgroups, "OWN", tmp_path / "own")
    return make


STEP = "system.slice/slurmstepd.scope/job_1/step_0/user/task_0"


@pytest.mark.parametrize(
    ("own", "at"),
    [
        ("0::/\n", ""),
        (f"0::/{STEP}\n", STEP),
        (f"0::/{STEP}\n", "system.slice/slurmstepd.scope/job_1"),
        ("12:cpu,cpuacct:/\n4:memory:/\n0::/x\n", "unified/x"),
    ],
)
def test_limits_of_version_2_are_seen(tree, own, at):
    place = f"{at}/" if at else ""
    tree(own, **{
        f"{place}memory.max": str(2 * GIB),
        f"{place}memory.current": str(GIB),
        f"{place}memory.stat": f"anon 5\ninactive_file {GIB // 4}\n",
        f"{place}cpu.max": "150000 100000\n",
    })  # fmt: skip
    assert cgroups.free_memory() == 1.25 * GIB
    assert cgroups.cores() == 1.5
    assert memory.free_on_host() <= 1.25 * GIB
    assert len(launch.cores()) == min(2, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize("at", ["", "slurm/uid_1/job_1/"])
def test_limits_of_version_1_are_seen(tree, mount, at):
    """In a container the path is the host's, and the limits are at the root."""
    own = "slurm/uid_1/job_1/step_0"
    tree(f"4:memory:/{own}\n1:{mount}:/{own}\n0::/\n", **{
        f"memory/{at}memory.limit_in_bytes": str(GIB),
        f"memory/{at}memory.usage_in_bytes": str(GIB // 2),
        f"memory/{at}memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB // 4}\n",
        f"{mount}/{at}cpu.cfs_quota_us": "100000",
        f"{mount}/{at}cpu.cfs_period_us": "100000",
    })  # fmt: skip
    assert cgroups.free_memory() == 0.75 * GIB
    assert cgroups.cores() == 1


def test_the_tightest_of_all_groups_counts(tree):
    tree("0::/a/b\n", **{"a/cpu.max": "100000 100000", "a/b/cpu.max": "400000 100000"})
    assert cgroups.cores() == 1


def test_groups_without_limits_and_none_at_all(tree, tmp_path):
    tree("0::/a\n", **{
        "a/memory.max": "max\n", "a/memory.current": "5", "a/cpu.max": "max 100000",
        "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000",
    })  # fmt: skip
    assert (cgroups.free_memory(), cgroups.cores()) == (math.inf, math.inf)
    (tmp_path / "own").unlink()
    assert (cgroups.free_memory(), cgroups.cores()) == (math.inf, math.inf)


def test_a_group_of_others_is_not_counted(tree):
    tree("4:memory:/mine\n", **{
        "memory/theirs/memory.limit_in_bytes": "1", "memory/theirs/memory.usage_in_bytes": "1",
    })  # fmt: skip
    assert cgroups.free_memory() == math.inf
