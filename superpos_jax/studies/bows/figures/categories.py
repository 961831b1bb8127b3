"""Small categories of words, our own: what neighbours in the weights are compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superpos_jax.studies.bows.words import GROUPS

CATEGORIES: dict[str, tuple[str, ...]] = {
    "calendar": (*GROUPS["months"], *GROUPS["days"]),
    "places": (
        "Alaska", "Angola", "Alabama", "Alberta", "Europe", "Asia", "Africa", "England", "Britain",
        "France", "Germany", "Afghanistan", "Algeria", "Andorra", "China", "India", "London",
        "Paris", "Washington",
    ),
    "government": (
        "government", "Government", "President", "president", "Congress", "Secretary", "law",
        "laws", "legal", "court", "Court", "federal", "Federal", "policy", "election", "vote",
        "tax", "rights", "political", "official",
    ),
    "science": (
        "science", "scientific", "theory", "energy", "radiation", "nuclear", "metal", "metals",
        "acid", "alkali", "gas", "temperature", "mass", "physical", "reaction", "oil", "research",
        "surface",
    ),
    "arts": (
        "music", "art", "literature", "film", "novel", "book", "books", "story", "stage",
        "audience", "literary", "writing", "published", "wrote", "style", "play",
    ),
    "body": (
        "eyes", "eye", "face", "hand", "hands", "head", "feet", "hair", "heart", "voice", "blood",
        "body", "arm", "mouth",
    ),
}  # fmt: skip
"""Words by what they are about, chosen before any model was looked at."""
NONE = -1
"""The number of words in no category."""


def categories_of(names: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """The categories of which two words or more are there, and the category of each word.

    Args:
        names: of the words.

    Returns:
        The names of the categories, and (d,) their numbers, -1 of a word in none.

    >>> categories_of(["eye", "snow", "hand", "film"])
    (('body',), array([ 0, -1,  0, -1]))
    """
    there = set(names)
    kept = [own for own, words in CATEGORIES.items() if len(there.intersection(words)) > 1]
    number = {word: i for i, own in enumerate(kept) for word in CATEGORIES[own]}
    return tuple(kept), np.array([number.get(name, NONE) for name in names])


def chance(categories: np.ndarray) -> float:
    """The share of neighbours in a word's own category if neighbours were drawn at random.

    NaN where no word is in one.

    >>> chance(np.array([0, 0, -1, -1, -1]))
    0.25
    """
    own = categories[categories != NONE]
    if not len(own):
        return np.nan
    others = np.bincount(own)[own] - 1
    return float(others.mean() / (len(categories) - 1))
