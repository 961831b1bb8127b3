"""Samples that have more of the hidden space of a classifier to themselves than the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.needs import missing
from superpos_jax.drawing.select import Result, narrow, tidy
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import INK, SOFT, VERMILLION
from superpos_jax.results.runs import fixed, runs
from superpos_jax.studies.digits.data import images

SETTING = ("T", "steps", "lr", "weight_decay")
SHOWN = 10
"""Images drawn of each kind."""


def applies(dataset: xr.Dataset) -> str | None:
    """None if the result holds maximal dimensionalities of images, else why not."""
    if lack := missing(dataset, "odd_samples", ("maximal_dimensionality", "image")):
        return lack
    some = bool(np.isfinite(dataset["maximal_dimensionality"].values).any())
    return None if some else "odd_samples needs a cell that is trained to its end"


def odd_samples_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `odd_samples`.

    Rows with part "rank": m, rank (0 is the largest) and the median, min and max over seeds of
    share = D*_X T / m, which is 1 on average where all m hidden units are in use. Rows with part
    "odd" or "typical", for the first m that has a trained cell: image (its number in
    scikit-learn's digits), label, and share, the mean over the seeds that trained on the image,
    with their number. Odd ones have the
    largest share, typical ones that closest to the median image's.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset, taken = narrow(result.dataset, ("m",), select, pool=("seed",))
    D = runs(dataset["maximal_dimensionality"], ("m",)).astype(float)
    images = runs(dataset["image"], ("m",))
    frames = []
    for i, m in enumerate(dataset["m"].values):  # those with a trained cell
        counts = np.isfinite(D[i]).sum(axis=1, keepdims=True)
        share = D[i] * counts / m
        ranked = -np.sort(-share, axis=1)  # NaN last
        ranks = np.isfinite(ranked).any(axis=0)
        if not ranks.any():
            continue
        points = np.nanpercentile(ranked[:, ranks], [0, 50, 100], axis=0)
        rank = dict(zip(("min", "share", "max"), points, strict=True))
        frames.append(pd.DataFrame({"part": "rank", "m": m, "rank": np.flatnonzero(ranks), **rank}))
        if len(frames) == 1:
            frames.append(_images(images[i], share).assign(m=m))
    held = fixed(result.dataset)
    named = {name: held[name] for name in SETTING if name in held}
    return tidy(result, pd.concat(frames, ignore_index=True), taken, named)


def _images(numbers: np.ndarray, share: np.ndarray) -> pd.DataFrame:
    """The images with the largest share, and those nearest the median, over all seeds."""
    trained = np.isfinite(share)
    each = pd.DataFrame({"image": numbers[trained], "share": share[trained]}).groupby("image")
    mean = each["share"].mean().sort_values(ascending=False)
    middle = (mean - mean.median()).abs().sort_values().index[:SHOWN]
    _, labels = images()
    parts = []
    for part, index in (("odd", mean.index[:SHOWN]), ("typical", middle)):
        frame = pd.DataFrame({"part": part, "rank": range(len(index)), "image": index})
        frame["label"] = labels[index.to_numpy(int)]
        parts.append(
            frame.assign(share=mean[index].to_numpy(), seeds=each.size()[index].to_numpy())
        )
    return pd.concat(parts)


def odd_samples(result: Result, **select: Any) -> Figure:
    """Maximal data dimensionality of a classifier's training images, and the images (figure C1).

        D*_X = sup_v (v . h_i)^2 / sum_j (v . h_j)^2 = h_i^T (H^T H)^+ h_i

    Above: D*_X in units of the average m/T, from the largest down, a line per m. Below: the images
    with the largest values, and typical ones.

    Arguments:
        result: of the study digits; seeds are pooled.
        select: `m=[32]` restricts the lines and chooses the m of the images, and so on.

    Returns a Figure. Raises ValueError for a result of another study.

    Example:
        odd_samples(result, m=[32]).savefig("odd_samples.png")
    """
    return _draw(odd_samples_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    title = "Training images that stand out most in a classifier's hidden layer"
    figure = look.page(7.6, 5.6, title, table.attrs["setting"], _caption(table), key="side")
    grid = figure.add_gridspec(3, SHOWN, height_ratios=[3.2, 1, 1])
    axes = figure.add_subplot(grid[0, :])
    look.dress(axes, grid="y")
    ms = np.sort(table["m"].unique())
    colours = look.shades(len(ms)) if len(ms) > 1 else [VERMILLION]
    for m, colour in zip(ms, colours, strict=True):
        rows = table[(table["part"] == "rank") & (table["m"] == m)].sort_values("rank")
        x = rows["rank"] + 1
        axes.fill_between(x, rows["min"], rows["max"], color=colour, alpha=0.16, lw=0)
        axes.plot(x, rows["share"], color=colour, lw=1.5, label=f"m={m:g}")
    axes.axhline(1.0, color=SOFT, lw=1.0, ls=(0, (4, 3)), zorder=1)
    axes.set(xscale="log", yscale="log", xlabel="rank of the image, by D*")
    axes.set_ylabel("D* in units of m/T")
    look.log_ticks(axes.yaxis, look.round_steps(*axes.get_ylim()), 2.2)
    for line, part in enumerate(("odd", "typical")):
        rows = table[table["part"] == part].sort_values("rank")
        for column in range(SHOWN):
            panel = figure.add_subplot(grid[line + 1, column])
            _image(panel, rows.iloc[column] if column < len(rows) else None)
            if column == 0:
                panel.set_ylabel("largest D*" if part == "odd" else "typical", size=8.5)
    lines = [
        Line2D([], [], color=colour, lw=1.5, label=f"m = {m:g}")
        for m, colour in zip(ms, colours, strict=True)
    ]
    lines.append(Line2D([], [], color=SOFT, lw=1.0, ls=(0, (4, 3)), label="average m/T"))
    look.page_key(figure, lines)
    return figure


def _image(axes: Axes, row: pd.Series | None) -> None:
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(color=look.GRID, linewidth=0.8)
    if row is None:
        return
    pixels, _ = images()
    axes.imshow(pixels[int(row["image"])].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
    axes.set_title(f"{row['label']:.0f}", size=8, pad=2, color=INK)
    axes.set_xlabel(f"{row['share']:.1f}", size=7.5, labelpad=2)


def _caption(table: pd.DataFrame) -> list[str]:
    odd = table[table["part"] == "odd"]
    ranks = table[(table["part"] == "rank") & (table["m"] == odd["m"].iloc[0])]
    factor = odd["share"].iloc[0] / ranks["share"].median()
    return [
        "D*: the largest share that one training image can have of a direction of the hidden space;"
        " m/T on average where all units are in use.",
        "Lines: median over seeds, bands: all of them.",
        f"Images at m = {odd['m'].iloc[0]:g}, with class and D* in units of m/T: the largest is"
        f" {factor:.1f} times the median image's.",
    ]


ODD_SAMPLES = FigureSpec(
    "odd_samples",
    odd_samples_table,
    _draw,
    "images with the largest maximal data dimensionality in a classifier",
    applies,
    arrays={"maximal_dimensionality": 0, "image": 0},
)

FIGURES = {ODD_SAMPLES.name: ODD_SAMPLES}
