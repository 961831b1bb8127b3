"""The features of a cell: binary samples, what they are called, which of them make a ring."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from superpos_jax.studies.bows import pca, synthetic
from superpos_jax.studies.bows.geometry import (
    antipodality,
    cyclic_correlation,
    geometry_follows_data,
    gram,
    identity_gap,
    plane_points,
    ring_level,
    ring_score,
    unit_columns,
)
from superpos_jax.studies.bows.reconstruction import Autoencoder


class Features(NamedTuple):
    """Samples of binary features, split.

    Attributes:
        train, validation: (N, d) uint8.
        names: of the d features.
        groups: name -> numbers of features that belong together, in their order.
        ring: the name of the group whose order is a ring; empty if there is none.
        sources: what was read, by name: how much, its hash and licence.
    """

    train: np.ndarray
    validation: np.ndarray
    names: tuple[str, ...]
    groups: Mapping[str, tuple[int, ...]]
    ring: str = ""
    sources: Mapping[str, str] = MappingProxyType({})


@lru_cache(maxsize=4)
def synthetic_features(source: synthetic.Source) -> Features:
    """The samples of a synthetic source; the circle's features are its ring."""
    X = synthetic.samples(source)
    ring = "circle" if source.structure == "circular" else ""
    groups = {ring: tuple(range(source.d))} if ring else {}
    names = tuple(map(str, range(source.d)))
    return Features(X[: synthetic.TRAIN], X[synthetic.TRAIN :], names, groups, ring)


class Spectrum(NamedTuple):
    """Of training samples: mean (d,), covariance (d, d), its eigenvectors in rows (d, d)."""

    mean: np.ndarray
    covariance: np.ndarray
    vectors: np.ndarray

    @property
    def correlation(self) -> np.ndarray:
        """Pearson correlations, (d, d)."""
        return pca.correlation(self.covariance)

    def autoencoder(self, m: int) -> Autoencoder:
        """The best linear autoencoder of m dimensions, in closed form."""
        W, b = pca.solution(self.mean, self.vectors, m)
        return Autoencoder(W.astype(np.float32), b.astype(np.float32), relu=False)


def spectrum(features: Features) -> Spectrum:
    """What principal components need of the training samples."""
    mean, covariance = pca.moments(features.train)
    return Spectrum(mean, covariance, pca.components(covariance)[1])


def geometry_of(W: np.ndarray, features: Features, data: Spectrum) -> dict[str, float]:
    """The measures of the geometry of weights W (m, d), by name; NaN of a ring that is not there.

    Cyclic correlation is of the group's Gram matrix, the ring score of its unit columns in the
    plane of their first two principal components.
    """
    scores = dict.fromkeys(("cyclic_correlation", "ring_score", "ring_level"), np.nan)
    if features.ring:
        own = W[:, list(features.groups[features.ring])]
        points = plane_points(unit_columns(own))
        scores = {
            "cyclic_correlation": cyclic_correlation(gram(own)),
            "ring_score": ring_score(points),
            "ring_level": ring_level(points),
        }
    return scores | {
        "antipodality": antipodality(W),
        "geometry_follows_data": geometry_follows_data(W, data.correlation),
        "identity_gap": identity_gap(W),
    }
