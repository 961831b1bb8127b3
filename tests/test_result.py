"""Labels, verdicts and storage of results."""

import json

import numpy as np
import pytest
import xarray as xr

import superpos_jax as sp
from superpos_jax.records import _value
from superpos_jax.result import Result
from superpos_jax.study import Variable


@pytest.fixture(scope="module")
def result():
    """Two cells, one of which blows up in its very last update."""
    sweep = sp.Sweep(
        axes={"T": [5], "lr": [1e-2, 1e30]},
        cell={"m": 2, "S": 0.9, "steps": 2},
        options={"n": 40, "test_samples": 20},
        name="two",
    )
    return sp.run(sweep)


def test_a_cell_that_blows_up_in_its_last_update_is_dead(result):
    assert result.dataset.verdict.values.tolist() == [[0, 1]]
    assert result.dead() == [{"T": 5, "lr": 1e30, "verdict": "non-finite", "step": 2}]
    assert np.isfinite(result.dataset.W).all()


def test_attributes_say_how_it_was_made(result):
    attrs = result.dataset.attrs
    assert json.loads(attrs["cell"])["steps"] == 2
    assert json.loads(attrs["options"])["n"] == 40
    assert json.loads(attrs["provenance"])["versions"]["jax"]
    assert "zero predictor" in attrs["conventions"]
    assert result.sweep.grid().axes == {"T": (5,), "lr": (1e-2, 1e30)}


def test_load_reads_what_save_wrote(result, tmp_path):
    result.save(tmp_path)
    xr.testing.assert_identical(sp.load(tmp_path).dataset, result.dataset)
    assert [path.name for path in tmp_path.iterdir()] == ["result.zarr"]


def test_a_failed_save_leaves_the_old_store(result, tmp_path, monkeypatch):
    result.save(tmp_path)

    def full(*_, **__):
        (tmp_path / ".result.zarr.new").mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_zarr", full)
    with pytest.raises(OSError, match="No space"):
        Result(result.dataset.assign(T=[6])).save(tmp_path)
    assert sp.load(tmp_path).dataset["T"].item() == 5


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ({"T": 5}, "one value for each of T, lr"),
        ({"T": 5, "lr": 1e-2, "m": 2}, "one value for each of T, lr"),
        ({"T": 6, "lr": 1e-2}, "T=6 was not swept"),
    ],
)
def test_cell_wants_swept_values(result, point, said):
    with pytest.raises(sp.UserError, match=said):
        result.cell(**point)


def test_a_value_of_another_type_names_the_same_cell(result):
    same = result.trained_cell(T=5.0, lr=1e-2)
    assert same == result.trained_cell(T=5, lr=1e-2)
    assert isinstance(same.T, int)  # data are drawn by it


def test_cell_without_stored_weights_says_so():
    sweep = sp.Sweep(
        axes={"T": [3]},
        cell={"steps": 1},
        options={"n": 20, "test_samples": 5, "save_weights": False},
    )
    result = sp.run(sweep)
    assert "W" not in result.dataset
    cell = result.cell(T=3)
    with pytest.raises(sp.UserError, match="save_weights"):
        _ = cell.W
    with pytest.raises(sp.UserError, match="save_weights"):
        _ = cell.H
    assert cell.X.shape == (3, 20)
    assert cell.W0.shape == (2, 20)


def test_a_value_may_have_a_name():
    axes = {"reduction": ["mean", "sum"], "T": np.array([3]), "m": [np.int64(2)]}
    result = sp.run(sp.Sweep(axes=axes, cell={"steps": 1}, options={"n": 20}))
    assert result.trained_cell(reduction="sum", T=3, m=2).reduction == 0.0
    assert result.trained_cell(reduction="mean", T=3, m=2).reduction == 1.0
    with pytest.raises(sp.UserError, match="'median' was not swept"):
        result.cell(reduction="median", T=3, m=2)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.uint64, np.int16, np.float32])
def test_every_kind_of_number_can_be_blank(dtype):
    values = np.ones(3, dtype)
    kept = _value(Variable(("x",), values, {}), dead=False).values
    np.testing.assert_array_equal(kept, [1, 1, 1])
    blank = _value(Variable(("x",), values, {}), dead=True).values
    assert ((blank < 0) | np.isnan(blank)).all()
    of_dead = Variable(("x",), values, {}, of_dead=True)
    np.testing.assert_array_equal(_value(of_dead, True).values, values)
