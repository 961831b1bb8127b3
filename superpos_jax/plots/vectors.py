"""Feature vectors above hidden vectors, for models with two hidden dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from superpos_jax.verdicts import ALIVE, NON_FINITE, UNFINISHED

from ._select import Result, axes, fixed, missing, narrow, representative, tidy
from ._spec import FigureSpec
from ._style import DEAD, FEATURE, GRID, INK, SAMPLE, SOFT, page, style

COLUMNS = 8
LARGEST, SPREAD = 100, 300
FEW = 40
REGIMES = {0: "memorizing", 1: "middle", 2: "generalizing", -1: ""}
KINDS = {
    "feature": (FEATURE, "feature vectors\ncolumns of W"),
    "hidden": (SAMPLE, "hidden vectors\nh = W x"),
}


def applies(dataset: xr.Dataset) -> str | None:
    """None if vectors can be drawn in the plane, else why not."""
    if "W" not in dataset:
        return "vectors needs the weights W, which this result does not hold"
    if (reason := missing(dataset, "vectors", (), ())) is not None:
        return reason
    held = dataset["m"].values.tolist() if "m" in axes(dataset) else [fixed(dataset).get("m")]
    if 2 in held:
        return None
    return f"vectors needs m = 2; this result holds m = {', '.join(str(m) for m in held)}"


def vectors_table(result: Result, scale: str = "panel", **select: Any) -> pd.DataFrame:
    """The numbers of `vectors`: one row a vector.

    Columns: T, kind ("feature" or "hidden"), index (of the feature or sample), rank (0 is the
    longest), count (vectors of this kind), x, y, half_width (of the panel), regime, died_at
    (-1: alive), and the value of every other swept axis. Of more than 400 vectors the longest 100
    stay, and 300 of the others at evenly spaced ranks of length.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    if scale not in ("panel", "common"):
        raise ValueError(f'scale is "panel" or "common", not {scale!r}')
    swept = axes(result.dataset)
    wanted = {"m": 2, **select} if "m" in swept else dict(select)
    if wanted.get("m", 2) != 2:
        raise ValueError("vectors draws m = 2 only")
    dataset, taken = narrow(result.dataset, ("T",), wanted, pool=())
    sizes = dataset["T"].values
    if "T" not in select and len(sizes) > COLUMNS:
        sizes = sizes[np.linspace(0, len(sizes) - 1, COLUMNS).round().astype(int)]
    frames = []
    for T in sizes:
        here = dataset.sel(T=T)
        where = {**taken, "T": T.item()}
        W = H = np.zeros((0, 2))
        if int(here["verdict"]) not in (NON_FINITE, UNFINISHED):
            cell = result.cell(**{axis: where[axis] for axis in swept})
            W, H = np.asarray(cell.W).T, np.asarray(cell.H)
        frames += [_rows(W, "feature", here, T), _rows(H, "hidden", here, T)]
    frame = pd.concat(frames, ignore_index=True)
    length = np.hypot(frame["x"], frame["y"])
    by = ["kind", "T"] if scale == "panel" else ["kind"]
    frame["half_width"] = 1.08 * length.groupby([frame[key] for key in by]).transform("max")
    return tidy(result, frame, taken)


def _rows(array: np.ndarray, kind: str, here: xr.Dataset, T: Any) -> pd.DataFrame:
    """The vectors of one panel; a dead or unfinished cell has one empty row."""
    died = int(here["died_at"])
    regime = REGIMES.get(int(here["regime"]), "") if "regime" in here else ""
    if int(here["verdict"]) in (NON_FINITE, UNFINISHED):
        index, rank, points = np.array([-1]), np.array([-1]), np.full((1, 2), np.nan)
    else:
        index, rank = representative(np.linalg.norm(array, axis=1), LARGEST, SPREAD)
        points = array[index]
    frame = pd.DataFrame({"index": index, "rank": rank, "x": points[:, 0], "y": points[:, 1]})
    frame.insert(0, "T", T)
    frame.insert(1, "kind", kind)
    return frame.assign(count=len(array), regime=regime, died_at=died)


def vectors(result: Result, scale: str = "panel", **select: Any) -> Figure:
    """Columns of W (blue) above hidden vectors h = W x (vermillion), by T (figure P2 of the study).

    Memorizing models hold samples as the corners of regular T-gons while their features look like
    noise; generalizing ones hold a few features as a polygon while the samples look like noise.

    Arguments:
        result: a result with m = 2 and stored weights.
        scale: "panel" fits each panel to its longest vector, "common" draws a row on one scale.
        select: `T=[3, 5, 8]` chooses the columns (8 spread over the swept T by default),
            `seed=1` the seed (the first by default), and so on for any swept axis.

    Returns a Figure. Raises ValueError without m = 2 or without W.

    Example:
        vectors(result, T=[3, 5, 8, 1000], seed=1).savefig("vectors.png")
    """
    return _draw(vectors_table(result, scale, **select), scale)


