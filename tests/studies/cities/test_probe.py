"""The linear probe, and vectors with and without its plane."""

import numpy as np
import pytest

from superpos_jax.studies.cities import probe


@pytest.fixture
def vectors(rng):
    X = rng.normal(size=(60, 7)) + 2
    Y = X @ rng.normal(size=(7, 2)) + 0.1 * rng.normal(size=(60, 2)) + 5
    return X, Y


def test_ridge_minimises_its_objective(vectors):
    X, Y = vectors
    # The same as plain least squares with rows sqrt(alpha) that pull the weights to zero.
    alpha = 3.0
    rows = np.hstack([X, np.ones((60, 1))])
    pull = np.hstack([np.sqrt(alpha) * np.eye(7), np.zeros((7, 1))])
    wanted = np.linalg.lstsq(np.vstack([rows, pull]), np.vstack([Y, np.zeros((7, 2))]))[0]
    fitted = probe.ridge(X, Y, alpha)
    np.testing.assert_allclose(fitted.W, wanted[:7].T)
    np.testing.assert_allclose(fitted.c, wanted[7])
    np.testing.assert_allclose(fitted(X), rows @ wanted)


def test_r2_is_the_mean_over_outputs(vectors):
    X, Y = vectors
    predicted = probe.ridge(X, Y, 100.0)(X)
    each = [1 - np.var(Y[:, k] - predicted[:, k]) / np.var(Y[:, k]) for k in range(2)]
    # Residuals of a fit with an intercept have the mean 0.
    assert probe.r2(Y, predicted) == pytest.approx(np.mean(each))


def test_the_plane_holds_what_the_probe_reads(vectors):
    X, Y = vectors
    fitted = probe.ridge(X, Y)
    U = fitted.plane()
    np.testing.assert_allclose(U.T @ U, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(fitted.W @ U @ U.T, fitted.W)
    np.testing.assert_allclose(fitted(probe.removed(X, U)), np.tile(fitted.c, (60, 1)))
    centred = fitted(probe.kept(X, U)) - fitted(X)
    np.testing.assert_allclose(centred, 0, atol=1e-9)


def test_keeping_and_removing_are_complements(vectors):
    X, _ = vectors
    U = probe.random_plane(7, 3)
    rest = probe.removed(X, U)
    np.testing.assert_allclose(probe.kept(X, U) + rest, X + rest.mean(axis=0))
    np.testing.assert_allclose(rest @ U, 0, atol=1e-12)
    np.testing.assert_allclose(probe.removed(rest, U), rest)


def test_rescaled_vectors_have_their_old_norms(vectors):
    X, _ = vectors
    U = probe.random_plane(7, 3)
    scaled = probe.rescaled(X, U)
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), np.linalg.norm(X, axis=1))
    np.testing.assert_allclose(scaled @ U, 0, atol=1e-12)


def test_in_two_dimensions_nothing_is_left():
    X = np.random.default_rng(1).normal(size=(9, 2))
    np.testing.assert_array_equal(probe.rescaled(X, probe.random_plane(2, 0)), np.zeros((9, 2)))
