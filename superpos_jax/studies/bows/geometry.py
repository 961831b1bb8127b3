"""The geometry of weights W (m, d), columns w_i: which features share directions, and how.

All functions are of plain numpy arrays. Pairs are i < j; a zero column has no direction, and pairs
with it count as missing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

OPPOSITE = -0.8
"""A feature has an antipode if another one's cosine is below that."""
PERMUTATIONS = 2_000
"""Random orders behind the permutation level of a ring score."""


def cosines(W: np.ndarray) -> np.ndarray:
    """Cosines between the columns of W: (d, d), NaN for a zero column.

    >>> cosines(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])).tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """
    W = np.asarray(W, np.float64)
    norm = np.linalg.norm(W, axis=0)
    unit = np.divide(W, norm, out=np.full_like(W, np.nan), where=norm > 0)
    return np.asarray(unit.T @ unit)


def gram(W: np.ndarray) -> np.ndarray:
    """W^T W / |W|^2, (d, d), of trace 1."""
    G = np.asarray(W, np.float64).T @ np.asarray(W, np.float64)
    trace = np.trace(G)
    return np.asarray(G / trace) if trace > 0 else G


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Correlation of two equally long arrays where both are finite; NaN if one does not vary.

    >>> pearson(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]))
    1.0
    """
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both] - x[both].mean() if both.any() else x[both], y[both]
    y = y - y.mean() if len(y) else y
    scale = np.sqrt((x @ x) * (y @ y))
    return float(np.clip(x @ y / scale, -1, 1)) if scale > 1e-12 else np.nan


def cyclic_correlation(matrix: np.ndarray) -> float:
    """How much off-diagonal entries follow a ring: their correlation with cos(2 pi (i - j) / d).

    Args:
        matrix: (d, d) Gram matrix or cosines, in the order of the ring.

    >>> angle = 2 * np.pi * np.arange(6) / 6
    >>> round(cyclic_correlation(np.cos(angle[:, None] - angle)), 6)
    1.0
    """
    d = len(matrix)
    i, j = np.triu_indices(d, 1)
    return pearson(matrix[i, j], np.cos(2 * np.pi * (i - j) / d))


def antipodality(W: np.ndarray) -> float:
    """Share of the features that have an antipode, min_j cos(w_i, w_j) < -0.8.

    A ring of even size has them too: read it beside `cyclic_correlation`.

    >>> antipodality(np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])).__round__(3)
    0.667
    """
    C = np.where(np.isfinite(C := cosines(W)), C, 0.0)
    np.fill_diagonal(C, 1.0)
    return float((C.min(axis=1) < OPPOSITE).mean())


def identity_gap(W: np.ndarray) -> float:
    """The largest off-diagonal |<w_i, w_j>| relative to the mean of |w_i|^2: 0 for W^T W ~ I."""
    G = np.asarray(W, np.float64).T @ np.asarray(W, np.float64)
    off = np.abs(G - np.diag(np.diag(G))).max()
    return float(off / np.diag(G).mean()) if np.trace(G) > 0 else np.nan


def geometry_follows_data(W: np.ndarray, correlation: np.ndarray) -> float:
    """Correlation over all pairs of cos(w_i, w_j) with the correlation of the two features.

    Args:
        W: (m, d).
        correlation: (d, d), of the features in the training data.
    """
    i, j = np.triu_indices(len(correlation), 1)
    return pearson(cosines(W)[i, j], correlation[i, j])


def plane_points(vectors: np.ndarray) -> np.ndarray:
    """Principal components of vectors (n, ...): (n, 2), the first two."""
    centred = vectors - vectors.mean(axis=0)
    U, s, _ = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(vectors), 2))
    points[:, : len(s[:2])] = (U * s)[:, :2]
    return points


def unit_columns(W: np.ndarray) -> np.ndarray:
    """The columns of W in rows, of length 1; zero where a column is zero."""
    columns = np.asarray(W, np.float64).T
    norm = np.linalg.norm(columns, axis=1, keepdims=True)
    return np.divide(columns, norm, out=np.zeros_like(columns), where=norm > 0)


def ring_score(points: np.ndarray) -> float:
    """How well points in the plane lie in cyclic order: 1 for a regular polygon, in [0, 1].

        max(|mean e^{i (a - th)}|, |mean e^{i (a + th)}|),    a: angles,    th_i = 2 pi i / n

    Args:
        points: (n, 2), in the order of the ring.

    >>> angle = -2 * np.pi * np.arange(12) / 12
    >>> round(ring_score(np.stack([np.cos(angle), np.sin(angle)], axis=1)), 6)
    1.0
    """
    return float(_scores(_phases(points)[None])[0])


def ring_level(points: np.ndarray, quantile: float = 0.95) -> float:
    """The level that the ring score of these points stays below in that share of random orders."""
    phases = _phases(points)
    return float(np.quantile(_scores(phases[_orders(len(phases))]), quantile))


@lru_cache(maxsize=8)
def _orders(n: int) -> np.ndarray:
    """Random orders of n points, (PERMUTATIONS, n)."""
    return np.random.default_rng(0).permuted(np.tile(np.arange(n), (PERMUTATIONS, 1)), axis=1)


def _phases(points: np.ndarray) -> np.ndarray:
    """The direction of each point as a unit complex number; 0 at the origin."""
    z = points[:, 0] + 1j * points[:, 1]
    length = np.abs(z)
    return np.divide(z, length, out=np.zeros_like(z), where=length > 0)


def _scores(phases: np.ndarray) -> np.ndarray:
    """Ring scores of several orders, (orders, n)."""
    turn = np.exp(2j * np.pi * np.arange(phases.shape[1]) / phases.shape[1])
    both = np.stack([phases @ turn.conj(), phases @ turn]) / phases.shape[1]
    return np.asarray(np.abs(both).max(axis=0))


def off_diagonal(W: np.ndarray) -> tuple[float, float]:
    """Frobenius norm of the off-diagonal of W^T W, and the same relative to the diagonal's.

    Args:
        W: (m, k), the columns of a group of words.

    >>> off_diagonal(np.array([[1.0, 1.0], [0.0, 0.0]]))
    (1.4142135623730951, 1.0)
    """
    G = np.asarray(W, np.float64).T @ np.asarray(W, np.float64)
    diagonal = float(np.linalg.norm(np.diag(G)))
    raw = float(np.linalg.norm(G - np.diag(np.diag(G))))
    return raw, raw / diagonal if diagonal > 0 else np.nan


def neighbour_purity(W: np.ndarray, categories: np.ndarray, neighbours: int = 10) -> float:
    """Share of the nearest neighbours, by cosine, that are in the word's own category.

    Args:
        W: (m, d).
        categories: (d,) whole numbers; words below 0 are in none, and count as neighbours only.
        neighbours: of each word in a category.

    NaN where no word is in one.
    """
    members = np.flatnonzero(categories >= 0)
    if not len(members):
        return np.nan
    C = np.nan_to_num(cosines(W), nan=-2.0)
    np.fill_diagonal(C, -3.0)
    nearest = np.argsort(-C[members], axis=1, kind="stable")[:, :neighbours]
    return float((categories[nearest] == categories[members, None]).mean())
