"""Looks at a training cell: when they happen, what they remember, and what it is to be stopped.

Cells of one layout, side by side, so that every test has neighbours to disturb.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from classifier import LEARNED, Classifier, Numbers, Options
from programs import build, difference, train

from superpos_jax.engine.jaxprs import equations
from superpos_jax.engine.study import end_verdicts
from superpos_jax.engine.verdicts import ALIVE, DIVERGED, FINISHED, NOT_ENDED
from superpos_jax.errors import UserError

LENGTHS = (25, 20, 7, 1)


class Diary(Classifier):
    """Remembers the steps at which it was looked at, in order."""

    def memo(self, cell, shapes, params):
        return jnp.int32(0), jnp.full(8, -1, jnp.int32)

    def look(self, cell, shapes, now, memo):
        count, steps = memo
        return (count + 1, steps.at[count].set(now.step)), jnp.int32(NOT_ENDED)


class DiaryInCompany(Diary):
    def shapes(self, cell, platform):
        return replace(super().shapes(cell, platform), beside=3)


@pytest.mark.parametrize("study", [Diary, DiaryInCompany])
@pytest.mark.unoptimized  # the bits are those of one program
def test_looks_happen_at_multiples_and_at_the_end(study):
    """However long the chunks are; no look happens twice."""
    study = study(Options(look_every=10, test_samples=5))
    program = build(study, [Numbers(T=9, batch=4, steps=steps) for steps in LENGTHS])
    states = []
    for stops in ((25,), (1, 3, 10, 11, 25, 25), (9, 19, 20, 24, 30)):
        state = program.init()
        for stop in stops:
            state = program.advance(state, stop)
        states.append(state)
    assert difference(states[0], states[1]) == difference(states[0], states[2]) == {}
    looks = [steps[:count].tolist() for count, steps in program.memos(states[0])]
    assert looks == [[10, 20, 25], [10, 20], [7], [1]]


OPTIONS = Options(test_samples=30, look_every=10, patience=3)
BASE = Numbers(T=20, batch=8, steps=300, spread=0.7, lr=0.5)
CELLS = [
    BASE,
    replace(BASE, seed=1),
    replace(BASE, lr=0.01),
    replace(BASE, lr=40.0, seed=3),
    replace(BASE, lr=1e30),
    replace(BASE, spread=0.1, lr=0.05, T=12),
    replace(BASE, batch=5, seed=5),
    replace(BASE, steps=120, lr=0.02),
    replace(BASE, steps=15, seed=8),
]
STOPS = (40, 90, 300)


class OneByOne(Classifier):
    """A cell at a time."""

    def shapes(self, cell, platform):
        return replace(super().shapes(cell, platform), beside=1)


class InCompany(Classifier):
    """Four cells at once."""

    def shapes(self, cell, platform):
        return replace(super().shapes(cell, platform), beside=4)


class Watched(OneByOne):
    """Never stopped."""

    ends = {}  # noqa: RUF012

    def look(self, cell, shapes, now, memo):
        return memo, jnp.int32(NOT_ENDED)


def fit(study, cells):
    """Parameters, memos and measurements of cells at each of `STOPS`, and the program."""
    program = build(study, cells)
    state, story = program.init(), []
    for stop in STOPS:
        state = program.advance(state, stop)
        measured = program.finish(state)
        each = [{name: values[i] for name, values in measured.items()} for i in range(len(cells))]
        story.append((program.params(state), program.memos(state), each))
    return story


def of_cell(story, i):
    """What a story tells of one of its cells."""
    return [(params[i], memos[i], measured[i]) for params, memos, measured in story]


@pytest.fixture(scope="module")
def apart():
    """One cell after another."""
    return fit(OneByOne(OPTIONS), CELLS)


@pytest.fixture(scope="module")
def together():
    """Four at a time."""
    return fit(InCompany(OPTIONS), CELLS)


@pytest.fixture(params=["apart", "together"])
def story(request):
    return request.getfixturevalue(request.param)


def final(story, name):
    return np.array([measured[name] for measured in story[-1][2]])


def test_cells_end_in_every_way(story):
    """Else the comparisons below would hold for little."""
    ended, died_at = final(story, "ended"), final(story, "died_at")
    verdicts = [end_verdicts(Classifier(OPTIONS))[end] for end in ended if end != NOT_ENDED]
    assert {FINISHED, DIVERGED} <= set(verdicts)
    assert (died_at != ALIVE).tolist() == [cell.lr == 1e30 for cell in CELLS]
    steps = np.array([cell.steps for cell in CELLS])
    whole = (ended == NOT_ENDED) & (died_at == ALIVE)
    assert (final(story, "updates") == steps)[whole].all()
    assert whole.sum() >= 2


def test_a_stopped_cell_costs_no_more_steps_and_keeps_its_weights(story):
    for i in range(len(CELLS)):
        stops = [stop for stop in range(len(STOPS)) if story[stop][2][i]["ended"] != NOT_ENDED]
        for stop in stops:
            params, memo, measured = of_cell(story, i)[stop]
            assert measured["updates"] % OPTIONS.look_every == 0
            assert measured["updates"] < CELLS[i].steps
            assert difference(of_cell(story, i)[-1], (params, memo, measured)) == {}
    first_stop = [measured["ended"] for measured in story[0][2]]
    assert any(end != NOT_ENDED for end in first_stop)  # long before the last chunk


def test_the_reason_is_the_rule(story):
    """Too large a training loss, or as many looks in vain as the options allow."""
    for _, memo, measured in (of_cell(story, i)[-1] for i in range(len(CELLS))):
        if measured["ended"] == NOT_ENDED:
            continue
        reason = list(Classifier.ends)[measured["ended"]]
        assert (reason == "train loss above 10") == (measured["train_loss"] > 10)
        assert (reason == "overfits") <= (memo.waited == OPTIONS.patience)


def test_memos_hold_the_first_time_and_the_best(story):
    """The weights that are remembered have the measured values that are remembered with them."""
    study = Classifier(OPTIONS)
    learned = [memo.learned for memo in story[-1][1]]
    assert any(learned)
    assert not all(learned)
    for cell, memo in zip(CELLS, story[-1][1], strict=True):
        assert memo.learned.dtype == bool
        assert memo.waited.dtype == np.int32
        accuracy = measure(study, cell, memo.when_learned, "train")["accuracy"]
        assert memo.learned == (accuracy >= LEARNED)
        if np.isfinite(memo.best_loss):
            loss = measure(study, cell, memo.best, "test")["loss"]
            np.testing.assert_allclose(loss, memo.best_loss, rtol=1e-5)


measured_sums = jax.jit(Classifier(OPTIONS).measure)


def measure(study, cell, params, name):
    """Means over a data set, by the study alone."""
    dataset = study.datasets(cell)[name]
    batch = study.load(dataset)
    weight = np.ones(dataset.samples, np.float32)
    sums = measured_sums(cell, None, params, batch, weight)
    return {name: float(total) / dataset.samples for name, total in sums.items()}


def test_looks_change_no_training(apart):
    """Until one of them stops it."""
    chosen = [2, 8]
    program, state = train(Watched(OPTIONS), [CELLS[i] for i in chosen], STOPS[0])
    for params, i in zip(program.params(state), chosen, strict=True):
        assert difference(params, of_cell(apart, i)[0][0]) == {}


def test_the_engine_alone_is_the_engine_in_company(apart, together):
    """To rounding: other code computes four cells at once."""
    for i in range(len(CELLS)):
        if CELLS[i].lr <= 1:
            params, in_company = (of_cell(story, i)[0][0] for story in (apart, together))
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
                params,
                in_company,
            )


@pytest.mark.parametrize("count", [1, 9])
def test_company_changes_no_bit_of_cells_side_by_side(together, count):
    """One, and all in another order, four at once: some stop early, one dies."""
    chosen = np.random.default_rng(count).permutation(len(CELLS))[:count]
    story = fit(InCompany(OPTIONS), [CELLS[i] for i in chosen])
    for place, i in enumerate(chosen):
        assert difference(of_cell(story, place), of_cell(together, i)) == {}


def test_company_changes_no_bit_of_cells_one_by_one(apart):
    story = fit(OneByOne(OPTIONS), CELLS[::-1])
    for i in range(len(CELLS)):
        assert difference(of_cell(story, len(CELLS) - 1 - i), of_cell(apart, i)) == {}


def test_memos_survive_the_host(together):
    """A training goes on from what was stored as if it had not been interrupted."""
    program, state = train(InCompany(OPTIONS), CELLS, STOPS[0])
    stored = program.to_host(state)
    two = build(InCompany(OPTIONS), CELLS, devices=2)
    assert difference(two.memos(two.from_host(stored)), together[0][1]) == {}
    again = program.from_host(stored)
    assert difference(program.to_host(again), stored) == {}
    assert difference(program.memos(again), together[0][1]) == {}
    again = program.advance(again, STOPS[-1])
    assert difference(program.memos(again), together[-1][1]) == {}
    assert difference(program.params(again), together[-1][0]) == {}


def test_a_memo_keeps_its_type():
    """A float in a whole number's place would lose what is behind its point."""

    class Forgetful(Classifier):
        def look(self, cell, shapes, now, memo):
            return memo._replace(waited=memo.waited + 0.5), jnp.int32(NOT_ENDED)

    with pytest.raises(UserError, match=r"look: remembers float32\[\], and memo begins with int32"):
        train(Forgetful(Classifier.Options()), [Classifier.Cell(steps=20)], 20)


def test_cells_side_by_side_read_the_same_samples():
    """Neither looks nor measurements copy the pool of samples for each of them."""
    program = build(InCompany(Options(look_every=10, test_samples=3000)), CELLS[:1])
    pool = max(leaf.size for leaf in jax.tree.leaves(program.tables.pools))
    sizes = [out.aval.size for equation in equations(program.jaxpr()) for out in equation.outvars]
    assert max(sizes) <= pool
