"""An interrupted run, however it was interrupted, ends with the bits of an uninterrupted one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from same import assert_same_bits

import superpos_jax as sp
from superpos_jax.errors import Interrupted
from superpos_jax.training import checkpoint, provenance
from superpos_jax.training.checkpoint import Checkpoints, about, find
from superpos_jax.training.folder import CHECKPOINT

SWEEP = sp.Sweep(
    study="ridge:Ridge",
    name="small",
    figures=("risk",),
    axes={"T": [3, 40], "width": [3, 20], "steps": [900, 4000]},
)


@pytest.fixture(scope="module")
def uninterrupted():
    return sp.run(SWEEP).dataset


def interrupt_at(step):
    """A progress callback that asks the run to stop, as Ctrl-C does, once it is past a step."""

    def progress(now):
        if now.doing == "training" and now.step >= step:
            signal.raise_signal(signal.SIGINT)

    return progress


def test_ctrl_c_loses_nothing(uninterrupted, tmp_path):
    for step in (1, 2500):
        with pytest.raises(Interrupted, match=r"at step [\d,]+ of 4,000"):
            sp.run(SWEEP, out=tmp_path, progress=interrupt_at(step))
        assert (tmp_path / CHECKPOINT).is_dir()
    seen = []
    assert_same_bits(sp.run(SWEEP, out=tmp_path, progress=seen.append).dataset, uninterrupted)
    assert min(now.step for now in seen if now.doing == "training") > 2500  # it did continue
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_damaged_checkpoint_falls_back_to_the_one_before(uninterrupted, tmp_path, caplog):
    seen = []

    def progress(now):
        seen.append(now)
        if now.step >= 20:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        sp.run(SWEEP, out=tmp_path, checkpoint_seconds=0, progress=progress)
    (place,) = (tmp_path / CHECKPOINT).iterdir()
    steps = sorted(int(path.name) for path in place.iterdir())
    assert len(steps) == 2
    for path in (place / str(steps[-1])).rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    seen.clear()
    assert len(find(tmp_path, SWEEP.grid().study)) == 1
    assert (place / str(steps[-1])).is_dir(), "what cannot be read now is kept"
    final = sp.run(SWEEP, out=tmp_path, checkpoint_seconds=0.3, progress=seen.append).dataset
    assert f"checkpoint {steps[-1]} is damaged" in caplog.text
    assert "no readable checkpoint" not in caplog.text
    assert "no checkpoint of step" not in caplog.text
    assert min(now.step for now in seen if now.doing == "training") > steps[0]
    assert_same_bits(final, uninterrupted)


def test_a_step_that_cannot_be_read_is_written_again(uninterrupted, tmp_path, caplog):
    """Of two checkpoints of a step the later one counts."""

    def stop(now):
        if now.step >= 20:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        sp.run(SWEEP, out=tmp_path, checkpoint_seconds=0, progress=stop)
    (place,) = (tmp_path / CHECKPOINT).iterdir()
    newest = max(place.iterdir(), key=lambda path: int(path.name))
    study = SWEEP.grid().study
    (saved,) = find(tmp_path, study)
    for path in newest.rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    kept = Checkpoints(tmp_path, saved.cells, every=0)
    owner = about(study, saved.cells, saved.platform, saved.machines)
    assert kept.save(int(newest.name), saved.arrays, owner)
    assert "no checkpoint" not in caplog.text
    assert find(tmp_path, study)[0].arrays["step"] == int(newest.name)
    assert_same_bits(sp.run(SWEEP, out=tmp_path).dataset, uninterrupted)


def test_what_is_said_of_a_checkpoint_is_json(tmp_path):
    with pytest.raises(Interrupted):
        sp.run(SWEEP, out=tmp_path, progress=interrupt_at(1))
    (file,) = (tmp_path / CHECKPOINT).glob("*/*/about/metadata")
    said = json.loads(file.read_text())
    assert said["platform"] == "cpu"
    assert said["study"].startswith("ridge:Ridge ")
    assert len(said["cells"]) == 8
    assert said["machines"][0]["study_source"]


def test_terminate_the_command(uninterrupted, tmp_path, superpos):
    (tmp_path / "small.toml").write_text(SWEEP.to_toml())
    program = Path(sys.executable).with_name("superpos")
    command = [program, "run", "small.toml", "--out", "out"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}

    def start_and_send(number):
        with (tmp_path / "log").open("w") as log:
            often = [*command, "--checkpoint-seconds", "0"]
            process = subprocess.Popen(often, cwd=tmp_path, env=environment, stderr=log)
        newest = checkpoints()
        before = time.monotonic()
        while checkpoints() <= newest:
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() - before < 60
            time.sleep(0.01)
        process.send_signal(number)
        return process.wait(60), (tmp_path / "log").read_text()

    def checkpoints():
        found = (tmp_path / "out" / CHECKPOINT).glob("*/[0-9]*")
        return max((int(path.name) for path in found if path.name.isdigit()), default=-1)

    code, log = start_and_send(signal.SIGTERM)
    assert code == 130
    assert "the same command continues from there" in log
    code, _, err = superpos("run", tmp_path / "small.toml", "--out", tmp_path / "out")
    assert code == 0, err
    assert_same_bits(sp.load(tmp_path / "out").dataset, uninterrupted)


def test_another_sweep_does_not_continue(tmp_path):
    with pytest.raises(Interrupted):
        sp.run(SWEEP, out=tmp_path, progress=interrupt_at(1))
    other = SWEEP.model_copy(update={"cell": {"lr": 0.02}})
    with pytest.raises(sp.UserError, match=r"cell\.lr = 0\.1, not 0\.02"):
        sp.run(other, out=tmp_path)
    assert [len(saved.cells) for saved in find(tmp_path, SWEEP.grid().study)] == [8]


def test_a_checkpoint_with_other_layouts_is_left_alone(
    uninterrupted, tmp_path, caplog, monkeypatch
):
    """As another version of a study may lay its cells out; their rows would be other cells'."""
    with pytest.raises(Interrupted):
        sp.run(SWEEP, out=tmp_path, progress=interrupt_at(1))
    with monkeypatch.context() as other:
        other.setattr(checkpoint, "by_layout", lambda *_: {})
        assert find(tmp_path, SWEEP.grid().study) == []
        assert "a checkpoint of a version with other layouts, left alone" in caplog.text
    assert len(find(tmp_path, SWEEP.grid().study)) == 1


