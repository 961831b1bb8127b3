"""A linear probe of vectors, and what is left of vectors without the plane that it reads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ALPHA = 1e-3
NOTHING = 1e-5
"""What is left of a vector, relative to it, that is rounding."""


class Probe(NamedTuple):
    """y = W x + c: W (outputs, dims), c (outputs,)."""

    W: np.ndarray
    c: np.ndarray

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """(samples, outputs) of vectors X (samples, dims)."""
        return X @ self.W.T + self.c

    def plane(self) -> np.ndarray:
        """An orthonormal basis of the directions that are read, (dims, outputs), by QR."""
        return np.linalg.qr(self.W.T)[0]


def ridge(X: np.ndarray, Y: np.ndarray, alpha: float = ALPHA) -> Probe:
    """Least squares with a free intercept and a penalty: sum |Y - X W^T - c|^2 + alpha |W|^2.

    Args:
        X: (samples, dims).
        Y: (samples, outputs).
        alpha: the penalty; the intercept has none.

    >>> ridge(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [5.0]]), 0).W
    array([[2.]])
    """
    X, Y = np.asarray(X, np.float64), np.asarray(Y, np.float64)
    x, y = X.mean(axis=0), Y.mean(axis=0)
    gram = (X - x).T @ (X - x) + alpha * np.eye(X.shape[1])
    W = np.linalg.solve(gram, (X - x).T @ (Y - y)).T
    return Probe(W, y - W @ x)


def r2(Y: np.ndarray, predicted: np.ndarray) -> float:
    """1 - residual / variance, mean over the outputs; 1 is exact, 0 is as good as their mean.

    >>> Y = np.array([[0.0], [2.0]])
    >>> r2(Y, Y), r2(Y, np.ones((2, 1)))
    (1.0, 0.0)
    """
    residual = ((Y - predicted) ** 2).sum(axis=0)
    return float(np.mean(1 - residual / ((Y - Y.mean(axis=0)) ** 2).sum(axis=0)))


def removed(Z: np.ndarray, U: np.ndarray) -> np.ndarray:
    """Vectors Z (samples, dims) without their part in the plane of U (dims, 2): z - U U^T z."""
    return Z - Z @ U @ U.T


def kept(Z: np.ndarray, U: np.ndarray) -> np.ndarray:
    """Only the part in the plane, the mean of all vectors elsewhere: U U^T z + mean(z - U U^T z).

    Keeping and removing are complements: kept(Z) + removed(Z) = Z + mean(removed(Z)).
    """
    return Z @ U @ U.T + removed(Z, U).mean(axis=0)


def rescaled(Z: np.ndarray, U: np.ndarray) -> np.ndarray:
    """Removed, at the norm that each vector had; 0 where nothing but rounding is left."""
    rest = removed(Z, U)
    left, whole = (np.linalg.norm(A, axis=1, keepdims=True) for A in (rest, Z))
    some = left > NOTHING * whole
    return np.where(some, rest * whole / np.where(some, left, 1), 0)


def random_plane(dims: int, seed: int) -> np.ndarray:
    """An orthonormal basis (dims, 2) of a random plane."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(dims, 2)))[0]
