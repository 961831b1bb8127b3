"""What keeps a result whole, guard by guard: each test fails where its guard is gone."""

import contextlib
import errno
import functools
import io
import itertools
import os
import shutil
import threading

import numpy as np
import pytest
import xarray as xr
from test_growth import same, sweep

import superpos_jax as sp
from superpos_jax.engine.verdicts import FINISHED, UNFINISHED
from superpos_jax.results import archive, store
from superpos_jax.results.files import replacing
from superpos_jax.results.store import NEW, STORE, read_table
from superpos_jax.training import checkpoint, folder, launch
from superpos_jax.training.checkpoint import Checkpoints, about, find
from superpos_jax.training.folder import CHECKPOINT, FIGURES, Folder

pytestmark = pytest.mark.unoptimized

SWEEP = sweep({"T": [3, 40], "lr": [0.1, 3.4e38]})
"""One cell dies in its first update: its loss is finite, its weights are no more."""

OPERATIONS = [(os, name) for name in ("open", "mkdir", "rename", "replace", "fsync", "unlink")]
OPERATIONS.append((io, "open"))
LAST = 9
"""Of the operations of a write each of the last ones fails, and as many of those before."""
FAULTS = errno.ENOSPC, errno.EIO, errno.EMFILE


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder that holds the sweep."""
    place = tmp_path_factory.mktemp("trained")
    sp.run(SWEEP, out=place)
    return place


class Faults:
    """Lets operations on files below a folder fail at one of their numbers, and counts them."""

    def __init__(self, patch, place, at=-1, number=0):
        self.names, self.lock = [], threading.Lock()
        for module, name in OPERATIONS:
            patch.setattr(
                module, name, self.failing(getattr(module, name), name, place, at, number)
            )

    def failing(self, function, name, place, at, number):
        def call(path, *arguments, **named):
            if name == "fsync" or str(path).startswith(str(place)):
                with self.lock:
                    self.names.append(name)
                    count = len(self.names) - 1
                if count == at:
                    raise OSError(number, os.strerror(number), str(path))
            return None if name == "fsync" else function(path, *arguments, **named)

        return call


def faulty(monkeypatch, place, write):
    """Calls of a function, each with a fault at another of its operations on a folder."""
    with monkeypatch.context() as patch:
        names = Faults(patch, place).names
        write()
    assert {"mkdir", "rename"} <= set(names)
    last = len(names) - LAST
    chosen = [*range(0, last, max(1, last // LAST)), *range(max(0, last), len(names))]

    def call(at, number):
        with monkeypatch.context() as patch:
            Faults(patch, place, at, number)
            write()

    for at, number in zip(chosen, itertools.cycle(FAULTS), strict=False):
        yield functools.partial(call, at, number)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # zarr's coroutines
def test_a_fault_at_any_write_leaves_the_old_result_or_the_new(trained, tmp_path, monkeypatch):
    new = read_table(trained)[["verdict", "died_at", "run", "train_loss"]]
    old = new.assign(train_loss=new["train_loss"] + 1)
    place = Folder(tmp_path, SWEEP, SWEEP.grid())
    seen = set()
    for write in faulty(monkeypatch, tmp_path, lambda: place.write(new)):
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda descriptor: None)
            place.write(old)
        with contextlib.suppress(sp.UserError):
            write()
            seen.add("written")
        left = read_table(tmp_path)
        is_new = bool((left["train_loss"] == new["train_loss"]).any())
        xr.testing.assert_identical(left.drop_attrs(), (new if is_new else old).drop_attrs())
        seen.add(is_new)
    assert seen >= {True, False}
    place.write(new)
    assert {path.name for path in tmp_path.iterdir()} == {STORE, "sweep.toml", "provenance.json"}


def test_a_fault_while_a_checkpoint_is_written_leaves_one_that_can_be_read(tmp_path, monkeypatch):
    grid = SWEEP.grid()
    owner, arrays = about(grid.study, grid.cells, "cpu", []), {"w": np.arange(4.0)}
    numbers = itertools.count(1)
    checkpoints = Checkpoints(tmp_path, grid.cells)
    saved = []

    def save():
        number = next(numbers)
        saved.append((number, checkpoints.save(number, {"step": np.array(number)} | arrays, owner)))

    for write in itertools.islice(faulty(monkeypatch, tmp_path, save), 0, None, 2):
        write()
        (left,) = find(tmp_path, grid.study)
        whole = [number for number, is_whole in saved if is_whole]
        assert int(left.arrays["step"]) in (whole[-1], saved[-1][0])
        np.testing.assert_array_equal(left.arrays["w"], arrays["w"])
    assert not all(is_whole for _, is_whole in saved)


def test_a_death_is_judged_by_the_weights_as_well(trained):
    dead = sp.load(trained).dataset.sel(T=3, lr=3.4e38)
    assert dead["died_at"] == 0
    assert np.isfinite(dead["w"]).all()


def test_a_store_that_is_replaced_while_it_is_read_is_read_again(trained, monkeypatch):
    tries, admit, place = [], store.admit, store._place

    def renamed(path):
        tries.append("admit")
        if tries.count("admit") == 1:
            raise FileNotFoundError(errno.ENOENT, "it was renamed", str(path))
        admit(path)

    def between(path):
        tries.append("place")
        if tries.count("place") == 1:
            raise sp.UserError(f"{path}: no result here")
        return place(path)

    monkeypatch.setattr(store, "admit", renamed)
    monkeypatch.setattr(store, "_place", between)
    assert sp.load(trained).count(UNFINISHED) == 0
    assert tries == ["place", "place", "admit", "place", "admit"]


def test_a_checkpoint_of_another_study_is_neither_used_nor_dropped(tmp_path, caplog):
    theirs = SWEEP.model_copy(update={"options": {"test_samples": 21}}).grid()
    own = SWEEP.grid()
    owner = about(theirs.study, theirs.cells, "cpu", [])
    assert Checkpoints(tmp_path, theirs.cells).save(1, {"step": np.array(1)}, owner)
    assert find(tmp_path, own.study) == []
    assert "a checkpoint of another study" in caplog.text
    checkpoint.drop_finished(tmp_path, {*own.cells}, own.study)
    assert len(find(tmp_path, theirs.study)) == 1


def test_a_checkpoint_stays_until_its_result_is_stored(trained, tmp_path, monkeypatch):
    write = Folder.write

    def full(self, table):
        if (table["verdict"] == FINISHED).any():
            raise sp.UserError("full")
        write(self, table)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write", full)
        with pytest.raises(sp.UserError, match="full"):
            sp.run(SWEEP, out=tmp_path, checkpoint_seconds=0)
    assert len(find(tmp_path, SWEEP.grid().study)) == 1
    same(sp.run(SWEEP, out=tmp_path).dataset, sp.load(trained).dataset)


def test_a_file_is_the_old_one_until_the_new_one_is_whole(trained, tmp_path, monkeypatch):
    path = tmp_path / "file.zip"
    result = sp.load(trained)
    archive.write(result, path)
    before = path.read_bytes()

    def half(path):
        with replacing(path) as part:
            part.write_text("half")
            raise OSError(errno.ENOSPC, "full")

    def refuse(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "replace", refuse)
    for write in (
        lambda: folder._write(path, "new"),
        lambda: half(path),
        lambda: archive.write(result, path),
    ):
        with pytest.raises(OSError, match=r"full|broken"):
            write()
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == ["file.zip"]


def test_fresh_clears_what_the_folder_holds(trained, tmp_path):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    (tmp_path / FIGURES).mkdir()
    (tmp_path / FIGURES / "old.png").touch()
    (tmp_path / CHECKPOINT / "0").mkdir(parents=True)
    (tmp_path / NEW).mkdir()
    sp.run(SWEEP, out=tmp_path, fresh=True)
    assert {path.name for path in tmp_path.iterdir()} == {STORE, "sweep.toml", "provenance.json"}


def test_a_follower_ends_with_its_leader(monkeypatch):
    said, ended = [b"s" * launch.SECRET_BYTES], threading.Event()

    def read(descriptor, count):
        assert descriptor == 0
        return said.pop() if said else b""  # the leader's end of the pipe is closed

    monkeypatch.setenv(launch.FOLLOWS, "0")
    monkeypatch.setattr(launch, "_pin", lambda *_: None)
    monkeypatch.setattr(os, "read", read)
    monkeypatch.setattr(os, "_exit", lambda code: ended.set() if code == 1 else None)
    assert launch.follow() == b"s" * launch.SECRET_BYTES
    assert ended.wait(5)
