"""The images: which there are, and which a seed trains on."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from superpos_jax.engine.study import DataSet
from superpos_jax.errors import UserError

IMAGES = 1797
TEST = 297
"""Images held out: the last ones of the shuffled order."""


@lru_cache(maxsize=1)
def images() -> tuple[np.ndarray, np.ndarray]:
    """All images, (1797, 64) float32 in [0, 1], and their classes, (1797,) int32.

    Raises:
        UserError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise UserError(
            "study digits: its images come with scikit-learn; pip install scikit-learn"
        ) from None
    digits = load_digits()
    return (digits.data / 16).astype(np.float32), digits.target.astype(np.int32)


def order(seed: int) -> np.ndarray:
    """The order in which a seed takes the images: training from the front, test from the back."""
    return np.random.default_rng(seed).permutation(IMAGES)


def chosen(dataset: DataSet) -> np.ndarray:
    """Numbers of the images of a data set."""
    seed, name = dataset.key
    shuffled = order(seed)
    return shuffled[: dataset.samples] if name == "train" else shuffled[IMAGES - dataset.samples :]
