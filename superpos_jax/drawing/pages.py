"""Pages of several parts: their tables stacked into one, and a legend above a part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.transforms import offset_copy


def stack(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One table of all parts, the first column their names; empty where a part has no column."""
    frames = []
    for part, table in parts.items():
        frame = table.copy()
        frame.attrs = {}
        frame.insert(0, "part", part)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def key_above(axes: Axes, keys: Sequence[Artist], points: float) -> None:
    """A legend in one line, so many points above the axes."""
    where = offset_copy(axes.transAxes, axes.get_figure(root=True), y=points, units="points")
    for key in keys:
        key.set_label(str(key.get_label()).replace("\n", " "))
    how: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0)}
    how |= {"bbox_transform": where, "borderaxespad": 0.0, "borderpad": 0.0}
    how |= {"columnspacing": 1.2, "handlelength": 1.6}
    axes.legend(handles=keys, ncols=len(keys), **how)
