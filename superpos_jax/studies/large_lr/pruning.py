"""Accuracy that is left when small weights, or weak units, are removed from a trained network."""

from __future__ import annotations

import numpy as np

from superpos_jax.studies.large_lr.network import Params, outputs

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Removed shares along a curve."""
SCORED = (0.5, 0.7, 0.8, 0.9, 0.95)
"""Those that make the score."""
LOSSLESS = 0.95
"""A network that keeps that share of its accuracy is pruned for nothing."""


def without_weights(params: Params, share: float) -> Params:
    """A network without the smallest weights of all hidden layers together.

    floor(share D) of D entries become 0; the output layer and biases stay.
    """
    *hidden, head = params.weights
    sizes = np.concatenate([np.abs(W).ravel() for W in hidden])
    removed = np.argsort(sizes, kind="stable")[: int(share * len(sizes))]
    kept = np.ones(len(sizes), bool)
    kept[removed] = False
    parts = np.split(kept, np.cumsum([W.size for W in hidden])[:-1])
    pruned = [W * part.reshape(W.shape) for W, part in zip(hidden, parts, strict=True)]
    return Params((*pruned, head), params.biases)


def without_units(params: Params, share: float) -> Params:
    """A network without the units whose incoming weights and bias have the least norm.

    floor(share H) of the H units of every hidden layer.
    """
    weights, biases = [], []
    for W, b in zip(params.weights, params.biases, strict=False):
        norms = np.hypot(np.linalg.norm(W, axis=1), b)
        kept = np.ones(len(norms), W.dtype)
        kept[np.argsort(norms, kind="stable")[: int(share * len(norms))]] = 0
        weights.append(W * kept[:, None])
        biases.append(b * kept)
    return Params((*weights, params.weights[-1]), tuple(biases))


def curve(pruned: list[Params], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(networks,): the accuracy of each."""
    return np.array([(outputs(params, x).argmax(axis=1) == y).mean() for params in pruned])


def prunability(accuracy: np.ndarray) -> float:
    """PR: the mean over `SCORED` shares r of min(1, P(r) / P(0)), of a curve P over `SHARES`.

    1: nothing is lost. Clipped, since pruning may raise the accuracy on unbiased data, where small
    weights hold what was memorized.

    >>> prunability(np.linspace(0.8, 0.8, len(SHARES)))
    1.0
    """
    kept = np.array(accuracy)[[SHARES.index(share) for share in SCORED]]
    return float(np.minimum(1, kept / accuracy[0]).mean()) if accuracy[0] > 0 else float("nan")


def free_share(accuracy: np.ndarray) -> float:
    """r*: the largest of `SHARES` that leaves 95 % of the accuracy.

    >>> free_share(np.array([1.0, 1.0, 0.96, *[0.5] * 10]))
    0.2
    """
    return float(np.array(SHARES)[accuracy >= LOSSLESS * accuracy[0]].max())