@style
def _draw(table: pd.DataFrame, scale: str) -> Figure:
    sizes = np.sort(table["T"].unique())
    title = "Feature vectors and hidden vectors at m = 2"
    width = max(1.42 * len(sizes) + 0.75, 6.4)
    figure = page(width, 3.55, title, table.attrs["setting"], _caption(scale, table))
    grid = figure.subplots(2, len(sizes), squeeze=False)
    for row, (kind, (colour, label)) in enumerate(KINDS.items()):
        for column, T in enumerate(sizes):
            panel, rows = grid[row, column], table[(table["T"] == T) & (table["kind"] == kind)]
            _panel(panel, rows, colour)
            if row == 0:
                panel.set_title(f"T = {T:,.0f}", pad=15, weight="bold")
                regime = {"xycoords": "axes fraction", "ha": "center", "size": 8, "color": SOFT}
                panel.annotate(
                    rows["regime"].iloc[0],
                    (0.5, 1.0),
                    xytext=(0, 4),
                    textcoords="offset points",
                    **regime,
                )
        grid[row, 0].set_ylabel(label, color=colour, linespacing=1.4)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    axes.set(xticks=[], yticks=[])
    axes.set_box_aspect(1)
    for side in axes.spines.values():
        side.set(color=GRID, linewidth=0.8)
    points = rows[["x", "y"]].to_numpy(float)
    half = float(rows["half_width"].iloc[0])
    if not np.isfinite(points).any():
        axes.set_facecolor(DEAD)
        died = rows["died_at"].iloc[0]
        text = f"not finite\nafter step {died:,}" if died != ALIVE else "not trained yet"
        axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, size=8)
        return
    half = half if half > 0 else 1.0
    axes.set(xlim=(-half, half), ylim=(-half, half))
    for line in (axes.axhline, axes.axvline):
        line(0, color=GRID, lw=0.7, zorder=0)
    length = np.hypot(points[:, 0], points[:, 1])
    long = length > 0.1 * length.max()
    few = long.sum() <= FEW
    if few:
        segments = np.stack([np.zeros_like(points[long]), points[long]], axis=1)
        axes.add_collection(LineCollection(list(segments), colors=colour, lw=1.1, alpha=0.85))
    faint = float(np.clip(60 / len(points), 0.25, 0.7))
    for which, size, alpha in ((~(few & long), 3.5, faint), (few & long, 9.0, 0.9)):
        x, y = points[which].T
        axes.scatter(x, y, s=size, color=colour, alpha=alpha, lw=0, zorder=3)
    _ruler(axes, half)


def _ruler(axes: Axes, half: float) -> None:
    """A bar of round length under the panel."""
    power = 10.0 ** np.floor(np.log10(0.8 * half))
    bar = max(step * power for step in (1, 2, 5) if step * power <= 0.8 * half)
    share = bar / (2 * half)
    look: dict[str, Any] = {"color": SOFT, "lw": 1.2, "clip_on": False, "solid_capstyle": "butt"}
    axes.plot([0.0, share], [-0.06, -0.06], transform=axes.transAxes, **look)
    text = f"{bar:.3g}"
    axes.text(share + 0.04, -0.06, text, transform=axes.transAxes, size=7.5, color=INK, va="center")


def _caption(scale: str, table: pd.DataFrame) -> str:
    text = (
        "Each column is one trained model. Memorizing: the hidden vectors of the samples sit on a"
        " regular T-gon and the feature vectors look like noise. Generalizing: a few feature"
        " vectors form a polygon, the rest shrink to 0, and the hidden vectors look like noise. "
    )
    each = "Each panel has its own scale" if scale == "panel" else "Each row has one scale"
    text += f"{each}; the bar under a panel gives its length."
    if (table["count"] > LARGEST + SPREAD).any():
        text += (
            f" Of more than {LARGEST + SPREAD} vectors the {LARGEST} longest are drawn and"
            f" {SPREAD} spread evenly over the others by length."
        )
    return text


VECTORS = FigureSpec(
    "vectors",
    vectors,
    vectors_table,
    "feature vectors above hidden vectors at selected T, m = 2",
    applies,
)
