"""Rings or pairs over the numbers of the data: small maps over beta and s."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from superpos_jax.drawing import scalars
from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import lost_words
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.select import Result, narrow
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import INK, SOFT
from superpos_jax.studies.bows.figures.setting import tidy

NEEDS = Needs(swept=("beta", "s"))
QUANTITIES = {
    "antipodality": "share of features\nwith an antipode",
    "cyclic_correlation": "correlation\nwith the ring",
}
KEEP = ("weight_decay", "m", "s", "beta")


def applies(dataset: xr.Dataset) -> str | None:
    """None if beta and s are swept, else why not."""
    return missing(dataset, "settings", tuple(QUANTITIES), NEEDS)


def settings_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `settings`: one row per (quantity, weight decay, m, s, beta), seeds pooled.

    Columns: quantity, weight_decay, m, s, beta, runs, died, unfinished, mean, median, min, q25,
    q75, max over the surviving seeds, and the value of every other swept axis.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset, taken = narrow(result.dataset, KEEP, select)
    frames = [scalars.summary(dataset, name, KEEP).assign(quantity=name) for name in QUANTITIES]
    return tidy(result, pd.concat(frames, ignore_index=True), taken)


def settings(result: Result, **select: Any) -> Figure:
    """Antipodal pairs and rings over beta and s, a map for each m and weight decay.

    The published script and the functions it calls have different s and beta, which lead to
    different geometry; the map shows where each lies.

    Arguments:
        result: of the study bows; it sweeps beta and s.
        select: `structure="sphere"`, or lists that restrict beta, s, m or weight_decay.

    Returns a Figure. Raises ValueError where beta or s is not swept.

    Example:
        settings(result, m=[6]).savefig("settings.png")
    """
    return _draw(settings_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    decays, ms, ss, betas = (np.unique(table[axis]) for axis in KEEP)
    lines = [(quantity, decay) for quantity in QUANTITIES for decay in decays]
    wide, high = 0.42 * len(betas) + 0.5, 0.3 * len(ss) + 0.5
    width = max(6.8, wide * len(ms) + 2.4)
    title = "Pairs and rings over s and β"
    body = high * len(lines) + 0.4
    figure = look.page(width, body, title, table.attrs["setting"], _caption(table))
    grid = figure.subplots(len(lines), len(ms), squeeze=False, sharex=True, sharey=True)
    norm, colours = Normalize(0, 1), matplotlib.colormaps["viridis"]
    for m, above, below in zip(ms, grid[0], grid[-1], strict=True):
        above.set_title(f"m = {m}", size=8.5)
        below.set_xlabel("β")
    for panels, (quantity, decay) in zip(grid, lines, strict=True):
        own = table[(table["quantity"] == quantity) & (table["weight_decay"] == decay)]
        for axes, m in zip(panels, ms, strict=True):
            by = own[own["m"] == m].pivot(index="s", columns="beta", values="mean")
            means = by.to_numpy(float)
            axes.imshow(means, norm=norm, cmap=colours, origin="lower", aspect="auto")
            for (i, j), mean in np.ndenumerate(means):
                if np.isfinite(mean):
                    colour = INK if norm(mean) > 0.6 else "white"
                    axes.text(j, i, f"{mean:.2f}", ha="center", va="center", size=7, color=colour)
            axes.set_xticks(range(len(betas)), labels=[f"{beta:g}" for beta in betas])
            axes.set_yticks(range(len(ss)), labels=[f"{s:g}" for s in ss])
            axes.tick_params(labelsize=8, length=2, width=0.5, color=SOFT)
        panels[0].set_ylabel("s", rotation=0, labelpad=8)
        words = f"{QUANTITIES[quantity]}\nwd {decay:g}"
        panels[-1].annotate(words, (1.04, 0.5), xycoords="axes fraction", va="center", size=8)
    bar = figure.colorbar(
        ScalarMappable(norm, colours), ax=grid, pad=0.01, aspect=30, fraction=0.03
    )
    bar.ax.tick_params(labelsize=8, length=2, width=0.5, color=SOFT)
    bar.outline.set_visible(False)
    return figure


def _caption(table: pd.DataFrame) -> list[str]:
    seeds = int(table["runs"].max())
    first = table[table["quantity"] == next(iter(QUANTITIES))]
    return [
        f"Each cell: the mean over {seeds} seeds." if seeds > 1 else "One seed.",
        "Feature i of d is on with probability sigmoid(s⟨uᵢ, z⟩ + β): uᵢ is its direction, z a"
        " sample's point of the structure. Antipode: another feature at a cosine below -0.8. Ring:"
        " WᵀW against cos(2π(i - j)/d).",
        lost_words(first),
    ]


SETTINGS = FigureSpec(
    "settings", settings_table, _draw, "antipodal pairs and rings over beta and s", applies, NEEDS
)
