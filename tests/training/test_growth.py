"""A result folder grows, hides and retries single cells; what it holds keeps its bits."""

import signal
import sys
from types import ModuleType

import numpy as np
import pytest
import xarray as xr
from ridge import Ridge

import superpos_jax as sp
from superpos_jax.engine.verdicts import DIVERGED, FINISHED, NON_FINITE, VERDICTS
from superpos_jax.errors import Interrupted
from superpos_jax.training.folder import CHECKPOINT


def sweep(axes, **cell):
    return sp.Sweep(
        study="ridge:Ridge",
        name="growing",
        figures=("risk",),
        axes=axes,
        cell={"noise": 0.2, "steps": 5} | cell,
        options={"test_samples": 20},
    )


SMALL = sweep({"T": [3, 40]})
LARGE = sweep({"T": [3, 12, 40], "lr": [0.1, 0.05], "width": [20, 24]})


def same(one: xr.Dataset, other: xr.Dataset) -> None:
    """Every array equal, which run trained the cell aside."""
    one, other = (data.drop_vars("run").drop_attrs(deep=False) for data in (one, other))
    xr.testing.assert_identical(one, other)


def never(now):
    """A progress callback for a run that has nothing to train."""
    raise AssertionError(f"trained something: {now}")


@pytest.fixture(scope="module")
def small():
    return sp.run(SMALL).dataset


@pytest.fixture(scope="module")
def large():
    return sp.run(LARGE).dataset


@pytest.fixture(scope="module")
def grown(tmp_path_factory, small):
    """A folder that was trained on the small sweep, then on the large one; what the second did."""
    folder = tmp_path_factory.mktemp("grown")
    same(sp.run(SMALL, out=folder).dataset, small)
    seen = []
    sp.run(LARGE, out=folder, progress=seen.append)
    return folder, seen


def test_a_retry_is_a_cell_with_other_values(tmp_path):
    """It stands in the place of the one that failed; where its value is swept, in its own."""
    blown = sweep({"T": [3]}, lr=1e38)
    assert sp.run(blown, out=tmp_path).count(FINISHED) == 0
    retried = sp.run(blown, out=tmp_path, retry={"lr": 0.1})
    assert retried.count(FINISHED) == 1
    assert retried.dataset.retry_lr.values.tolist() == [0.1]
    swept = sp.run(sweep({"T": [3], "lr": [1e38, 0.1]}), out=tmp_path, progress=never).dataset
    assert swept.verdict.values.tolist() == [[NON_FINITE, FINISHED]]
    assert "retry_lr" not in swept
    np.testing.assert_array_equal(swept.w.sel(lr=0.1), retried.dataset.w)
    grown = sp.run(sweep({"T": [3, 12], "lr": [0.1]}), out=tmp_path)
    assert grown.dataset.run.values.tolist() == [[1], [2]]
    again = sp.run(blown, out=tmp_path, progress=never)
    same(again.dataset, retried.dataset)
    # A cell that was never trained is trained before a retry stands in its place.
    seen = []
    wider = sp.run(sweep({"T": [3, 12]}, lr=1e38), out=tmp_path, progress=seen.append)
    assert {now.cells for now in seen} == {1}
    assert wider.dataset.retry_lr.values.tolist() == [0.1, 0.1]


@pytest.mark.unoptimized
def test_a_retry_needs_a_result(tmp_path):
    with pytest.raises(sp.UserError, match="no result whose failed cells could be retried"):
        sp.run(SMALL, out=tmp_path / "typo", retry={"lr": 0.1})
    assert not (tmp_path / "typo").exists()


def test_a_retry_is_checked_as_a_sweep_is(tmp_path):
    options = {"n": 20, "test_samples": 5}
    blown = sp.Sweep(axes={"T": [3]}, cell={"lr": 3e38, "S": 0.9, "steps": 3}, options=options)
    sp.run(blown, out=tmp_path)
    with pytest.raises(sp.UserError, match="is 1 in float32"):
        sp.run(blown, out=tmp_path, retry={"lr": 0.1, "S": 0.99999999})
    assert sp.load(tmp_path).count(FINISHED) == 0


