"""Stored weights measured on more draws: what training would have measured on them."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
import xarray as xr
from ridge import Regression, Ridge

import superpos_jax as sp
from superpos_jax.engine.study import Study, Variable
from superpos_jax.errors import UserError
from superpos_jax.results import archive, view
from superpos_jax.studies.double_descent.study import DoubleDescent
from superpos_jax.training.measure import AGAIN, _restored, measure

DRAWS = 3


def sweep(**options):
    """Two hidden sizes, T in one block and in several; one cell dies."""
    return sp.Sweep(
        arms={
            "small": {"T": 1, "m": 1},
            "large": {"T": 33, "m": 3},
            "dead": {"T": 33, "m": 3, "lr": 3e38},
        },
        axes={"seed": [0, 1]},
        cell={"S": 0.8, "steps": 20, "lr": 3e-3, "untied": 1},
        options={"n": 12, "test_samples": 40, **options},
    )


@pytest.fixture(scope="module")
def trained():
    return sp.run(sweep())


def test_each_of_several_processes_measures_all_on_its_own_devices(trained, monkeypatch):
    alone = measure(trained, {"test_draws": 3}, devices=1).dataset
    of_both = [SimpleNamespace(process_index=1), jax.devices()[0]]
    monkeypatch.setattr("superpos_jax.training.measure.find_devices", lambda devices: of_both)
    xr.testing.assert_equal(measure(trained, {"test_draws": 3}).dataset, alone)


@pytest.fixture
def folder(trained, tmp_path):
    trained.save(tmp_path / "trained")
    return tmp_path / "trained"


def test_it_is_what_training_measures(trained):
    """Bit for bit, of every quantity; only the provenance tells that it was done later."""
    at_once = sp.run(sweep(test_draws=DRAWS)).dataset
    later = measure(trained, {"test_draws": DRAWS}).dataset
    assert {*later.data_vars} == {*at_once.data_vars}
    assert np.isfinite(later.test_loss_error.sel(arm=["small", "large"])).all()
    for name in at_once.data_vars:
        assert later[name].dims == at_once[name].dims
        np.testing.assert_array_equal(later[name], at_once[name], err_msg=str(name))
    assert later.attrs["options"] == at_once.attrs["options"]
    assert (later.test_loss != trained.dataset.test_loss).sel(arm=["small", "large"]).all()


def test_the_command_writes_a_new_folder(folder, superpos, tmp_path):
    new = tmp_path / "new"
    code, out, _ = superpos("measure", folder, "--set", f"test_draws={DRAWS}", "--out", new)
    assert (code, f"result: {new}" in out.replace("\n", "")) == (0, True)
    written, before = sp.load(new), sp.load(folder)
    assert written.sweep.options["test_draws"] == DRAWS
    assert "test_loss_error" in written.dataset
    assert "test_loss_error" not in before.dataset
    assert AGAIN in (new / "provenance.json").read_text()
    assert sp.load_sweep(new / "sweep.toml") == written.sweep

    code, _, told = superpos("measure", folder, "--out", new)
    assert (code, "exists; allowed: a new folder" in told) == (2, True)


def test_a_folder_measured_from_an_archive_says_that_it_holds_a_part(trained, superpos, tmp_path):
    path, new = archive.write(trained, tmp_path / "trained.zip"), tmp_path / "new"
    code, _, err = superpos("measure", path, "--set", f"test_draws={DRAWS}", "--out", new)
    assert code == 0, err
    (run,) = view.provenance(sp.load(new).dataset)
    assert (run[view.ARCHIVED], AGAIN in run) == (True, True)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("draws=3", "--set draws: not an option; allowed: n, test_samples, test_draws"),
        ("test_draws=1", "every data set has one draw"),
        ("test_draws=many", "options.test_draws = 'many'"),
        ("n=11", "n: changes what the cells are trained on"),
        ("test_samples=41", "test_samples: changes what the cells are trained on, or measured on"),
        ("history_points=5", "history_points: changes nothing that is measured again"),
    ],
)
def test_a_wrong_option_is_named(folder, superpos, tmp_path, setting, told):
    code, _, words = superpos("measure", folder, "--set", setting, "--out", tmp_path / "new")
    assert code == 2
    assert told in words.replace("\n", " ")
    assert not (tmp_path / "new").exists()


@pytest.mark.unoptimized
def test_a_single_cell_is_measured_and_arrays_of_its_data_stay(trained, monkeypatch):
    numbers = DoubleDescent.given
    edges = {"edges": Variable(("edge",), np.arange(3.0), {})}
    monkeypatch.setattr(DoubleDescent, "given", lambda study, cell: numbers(study, cell) | edges)
    single = sp.Result(trained.dataset.sel(arm="small", seed=1))
    dataset = measure(single, {"test_draws": DRAWS}).dataset
    assert dataset.test_loss_error.shape == ()
    assert dataset.test_loss_error > 0


def test_a_study_that_gives_no_weights_back_is_told(trained, monkeypatch):
    monkeypatch.setattr(DoubleDescent, "restore", Study.restore)
    with pytest.raises(UserError, match="DoubleDescent does not say how stored arrays give"):
        measure(trained, {"test_draws": DRAWS})


def test_the_best_of_a_result_is_refused(trained):
    with pytest.raises(UserError, match="measure the result, then take its best"):
        measure(trained.best("seed"), {"test_draws": DRAWS})


def test_weights_that_are_not_there_or_others_are_refused(trained):
    thin = sp.Result(trained.dataset.drop_vars("V"))
    with pytest.raises(UserError, match=r"weights of Cell.* were not stored"):
        measure(thin, {"test_draws": DRAWS})
    other = sp.Result(trained.dataset.assign(b=trained.dataset["b"] + 0.1))
    with pytest.raises(UserError, match="have the train loss"):
        measure(other, {"test_draws": DRAWS})


def test_arrays_that_end_in_nan_are_not_called_missing(monkeypatch):
    """Of a study without `save_weights`; missing are arrays of nothing but NaN, padded or not."""
    cell, platform = Regression(width=2), "cpu"
    study = Ridge(Ridge.Options())

    def told(values):
        stored = xr.Dataset({"E": ("feature", np.array(values))})
        with pytest.raises(UserError) as refusal:
            _restored(study, cell, stored, platform)
        return str(refusal.value)

    monkeypatch.setattr(Ridge, "restore", lambda study, cell, shapes, arrays: {**arrays})
    cut = "study Ridge: restore: E is not finite: arrays of smaller cells end in NaN; cut them to"
    assert cut in told([1.0, 2.0, np.nan])
    for missing in ([np.nan, np.nan], [np.nan, 0.0]):
        assert "were not stored; measure the result folder where" in told(missing)
    monkeypatch.setattr(Ridge, "restore", lambda study, cell, shapes, arrays: None)
    assert "were not stored; measure the result folder where" in told([1.0])
