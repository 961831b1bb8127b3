"""The classifier of the documentation, through the real command: train, show, draw, audit, grow."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from classifier import Classifier

import superpos_jax as sp
from superpos_jax.engine.study import Minibatch, history_steps

SWEEP = """# Three clouds of points
study = "classifier:Classifier"

[arms.plain]
[arms.noisy]
spread = 0.9

[axes]
width = [4]
batch = [5, 7]
lr = [0.1, 30.0]
seed = "range(2)"

[cell]
T = 33
steps = 120

[options]
look_every = 5
patience = 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("blobs") / "out"


@pytest.fixture
def trained(superpos, folder):
    """What the command says, the first time; afterwards the folder holds the result."""
    file = folder.parent / "blobs.toml"
    file.write_text(SWEEP)
    return superpos("run", file, "--out", folder, "--processes", "1")


def test_everything_a_study_may_say_is_in_its_result(trained, folder, superpos):
    code, out, err = trained
    assert (code, "Traceback" in err) == (0, False), err
    for name in ("plane.png", "curves.csv", "history.png"):
        assert (folder / "figures" / name).exists()
    assert "diverged cells" in out
    assert "train loss above 10" in out
    result = sp.load(folder)
    data = result.dataset
    assert data.arm.values.tolist() == ["plain", "noisy"]
    assert dict(data.verdict.sizes) == {"arm": 2, "width": 1, "batch": 2, "lr": 2, "seed": 2}
    small = data.sel(lr=0.1)
    assert ((small.train_accuracy > 0.5) & (small.train_accuracy <= 1)).all()
    assert (data.sel(lr=30.0).verdict == 2).all()  # diverged
    drawn = pd.read_csv(folder / "figures" / "plane.csv").set_index("lr")
    assert drawn.loc[30.0, "test_loss"].isna().all()  # they are in no mean
    assert (drawn.loc[30.0, "died"] == drawn.loc[30.0, "runs"]).all()
    assert drawn.loc[0.1, "test_loss"].notna().all()
    stopped = small.ended >= 0
    assert stopped.any()
    assert ((small.updates < 120) == stopped).all()
    assert (small.updates % 5 == 0).all()  # it is looked at every 5 updates
    assert (small.best_test_loss <= small.test_loss + 1e-6).all()
    assert small.best_W.dims[-2:] == ("hidden", "input")
    past = np.isfinite(small.history_test_accuracy)
    assert (past == (small.step <= small.updates)).all()
    start = small.history_train_loss.sel(step=0)
    np.testing.assert_array_equal(start.isel(batch=0), start.isel(batch=1))  # one network, one T
    assert (small.best_W.isel(batch=0) != small.best_W.isel(batch=1)).any()


def test_a_cell_is_named_by_its_arm(trained, folder):
    result = sp.load(folder)
    cell = result.trained_cell(arm="noisy", width=4, batch=7, lr=0.1, seed=1)
    assert (cell.spread, cell.width, cell.batch, cell.T) == (0.9, 4, 7, 33)
    with pytest.raises(sp.UserError, match=r"arm='loud' was not swept.*plain"):
        result.trained_cell(arm="loud", width=4, batch=7, lr=0.1, seed=1)


def test_an_audit_trains_the_same_bits(trained, folder, superpos):
    code, out, err = superpos("audit", folder, "--cells", "3", "--seed", "0")
    assert code == 0, err
    assert sum("the same" in line for line in out.splitlines() if "│" in line) == 3


def test_a_new_arm_trains_its_cells_alone(trained, folder, superpos):
    before = sp.load(folder).dataset
    file = folder.parent / "blobs.toml"
    file.write_text(SWEEP.replace("[axes]", "[arms.wide]\nspread = 2.0\n\n[axes]"))
    _, out, _ = superpos("run", file, "--out", folder, "--processes", "1")
    assert "holds 16 of 24 cells" in out
    after = sp.load(folder).dataset
    assert after.arm.values.tolist() == ["plain", "noisy", "wide"]
    for name in ("train_loss", "test_accuracy", "best_W", "updates"):
        old = after[name].sel(arm=["plain", "noisy"]).values
        assert old.tobytes() == before[name].values.astype(old.dtype).tobytes(), name


def test_the_study_is_as_short_as_the_documentation_says():
    lines = Path(__file__).with_name("classifier.py").read_text().splitlines()
    assert len(lines) <= 150
    page = (Path(sp.__file__).parent / "studies" / "README.md").read_text()
    assert re.search(r"classifier:Classifier", page)


def test_a_cell_that_may_finish_early_keeps_what_half_of_its_updates_pay_for(monkeypatch):
    """A tenth of 2,000 updates of 8 samples pays for 150 samples 17 times, both ends among them."""
    monkeypatch.setattr(Classifier, "feed", lambda self, cell: Minibatch(8))
    study, cell = Classifier(Classifier.Options()), Classifier.Cell(steps=2000)
    assert study.recorded(cell) == history_steps(2000, 6)  # of half of them 8, and 6 at least
    monkeypatch.setattr(Classifier, "ends", {})
    assert study.recorded(cell) == history_steps(2000, 15)
