"""The files for clusters: each shard is trained once, by a command that `superpos` takes."""

import os
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from superpos_jax.cli.app import app
from superpos_jax.results.sweep import shipped
from superpos_jax.training.shards import parse

FILES = shipped()["quickstart"].parents[1] / "cluster"
STAND_IN = """#!/bin/sh
echo "$@" >> calls
case "$*" in
*"--shard 1/3"*) [ -e tried ] || { touch tried; exit 2; } ;;
*"--shard 2/3"*) exit 1 ;;
*"$LOST"*) exit 130 ;;
esac
"""


@pytest.fixture
def call(tmp_path):
    """Run a command with a stand-in for `superpos`; exit code, and the runs that it was asked for.

    In the stand-in somebody else is at work on shard 1 at first, and a cell of shard 2 dies.
    """
    stand_in = tmp_path / "bin" / "superpos"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    path = f"{stand_in.parent}:{os.environ['PATH']}"

    def run(*command, **variables):
        environment = {"PATH": path, "PAUSE": "0", "LOST": "nothing", **variables}
        code = subprocess.run(command, cwd=tmp_path, env=environment).returncode
        calls = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
        commands = typer.main.get_command(app).commands
        told = [commands[name].make_context(name, rest).params for name, *rest in calls]
        return code, [each for each in told if each.get("shard_text")]

    return run


def test_a_task_of_a_slurm_array_trains_the_shard_of_its_number(call):
    script = FILES / "slurm-array.sh"
    code, (told,) = call("bash", script, "reference/P5", "16", SLURM_ARRAY_TASK_ID="3")
    assert code == 0
    assert told["sweep"] == "reference/P5"
    assert parse(told["shard_text"]) == (3, 16)


def test_a_pod_trains_the_shard_after_its_index_alone(call):
    job = yaml.safe_load((FILES / "kubernetes-indexed-job.yaml").read_text())["spec"]
    (container,) = job["template"]["spec"]["containers"]
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    code, (told,) = call(*container["command"], JOB_COMPLETION_INDEX="15", **variables)
    assert code == 0
    assert told["sweep"] in shipped()
    assert parse(told["shard_text"]) == (16, job["completions"])
    assert told["count"] == 1  # process


def test_spot_machines_train_what_nobody_else_trains_until_all_is_done(call, tmp_path):
    code, told = call("sh", FILES / "spot.sh", "quickstart", "3", "plane")
    assert code == 0
    assert [each["shard_text"] for each in told] == ["1/3", "2/3", "3/3", "1/3"]
    assert {each["out_folder"] for each in told} == {
        Path(f"plane/shard-{i}-of-3") for i in (1, 2, 3)
    }
    assert len(list((tmp_path / "plane").glob("*.done"))) == 3


def test_a_spot_machine_that_is_taken_away_starts_nothing_more(call, tmp_path):
    code, told = call("sh", FILES / "spot.sh", "quickstart", "4", "plane", LOST="--shard 3/4")
    assert code == 130
    assert told[-1]["shard_text"] == "3/4"
    assert not (tmp_path / "plane" / "shard-3-of-4.done").exists()
