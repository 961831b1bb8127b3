"""Words that belong together are neighbours in the weights, the more so the stronger the decay."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import scalars
from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import line
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.select import narrow
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import DEAD, INK, PALETTE, SOFT
from superpos_jax.results.result import Result
from superpos_jax.results.runs import axes, runs
from superpos_jax.studies.bows import geometry
from superpos_jax.studies.bows.features import Spectrum
from superpos_jax.studies.bows.figures.categories import NONE, categories_of, chance
from superpos_jax.studies.bows.figures.setting import features_of, tidy
from superpos_jax.studies.bows.labels import LABELS

NEEDS = Needs(swept=("weight_decay",))
KEEP = ("weight_decay", "m")
PCA = "PCA"
MAPPED_M, MAPPED_DECAYS = 120, (0.0, 4.0)
"""Of which models there are maps: those of the nearest m and weight decays."""
PERPLEXITY = 15.0
"""About how many neighbours of a word a map is to keep."""
QUANTITIES: Mapping[str, str] = {
    "covariance": "cosines follow correlations",
    "second_moment": "cosines follow second moments",
    "purity": "neighbours of the same category",
}
"""What is drawn against m, and its title."""
MARKERS = "osD^vP"


def applies(dataset: xr.Dataset) -> str | None:
    """None if the weights of words are there, else why not."""
    if lack := missing(dataset, "clusters", ("W", "one_hot_r2"), NEEDS):
        return lack
    there = importlib.util.find_spec("sklearn")
    return None if there else "clusters needs scikit-learn: pip install scikit-learn"


def clusters_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `clusters`.

    Rows with part "numbers": quantity, model ("trained" or "PCA"), weight_decay, m, runs (those
    with weights: an archive may keep them of one seed), mean, median, min, q25, q75, max of these.
    The quantities: "covariance", correlation over all pairs of words of their cosine with their
    correlation in the training bags; "second_moment", the same with E[f_i f_j] divided by the roots
    of E[f_i^2] and E[f_j^2]; "purity", share of a word's 10 nearest words, by cosine, that are in
    its category, chance of words drawn at random.

    Rows with part "map": row ("PCA" or the weight decay), weight_decay, m, word, category (empty of
    a word in none), x and y, of t-SNE on cosines, first seed.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset, taken = narrow(result.dataset, KEEP, select)
    point = taken | {axis: dataset[axis].values[0].item() for axis in axes(dataset)}
    swept = {axis: value for axis, value in point.items() if axis in axes(result.dataset)}
    study: Any = result.grid.study
    cell = result.grid.cell(**swept)
    features, data = features_of(result, cell), study.spectrum(cell)
    names, categories = categories_of(features.names)
    of_words = (features.names, names, categories)
    weights = runs(dataset["W"], KEEP)
    rows = [*_trained(dataset, weights, data, categories), *_exact(dataset, data, categories)]
    numbers = pd.DataFrame(rows).assign(part="numbers", chance=chance(categories))
    frames = [numbers, *_maps(dataset, weights, data, of_words)]
    return tidy(result, pd.concat(frames, ignore_index=True), taken)


def _measures(W: np.ndarray, data: Spectrum, categories: np.ndarray) -> dict[str, float]:
    second = data.covariance + np.outer(data.mean, data.mean)
    root = np.sqrt(np.diag(second))
    return {
        "covariance": geometry.geometry_follows_data(W, data.correlation),
        "second_moment": geometry.geometry_follows_data(W, second / np.outer(root, root)),
        "purity": geometry.neighbour_purity(W, categories),
    }


def _trained(
    dataset: xr.Dataset, weights: np.ndarray, data: Spectrum, categories: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Of every weight decay and m: the measures of the seeds of which there are weights."""
    for i, decay in enumerate(dataset["weight_decay"].values.tolist()):
        for k, m in enumerate(dataset["m"].values.tolist()):
            whole = [W[:m] for W in weights[i, k] if np.isfinite(W[:m]).all()]
            each = pd.DataFrame([_measures(W, data, categories) for W in whole])
            for quantity in QUANTITIES:
                values = each[quantity].to_numpy() if whole else np.array([])
                at = {"quantity": quantity, "model": "trained", "weight_decay": decay, "m": m}
                yield at | {"runs": len(whole)} | scalars.spread(values)


