"""Several processes through jax.distributed: the bits of one, and no process waits for a lost one.

Real processes on loopback, as on two hosts or launched by `superpos run` itself.
"""

import functools
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import ridge
from same import assert_same_bits

import superpos_jax as sp
from superpos_jax.engine import collective, memory
from superpos_jax.engine.plan import make_plan
from superpos_jax.errors import UserError
from superpos_jax.results.sweep import load_sweep
from superpos_jax.training import audit, estimate, launch, loop, provenance
from superpos_jax.training.estimate import processes_for
from superpos_jax.training.job import find_devices, of_this_process
from superpos_jax.training.logbook import Logbook
from superpos_jax.training.loop import Training

SUPERPOS = Path(sys.executable).with_name("superpos")
SWEEP = sp.Sweep(
    study="ridge:Ridge",
    name="several",
    figures=("risk",),
    axes={"T": [3, 8], "width": [3, 20], "lr": [1e-2, 1e30], "steps": [900, 2000]},
)
COUNT = itertools.count()
CLOCK = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <stdlib.h>

int clock_gettime(clockid_t clock, struct timespec *t) {
    int failed = syscall(SYS_clock_gettime, clock, t);
    if (clock == CLOCK_REALTIME && access(getenv("SET_BACK"), F_OK) == 0) {
        t->tv_sec -= 10;
        usleep(1000);
    }
    return failed;
}

int gettimeofday(struct timeval *t, void *zone) {
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return failed;
}
"""
"""A wall clock that is ten seconds behind as long as a file is there.

Threads that wait for an instant of it ask it again and again meanwhile, since the kernel has
another clock: they rest before each answer, and leave the cores to others.
"""


@pytest.fixture(scope="module")
def one():
    """The results of one process: of the sweep, and of its cells of 900 steps."""
    axes = {name: values for name, values in SWEEP.axes.items() if name != "steps"}
    short = SWEEP.model_copy(update={"axes": axes, "cell": {"steps": 900}})
    return sp.run(SWEEP).dataset, sp.run(short).dataset


@pytest.fixture
def start(tmp_path):
    """Start `superpos run` in a process of its own, beside a file that is named as Python's own.

    Those left over are killed.
    """
    (tmp_path / "sweep.toml").write_text(SWEEP.to_toml())
    (tmp_path / "random.py").write_text("raise RuntimeError('not the random that was meant')")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    started = []

    def call(*arguments, largest_file=None, **variables):
        limit = [] if largest_file is None else ["prlimit", f"--fsize={largest_file}"]
        log = tmp_path / f"log{next(COUNT)}"
        with log.open("w") as file:
            process = subprocess.Popen(
                [*limit, SUPERPOS, "run", *map(str, arguments)],
                cwd=tmp_path, stdout=file, stderr=file, stdin=subprocess.DEVNULL,
                env=environment | variables,
            )  # fmt: skip
        process.log = log
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.wait()  # else a later test is told that it is still running


def members(count):
    """The flags of each of `count` processes that meet on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    for index in range(count):
        yield "--coordinator", address, "--processes", count, "--process", index


def test_two_hosts_have_the_bits_of_one_process_and_only_the_first_writes(one, start, tmp_path):
    two = [start("sweep.toml", "--out", f"out{i}", *flags) for i, flags in enumerate(members(2))]
    assert [process.wait(120) for process in two] == [1, 0]  # some cells died, says the first
    assert two[1].log.read_text() == ""
    assert not (tmp_path / "out1").exists()
    assert_same_bits(sp.load(tmp_path / "out0").dataset, one[0])
    assert json.loads((tmp_path / "out0" / "provenance.json").read_text())["processes"] == 2


def test_a_disk_that_the_first_cannot_write_ends_them_all(start):
    """As a full disk does; the others must not wait for what the first says next."""
    limits = (1000, None)
    both = [
        start("sweep.toml", "--out", "out", *flags, largest_file=limit)
        for flags, limit in zip(members(2), limits, strict=True)
    ]
    assert [process.wait(60) for process in both] == [2, 2]
    assert "--out out: cannot be written: File too large" in both[0].log.read_text()
    assert both[1].log.read_text() == ""


