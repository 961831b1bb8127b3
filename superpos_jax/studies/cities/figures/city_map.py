"""Where a linear probe puts every place: a map for each number of dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from superpos_jax.drawing import style as look
from superpos_jax.drawing.needs import missing
from superpos_jax.drawing.panels import evenly, with_room
from superpos_jax.drawing.select import Result, narrow, tidy
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.story import Part, Vectors
from superpos_jax.drawing.style import BLUE, GRID, INK, ORANGE
from superpos_jax.results.runs import seed_values

NAME = "map"
ARRAYS = ("read", "held_out", "mark")
PANELS, ACROSS = 6, 3
"""Maps at most, and in a row."""
ROOM = 0.06
"""Around the places, relative to their extent."""
KINDS = ("the probe's own", BLUE), ("held out from it", ORANGE)
NAMES_FROM = 0.5
"""R2 of a map with names; on others they lie upon each other."""


def applies(dataset: xr.Dataset) -> str | None:
    """None if the probe's coordinates are there, else why not."""
    return missing(dataset, NAME, (*ARRAYS, "probe_r2"))


def city_map_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `map`: one row per place that is drawn and number of dimensions.

    Columns: emb_dim, latitude and longitude (as the probe reads them, degrees), held_out, name
    (empty of most), r2 (on held-out places), r2_min and r2_max (of all seeds). Of several seeds the
    first one is drawn.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    seeds = next(iter(seed_values(result.dataset)), {})
    dataset, taken = narrow(result.dataset, ("emb_dim",), {**seeds, **select}, pool=())
    point = {axis: value for axis, value in taken.items() if axis not in seeds}
    frames = []
    names = ["", *dataset["mark"].attrs["names"]]
    for index in evenly(dataset.sizes["emb_dim"], PANELS):
        cell = dataset.isel(emb_dim=index)
        drawn = cell["mark"].values >= 0
        latitude, longitude = cell["read"].values[drawn].T
        columns = {
            "latitude": latitude,
            "longitude": longitude,
            "held_out": cell["held_out"].values[drawn] > 0,
            "name": [names[mark] for mark in cell["mark"].values[drawn].astype(int)],
        }
        frame = pd.DataFrame({"emb_dim": cell["emb_dim"].item(), **columns})
        every = result.dataset["probe_r2"].sel(emb_dim=cell["emb_dim"].item(), **point)
        low, high = float(every.min()), float(every.max())
        r2 = cell["probe_r2"].item()
        frames.append(frame.assign(r2=r2, r2_min=low, r2_max=high))
    frame = tidy(result, pd.concat(frames, ignore_index=True), taken)
    frame.attrs["source"] = dataset["read"].attrs.get("source", "")
    return frame


def city_map(result: Result, **select: Any) -> Figure:
    """Latitude and longitude of every place as a linear probe reads them from its vector.

    The probe (ridge) is fitted to some of the places; the others are held out (the paper's city
    map). No pair of places is more frequent than another: the data contain no map.

    Arguments:
        result: of the study cities.
        select: values of other swept axes, or a list that restricts emb_dim.

    Returns a Figure. Raises ValueError where the probe's coordinates are not in the result.

    Example:
        city_map(result, emb_dim=[50]).savefig("map.png")
    """
    return _draw(city_map_table(result, **select))


