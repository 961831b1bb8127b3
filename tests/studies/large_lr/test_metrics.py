"""Metrics of 50 samples against their definitions, written out in loops."""

import numpy as np
import pytest

from superpos_jax.studies.large_lr import metrics
from superpos_jax.studies.large_lr.samples import aligned, conflicting

SAMPLES, UNITS, LABELS = 50, 7, 3


@pytest.fixture
def z(rng):
    return np.maximum(rng.standard_normal((SAMPLES, UNITS)), 0)


@pytest.fixture
def labels(rng):
    return rng.integers(LABELS, size=SAMPLES)


def cosine_distance(a, b):
    return 1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def test_separation_is_that_of_all_pairs(z, labels):
    assert (np.linalg.norm(z, axis=1) > 0).all()
    mean = np.zeros((LABELS, LABELS))
    for a in range(LABELS):
        for b in range(LABELS):
            pairs = [
                cosine_distance(z[i], z[j])
                for i in np.flatnonzero(labels == a)
                for j in np.flatnonzero(labels == b)
            ]
            mean[a, b] = np.mean(pairs)
    expected = 1 - np.diag(mean).mean() / mean.mean()
    assert metrics.separation(z, labels) == pytest.approx(expected, rel=1e-9)


def test_separation_is_1_for_classes_in_a_direction_each_and_takes_rows_of_zeros():
    z = np.repeat(np.eye(3), 4, axis=0) * np.arange(1, 13)[:, None]
    assert metrics.separation(z, np.repeat([0, 1, 2], 4)) == pytest.approx(1)
    z[0] = 0
    assert 0 < metrics.separation(z, np.repeat([0, 1, 2], 4)) < 1


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_compressibility_keeps_the_largest(rng, share):
    w = rng.standard_normal(SAMPLES)
    kept = SAMPLES - int(np.floor((1 - share) * SAMPLES))
    largest = sorted(range(SAMPLES), key=lambda i: -abs(w[i]))[:kept]
    rest = [w[i] for i in range(SAMPLES) if i not in largest]
    expected = 1 - np.sqrt(sum(x**2 for x in rest) / sum(x**2 for x in w))
    assert metrics.compressibility(w, share) == pytest.approx(expected)


def test_pq_index(rng):
    w = rng.standard_normal(SAMPLES)
    norms = sum(abs(x) for x in w), sum(x**2 for x in w) ** 0.5
    assert metrics.pq_index(w) == pytest.approx(1 - SAMPLES ** (1 / 2 - 1) * norms[0] / norms[1])


def test_zero_activations_and_dead_units(z):
    z[:, 2] = 0
    assert metrics.zero_activations(z) == sum(x == 0 for x in z.ravel()) / z.size
    assert metrics.dead_units(z) == 1 / UNITS


@pytest.mark.parametrize("classes", [2, 10])
def test_groups_and_the_worst_of_them(rng, classes):
    y, s = rng.integers(classes, size=(2, SAMPLES))
    right = rng.random(SAMPLES) < 0.7
    accuracy = {}
    for label in range(classes):
        for kind, has in (("aligned", s == y), ("conflicting", s != y)):
            rows = [i for i in range(SAMPLES) if y[i] == label and has[i]]
            if rows and (classes == 2 or kind == "conflicting"):
                accuracy[label, kind] = np.mean([right[i] for i in rows])
    assert metrics.worst_group(right, y, s, classes) == pytest.approx(min(accuracy.values()))
    table = metrics.groups(right, y, s, classes)
    assert np.isnan(table[:, 0]).all()
    for (label, kind), value in accuracy.items():
        assert table[label, 1 if kind == "aligned" else 2] == pytest.approx(value)


def test_samples_without_a_cue_are_a_group_of_their_own():
    y, s = np.array([0, 1, 0, 1]), np.array([-1, 1, 1, -1])
    assert aligned(y, s).tolist() == [False, True, False, False]
    assert conflicting(y, s).tolist() == [False, False, True, False]
    assert metrics.worst_group(np.array([0, 1, 1, 1]), y, s, 2) == 0


def test_bias_following(rng):
    predicted, y, s = rng.integers(4, size=(3, SAMPLES))
    wrong = [i for i in range(SAMPLES) if s[i] != y[i] and predicted[i] != y[i]]
    expected = sum(predicted[i] == s[i] for i in wrong) / len(wrong)
    assert metrics.bias_following(predicted, y, s) == pytest.approx(expected)
    assert np.isnan(metrics.bias_following(y, y, s))
