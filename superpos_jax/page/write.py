"""Results as one HTML file that needs nothing else: no server, no network."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import matplotlib
from matplotlib.colors import to_hex

from superpos_jax.drawing.dark import lifted
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.style import PALETTE
from superpos_jax.errors import UserError
from superpos_jax.page.contents import contents

HERE = Path(__file__).parent
COLOURS = 256


def page(results: Sequence[Result], stamp: str = "") -> str:
    """The HTML of a page of some results, side by side.

    Args:
        results: one or more.
        stamp: of the numbers, where a server has newer ones later; empty where none does.

    Raises:
        UserError: nothing is measured yet, or Bokeh is not installed.
    """
    names = ", ".join(result.name for result in results)
    parts = {
        "title": html.escape(f"{names} - superpos_jax"),
        "connect": "'self'" if stamp else "'none'",
        "css": (HERE / "page.css").read_text(encoding="utf-8"),
        "data": in_script(data(results, stamp)),
        "bokeh": bokeh(),
        "script": (HERE / "page.js").read_text(encoding="utf-8"),
    }
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(parts)


def data(results: Sequence[Result], stamp: str = "") -> dict[str, Any]:
    """What the page's script reads: the results, and the colours of the package's figures.

    Raises:
        UserError: nothing is measured yet.
    """
    shown = []
    for result in results:
        try:
            shown.append(contents(result))
        except ValueError as error:
            raise UserError(f"{result.name}: {error}") from None
    colours = matplotlib.colormaps["viridis"].resampled(COLOURS)
    shades = [to_hex(colours(level)) for level in range(COLOURS)]
    return {
        "stamp": stamp,
        "results": shown,
        "palette": PALETTE,
        "dark_palette": [to_hex(lifted(colour)) for colour in PALETTE],
        "shades": shades,
    }


def in_script(values: Any) -> str:
    """JSON that no text in it can end the script element early.

    Example:
        >>> in_script({"name": "</script>"})
        '{"name":"\\\\u003c/script>"}'
    """
    return json.dumps(values, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def bokeh() -> str:
    """The plotting library of the page, as it is installed.

    Raises:
        UserError: it is not.
    """
    try:
        from bokeh.resources import Resources
    except ImportError:
        raise UserError(
            'a page needs Bokeh, which is not installed: pip install "superpos_jax[page]"'
        ) from None
    return "\n".join(Resources(mode="inline", components=["bokeh", "bokeh-api"]).js_raw)
