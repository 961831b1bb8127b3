"""Which words a linear decoder reconstructs, which only the ReLU, and how frequent they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from superpos_jax.drawing import scalars
from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import band
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.select import narrow
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import BLUE, GRID, INK, SOFT
from superpos_jax.results.result import Result
from superpos_jax.results.runs import axes, runs, seed_values
from superpos_jax.studies.bows import reconstruction
from superpos_jax.studies.bows.figures.setting import features_of, tidy

NEEDS = Needs(swept=("m",))
ARRAYS = ("r2", "linear_r2", "frequency")
THRESHOLDS = {0.5: "-", 0.25: (0, (4, 2))}
"""R^2 from which on a word counts as reconstructed, and how its line is drawn."""
DECAY, MS, PARTS = 1.0, 2, 10
"""The weight decay that is drawn by default, values of m, and parts of the words by frequency."""
TRAINED, PCA = "trained", "PCA"
LOWEST = -0.15
"""R^2 below that are drawn there."""


def applies(dataset: xr.Dataset) -> str | None:
    """None if the R^2 of words is there over m, else why not."""
    return missing(dataset, "regimes", ARRAYS, NEEDS)


def regimes_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `regimes`.

    Rows with part "word": m, word, frequency (share of training bags), r2 and linear_r2 on held-out
    bags, of the first seed. Rows with part "decile": model ("trained", or "PCA"), m, threshold,
    decile (1: the most frequent tenth of the words), runs, mean, median, min, q25, q75, max over
    seeds of the share of linear words, R^2 of a linear decoder at the threshold or above. Rows with
    part "count": model, m, threshold, and the numbers of linear words, and of nonlinear ones, which
    the ReLU reconstructs at the threshold and the linear decoder does not; first seed.

    By default the two largest m, and the weight decay nearest to 1.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    swept = axes(result.dataset)
    usual: dict[str, Any] = {"m": np.sort(result.dataset["m"].values)[-MS:].tolist()}
    if "weight_decay" in swept:
        decays = result.dataset["weight_decay"].values
        usual["weight_decay"] = decays[np.argmin(np.abs(decays - DECAY))]
    dataset, taken = narrow(result.dataset, ("m",), {**usual, **select})
    seeds = next(iter(seed_values(dataset)), {})
    study: Any = result.grid.study
    ms = dataset["m"].values.tolist()
    cell = result.grid.cell(**taken, **seeds, m=ms[0])
    features, data = features_of(result, cell), study.spectrum(cell)
    r2, linear, frequency = (runs(dataset[name], ("m",)) for name in ARRAYS)
    frames = []
    for k, m in enumerate(ms):
        words = {"word": features.names, "frequency": frequency[k, 0]}
        scores = {"r2": r2[k, 0], "linear_r2": linear[k, 0]}
        frames.append(pd.DataFrame({"part": "word", "m": m, **words, **scores}))
        W = data.autoencoder(m).W
        exact = reconstruction.linear_decoder_r2(W, features.train, features.validation)
        order = np.argsort(-frequency[k, 0], kind="stable")
        for model, own in ((TRAINED, linear[k]), (PCA, exact[None])):
            frames += [_deciles(own[:, order], threshold, model, m) for threshold in THRESHOLDS]
        frames.append(_counts(r2[k, 0], linear[k, 0], TRAINED, m))
        frames.append(_counts(np.full_like(exact, np.nan), exact, PCA, m))
    return tidy(result, pd.concat(frames, ignore_index=True), taken)


def _deciles(linear: np.ndarray, threshold: float, model: str, m: int) -> pd.DataFrame:
    """Shares of linear words by decile, of R^2 (seeds, words), most frequent words first."""
    shares = [part.mean(axis=1) for part in np.array_split(linear >= threshold, PARTS, axis=1)]
    at = {"part": "decile", "model": model, "m": m, "threshold": threshold, "runs": len(linear)}
    rows = [{**at, "decile": i, **scalars.spread(share)} for i, share in enumerate(shares, 1)]
    return pd.DataFrame(rows)


def _counts(r2: np.ndarray, linear: np.ndarray, model: str, m: int) -> pd.DataFrame:
    rows = []
    for threshold in THRESHOLDS:
        is_linear = linear >= threshold
        only_relu = int(((r2 >= threshold) & ~is_linear).sum())
        at = {"part": "count", "model": model, "m": m, "threshold": threshold}
        rows.append({**at, "linear": int(is_linear.sum()), "nonlinear": only_relu})
    return pd.DataFrame(rows)


def regimes(result: Result, **select: Any) -> Figure:
    """R^2 of each word by the model against that by a linear decoder, coloured by frequency.

    Words right of a line are in linear superposition, those above it to the left only the ReLU
    reconstructs (the paper counts 522 and 4,073 of its 10,000). Right: the share of linear words by
    frequency, in tenths, and of PCA.

    Arguments:
        result: of the study bows, on a text; it sweeps m.
        select: values of other swept axes, or a list of m.

    Returns a Figure. Raises ValueError where m is not swept.

    Example:
        regimes(result, m=[120, 250], weight_decay=4).savefig("regimes.png")
    """
    return _draw(regimes_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    words, deciles, counts = (table[table["part"] == part] for part in ("word", "decile", "count"))
    ms = words["m"].unique().astype(int).tolist()
    title = "Who reconstructs a word, by its frequency"
    setting, caption = table.attrs["setting"], _caption(deciles, counts)
    figure = look.page(9.4, 3.3 * len(ms), title, setting, caption)
    shape = {"width_ratios": [1.0, 1.25]}
    grid = figure.subplots(len(ms), 2, squeeze=False, gridspec_kw=shape)
    often = words["frequency"]
    norm = LogNorm(float(often[often > 0].min()), float(often.max()))
    for (left, right), m in zip(grid, ms, strict=True):
        _scatter(left, words[words["m"] == m], norm)
        _shares(right, deciles[deciles["m"] == m])
        left.set_title(f"m = {m}", loc="left", weight="bold")
        if m == ms[-1]:
            left.set_xlabel("R² of a linear decoder")
            right.set_xlabel("words by frequency, tenths (1: most frequent)")
    bar = figure.colorbar(ScalarMappable(norm, "viridis"), ax=grid[:, 0].tolist(), location="left")
    bar.set_label("share of bags with the word", size=8.5)
    bar.ax.tick_params(labelsize=8, length=2, width=0.5, color=SOFT)
    bar.outline.set_visible(False)
    return figure


def _scatter(panel: Axes, own: pd.DataFrame, norm: LogNorm) -> None:
    look.dress(panel)
    x, y = own["linear_r2"].clip(lower=LOWEST), own["r2"].clip(lower=LOWEST)
    panel.plot([0, 1], [0, 1], color=GRID, lw=1.0, zorder=1)
    for threshold, dashes in THRESHOLDS.items():
        panel.axvline(threshold, color=SOFT, lw=0.8, ls=dashes, zorder=1)
        panel.plot([LOWEST, threshold], [threshold] * 2, color=SOFT, lw=0.8, ls=dashes, zorder=1)
    dots: dict[str, Any] = {"norm": norm, "cmap": "viridis", "s": 7, "lw": 0, "clip_on": False}
    panel.scatter(x, y, c=own["frequency"], zorder=2, **dots)
    panel.set(xlim=(LOWEST, 1.02), ylim=(LOWEST, 1.02))
    panel.set_ylabel("R² of the ReLU model")


def _shares(panel: Axes, own: pd.DataFrame) -> None:
    look.dress(panel, grid="y")
    for model, colour in ((TRAINED, BLUE), (PCA, INK)):
        for threshold, dashes in THRESHOLDS.items():
            of = own["model"] == model
            rows = own[of & (own["threshold"] == threshold)].sort_values("decile")
            label = f"{model}, R² ≥ {threshold:g}"
            how: Any = {"color": colour, "ls": dashes, "lw": 1.5, "marker": "o", "ms": 2.8}
            panel.plot(rows["decile"], rows["median"], label=label, **how)
            if (edges := band(rows)) is not None:
                between = (rows[edge] for edge in edges)
                panel.fill_between(rows["decile"], *between, color=colour, alpha=0.2, lw=0)
    panel.set(xticks=range(1, PARTS + 1), ylim=(-0.03, 1.03))
    panel.set_ylabel("share of linear words")
    panel.legend(loc="upper right")


def _caption(deciles: pd.DataFrame, counts: pd.DataFrame) -> list[str]:
    seeds = int(deciles["runs"].max())
    trained = counts[(counts["model"] == TRAINED) & (counts["threshold"] == max(THRESHOLDS))]
    told = "; ".join(
        f"m = {row['m']:.0f}: {row['linear']:.0f} linear, {row['nonlinear']:.0f} only by the ReLU"
        for _, row in trained.iterrows()
    )
    return [
        f"Left: held-out R² of each word (below {LOWEST:g}: at the edge). Right of a line a linear"
        " decoder of the hidden vectors reconstructs it, left of it and above it only the ReLU.",
        f"At R² = {max(THRESHOLDS):g}, {told}.",
        f"Right: median of {seeds} seeds, band over all of them." if seeds > 1 else "One seed.",
    ]


REGIMES = FigureSpec(
    "regimes", regimes_table, _draw, "who reconstructs a word, by its frequency", applies, NEEDS,
    arrays=dict.fromkeys(ARRAYS, 0),
)  # fmt: skip
