"""Tables of a result for other programs, and what a result and a cell say of themselves."""

from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import superpos_jax as sp
from superpos_jax.results import export

pytestmark = pytest.mark.unoptimized


@pytest.fixture
def folder(two):
    return two.folder


@pytest.fixture
def result(two):
    return two.result


def test_a_table_has_one_row_per_cell_and_words_for_codes(result):
    table = result.to_dataframe()
    assert table["lr"].tolist() == [1e-2, 1e30]
    assert table["verdict"].tolist() == ["finished", "non-finite"]
    assert {"T", "train_loss", "died_at"} <= {*table}
    assert not {"W", "history_train_loss", "step", "m"} & {*table}
    assert table["regime"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("values", "words"), [([0.0, 1.0], ["sum", "mean"]), ([0.0, 0.5], [0.0, 0.5])]
)
def test_an_axis_is_given_by_name_where_all_of_its_values_have_one(result, values, words):
    dataset = xr.Dataset({"loss": ("reduction", [1.0, 2.0])}, {"reduction": values})
    dataset.attrs["study"] = result.dataset.attrs["study"]
    assert export.frame(dataset, ("reduction",))["reduction"].tolist() == words


def test_words_without_values_are_those_of_0_1_and_so_on(result):
    said = {"flag_meanings": "flat ring"}
    dataset = result.dataset.assign(shape=result.dataset.verdict.astype(np.int8).assign_attrs(said))
    del dataset["shape"].attrs["flag_values"]
    assert export.frame(dataset, result.axes)["shape"].tolist() == ["flat", "ring"]


def test_export_writes_the_rows_of_a_slice(folder, result, superpos, tmp_path):
    path = tmp_path / "new" / "slice.csv"
    code, out, err = superpos("export", folder, "--at", "lr=1e-2", "--out", path)
    assert (code, out.strip()) == (0, str(path)), err
    table = pd.read_csv(path)
    assert table["lr"].tolist() == [1e-2]
    np.testing.assert_allclose(table["train_loss"], result.dataset.train_loss[0, :1], rtol=1e-6)
    assert [each.name for each in path.parent.iterdir()] == ["slice.csv"]


def test_export_to_netcdf_keeps_axes_and_histories(folder, result, superpos):
    code, out, err = superpos("export", folder, "--format", "netcdf")
    assert (code, out.strip()) == (0, str(folder / "cells.nc")), err
    with xr.open_dataset(folder / "cells.nc", engine="scipy") as stored:
        assert stored.history_train_loss.dims == ("T", "lr", "step")
        assert "W" not in stored
        np.testing.assert_array_equal(stored.train_loss, result.dataset.train_loss)
        assert stored.verdict.attrs["flag_meanings"].split()[1] == "non-finite"


def test_export_to_parquet_needs_pyarrow(folder, result, superpos, tmp_path):
    path = tmp_path / "cells.parquet"
    code, _, err = superpos("export", folder, "--out", path)
    if find_spec("pyarrow") is None:
        assert (code, err.count("\n")) == (2, 1)
        assert "pip install pyarrow" in err
    else:
        pd.testing.assert_frame_equal(pd.read_parquet(path), result.to_dataframe())


def test_an_archive_is_read_as_its_folder_is(folder, result, superpos, tmp_path):
    code, out, err = superpos("export", folder, "--out", tmp_path / "all.zip")
    assert (code, out.strip()) == (0, str(tmp_path / "all.zip")), err
    archived = sp.load(tmp_path / "all.zip").dataset
    xr.testing.assert_equal(archived, result.dataset)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "cells.xls"], "allowed: a name in .csv, .parquet, .nc"),
        (["--format", "xls"], "allowed: csv, parquet, netcdf"),
        (["--format", "zip", "--at", "lr=1e-2"], "--at: an archive is of the whole result"),
        (["--at", "m=2"], "no swept axis 'm'"),
        (["--at", "lr=7"], "lr = 7 is not in this result"),
    ],
)
def test_what_cannot_be_exported_is_named(folder, superpos, arguments, said):
    code, _, err = superpos("export", folder, *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert said in err


def test_a_result_and_a_cell_are_shown_in_a_few_lines(result):
    assert "axes     T: 5, lr: 0.01, 1e+30" in repr(result)
    assert "1 finished, 1 non-finite" in repr(result)
    assert repr(result).count("\n") < 8
    cell = result.cell(T=5, lr=1e-2)
    assert "T=5" in repr(cell)
    assert "D_f" in repr(cell)
    assert len(repr(cell)) < 200
    assert "Hidden vectors" in cell._repr_html_()


def test_the_package_lists_what_it_has():
    assert {"run", "load", "Sweep", "plots"} <= {*dir(sp)}
    assert not {"importlib", "annotations", "TYPE_CHECKING"} & {*dir(sp)}
    assert sp.__version__ == version("superpos_jax")


def test_an_export_that_fails_leaves_no_part_of_it(tmp_path):
    dataset = xr.Dataset({"loss": ("T", np.array([1.0, 2.0]), {"odd": object()})}, {"T": [3, 5]})
    with pytest.raises(TypeError):
        export.write(dataset, ("T",), tmp_path / "cells.nc", "netcdf")
    assert not list(tmp_path.iterdir())
