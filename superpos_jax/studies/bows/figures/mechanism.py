"""How context reconstructs a word: R^2 in context and alone, pre-activations, contributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from superpos_jax.drawing import style as look
from superpos_jax.drawing.needs import missing
from superpos_jax.drawing.select import narrow
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import BLUE, GREEN, INK, ORANGE, PINK, SKY, SOFT, VERMILLION
from superpos_jax.results.result import Result
from superpos_jax.results.runs import axes
from superpos_jax.studies.bows import reconstruction
from superpos_jax.studies.bows.figures.setting import features_of, tidy
from superpos_jax.studies.bows.measured import RELATED, UNRELATED, related

PREFERRED = {"m": 120, "weight_decay": 1.0}
"""The model that is shown by default: the one nearest to that."""
TARGETS, OFTEN, BINS = 3, 200, 40
"""Words that are shown, held-out bags that each is in (or a tenth of all), bins of a density."""
SILENT = -0.05
"""R^2 of a word alone that the model at least does not answer wrongly: a dead word is just below 0,
one that comes on with every other word far below."""
STACKS = {
    "related": "with\nrelated words",
    "unrelated": "with\nunrelated words",
    "without": "related words\nwithout it",
}
BARS = {
    "r2": (BLUE, "R² in context"),
    "one_hot_r2": (ORANGE, "R² alone"),
    "pca_r2": (INK, "R² of PCA, in context"),
}
PARTS = {
    "bias": (SOFT, "bias"),
    "itself": (VERMILLION, "the word itself"),
    "related": (GREEN, "related word"),
    "unrelated": (PINK, "unrelated word"),
}
"""Of a tower: colour and name."""
SUM: Any = {"color": INK, "lw": 1.6}


def applies(dataset: xr.Dataset) -> str | None:
    """None if the weights and the R^2 of words are there, else why not."""
    return missing(dataset, "mechanism", ("W", "b", "r2", "one_hot_r2"))


def mechanism_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `mechanism`: of three words, each a target.

    Rows with part "r2": word (the target, then four related ones), r2, one_hot_r2, and pca_r2, in
    context, of the best linear model of that m. Part
    "density": z, the middle of a bin of pre-activations on held-out bags that hold the target, and
    density; alone, what it is for the target alone. Part "tower": stack, word ("bias", "itself", or
    of the context) and value, what it adds to the pre-activation. The targets are those of the
    largest R^2 in context less alone, of words in 200 held-out bags or more, or in a tenth of all
    bags where these are fewer, that the model does not answer wrongly alone (R^2 >= -0.05). Of
    every axis one value is taken: by default m nearest to 120, weight decay nearest to 1, the first
    of others.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    swept = axes(result.dataset)
    chosen = {}
    for axis, value in PREFERRED.items():
        if axis in swept:
            swept_values = result.dataset[axis].values
            chosen[axis] = swept_values[np.argmin(np.abs(swept_values - value))]
    _, taken = narrow(result.dataset, (), {**chosen, **select}, pool=())
    cell = result.cell(**taken)
    values = result.at(**taken)
    model, features = cell.model, features_of(result, cell.cell)
    gain = values["r2"].values - values["one_hot_r2"].values
    least = min(OFTEN, len(features.validation) // 10)
    is_shown = features.validation.sum(axis=0) >= least
    is_shown &= values["one_hot_r2"].values >= SILENT
    gain = np.where(is_shown, gain, -np.inf)
    near = related(cell.spectrum.correlation)
    exact = reconstruction.r2(cell.pca, features.validation)
    frames = []
    for target in np.argsort(-np.nan_to_num(gain, nan=-np.inf), kind="stable")[:TARGETS]:
        context = near[target].tolist()
        far = np.flatnonzero(np.abs(cell.spectrum.correlation[target]) < UNRELATED)[:RELATED]
        frames += _of_target(model, features, values, exact, int(target), context, far.tolist())
    frame = tidy(result, pd.concat(frames, ignore_index=True), taken)
    frame.attrs["least"] = least
    return frame


def _of_target(
    model: reconstruction.Autoencoder,
    features: Any,
    values: xr.Dataset,
    exact: np.ndarray,
    target: int,
    context: list[int],
    far: list[int],
) -> list[pd.DataFrame]:
    names = features.names
    shown = [target, *context]
    bars = pd.DataFrame(
        {
            "part": "r2",
            "word": [names[i] for i in shown],
            "r2": values["r2"].values[shown],
            "one_hot_r2": values["one_hot_r2"].values[shown],
            "pca_r2": exact[shown],
        }
    )
    z = reconstruction.preactivations(model, features.validation, target)
    density, edges = np.histogram(z, BINS, density=True)
    middles = (edges[1:] + edges[:-1]) / 2
    alone = (model.W[:, target] ** 2).sum() + model.b[target]
    curve = pd.DataFrame({"part": "density", "z": middles, "density": density, "alone": alone})
    stacks = reconstruction.towers(model, target, context, far)
    words = {
        "related": ["bias", "itself", *(names[i] for i in context)],
        "unrelated": ["bias", "itself", *(names[i] for i in far)],
        "without": ["bias", *(names[i] for i in context)],
    }
    towers = [
        pd.DataFrame(
            {"part": "tower", "stack": stack, "word": words[stack], "value": contributions}
        )
        for stack, contributions in stacks._asdict().items()
    ]
    parts = [bars, curve, *towers]
    return [part.assign(target=names[target]) for part in parts]


def mechanism(result: Result, **select: Any) -> Figure:
    """Why a word is reconstructed in context and not alone (the paper's mechanism panels).

    For three words that are chosen automatically: R^2 on held-out bags beside that of the word
    alone; the density of its pre-activation; and what its pre-activation adds up from.

    Arguments:
        result: of the study bows, on a text, with weights.
        select: which model: `m=120, weight_decay=1`.

    Returns a Figure. Raises ValueError where weights are not stored.

    Example:
        mechanism(result, m=120, weight_decay=1).savefig("mechanism.png")
    """
    return _draw(mechanism_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    targets = table["target"].unique().tolist()
    title = "How context reconstructs a word"
    body = 2.5 * len(targets)
    figure = look.page(10.5, body, title, table.attrs["setting"], _caption(table), key="top")
    grid = figure.subplots(len(targets), 3, squeeze=False)
    for panels, target in zip(grid, targets, strict=True):
        own = table[table["target"] == target]
        for panel in panels:
            look.dress(panel)
        _bars(panels[0], own[own["part"] == "r2"])
        _density(panels[1], own[own["part"] == "density"])
        _towers(panels[2], own[own["part"] == "tower"])
        panels[0].set_title(f"“{target}”", loc="left", weight="bold")
    grid[-1][1].set_xlabel("pre-activation in held-out bags with the word")
    keys: list[Artist] = [
        Patch(color=colour, label=label) for colour, label in [*BARS.values(), *PARTS.values()]
    ]
    look.page_key(figure, [*keys, Line2D([], [], label="sum", **SUM)])
    return figure


def _bars(panel: Axes, bars: pd.DataFrame) -> None:
    place = np.arange(len(bars))
    heights = bars[[*BARS]].clip(lower=0)  # a dead word is slightly below
    for shift, (name, (colour, _)) in zip((-0.27, 0.0, 0.27), BARS.items(), strict=True):
        panel.bar(place + shift, heights[name], 0.26, color=colour)
    panel.set_xticks(place, labels=bars["word"].tolist(), size=7.5)
    for i, label in enumerate(panel.get_xticklabels()):
        label.set_y(-0.07 * (i % 2))  # long neighbours stand on two lines
    panel.set_ylabel("R²")
    panel.set_ylim(top=1.05 * max(heights.to_numpy().max(), 0.01))


def _density(panel: Axes, curve: pd.DataFrame) -> None:
    alone = float(curve["alone"].iloc[0])
    panel.fill_between(curve["z"], curve["density"], step="mid", color=SKY, alpha=0.6, lw=0)
    panel.axvline(0, color=SOFT, lw=0.8)
    panel.axvline(alone, color=VERMILLION, lw=1.2, ls=(0, (4, 2)))
    high = panel.get_ylim()[1]
    panel.text(alone, high, " alone", size=7.5, color=VERMILLION, va="top")
    panel.set_yticks([])
    panel.set_ylabel("density")


def _towers(panel: Axes, towers: pd.DataFrame) -> None:
    for place, stack in enumerate(STACKS):
        up = down = 0.0
        for _, row in towers[towers["stack"] == stack].iterrows():
            context = "unrelated" if stack == "unrelated" else "related"
            colour, _ = PARTS.get(row["word"], PARTS[context])
            bottom = up if row["value"] >= 0 else down
            panel.bar(place, row["value"], 0.5, bottom, color=colour, ec="white", lw=0.5)
            if row["value"] >= 0:
                up += row["value"]
            else:
                down += row["value"]
        panel.plot([place - 0.32, place + 0.32], [up + down] * 2, **SUM)
    panel.axhline(0, color=SOFT, lw=0.8)
    panel.set_xticks(range(len(STACKS)), labels=list(STACKS.values()), size=7.5)
    panel.set_ylabel("pre-activation")


def _caption(table: pd.DataFrame) -> list[str]:
    bars = table[table["part"] == "r2"].groupby("target", sort=False)["word"].apply(list)
    words = "; ".join(f"{target}: {', '.join(own[1:])}" for target, own in bars.items())
    return [
        "Words of the largest R² in context less alone, and the four most correlated with each:"
        f" {words}.",
        f"Each target is in {table.attrs['least']} held-out bags or more (middle). Right: what adds"
        " up to the pre-activation.",
    ]


MECHANISM = FigureSpec(
    "mechanism", mechanism_table, _draw, "how context reconstructs three words", applies,
    arrays={"W": 0, "b": 0, "r2": 0, "one_hot_r2": 0},
)  # fmt: skip
