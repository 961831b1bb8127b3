"""Faults of files, folders and disks: one clear line, and nothing is lost."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest
import xarray as xr
from test_growth import same, sweep

import superpos_jax as sp
from superpos_jax.engine.verdicts import UNFINISHED
from superpos_jax.errors import Interrupted
from superpos_jax.results.store import NEW, OLD, STORE, mend
from superpos_jax.results.view import FORMAT
from superpos_jax.training import checkpoint
from superpos_jax.training.checkpoint import Checkpoints
from superpos_jax.training.folder import CHECKPOINT, LOCK, OWNER, Folder

SWEEP = sweep({"T": [3, 40]}, steps=3000)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """A folder that nothing happened to."""
    folder = tmp_path_factory.mktemp("quiet")
    sp.run(SWEEP, out=folder)
    return folder


@pytest.fixture
def copy(quiet, tmp_path):
    return shutil.copytree(quiet, tmp_path / "copy")


def test_two_runs_on_one_folder(tmp_path):
    """The second is refused with the first one's process and host; the first goes on."""
    here, finish = threading.Event(), threading.Event()

    def progress(_):
        here.set()
        assert finish.wait(60)

    first = threading.Thread(
        target=sp.run, args=[SWEEP], kwargs={"out": tmp_path, "progress": progress}
    )
    first.start()
    assert here.wait(60)
    try:
        with pytest.raises(sp.UserError, match=f"in use by process {os.getpid()} on "):
            sp.run(SWEEP, out=tmp_path)
    finally:
        finish.set()
        first.join()
    assert sp.load(tmp_path).count(0) == 2
    assert not (tmp_path / LOCK).exists()
    assert not (tmp_path / OWNER).exists()


def test_a_lock_left_by_a_killed_run_does_not_hold(copy):
    (copy / LOCK).touch()
    (copy / OWNER).write_text("process 1 on nowhere")
    sp.run(SWEEP, out=copy)
    assert not (copy / LOCK).exists()


