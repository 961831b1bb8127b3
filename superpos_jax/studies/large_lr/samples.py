"""Samples, and the endless streams of random numbers that they are made of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from superpos_jax.studies.large_lr.cell import Numbers

PARTS = ("train", "validation", "test")
"""Data sets: `validation` is distributed as training is, without flipped labels; in `test` the cue
says nothing of the label."""


class Batch(NamedTuple):
    """x: (rows, inputs) float32; y, s: (rows,) int32, label and what the cue speaks for."""

    x: Any
    y: Any
    s: Any


class Stream(NamedTuple):
    """What an endless stream of samples depends on: neither the network nor its training.

    Attributes:
        part: of `PARTS`.
        cell: the numbers of its task; all others at their defaults, so that streams are shared.
        rho: how often the cue speaks for the label.
        noise: share of labels that are flipped.
    """

    part: str
    cell: Numbers
    rho: float
    noise: float

    @property
    def unbiased(self) -> bool:
        """Whether the cue says nothing of the label."""
        return self.part == "test"

    def uniform(self, count: int, columns: int, which: int = 0) -> np.ndarray:
        """(count, columns) float32 in [0, 1); a smaller count gives the first rows."""
        return self._random("uniform", which).random((count, columns), np.float32)

    def normal(self, count: int, columns: int, which: int = 0) -> np.ndarray:
        """(count, columns) float32, standard normal; a smaller count gives the first rows."""
        return self._random("normal", which).standard_normal((count, columns), np.float32)

    def _random(self, kind: str, which: int) -> np.random.Generator:
        kinds = ("uniform", "normal")
        return np.random.default_rng(
            (self.cell.seed, PARTS.index(self.part), kinds.index(kind), which)
        )


def stream_of(part: str, cell: Numbers, chance: float) -> Stream:
    """The stream of a data set of a cell.

    Args:
        part: of `PARTS`.
        cell: whose task it is.
        chance: how often the cue speaks for the label where it says nothing of it: 1 / classes.
    """
    names = ("task", "seed", "rho", "amp", "core_amp", "k_c", "k_s", "n_n", "cue_share")
    task = Numbers(**{name: getattr(cell, name) for name in names})
    rho = chance if part == "test" else cell.rho
    return Stream(part, task, rho, cell.noise if part == "train" else 0.0)


def aligned(y: Any, s: Any) -> Any:
    """Which samples have a cue that speaks for their label."""
    return s == y


def conflicting(y: Any, s: Any) -> Any:
    """Which samples have a cue that speaks for another label."""
    return (s != y) & (s >= 0)
