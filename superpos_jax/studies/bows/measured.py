"""What is reported of a model of words, beside its geometry: the paper's claims as numbers."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from superpos_jax.studies.bows import geometry, pca, reconstruction
from superpos_jax.studies.bows.features import Features, Spectrum
from superpos_jax.studies.bows.reconstruction import Autoencoder
from superpos_jax.studies.bows.words import SEASONAL

RECONSTRUCTED = 0.5
"""A word is reconstructed from an R^2 of that on."""
RELATED, UNRELATED = 4, 0.01
"""Words that a word is seen with, by their correlation; and what correlation is none."""
SUPPORTED, OFTEN = 0.1, 50
"""Share of words that are most correlated with others; held-out bags that a word needs to count."""
CHRISTMAS = "Christmas"


class PerWord(NamedTuple):
    """Of each word, (d,): R^2 on held-out bags, alone, by a linear decoder; how often it is there.

    The linear decoder reads the hidden vectors.
    """

    r2: np.ndarray
    one_hot_r2: np.ndarray
    linear_r2: np.ndarray
    frequency: np.ndarray


def per_word(model: Autoencoder, features: Features) -> PerWord:
    """The measures of every word."""
    test = features.validation
    return PerWord(
        reconstruction.r2(model, test),
        reconstruction.one_hot_r2(model),
        reconstruction.linear_decoder_r2(model.W, features.train, test),
        features.train.mean(axis=0, dtype=float),
    )


def of_model(
    model: Autoencoder, features: Features, data: Spectrum, words: PerWord
) -> dict[str, float]:
    """Numbers of a whole model; NaN where the words that one is about are not there."""
    top, bottom = deciles(words.frequency, words.linear_r2 >= RECONSTRUCTED)
    supported = context_supported(data.correlation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of no word that varies
        scalars = {
            "mean_r2": float(np.nanmean(words.r2)),
            "context_gain": float(np.nanmedian((words.r2 - words.one_hot_r2)[supported])),
        }
    scalars |= {
        "better_in_context": reconstruction.share_better(model, features.validation),
        "linear_frequent": top,
        "linear_rare": bottom,
        "seasonal_share": seasonal_share(model.W, features),
        "blocked": blocked(model, features, data.correlation),
        "cancelled": cancelled(model.W, features),
    }
    for group, members in features.groups.items():
        scalars |= of_group(group, list(members), model.W, words)
    return scalars


def of_group(group: str, members: list[int], W: np.ndarray, words: PerWord) -> dict[str, float]:
    """Of months, days or numbers: overlaps raw and relative, nearest cosine, R^2, ring score."""
    own = W[:, members]
    raw, relative = geometry.off_diagonal(own)
    cosines = geometry.cosines(own)
    np.fill_diagonal(cosines, -1.0)
    scalars = {
        "off_diagonal": raw,
        "relative": relative,
        "nearest_cosine": float(cosines.max(axis=1).mean()),
        "r2": float(words.r2[members].mean()),
        "linear_r2": float(words.linear_r2[members].mean()),
    }
    if group == "days":
        points = geometry.plane_points(geometry.unit_columns(own))
        scalars["ring_score"] = geometry.ring_score(points)
        scalars["ring_level"] = geometry.ring_level(points)
    return {f"{group}_{name}": value for name, value in scalars.items()}


def data_ring(features: Features) -> dict[str, float]:
    """Ring score and level of the ring's words in the data.

    Of the bags that hold one of the words, each minus its own mean, principal components; the
    words' unit vectors are projected on the first two.
    """
    X = features.train[:, list(features.groups[features.ring])]
    held = X[X.any(axis=1)].astype(float)
    held -= held.mean(axis=1, keepdims=True)
    _, covariance = pca.moments(held)
    plane = pca.components(covariance)[1][:2]
    points = (plane - plane.mean(axis=1, keepdims=True)).T
    score, level = geometry.ring_score(points), geometry.ring_level(points)
    return {"data_ring_score": score, "data_ring_level": level}


def deciles(frequency: np.ndarray, which: np.ndarray) -> tuple[float, float]:
    """Share of the words that something is true of: of the most frequent tenth, and the rarest.

    >>> deciles(np.arange(20.0), np.arange(20) >= 19)
    (0.5, 0.0)
    """
    order = np.argsort(-frequency, kind="stable")
    tenth = max(1, len(order) // 10)
    return float(which[order[:tenth]].mean()), float(which[order[-tenth:]].mean())


def related(correlation: np.ndarray) -> np.ndarray:
    """The four words most correlated with each word, (d, 4)."""
    others = np.where(np.isfinite(correlation), correlation, -1.0)
    np.fill_diagonal(others, -1.0)
    return np.argsort(-others, axis=1, kind="stable")[:, :RELATED]


def context_supported(correlation: np.ndarray) -> np.ndarray:
    """The tenth of the words that is most correlated with the four words nearest to each."""
    strength = np.take_along_axis(correlation, related(correlation), axis=1).mean(axis=1)
    order = np.argsort(-np.nan_to_num(strength, nan=-1.0), kind="stable")
    return order[: max(1, round(SUPPORTED * len(order)))]


def blocked(model: Autoencoder, features: Features, correlation: np.ndarray) -> float:
    """Share of context-supported words whose three towers stand as the paper has them.

    With its four related words a word's pre-activation is above what it is alone; the related words
    without it stay below 0.5; four unrelated ones change it by less than half as much as those.
    """
    near, held = related(correlation), features.validation.sum(axis=0)
    right = []
    for word in context_supported(correlation):
        far = np.flatnonzero(np.abs(correlation[word]) < UNRELATED)[:RELATED]
        if held[word] < OFTEN or len(far) < RELATED:
            continue
        towers = reconstruction.towers(model, word, near[word].tolist(), far.tolist())
        support, none = towers.related[2:].sum(), towers.unrelated[2:].sum()
        below = towers.without.sum() < RECONSTRUCTED
        right.append(support > 0 and below and abs(none) < support / 2)
    return float(np.mean(right)) if right else np.nan


def seasonal_share(W: np.ndarray, features: Features) -> float:
    """Share of the seasonal words that are nearer to their own months than to the others."""
    months = features.groups.get("months", ())
    place = {word: i for i, word in enumerate(features.names)}
    present = [word for word in SEASONAL if word in place]
    if not months or not present:
        return np.nan
    cosines = geometry.cosines(W)
    nearer = []
    for word in present:
        to_months = cosines[place[word], list(months)]
        own = np.isin(np.arange(len(months)), SEASONAL[word])
        nearer.append(to_months[own].mean() > to_months[~own].mean())
    return float(np.mean(nearer))


def cancelled(W: np.ndarray, features: Features) -> float:
    """What all months together add to Christmas, |sum| relative to the sum of absolute values."""
    months = features.groups.get("months", ())
    if not months or CHRISTMAS not in features.names:
        return np.nan
    each = W[:, features.names.index(CHRISTMAS)] @ W[:, list(months)]
    return float(abs(each.sum()) / np.abs(each).sum())