def _exact(dataset: xr.Dataset, data: Spectrum, categories: np.ndarray) -> Iterator[dict[str, Any]]:
    """The same of the best linear models, by m."""
    for m in dataset["m"].values.tolist():
        measures = _measures(data.autoencoder(m).W, data, categories)
        for quantity, value in measures.items():
            at = {"quantity": quantity, "model": PCA, "weight_decay": np.nan, "m": m}
            yield at | {"runs": 1} | scalars.spread(np.array([value]))


def _maps(
    dataset: xr.Dataset,
    weights: np.ndarray,
    data: Spectrum,
    of_words: tuple[tuple[str, ...], tuple[str, ...], np.ndarray],
) -> Iterator[pd.DataFrame]:
    words, names, categories = of_words
    k = _nearest(dataset["m"].values, MAPPED_M)
    m = int(dataset["m"].values[k])
    chosen = [(PCA, np.nan, data.autoencoder(m).W)]
    for i in sorted({_nearest(dataset["weight_decay"].values, decay) for decay in MAPPED_DECAYS}):
        decay = dataset["weight_decay"].values[i].item()
        chosen.append((LABELS.describe({"weight_decay": decay}), decay, weights[i, k, 0][:m]))
    called = ["" if number == NONE else names[number] for number in categories]
    for row, decay, W in chosen:
        points = plane_of(W)
        columns = {"word": words, "category": called, "x": points[:, 0], "y": points[:, 1]}
        yield pd.DataFrame({"part": "map", "row": row, "weight_decay": decay, "m": m, **columns})


def _nearest(values: np.ndarray, wanted: float) -> int:
    return int(np.argmin(np.abs(values - wanted)))


