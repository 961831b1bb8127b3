"""Measures of reconstruction against plain numpy."""

import numpy as np
import pytest

from superpos_jax.studies.bows import pca, reconstruction
from superpos_jax.studies.bows.reconstruction import Autoencoder
from superpos_jax.studies.bows.synthetic import TRAIN, Source, samples

RNG = np.random.default_rng(5)
X = (RNG.random((5000, 7)) < 0.3).astype(np.uint8)
MODEL = Autoencoder(RNG.normal(size=(3, 7)) / 2, RNG.normal(size=7) / 4, relu=True)


def plain(model: Autoencoder, X: np.ndarray) -> np.ndarray:
    Z = X @ model.W.T @ model.W + model.b
    return np.maximum(Z, 0) if model.relu else Z


@pytest.mark.parametrize("relu", [True, False])
def test_r2_and_mse(relu):
    model = MODEL._replace(relu=relu)
    Y = plain(model, X)
    wanted = 1 - ((X - Y) ** 2).sum(0) / ((X - X.mean(0)) ** 2).sum(0)
    np.testing.assert_allclose(reconstruction.r2(model, X), wanted, rtol=1e-5)
    assert reconstruction.mse(model, X) == pytest.approx(((X - Y) ** 2).mean(), rel=1e-5)


def test_a_feature_that_never_varies_has_no_r2():
    constant = X.copy()
    constant[:, 2], constant[:, 4] = 0, 1
    assert np.isnan(reconstruction.r2(MODEL, constant)[[2, 4]]).all()


def test_one_hot_r2_by_its_formula_and_of_a_dead_feature():
    model = MODEL._replace(b=MODEL.b.copy())
    model.b[1] = -100
    r2 = reconstruction.one_hot_r2(model)
    Y = plain(model, np.eye(7))
    np.testing.assert_allclose(r2, 1 - ((np.eye(7) - Y) ** 2).sum(0) / (1 - 1 / 7), rtol=1e-5)
    assert r2[1] == pytest.approx(1 - 1 / (1 - 1 / 7))


def test_the_linear_decoder_is_least_squares_with_an_intercept():
    W = RNG.normal(size=(4, 7))
    train, test = X[:4000], X[4000:]
    with_one = np.column_stack([train @ W.T, np.ones(len(train))])
    decoder, *_ = np.linalg.lstsq(with_one, train.astype(float), rcond=None)
    error = test - np.column_stack([test @ W.T, np.ones(len(test))]) @ decoder
    wanted = 1 - (error**2).sum(0) / ((test - test.mean(0)) ** 2).sum(0)
    decoded = reconstruction.linear_decoder_r2(W, train, test)
    np.testing.assert_allclose(decoded, wanted, atol=1e-4)


def test_a_linear_decoder_copes_with_copies_and_with_nothing():
    W = RNG.normal(size=(2, 7))
    twice = reconstruction.linear_decoder_r2(np.concatenate([W, W]), X, X)
    np.testing.assert_allclose(twice, reconstruction.linear_decoder_r2(W, X, X), atol=1e-4)
    np.testing.assert_allclose(
        reconstruction.linear_decoder_r2(np.zeros((2, 7)), X, X), 0, atol=1e-4
    )


def test_better_than_alone_counts_active_samples():
    Y, alone = plain(MODEL, X), np.diag(plain(MODEL, np.eye(7)))
    better = ((alone - 1) ** 2 > (Y - 1) ** 2) & (X > 0)
    wanted = better.sum(0) / X.sum(0)
    np.testing.assert_allclose(reconstruction.better_than_alone(MODEL, X), wanted)
    assert reconstruction.share_better(MODEL, X) == pytest.approx(better.sum() / X.sum())


def test_towers_add_up_to_the_preactivation():
    related, unrelated = [1, 3], [5]
    stacks = reconstruction.towers(MODEL, 0, related, unrelated)
    linear = MODEL._replace(relu=False)
    for stack, active in zip(stacks, ([0, 1, 3], [0, 5], [1, 3]), strict=True):
        x = np.zeros((1, 7))
        x[0, active] = 1
        assert stack.sum() == pytest.approx(plain(linear, x)[0, 0])


def test_preactivations_are_of_the_samples_that_hold_the_feature():
    z = reconstruction.preactivations(MODEL, X, 4)
    wanted = plain(MODEL._replace(relu=False), X[X[:, 4] == 1])[:, 4]
    np.testing.assert_allclose(z, wanted, rtol=1e-4, atol=1e-5)


def test_the_pca_solution_reaches_the_linear_optimum_on_its_own_samples():
    rows = samples(Source("circular", 5, -2, 0.1))[:TRAIN]
    mean, covariance = pca.moments(rows)
    eigenvalues, vectors = pca.components(covariance)
    for m in (1, 4, 12):
        W, b = pca.solution(mean, vectors, m)
        error = reconstruction.mse(Autoencoder(W, b, relu=False), rows)
        assert error == pytest.approx(eigenvalues[m:].sum() / 12, abs=1e-6)
        assert (W**2).sum() == pytest.approx(m)
