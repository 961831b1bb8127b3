"""The study digits: its training against plain numpy, its data, and what it reports."""

import sys

import numpy as np
import pytest

import superpos_jax as sp
from superpos_jax.engine.study import Options
from superpos_jax.studies.digits import data
from superpos_jax.studies.digits import study as digits
from superpos_jax.studies.digits.figures import FIGURES

pytestmark = pytest.mark.unoptimized

CELL = {"T": 150, "steps": 25, "lr": 3e-2, "weight_decay": 0.1}


@pytest.fixture(scope="module")
def result():
    return sp.run(sp.Sweep(study="digits", axes={"m": [9, 16], "seed": range(2)}, cell=CELL))


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def train(X, y, theta, steps, lr, weight_decay):
    """AdamW on the mean cross-entropy, cosine to 0, gradients by hand, float64."""
    theta = [np.array(leaf, np.float64) for leaf in theta]
    first, second = [0.0] * 4, [0.0] * 4
    target = np.eye(10)[y]
    for k in range(steps):
        W, c, U, d = theta
        hidden = np.maximum(X @ W.T + c, 0)
        error = (softmax(hidden @ U.T + d) - target) / len(X)
        back = (error @ U) * (hidden > 0)
        grads = back.T @ X, back.sum(axis=0), error.T @ hidden, error.sum(axis=0)
        rate = lr * (1 + np.cos(np.pi * k / steps)) / 2
        for i, grad in enumerate(grads):
            first[i] = 0.9 * first[i] + 0.1 * grad
            second[i] = 0.999 * second[i] + 0.001 * grad**2
            mean, square = first[i] / (1 - 0.9 ** (k + 1)), second[i] / (1 - 0.999 ** (k + 1))
            theta[i] = theta[i] - rate * (mean / (np.sqrt(square) + 1e-8) + weight_decay * theta[i])
    return theta


@pytest.mark.parametrize("m", [9, 16])
def test_training_is_what_numpy_gives(result, m):
    cell = digits.Numbers(m=m, seed=1, **CELL)
    study = digits.Digits(Options())
    initial = study.init(cell, study.shapes(cell, "cpu"))
    W, c, U, d = (np.asarray(leaf) for leaf in initial)
    assert np.abs(W[m:]).sum() == 0
    trained = result.cell(m=m, seed=1)
    expected = train(
        trained.X, trained.y, (W[:m], c[:m], U[:, :m], d), CELL["steps"], CELL["lr"], 0.1
    )
    for leaf, wanted in zip(trained.params, expected, strict=True):
        np.testing.assert_allclose(leaf, wanted, rtol=0, atol=1e-3)
    hidden = np.maximum(trained.X @ expected[0].T + expected[1], 0)
    p = softmax(hidden @ expected[2].T + expected[3])[np.arange(150), trained.y]
    at = result.dataset.sel(m=m, seed=1)
    np.testing.assert_allclose(at.train_loss, -np.log(p).mean(), rtol=1e-3)
    D = at.maximal_dimensionality.values
    brute = np.einsum("ia,ab,ib->i", hidden, np.linalg.pinv(hidden.T @ hidden), hidden)
    np.testing.assert_allclose(D, brute, atol=1e-3)


def test_training_and_test_images_are_different_ones(result):
    order = data.order(0)
    assert sorted(order) == list(range(data.IMAGES))
    number = result.dataset.image.sel(seed=0, m=9).values
    np.testing.assert_array_equal(number, order[:150])
    test = data.chosen(digits.Digits(Options()).datasets(digits.Numbers())["test"])
    assert len(set(test) & set(order[:1500])) == 0
    X, y = data.images()
    trained = result.cell(m=9, seed=0)
    np.testing.assert_array_equal(trained.X, X[number])
    np.testing.assert_array_equal(trained.y, y[number])


def test_it_learns(result):
    assert (result.dataset.test_accuracy.sel(m=16) > 0.7).all()  # a guess is right one time in ten
    assert (result.dataset.test_loss < np.log(10)).all()


def test_figure(result, tmp_path):
    spec = FIGURES["odd_samples"]
    assert spec.applies(result.dataset) is None
    table = spec.table(result)
    assert len(spec.draw(table).axes) == 21
    ranks = table[(table["part"] == "rank") & (table["m"] == 16)]
    D = result.dataset.maximal_dimensionality.sel(m=16).values * 150 / 16
    assert ranks["max"].iloc[0] == pytest.approx(D.max())
    odd = table[table["part"] == "odd"].iloc[0]
    assert odd["m"] == 9
    mine = result.dataset.sel(m=9)
    of_it = mine.maximal_dimensionality.values[mine.image.values == odd["image"]] * 150 / 9
    assert odd["share"] == pytest.approx(of_it.mean())
    assert odd["label"] == data.images()[1][int(odd["image"])]
    assert "needs maximal_dimensionality" in spec.applies(
        result.dataset.drop_vars("maximal_dimensionality")
    )
    died = sp.Result(result.dataset.copy(deep=True))
    died.dataset.maximal_dimensionality.loc[{"m": 9}] = np.nan
    assert set(spec.table(died)["m"]) == {16}
    assert len(spec.draw(spec.table(died)).axes) == 21
    died.dataset.maximal_dimensionality[:] = np.nan
    assert "needs a cell that is trained" in spec.applies(died.dataset)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    data.images.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(sp.UserError, match="pip install scikit-learn"):
        sp.run(sp.Sweep(study="digits", cell=CELL))