def plane_of(W: np.ndarray) -> np.ndarray:
    """A map of the columns of W (m, d) that keeps neighbours by cosine: (d, 2), t-SNE.

    NaN where weights are missing.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if not np.isfinite(W).all():
        return np.full((W.shape[1], 2), np.nan)
    perplexity = min(PERPLEXITY, (W.shape[1] - 1) / 3)
    method = TSNE(perplexity=perplexity, metric="cosine", init="pca", random_state=0)
    with threadpool_limits(1):  # its threads wait for each other where other work is beside them
        return np.asarray(method.fit_transform(geometry.unit_columns(W).astype(np.float32)))


def clusters(result: Result, **select: Any) -> Figure:
    """How much neighbours in the weights follow the data, in numbers and in maps.

    Above, against m, by weight decay: how closely cosines follow the correlations of the data, or
    its second moments, and the share of a word's nearest words that are in its category. Below:
    maps of the words (the paper's maps are UMAP) with PCA, without decay and with it.

    Arguments:
        result: of the study bows, on a text, with weights; it sweeps weight_decay.
        select: values of other swept axes, or lists that restrict m or weight_decay.

    Returns a Figure. Raises ValueError where weights are not stored or scikit-learn is missing.

    Example:
        clusters(result, m=[60, 120]).savefig("clusters.png")
    """
    return _draw(clusters_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    numbers, maps = table[table["part"] == "numbers"], table[table["part"] == "map"]
    rows = maps["row"].unique().tolist()
    title = "Clusters of words: how closely the weights follow the data"
    room = look.SIDE
    caption = _caption(numbers, maps)
    figure = look.page(
        9.6 + room, 5.9, title, table.attrs["setting"], caption, key="side", room=room
    )
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[2.6, 3.3])[:, 0]
    trained = numbers[numbers["model"] != PCA]
    decays = np.sort(trained["weight_decay"].unique())
    colours = dict(zip(decays.tolist(), look.shades(len(decays)), strict=True))
    panels = above.subplots(1, len(QUANTITIES), squeeze=False)[0]
    for panel, quantity in zip(panels, QUANTITIES, strict=True):
        _lines(panel, numbers[numbers["quantity"] == quantity], colours)
        panel.set_title(QUANTITIES[quantity], size=9)
        panel.set_ylabel("share" if quantity == "purity" else "correlation")
    chance_level = float(numbers["chance"].iloc[0])
    categorised = bool(np.isfinite(chance_level))
    panels[-1].set_visible(categorised)
    panels[-1].axhline(chance_level, color=SOFT, lw=1.0, ls=":")
    top = max(panel.get_ylim()[1] for panel in panels[:2])
    for panel in panels:
        panel.set_ylim(bottom=0, top=top if panel is not panels[-1] else None)
    names = sorted(filter(None, maps["category"].unique()))
    kinds = dict(zip(names, zip(PALETTE, MARKERS, strict=True), strict=False))
    for panel, row in zip(below.subplots(1, len(rows), squeeze=False)[0], rows, strict=True):
        _map(panel, maps[maps["row"] == row], kinds)
        panel.set_title(f"{row}, m = {int(maps['m'].iloc[0])}", size=9)
    keys: list[Artist] = [
        Line2D([], [], color=colour, lw=1.5, marker="o", ms=2.8, label=LABELS.describe({"wd": d}))
        for d, colour in colours.items()
    ]
    keys.append(Line2D([], [], color=INK, lw=1.2, ls=(0, (4, 2)), label=PCA))
    if categorised:
        keys.append(Line2D([], [], color=SOFT, lw=1.0, ls=":", label="by chance"))
    keys += [
        Line2D([], [], ls="none", marker=marker, color=colour, ms=5, label=name)
        for name, (colour, marker) in kinds.items()
    ]
    keys.append(Line2D([], [], ls="none", marker=".", color=DEAD, ms=5, label="other words"))
    look.page_key(figure, keys)
    return figure


def _lines(panel: Axes, own: pd.DataFrame, colours: Mapping[float, str]) -> None:
    look.dress(panel, grid="y")
    exact = own[own["model"] == PCA].sort_values("m")
    panel.plot(exact["m"], exact["median"], color=INK, lw=1.2, ls=(0, (4, 2)), zorder=3)
    for decay, colour in colours.items():
        line(panel, "m", own[own["weight_decay"] == decay], color=colour)
    panel.set_xscale("log")
    look.log_ticks(panel.xaxis, np.sort(own["m"].unique()), 2.3)
    panel.set_xlabel("hidden dimensions m")


def _map(panel: Axes, own: pd.DataFrame, kinds: Mapping[str, tuple[str, str]]) -> None:
    panel.set(xticks=[], yticks=[])
    panel.set_box_aspect(1)
    for side in panel.spines.values():
        side.set(color=look.GRID, linewidth=0.8)
    if not np.isfinite(own["x"]).all():
        panel.set_facecolor(DEAD)
        return
    other = own[own["category"] == ""]
    panel.scatter(other["x"], other["y"], s=4, color=DEAD, lw=0, alpha=0.7)
    for name, (colour, marker) in kinds.items():
        of = own[own["category"] == name]
        panel.scatter(of["x"], of["y"], s=20, color=colour, marker=marker, lw=0.4, ec="white")


def _caption(numbers: pd.DataFrame, maps: pd.DataFrame) -> list[str]:
    seeds = int(numbers.loc[numbers["model"] != PCA, "runs"].max())
    lines = f"Lines: median of {seeds} seeds, bands over all of them." if seeds > 1 else "One seed."
    words = maps.loc[maps["row"] == maps["row"].iloc[0], "category"]
    above = (
        "Above: correlation over all pairs of words of their cosine in W with their correlation in"
        " the data, or with their second moment E[fᵢfⱼ]/√(E[fᵢ²]E[fⱼ²])"
    )
    if not (words != "").any():
        none = "Below: t-SNE on cosines; none of the words is in one of our categories."
        return [f"{above}.", none, lines]
    return [
        f"{above}; and the share of a word's 10 nearest words that are in its category. Below:"
        f" t-SNE on cosines, {int((words != '').sum())} words in {words.nunique() - 1} categories.",
        lines,
    ]


CLUSTERS = FigureSpec(
    "clusters", clusters_table, _draw, "neighbours in the weights against the data, and maps",
    applies, NEEDS, arrays={"W": 0},
)  # fmt: skip
