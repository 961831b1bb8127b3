"""Small real images that studies share: scikit-learn's digits."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from superpos_jax.errors import UserError

IMAGES = 1797
PIXELS = 64


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
            "the images of digits come with scikit-learn; pip install scikit-learn"
        ) from None
    digits = load_digits()
    return (digits.data / 16).astype(np.float32), digits.target.astype(np.int32)


def order(seed: int) -> np.ndarray:
    """The order in which a seed takes the images."""
    return np.random.default_rng(seed).permutation(IMAGES)
