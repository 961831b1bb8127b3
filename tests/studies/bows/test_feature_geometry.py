"""Measures of geometry on weights whose geometry is known."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from superpos_jax.studies.bows import geometry, pca
from superpos_jax.studies.bows.figures.story import DIRECTIONS, features_story
from superpos_jax.studies.bows.synthetic import Source, exact

RNG = np.random.default_rng(3)


def ring(n: int = 12, turns: int = 1) -> np.ndarray:
    angle = 2 * np.pi * turns * np.arange(n) / n
    return np.stack([np.cos(angle), np.sin(angle)])


def pairs(d: int = 12) -> np.ndarray:
    """i and i + d/2 opposite, the pairs orthogonal."""
    return np.concatenate([np.eye(d // 2), -np.eye(d // 2)], axis=1)


def test_a_ring_is_cyclic_pairs_are_less_and_the_identity_is_not():
    assert geometry.cyclic_correlation(geometry.gram(ring())) == pytest.approx(1)
    assert 0.4 < geometry.cyclic_correlation(geometry.gram(pairs())) < 0.6
    assert np.isnan(geometry.cyclic_correlation(np.eye(12)))


def test_cyclic_correlation_is_pearson_of_the_entries_off_the_diagonal():
    G = geometry.gram(RNG.normal(size=(5, 12)))
    angle = 2 * np.pi * np.arange(12) / 12
    off = ~np.eye(12, dtype=bool)
    wanted = np.corrcoef(G[off], np.cos(angle[:, None] - angle)[off])[0, 1]
    assert geometry.cyclic_correlation(G) == pytest.approx(wanted)


def test_antipodality_of_pairs_of_an_even_ring_and_of_an_odd_one():
    assert geometry.antipodality(pairs()) == 1
    assert geometry.antipodality(ring(12)) == 1
    assert geometry.antipodality(ring(3)) == 0
    assert geometry.antipodality(np.eye(12)) == 0
    assert geometry.antipodality(np.zeros((2, 4))) == 0
    three_of_five = np.array([[1.0, -1, 0, 0, -0.9], [0, 0, 1, 0, 0.1], [0, 0, 0, 1, 0]])
    assert geometry.antipodality(three_of_five) == pytest.approx(3 / 5)


def test_gram_has_trace_one_and_zero_weights_stay_zero():
    W = RNG.normal(size=(4, 12))
    np.testing.assert_allclose(np.trace(geometry.gram(W)), 1)
    np.testing.assert_allclose(geometry.gram(3 * W), geometry.gram(W))
    assert not geometry.gram(np.zeros((2, 3))).any()


def test_identity_gap_is_the_largest_overlap():
    assert geometry.identity_gap(np.eye(4)) == 0
    assert geometry.identity_gap(np.array([[1.0, 0.5], [0.0, np.sqrt(0.75)]])) == pytest.approx(0.5)


def test_geometry_follows_data_against_numpy_and_leaves_out_dead_features():
    W, correlation = RNG.normal(size=(3, 9)), np.corrcoef(RNG.normal(size=(9, 40)))
    upper = np.triu_indices(9, 1)
    unit = W / np.linalg.norm(W, axis=0)
    wanted = np.corrcoef((unit.T @ unit)[upper], correlation[upper])[0, 1]
    assert geometry.geometry_follows_data(W, correlation) == pytest.approx(wanted)
    dead = np.pad(W, ((0, 0), (0, 1)))
    padded = np.pad(correlation, ((0, 1), (0, 1)), constant_values=np.nan)
    assert geometry.geometry_follows_data(dead, padded) == pytest.approx(wanted)


def test_principal_components_of_a_circle_are_the_ring():
    covariance = exact(Source("circular", 5, -2, 0.1)).covariance
    W, _ = pca.solution(np.zeros(12), pca.components(covariance)[1], 2)
    assert geometry.cyclic_correlation(geometry.gram(W)) == pytest.approx(1)
    assert geometry.ring_score(geometry.plane_points(geometry.unit_columns(W))) == pytest.approx(1)


def test_ring_score_knows_order_and_not_direction_or_rotation():
    turned = ring() * 1.0
    rotation = np.array([[0.0, -1.0], [1.0, 0.0]])
    assert geometry.ring_score((rotation @ turned).T) == pytest.approx(1)
    assert geometry.ring_score(turned.T[::-1]) == pytest.approx(1)
    assert geometry.ring_score(ring(turns=5).T) == pytest.approx(0, abs=1e-12)


def test_the_level_of_a_ring_score_is_what_random_orders_stay_below():
    points = ring().T
    level = geometry.ring_level(points)
    rng = np.random.default_rng(11)
    scores = [geometry.ring_score(points[rng.permutation(12)]) for _ in range(2000)]
    assert np.mean(np.array(scores) <= level) == pytest.approx(0.95, abs=0.02)
    assert 0.5 < level < 0.6


def test_off_diagonal_norm_raw_and_relative():
    W = RNG.normal(size=(4, 5))
    G = W.T @ W
    raw = np.sqrt((G**2).sum() - (np.diag(G) ** 2).sum())
    assert geometry.off_diagonal(W) == pytest.approx((raw, raw / np.linalg.norm(np.diag(G))))
    assert geometry.off_diagonal(np.eye(3)) == (0, 0)


def test_neighbours_of_tight_clusters_are_pure():
    centres = np.eye(3).repeat(4, axis=0).T
    W = centres + 0.01 * RNG.normal(size=centres.shape)
    categories = np.arange(3).repeat(4)
    assert geometry.neighbour_purity(W, categories, neighbours=3) == 1
    mixed = np.tile(np.arange(3), 4)
    assert geometry.neighbour_purity(W, mixed, neighbours=3) < 0.5
    assert np.isnan(geometry.neighbour_purity(W, np.full(len(mixed), -1)))


def test_a_page_shows_vectors_in_their_principal_directions():
    W = np.full((2, 9, 12), np.nan)  # of the first cell m = 2, of the second m = 9
    W[0, :2], W[1] = RNG.normal(size=(2, 12)), RNG.normal(size=(9, 12))
    result = SimpleNamespace(dataset=xr.Dataset({"W": (("m", "h", "n"), W)}, {"m": [2, 9]}))
    ((shown,), (largest,)) = (features_story(result, {"m": m}) for m in (2, 9))
    (vectors,) = shown.groups.values()
    np.testing.assert_allclose(vectors @ vectors.T, W[0, :2].T @ W[0, :2], atol=1e-12)
    assert (vectors**2).sum(axis=0)[0] > (vectors**2).sum(axis=0)[1]
    assert len(largest.directions) == DIRECTIONS
    assert (
        list(features_story(SimpleNamespace(dataset=result.dataset.drop_vars("W")), {"m": 2})) == []
    )
