"""How much of a network's answer comes from which inputs: integrated gradients."""

from __future__ import annotations

import numpy as np

from superpos_jax.studies.large_lr.network import Params, input_gradient

STEPS = 16
KEPT = 0.98
"""Attributions of a sample are clipped where its sorted cumulative sum reaches that share."""


def integrated_gradients(
    params: Params, x: np.ndarray, y: np.ndarray, steps: int = STEPS
) -> np.ndarray:
    """(rows, inputs): x_i times the mean of d logit_y / d x_i on the way from 0 to x.

    By the midpoint rule. Over the inputs they sum up to logit_y(x) - logit_y(0), exactly in the
    limit of many steps; without biases the gradient is the same all the way, and one step is exact.
    """
    total = np.zeros_like(x)
    for share in (np.arange(steps) + 0.5) / steps:
        total += input_gradient(params, x.dtype.type(share) * x, y)
    return x * total / steps


def clipped(attribution: np.ndarray, kept: float = KEPT) -> np.ndarray:
    """Absolute attributions, each sample's clipped at one of them.

    It is the first one, from the smallest up, at which their cumulative sum reaches a share.

    >>> clipped(np.array([[1.0, -1.0, 98.0], [0.5, 99.0, 0.5]]), 0.02).tolist()
    [[1.0, 1.0, 1.0], [0.5, 99.0, 0.5]]
    """
    sizes = np.abs(attribution)
    rising = np.sort(sizes, axis=1)
    sums = np.cumsum(rising, axis=1)
    first = (sums >= kept * sums[:, -1:]).argmax(axis=1)
    return np.minimum(sizes, np.take_along_axis(rising, first[:, None], axis=1))


def use(attribution: np.ndarray, mask: np.ndarray) -> float:
    """The share of the clipped attribution that lies on some inputs, averaged over samples.

    Samples without any attribution are left out.

    Args:
        attribution: (rows, inputs).
        mask: (inputs,) bool.
    """
    sizes = clipped(attribution)
    total = sizes.sum(axis=1)
    shares = sizes[:, mask].sum(axis=1)[total > 0] / total[total > 0]
    return float(shares.mean()) if len(shares) else float("nan")
