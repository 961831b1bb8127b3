"""The images: which there are, and which a seed trains on."""

from __future__ import annotations

import numpy as np

from superpos_jax.engine.study import DataSet
from superpos_jax.studies.images import IMAGES, images, order

__all__ = ["IMAGES", "TEST", "chosen", "images", "order"]

TEST = 297
"""Images held out: the last ones of the shuffled order."""


def chosen(dataset: DataSet) -> np.ndarray:
    """Numbers of the images of a data set: training from the front, test from the back."""
    seed, name = dataset.key
    shuffled = order(seed)
    return shuffled[: dataset.samples] if name == "train" else shuffled[IMAGES - dataset.samples :]
