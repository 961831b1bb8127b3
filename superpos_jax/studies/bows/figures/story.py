"""What the study tells of one cell on a page: its feature vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from superpos_jax.drawing.select import Result
from superpos_jax.drawing.story import Part, Vectors

DIRECTIONS = 6
"""Principal directions of the vectors to choose from, at most."""


def features_story(result: Result, point: Mapping[str, Any]) -> Iterator[Part]:
    """The columns of W of one cell in their principal directions, if the weights are stored."""
    values = result.dataset.sel(point)
    if "W" not in values:
        return
    W = values["W"].values
    W = W[np.isfinite(W).all(axis=1)]  # the rows that the cell has
    if W.size:
        _, principal = np.linalg.eigh(W @ W.T)  # the largest last
        vectors = W.T @ principal[:, : -DIRECTIONS - 1 : -1]
        directions = tuple(f"principal direction {k}" for k in range(1, vectors.shape[1] + 1))
        yield Vectors("Feature vectors", {"features, columns of W": vectors}, directions)
