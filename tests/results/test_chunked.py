"""A result of chunked arrays, as dask reads them from a store, does all that a loaded one does.

Its arrays are read when they are needed, and again whenever they are.
"""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import superpos_jax as sp
from superpos_jax.cli.terminal import print_result
from superpos_jax.results import archive, export
from superpos_jax.results.result import Result

pytest.importorskip("dask")
pytestmark = pytest.mark.unoptimized


@pytest.fixture(scope="module")
def loaded(two):
    return two.result


@pytest.fixture(scope="module")
def chunked(loaded):
    chunked = Result(loaded.dataset.chunk())
    assert chunked.dataset["train_loss"].chunks
    return chunked


def shown(result, capsys):
    print_result(result)
    return capsys.readouterr().out


def test_it_is_shown_alike(loaded, chunked, capsys):
    assert shown(chunked, capsys) == shown(loaded, capsys)
    assert repr(chunked) == repr(loaded)


def test_its_table_and_its_exports_are_the_same(loaded, chunked, tmp_path):
    assert chunked.to_dataframe().equals(loaded.to_dataframe())
    for form in "csv", "netcdf":
        written = [
            export.write(each.dataset, each.axes, tmp_path / name, form).read_bytes()
            for name, each in (("chunked", chunked), ("loaded", loaded))
        ]
        assert written[0] == written[1]


def test_its_cells_are_the_same(loaded, chunked):
    point = {"T": 5, "lr": 1e-2}
    for name in "W", "X", "H", "D_f":
        own = [getattr(result.cell(**point), name) for result in (chunked, loaded)]
        np.testing.assert_array_equal(*own)
    assert chunked.dead() == loaded.dead()
    assert chunked.trained_cell(**point) == loaded.trained_cell(**point)
    best = [result.best("lr").dataset["train_loss"].values for result in (chunked, loaded)]
    np.testing.assert_array_equal(*best)


def test_its_figures_are_of_the_same_numbers(loaded, chunked):
    for name in "curves", "history":
        table = getattr(sp.plots, f"{name}_table")
        assert table(chunked).equals(table(loaded))
        assert isinstance(getattr(sp.plots, name)(chunked), Figure)


def test_it_is_stored_and_archived_alike(loaded, chunked, tmp_path):
    chunked.save(tmp_path / "saved")
    xr.testing.assert_equal(sp.load(tmp_path / "saved").dataset, loaded.dataset)
    archives = [
        archive.write(result, Path(tmp_path / f"{i}.zip"))
        for i, result in enumerate((chunked, loaded))
    ]
    xr.testing.assert_equal(*(sp.load(path).dataset for path in archives))
