"""The look that all figures share: colours, page and axes."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import matplotlib
import numpy as np
from matplotlib import style as mpl_style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis, YAxis
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import Colormap, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from superpos_jax.text import NBSP

# Okabe-Ito: told apart by every common kind of colour vision.
BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
ORANGE = "#E69F00"
PINK = "#CC79A7"
SKY = "#56B4E9"
PALETTE = (BLUE, VERMILLION, GREEN, PINK, ORANGE, SKY)
"""For lines that have no order."""
INK = "#222222"
SOFT = "#6B6B6B"
GRID = "#E4E4E4"
DEAD = "#B5B5B5"

FONT = "DejaVu Sans"
"""It comes with matplotlib: figures are the same on every machine."""
RC: Any = {
    "font.family": FONT,
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.7,
    "axes.titlesize": 9,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "mathtext.fontset": "dejavusans",
    "svg.hashsalt": "superpos_jax",  # of the names of parts, which are random otherwise
}

style = mpl_style.context(["default", RC])
"""Whatever a matplotlibrc says: matplotlib's own defaults, and what the figures change of them."""
SHARP = 2
"""Pixels of a notebook's picture for each that it takes."""
logger = logging.getLogger(__name__)


class Page(Figure):
    """A figure that keeps its style when it is drawn later, and shows itself in a notebook."""

    @style
    def draw(self, renderer: RendererBase) -> None:
        """Draw with the style: ticks are made only now."""
        super().draw(renderer)

    @style
    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Write a file with the style."""
        super().savefig(*args, **kwargs)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The picture, and its size in pixels of the notebook."""
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=SHARP * self.dpi)
        width, height = (round(inches * self.dpi) for inches in self.get_size_inches())
        return picture.getvalue(), {"width": width, "height": height}


KEY, SIDE = 0.24, 1.4
LETTER = 0.078
"""Width of a letter of the legend in inches."""
LINES, LETTERS = 3, 330
"""Of a caption at most."""
SMALL = 8.0
"""Points of the type of settings and captions."""
NUMBER = "{:,.10g}".format
"""A number in a label of an axis."""


def wrapped(text: str, inches: float) -> list[str]:
    """Small text in lines that are no wider; broken at spaces that may be broken.

    Example:
        >>> wrapped("a few words of text", 0.7)
        ['a few words', 'of text']
    """
    lines: list[str] = []
    left = 0.0
    for word in text.split(" "):
        more = _width(f" {word}")
        if lines and more <= left:
            lines[-1] += f" {word}"
            left -= more
        else:
            lines.append(word)
            left = inches - _width(word)
    return lines


@lru_cache(maxsize=4096)  # a caption is wrapped again with each of its sentences
def _width(text: str) -> float:
    """Inches that small text takes. Widths add up at spaces: no kerning crosses one."""
    font = get_font(findfont(FontProperties(family=FONT)))
    font.set_size(SMALL, 72)
    font.set_text(text, 0.0)
    return float(font.get_width_height()[0] / 64 / 72)


def fitting(sentences: Iterable[str], inches: float) -> list[str]:
    """The lines of a caption: its sentences, in their order.

    A sentence that has no room beside those before it is left out, and a warning says so.

    Example:
        >>> fitting(["Short.", "Too long for what is left of it. " * 9, "And this."], 2.0)
        ['Short. And this.']
    """
    lines: list[str] = []
    for sentence in filter(None, sentences):
        text = sentence.strip().replace(" %", f"{NBSP}%")
        longer = wrapped(" ".join([*lines, text]), inches)
        if len(longer) <= LINES and sum(map(len, longer)) <= LETTERS:
            lines = longer
        else:
            logger.warning("left out, the caption has no room for it: %s", text)
    return lines


def side_room(labels: Iterable[str]) -> float:
    """Inches that a legend beside the axes needs for its labels.

    Example:
        >>> side_room(["lr = 0.1"]), round(side_room(["a label of thirty letters or so"]), 2)
        (1.4, 2.92)
    """
    longest = max((len(line) for label in labels for line in label.split("\n")), default=0)
    return max(SIDE, 0.5 + LETTER * longest)


def page(
    width: float,
    body: float,
    title: str,
    setting: str,
    caption: Sequence[str],
    key: str = "",
    room: float = SIDE,
) -> Figure:
    """An empty page in inches: title, setting and caption in place, `body` left for the axes.

    The caption is given as sentences, the most important ones first, see `fitting`.

    With a `key` of "top" or "side" there is room for a legend there, see `page_key`; at the side so
    many inches.
    """
    lines, top = fitting(caption, width - 0.26), wrapped(setting, width - 0.26)
    header = 0.50 + 0.165 * len(top) + (KEY if key == "top" else 0.0)
    footer = 0.165 * len(lines) + 0.24
    height = header + body + footer
    figure = Page(figsize=(width, height), dpi=100)
    rect = (0.0, footer / height, 1.0 - (room / width if key == "side" else 0.0), body / height)
    figure.set_layout_engine("constrained", rect=rect, w_pad=0.06, h_pad=0.04)
    left = 0.14 / width
    small: dict[str, Any] = {"size": SMALL, "va": "top", "linespacing": 1.45}
    figure.text(left, 1 - 0.13 / height, title, size=12, weight="bold", va="top")
    figure.text(left, 1 - 0.40 / height, "\n".join(top), color=SOFT, **small)
    figure.text(left, (footer - 0.1) / height, "\n".join(lines), **small)
    return figure


