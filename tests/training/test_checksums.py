"""What is read is what was written: one flipped bit of a store or checkpoint does not go unseen."""

import errno
import shutil

import filelock
import numpy as np
import pytest

import superpos_jax as sp
from superpos_jax.training import checkpoint
from superpos_jax.training.folder import LOCK, OWNER, Folder

SWEEP = sp.Sweep(study="ridge:Ridge", axes={"T": [3, 5]}, cell={"steps": 3})


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    sp.run(SWEEP, out=folder)
    return folder


def test_a_changed_attribute_of_a_store_is_seen(stored, tmp_path):
    metadata = stored / "result.zarr" / "zarr.json"
    before = metadata.read_text()
    assert '\\"ridge\\": 0.1' in before
    metadata.write_text(before.replace('\\"ridge\\": 0.1', '\\"ridge\\": 0.3'))
    try:
        with pytest.raises(sp.UserError, match="damaged: its attributes"):
            sp.load(stored)
    finally:
        metadata.write_text(before)
    assert sp.load(stored).count(0) == 2


def test_a_changed_number_of_a_checkpoint_is_seen(tmp_path):
    grid = SWEEP.grid()
    about = checkpoint.about(grid.study, grid.cells, "cpu", [{"device": "cpu"}])
    arrays = {"step": np.array(3), "state.0": np.arange(4, dtype=np.float32)}
    sums = checkpoint._checksums(about, arrays)
    assert sums == checkpoint._checksums(about, dict(reversed(arrays.items())))
    for changed in (
        arrays | {"state.0": np.arange(1, 5, dtype=np.float32)},
        arrays | {"state.0": arrays["state.0"].reshape(2, 2)},
        {"state.1": arrays["state.0"], "step": arrays["step"]},
    ):
        assert checkpoint._checksums(about, changed)["arrays"] != sums["arrays"]
    other = about._replace(cells=[[*about.cells[0]][::-1], about.cells[1]])
    assert checkpoint._checksums(other, arrays)["about"] != sums["about"]


def test_a_checkpoint_whose_numbers_changed_gives_way_to_the_one_before(
    tmp_path, monkeypatch, caplog
):
    grid = SWEEP.grid()
    about = checkpoint.about(grid.study, grid.cells, "cpu", [{"device": "cpu"}])
    arrays = {"state.0": np.arange(4, dtype=np.float32)}
    saver = checkpoint.Checkpoints(tmp_path, grid.cells)
    assert saver.save(1, arrays, about)
    sums = checkpoint._checksums(about, {"state.0": arrays["state.0"] + 1})
    with monkeypatch.context() as patch:  # as if a bit had flipped after it was written
        patch.setattr(checkpoint, "_checksums", lambda *_: sums)
        assert saver.save(2, arrays, about)
    assert checkpoint._newest(saver._path) is not None
    assert "checkpoint 2 is damaged: its checksum differs" in caplog.text
    assert "start from step 0" not in caplog.text
    shutil.rmtree(saver._path / "1")
    assert checkpoint._newest(saver._path) is None
    assert "no readable checkpoint; its cells start from step 0" in caplog.text


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(self):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
    folder = Folder(tmp_path / "out", SWEEP, SWEEP.grid())
    with folder.locked():
        assert (folder.path / LOCK).exists()
        with pytest.raises(sp.UserError, match="in use by process"), folder.locked():
            pass
        (folder.path / OWNER).write_text("process 4242 on node-a\n")
        said = rf"in use by process 4242 on node-a; .* remove .*{LOCK}"
        with pytest.raises(sp.UserError, match=said), folder.locked():
            pass