def test_losses_so_far_stay_until_there_are_later_ones(tmp_path):
    with pytest.raises(Interrupted):
        sp.run(SWEEP, out=tmp_path, progress=interrupt_at(1000))
    before = sp.load(tmp_path).dataset
    assert before.train_loss.notnull().all()

    def look(now):
        if now.doing == "drawing data, compiling":
            assert_same_bits(sp.load(tmp_path).dataset, before)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="at step"):
        sp.run(SWEEP, out=tmp_path, progress=look)
    some = SWEEP.model_copy(update={"axes": {**SWEEP.axes, "T": (40,)}})
    with pytest.raises(Interrupted):
        sp.run(some, out=tmp_path, progress=lambda _: signal.raise_signal(signal.SIGINT))
    shown = sp.load(tmp_path).dataset  # the other cells are hidden
    np.testing.assert_array_equal(shown.train_loss, before.train_loss.sel(T=[40]))


def test_who_goes_on_with_another_version_is_told(tmp_path, monkeypatch, caplog):
    with pytest.raises(Interrupted):
        sp.run(SWEEP, out=tmp_path, progress=interrupt_at(1))
    version = provenance.version
    monkeypatch.setattr(provenance, "version", lambda name: version(name) + "x" * (name == "optax"))
    seen = []
    sp.run(SWEEP, out=tmp_path, progress=seen.append)
    assert seen[0].step > 0
    assert seen[0].done > 0
    (told,) = [line for line in caplog.messages if line.startswith("cells go on from a checkpoint")]
    assert re.search(r"\(optax \S+, here \S+x\)", told), told


def test_it_is_said_from_where_it_goes_on(tmp_path, monkeypatch):
    """A full disk keeps the last checkpoint from being written."""
    monkeypatch.setattr(Checkpoints, "save", lambda self, step, *_: step < 10)

    def progress(now):
        if now.step >= 20:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        sp.run(SWEEP, out=tmp_path / "out", checkpoint_seconds=0, progress=progress)
    stopped = int(str(caught.value).split()[3].replace(",", ""))
    saved = int(caught.value.goes_on_from.removeprefix("step "))
    assert 0 < saved < 10 < stopped
