"""The dark style: any figure of the package on a dark page."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import Collection
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

PAPER, BRIGHT = 0.09, 0.90
"""Lightness of the page, and of what is INK on a white one."""
INK_LIGHTNESS = 0.13
GREY = 0.02
"""Differences of red, green and blue up to that are a grey."""
LIFT = 0.3
"""Share of the way to white by which a colour of lines and text is lifted."""
FEW = 32
"""Colours of a map of kinds; of a scale there are more, and they stay."""
Colour = tuple[float, float, float, float]


def dark(figure: Figure) -> Figure:
    """The figure on a dark page: greys turned over, lines lifted, colours of cells as they were.

    Example:
        dark(plane(result)).savefig("plane.png")
    """
    figure.draw_without_rendering()  # ticks are made by the first drawing
    for artist in figure.findobj(include_self=False):
        if not artist.get_path_effects():  # what is drawn on a cell of its own colour
            _turn(artist)
    return figure


def turned(colour: Any) -> Colour:
    """A colour of an area: a grey turned over, any other as it is.

    Example:
        >>> [round(level, 2) for level in turned("white")], turned("#0072B2") == to_rgba("#0072B2")
        ([0.09, 0.09, 0.09, 1.0], True)
    """
    red, green, blue, alpha = to_rgba(colour)
    if max(red, green, blue) - min(red, green, blue) > GREY:
        return red, green, blue, alpha
    level = PAPER + (1 - red) * (BRIGHT - PAPER) / (1 - INK_LIGHTNESS)
    level = min(level, 1.0)
    return level, level, level, alpha


def lifted(colour: Any) -> Colour:
    """A colour of a line or of text: as `turned`, other colours than greys nearer to white.

    Example:
        >>> [round(level, 2) for level in lifted("#440154")]
        [0.67, 0.01, 0.82, 1.0]
    """
    red, green, blue, alpha = turned(colour)
    if max(red, green, blue) - min(red, green, blue) <= GREY:
        return red, green, blue, alpha
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    lighter = lightness + LIFT * (1 - lightness)
    return *colorsys.hls_to_rgb(hue, lighter, saturation), alpha


def _turn(artist: Artist) -> None:
    """Give an artist its colours of the dark page."""
    if isinstance(artist, Text):
        artist.set_color(lifted(artist.get_color()))
    elif isinstance(artist, Line2D):
        for name in ("color", "markerfacecolor", "markeredgecolor"):
            _change(artist, name, lifted)
    elif isinstance(artist, Patch):
        for name in ("facecolor", "edgecolor"):
            _change(artist, name, turned)
    elif isinstance(artist, Collection):
        _turn_collection(artist)


def _change(artist: Artist, name: str, change: Callable[[Any], Colour]) -> None:
    """One colour of an artist; nothing is left as nothing."""
    colour = getattr(artist, f"get_{name}")()
    if isinstance(colour, str) and colour in ("none", "auto"):
        return
    if to_rgba(colour)[3] > 0:
        getattr(artist, f"set_{name}")(change(colour))


def _turn_collection(artist: Collection) -> None:
    if artist.get_array() is None:
        artist.set_facecolor([lifted(colour) for colour in np.atleast_2d(artist.get_facecolor())])
        artist.set_edgecolor([lifted(colour) for colour in np.atleast_2d(artist.get_edgecolor())])
    elif isinstance(cmap := artist.get_cmap(), ListedColormap) and cmap.N <= FEW:
        artist.set_cmap(ListedColormap([turned(cmap(level)) for level in range(cmap.N)]))
