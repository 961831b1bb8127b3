"""Synthetic features against the exact values of their distributions."""

import numpy as np
import pytest

from superpos_jax.studies.bows import pca
from superpos_jax.studies.bows.synthetic import TRAIN, Source, exact, samples

CLI = Source("circular", 10, 0, 0)
FUN = Source("circular", 5, -2, 0.1)
SPARSE = Source("circular", 10, -5, 0)


@pytest.mark.parametrize(
    ("source", "activation", "correlations"),
    [
        (CLI, 0.5, [0.662, 0.333, 0, -0.333, -0.662, -0.824]),
        (FUN, 0.357, [0.541, 0.260, -0.053, -0.327, -0.490, -0.532]),
        (SPARSE, 0.330, [0.609, 0.246, -0.119, -0.393, -0.489, -0.492]),
    ],
)
def test_a_circle_has_the_correlations_of_its_numbers(source, activation, correlations):
    mean, covariance = exact(source)
    np.testing.assert_allclose(mean, activation, atol=6e-4)
    np.testing.assert_allclose(pca.correlation(covariance)[0, 1:7], correlations, atol=6e-4)


@pytest.mark.parametrize(
    ("source", "values"),
    [
        (CLI, [1.1959, 1.1959, 0.1229, 0.1229, 0.0494, 0.0494, *[0.0439] * 6]),
        (FUN, [0.8963] * 2 + [0.1590] * 2 + [0.0865] * 2 + [0.0820] * 2 + [0.0777]
         + [0.0764] * 2 + [0.0762]),
        (Source("figure8", 10, 0, 0), [1.0718, 0.7325, 0.25, 0.25, 0.1903]),
    ],
)  # fmt: skip
def test_eigenvalues_are_those_derived_on_paper(source, values):
    eigenvalues, _ = pca.components(exact(source).covariance)
    np.testing.assert_allclose(eigenvalues[: len(values)], values, atol=6e-5)


@pytest.mark.parametrize(
    ("source", "errors"),
    [
        (CLI, [0.2500, 0.1503, 0.0507, 0.0404, 0.0302, 0.0220, 0.0146, 0.0073, 0]),
        (FUN, [0.2295, 0.1548, 0.0801, 0.0669, 0.0536, 0.0392, 0.0256, 0.0127, 0]),
        (SPARSE, [0.2210, 0.1467, 0.0725, 0.0538, 0.0352, 0.0242, 0.0158, 0.0079, 0]),
    ],
)
def test_the_linear_optimum_is_the_sum_of_the_other_eigenvalues(source, errors):
    covariance = exact(source).covariance
    eigenvalues, _ = pca.components(covariance)
    optima = [eigenvalues[m:].sum() / 12 for m in (0, 1, 2, 3, 4, 6, 8, 10, 12)]
    np.testing.assert_allclose(optima, errors, atol=6e-5)


def test_a_sphere_has_three_large_directions():
    eigenvalues, _ = pca.components(exact(Source("sphere", 10, 0, 0)).covariance)
    np.testing.assert_allclose(eigenvalues[:3], 0.76, atol=0.03)
    assert 0.04 < eigenvalues[-1] < eigenvalues[3] < 0.125


@pytest.mark.parametrize("structure", ["circular", "figure8", "sphere", "iid"])
@pytest.mark.parametrize("noise", [0, 0.3])
def test_samples_follow_the_exact_distribution(structure, noise):
    source = Source(structure, 5, -1, noise)
    X = samples(source)
    mean, covariance = exact(source)
    counted_mean, counted = pca.moments(X)
    # Four standard errors of a mean and of a product of two binary features.
    np.testing.assert_allclose(counted_mean, mean, atol=4 * 0.5 / 100)
    np.testing.assert_allclose(counted, covariance, atol=4 * 0.25 / 100)
    assert X.dtype == np.uint8
    assert set(np.unique(X)) == {0, 1}


def test_features_0_and_6_of_a_figure_eight_are_fair_coins():
    covariance = exact(Source("figure8", 10, 0, 0)).covariance
    for coin in (0, 6):
        expected = np.zeros(12)
        expected[coin] = 0.25
        np.testing.assert_allclose(covariance[coin], expected, atol=1e-12)


def test_independent_features_are_as_active_as_those_of_the_circle():
    independent = exact(FUN._replace(structure="iid"))
    np.testing.assert_allclose(independent.mean, exact(FUN).mean.mean(), rtol=1e-12)
    assert np.count_nonzero(independent.covariance) == 12


def test_another_seed_gives_other_samples_and_the_split_is_shuffled():
    X = samples(FUN)
    assert not np.array_equal(X, samples(FUN._replace(seed=43)))
    np.testing.assert_array_equal(X, samples(Source("circular", 5, -2, 0.1)))
    # In the order of the visits every twelfth sample would be at the same place.
    every = X[:TRAIN:12].mean(axis=0)
    np.testing.assert_allclose(every, exact(FUN).mean, atol=0.1)
