"""Numbers that statements are about: functions of some trained cells of one result.

Seeds are paired: the same seed has the same data and initial weights at every learning rate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from superpos_jax.results.runs import runs
from superpos_jax.studies.large_lr.figures.mechanism import correlation
from superpos_jax.studies.large_lr.figures.tandem import JUDGED, knobs

Statistic = Callable[[xr.Dataset], float]
MARGIN = 0.05
"""Both numbers of a joint success lie that much above those at the lowest rate."""


def gain(name: str, high: float, low: float) -> Statistic:
    """The mean over seeds of a number at a high learning rate minus that at a low one."""
    return lambda dataset: float((dataset[name].sel(lr=high) - dataset[name].sel(lr=low)).mean())


def ratio(name: str, high: float, low: float) -> Statistic:
    """The mean over seeds of a number at a high learning rate over that at a low one."""
    return lambda dataset: float(
        dataset[name].sel(lr=high).mean() / dataset[name].sel(lr=low).mean()
    )


def more_gain(first: str, second: str, high: float, low: float) -> Statistic:
    """By how much more one number gains than another."""
    return lambda dataset: gain(first, high, low)(dataset) - gain(second, high, low)(dataset)


def trend(name: str) -> Statistic:
    """The rank correlation of a number with the learning rate, per seed, averaged over seeds."""

    def mean(dataset: xr.Dataset) -> float:
        rates = dataset["lr"].values.astype(float)
        by_seed = runs(dataset[name], ("lr",)).astype(float).T
        return float(np.nanmean([correlation(rates, values) for values in by_seed]))

    return mean


def below_best(name: str, at: float) -> Statistic:
    """The mean over seeds at a learning rate minus the largest mean over seeds of all rates."""

    def difference(dataset: xr.Dataset) -> float:
        means = dataset[name].mean([dim for dim in dataset[name].dims if dim != "lr"])
        return float(means.sel(lr=at) - means.max())

    return difference


def joint_share(names: Sequence[str], lowest: float) -> Statistic:
    """Of the learning rates, the share at which the medians of all numbers gain a margin.

    Args:
        names: of the numbers.
        lowest: the learning rate that they are compared with; it does not count itself.
    """

    def share(dataset: xr.Dataset) -> float:
        higher = []
        for name in names:
            middle = dataset[name].median([dim for dim in dataset[name].dims if dim != "lr"])
            rest = middle.drop_sel(lr=lowest)
            higher.append((rest - middle.sel(lr=lowest) >= MARGIN).values)
        return float(np.all(higher, axis=0).mean())

    return share


def across(first: str, second: str) -> Statistic:
    """The rank correlation of two numbers over all cells."""
    return lambda dataset: correlation(
        dataset[first].values.ravel().astype(float), dataset[second].values.ravel().astype(float)
    )


def rank_of(knob: str, chosen_by: str) -> Statistic:
    """The mean rank of a knob over data sets and numbers, 1 is best; each at its best value."""

    def rank(dataset: xr.Dataset) -> float:
        turns = knobs(dataset)
        base = next(iter(turns))
        names = sorted({turn for arm, turn in turns.items() if arm != base})
        seeds = [dim for dim in dataset[chosen_by].dims if dim not in ("arm", "rho")]
        middle = dataset[[*JUDGED, chosen_by]].median(seeds)
        ranks = []
        for rho in middle["rho"].values:
            best = []
            for name in names:
                own = [arm for arm, turn in turns.items() if turn == name and arm != base]
                values = middle.sel(rho=rho, arm=own)
                best.append(values.isel(arm=int(values[chosen_by].values.argmax())))
            for judged in JUDGED:
                numbers = np.array([float(value[judged]) for value in best])
                own_place = names.index(knob)
                above = (numbers > numbers[own_place]).sum()
                equal = (numbers == numbers[own_place]).sum()
                ranks.append(above + (equal + 1) / 2)
        return float(np.mean(ranks))

    return rank
