"""The store on disk: tables of cells, stores of version 0.1, other tools."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import superpos_jax as sp
from superpos_jax.engine.verdicts import FINISHED, NON_FINITE
from superpos_jax.results.store import read_table

pytestmark = pytest.mark.unoptimized

VERSION_0_1 = Path(__file__).with_name("version_0_1.zip")
"""Two result folders. `plain` has two T. `retried` has three, of which two were retried and one of
these is hidden; the third is dead."""


@pytest.fixture
def old(tmp_path):
    """The result folders that version 0.1 wrote."""
    with zipfile.ZipFile(VERSION_0_1) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def as_stored(folder):
    """What is on the disk, as xarray reads it."""
    return xr.open_zarr(folder / "result.zarr", consolidated=False, chunks=None).load()


def test_a_result_of_version_0_1_shows_what_it_holds(old, superpos):
    stored, dataset = as_stored(old / "plain"), sp.load(old / "plain").dataset
    assert stored.attrs["format"] == 2
    xr.testing.assert_identical(dataset.drop_attrs(deep=False), stored.drop_attrs(deep=False))
    code, out, err = superpos("show", old / "plain")
    assert (code, err) == (0, "")
    assert "test loss of plain" in out


def test_a_folder_of_results_names_them(old, superpos):
    (old / "notes").mkdir()
    code, _, err = superpos("show", old)
    assert (code, err.count("\n")) == (2, 1)
    assert err.endswith("a folder that holds result.zarr; in it: plain, retried\n")


def test_a_result_of_version_0_1_is_drawn(old, superpos):
    assert superpos("plot", old / "plain", "t_sweep")[0] == 0
    assert (old / "plain/figures/t_sweep.png").exists()


def test_a_result_of_version_0_1_grows(old, superpos):
    before = as_stored(old / "plain")
    sweep = sp.load(old / "plain").sweep
    (old / "grown.toml").write_text(sweep.to_toml())
    code, out, err = superpos(
        "run", old / "grown.toml", "--set", "T=[5, 10, 20]", "--out", old / "plain"
    )
    assert code == 0, err
    assert "holds 2 of 3 cells; training the others" in out
    grown = sp.load(old / "plain").dataset
    assert grown["run"].values.tolist() == [0, 0, 1]
    for name, array in before.data_vars.items():
        new = grown[name].sel(T=[5, 10])[tuple(map(slice, array.shape))]  # padded for 20 samples
        np.testing.assert_array_equal(new, array)
    assert as_stored(old / "plain").attrs["format"] == 3
    assert as_stored(old / "plain").sizes["cell"] == 3


def test_retries_of_version_0_1_keep_their_values(old):
    stored, result = as_stored(old / "retried"), sp.load(old / "retried")
    assert stored["T"].values.tolist() == [5, 15, 10]  # one is hidden
    expected = stored.sel(T=[5, 15]).drop_attrs(deep=False)
    xr.testing.assert_identical(result.dataset.drop_attrs(deep=False), expected)
    assert result.trained_cell(T=5).lr == 1e-2
    assert result.trained_cell(T=5).steps == 10
    whole = result.sweep.model_copy(update={"axes": {"T": (5, 10, 15)}})

    def never(now):
        raise AssertionError(f"trained something: {now}")

    shown = sp.run(whole, out=old / "retried", progress=never).dataset
    assert shown["verdict"].values.tolist() == [FINISHED, FINISHED, NON_FINITE]
    np.testing.assert_array_equal(shown["retry_lr"], [1e-2, 1e-2, np.nan])
    np.testing.assert_array_equal(shown["W"].sel(T=10), stored["W"].sel(T=10))
    again = sp.run(whole, out=old / "retried", retry={"lr": 1e-2, "steps": 10})
    assert again.count(FINISHED) == 3
    assert (
        again.dataset["run"].sel(T=[5, 10]).values.tolist()
        == stored["run"].sel(T=[5, 10]).values.tolist()
    )


def test_a_loaded_result_can_be_exported_for_tools_that_read_zarr_2(old, tmp_path):
    dataset = sp.load(old / "plain").dataset
    dataset.to_zarr(tmp_path / "two", zarr_format=2, consolidated=False)
    copy = xr.open_zarr(tmp_path / "two", consolidated=False, chunks=None)
    xr.testing.assert_equal(copy, dataset)
    sp.Result(dataset).save(tmp_path)
    sp.load(tmp_path).dataset.to_zarr(tmp_path / "again", zarr_format=2, consolidated=False)


def test_a_result_replaces_no_cells_that_it_does_not_show(old, tmp_path):
    whole = sp.load(old / "plain")
    whole.save(tmp_path)
    first = whole.dataset["T"].values[:1]
    part = sp.Sweep(**json.loads(whole.dataset.attrs["sweep"]) | {"axes": {"T": first}})
    with pytest.raises(sp.UserError, match=r"it holds \d+ cells? that this result does"):
        sp.Result(whole.dataset.sel(T=first), part.grid()).save(tmp_path)
    xr.testing.assert_identical(sp.load(tmp_path).dataset, whole.dataset)
    whole.save(tmp_path)


def test_every_file_of_a_store_is_on_the_disk_before_it_replaces_the_old_one(
    old, tmp_path, monkeypatch
):
    synced, sync = set(), os.fsync
    names = {}

    def fsync(descriptor):
        synced.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    rename = Path.rename

    def watched(self, target):
        if self.name == ".result.zarr.new":
            names[self] = {str(path) for path in self.rglob("*")}
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    sp.load(old / "plain").save(tmp_path)
    (written,) = names.values()
    assert len(written) > 50
    assert written <= synced


def test_a_number_that_no_cell_has_is_read_back(old, tmp_path):
    result = sp.load(old / "plain")
    values = np.full(result.dataset["test_loss"].shape, np.nan, np.float32)
    result.dataset["test_loss"] = result.dataset["test_loss"].copy(data=-values)  # as 0/0 gives it
    assert np.signbit(result.dataset["test_loss"]).all()
    result.save(tmp_path)
    assert np.isnan(sp.load(tmp_path).dataset["test_loss"]).all()


def test_variables_come_in_the_order_in_which_they_were_measured(tmp_path):
    sweep = sp.Sweep(axes={"T": [3, 5]}, cell={"steps": 2, "S": 0.9}, options={"n": 50})
    result = sp.run(sweep, out=tmp_path)
    measured = list(result.dataset.data_vars)
    assert measured[:3] == ["verdict", "died_at", "run"]
    assert [list(sp.load(tmp_path).dataset.data_vars) for _ in range(3)] == [measured] * 3


def test_a_damaged_file_is_told_by_its_array(old, tmp_path):
    sp.load(old / "plain").save(tmp_path)
    chunk = tmp_path / "result.zarr/W/c/0/0/0"
    whole = chunk.read_bytes()
    for damaged, said in (
        (whole[:15], "W/c/0/0/0: not whole"),
        (whole[:2] + b"\x01" + whole[3:16] + b"\xff" * (len(whole) - 16), "damaged: W: "),
    ):
        chunk.write_bytes(damaged)
        with pytest.raises(sp.UserError, match=rf"not a readable result \({said}"):
            sp.load(tmp_path)


def test_a_number_that_the_study_has_got_since_has_its_default(old, tmp_path):
    sp.load(old / "plain").save(tmp_path)
    stored = as_stored(tmp_path)
    assert "relu" in stored.coords
    metadata = tmp_path / "result.zarr/zarr.json"
    text = json.loads(metadata.read_text())
    text["attributes"]["crc32"] = json.dumps(
        {n: v for n, v in json.loads(text["attributes"]["crc32"]).items() if n != "relu"}
    )
    text["attributes"].pop("coordinates", None)
    metadata.write_text(json.dumps(text))
    shutil.rmtree(tmp_path / "result.zarr/relu")
    assert read_table(tmp_path)["relu"].values.tolist() == [0, 0]


def test_a_store_opens_in_xarray_without_a_warning(old, tmp_path):
    """Of which pytest makes an error."""
    sp.load(old / "plain").save(tmp_path)
    with xr.open_zarr(tmp_path / "result.zarr", chunks=None) as dataset:
        xr.testing.assert_identical(dataset.load(), as_stored(tmp_path))


def test_a_loaded_result_can_be_written_as_netcdf(old, tmp_path):
    dataset = sp.load(old / "plain").dataset
    dataset.to_netcdf(tmp_path / "result.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "result.nc", engine="scipy") as copy:
        xr.testing.assert_equal(copy.load(), dataset)


def test_a_file_that_a_reader_holds_on_nfs_stops_no_write(old, tmp_path, monkeypatch):
    result = sp.load(old / "plain")
    place = tmp_path / "out"
    result.save(place)
    remove = shutil.rmtree

    def rmtree(path, ignore_errors=False):
        if not [*path.rglob(".nfs*")]:  # else it and the folders above it stay
            remove(path, ignore_errors)

    with monkeypatch.context() as held:
        held.setattr(shutil, "rmtree", rmtree)
        for name in (".result.zarr.old", ".result.zarr.new"):
            (place / name / "W").mkdir(parents=True)
            (place / name / "W" / ".nfs1").touch()
        result.save(place)
        xr.testing.assert_identical(sp.load(place).dataset, result.dataset)
    assert len(list(place.glob("*"))) > 1
    result.save(place)
    assert [path.name for path in place.iterdir()] == ["result.zarr"]
