"""The double-descent plane: mean test loss over data-set size and hidden dimension."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import FuncNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from superpos_jax.drawing import style as look
from superpos_jax.drawing.heatmap import edges, marks, numbers
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.results.runs import failed, fixed, runs, unfinished
from superpos_jax.studies.double_descent.criteria import BUMP_FROM, squash, unsquash
from superpos_jax.studies.double_descent.figures.loss_scale import loss_text, loss_ticks, tick_text
from superpos_jax.studies.double_descent.figures.selection import narrow, sample_errors, tidy
from superpos_jax.text import NBSP, counted

FRAME: dict[str, Any] = {"facecolor": "none", "edgecolor": "black", "lw": 1.6}
"""How the cells of the ridge look."""


NEEDS = Needs(swept=("T", "m"))


def applies(dataset: xr.Dataset) -> str | None:
    """None if a plane can be drawn, else why not."""
    return missing(dataset, "plane", ("test_loss",), NEEDS)


def ridge(mean: np.ndarray) -> int | None:
    """Index of the maximum of the mean test loss over T, None where it lies at an end.

    Example:
        >>> ridge(np.array([1.0, 1.3, 0.99])), ridge(np.array([1.0, 1.1, 1.3, np.nan]))
        (1, None)
    """
    alive = np.flatnonzero(np.isfinite(mean))
    if len(alive) < 3:
        return None
    top = int(np.nanargmax(mean))
    return top if alive[0] < top < alive[-1] else None


def plane_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `plane`: one row per cell (T, m), seeds summarised.

    Columns: T, m, runs, died, unfinished (seeds still training: their losses are those so far),
    test_loss (mean over surviving seeds, NaN where none), its min, max and standard error over
    seeds (test_loss_sem), ridge (True at the T from n/10 on at which the loss of its m is
    largest, once the row is trained), test_loss_error (what test samples leave in one run's loss,
    where they were drawn several times), and the value of every other swept axis. Losses are in
    units where the zero predictor scores 1.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset, taken = narrow(result.dataset, ("m", "T"), select)
    loss = runs(dataset["test_loss"], ("m", "T"))
    died, training = failed(dataset, ("m", "T")), unfinished(dataset, ("m", "T"))
    errors = sample_errors(dataset, ("m", "T"))
    rows = []
    for i, m in enumerate(dataset["m"].values):
        means = [_mean(loss[i, j][~died[i, j]]) for j in range(loss.shape[1])]
        top = ridge(_late(np.array(means), dataset)) if not training[i].any() else None
        for j, T in enumerate(dataset["T"].values):
            alive = loss[i, j][~died[i, j] & np.isfinite(loss[i, j])]
            some, several = len(alive) > 0, len(alive) > 1
            rows.append(
                {
                    "T": T,
                    "m": m,
                    "runs": died.shape[2],
                    "died": int(died[i, j].sum()),
                    "unfinished": int(training[i, j].sum()),
                    "test_loss": means[j],
                    "test_loss_min": alive.min() if some else np.nan,
                    "test_loss_max": alive.max() if some else np.nan,
                    "test_loss_sem": alive.std(ddof=1) / len(alive) ** 0.5 if several else np.nan,
                    "ridge": j == top,
                    **{name: error[i, j] for name, error in errors.items()},
                }
            )
    return tidy(result, pd.DataFrame(rows), taken)


def _late(means: np.ndarray, dataset: xr.Dataset) -> np.ndarray:
    """Means over T from n/10 on, NaN below, where single T have peaks of their own.

    All of them where fewer than three T are as large.
    """
    late = dataset["T"].values >= BUMP_FROM * fixed(dataset).get("n", 0)
    return np.where(late, means, np.nan) if late.sum() > 2 else means


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean(dtype=float)) if len(values) else float("nan")


def plane(result: Result, **select: Any) -> Figure:
    """Heat map of mean test loss over T x m, its ridge marked (figure P5 of the study).

    Along a row the model stays and the data grow; along a column the data stay and the model
    grows. Between two cells the loss should fall; where it rises towards the ridge, more data or
    a bigger model hurts. Colours follow asinh((loss - 1) / 0.01): steps of 1 % are visible
    near 1 and a ridge of 5 does not saturate.

    Arguments:
        result: a result that sweeps T and m; seed axes are averaged over.
        select: values of other swept axes (`lr=3e-3`; the first by default), or lists that
            restrict T, m or a seed axis.

    Returns a Figure. Raises ValueError if T or m is not swept.

    Example:
        plane(result, lr=3e-3).savefig("plane.png")
    """
    return _draw(plane_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    T, m = np.sort(table["T"].unique()), np.sort(table["m"].unique())
    grid = table.set_index(["m", "T"]).unstack("T").sort_index()
    mean, died = grid["test_loss"].to_numpy(float), grid["died"].to_numpy(int)
    width = float(np.clip(2.4 + 0.43 * len(T), 6.8, 11.5))
    body = float(np.clip(1.0 + 0.42 * len(m), 3.2, 7.0))
    title = "Mean test loss over data-set size T and hidden dimension m"
    key = "top" if table[["ridge", "died", "unfinished"]].any(axis=None) else ""
    figure = look.page(width, body, title, table.attrs["setting"], _caption(table), key)
    axes = figure.add_subplot()
    look.dress(axes)
    x, y = edges(T), edges(m)
    finite = mean[np.isfinite(mean)]
    low, high = (finite.min(), finite.max()) if len(finite) else (1.0, 1.0)
    low, high = min(low, 0.995), max(high, 1.005)
    colours = matplotlib.colormaps["viridis"]
    norm = FuncNorm((squash, unsquash), vmin=low, vmax=high)
    mesh = axes.pcolormesh(x, y, np.ma.masked_invalid(mean), norm=norm, cmap=colours)
    axes.set(xscale="log", yscale="log", xlim=x[[0, -1]], ylim=y[[0, -1]])
    keys = marks(axes, x, y, mean, died, grid["unfinished"].to_numpy(int))
    axes.set_xlabel("training samples T")
    axes.set_ylabel("hidden dimension m")
    inches = (width - 1.9, body - 0.75)
    look.log_ticks(axes.xaxis, T, inches[0] * np.log(T[-1] / T[0]) / np.log(x[-1] / x[0]))
    look.log_ticks(axes.yaxis, m, inches[1] * np.log(m[-1] / m[0]) / np.log(y[-1] / y[0]))
    numbers(axes, x, y, mean, colours(norm(mean))[..., :3], inches, loss_text)
    if keys := [*_frames(axes, table, x, y), *keys]:
        look.page_key(figure, keys)
    bar = figure.colorbar(mesh, ax=axes, pad=0.015, fraction=0.06, aspect=24)
    ticks = loss_ticks(low, high, count=14)
    bar.set_ticks(ticks, labels=[tick_text(t) for t in ticks])
    bar.minorticks_off()
    bar.ax.tick_params(labelsize=8.5, length=3, width=0.6, color=look.SOFT)
    bar.outline.set_visible(False)
    bar.set_label("mean test loss   (predicting zero = 1)")
    return figure


def _frames(axes: Axes, table: pd.DataFrame, x: np.ndarray, y: np.ndarray) -> list[Artist]:
    """Frames round the cells of the ridge, and their entry in the legend."""
    T, m = np.sort(table["T"].unique()), np.sort(table["m"].unique())
    tops = table[table["ridge"]]
    for i, j in zip(np.searchsorted(m, tops["m"]), np.searchsorted(T, tops["T"]), strict=True):
        size = x[j + 1] - x[j], y[i + 1] - y[i]
        frame = Rectangle((x[j], y[i]), *size, gid="ridge", zorder=3, **FRAME)
        frame.set_path_effects([withStroke(linewidth=3.2, foreground="white")])
        axes.add_patch(frame)
    largest = table.groupby("m")["test_loss"].max()
    name = "ridge: largest mean test loss of its row"
    if (tops["test_loss"] < tops["m"].map(largest)).any():
        name += f" from T{NBSP}={NBSP}n/10 on"
    return [Patch(**FRAME, label=name)] if len(tops) else []


def _caption(table: pd.DataFrame) -> list[str]:
    seeds = int(table["runs"].max())
    mean = f"the mean over {seeds} seeds" if seeds > 1 else "one seed"
    sentences = [f"Each cell: test loss, {mean}; predicting zero scores 1."]
    if table["ridge"].any():
        sentences.append(
            "Along a row more data hurts just before the frame; up a column a bigger model hurts"
            " where the loss rises."
        )
    elif table.groupby("m")["unfinished"].any().all():
        sentences.append("A ridge is marked once its row is trained to the end.")
    else:
        sentences.append("No row has a ridge inside the swept T.")
    some = table[(table["died"] > 0) & table["test_loss"].notna()]
    if len(some):
        lost = f"{counted(some['died'].sum(), 'run')} in {counted(len(some), 'cell')}"
        sentences.append(f"Crosses: {lost} died or diverged.")
    if training := int(table["unfinished"].sum()):
        sentences.append(f"Hatched: {counted(training, 'run')} not trained to the end.")
    return sentences


PLANE = FigureSpec(
    "plane",
    plane_table,
    _draw,
    "heat map of mean test loss over T x m, the ridge marked",
    applies,
    NEEDS,
)
