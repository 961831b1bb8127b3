"""Labels, verdicts and storage of results."""

import json

import numpy as np
import pytest
import xarray as xr

import superpos_jax as sp
from superpos_jax.results.result import Result

pytestmark = pytest.mark.unoptimized


@pytest.fixture
def result(two):
    return two.result


def test_a_cell_that_blows_up_in_its_last_update_is_dead(result):
    assert result.dataset.verdict.values.tolist() == [[0, 1]]
    assert result.dead() == [{"T": 5, "lr": 1e30, "verdict": "non-finite", "step": 2}]
    assert np.isfinite(result.dataset.W).all()


def test_the_callback_of_a_run_sees_the_losses_of_each_cell(two):
    with_losses = [now for now in two.told if now.losses]
    assert [now.step for now in with_losses] == [1, 2]
    last = with_losses[-1]
    alive = [cell.lr for cell in last.trained].index(1e-2)
    assert last.losses["test_loss"][alive] == two.result.dataset.test_loss[0, 0]
    assert last.losses["train_loss"].shape == (2,)


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
        result.save(tmp_path)
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
    assert result.trained_cell(T=np.int64(5), lr=np.float32(1e-2)) == same


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


@pytest.mark.parametrize("lost", [{"b"}, {"V"}, {"W"}, {"b", "V"}])
def test_a_cell_of_which_a_part_was_stored_says_so(lost):
    """As an archive has it: an array is not there, or lacks most of its numbers."""
    sweep = sp.Sweep(cell={"T": 3, "steps": 1, "untied": 1}, options={"n": 20, "test_samples": 5})
    dataset = sp.run(sweep).dataset
    thinned = dataset.assign({name: dataset[name].where(dataset[name] > 1) for name in lost})
    for one in (dataset.drop_vars(lost), thinned):
        cell = Result(one).cell()
        with pytest.raises(sp.UserError, match="weights were not stored"):
            _ = cell.V
        assert cell.V0.shape == (2, 20)
    assert Result(dataset).cell().V.shape == (2, 20)
    with pytest.raises(sp.UserError, match="T was not swept; give nothing: it is one cell"):
        Result(dataset).cell(T=3)


@pytest.mark.parametrize("by", ["history_train_loss", "W", "tset_loss"])
def test_the_best_is_told_by_one_number_per_cell(result, by):
    with pytest.raises(sp.UserError, match=f"by='{by}': it is not a single.*allowed: .*test_loss"):
        result.best("T", by=by)


def test_cells_are_counted_by_a_word_or_a_number(result):
    assert [result.count(end) for end in ("finished", "non-finite", "diverged", 0)] == [1, 1, 0, 1]
    for wrong in ("finshed", 99):
        with pytest.raises(sp.UserError, match=f"count: {wrong!r}: allowed: finished, non-finite"):
            result.count(wrong)


def test_a_slice_that_lost_an_axis_is_not_stored(result, tmp_path):
    some = result.dataset.isel(T=0)
    with pytest.raises(
        sp.UserError, match="not stored: T is not a dimension; allowed: some of its"
    ):
        Result(some, result.grid).save(tmp_path)


def test_wrong_types_in_python_get_one_line():
    with pytest.raises(sp.UserError, match="allowed: a list"):
        sp.Sweep(axes={"T": np.array(5)})
    with pytest.raises(sp.UserError, match="allowed: a Sweep, a sweep file or a shipped name"):
        sp.run({"T": 5})
    with pytest.raises(sp.UserError, match="give it as out"):
        sp.run(sp.Sweep(cell={"T": 3}), retry={"lr": 1e-4})


def test_a_value_may_have_a_name():
    axes = {"reduction": ["mean", "sum"], "T": np.array([3]), "m": [np.int64(2)]}
    result = sp.run(sp.Sweep(axes=axes, cell={"steps": 1}, options={"n": 20}))
    assert result.trained_cell(reduction="sum", T=3, m=2).reduction == 0.0
    assert result.trained_cell(reduction="mean", T=3, m=2).reduction == 1.0
    with pytest.raises(sp.UserError, match="'median' was not swept"):
        result.cell(reduction="median", T=3, m=2)
