"""Who may take part in a run: its own processes, over the loopback interface, and nobody else."""

import hmac
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr

import superpos_jax as sp
from superpos_jax.engine import collective
from superpos_jax.errors import LostProcess
from superpos_jax.training import checkpoint, launch, opening
from superpos_jax.training.folder import Folder

SWEEP = sp.Sweep(study="ridge:Ridge", axes={"T": [3, 5]}, cell={"steps": 3})
LISTEN = """
import os, psutil
from superpos_jax.cli import app
import superpos_jax.training.job as jobs
def listening(*_, **__):
    for c in psutil.Process().net_connections("inet"):
        if c.status == psutil.CONN_LISTEN:
            print("listens", c.laddr.ip, flush=True)
    os._exit(0)
jobs.train = listening
app.main()
"""


class Evil:
    def __reduce__(self):
        return os.abort, ()


def as_bytes(line, rest=b""):
    """A message whose line of JSON is this."""
    return np.frombuffer(len(line).to_bytes(collective.HEAD, "little") + line + rest, np.uint8)


def test_what_another_process_says_is_never_unpickled():
    pickled = pickle.dumps(Evil())
    for message in (np.frombuffer(pickled, np.uint8), as_bytes(pickled)):
        with pytest.raises(ValueError, match=r"JSON|codec|Expecting"):
            collective.decoded(message)
    for kind in (b"|O", b"U9", b"str32", b"datetime64[s]"):
        line = b'[true, null, {"x": ["%b", [1]]}]' % kind
        with pytest.raises(ValueError, match="allowed: numbers"):
            collective.decoded(as_bytes(line, bytes(72)))


def as_told(message):
    """A message as the others get it."""
    fine, told = collective.decoded(collective.encoded(True, message))
    assert fine
    return told


@pytest.mark.parametrize(
    "kind", ["bool", "int8", "uint32", "float16", ">f4", "bfloat16", "complex64"]
)
def test_numbers_of_every_kind_are_told(kind):
    array = np.arange(6).reshape(3, 2)[::-1].astype(kind)
    _, arrays = as_told(({}, {"x": array, "none": array[:0], "one": array[0, 0]}))
    assert arrays["x"].dtype.name == array.dtype.name
    np.testing.assert_array_equal(arrays["x"], array)
    assert (arrays["none"].shape, arrays["one"].shape) == ((0, 2), ())
    for other in (np.array([None]), np.array(["text"])):
        with pytest.raises(ValueError, match=r"x: .*; allowed: numbers"):
            collective.encoded(True, ({}, {"x": other}))


def test_a_job_and_its_checkpoints_are_told_in_json_and_arrays(tmp_path):
    sp.run(SWEEP, out=tmp_path)
    grown = SWEEP.model_copy(update={"axes": {"T": (3, 5, 7)}})

    folder = Folder(tmp_path, grown, grown.grid())
    with opening.opened(grown, folder.grid, folder) as job:
        told = opening.unpacked(as_told(opening.packed(job)))
    assert (told.sweep, told.cells, told.fresh) == (job.sweep, job.cells, job.fresh)
    assert told.grid.cells == job.grid.cells
    assert told.folder.path == tmp_path
    xr.testing.assert_identical(told.table, job.table)
    arrays = {"step": np.array(3), "state.0": np.ones((2, 3), np.float32)}
    saved = checkpoint.Saved(tmp_path, list(grown.grid().cells), "cpu", [{"device": "x"}], arrays)
    (again,) = checkpoint.unpacked(as_told(checkpoint.packed([saved])), grown.grid().study)
    assert again[:4] == saved[:4]
    for name, array in arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)


@pytest.mark.parametrize("stranger", [False, True])
def test_a_process_without_the_secret_is_refused(monkeypatch, stranger):
    """Two processes, of which the other one may have guessed its secret."""
    theirs = b"guessed" if stranger else b"ours"
    numbers = np.zeros((2, 32), np.uint8)

    def gather(own):
        if numbers.any():
            signed = hmac.digest(theirs, numbers.tobytes() + bytes([1]), "sha256")
            return np.stack([own, np.frombuffer(signed, np.uint8)])
        numbers[:] = own
        return numbers

    monkeypatch.setattr(collective.multihost_utils, "process_allgather", gather)
    if stranger:
        with pytest.raises(LostProcess, match="did not start"):
            collective.prove(b"ours")
    else:
        collective.prove(b"ours")


@pytest.mark.usefixtures("all_cores")
def test_processes_of_one_machine_listen_on_the_loopback_interface_past_a_proxy(tmp_path):
    """Behind a proxy that answers nobody; the secret is on no command line."""
    (tmp_path / "sweep.toml").write_text(SWEEP.to_toml())
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    environment |= {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", LISTEN, "run", "sweep.toml", "--processes", "2"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    listening = [line for line in done.stdout.splitlines() if line.startswith("listens")]
    assert len(listening) >= 2, done.stderr  # the coordinator, and gloo
    hosts = {line.split()[1].removeprefix("::ffff:") for line in listening}  # IPv4 through IPv6
    assert hosts == {launch.LOOPBACK}
    assert "proxy" not in done.stderr


def test_a_process_that_ends_before_it_has_joined_is_noticed():
    command = [sys.executable, "-c", "raise SystemExit(7)"]
    with (
        subprocess.Popen(command) as other,
        pytest.raises(LostProcess, match="exit code 7"),
    ):
        launch._join_watching([other], lambda: time.sleep(5))


@pytest.mark.parametrize(
    ("environment", "alone"),
    [
        ({"KUBERNETES_SERVICE_HOST": "h"}, True),
        ({"KUBERNETES_SERVICE_HOST": "h", "JOB_COMPLETION_INDEX": "0"}, False),
        ({"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1"}, True),
        ({"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_only_what_a_launcher_set_makes_a_cluster(monkeypatch, environment, alone):
    for name in (*launch.TASKS, *launch.LAUNCHERS, "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launch._is_alone() == alone


def test_who_waits_for_others_says_for_whom_and_gives_up(monkeypatch, caplog):
    """As in an interactive Slurm step of four tasks in which one process runs."""
    monkeypatch.setattr(launch, "_is_alone", lambda: False)
    monkeypatch.setattr(launch, "WAITS", 0.4)
    monkeypatch.setattr(launch, "AT_ONCE", 0.05)
    never = threading.Event()
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **__: never.wait(20))
    monkeypatch.setattr(launch, "shared", lambda _: None)
    for name in (*launch.TASKS, *launch.RANKS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_NTASKS", "4")
    try:
        with pytest.raises(LostProcess, match=r"did not join .*; --processes 1 trains") as raised:
            launch.join()
        assert not raised.value.goes_on_from  # there is nothing to go on from
        assert "waiting for the other tasks of this job, which has 4 (SLURM_NTASKS)" in caplog.text
        assert caplog.text.count("--processes 1 trains in this one alone") == 1
        caplog.clear()
        with pytest.raises(LostProcess, match="did not join"):
            launch.join("host-a:1", 3, 1)
        assert not caplog.text  # the first one says it
    finally:
        never.set()