DAMAGES = ["removed metadata", "truncated metadata", "removed array", "lost chunk", "lost axis"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_refused_and_left_as_it_is(copy, superpos, damage):
    if damage == "removed metadata":
        (copy / STORE / "zarr.json").unlink()
    elif damage == "truncated metadata":
        (copy / STORE / "zarr.json").write_text((copy / STORE / "zarr.json").read_text()[:100])
    elif damage == "removed array":
        shutil.rmtree(copy / STORE / "verdict")
    else:
        shutil.rmtree(copy / STORE / ("w" if damage == "lost chunk" else "T") / "c")
    before = sorted(path for path in copy.rglob("*"))
    for arguments in (["show", copy], ["run", copy / "sweep.toml", "--out", copy]):
        code, _, err = superpos(*arguments)
        assert code == 2
        assert err.count("\n") == 1, err
        assert "not a readable result" in err
        assert str(copy) in err
    code, _, err = superpos("run", copy / "sweep.toml", "--out", copy, "--fresh")
    assert code == 2
    assert "holds a result that cannot be read; add --yes" in err
    assert sorted(path for path in copy.rglob("*")) == before


@pytest.mark.parametrize(("version", "said"), [(FORMAT + 1, "a newer"), (1, "an older")])
def test_a_store_of_another_version_is_refused(copy, superpos, version, said):
    metadata = copy / STORE / "zarr.json"
    metadata.write_text(metadata.read_text().replace(f'"format": {FORMAT}', f'"format": {version}'))
    code, _, err = superpos("run", copy / "sweep.toml", "--out", copy)
    assert code == 2
    assert f"{said} version (format {version})" in err


def test_killed_between_the_two_renames_of_a_save(quiet, copy):
    (copy / STORE).rename(copy / OLD)
    whole = sp.load(quiet).dataset
    xr.testing.assert_identical(sp.load(copy).dataset, whole)  # even before it is mended
    shutil.copytree(quiet / STORE, copy / NEW)
    xr.testing.assert_identical(sp.load(copy).dataset, whole)
    mend(copy)
    xr.testing.assert_identical(sp.load(copy).dataset, whole)
    assert {path.name for path in copy.iterdir()} == {STORE, "sweep.toml", "provenance.json"}


def test_killed_after_the_result_and_before_its_checkpoint_went(quiet, copy, tmp_path):
    """Nothing is trained again, and the checkpoint goes."""

    def interrupt(now):
        if now.step > 10:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        sp.run(SWEEP, out=tmp_path / "other", progress=interrupt)
    (tmp_path / "other" / CHECKPOINT).rename(copy / CHECKPOINT)
    xr.testing.assert_identical(sp.run(SWEEP, out=copy).dataset, sp.load(quiet).dataset)
    assert not (copy / CHECKPOINT).exists()


def test_the_folder_is_removed_while_training(quiet, tmp_path):
    def remove(now):
        if now.doing == "training" and now.step > 10:
            shutil.rmtree(tmp_path / "out", ignore_errors=True)

    sp.run(SWEEP, out=tmp_path / "out", checkpoint_seconds=0.1, progress=remove)
    same(sp.load(tmp_path / "out").dataset, sp.load(quiet).dataset)
    assert sp.run(SWEEP, out=tmp_path / "out").sweep == SWEEP


def test_a_second_ctrl_c_stops_at_once(quiet, tmp_path):
    def hurry(now):
        if now.doing == "training" and now.step > 10:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        sp.run(SWEEP, out=tmp_path, checkpoint_seconds=0, progress=hurry)
    same(sp.run(SWEEP, out=tmp_path).dataset, sp.load(quiet).dataset)


def test_fresh_asks_before_it_drops(copy, superpos):
    code, _, err = superpos("run", copy / "sweep.toml", "--out", copy, "--fresh")
    assert code == 2
    assert "holds 2 trained cells; add --yes" in err
    assert sp.load(copy).count(0) == 2
    code, _, _ = superpos("run", copy / "sweep.toml", "--out", copy, "--fresh", "--yes")
    assert code == 0


@pytest.mark.parametrize(
    "refused",
    [
        {"devices": 99},
        {"devices": "2"},
        {"devices": 1.5},
        {"limit": 0.1},
        {"limit": "4"},
        {"checkpoint_seconds": -1},
        {"retry": {}},
    ],
    ids=str,
)
def test_fresh_drops_nothing_before_all_is_checked(quiet, copy, refused):
    with pytest.raises(sp.UserError):
        sp.run(SWEEP, out=copy, fresh=True, **refused)
    xr.testing.assert_identical(sp.load(copy).dataset, sp.load(quiet).dataset)


def test_a_store_that_is_a_link(quiet, copy, tmp_path):
    (copy / STORE).rename(tmp_path / "elsewhere")
    (copy / STORE).symlink_to(tmp_path / "elsewhere")
    sp.run(sweep({"T": [3, 5, 40]}, steps=3000), out=copy)
    same(sp.run(SWEEP, out=copy).dataset, sp.load(quiet).dataset)


def test_retry_of_a_run_that_has_finished_nothing(tmp_path, superpos):
    with pytest.raises(Interrupted):
        sp.run(SWEEP, out=tmp_path, progress=lambda _: signal.raise_signal(signal.SIGTERM))
    assert superpos("run", tmp_path / "sweep.toml", "--out", tmp_path, "--retry-dead")[0] == 0
    assert sp.load(tmp_path).count(UNFINISHED) == 2


def test_killed_while_the_first_store_was_written(quiet, tmp_path):
    """Only half of `result.zarr.new` is there: nothing is lost, and the run begins again."""
    for half in (quiet / STORE).glob("zarr.json"):
        (tmp_path / NEW).mkdir()
        shutil.copy(half, tmp_path / NEW)
    same(sp.run(SWEEP, out=tmp_path).dataset, sp.load(quiet).dataset)
    assert not (tmp_path / NEW).exists()


@pytest.mark.parametrize("more", [(), ("--fresh",), ("--fresh", "--yes")], ids=len)
def test_a_folder_of_the_users_own_is_left_alone(tmp_path, superpos, more):
    """One with a sweep file, figures and checkpoints in it is no result folder by that."""
    text = "# mine\n" + SWEEP.to_toml()
    (tmp_path / "sweep.toml").write_text(text)
    for name in ("figures", "checkpoint"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.png").touch()
    code, _, err = superpos("run", tmp_path / "sweep.toml", "--out", tmp_path, *more)
    assert (code, err.count("\n")) == (2, 1)
    assert "not a result folder" in err
    assert (tmp_path / "sweep.toml").read_text() == text
    assert len(list(tmp_path.glob("*/mine.png"))) == 2


def test_a_file_in_the_place_of_checkpoints(copy, superpos, tmp_path):
    (copy / CHECKPOINT).touch()
    (tmp_path / "more.toml").write_text(sweep({"T": [3, 40, 50]}, steps=3000).to_toml())
    code, _, err = superpos("run", tmp_path / "more.toml", "--out", copy)
    assert (code, err.count("\n")) == (2, 1)
    assert "checkpoint is a file there" in err


def test_odd_places(quiet, tmp_path, superpos):
    for place in (tmp_path / "[red]a b[/]", tmp_path / "é:smile:"):
        shutil.copytree(quiet, place)
        code, _, err = superpos("show", place)
        assert (code, err) == (0, "")
    code, _, err = superpos("show", tmp_path / ("x" * 300))
    assert (code, err.count("\n")) == (2, 1)
    code, _, err = superpos("plot", quiet, "--out", tmp_path / "all.png")
    assert (code, err.count("\n")) == (2, 1)
    (tmp_path / "file").touch()
    code, _, err = superpos("plot", quiet, "--out", tmp_path / "file")
    assert (code, err.count("\n")) == (2, 1)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(place: Path) -> Path:
    """Fill a file system up; remove the file to have room again."""
    filler = place / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1024))
    return filler


