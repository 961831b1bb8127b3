"""What a figure tells of one cell: parts of its story on a page, beside histories and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Vectors:
    """Vectors from the origin, drawn in two of their directions.

    Attributes:
        title: what they are.
        groups: name -> (vectors, directions) array.
        directions: a name for each direction.
    """

    title: str
    groups: Mapping[str, np.ndarray]
    directions: tuple[str, ...]


@dataclass(frozen=True)
class Ranked:
    """Numbers, the largest first, against their rank.

    Attributes:
        title: what they are.
        groups: name -> (numbers,) array.
        guides: name -> a level to compare with.
    """

    title: str
    groups: Mapping[str, np.ndarray]
    guides: Mapping[str, float]


Part = Vectors | Ranked
