"""An axis for any values: logarithmic, linear, or one place for each name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axis import Axis, XAxis
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from superpos_jax.drawing import style as look
from superpos_jax.drawing.panels import evenly

MOST = 14
"""Ticks of a linear axis that stand at swept values; of more values round ones are chosen, of more
names evenly spaced ones."""


def set_ticks(
    axis: Axis, values: np.ndarray, texts: Sequence[str], inches: float, are_names: bool = False
) -> None:
    """Label an axis at swept values.

    Arguments:
        axis: its scale is set.
        values: where the ticks are, as `scalars.positions` has them.
        texts: what a reader calls the values.
        inches: length of the axis.
        are_names: whether values are places of names; of many names some are shown.
    """
    words = dict(zip(values.tolist(), texts, strict=True))
    if axis.get_scale() == "log":
        look.log_ticks(axis, values, inches, words.__getitem__)
        return
    room = inches / max(1, len(values))
    wide = max(len(text) for text in texts) * 0.075 + 0.1
    if are_names and wide >= room:
        shown = evenly(len(values), MOST)
        values, texts = values[shown], [texts[i] for i in shown]
    if len(values) <= MOST or wide < room:
        axis.set_major_locator(FixedLocator(values.tolist()))
        axis.set_major_formatter(FixedFormatter(list(texts)))
        axis.set_minor_locator(NullLocator())
        if isinstance(axis, XAxis) and wide > room:
            for label in axis.get_ticklabels():
                label.set(rotation=30, ha="right", rotation_mode="anchor")
