"""The best linear autoencoder in closed form: principal components."""

from __future__ import annotations

import numpy as np


def moments(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and covariance (d, d) of samples X: (N, d), in double precision."""
    mean = X.mean(axis=0, dtype=np.float64)
    second = np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, len(X), 4096):  # binary counts below 2^24 are exact in float32
        rows = X[start : start + 4096].astype(np.float32)
        second += rows.T @ rows
    return mean, second / len(X) - np.outer(mean, mean)


def components(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, the largest first, (d,), and eigenvectors in rows, (d, d)."""
    values, vectors = np.linalg.eigh(covariance)
    return values[::-1], vectors[:, ::-1].T


def solution(mean: np.ndarray, vectors: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights W (m, d) and bias b (d,) of the best linear tied autoencoder of m dimensions.

        W = the first m eigenvectors,    b = (I - W^T W) mu

    Its squared error, summed over features, is the sum of the other eigenvalues, and |W|^2 = m.

    Args:
        mean: (d,), of the features.
        vectors: (d, d), what `components` returns.
        m: hidden dimensions, at most d.

    >>> W, b = solution(np.array([1.0, 2.0]), np.eye(2), 1)
    >>> W.tolist(), b.tolist()
    ([[1.0, 0.0]], [0.0, 2.0])
    """
    W = vectors[:m]
    return W, mean - W.T @ (W @ mean)


def correlation(covariance: np.ndarray) -> np.ndarray:
    """Pearson correlations (d, d); NaN of a feature that never varies."""
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = np.sqrt(np.diag(covariance))
        return np.asarray(covariance / np.outer(deviation, deviation))