def test_only_new_cells_are_trained(grown):
    _, seen = grown
    assert {now.cells for now in seen} == {
        3 * 2 * 2 - 2
    }  # width = 24 and lr = 0.1 are the defaults


def test_a_grown_plane_is_the_plane_trained_at_once(grown, large, small):
    folder, _ = grown
    dataset = sp.load(folder).dataset
    same(dataset, large)
    old = dataset.sel(T=[3, 40], lr=0.1, width=24, drop=True)
    np.testing.assert_array_equal(old.run, 0)
    np.testing.assert_array_equal(dataset.run.sel(T=12), 1)
    same(old, small)


def test_removed_values_are_hidden_and_come_back(grown, small, large):
    folder, _ = grown

    same(sp.run(SMALL, out=folder, progress=never).dataset, small)
    same(sp.load(folder).dataset, small)
    assert sp.load(folder).sweep == SMALL
    other = sweep({"width": [20, 24]}, T=12, lr=0.05)
    same(sp.run(other, out=folder, progress=never).dataset, large.sel(T=12, lr=0.05, drop=True))
    same(sp.run(LARGE, out=folder, progress=never).dataset, large)


def interrupt(now):
    """As Ctrl-C does, in the middle of training."""
    if now.doing.startswith("training") and now.step >= 200:
        signal.raise_signal(signal.SIGINT)


LONG = sweep({"T": [3, 40]}, steps=900)


@pytest.fixture(scope="module")
def long():
    return sp.run(LONG).dataset


def first_step(new, folder, **arguments):
    """Train to the end; the first step that was told of."""
    seen = []
    sp.run(new, out=folder, progress=seen.append, **arguments)
    return next(now.step for now in seen if now.doing.startswith("training"))


def test_an_unfinished_plane_grows(tmp_path):
    """What has a checkpoint goes on from there, the rest starts; all end with the same bits."""
    with pytest.raises(Interrupted):
        sp.run(LONG, out=tmp_path, progress=interrupt)
    larger = sweep({"T": [3, 12, 40]}, steps=900)
    assert first_step(larger, tmp_path) > 200
    same(sp.load(tmp_path).dataset, sp.run(larger).dataset)
    assert not (tmp_path / CHECKPOINT).exists()


def test_an_unfinished_plane_shrinks_and_grows_again(tmp_path, long):
    with pytest.raises(Interrupted):
        sp.run(LONG, out=tmp_path, progress=interrupt)
    assert first_step(sweep({"T": [40]}, steps=900), tmp_path) > 200
    assert first_step(LONG, tmp_path) > 200  # the hidden cell was not forgotten
    same(sp.load(tmp_path).dataset, long)
    assert not (tmp_path / CHECKPOINT).exists()


def test_work_on_other_cells_does_not_lose_a_checkpoint(tmp_path, long):
    """Neither another sweep's interruption further back, nor a retry in between."""
    with pytest.raises(Interrupted):
        sp.run(sweep({"T": [3]}, steps=900), out=tmp_path, progress=interrupt)
    with pytest.raises(Interrupted):
        sp.run(
            sweep({"T": [40]}, steps=900), out=tmp_path,
            progress=lambda now: now.step and signal.raise_signal(signal.SIGTERM),
        )  # fmt: skip
    sp.run(sweep({"T": [40]}, steps=900), out=tmp_path, retry={})
    assert first_step(LONG, tmp_path) > 200
    same(sp.load(tmp_path).dataset, long)


def test_asked_to_stop_while_compiling(tmp_path, long):
    with pytest.raises(Interrupted, match="at step 0 of 900"):
        sp.run(LONG, out=tmp_path, progress=lambda _: signal.raise_signal(signal.SIGTERM))
    same(sp.run(LONG, out=tmp_path).dataset, long)