def test_processes_of_a_machine_are_told_by_its_name(monkeypatch):
    """Three on one and one on another."""
    assert collective.processes_per_host() == 1
    said = []

    def gather(own):
        said.append(own)
        return np.stack(said)

    monkeypatch.setattr(collective, "several", lambda: True)
    monkeypatch.setattr(collective.multihost_utils, "process_allgather", gather)
    for name, most in (("one", 1), ("other", 1), ("one", 2), ("one", 3)):
        monkeypatch.setattr(socket, "gethostname", lambda name=name: name)
        assert collective.processes_per_host() == most


def test_devices_of_one_process_lie_side_by_side(monkeypatch):
    """A TPU slice numbers the chips of a process 0 to 3 and 8 to 11, say."""
    order = [SimpleNamespace(id=i, process_index=i // 2 % 2) for i in range(8)]
    monkeypatch.setattr(jax, "devices", lambda: order)
    monkeypatch.setattr(collective, "several", lambda: True)
    devices = find_devices(None)
    assert [device.id for device in devices] == [0, 1, 4, 5, 2, 3, 6, 7]
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    assert [device.id for device in of_this_process(devices)] == [2, 3, 6, 7]


def test_what_processes_measure_is_put_together_as_one_measures_it(monkeypatch):
    """Names that some groups lack, and numbers without a sign: none is filled with -1."""
    cells = [ridge.Regression(T=5, steps=3), ridge.Regression(T=5, steps=3, seed=1)]
    study = ridge.Ridge(ridge.Ridge.Options())
    plan = make_plan(study, cells, 2, "cpu", processes=2)
    training = SimpleNamespace(plan=plan)
    training._with_places = functools.partial(Training._with_places, training)
    own = {"hits": np.uint32([7]), "wide": np.int32([3]), "path": np.float32([[1, 2]])}
    other = {"hits": np.uint32([9]), "loss": np.float32([0.5]), "path": np.float32([[4]])}
    monkeypatch.setattr(collective, "together", lambda *_: [own, other])
    whole = Training._measured_of_all(training, None)
    assert [whole[name].dtype for name in ("hits", "wide", "loss")] == ["u4", "i4", "f4"]
    assert (whole["hits"].tolist(), whole["wide"].tolist()) == ([7, 9], [3, 0])
    np.testing.assert_array_equal(whole["loss"], np.float32([np.nan, 0.5]))
    np.testing.assert_array_equal(whole["path"], np.float32([[1, 2], [4, np.nan]]))


def test_what_decides_bits_in_any_process_is_noted_once(monkeypatch):
    sweep = sp.Sweep(study="ridge:Ridge", axes={"T": [3]}, cell={"steps": 3})
    book = Logbook(sweep, sweep.grid(), None, None, {})
    book.runs = [{}]
    for threads in ([8, 16], [16, "any"], [8, 8]):
        said = [[(provenance.THREADS, number), (provenance.PARTS, "one")] for number in threads]
        monkeypatch.setattr(collective, "together", lambda own, said=said: said)
        book.note_cores(None)
    assert book.runs == [{provenance.THREADS: "8 and 16", provenance.PARTS: "one"}]


def children(process):
    listed = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def training(process, folder):
    """Wait until a process has launched another and written a checkpoint."""
    begin, end = time.time(), time.monotonic() + 60
    done = "checkpoint/*/[0-9]*/_CHECKPOINT_METADATA"
    while not any(path.stat().st_mtime > begin for path in folder.glob(done)):
        assert process.poll() is None, process.log.read_text()
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def clock(tmp_path):
    """Variables of a process whose clock the file `back` sets back; none without a compiler."""
    compiler, library, back = shutil.which("cc"), tmp_path / "clock.so", tmp_path / "back"
    variables = {}
    if compiler and sys.platform == "linux":
        (tmp_path / "clock.c").write_text(CLOCK)
        command = [compiler, "-shared", "-fPIC", "-o", library, tmp_path / "clock.c"]
        subprocess.run(command, check=True)
        variables = {"LD_PRELOAD": str(library), "SET_BACK": str(back)}
    return SimpleNamespace(variables=variables, back=back)


@pytest.mark.usefixtures("all_cores")
def test_launched_processes_end_together_and_go_on(one, start, clock, tmp_path):
    longer = ("--set", "steps=[900, 200_000]", "--checkpoint-seconds", "0.1")
    out = tmp_path / "out"
    for victim in ("other", "all, gently"):
        process = start("sweep.toml", "--out", out, "--processes", 2, *longer, **clock.variables)
        training(process, out)
        (other,) = children(process)
        if victim == "other":
            os.kill(other, signal.SIGKILL)
            assert process.wait(20) == 130
            assert "the same command continues" in process.log.read_text()
        else:
            clock.back.touch()
            time.sleep(2)  # JAX looks every second for who is silent
            assert process.poll() is None
            clock.back.unlink()  # else the end waits for an instant ten seconds ahead
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 130
        end = time.monotonic() + 30
        while Path(f"/proc/{other}").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        assert list(out.glob("checkpoint/*/[0-9]*"))
    # now in this process, and without the cells of 200,000 steps
    sp.run(load_sweep(tmp_path / "sweep.toml", ["steps=900"]), out=out)
    assert_same_bits(sp.load(out).dataset.squeeze(drop=True), one[1])


def test_processes_are_launched_where_they_pay(monkeypatch):
    monkeypatch.setattr(launch, "cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(launch, "can_launch", lambda: True)
    long, short = (load_sweep("quickstart", [f"steps={steps}"]).grid() for steps in (2000, 20))
    two = load_sweep("quickstart", ["T=1500", "m=6", "seed=[0, 1]", "steps=1_000_000"]).grid()
    assert processes_for(long.study, long.cells, None) == 4
    assert processes_for(long.study, long.cells, 2) == 2
    assert processes_for(long.study, long.cells, 5) == 1  # more devices than cores share one
    assert processes_for(short.study, short.cells, None) == 1
    assert processes_for(two.study, two.cells, None) == 2
    assert processes_for(two.study, two.cells[:1], None) == 1  # all that is left to do
    assert processes_for(long.study, long.cells, None, limit=3.5) == 2
    monkeypatch.setattr(memory, "free_on_host", lambda: 2.0 * 2**30)
    assert processes_for(long.study, long.cells, None) == 1
    monkeypatch.setattr(memory, "free_on_host", lambda: 2.0 * 2**40)
    monkeypatch.setattr(launch, "can_launch", lambda: False)
    assert processes_for(long.study, long.cells, None) == 1


def test_the_cores_with_the_least_to_do_are_taken(monkeypatch):
    monkeypatch.setattr("psutil.cpu_percent", lambda *_, **__: [99.0, 0.0, 50.0, 1.0, 98.0])
    assert launch._least_busy(2, [0, 1, 2, 3]) == [1, 3]
    assert launch._least_busy(3, [0, 3, 4]) == [0, 3, 4]  # all there are


@pytest.mark.parametrize(("tasks", "joins"), [("1", False), ("2", True)])
def test_a_job_of_one_task_joins_nothing(monkeypatch, tasks, joins):
    class JoinedError(BaseException):
        pass

    def initialize(*_, **__):
        raise JoinedError

    monkeypatch.setenv("SLURM_NTASKS", tasks)
    monkeypatch.setattr("jax.distributed.initialize", initialize)
    if joins:
        with pytest.raises(JoinedError):
            launch.join()
    else:
        assert not launch.join()


def test_a_plan_deals_cells_to_processes(monkeypatch):
    """As `run` will: here is one device, there one for each of three processes."""
    monkeypatch.setattr(estimate, "processes_for", lambda *_: 3)
    sweep = sp.Sweep(axes={"T": [100], "seed": [0, 1, 2]}, cell={"steps": 10}, options={"n": 20})
    plan = estimate.describe(sweep.grid(), devices=1)
    assert plan["devices"] == "3 x cpu, in 3 processes"
    assert plan["busiest device / mean"] == "1.000"


def test_planning_does_not_start_jax():
    """Else nothing could be launched any more."""
    script = (
        "from superpos_jax.training import estimate, launch; "
        "from superpos_jax.results.sweep import load_sweep; "
        "grid = load_sweep('quickstart').grid(); "
        "estimate.processes_for(grid.study, grid.cells, None); "
        "raise SystemExit(not launch.can_launch())"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={**os.environ, "JAX_PLATFORMS": "cpu"}
    )


def test_what_is_shared_travels_in_pieces(monkeypatch):
    sent = []

    def broadcast(array):
        sent.append(np.asarray(array))
        return array

    monkeypatch.setattr(collective, "several", lambda: True)
    monkeypatch.setattr(collective, "leads", lambda: True)
    monkeypatch.setattr(collective, "PIECE", 64)
    monkeypatch.setattr(collective.multihost_utils, "broadcast_one_to_all", broadcast)
    value = {"a": list(range(1000))}
    assert collective.shared(lambda: value) == value
    assert len(sent) > 10
    assert max(map(len, sent)) == 64


def in_turn(monkeypatch, function, **how):
    """What `together` gives to each of three; each runs thrice, to hear what the others gather."""
    monkeypatch.setattr(collective, "several", lambda: True)
    monkeypatch.setattr(collective, "PIECE", 50)
    sent = [[] for _ in range(3)]
    values = [None] * 3
    for rank in 3 * [*range(3)]:
        calls = itertools.count()

        def gather(array, rank=rank, calls=calls):
            number = next(calls)
            sent[rank] = [*sent[rank][:number], array]
            return np.stack([each[number] if number < len(each) else array for each in sent])

        monkeypatch.setattr(collective, "leads", lambda rank=rank: rank == 0)
        monkeypatch.setattr(collective.multihost_utils, "process_allgather", gather)
        try:
            values[rank] = collective.together(lambda rank=rank: function(rank), **how)
        except Exception as error:
            values[rank] = error
    return values


COLUMNS = {"pack": loop.packed, "unpack": loop.unpacked}


def columns(rank):
    """Of no cell, one and two."""
    norms = np.arange(2 * rank).reshape(rank, 2)
    return {
        "loss": ((), np.float32(range(rank)) / 7, {"long_name": "loss"}),
        "norms": (("layer",), norms, {}),
    }


def test_processes_have_what_each_has(monkeypatch):
    for values in in_turn(monkeypatch, columns, **COLUMNS):
        for rank, held in enumerate(values):
            for name, (dims, own, attrs) in columns(rank).items():
                assert (held[name][0], held[name][2]) == (dims, attrs)
                np.testing.assert_array_equal(held[name][1], own)


def test_the_first_process_alone_may_have_what_each_has(monkeypatch):
    first, *others = in_turn(monkeypatch, lambda rank: rank, by_all=False)
    assert first == [0, 1, 2]
    assert others == [[], []]


def test_a_process_whose_cells_have_ended_does_not_hurry_the_others(monkeypatch):
    """It would do any number of steps at once, and a request to stop would wait for all of them."""
    said = np.array([[60_000_000, 1, 0], [7, 0, 0], [90, 0, 1]])
    monkeypatch.setattr(collective, "several", lambda: True)
    monkeypatch.setattr(collective, "_gathered", lambda own: said)
    assert collective.agreed(60_000_000, save=True, stop=False) == (7, True, True)


@pytest.mark.parametrize("by_all", [True, False])
def test_an_error_in_one_process_is_raised_in_all(monkeypatch, by_all):
    def fails(rank):
        if rank == 1:
            raise ValueError("no such word")
        return {}

    errors = in_turn(monkeypatch, fails, by_all=by_all)
    assert [str(error) for error in errors] == ["no such word"] * 3
    assert [type(error) for error in errors] == [UserError, ValueError, UserError]


def test_a_platform_that_is_not_there_gets_one_line(monkeypatch):
    def refuse():
        raise AssertionError

    monkeypatch.setattr(jax, "devices", refuse)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    said = "^JAX_PLATFORMS=cuda: there is no such device here; allowed: cpu, or unset$"
    for start in (launch.start, lambda: find_devices(None), lambda: audit._take_cores([])):
        with pytest.raises(UserError, match=said):
            start()
    with pytest.raises(
        UserError, match=r"^--processes 2: .*; JAX_PLATFORMS=cuda: allowed: cpu, or"
    ):
        launch.launched(2, []).__enter__()


def test_more_processes_than_cores(superpos, tmp_path):
    code, _, err = superpos("run", "quickstart", "--processes", 99, "--out", tmp_path / "out")
    assert code == 2
    assert err.startswith("superpos: --processes 99: allowed here: 1 to ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("coordinator", "index", "said"),
    [
        (None, 1, "--coordinator, --processes and --process: give all three"),
        ("host-a", 0, "--coordinator host-a: allowed: HOST:PORT"),
        ("127.0.0.1:1234", 2, "--process 2: allowed: 0 to 1 of 2 processes"),
    ],
)
def test_the_three_flags_come_together_and_fit(superpos, coordinator, index, said):
    where = ["--coordinator", coordinator] if coordinator else []
    code, out, err = superpos("run", "quickstart", *where, "--processes", 2, "--process", index)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
