"""Correlated binary features with a known shape: on a circle, a figure eight, a sphere, or none.

    p_ni = sigmoid(s <u_i, z_n> + beta),    f_ni ~ Bernoulli(p_ni),    f in {0, 1}^(N x d)

Feature i has a fixed direction u_i, a sample a latent point z_n; given z the features are
independent. Positions on the closed curves are visited in order, n mod d, and jittered by `noise`
(Prieto et al., "From Data Statistics to Feature Geometry", ICLR 2026, synthetic experiments, and
their code).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

SAMPLES, TRAIN = 10_000, 8_000
"""Samples made of each set, and those of them that are trained on; the others are validation."""
STRUCTURES = ("circular", "figure8", "sphere", "iid")
NODES = 64
"""Nodes of each quadrature."""


class Source(NamedTuple):
    """Which synthetic features: everything that their samples depend on."""

    structure: str
    s: float
    beta: float
    noise: float
    seed: int = 42
    d: int = 12


class Moments(NamedTuple):
    """Mean (d,) and covariance (d, d) of features."""

    mean: np.ndarray
    covariance: np.ndarray


def directions(structure: str, d: int) -> np.ndarray:
    """The directions u_i, (d, 2), on the sphere (d, 3).

    >>> directions("circular", 4).round(1).tolist()
    [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [-0.0, -1.0]]
    """
    if structure == "sphere":
        x = np.arange(d) + 0.5
        phi, theta = np.arccos(1 - 2 * x / d), np.pi * (1 + np.sqrt(5)) * x
        return np.stack(
            [np.cos(theta) * np.sin(phi), np.sin(theta) * np.sin(phi), np.cos(phi)], axis=1
        )
    return on_curve(structure, 2 * np.pi * np.arange(d) / d)


def on_curve(structure: str, t: np.ndarray) -> np.ndarray:
    """Points of a closed curve at parameters t, (..., 2)."""
    x, y = (np.sin(t), np.sin(2 * t)) if structure == "figure8" else (np.cos(t), np.sin(t))
    return np.stack([x, y], axis=-1)


def probabilities(source: Source, z: np.ndarray) -> np.ndarray:
    """How likely each feature is at latent points z (..., 2 or 3): (..., d)."""
    return sigmoid(source.s * z @ directions(source.structure, source.d).T + source.beta)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x); no overflow."""
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))


@lru_cache(maxsize=64)
def samples(source: Source) -> np.ndarray:
    """All samples in a shuffled order, (10,000, d) uint8: the first 8,000 are trained on."""
    rng = np.random.default_rng(source.seed)
    if source.structure == "iid":
        p = np.broadcast_to(exact(source).mean, (SAMPLES, source.d))
    else:
        p = probabilities(source, _latent(source, rng))
    features = (rng.random(p.shape) < p).astype(np.uint8)
    return features[rng.permutation(SAMPLES)]


def _latent(source: Source, rng: np.random.Generator) -> np.ndarray:
    """The latent points of all samples."""
    if source.structure == "sphere":
        theta, phi = 2 * np.pi * rng.random(SAMPLES), np.arccos(2 * rng.random(SAMPLES) - 1)
        z = np.stack(
            [np.cos(theta) * np.sin(phi), np.sin(theta) * np.sin(phi), np.cos(phi)], axis=1
        )
        z += rng.normal(0, source.noise, z.shape) if source.noise else 0
        return np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True))
    t = 2 * np.pi * (np.arange(SAMPLES) % source.d) / source.d
    return on_curve(source.structure, t + rng.normal(0, source.noise, SAMPLES))


@lru_cache(maxsize=64)
def exact(source: Source) -> Moments:
    """Mean and covariance of the distribution.

    C_ij = cov_z(p_i, p_j) for i != j, C_ii = mu_i (1 - mu_i), by quadrature over z. Independent
    features all have the mean activation that the circular ones of the same numbers have.

    >>> exact(Source("circular", s=10, beta=0, noise=0)).mean.round(3).tolist()[:3]
    [0.5, 0.5, 0.5]
    """
    if source.structure == "iid":
        mean = exact(source._replace(structure="circular")).mean.mean()
        return Moments(np.full(source.d, mean), np.eye(source.d) * mean * (1 - mean))
    z, weight = _quadrature(source)
    p = probabilities(source, z)
    mean = weight @ p
    covariance = (p - mean).T @ (weight[:, None] * (p - mean))
    np.fill_diagonal(covariance, mean * (1 - mean))
    return Moments(mean, covariance)


def _quadrature(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Latent points and their weights, which sum to 1."""
    if source.structure == "sphere":  # noise that is the same in all directions changes nothing
        height, weight = np.polynomial.legendre.leggauss(NODES)
        theta = 2 * np.pi * np.arange(2 * NODES) / (2 * NODES)
        radius = np.sqrt(1 - height**2)
        x, y = np.outer(radius, np.cos(theta)), np.outer(radius, np.sin(theta))
        z = np.stack([x, y, np.broadcast_to(height[:, None], x.shape)], axis=-1)
        return z.reshape(-1, 3), np.repeat(weight / weight.sum() / len(theta), len(theta))
    node, weight = np.polynomial.hermite_e.hermegauss(NODES)  # of the normal distribution
    weight = weight / weight.sum()
    t = 2 * np.pi * np.arange(source.d)[:, None] / source.d + source.noise * node
    return (
        on_curve(source.structure, t).reshape(-1, 2),
        np.tile(weight / source.d, source.d),
    )
