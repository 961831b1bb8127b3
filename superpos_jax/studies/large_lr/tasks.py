"""The tasks: a core that makes the label, and a cue that mostly speaks for it in training.

Every task gives samples (x, y, s): inputs, the label y in 0 .. K-1, and the label s that the
sample's cue speaks for, -1 where it has none. A sample is *aligned* where s = y, *conflicting*
where it has a cue and s is another label.

boolean, by Qiu, Kuang and Goel (2024, arXiv 2403.03375): bits c, core; y = their product; s = y
with probability rho, else -y; bits that mean nothing. cues: the same, its cue without meaning, and
8 further inputs that are 0 but in the few samples that have a cue. moons: two interleaved half
circles, and one coordinate that separates the labels with probability rho. The tasks of images are
in `digits.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from superpos_jax.studies.images import PIXELS
from superpos_jax.studies.large_lr.cell import TASKS, Numbers
from superpos_jax.studies.large_lr.digits import CHANNELS, CLASSES, colored, double
from superpos_jax.studies.large_lr.samples import Batch, Stream

RARE = 8
"""Inputs that may hold a rare cue, one of them at a time."""
MOON_NOISE, CUE_NOISE = 0.1, 0.3
"""Standard deviations: of the points of both half circles, and of the cue beside them."""


class Task(NamedTuple):
    """A task by its functions.

    Attributes:
        classes: labels.
        groups: of the inputs, by their number, in their order: core, cue, nothing; of a cell.
        draw: `draw(stream, count)`: its first so many samples.
    """

    classes: int
    groups: Callable[[Numbers], dict[str, int]]
    draw: Callable[[Stream, int], Batch]

    def inputs(self, cell: Numbers) -> int:
        """Inputs of the network."""
        return sum(self.groups(cell).values())

    def mask(self, cell: Numbers, group: str) -> np.ndarray:
        """(inputs,) bool: which belong to a group."""
        groups = self.groups(cell)
        return np.repeat([name == group for name in groups], [*groups.values()])


def boolean(stream: Stream, count: int) -> Batch:
    """Bits (count, k_c + k_s + n_n), each -1 or 1 times an amplitude.

    The product of the k_c core bits is the label, that of the k_s bits of the cue is its label.
    """
    cell = stream.cell
    core, cue = cell.k_c, cell.k_c + cell.k_s
    uniform = stream.uniform(count, cue + cell.n_n + 2)
    bits = np.where(uniform[:, :-2] < 0.5, np.float32(-1), np.float32(1))
    y = bits[:, :core].prod(axis=1)
    s = np.where(uniform[:, -2] < stream.rho, y, -y)
    bits[:, cue - 1] = s * bits[:, core : cue - 1].prod(axis=1)
    bits[:, :core] *= np.float32(cell.core_amp)
    bits[:, core:cue] *= np.float32(cell.amp)
    y = np.where(uniform[:, -1] < stream.noise, -y, y)
    return Batch(bits, _label(y), _label(s))


def cues(stream: Stream, count: int) -> Batch:
    """`boolean` with a cue that says nothing, then 8 inputs of which a few samples have one.

    x_r = amp (2y - 1) chi for one r of 8, chi = 1 with probability rho, else -1. Where the cue is
    unbiased, a third of the samples has none, a third an aligned and a third a conflicting one.
    """
    x, y, _ = boolean(stream._replace(rho=0.5), count)
    uniform = stream.uniform(count, 3, which=1)
    present = uniform[:, 0] < (2 / 3 if stream.unbiased else stream.cell.cue_share)
    speaks_true = uniform[:, 1] < stream.rho
    s = np.where(speaks_true, y, 1 - y)
    rare = np.zeros((count, RARE), np.float32)
    places = np.minimum((uniform[:, 2] * RARE).astype(int), RARE - 1)
    rare[np.arange(count), places] = np.where(present, stream.cell.amp * (2 * s - 1), 0)
    x = np.concatenate([x, rare], axis=1)
    return Batch(x, y, np.where(present, s, -1).astype(np.int32))


def moons(stream: Stream, count: int) -> Batch:
    """Points of two half circles (count, 2), the cue (count, 1), and normal noise (count, n_n).

    y = 0: (cos t, sin t); y = 1: (1 - cos t, 0.5 - sin t); t uniform in [0, pi]. The cue is
    amp (2s - 1) and noise.
    """
    cell = stream.cell
    uniform = stream.uniform(count, 4)
    normal = stream.normal(count, 3 + cell.n_n)
    y = uniform[:, 0] < 0.5
    s = np.where(uniform[:, 1] < stream.rho, y, ~y)
    t = np.float32(np.pi) * uniform[:, 2]
    side = np.where(y, np.float32(-1), np.float32(1))
    circles = np.stack([side * np.cos(t) + y, side * np.sin(t) + np.float32(0.5) * y], axis=1)
    core = circles + np.float32(MOON_NOISE) * normal[:, :2]
    cue = np.float32(cell.amp) * (2 * s - np.float32(1)) + np.float32(CUE_NOISE) * normal[:, 2]
    x = [np.float32(cell.core_amp) * core, cue[:, None], normal[:, 3:]]
    y = y ^ (uniform[:, 3] < stream.noise)
    return Batch(
        np.concatenate(x, axis=1).astype(np.float32), *(a.astype(np.int32) for a in (y, s))
    )


def _label(sign: np.ndarray) -> np.ndarray:
    return (sign > 0).astype(np.int32)


def _bits(cell: Numbers) -> dict[str, int]:
    return {"core": cell.k_c, "cue": cell.k_s, "nothing": cell.n_n}


_ALL: dict[str, Task] = {
    "boolean": Task(2, _bits, boolean),
    "moons": Task(2, lambda cell: {"core": 2, "cue": 1, "nothing": cell.n_n}, moons),
    "cues": Task(
        2,
        lambda cell: {"core": cell.k_c, "nothing": cell.k_s + cell.n_n, "cue": RARE},
        cues,
    ),
    # The color of an image is in the pixels of its digit: no input is of the core alone.
    "colored_digits": Task(CLASSES, lambda cell: {"both": CHANNELS * PIXELS}, colored),
    "double_digits": Task(CLASSES, lambda cell: {"core": PIXELS, "cue": PIXELS}, double),
}


def task_of(cell: Numbers) -> Task:
    """The task of a cell, by its name."""
    return _ALL[TASKS[cell.task]]