def page_key(figure: Figure, handles: Sequence[Artist]) -> None:
    """The legend, in the room that `page` left for it: a line above the axes, or a column."""
    width, height = figure.get_size_inches()
    engine = figure.get_layout_engine()
    _, low, across, up = engine.get()["rect"] if engine else (0.0, 0.0, 1.0, 1.0)
    box: dict[str, Any] = {"borderaxespad": 0.0, "borderpad": 0.2, "labelspacing": 0.55}
    if across < 1:
        box |= {"loc": "upper left", "bbox_to_anchor": (across, low + up)}
    else:
        box |= {"loc": "lower left", "bbox_to_anchor": (0.1 / width, low + up + 0.04 / height)}
    figure.legend(handles=handles, ncols=1 if across < 1 else len(handles), **box)


def dress(axes: Axes, grid: str | None = None) -> None:
    """Ticks and frame. Set on the axes, since ticks are made after the style has been left."""
    axes.tick_params(labelsize=8.5, length=3, width=0.6, color=SOFT, labelcolor=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    if grid in ("x", "y", "both"):
        axes.grid(axis=grid, color=GRID, linewidth=0.6)  # type: ignore[arg-type]


ROUND, DENSE = (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
"""Times powers of ten: ticks of a log axis, and those of one of few decades."""


def round_steps(low: float, high: float, digits: Sequence[float] = ROUND) -> np.ndarray:
    """1, 2 and 5, or other digits, times powers of ten between two positive numbers, as ticks.

    Example:
        >>> round_steps(0.3, 12), round_steps(15, 80, DENSE)
        (array([ 0.5,  1. ,  2. ,  5. , 10. ]), array([15., 20., 30., 50., 70.]))
    """
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.log10(high) + 1)
    steps = np.outer(powers, digits).ravel()
    return np.asarray(steps[(steps >= low * (1 - 1e-9)) & (steps <= high * (1 + 1e-9))])


def label_inches(text: str) -> float:
    """What the label of a tick needs below an x axis, with the space to the next."""
    return 0.075 * len(text) + 0.12


def log_ticks(
    axis: Axis,
    values: Sequence[float] | np.ndarray,
    inches: float,
    text: Callable[[float], str] = NUMBER,
) -> None:
    """Label a log axis at swept values: powers of ten first, then 2 and 5 of them, then what fits.

    Below an x axis values that do not fit beside the others have their labels in a second and a
    third line, where the ends come first; beside an upright axis, before all but powers of ten.
    Where all labels together have no room the ticks stand at round numbers. A value whose text is
    not its number, as of 0 or of one with a name, comes with the powers of ten.
    """
    upright = isinstance(axis, YAxis)

    def room(texts: Sequence[str]) -> np.ndarray:
        return np.array([0.19 if upright else label_inches(text) for text in texts])

    values, lines = np.unique(np.asarray(values, float)), 1 if upright else 3
    named = {value: text(value) for value in values.tolist() if text(value) != NUMBER(value)}
    numbers = [value for value in values.tolist() if value not in named]
    steps = round_steps(numbers[0], numbers[-1]) if numbers else np.empty(0)
    if room([*map(text, values)]).sum() > lines * inches and len(steps) > 1:
        values, lines = np.unique([*steps, *named]), 1
    texts = [named.get(value) or NUMBER(value) for value in values.tolist()]
    place, sizes = np.log(values), room(texts)
    scale = inches / max(float(np.ptp(place)), 1e-9)
    mantissa = np.round(values / 10.0 ** np.floor(np.log10(values) + 1e-9), 9)
    labels: dict[int, str] = {}
    for line in range(lines):
        ends = (0, len(values) - 1) if upright or line else ()
        rank = [
            0 if x == 1 or values[i] in named else 1 if i in ends else 2 if x in (2, 5) else 3
            for i, x in enumerate(mantissa)
        ]
        chosen: list[int] = []
        for i in sorted(set(range(len(values))) - set(labels), key=lambda i: (rank[i], i)):
            needs = (sizes[i] + sizes[chosen]) / 2
            if np.all(np.abs(place[i] - place[chosen]) * scale >= needs):
                chosen.append(i)
        labels |= {i: "\n" * line + texts[i] for i in chosen}
    axis.set_major_locator(FixedLocator(values[sorted(labels)].tolist()))
    axis.set_major_formatter(FixedFormatter([labels[i] for i in sorted(labels)]))
    axis.set_minor_locator(NullLocator())


def shades(count: int) -> list[str]:
    """Ordered colours, dark to light, for lines that are ordered by a swept value."""
    colours: Colormap = matplotlib.colormaps["viridis"]
    return [to_hex(colours(x)) for x in np.linspace(0.0, 0.86, count)]