def places_story(result: Result, point: Mapping[str, Any]) -> Iterator[Part]:
    """Places of one cell as the probe reads them, from the middle of all of them."""
    values = result.dataset.sel(point)
    if applies(result.dataset) is None and np.isfinite(values["probe_r2"]):
        drawn = values["mark"].values >= 0
        north_and_east = values["read"].values[drawn]
        places = (north_and_east - north_and_east.mean(axis=0))[:, ::-1]
        out = values["held_out"].values[drawn] > 0
        groups = {name: places[out == kind] for kind, (name, _) in enumerate(KINDS)}
        directions = "degrees east of the middle", "degrees north"
        yield Vectors("Places as the probe reads them", groups, directions)


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    dims = np.sort(table["emb_dim"].unique())
    across = min(ACROSS, len(dims))
    down = -(-len(dims) // across)
    wide = 3.2 if across > 1 else 6.4
    low, high = _extent(table)
    aspect = 1 / max(0.2, np.cos(np.radians((low[1] + high[1]) / 2)))
    tall = wide * aspect * (high[1] - low[1]) / (high[0] - low[0]) + 0.4
    title = "A linear map of the cities without correlated data"
    caption = [
        "Points: where a linear probe of a place's vector puts it. R$^2$ on places held out from"
        " it, mean of latitude and longitude.",
        f"One seed. Names where there is room, and an R$^2$ of {NAMES_FROM:g} or more.",
        f"{table.attrs['source']}." if table.attrs["source"] else "",
    ]
    setting = table.attrs["setting"]
    figure = look.page(wide * across + 0.2, tall * down, title, setting, caption, key="top")
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    for panel in panels[len(dims) :]:
        panel.set_visible(False)
    for panel, dim in zip(panels, dims, strict=False):
        own = table[table["emb_dim"] == dim]
        _places(panel, own)
        panel.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect=aspect)
        r2, least, most = own[["r2", "r2_min", "r2_max"]].iloc[0]
        others = f" (seeds: {least:.2f} to {most:.2f})" if most > least else ""
        panel.set_title(f"{dim} dimensions: R$^2$ = {r2:.2f}{others}", size=9, pad=4)
        panel.locator_params(nbins=4)
        panel.tick_params(labelsize=7.5, length=2, width=0.5)
        panel.set(xlabel="longitude (°)", ylabel="latitude (°)")
        panel.label_outer()
    figure.draw_without_rendering()  # sizes of the panels are known from here on
    for panel, dim in zip(panels, dims, strict=False):
        own = table[table["emb_dim"] == dim]
        if own["r2"].iloc[0] >= NAMES_FROM:
            _names(panel, own[(own["name"] != "") & np.isfinite(own["latitude"])])
    dot: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 4}
    look.page_key(figure, [Line2D([], [], label=kind, color=c, **dot) for kind, c in KINDS])
    return figure


def _extent(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest longitude and latitude of all maps, with room around them."""
    points = table[["longitude", "latitude"]].to_numpy(float)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return np.array([-1.0, -1.0]), np.array([1.0, 1.0])
    low, high = points.min(axis=0), points.max(axis=0)
    return low - ROOM * (high - low), high + ROOM * (high - low)


def _places(panel: Axes, own: pd.DataFrame) -> None:
    """Places of both kinds."""
    for (_, colour), out in zip(KINDS, (False, True), strict=True):
        part = own[own["held_out"] == out]
        panel.scatter(part["longitude"], part["latitude"], s=5, color=colour, lw=0, alpha=0.75)
    for side in panel.spines.values():
        side.set(color=GRID, linewidth=0.8)


def _names(panel: Axes, named: pd.DataFrame) -> None:
    """Places that have a name, and those of the names that have room."""
    halo, size = [withStroke(linewidth=1.8, foreground="white")], 6.5
    how: dict[str, Any] = {"size": size, "ha": "center", "path_effects": halo, "zorder": 5}
    points, texts = named[["longitude", "latitude"]].to_numpy(float), named["name"].tolist()
    places = panel.transData.transform(points) * 72 / panel.figure.dpi
    for i in np.flatnonzero(with_room(places, texts, size)):
        panel.plot(*points[i], marker="o", ms=3.2, mfc="white", mec=INK, mew=0.9, zorder=4)
        panel.annotate(texts[i], points[i], (0, 3), textcoords="offset points", **how)


MAP = FigureSpec(
    NAME,
    city_map_table,
    _draw,
    "latitude and longitude of places as a probe reads them, over emb_dim",
    applies,
    arrays=dict.fromkeys(ARRAYS, 0),
    story=places_story,
)
