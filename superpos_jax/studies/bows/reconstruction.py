"""How well features are reconstructed, one by one: in context, alone, and by a linear decoder.

    H = X W^T,    Z = H W + b,    Y = relu(Z), or Z of a linear model

Sums go over parts of the samples, so that nothing of size N x d is alive beside X.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

ROWS = 2048
"""Samples that are worked on at once."""
RIDGE = 1e-6
"""Added to the second moments of hidden vectors, relative to their mean, to invert them."""


class Autoencoder(NamedTuple):
    """A tied autoencoder as numpy: W (m, d), b (d,), and whether its output is rectified."""

    W: np.ndarray
    b: np.ndarray
    relu: bool

    def outputs(self, X: np.ndarray) -> np.ndarray:
        """The reconstruction of samples X: (N, d)."""
        Z = X.astype(np.float32) @ self.W.T @ self.W + self.b
        return np.maximum(Z, 0) if self.relu else np.asarray(Z)

    def alone(self) -> np.ndarray:
        """The output of each feature for the input that has nothing else: (d,)."""
        z = (self.W**2).sum(axis=0) + self.b
        return np.maximum(z, 0) if self.relu else np.asarray(z)


def parts(X: np.ndarray) -> Iterator[np.ndarray]:
    """The samples, some at a time."""
    for start in range(0, len(X), ROWS):
        yield X[start : start + ROWS]


def mse(model: Autoencoder, X: np.ndarray) -> float:
    """Squared error, mean over samples and features."""
    return float(sum(((part - model.outputs(part)) ** 2).sum(dtype=float) for part in parts(X))) / (
        X.size
    )


def r2(model: Autoencoder, X: np.ndarray) -> np.ndarray:
    """R^2 of each feature over samples X: (d,), NaN of a feature that never varies.

    1 - sum_n (x_ni - y_ni)^2 / (sum_n x_ni^2 - (sum_n x_ni)^2 / N)
    """
    error = np.zeros(X.shape[1])
    for part in parts(X):
        error += ((part - model.outputs(part)) ** 2).sum(axis=0, dtype=float)
    return _r2(error, X)


def _r2(error: np.ndarray, X: np.ndarray) -> np.ndarray:
    total = X.sum(axis=0, dtype=float)
    squares = sum((part.astype(np.float32) ** 2).sum(axis=0, dtype=float) for part in parts(X))
    varies = squares - total**2 / len(X)
    return 1 - np.divide(error, varies, out=np.full_like(error, np.nan), where=varies > 0)


def one_hot_r2(model: Autoencoder) -> np.ndarray:
    """R^2 of each feature over the d samples that hold one feature each: (d,)."""
    return r2(model, np.eye(model.W.shape[1], dtype=np.uint8))


def linear_decoder_r2(W: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """R^2 on `test` of the best linear decoder of the hidden vectors of `train`: (d,).

    Least squares with an intercept from H = X W^T to each feature; the ridge is for hidden
    dimensions that are copies of each other.
    """
    W = np.asarray(W, np.float32)
    mean = train.mean(axis=0, dtype=np.float64).astype(np.float32)
    second = np.zeros((len(W), len(W)))
    cross = np.zeros((len(W), train.shape[1]))
    for part in parts(train):
        centred = part - mean
        H = centred @ W.T
        second += H.T @ H
        cross += H.T @ centred
    ridge = RIDGE * np.trace(second) / len(W) or 1.0  # of weights that are all zero
    decoder = np.linalg.solve(second + ridge * np.eye(len(W)), cross).astype(np.float32)
    error = np.zeros(train.shape[1])
    for part in parts(test):
        decoded = mean + (part - mean) @ W.T @ decoder
        error += ((part - decoded) ** 2).sum(axis=0)
    return _r2(error, test)


def better_than_alone(model: Autoencoder, X: np.ndarray) -> np.ndarray:
    """Share of the samples that hold a feature in which it is closer to 1 than alone: (d,).

    (y_i - 1)^2 < (y_i(e_i) - 1)^2, over samples with x_i = 1; NaN of a feature in no sample.
    """
    alone = (model.alone() - 1) ** 2
    better, held = np.zeros(X.shape[1]), X.sum(axis=0, dtype=float)
    for part in parts(X):
        better += ((part > 0) & ((model.outputs(part) - 1) ** 2 < alone)).sum(axis=0)
    return np.divide(better, held, out=np.full_like(better, np.nan), where=held > 0)


def share_better(model: Autoencoder, X: np.ndarray) -> float:
    """The share of all active (sample, feature) pairs of which `better_than_alone` is true."""
    held = X.sum(axis=0, dtype=float)
    share = better_than_alone(model, X)
    return float(np.nansum(share * held) / held.sum()) if held.any() else np.nan


def preactivations(model: Autoencoder, X: np.ndarray, feature: int) -> np.ndarray:
    """z_i of the samples that hold feature i."""
    holds = X[X[:, feature] > 0].astype(np.float32)
    z = holds @ (model.W.T @ model.W[:, feature]) + model.b[feature]
    return np.asarray(z)


class Towers(NamedTuple):
    """What a feature's pre-activation adds up from, in three inputs: arrays of contributions.

    Each begins with the bias; then |w_i|^2 where the feature is in the input, and <w_i, w_c> of
    the context.
    """

    related: np.ndarray
    unrelated: np.ndarray
    without: np.ndarray


def towers(model: Autoencoder, feature: int, related: list[int], unrelated: list[int]) -> Towers:
    """Contributions to a feature: with related context, with unrelated, and related without it."""
    own = model.W[:, feature]
    bias, itself = model.b[feature], own @ own
    near, far = own @ model.W[:, related], own @ model.W[:, unrelated]
    return Towers(
        np.array([bias, itself, *near]), np.array([bias, itself, *far]), np.array([bias, *near])
    )
