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
PALE = 0.85
"""Lightness from which on a colour is a tint of the page."""
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
    """A colour of an area: greys and pale tints turned over, any other as it is.

    Example:
        >>> [round(level, 2) for level in turned("white")], turned("#0072B2") == to_rgba("#0072B2")
        ([0.09, 0.09, 0.09, 1.0], True)
    """
    red, green, blue, alpha = to_rgba(colour)
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    if not _is_grey(red, green, blue) and lightness < PALE:
        return red, green, blue, alpha
    turned_over = PAPER + (1 - lightness) * (BRIGHT - PAPER) / (1 - INK_LIGHTNESS)
    return *colorsys.hls_to_rgb(hue, min(turned_over, 1.0), saturation), alpha


def lifted(colour: Any) -> Colour:
    """A colour of a line or of text: as `turned`, other colours than greys nearer to white.

    Example:
        >>> [round(level, 2) for level in lifted("#440154")]
        [0.67, 0.01, 0.82, 1.0]
    """
    red, green, blue, alpha = turned(colour)
    if _is_grey(red, green, blue):
        return red, green, blue, alpha
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    return *colorsys.hls_to_rgb(hue, lightness + LIFT * (1 - lightness), saturation), alpha


def _is_grey(*levels: float) -> bool:
    return max(levels) - min(levels) <= GREY


def _turn(artist: Artist) -> None:
    """Give an artist its colours of the dark page."""
    if isinstance(artist, Text):
        _change(artist, lifted, "color")
    elif isinstance(artist, Line2D):
        _change(artist, lifted, "color", "markerfacecolor", "markeredgecolor")
    elif isinstance(artist, Patch):
        _change(artist, turned, "facecolor", "edgecolor")
    elif isinstance(artist, Collection):
        _turn_collection(artist)


def _change(artist: Artist, change: Callable[[Any], Colour], *names: str) -> None:
    """Change colours of an artist, all read before one is set: a marker may follow its line."""
    colours = {name: getattr(artist, f"get_{name}")() for name in names}
    shown = {name: own for name, own in colours.items() if to_rgba(own)[3] > 0}
    artist.set(**{name: change(own) for name, own in shown.items()})


def _turn_collection(artist: Collection) -> None:
    if artist.get_array() is None:
        artist.set_facecolor([lifted(colour) for colour in np.atleast_2d(artist.get_facecolor())])
        artist.set_edgecolor([lifted(colour) for colour in np.atleast_2d(artist.get_edgecolor())])
    elif isinstance(cmap := artist.get_cmap(), ListedColormap) and cmap.N <= FEW:
        artist.set_cmap(ListedColormap([turned(cmap(level)) for level in range(cmap.N)]))
