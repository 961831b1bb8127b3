"""How statements are judged, and that the numbers they rest on are what they say."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import superpos_jax as sp
from superpos_jax.engine.verdicts import DIVERGED, FINISHED, NON_FINITE, UNFINISHED
from superpos_jax.results.sweep import load_sweep
from superpos_jax.statements import gallery, resampling
from superpos_jax.statements.checks import ANY, SHARE, Statement, check, judge
from superpos_jax.studies.double_descent.statements import STATEMENTS, statistics

DATA = Path(__file__).parents[2] / "figures" / "data"


def judged(losses, within, statistic=None, verdict=(), **where):
    """Of one cell for each seed, or (T, seed) where that is given."""
    losses = np.asarray(losses, float)
    dims = ("T", "seed")[-losses.ndim :]
    held = np.zeros(losses.shape, int)
    for index in verdict:
        held[index] = UNFINISHED
    variables = {"test_loss": (dims, losses), "verdict": (dims, held)}
    coordinates = {dim: range(size) for dim, size in zip(dims, losses.shape, strict=True)}
    statistic = statistic or statistics.middle("test_loss")
    statement = Statement("", "a number", "some", within, statistic, where, reason="because")
    return judge(statement, xr.Dataset(variables, coordinates))


@pytest.mark.parametrize(
    ("losses", "within", "verdict"),
    [
        ([1.0, 1.1, 1.2, 1.1], (0.9, 1.3), "agrees"),
        ([1.0, 1.1, 1.2, 1.1], (1.3, 2.0), "differs"),
        ([1.0, 1.1, 1.2, 1.1], (0.0, 0.9), "differs"),
        ([1.0, 1.1, 1.2, 1.1], (1.1, 2.0), "undecided"),
        ([1.1], (0.9, 1.3), "undecided"),
        ([np.nan, np.nan], (0.9, 1.3), "undecided"),
    ],
)
def test_a_number_is_judged_with_its_spread_over_seeds(losses, within, verdict):
    found = judged(losses, within)
    assert found.verdict == verdict
    assert found.reason == ("because" if verdict == "differs" else "")


def test_a_finding_tells_the_interval_and_few_seeds():
    assert judged([1.0, 1.1, 1.2, 1.1], (0, 2)).found == "1.1 (0.92 to 1.29)"
    assert judged([1.0, 1.2], (0, 2)).found == "1.1 (0.459 to 2.44), 2 seeds"
    assert judged([1.1], (0, 2)).found == "1.1, one seed"
    assert judged([np.nan, np.nan], (0, 2)).found == "not defined"


def test_a_number_that_other_seeds_do_not_give_is_undecided():
    def lowest_below_one(part):
        return part.test_loss.where(part.test_loss < 1).min()

    found = judged([0.5, 2.0, 3.0], (0, 1), lowest_below_one)
    assert (found.verdict, found.found) == ("undecided", "0.5 (0.5 to 0.5)")


def test_infinity_counts_as_a_number():
    assert judged([1.0] * 3, (0, np.inf), lambda part: np.inf).verdict == "agrees"
    assert judged([1.0] * 3, (0, 10), lambda part: np.inf).verdict == "differs"


def test_two_seeds_decide_nothing():
    assert judged([1.0, 1.0], (0, 2)).verdict == "undecided"
    assert judged([1.0, 1.0], (3, 4)).verdict == "undecided"


def test_an_interval_stays_within_what_the_number_can_be():
    statement = Statement("", "", "", (0.5, 1), lambda part: part.share.mean(), limits=SHARE)
    variables = {"share": ("seed", [0.9, 1.0, 0.98]), "verdict": ("seed", [0] * 3)}
    dataset = xr.Dataset(variables, {"seed": range(3)})
    assert judge(statement, dataset).found == "0.96 (0.807 to 1)"
    assert judge(statement, dataset).verdict == "agrees"
    beyond = judge(statement._replace(limits=ANY), dataset)
    assert (beyond.found, beyond.verdict) == ("0.96 (0.799 to 1.07)", "undecided")


def test_what_is_positive_has_a_positive_interval():
    """A factor between 1 and 30: it is stretched on the scale of its logarithm."""
    assert judged([1.0, 30.0, 30.0, 30.0], (0, 2)).found == "30 (0.051 to 30)"


def test_the_error_of_a_measured_reference_counts():
    losses = [1.0, 1.1, 1.2, 1.1]
    statement = Statement("", "", "", (1.3, 1.4), lambda part: part.test_loss.mean())
    variables = {"test_loss": ("seed", losses), "verdict": ("seed", [0] * 4)}
    dataset = xr.Dataset(variables, {"seed": range(4)})
    assert judge(statement, dataset).verdict == "differs"
    assert judge(statement._replace(of=1), dataset).verdict == "undecided"
    assert judge(statement._replace(of=1), dataset).found == judge(statement, dataset).found


@pytest.mark.parametrize("seeds", [3, 4, 8])
@pytest.mark.parametrize("draw", ["normal", "lognormal"])
def test_intervals_hold_the_truth_as_often_as_they_say(rng, seeds, draw):
    """The median over seeds in 1,000 experiments; the plain bootstrap does not."""
    truth = np.median(getattr(rng, draw)(size=100_001))
    picks = np.array([pick for (pick,) in resampling.choices(seeds)])
    plain = stretched = 0
    for experiment in getattr(rng, draw)(size=(1000, seeds)):
        medians = np.median(experiment[picks], axis=1)
        value = float(np.median(experiment))
        low, high = resampling.interval(value, medians, seeds, positive=draw == "lognormal")
        stretched += low <= truth <= high
        low, high = resampling.interval(value, medians, 10**6)
        plain += low <= truth <= high
    assert 910 <= stretched <= 985
    assert plain < 925


def test_a_seed_counts_if_all_of_its_cells_are_trained():
    losses = [[1.0, 1.1, 1.2], [5.0, 5.1, 5.2]]
    assert judged(losses, (0, 2), T=0, verdict=[(1, 2)]).found == "1.1 (0.851 to 1.39)"
    assert judged(losses, (0, 2), T=1, verdict=[(1, 2)]).found == "5.05 (4.61 to 5.53), 2 seeds"
    assert judged(losses, (0, 2), verdict=[(1, 2), (0, 1)]).found == "3, one seed"
    assert judged(losses, (0, 2), T=1, verdict=[1]).verdict == "not trained"
    assert judged(losses, (0, 2), T=7).verdict == "not trained"


def test_two_kinds_of_seeds_keep_what_is_whole():
    """The unfinished cell takes its own seed of one kind with it, not one of each."""
    verdict = np.zeros((2, 2), int)
    verdict[1, 1] = UNFINISHED
    dims = ("data_seed", "init_seed")
    dataset = xr.Dataset(
        {"verdict": (dims, verdict), "test_loss": (dims, [[1.0, 2.0], [9.0, 9.0]])},
        {axis: [0, 1] for axis in dims},
    )
    found = judge(Statement("", "", "", (0, 4), statistics.middle("test_loss")), dataset)
    assert found.found == "1.5 (0.0364 to 21), 2 seeds"


def test_of_two_kinds_of_seeds_the_fewer_ones_count():
    """Three data sets with eight initial weights each are three, and not eight, of what varies."""
    losses = np.array([1.0, 1.1, 1.2])[:, None] + np.zeros(8)
    dims = ("data_seed", "init_seed")
    dataset = xr.Dataset(
        {"verdict": (dims, np.zeros(losses.shape, int)), "test_loss": (dims, losses)},
        {"data_seed": range(3), "init_seed": range(8)},
    )
    mean = Statement("", "", "", (0.96, 2), lambda part: part.test_loss.mean())
    assert judge(mean, dataset).verdict == "undecided"  # of 24 or of 8 it would agree


def test_the_order_of_an_axis_does_not_matter():
    losses = [[1.2] * 3, [1.1] * 3, [0.9] * 3]
    dataset = xr.Dataset(
        {"test_loss": (("T", "seed"), losses), "verdict": (("T", "seed"), np.zeros((3, 3)))},
        {"T": [100, 1000, 5000], "seed": [0, 1, 2]},
    )
    statement = Statement("", "", "", (1000, 5000), statistics.below_one)
    assert judge(statement, dataset) == judge(statement, dataset.isel(T=[2, 0, 1]))
    assert judge(statement, dataset).verdict == "agrees"


def test_what_cannot_be_computed_is_not_defined():
    """All seeds died; no T is large enough; an eps is not there; a bump is not known."""
    dead = xr.Dataset(
        {"test_loss": (("T", "seed"), np.full((3, 2), np.nan)),
         "verdict": (("T", "seed"), np.full((3, 2), NON_FINITE))},
        {"T": [10, 100, 1000], "seed": [0, 1]},
    )  # fmt: skip
    few = dead.assign(test_loss=dead.test_loss.fillna(1), verdict=dead.verdict * 0).isel(T=[0])
    for dataset, statistic in (
        (dead, statistics.bump_at), (few, statistics.bump_at),
        (few, statistics.at(statistics.bump, eps=1)), (dead, statistics.inner_height),
    ):  # fmt: skip
        assert judge(Statement("", "", "", (0, 1), statistic), dataset).found == "not defined"
    bumps = xr.concat([few.assign_coords(T=[100])] * 3, "m").assign_coords(m=[2, 3, 4])
    bumps["test_loss"] = bumps["test_loss"] * xr.DataArray([1.3, np.nan, 1.5], dims="m")
    never = Statement("", "", "", (0, 0), statistics.steps_against("m", statistics.bump, -1))
    assert judge(never, bumps).found == "not defined"


def test_without_seeds_nothing_is_decided():
    dataset = xr.Dataset({"test_loss": ("T", [1.0, 2.0]), "verdict": ("T", [0, 0])}, {"T": [5, 6]})
    statement = Statement("", "", "", (0, 2), statistics.middle("test_loss"), {"T": 5})
    assert judge(statement, dataset).found == "1, one seed"
    dataset["verdict"][1] = UNFINISHED
    assert judge(statement._replace(where={"T": 6}), dataset).verdict == "not trained"


def test_a_recorded_step_is_judged_while_cells_are_still_training():
    history = [[0.5, 0.4, np.nan], [0.7, 0.6, np.nan], [0.9, np.nan, np.nan]]
    verdict = [UNFINISHED, UNFINISHED, NON_FINITE]
    variables = {"verdict": ("seed", verdict), "history_loss": (("seed", "step"), history)}
    dataset = xr.Dataset(variables, {"seed": [0, 1, 2], "step": [10, 20, 30]})
    statement = Statement("", "", "", (0, 1), lambda part: part.history_loss.sel(step=20).mean())
    statement = statement._replace(reads={"history_loss": 0})
    assert judge(statement, dataset).found == "not defined"  # but for the seed that died
    assert judge(statement._replace(step=20), dataset).found == "0.5 (0.274 to 0.816)"
    assert judge(statement._replace(step=30), dataset).found == "not defined"
    dataset["history_loss"][0, 1] = np.nan  # this seed has not come so far
    assert judge(statement._replace(step=20), dataset).found.startswith("0.6")


def test_cells_that_failed_do_not_count():
    verdict = [FINISHED, NON_FINITE, DIVERGED]
    variables = {"verdict": ("seed", verdict), "test_loss": ("seed", [1.0, 9.0, 3.0])}
    dataset = xr.Dataset(variables, {"seed": [0, 1, 2]})
    finding = judge(Statement("", "", "", (0, 4), lambda part: part.test_loss.mean()), dataset)
    assert finding.found.startswith("1 (")


T = np.array([10, 100, 1000, 10_000])


def curves(losses, n=1000):
    """(T, seed) losses as a dataset."""
    variables = {"test_loss": (("T", "seed"), np.asarray(losses, float))}
    coordinates = {"T": T, "seed": range(np.shape(losses)[1])}
    return xr.Dataset(variables, coordinates, {"options": f'{{"n": {n}}}'})


def test_bump_peak_and_crossing():
    dataset = curves([[9, 9, 9], [1.1, 1.3, 1.2], [1.5, 1.4, 7], [0.9, 0.8, 0.9]])
    assert statistics.bump(dataset) == 1.5  # neither T = 10 nor the seed with 7
    assert statistics.bump_at(dataset) == 1000
    assert statistics.bump(curves([[9], [3], [1], [2]], n=10_000)) == 2  # nor T = 100
    assert statistics.ridge(dataset) == 10
    # medians 1.5 and 0.9, on the scale of the figures, and log T
    share = np.arcsinh(0.5 / 0.01) / (np.arcsinh(0.5 / 0.01) + np.arcsinh(0.1 / 0.01))
    assert statistics.below_one(dataset) == pytest.approx(1000 * 10**share)
    assert statistics.below_one(dataset.isel(T=slice(3))) == np.inf
    dataset["test_loss"][-1] = np.nan
    with pytest.warns(RuntimeWarning, match="All-NaN"):
        assert np.isnan(statistics.below_one(dataset))


def test_where_the_loss_begins_to_rise():
    """The least of the means before the bump, which is sought from T = n/10 on."""
    dataset = curves([[9, 9], [1.2, 1.0], [2, 1.0], [0.9, 0.8]])
    assert statistics.least_before_bump(dataset) == 100
    assert statistics.least_before_bump(dataset.isel(T=[0, 2, 3])) == 1000  # not T = 10


def test_a_curve_is_as_far_off_as_its_worst_point():
    dataset = curves([[1, 2, 9], [1, 1, 1], [2, 2, 2], [4, 4, 4]])
    curve = {10: 2, 100: 1.25, 1000: 1.9, 10_000: 4}
    assert statistics.apart_from(curve, "test_loss")(dataset) == pytest.approx(1.25)


def test_samples_on_a_second_radius():
    """Of the seeds that are solved and whose hidden vectors are stored."""
    H = np.full((4, 3, 2), [0.0, 2.0])
    H[0, 0] = 1.0, 0.0  # half as long
    H[1, 0] = 0.1, 0.0  # near the origin
    H[2, 0] = 1.0, 0.0  # not solved
    H[3] = np.nan
    dataset = xr.Dataset(
        {"H": (("seed", "sample", "hidden"), H), "train_loss": ("seed", [0.0, 0.0, 0.5, 0.0])}
    )
    assert statistics.two_radii(dataset) == 0.5


def test_the_edge_of_memorization_over_its_T():
    """Held from R = 4 on at T/n = 2: at the top of fewer than 1,000 samples is the largest."""
    rank = xr.DataArray([[[5, 5], [3, 9], [0, 0], [0, 0]]], dims=("T", "repeats", "seed"))
    dataset = xr.Dataset(
        {"repeated_rank": rank, "test_loss": rank * 0.0},
        {"T": [200], "repeats": [1, 2, 4, 8]},
        {"options": '{"n": 100}'},
    )
    assert statistics.edge_at(dataset) == pytest.approx(2**1.5 / 2)


def test_features_and_their_onset():
    D = np.full((4, 2, 7), 0.01)
    D[2, :, :5] = [[0.2, 0.3, 0.25, 0.09, 0.11], [0.2, 0.2, 0.2, 0.2, 0.2]]
    D[3, :, :5] = 0.4
    dataset = curves(np.ones((4, 2)))
    dataset["feature_dimensionality"] = (("T", "seed", "feature"), D)
    assert statistics.features(dataset.sel(T=[1000])) == 4.5
    assert statistics.of_five(dataset.sel(T=[10_000])) == pytest.approx(0.4)
    # medians of the largest: 0.01 and 0.25
    assert statistics.onset(dataset) == pytest.approx(100 * 10 ** (0.14 / 0.24))
    whole = statistics.onset(dataset)
    D[:, :, 5:] = np.nan  # as an archive has it
    dataset["feature_dimensionality"] = (("T", "seed", "feature"), D)
    assert statistics.onset(dataset) == whole
    assert statistics.first_rise(dataset) == whole
    again = dataset.copy(deep=True)
    again["feature_dimensionality"][-1] = 0.01  # falls again
    assert statistics.first_rise(again) == whole
    assert statistics.onset(again) == np.inf
    assert statistics.seen_at(statistics.onset)(dataset.assign(S=0.75)) == whole / 4
    early = dataset.isel(T=slice(2)).assign(S=0.75)  # before the onset
    assert statistics.seen_at(statistics.onset)(early) == np.inf


def test_the_spread_of_onsets_is_a_lower_bound_or_not_known():
    """D rises at T = 100 or 1,000 (interpolated), or not at all; S is 0.5, 0.75 and 0.875."""

    def lines(*rises, ends=0.25):
        D = np.full((len(rises), 3, 1, 1), 0.05)
        for line, first, end in zip(D, rises, np.broadcast_to(ends, len(rises)), strict=True):
            line[first:] = end
        return xr.Dataset(
            {"feature_dimensionality": (("S", "T", "seed", "feature"), D)},
            {"S": [0.5, 0.75, 0.875][: len(rises)], "T": [10, 100, 1000], "seed": [0]},
        )

    def spread(*rises):
        return statistics.spread_of_onsets(lines(*rises))

    assert spread(1, 1) == pytest.approx(2)
    assert spread(1, 2) == pytest.approx(5)
    assert spread(1, 3, 3) == pytest.approx(250 / (0.5 * 10**1.5))  # 250 and 125 at least
    assert np.isnan(spread(2, 3, 3))  # 125 at least, below the 158 that is known
    assert np.isnan(spread(3, 3))
    assert np.isnan(spread(0, 1))  # above the level from the first T on
    # half of 0.25 is passed at 10^(1 + 0.075 / 0.2); a line that ends at 0.11 comes to it nowhere
    assert statistics.spread_at_half(lines(1, 1)) == pytest.approx(2)
    half = 0.5 * 10 ** (1 + 0.075 / 0.2)
    assert statistics.spread_at_half(lines(1, 1, ends=(0.25, 0.11))) == pytest.approx(250 / half)
    assert statistics.spread_at_half(lines(1, 1, ends=0.11)) == pytest.approx(2)  # below 0.15 too


def test_seeds_without_weights_or_history_do_not_count():
    W = np.zeros((3, 2, 9))
    W[0, :, :5] = 1.0
    W[1:] = np.nan
    assert statistics.long_ones(xr.Dataset({"W": (("seed", "hidden", "feature"), W)})) == 5
    D = np.full((3, 2, 4), np.nan)
    D[:, 0, 0] = [0.0, 0.3, 0.1]
    dims = ("step", "seed", "feature")
    dataset = xr.Dataset({"history_feature_dimensionality": (dims, D)}, {"step": [0, 1, 2]})
    assert statistics.forgotten(dataset) == 1


def test_outputs_are_dead_below_zero():
    """Of seeds whose biases are stored."""
    b = np.array([[-1.0, 1, 1, 1], [-1, -1, -1, 1], [np.nan] * 4])
    dataset = xr.Dataset({"b": (("seed", "feature"), b)})
    assert statistics.dead_outputs(dataset) == 0.5
    assert statistics.dead_outputs(dataset.isel(seed=[0, 2])) == 0.25


def test_a_pentagon_is_regular_or_not():
    angles = np.radians([10, 82, 154, 226, 298])
    W = np.zeros((2, 2, 9))
    W[:, :, [1, 4, 2, 8, 5]] = [np.cos(angles), np.sin(angles)]
    W[:, :, 0] = 0.3  # shorter than the five
    dataset = xr.Dataset({"W": (("seed", "hidden", "feature"), W)})
    assert statistics.pentagon(dataset) == pytest.approx(0)
    assert statistics.long_ones(dataset) == 5
    assert statistics.long_ones(dataset * 3) == 5
    turned = np.radians(82 + 6)
    W[:, :, 4] = np.cos(turned), np.sin(turned)
    assert statistics.pentagon(dataset) == pytest.approx(6)


def test_where_the_lowest_training_loss_generalizes():
    """Not where most trainings do; dead ones do not count."""
    size = (4, 2, 1, 3)
    train, test = np.full(size, 0.9), np.full(size, 0.8)
    train[:3, 1, 0, 2], test[:3, 1, 0, 2] = 0.5, 3.0  # wins up to T = 1,000, by 0.4
    train[3, 1, 0, 2], test[3, 1, 0, 2] = 0.95, 3.0  # loses by 0.05
    train[3, 0, 0, 1] = test[3, 0, 0, 1] = np.nan
    dims = ("T", "lr", "reduction", "init_seed")
    dataset = xr.Dataset(
        {"train_loss": (dims, train), "test_loss": (dims, test)},
        {"T": T, "lr": [1e-3, 1e-2], "reduction": [1.0], "init_seed": range(3)},
    )
    assert statistics.generalizes_at_best(dataset) == pytest.approx(1000 * 10 ** (0.4 / 0.45))
    assert statistics.generalizes_usually(dataset) == 0
    test[:2, 0, 0, :2] = 1.2
    assert statistics.generalizes_usually(dataset) > 100


def test_where_feature_vectors_are_longest():
    W = np.ones((4, 3, 2, 5))
    W[1, :2, :, 4] = 3, 4  # in two of three seeds
    W[2, 0] = 50
    dims = ("T", "seed", "hidden", "feature")
    dataset = xr.Dataset({"W": (dims, W)}, {"T": T, "seed": range(3)})
    assert statistics.longest_at(dataset) == 100


def test_ratios_and_steps_along_an_axis():
    losses = np.stack([np.ones((4, 2)) * k for k in (1.0, 1.3, 1.2)])
    dataset = xr.concat([curves(loss) for loss in losses], "m").assign_coords(m=[2, 3, 4])
    assert statistics.ratio_over("m", statistics.bump)(dataset) == pytest.approx(1.3)
    assert statistics.steps_against("m", statistics.bump, 1)(dataset) == 1
    assert statistics.steps_against("m", statistics.bump, -1)(dataset) == 1
    assert statistics.bigger_hurts(dataset) == pytest.approx(0.3)


def test_more_data_hurts_is_the_least_rise():
    rising = [[1.0, 1.0], [0.9, 0.9], [1.4, 1.4], [0.8, 0.8]]
    flat = [[1.0, 1.0], [1.0, 1.0], [1.02, 1.02], [0.8, 0.8]]
    dataset = xr.concat([curves(rising), curves(flat)], "m").assign_coords(m=[2, 3])
    assert statistics.more_hurts(dataset) == pytest.approx(0.02)


def test_what_is_forgotten():
    D = np.zeros((3, 2, 4))
    D[:, 0, 0] = [0.0, 0.3, 0.1]
    D[:, 0, 1] = [0.0, 0.3, 0.2]
    D[:, 1, 2] = [0.0, 0.09, 0.0]  # never learned
    dims = ("step", "seed", "feature")
    dataset = xr.Dataset({"history_feature_dimensionality": (dims, D)}, {"step": [0, 1, 2]})
    assert statistics.forgotten(dataset) == 0.5


def test_near_misses_beyond_those_of_samples_seen_once():
    D = np.full((2, 3, 3, 5), 1e-4)  # repeats, seed, step, sample; m/T = 0.002
    D[..., 1] = 0.05
    D[1, 0, :, 0] = [0.0, 0.09, 0.01]
    D[1, 1, :, 0] = [0.0, 0.009, 0.0]  # below 5 m/T
    D[1, 2, :, 0] = [0.0, 0.3, 0.06]  # the largest at the end
    dims = ("repeats", "seed", "step", "sample")
    dataset = xr.Dataset(
        {
            "history_sample_dimensionality": (dims, D),
            "repeated_rank": (dims[:2], np.full((2, 3), -1)),  # not known
        },
        {"repeats": [1, 2], "seed": [0, 1, 2], "step": [0, 1, 2]},
        {"cell": '{"m": 2, "T": 1000}'},
    )
    assert statistics.near_misses(dataset) == pytest.approx(1 / 2)  # of two not memorized
    dataset["repeated_rank"][1, 2] = 1  # all samples are more than the five that are followed
    assert statistics.near_misses(dataset) == pytest.approx(2 / 3)
    dataset["repeated_rank"][1, 2] = 0
    D[0, 1, :, 0] = D[1, 0, :, 3] = [0.0, 0.09, 0.01]
    once = 2 * 3 * 5 - 3 - 5  # five times sample 1 is memorized
    assert statistics.near_misses(dataset) == pytest.approx(1 / 2 - 2 / once)


def test_failures_are_told_apart():
    dataset = curves([[1, 2, 3]] * 4).assign(train_loss=("seed", [0.0, 0.02, 0.5]))
    assert statistics.unsolved(statistics.middle("test_loss"))(dataset) == 2.5
    assert statistics.solved(statistics.middle("test_loss"))(dataset) == 1


def test_where_regimes_end_and_begin():
    def of(*regimes):
        flags = {"flag_meanings": "memorizing middle generalizing"}
        return xr.Dataset(
            {"regime": (("T", "seed"), np.array(regimes), flags)}, {"T": [1, 10, 100]}
        )

    for dataset, last, first in (
        (of([0, 0], [0, 1], [2, 2]), 10, 100),
        (of([1, 1], [0, 0], [0, 0]), 0, np.inf),
        (of([2, 2], [1, 1], [0, 2]), 0, 100),
        (of([0, 0], [0, 0], [0, 0]), 100, np.inf),
        (of([2, 2], [2, 2], [2, 2]), 0, 1),
    ):
        assert statistics.memorizing_to(dataset) == last
        assert statistics.generalizing_from(dataset) == first


def test_the_exact_equality_of_the_conventions_is_found():
    eps, reductions = [1e-11, 1e-9, 1e-8, 1e-6], [0.0, 1.0]
    dims = ("eps", "reduction", "T", "seed")
    loss = np.random.default_rng(0).uniform(1, 2, (4, 2, 4, 3))
    loss[0, 1], loss[1, 1] = loss[2, 0], loss[3, 0]  # n = 1,000
    dataset = xr.Dataset(
        {"test_loss": (dims, loss)},
        {"eps": eps, "reduction": reductions, "T": T},
        {"options": '{"n": 1000}'},
    )
    assert statistics.same_n_eps(dataset) == 0
    dataset["test_loss"][0, 1] *= 1.2
    dataset["test_loss"][1, 1] *= 1.2
    assert statistics.same_n_eps(dataset) == pytest.approx(0.2)


def test_statements_are_about_cells_that_their_sweeps_have():
    for statement in STATEMENTS:
        axes = load_sweep(statement.key).grid().axes
        for axis, values in statement.where.items():
            assert set(np.atleast_1d(values)) <= set(axes[axis]), statement


@pytest.mark.skipif(not DATA.exists(), reason="archives are in a clone of the repository")
def test_every_statement_of_a_finished_result_is_a_number(monkeypatch):
    """So that none is silently about an axis or an array that is not there."""
    monkeypatch.setattr(resampling, "DRAWS", 4)
    findings = check(DATA, STATEMENTS)
    assert len(findings) > 20
    assert [f.statement for f in findings if f.found == "not defined"] == []
    page = (DATA.parent / "README.md").read_text().splitlines()
    for one in findings:  # the page shows these numbers; only the intervals are of fewer choices
        shown, within = (
            gallery._plain(text) for text in (one.found.partition(" (")[0], one.within)
        )
        row = f"| {gallery._plain(one.statement)} | {shown}"
        assert any(line.startswith(row) and f"| {within} |" in line for line in page), row
    for key in {f.key for f in findings if f.verdict == "not trained"}:
        path = DATA / f"{load_sweep(key).name}.zip"
        assert not path.exists() or sp.load(path).count(UNFINISHED) > 0, key