def test_bytes_do_not_depend_on_a_dead_neighbour(tmp_path):
    """Whatever cell comes first, numbers keep their type."""
    alive = sp.run(sweep({"T": [3]}, lr=0.1), out=tmp_path).dataset
    grown = sp.run(sweep({"lr": [3e38, 0.1]}, T=3), out=tmp_path).dataset.sel(lr=0.1)
    for name in ("test_loss", "w_norm", "history_train_loss"):
        assert grown[name].values.tobytes() == alive[name].values.tobytes()


def test_every_changed_static_field_is_named(grown):
    folder, _ = grown
    before = sp.load(folder).dataset
    changed = sp.Sweep(
        study="ridge:Ridge",
        axes={"T": [3]},
        cell={"noise": 0.3, "steps": 5, "ridge": 0.0},
        options={"rows": 4, "test_samples": 20},
    )
    with pytest.raises(sp.UserError) as refused:
        sp.run(changed, out=folder)
    said = str(refused.value)
    assert "options.rows = 8, not 4" in said
    assert "cell.noise = 0.2, not 0.3" in said
    assert "cell.ridge = 0.1, not 0.0" in said
    assert "cell.T" not in said
    assert "cell.lr" not in said
    assert "test_samples" not in said
    xr.testing.assert_identical(sp.load(folder).dataset, before)


def test_a_study_of_the_same_name_is_another_one(grown, monkeypatch):
    module = ModuleType("elsewhere")
    module.Ridge = type("Ridge", (Ridge,), {"__module__": "elsewhere"})
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    other = LARGE.model_copy(update={"study": "elsewhere:Ridge"})
    with pytest.raises(sp.UserError, match="study = ridge:Ridge, not elsewhere:Ridge"):
        sp.run(other, out=grown[0])


@pytest.fixture
def wounded(tmp_path):
    """A folder with a cell that died and one that did not."""
    sp.run(sweep({"T": [3], "lr": [0.1, 3e38]}), out=tmp_path)
    return tmp_path


def test_dead_cells_are_trained_again_with_other_values(wounded):
    before = sp.load(wounded).dataset
    assert before.verdict.values.tolist() == [[0, 1]]
    stored = sp.load(wounded).sweep
    result = sp.run(stored, out=wounded, retry={"ridge": 0, "steps": 4})
    assert result.dataset.verdict.values.tolist() == [[0, 1]]  # its lr still kills it
    with pytest.raises(sp.UserError, match="--set lr: an axis"):
        sp.run(stored, out=wounded, retry={"lr": 0.1})
    with pytest.raises(sp.UserError, match="--set stps: unknown"):
        sp.run(stored, out=wounded, retry={"stps": 3})
    with pytest.raises(sp.UserError, match="--set ridge = -1"):
        sp.run(stored, out=wounded, retry={"ridge": -1})
    whole = before.isel(lr=0)
    same(sp.load(wounded).dataset.isel(lr=0)[list(whole)], whole)


def test_a_retried_cell_knows_what_it_was_trained_with(tmp_path):
    dying = sweep({"T": [3, 5]}, lr=3e38)
    assert len(sp.run(dying, out=tmp_path).dead()) == 2
    sp.run(dying, out=tmp_path, retry={"lr": 0.05})
    result = sp.load(tmp_path)
    assert result.dead() == []
    assert result.dataset.run.values.tolist() == [1, 1]
    assert result.trained_cell(T=3).lr == 0.05
    assert result.sweep == dying
    alone = sp.run(sweep({"T": [3, 5]}, lr=0.05)).dataset
    for name in ("w", "test_loss", "train_loss"):
        np.testing.assert_array_equal(result.dataset[name], alone[name])
    same(sp.run(dying, out=tmp_path).dataset, result.dataset)  # nothing is left to do


def test_a_cell_that_diverges_says_so_and_counts():
    result = sp.run(sweep({"T": [30], "lr": [0.1, 2.0]}))
    assert result.dataset.verdict.values.tolist() == [[FINISHED, DIVERGED]]
    (row,) = result.diverged()
    why = "train loss above 2 times its start"
    assert row == {"T": 30, "lr": 2.0, "verdict": VERDICTS[DIVERGED], "step": "", "why": why}
    assert np.isfinite(result.dataset.test_loss).all()
    assert result.dead() == []
