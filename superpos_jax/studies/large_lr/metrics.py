"""What is measured of a trained network: numbers of predictions, of activations, of weights.

Definitions follow the code of the paper's first author where it is public, see each function.
"""

from __future__ import annotations

import numpy as np

from superpos_jax.studies.large_lr.samples import aligned, conflicting


def groups(right: np.ndarray, y: np.ndarray, s: np.ndarray, classes: int) -> np.ndarray:
    """(classes, 3): accuracy by label, and by what the cue says: nothing, aligned, conflicting.

    For two labels and a cue that always says something these are the groups G[y, s]. NaN where
    there is no sample.

    >>> y, s = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    >>> groups(np.array([1, 0, 1, 1]), y, s, 2).tolist()
    [[nan, 1.0, 0.0], [nan, 1.0, 1.0]]
    """
    kinds = s < 0, aligned(y, s), conflicting(y, s)
    table = np.full((classes, len(kinds)), np.nan)
    for label in range(classes):
        for column, kind in enumerate(kinds):
            chosen = kind & (y == label)
            if chosen.any():
                table[label, column] = right[chosen].mean()
    return table


def worst_group(right: np.ndarray, y: np.ndarray, s: np.ndarray, classes: int) -> float:
    """The least accuracy of a group: of all for two labels, of conflicting ones for more.

    With ten labels a group of aligned samples has some eight of a held-out set, so that the least
    of them says little.
    """
    table = groups(right, y, s, classes)
    return float(np.nanmin(table if classes == 2 else table[:, 2]))


def bias_following(predicted: np.ndarray, y: np.ndarray, s: np.ndarray) -> float:
    """Of conflicting samples that are wrong, the share for which the cue's label is predicted."""
    misled = conflicting(y, s) & (predicted != y)
    return float((predicted == s)[misled].mean()) if misled.any() else float("nan")


def compressibility(weights: np.ndarray, share: float = 0.1) -> float:
    """Comp(share) = 1 - |w - w_kept| / |w|, where w_kept are the largest entries of w.

    D - floor((1 - share) D) of the D entries are kept.

    >>> compressibility(np.array([3.0, 0.0, 4.0, 0.0]), 0.25)
    0.4
    """
    sizes = np.sort(np.abs(np.ravel(weights)).astype(float))
    dropped = sizes[: int((1 - share) * len(sizes))]
    norm = np.linalg.norm(sizes)
    return float(1 - np.linalg.norm(dropped) / norm) if norm > 0 else float("nan")


def pq_index(values: np.ndarray) -> np.ndarray:
    """PQI(w) = 1 - |w|_1 / (sqrt(D) |w|_2) along the last axis: 0 where all entries are equal.

    Diao et al. (2023) with p = 1, q = 2. NaN where all entries are 0.

    >>> pq_index(np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 3.0, 0.0, 0.0]])).tolist()
    [0.0, 0.5]
    """
    sizes = np.abs(np.asarray(values, float))
    norms = np.sqrt((sizes**2).sum(axis=-1))
    scaled = sizes.sum(axis=-1) / np.sqrt(sizes.shape[-1])
    return np.asarray(
        1 - np.divide(scaled, norms, out=np.full_like(norms, np.nan), where=norms > 0)
    )


def zero_activations(z: np.ndarray) -> float:
    """The share of activations (rows, units) that are 0."""
    return float((z == 0).mean())


def dead_units(z: np.ndarray) -> float:
    """The share of units that are 0 for every sample."""
    return float((z == 0).all(axis=0).mean())


def separation(z: np.ndarray, labels: np.ndarray) -> float:
    """R2 = 1 - d_within / d_total of cosine distances between activations (rows, units).

    d_within is the mean distance of two samples of one label, averaged over labels; d_total that
    of samples of two labels, averaged over all ordered pairs of labels, equal ones among them. A
    sample counts as a pair with itself. Kornblith et al. (2021), by class means: with unit rows
    the mean distance between labels a and b is 1 - mu_a . mu_b. Rows of zeros stay zero.
    """
    norms = np.linalg.norm(z, axis=1, keepdims=True)
    unit = z / np.where(norms > 0, norms, 1)
    means = np.stack([unit[labels == label].mean(axis=0) for label in np.unique(labels)])
    within = 1 - (means**2).sum(axis=1).mean()
    total = 1 - (means @ means.T).mean()
    return float(1 - within / total) if total > 0 else float("nan")