def remount(place: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(place)], check=True)


def test_a_full_disk(small_disk, superpos, quiet, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP.to_toml())
    out = small_disk / "out"
    command = ["run", tmp_path / "sweep.toml", "--out", out]
    sp.run(SWEEP.model_copy(update={"axes": {"T": (3,)}}), out=out)
    filler = fill(small_disk)
    code, _, err = superpos(*command, "--checkpoint-seconds", "0")
    assert code == 2
    assert "No space left on device; make room and run the same command again" in err
    assert "Traceback" not in err
    assert sp.load(out).count(0) == 1  # what was there is there
    filler.unlink()
    assert superpos(*command)[0] == 0
    same(sp.load(out).dataset, sp.load(quiet).dataset)


def test_a_disk_that_is_full_from_the_first_write_on(small_disk, superpos, quiet, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP.to_toml())
    out = small_disk / "out"
    out.mkdir()
    filler = fill(small_disk)
    command = ["run", tmp_path / "sweep.toml", "--out", out]
    code, _, err = superpos(*command)
    assert (code, err.count("\n")) == (2, 1)
    assert "make room and run the same command again" in err
    filler.unlink()
    assert list(out.iterdir()) == []
    (out / "..lock.owner.1.part").touch()  # of a run that was killed there
    assert superpos(*command)[0] == 0
    assert not list(out.glob(".*.part"))
    same(sp.load(out).dataset, sp.load(quiet).dataset)


def test_a_disk_that_is_full_for_a_while(small_disk, superpos, quiet, tmp_path, monkeypatch):
    """Checkpoints fail, training goes on; there is room again for the result."""
    saved = []
    save = Checkpoints.save

    def on_a_full_disk(self, *arguments):
        filler = fill(small_disk) if len(saved) < 2 else None
        saved.append(save(self, *arguments))
        if filler:
            filler.unlink()
        return saved[-1]

    monkeypatch.setattr(Checkpoints, "save", on_a_full_disk)
    (tmp_path / "sweep.toml").write_text(SWEEP.to_toml())
    out = small_disk / "out"
    command = ["run", tmp_path / "sweep.toml", "--out", out, "--checkpoint-seconds", "0"]
    code, _, err = superpos(*command)
    assert code == 0
    assert "superpos: no checkpoint of step" in err
    assert "training goes on" in err
    assert saved[:3] == [False, False, True]
    same(sp.load(out).dataset, sp.load(quiet).dataset)


def test_a_read_only_folder(small_disk, superpos, tmp_path):
    out = small_disk / "out"
    sp.run(sweep({"T": [3]}), out=out)
    (tmp_path / "sweep.toml").write_text(sweep({"T": [3, 40]}).to_toml())
    remount(small_disk, "ro")
    try:
        code, _, err = superpos("run", tmp_path / "sweep.toml", "--out", out)
        assert code == 2
        assert err.count("\n") == 1
        assert f"--out {out}: cannot be written: Read-only file system" in err
        assert superpos("show", out)[0] == 0
    finally:
        remount(small_disk, "rw")


def test_a_checkpoint_of_another_kind_of_machine_is_refused(tmp_path):
    def interrupt(now):
        if now.step > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sp.run(SWEEP, out=tmp_path, checkpoint_seconds=0, progress=interrupt)
    grid = SWEEP.grid()
    there = checkpoint.about(grid.study, grid.cells, "gpu", [])
    for file in (tmp_path / CHECKPOINT).glob("*/*/about/metadata"):
        file.write_text(json.dumps(there._asdict()))
    with pytest.raises(sp.UserError, match="written on gpu, this is cpu"):
        sp.run(SWEEP, out=tmp_path)
    assert (tmp_path / CHECKPOINT).is_dir()


def test_a_lock_whose_owner_cannot_be_written_is_let_go(tmp_path, monkeypatch):
    """A full disk; the traceback that a notebook keeps must not keep the lock."""
    with monkeypatch.context() as full:
        full.setattr(Path, "write_text", lambda *_: os.write(-1, b""))
        with pytest.raises(sp.UserError, match="cannot be written") as kept:
            sp.run(SWEEP, out=tmp_path)
    assert kept.tb is not None
    assert sp.run(SWEEP, out=tmp_path).count(UNFINISHED) == 0


def test_what_is_dropped_takes_its_checkpoints_along(tmp_path):
    """Even where the result was removed by hand."""
    with pytest.raises(Interrupted):
        sp.run(SWEEP, out=tmp_path, progress=lambda now: now.step and os.kill(os.getpid(), 2))
    shutil.rmtree(tmp_path / STORE)
    folder = Folder(tmp_path, SWEEP, SWEEP.grid())
    assert folder.worth() == "an unfinished run"
    folder.clear()
    assert not (tmp_path / CHECKPOINT).exists()
