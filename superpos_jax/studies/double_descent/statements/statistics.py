"""Numbers that statements are about: functions of some trained cells of one result.

Each reads a dataset over the axes that are left, seeds among them, and pools the seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from superpos_jax.results.runs import fixed, measured_part, runs
from superpos_jax.studies.double_descent import edge
from superpos_jax.studies.double_descent.criteria import (
    BUMP_FROM,
    CORNER,
    FAILED,
    LEARNED,
    STANDS_OUT,
    commonest,
    crossing,
    fates,
    first_crossing,
    inner_maximum,
    margin,
    outcomes,
    ranked_on_top,
    second_radius,
    squash,
)

Statistic = Callable[[xr.Dataset], float]
INF = float("inf")


def at(statistic: Statistic, **point: Any) -> Statistic:
    """A statistic at some values of the axes."""
    return lambda dataset: statistic(dataset.sel(point))


def middle(name: str) -> Statistic:
    """The median over seeds of a number."""
    return lambda dataset: float(dataset[name].median())


def average(name: str) -> Statistic:
    """The mean over seeds of a number."""
    return lambda dataset: float(dataset[name].mean())


def by_T(dataset: xr.Dataset, name: str = "test_loss") -> np.ndarray:
    """(T,): the median over seeds."""
    return np.nanmedian(runs(dataset[name], ("T",)).astype(float), axis=1)


def bump(dataset: xr.Dataset) -> float:
    """The largest median test loss from T = n/10 on; below, single T have peaks of their own."""
    return float(np.nanmax(by_T(_late(dataset))))


def height(dataset: xr.Dataset) -> float:
    """How far the bump lies above 1."""
    return bump(dataset) - 1


def bump_at(dataset: xr.Dataset) -> float:
    """The T of the bump."""
    late = _late(dataset)
    return float(late["T"][np.nanargmax(by_T(late))])


def _late(dataset: xr.Dataset) -> xr.Dataset:
    return dataset.sel(T=dataset["T"] >= BUMP_FROM * features_of(dataset))


def least_before_bump(dataset: xr.Dataset) -> float:
    """The T at which the mean test loss is least before it is largest: where it begins to rise."""
    mean = np.nanmean(runs(dataset["test_loss"], ("T",)).astype(float), axis=1)
    late = np.where(dataset["T"] >= BUMP_FROM * features_of(dataset), mean, -INF)
    return float(dataset["T"][np.nanargmin(mean[: int(np.nanargmax(late)) + 1])])


def apart_from(curve: Mapping[int, float], name: str) -> Statistic:
    """By how large a factor the median of a number is off a curve over T, where it is worst."""

    def factor(dataset: xr.Dataset) -> float:
        wanted = np.array([curve[T] for T in dataset["T"].values.tolist()])
        return float(np.exp(np.abs(np.log(by_T(dataset, name) / wanted)).max()))

    return factor


def longest_at(dataset: xr.Dataset) -> float:
    """The T at which the longest column of W is longest, of the median over seeds."""
    length = ((dataset["W"] ** 2).sum("hidden", min_count=1) ** 0.5).max("feature")
    return float(dataset["T"][np.nanargmax(np.nanmedian(runs(length, ("T",)), axis=1))])


def most(name: str) -> Statistic:
    """The largest median of a number over T."""
    return lambda dataset: float(np.nanmax(by_T(dataset, name)))


def rises(dataset: xr.Dataset, values: np.ndarray) -> float:
    """The T, interpolated, from which on values (T,) are positive; infinity if not at the last."""
    if np.isnan(values[-1]):
        return float("nan")  # not trained there
    return crossing(dataset["T"].values.astype(float), values)


def below_one(dataset: xr.Dataset) -> float:
    """The T, interpolated, from which on the median test loss is below 1."""
    return rises(dataset, -squash(by_T(dataset)))


def onset(dataset: xr.Dataset) -> float:
    """The T, interpolated, from which on the median over seeds of the largest D_f is above 0.15."""
    return rises(dataset, _learned(dataset))


def first_rise(dataset: xr.Dataset) -> float:
    """The T, interpolated, at which that median first passes 0.15, for good or not."""
    return first_crossing(dataset["T"].values.astype(float), _learned(dataset))


def _learned(dataset: xr.Dataset, level: float = LEARNED) -> np.ndarray:
    """(T,): the median over seeds of the largest D_f, less a level, 0.15 by default."""
    largest = np.nanmax(runs(dataset["feature_dimensionality"], ("T",)), axis=-1)
    return np.nanmedian(largest, axis=1) - level


def memorizing_to(dataset: xr.Dataset) -> float:
    """The T up to which memorizing is the commonest regime; 0 if at none."""
    mostly = _mostly("memorizing", dataset)
    return float(np.append(0, dataset["T"])[np.argmin(np.append(mostly, False))])


def generalizing_from(dataset: xr.Dataset) -> float:
    """The T from which on generalizing is the commonest regime; infinity if at none."""
    mostly = _mostly("generalizing", dataset)
    return float(np.append(INF, dataset["T"][::-1])[np.argmin(np.append(mostly[::-1], False))])


def _mostly(regime: str, dataset: xr.Dataset) -> np.ndarray:
    """(T,): whether a regime is the commonest of the seeds."""
    code = dataset["regime"].attrs["flag_meanings"].split().index(regime)
    return np.array([commonest(row) == code for row in runs(dataset["regime"], ("T",))])


def features(dataset: xr.Dataset, least: float = STANDS_OUT) -> float:
    """The median over seeds of the number of features with D_f above 0.1."""
    counts = (dataset["feature_dimensionality"] > least).sum(_last(dataset))
    return float(counts.where(dataset["test_loss"].notnull()).median())


def corners(dataset: xr.Dataset) -> float:
    """The number of features with D_f above 0.25: with a corner of the pentagon to themselves.

    In P1 the five have 0.31 each.
    """
    return features(dataset, CORNER)


def of_five(dataset: xr.Dataset) -> float:
    """The mean over seeds of the mean of the five largest D_f."""
    ranked = -np.sort(-dataset["feature_dimensionality"].values, axis=-1)[..., :5]
    return float(np.nanmean(ranked))


def pentagon(dataset: xr.Dataset) -> float:
    """How far, in degrees, the angles between the five longest columns of W are from 72, at most.

    The median over seeds.
    """
    apart = []
    for W in dataset["W"].values.reshape(-1, 2, dataset.sizes["feature"]):
        x, y = W[:, np.argsort(-np.linalg.norm(W, axis=0))[:5]]
        angles = np.sort(np.degrees(np.arctan2(y, x)))
        gaps = np.diff(np.append(angles, angles[0] + 360))
        apart.append(np.abs(gaps - 72).max())
    return float(np.nanmedian(apart))


def long_ones(dataset: xr.Dataset) -> float:
    """The median over seeds of how many columns of W are longer than half of the longest."""
    length = (dataset["W"] ** 2).sum("hidden", min_count=1) ** 0.5
    counts = (length > length.max("feature") / 2).sum("feature")
    return float(counts.where(length.notnull().any("feature")).median())


def dead_outputs(dataset: xr.Dataset) -> float:
    """The median over seeds of the share of biases below 0, whose outputs hardly ever fire.

    Where a feature is not stored its output is ReLU(b); below 0 it has no gradient.
    """
    bias = dataset["b"]
    share = (bias < 0).sum("feature") / bias.notnull().sum("feature")
    return float(share.where(bias.notnull().any("feature")).median())


def fair_share(dataset: xr.Dataset) -> float:
    """The median D_X in units of m/T, over samples, seeds and the T that are left; m = 2."""
    D = dataset["sample_dimensionality"]
    T = D.notnull().sum(str(D.dims[-1]))
    return float((D * T / np.minimum(2, T)).median())


def ratio_over(axis: str, statistic: Statistic) -> Statistic:
    """Largest over smallest of a statistic along an axis; NaN if it is not finite somewhere."""

    def ratio(dataset: xr.Dataset) -> float:
        values = np.array([statistic(dataset.sel({axis: v})) for v in dataset[axis].values])
        fit = np.isfinite(values).all() and (values > 0).all()
        return float(values.max() / values.min()) if fit else float("nan")

    return ratio


def steps_against(axis: str, statistic: Statistic, sign: int) -> Statistic:
    """How often a statistic goes the other way from one value of an axis to the next."""

    def count(dataset: xr.Dataset) -> float:
        values = [statistic(dataset.sel({axis: v})) for v in np.sort(dataset[axis].values)]
        finite = np.isfinite(values).all()
        return float((sign * np.diff(values) < 0).sum()) if finite else float("nan")

    return count


def ridge(dataset: xr.Dataset) -> float:
    """The T of the largest mean test loss."""
    mean = np.nanmean(runs(dataset["test_loss"], ("T",)), axis=1)
    return float(dataset["T"][np.nanargmax(mean)])


def bigger_hurts(dataset: xr.Dataset) -> float:
    """The largest rise of the mean test loss from one m to the next, at one T."""
    mean = dataset["test_loss"].mean("seed").transpose("T", "m").values
    return float(np.nanmax(np.diff(mean, axis=1)))


def more_hurts(dataset: xr.Dataset) -> float:
    """The smallest rise along T up to the ridge, over all m: ridge less the least loss before."""
    rises = []
    for m in dataset["m"].values:
        mean = dataset["test_loss"].sel(m=m).mean("seed").values
        top = int(np.nanargmax(mean))
        rises.append(mean[top] - np.nanmin(mean[: top + 1]))
    return float(min(rises))


def failed(dataset: xr.Dataset) -> float:
    """The share of trainings that end above a training loss of 0.01."""
    loss = dataset["train_loss"]
    return float((loss > FAILED).sum() / loss.notnull().sum())


def two_radii(dataset: xr.Dataset) -> float:
    """The share of solved trainings that have hidden vectors on a second radius."""
    length = ((dataset["H"] ** 2).sum("hidden", min_count=1) ** 0.5).transpose(..., "sample")
    solved = (dataset["train_loss"] <= FAILED) & length.notnull().any("sample")
    second = solved.copy(data=second_radius(length.values).any(axis=-1))
    return float(second.where(solved).mean())


def same_n_eps(dataset: xr.Dataset) -> float:
    """How far the median losses of mean and sum are apart where they have the same effective eps.

    Relative, and the median over T and over eps: near the bump rounding decides.
    """
    n = features_of(dataset)
    apart = []
    for eps in dataset["eps"].values:
        equal = np.isclose(dataset["eps"].values, n * eps, rtol=1e-6, atol=0)
        for other in dataset["eps"].values[equal]:
            by_mean = by_T(dataset.sel(reduction=1.0, eps=eps))
            by_sum = by_T(dataset.sel(reduction=0.0, eps=other))
            apart.append(np.abs(by_mean / by_sum - 1))
    return float(np.median(apart))


def edge_exponent(dataset: xr.Dataset) -> float:
    """Exponent a of the boundary R = c (T/n)^a for T/n of 2 and more."""
    return _edge_line(dataset)[0]


def edge_factor(dataset: xr.Dataset) -> float:
    """Factor c of the boundary R = c (T/n)^a."""
    return _edge_line(dataset)[1]


def edge_at(dataset: xr.Dataset) -> float:
    """R at the edge of memorization over T/n, at the one T that is left."""
    (ratio,), (edges,) = _edge(dataset)
    return float(edges / ratio)


def _edge_line(dataset: xr.Dataset) -> tuple[float, float]:
    ratio, edges = _edge(dataset)
    late = ratio >= edge.FROM
    line = edge.power_law(ratio[late], edges[late])
    return line or (float("nan"), float("nan"))


def _edge(dataset: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """(T,): T/n, and the R from which on half of the seeds memorize the repeated sample."""
    R = dataset["repeats"].values.astype(float)
    keep = ("T", "repeats")
    died = runs(dataset["test_loss"].isnull(), keep)
    edges = np.array([edge.boundary(R, one) for one in edge.share(edge.held(dataset, keep, died))])
    return dataset["T"].values / features_of(dataset), edges


def near_misses(dataset: xr.Dataset) -> float:
    """Of repeated samples that are not memorized the share of near misses, less the usual share.

    The usual one is that of all samples that are there once; only the first is repeated.
    """
    given = fixed(dataset)
    histories = runs(dataset["history_sample_dimensionality"], ("repeats",))
    ranks = runs(dataset["repeated_rank"], ("repeats",))
    came = np.array(
        [
            [
                outcomes(
                    D[np.isfinite(D[:, 0])],
                    given["m"] / given["T"],
                    ranked_on_top(int(np.nan_to_num(rank, nan=-1)), given["T"]),
                )
                for D, rank in zip(trainings, their_ranks, strict=True)
            ]
            for trainings, their_ranks in zip(histories, ranks, strict=True)
        ]
    )
    repeated = np.zeros(came.shape, bool)
    repeated[dataset["repeats"].values > 1, :, 0] = True
    near, judged = came == "near miss", (came == "near miss") | (came == "other")
    return float(near[repeated & judged].mean() - near[~repeated & judged].mean())


def forgotten(dataset: xr.Dataset) -> float:
    """Features a training that once had D_f above 0.1 and ended below half of their peak."""
    histories = dataset["history_feature_dimensionality"]
    histories = histories.transpose(..., "step", histories.dims[-1])
    trainings = histories.values.reshape(-1, *histories.shape[-2:])
    parts = [D[np.ix_(*measured_part(D))] for D in trainings]
    lost = [(fates(D) == "forgotten").sum() if len(D) else np.nan for D in parts]
    return float(np.nanmean(lost))


def inner_height(dataset: xr.Dataset) -> float:
    """How far an inner maximum of the median test loss lies above both ends of T.

    From T = n/10 on, in units of the zero predictor; below 0 where the loss is largest at an end.
    """
    late = _late(dataset)
    loss = by_T(late.assign(test_loss=late["test_loss"] / late["zero_test_loss"]))
    return inner_maximum(loss)[1]


def odd_one(dataset: xr.Dataset) -> float:
    """The largest D*_X over the median one, its median over seeds."""
    D = dataset["maximal_dimensionality"]
    return float((D.max("sample") / D.median("sample")).median())


def generalizes_usually(dataset: xr.Dataset) -> float:
    """The T from which on the usual training, the mean at the first lr, has a test loss below 1."""
    return below_one(dataset.isel(lr=0).sel(reduction=1.0))


def generalizes_at_best(dataset: xr.Dataset) -> float:
    """The T from which on the lowest training loss of all belongs to a test loss below 1."""
    stacked = dataset[["train_loss", "test_loss"]].stack(run=("lr", "reduction", "init_seed"))
    margins = []
    for T in dataset["T"].values:
        here = stacked.sel(T=T).dropna("run")
        margins.append(margin(here["train_loss"].values, here["test_loss"].values < 1))
    return rises(dataset, np.array(margins))


def quotient(one: Statistic, other: Statistic) -> Statistic:
    """One statistic over another."""
    return lambda dataset: float(np.divide(one(dataset), other(dataset)))


def difference(one: Statistic, other: Statistic) -> Statistic:
    """One statistic less another."""
    return lambda dataset: one(dataset) - other(dataset)


def _last(dataset: xr.Dataset) -> str:
    return str(dataset["feature_dimensionality"].dims[-1])


def features_of(dataset: xr.Dataset) -> float:
    """n, the number of features."""
    return float(fixed(dataset)["n"])


def solved(statistic: Statistic) -> Statistic:
    """A statistic of the trainings that end with a training loss of at most 0.01."""
    return lambda dataset: statistic(dataset.where(dataset["train_loss"] <= FAILED))


def unsolved(statistic: Statistic) -> Statistic:
    """A statistic of the trainings that fail: that end with a training loss above 0.01."""
    return lambda dataset: statistic(dataset.where(dataset["train_loss"] > FAILED))


def seen_at(place: Statistic) -> Statistic:
    """How often a feature is seen, T (1 - S), at the T that a statistic gives; at one S."""
    return lambda dataset: float((1 - dataset["S"]) * place(dataset))


def spread_of_onsets(dataset: xr.Dataset, level: float = LEARNED) -> float:
    """Largest over smallest T (1 - S) at the onset over S, at least.

    The onset is the T from which on the median of the largest D_f is above a level. One beyond the
    swept T counts as the largest T; NaN where the smallest is such a one, or where a line is above
    the level from the smallest T on.
    """
    lines = [dataset.sel(S=value) for value in dataset["S"].values]
    onsets = [seen_at(lambda line: rises(line, _learned(line, level)))(line) for line in lines]
    least = np.array([float((1 - line["S"]) * line["T"].max()) for line in lines])
    bounds = np.minimum(onsets, least)
    sure = np.isfinite(onsets).any() and np.nanmin(onsets) <= bounds.min() and bounds.min() > 0
    return float(bounds.max() / bounds.min()) if sure else float("nan")


def spread_at_half(dataset: xr.Dataset) -> float:
    """That spread, of half of the largest D_f that there is at the most samples.

    It has no level of its own: where many features share the space all D_f are small.
    """
    last = dataset.isel(T=[-1])
    ends = [_learned(last.sel(S=value), level=0.0) for value in dataset["S"].values]
    return spread_of_onsets(dataset, float(np.nanmax(ends)) / 2)


def median_over(axis: str, statistic: Statistic) -> Statistic:
    """The median of a statistic along an axis."""
    return lambda dataset: float(
        np.median([statistic(dataset.sel({axis: value})) for value in dataset[axis].values])
    )


def fallen(dataset: xr.Dataset) -> float:
    """||W|| at the largest T over its largest value, both medians."""
    norms = by_T(dataset, "W_norm")
    return float(norms[-1] / np.nanmax(norms))
