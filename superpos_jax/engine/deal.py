"""Who trains which cells: dealt to processes and their devices by work.

Each process compiles a program of its own, for the groups that it has cells of. So groups are kept
together where training takes no longer for it.
"""

from __future__ import annotations

import heapq

import numpy as np

WORTH = 1.005
"""By how much training may take longer for groups to stay whole: compilation is short beside it."""


def deal(work: np.ndarray, hands: int, held: np.ndarray | None = None) -> np.ndarray:
    """The largest piece first, each to the hand that has least to do; (pieces,) its hand.

    Args:
        work: (pieces,) of each.
        hands: how many there are.
        held: (hands,) work that they have already; by default none.

    >>> deal(np.array([3, 5, 1, 1]), 2).tolist()
    [1, 0, 1, 1]
    """
    owner = np.zeros(len(work), np.int64)
    load = [*zip(np.zeros(hands) if held is None else held, range(hands), strict=True)]
    heapq.heapify(load)
    order = np.argsort(-work, kind="stable")
    for i, own in zip(order.tolist(), work[order].tolist(), strict=True):
        least, hand = load[0]
        owner[i] = hand
        heapq.heapreplace(load, (least + own, hand))
    return owner


def owners(
    work: np.ndarray, updates: np.ndarray, group: np.ndarray, devices: int, processes: int
) -> np.ndarray:
    """(cells,) the device that trains each cell.

    Of three ways to deal, the one by which fewest groups are compiled: evenly, cell by cell, and
    by groups, as long as that takes at most `WORTH` times as long.

    Args:
        work: (cells,) operations of an update.
        updates: (cells,) of each cell.
        group: (cells,) the number of its group.
        devices: of all processes, those of one side by side.
        processes: each has `devices / processes` of them.
    """
    jobs = work * updates
    evenly = deal(jobs, devices)
    if processes == 1:
        return evenly
    each, dealt = devices // processes, [evenly]
    for slack in (1.0, (1 + WORTH) / 2):
        process, owner = _whole_groups(jobs, group, processes, slack), np.zeros_like(evenly)
        for index in range(processes):
            own = process == index
            owner[own] = index * each + deal(jobs[own], each)
        dealt.append(owner)
    times = [_time(owner, work, updates, devices) for owner in dealt]
    compiled = [len(np.unique(owner // each * len(group) + group)) for owner in dealt]
    ways = [*zip(compiled, times, range(len(dealt)), strict=True)]
    _, _, best = min(way for way in ways if way[1] <= WORTH * times[0])
    return dealt[best]


def _whole_groups(jobs: np.ndarray, group: np.ndarray, processes: int, slack: float) -> np.ndarray:
    """(cells,) the process of each: a group goes to as few processes as have room for it.

    The largest group first, to the processes that have least so far. The last of them takes what
    the others cannot, so that it alone has room left. A process has room for its share of the work,
    times the slack.
    """
    total = np.bincount(group, jobs)
    share = total.sum() / processes * slack
    held, owner = np.zeros(processes), np.zeros(len(jobs), np.int64)
    for number in np.argsort(-total, kind="stable"):
        order = np.argsort(held, kind="stable")
        room = np.cumsum(share - held[order])
        hands = order[: 1 + np.searchsorted(room[:-1], total[number])]
        before = held[hands]
        before[-1] = share - (total[number] - (share - before[:-1]).sum())
        own = np.flatnonzero(group == number)
        hand = deal(jobs[own], len(hands), before)
        owner[own] = hands[hand]
        held[hands] += np.bincount(hand, jobs[own], len(hands))
    return owner


def _time(owner: np.ndarray, work: np.ndarray, updates: np.ndarray, devices: int) -> float:
    """Operations one after another if devices waited for each other at every update: a bound."""
    ends, end = np.unique(updates, return_inverse=True)
    load = np.bincount(owner * len(ends) + end, work, devices * len(ends)).reshape(devices, -1)
    going = load[:, ::-1].cumsum(axis=1)[:, ::-1]  # of the cells that are not at their end yet
    return float(going.max(axis=0) @ np.diff(ends, prepend=0))
