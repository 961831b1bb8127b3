"""The figure `near_misses`, on histories that rise, fall or stay as they were made."""

import numpy as np
import pytest
from cells import assert_on_page
from made import gid, texts
from traced import STEPS, Traced

from superpos_jax import plots
from superpos_jax.studies.double_descent.figures import FIGURES, save

KINDS = {
    "memorized": [0.01, 0.01, 0.05, 0.3, 0.2],
    "near miss": [0.01, 0.01, 0.05, 0.09, 0.045],
    "other": [0.01, 0.01, 0.05, 0.09, 0.0451],
    "low": [0.001, 0.001, 0.0033, 0.001, 0.001],
}


def fill(cell):
    """Seed s takes the kind s + repeats, in turn; the other 2,999 samples keep D = 0.06, 0.04."""
    D = np.full((len(STEPS), 3000), 0.04)
    D[:, 1:6] = 0.06
    D[:, 0] = list(KINDS.values())[(cell.seed + cell.repeats) % 4]
    return {"history_sample_dimensionality": D}


def many(**options):
    axes = {"repeats": [3, 1, 2], "seed": [0, 1, 2, 3]}
    return Traced(axes, fill, **{"repeated": 1, "T": 3000, **options})


def test_every_seed_has_its_line_and_its_outcome():
    table = plots.near_misses_table(many())
    for (R, seed), run in table.groupby(["repeats", "seed"]):
        name = list(KINDS)[(R + seed) % 4]
        assert run["step"].tolist() == STEPS.tolist()
        np.testing.assert_allclose(run["dimensionality"], KINDS[name])
        assert set(run["outcome"]) == {"other" if name == "low" else name}
        assert (run["peak"].iloc[0], run["end"].iloc[0]) == (max(KINDS[name]), KINDS[name][-1])
    assert set(table["T"]) == {3000}


def test_lines_below_the_axis_lie_on_its_foot():
    def tiny(cell):
        D = np.full((len(STEPS), 3000), 2e-9)
        D[:, 0] = 1e-9
        return {"history_sample_dimensionality": D}

    figure = plots.near_misses(Traced({"repeats": [1, 2]}, tiny, repeated=1, T=3000))
    for panel in figure.axes:
        (run,) = gid(panel, "other")
        np.testing.assert_allclose(run.get_ydata(), panel.get_ylim()[0])


@pytest.mark.parametrize(
    ("over", "outcome"), [(0, "memorized"), (2, "memorized"), (3, "near miss"), (9, "near miss")]
)
def test_a_small_dimensionality_is_memorized_where_it_is_among_the_top_thousandth(over, outcome):
    """Of 3,000 samples three are in the top 0.1 %."""

    def crowd(cell):
        D = np.full((len(STEPS), 3000), 0.001)
        D[:, 0] = KINDS["near miss"]
        D[:, 1 : 1 + over] = 0.05
        return {"history_sample_dimensionality": D}

    result = Traced({"repeats": [1, 2]}, crowd, repeated=1, T=3000)
    assert set(plots.near_misses_table(result)["outcome"]) == {outcome}


def test_panels_follow_repeats_and_colours_the_outcome():
    figure = plots.near_misses(many())
    panels = [axes for axes in figure.axes if axes.get_visible()]
    titles = [panel.get_title(loc="left") for panel in panels]
    assert titles == ["repeats = 1", "repeats = 2", "repeats = 3"]
    for panel in panels:
        (near,), (held,) = gid(panel, "near miss"), gid(panel, "memorized")
        np.testing.assert_allclose(near.get_ydata(), KINDS["near miss"][1:])
        np.testing.assert_allclose(held.get_ydata(), KINDS["memorized"][1:])
        assert near.get_xdata().tolist() == STEPS[1:].tolist()
        assert len(gid(panel, "other")) == 2
        (level,) = gid(panel, "level")
        assert level.get_ydata()[0] == pytest.approx(5 * 2 / 3000)
        foot = panel.get_ylim()[0]
        assert 0 < foot < 0.001
        assert panel.get_xscale() == panel.get_yscale() == "log"
        assert "1 memorized 1 nearly 2 neither" in texts(panel)
    words = "Of 12 trainings 3 memorized it, 3 nearly did."
    assert any(words in text for text in texts(figure))


def test_runs_without_an_end_are_not_judged():
    result = many(dead=[(1, 3)], training=[(1, 1)])
    table = plots.near_misses_table(result)
    first = table[table["repeats"] == 1].groupby("seed")
    assert first["outcome"].first().tolist() == ["near miss", "unfinished", "other", "died"]
    assert first["step"].max().tolist() == [1000, 100, 1000, 10]
    figure = plots.near_misses(result)
    assert (len(gid(figure, "died")), len(gid(figure, "unfinished"))) == (1, 1)
    assert any("1 run died or diverged: not counted." in text for text in texts(figure))
    assert any("1 run not trained to the end: not counted." in text for text in texts(figure))


def test_seeds_without_a_stored_history_are_counted_apart():
    result = many()
    result.dataset["history_sample_dimensionality"][:, 1:] = np.nan
    table = plots.near_misses_table(result)
    assert (table.loc[table["seed"] > 0, "outcome"] == "unknown").all()
    assert any(
        "9 runs without a stored history" in text for text in texts(plots.near_misses(result))
    )


def test_repeated_defaults_to_one_where_it_is_swept():
    axes = {"repeated": [0, 1, 5], "repeats": [1, 2], "seed": [0, 1], "T": [3000]}
    result = Traced(
        axes,
        lambda cell: {
            "history_sample_dimensionality": fill(cell)["history_sample_dimensionality"]
            * cell.repeated
        },
    )
    assert set(plots.near_misses_table(result)["repeated"]) == {1}
    assert set(plots.near_misses_table(result, repeated=5)["peak"]) == {
        5 * max(d) for d in list(KINDS.values())[1:]
    }


def test_applies_gives_the_reason(tmp_path):
    applies = FIGURES["near_misses"].applies
    plain = many(repeated=0)
    reason = "near_misses needs repeated = 1, not 0"
    assert applies(plain.dataset) == reason
    with pytest.raises(ValueError, match="near_misses needs repeated"):
        save(plain, FIGURES["near_misses"], tmp_path)
    without = many().dataset.drop_vars("history_sample_dimensionality")
    assert "trace_dimensions = true" in applies(without)
    single = many().dataset.isel(repeats=[0])
    assert applies(single) == "near_misses needs a swept axis repeats; swept: seed"
    assert applies(many().dataset) is None


@pytest.mark.parametrize("repeats", [[1, 2], list(range(1, 9))])
def test_everything_is_on_the_page(repeats):
    axes = {"repeats": repeats, "seed": [0, 1]}
    assert_on_page(plots.near_misses(Traced(axes, fill, repeated=1, T=3000, dead=[(0, 0)])))
