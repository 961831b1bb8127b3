"""Planted text: bags of words whose ring, clusters and context are known by construction.

A sample has a season, an angle t ~ U[0, 2 pi), and one or two topics. Words fire independently:

    12 months        p = sigmoid(5 cos(t - t_i) - 4)
    24 seasonal      p = sigmoid(3 cos(t - t_k) - 4)
    8 topics of 25   p = 0.5 / rank^0.7 if the topic is there, else 0.005
    64 others        p = 0.3 / rank^0.7
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from superpos_jax.studies.bows.features import Features
from superpos_jax.studies.bows.synthetic import sigmoid
from superpos_jax.studies.bows.words import GROUPS

TRAIN, VALIDATION = 8_000, 2_000
MONTHS, SEASONAL, TOPICS, EACH, OTHERS = 12, 24, 8, 25, 64
WORDS = MONTHS + SEASONAL + TOPICS * EACH + OTHERS
"""300 words in that order."""


@lru_cache(maxsize=4)
def features(seed: int, seasons: bool = True) -> Features:
    """The samples of a seed; without seasons each word fires at its mean, and there is no ring."""
    rng = np.random.default_rng(seed)
    count = TRAIN + VALIDATION
    t = 2 * np.pi * rng.random(count)
    turn = [2 * np.pi * np.arange(n) / n for n in (MONTHS, SEASONAL)]
    cyclic = [
        sigmoid(strength * np.cos(t[:, None] - at) - 4)
        for strength, at in zip((5, 3), turn, strict=True)
    ]
    if not seasons:
        cyclic = [np.broadcast_to(p.mean(axis=0), p.shape) for p in cyclic]
    there = np.zeros((count, TOPICS), bool)
    for _ in range(2):  # twice the same one: a single topic
        there[np.arange(count), rng.integers(TOPICS, size=count)] = True
    profile = 0.5 / np.arange(1, EACH + 1) ** 0.7
    topical = np.where(there[:, :, None], profile, 0.005).reshape(count, -1)
    others = np.broadcast_to(0.3 / np.arange(1, OTHERS + 1) ** 0.7, (count, OTHERS))
    p = np.concatenate([*cyclic, topical, others], axis=1)
    X = (rng.random(p.shape) < p).astype(np.uint8)
    names = (
        *GROUPS["months"],
        *(f"season{k}" for k in range(SEASONAL)),
        *(f"topic{k}_{i}" for k in range(TOPICS) for i in range(EACH)),
        *(f"other{i}" for i in range(OTHERS)),
    )
    groups = {"months": tuple(range(MONTHS))}
    return Features(X[:TRAIN], X[TRAIN:], names, groups, "months")


def topics() -> np.ndarray:
    """The topic of each word, (300,), -1 for words of none."""
    each = np.arange(WORDS) - MONTHS - SEASONAL
    return np.where((each >= 0) & (each < TOPICS * EACH), each // EACH, -1)
