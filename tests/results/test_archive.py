"""A result in one small file, and the best of several trainings."""

import numpy as np
import pytest
import xarray as xr

import superpos_jax as sp
from superpos_jax.results import archive
from superpos_jax.results.view import noted

pytestmark = pytest.mark.unoptimized


@pytest.fixture(scope="module")
def result():
    """Of three initialisations of each T, one dies."""
    sweep = sp.Sweep(
        name="several",
        axes={"T": [3, 5], "init_seed": range(3), "lr": [1e-2, 1e30]},
        cell={"steps": 20, "S": 0.9},
        options={"n": 30, "test_samples": 20},
    )
    return sp.run(sweep)


def test_an_archive_holds_what_is_named_and_reads_as_a_folder(result, tmp_path, superpos):
    keep = {"W": 0, "feature_dimensionality": 0, "sample_dimensionality": 2}
    thin = archive.thin(result, keep, large=200)
    path = archive.write(thin, tmp_path / "deep" / "several.zip")
    xr.testing.assert_identical(sp.load(path).dataset, noted(thin.dataset, archived=True))
    kept = sp.load(path).dataset
    for name in ("test_loss", "history_train_loss", "verdict", "regime", "W_norm"):
        xr.testing.assert_identical(kept[name], result.dataset[name])
    assert "b" not in kept
    for name, count in keep.items():
        whole = result.dataset[name]
        first, of_first = kept[name].sel(init_seed=0), whole.sel(init_seed=0)
        xr.testing.assert_allclose(first, of_first, rtol=2**-17, atol=0)
        assert first.attrs == of_first.attrs
        assert (first.values != of_first.values).any()  # rounded
        others, all_of_them = (
            kept[name].sel(init_seed=1, lr=1e-2, T=5),
            whole.sel(init_seed=1, lr=1e-2, T=5),
        )
        ranked = np.sort(all_of_them.values.ravel())[::-1]
        np.testing.assert_allclose(
            np.sort(others.values[np.isfinite(others)])[::-1], ranked[:count], rtol=2**-17
        )
    code, out, _ = superpos("show", path)
    assert code == 0
    assert "several" in out
    assert not list(path.parent.glob(".*"))


def test_equal_results_are_equal_files(result, tmp_path):
    one = archive.write(result, tmp_path / "one.zip").read_bytes()
    assert one == archive.write(result, tmp_path / "two.zip").read_bytes()


def test_a_damaged_archive_says_so(result, tmp_path):
    path = archive.write(result, tmp_path / "several.zip")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(sp.UserError, match="not a readable result"):
        sp.load(path)
    with pytest.raises(sp.UserError, match=r"none.zip: no such archive"):
        sp.load(tmp_path / "none.zip")


def test_weights_that_were_thinned_out_are_not_inspected(result):
    thin = archive.thin(result, {"W": 0, "b": 0}, large=0)
    assert np.isfinite(thin.cell(T=3, init_seed=0, lr=1e-2).W).all()
    with pytest.raises(sp.UserError, match="weights were not stored"):
        _ = thin.cell(T=3, init_seed=1, lr=1e-2).W


def test_best_has_the_smallest_training_loss(result):
    best = result.best("init_seed")
    assert best.axes == ("T", "lr")
    assert best.dataset.attrs["best"].startswith("of 3 init seeds that of lowest train loss")
    losses = result.dataset.train_loss.sel(lr=1e-2)
    for T in (3, 5):
        chosen = int(losses.sel(T=T).argmin("init_seed"))
        assert best.dataset.init_seed.sel(T=T, lr=1e-2) == chosen
        assert best.dataset.train_loss.sel(T=T, lr=1e-2) == losses.sel(T=T).min()
        assert best.trained_cell(T=T, lr=1e-2).init_seed == chosen
        cell = best.cell(T=T, lr=1e-2)
        np.testing.assert_array_equal(cell.W, result.cell(T=T, lr=1e-2, init_seed=chosen).W)
        assert best.at(T=T, lr=1e-2).test_loss == best.dataset.test_loss.sel(T=T, lr=1e-2)


def test_a_dead_cell_is_best_only_among_dead_ones(result):
    best = result.best("lr").dataset
    assert (best.verdict == 0).all()
    assert (best.lr == 1e-2).all()
    assert (result.best("init_seed").dataset.verdict.sel(lr=1e30) == 1).all()


def test_the_best_is_not_stored(result, tmp_path):
    with pytest.raises(sp.UserError, match="save the result itself"):
        result.best("init_seed").save(tmp_path)


def test_an_archive_keeps_the_best_start(result):
    chosen = result.best("init_seed").dataset.init_seed
    W = archive.thin(result, {"W": 0}, best="init_seed", large=0).dataset.W.sel(lr=1e-2)
    for T in (3, 5):
        kept = np.isfinite(W.sel(T=T)).all(["hidden", "feature"])
        assert W.init_seed[kept].values.tolist() == [chosen.sel(T=T, lr=1e-2)]


def test_thinned_integers_are_missing_not_zero(result):
    numbered = xr.full_like(result.dataset.W, 7, np.int16)
    whole = sp.Result(result.dataset.assign(number=numbered))
    kept = archive.thin(whole, {"number": 0}, large=0).dataset.number
    assert (kept.sel(init_seed=1) == -1).all()
    assert (kept.sel(init_seed=0) == 7).all()


def test_best_wants_a_swept_axis(result):
    with pytest.raises(sp.UserError, match=r"best: m was not swept; allowed: T, init_seed, lr"):
        result.best("m")


def test_figures_of_the_best(result, tmp_path, superpos):
    result.save(tmp_path)
    target = tmp_path / "best.png"
    code, _, err = superpos("plot", tmp_path, "vectors", "--best", "init_seed", "--out", target)
    assert (code, err) == (0, "")
    assert target.exists()
    code, _, err = superpos("plot", tmp_path, "--best", "m")
    assert code == 2
    assert "best: m was not swept" in err
    code, _, err = superpos("plot", tmp_path, "vectors", "--best", "T")
    assert code == 2
    assert err.startswith(
        "superpos: figure vectors: T is neither an axis nor the same in all cells"
    )


def test_of_a_history_the_lines_stay_that_are_large_at_any_step():
    sweep = sp.Sweep(
        axes={"seed": range(2)},
        cell={"T": 3, "steps": 20, "S": 0.9},
        options={"n": 30, "test_samples": 20, "trace_dimensions": True},
    )
    result = sp.run(sweep)
    name = "history_feature_dimensionality"
    kept = archive.thin(result, {name: 4}, large=0).dataset[name]
    whole = result.dataset[name]
    for seed in (0, 1):
        large = np.sort(np.argsort(-whole.sel(seed=seed).max("step").values)[:4])
        rest = np.setdiff1d(np.arange(30), large)
        np.testing.assert_allclose(kept[seed, :, large], whole[seed, :, large], rtol=2**-17)
        assert kept[seed, :, rest].isnull().all()
