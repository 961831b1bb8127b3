"""Shards: parts of a sweep that are trained apart, lost apart, and put together to the bit."""

import json
import shutil
import signal

import numpy as np
import pytest
from test_growth import same, sweep

import superpos_jax as sp
from superpos_jax.engine.plan import total_work
from superpos_jax.engine.verdicts import UNFINISHED
from superpos_jax.errors import Interrupted
from superpos_jax.results import store, view
from superpos_jax.results.sweep import load_sweep
from superpos_jax.training.shards import Shard, cut, left, parse

COUNT = 8
SWEEP = sweep({"T": [3, 4], "lr": [0.1, 3e38], "seed": range(4)}, steps=900)
"""Shards of equal shapes, which share a compiled program; half of the cells die."""


class Killed(BaseException):
    """As kill -9: nothing is written any more."""


def train(root, number, progress=lambda now: None, **arguments):
    return sp.run(
        SWEEP, out=root / Shard(number, COUNT).folder, shard=f"{number}/{COUNT}", devices=1,
        progress=progress, **arguments,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    return sp.run(SWEEP, devices=1).dataset


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folders of all shards; three of them were stopped, killed and lost."""
    root = tmp_path_factory.mktemp("shards")

    def stop(now):
        if now.step >= 200:
            signal.raise_signal(signal.SIGTERM)

    def kill(now):
        if now.step >= 200:
            raise Killed

    for number in range(1, COUNT + 1):
        if number == 2:
            with pytest.raises(Interrupted):
                train(root, number, stop)
        elif number == 5:
            with pytest.raises(Killed):
                train(root, number, kill, checkpoint_seconds=0)
        else:
            train(root, number)
    shutil.rmtree(root / Shard(7, COUNT).folder)
    return root


def parts(root):
    return sorted(path for path in root.iterdir() if path.name.startswith("shard-"))


def test_lost_shards_cost_themselves_and_the_rest_merges_to_the_bit(root, whole, tmp_path):
    out = tmp_path / "out"
    early = sp.merge(parts(root), out=out)
    assert left(early) == {Shard(2, COUNT): 2, Shard(5, COUNT): 2, Shard(7, COUNT): 2}
    assert early.count(UNFINISHED) == 6
    ended = early.dataset.verdict != UNFINISHED
    np.testing.assert_array_equal(early.dataset.w.where(ended), whole.w.where(ended))
    for number in (2, 5, 7):
        steps = []
        train(root, number, lambda now, steps=steps: steps.append((now.doing, now.step)))
        first = next(step for doing, step in steps if doing == "training")
        assert (first > 200) == (number != 7)  # from its checkpoint, where it has one
    merged = sp.merge(parts(root), out=out)
    assert left(merged) == {}
    same(merged.dataset, whole)
    same(sp.load(out).dataset, whole)
    same(sp.merge(parts(root)[::-1]).dataset, whole)
    runs = view.provenance(merged.dataset)
    assert sorted(run["shard"] for run in runs) == [f"{i}/{COUNT}" for i in range(1, COUNT + 1)]
    trainer = np.array([run["shard"] for run in runs])[merged.dataset.run.values].ravel().tolist()
    assert trainer == [str(owner) for owner in cut(SWEEP.grid(), COUNT)]
