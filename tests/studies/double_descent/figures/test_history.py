"""The figure `history`, on features that are learned, kept and forgotten as they were made."""

import numpy as np
import pytest
from cells import assert_on_page
from made import gid, texts
from traced import STEPS, Traced, gon

from superpos_jax import plots
from superpos_jax.studies.double_descent.figures import FIGURES, save

KEPT = [0.01, 0.01, 0.05, 0.3, 0.16]
FORGOTTEN = [0.01, 0.02, 0.2, 0.3, 0.14]
FADED = [0.01, 0.02, 0.11, 0.12, 0.07]
NEVER = [0.01, 0.02, 0.09, 0.08, 0.0]


def fill(cell):
    """Features 0-2 are kept, 3-4 forgotten, 5 faded; repeated samples end high but the last."""
    n, repeated = 20, cell.repeated if cell.repeats > 1 else 0
    D_f = np.outer([1, 1, 1, 1, 1], np.linspace(0.02, 0.01, n)) * np.array(NEVER)[:, None]
    D_f[:, :3] = np.array(KEPT)[:, None]
    D_f[:, 3:5] = np.array(FORGOTTEN)[:, None]
    D_f[:, 5] = FADED
    D_X = np.full((len(STEPS), cell.T), 0.01) + 1e-4 * np.arange(cell.T)
    D_X[-1, : max(repeated - 1, 0)] = 0.2 + 0.01 * np.arange(max(repeated - 1, 0))
    H, W = 0.1 * gon(cell.T), 0.01 * gon(n)
    H[:repeated] = gon(max(repeated, 1), 2.0)[:repeated]
    W[:5] = gon(5)
    losses = {f"history_{name}_loss": np.linspace(1, end, 5) for name, end in ENDS.items()}
    traces = {"history_feature_dimensionality": D_f, "history_sample_dimensionality": D_X}
    return {"W": W.T, "H": H, **traces, **losses}


ENDS = {"train": 0.2, "test": 1.3}


def by_size(**options):
    return Traced({"T": [50, 30, 40], "seed": [4, 5]}, fill, **options)


def by_repeats(**options):
    axes = {"repeats": [1, 5], "repeated": [0, 1, 3, 20], "seed": [0, 1]}
    return Traced(axes, fill, **{"T": 300, **options})


def test_learned_and_forgotten_features_are_counted():
    table = plots.history_table(by_size())
    for _, cell in table.groupby("cell"):
        numbers = cell[["learned", "forgotten", "features", "samples", "several"]]
        assert numbers.drop_duplicates().values.tolist() == [[6, 2, 5, 0, 0]]
        features = cell[cell["kind"] == "feature"].groupby("index")
        fate = features["fate"].first()
        assert fate.loc[:5].tolist() == ["kept"] * 3 + ["forgotten"] * 2 + ["kept"]
        assert set(fate.loc[6:]) == {"never"}
        assert len(fate) == 12
        assert features["value"].apply(list).loc[3] == FORGOTTEN
    assert table.groupby("cell")["T"].first().tolist() == [30, 40, 50]
    assert texts(plots.history(by_size())).count("0 end above 0.25, 5 above 0.1 2 forgotten") == 3


def test_seeds_that_are_not_drawn_are_told_in_means():
    def by_seed(cell):
        arrays = fill(cell)
        if cell.seed == 7:
            D_f = arrays["history_feature_dimensionality"]
            D_f[:, 4] = KEPT  # one that the other seeds forget
            D_f[-1, :2] = 0.3
        return arrays

    result = Traced({"T": [50, 30], "seed": [5, 6, 7]}, by_seed, dead=[(0, 0)], training=[(0, 1)])
    table = plots.history_table(result, seed=6)
    means = table.groupby("T")[["seeds", "mean_forgotten", "mean_corners"]].first()
    np.testing.assert_allclose(means, [[3, 5 / 3, 2 / 3], [1, 1, 2]])  # trained to the end only
    assert not any("Means of" in text for text in texts(plots.history(result)))
    found = texts(plots.history(result, T=[30]))
    assert any("Means of 3 seeds by column: 1.7 forgotten." in t for t in found)
    assert "seeds" not in plots.history_table(by_size(), seed=[4, 5])


def test_the_caption_says_that_only_the_first_samples_are_followed():
    words = "Samples are the first 35."
    for kept, said in ((35, True), (50, False)):
        found = texts(plots.history(by_size(options={"report_samples": kept})))
        assert any(words in text for text in found) is said


def test_what_an_archive_left_of_the_lines_keeps_its_numbers():
    result = by_repeats()
    whole = plots.history_table(result)
    D = result.dataset["history_sample_dimensionality"]
    result.dataset["history_sample_dimensionality"] = D.where(D["sample"] != 1)
    thinned = plots.history_table(result)
    fates = thinned[thinned["kind"] == "sample"].groupby(["cell", "index"])["fate"].first()
    assert (fates == "repeated").groupby("cell").sum().tolist() == [0, 1, 2, 12]
    for (cell, index), fate in fates.items():
        line = whole[(whole["cell"] == cell) & (whole["index"] == index)]
        assert set(line.loc[line["kind"] == "sample", "fate"]) <= {fate}


def test_repeated_samples_are_told_from_the_others():
    table = plots.history_table(by_repeats())
    labels = [" ".join(label.split()) for label in table.groupby("cell")["label"].first()]
    names = [f"repeated = {count} repeats = 5" for count in (1, 3, 20)]
    assert labels == ["no repeats", *names]
    cells = table.groupby("cell")[["several", "samples", "largest"]].first()
    assert cells.values.tolist() == [[0, 0, 0], [1, 0, 0], [3, 2, 2], [20, 19, 19]]
    samples = table[(table["kind"] == "sample") & (table["step"] == 1000)]
    shown = samples.groupby(["cell", "fate"])["index"].apply(lambda index: sorted(index))
    assert shown[0, "once"] == list(range(288, 300))
    assert shown[2, "repeated"] == [0, 1, 2]
    assert shown[3, "repeated"] == list(range(7, 19))
    assert len(shown[3, "once"]) == 12
    figure = plots.history(by_repeats())
    found = texts(figure)
    assert "2 among the 3 largest" in found
    assert "not the largest one" in found
    assert any("their rank by D at the end" in text for text in found)


def test_of_many_cells_those_with_the_fewest_repeats_are_drawn():
    axes = {"repeats": [1, 9, 5], "repeated": [2, 1, 4, 6], "seed": [0]}
    labels = plots.history_table(Traced(axes, fill)).groupby("cell")["label"].first()
    assert [" ".join(label.split()) for label in labels] == [
        "no repeats", *(f"repeated = {count} repeats = 5" for count in (1, 2, 4, 6))
    ]  # fmt: skip


def test_lines_and_vectors_are_those_of_the_cells():
    result = by_repeats()
    figure = plots.history(result, seed=1, repeats=5, repeated=[3])
    assert result.calls == [{"repeats": 5, "repeated": 3, "seed": 1}]
    features, samples, losses, plane = figure.axes
    assert [len(gid(features, name)) for name in ("kept", "forgotten", "never")] == [4, 2, 6]
    assert {tuple(line.get_ydata()) for line in gid(features, "forgotten")} == {
        tuple(FORGOTTEN[1:])
    }
    assert {tuple(ring.get_data()[1]) for ring in gid(features, "peak")} == {(0.3,)}
    assert [len(gid(samples, name)) for name in ("repeated", "once")] == [3, 12]
    levels = [
        {line.get_ydata()[0] for line in panel.lines if len(set(line.get_ydata())) == 1}
        for panel in (features, samples)
    ]
    assert {0.1, 0.25} <= levels[0]
    assert 0.1 in levels[1]
    assert 0.25 not in levels[1]
    for name, end in ENDS.items():
        (line,) = gid(losses, name)
        np.testing.assert_allclose(line.get_ydata(), np.linspace(1, end, 5)[1:])
    drawn = [np.asarray(dots.get_offsets()) for dots in gid(plane, "hidden vector")]
    np.testing.assert_allclose(drawn[-1], gon(3, 2.0))
    (dots,) = gid(plane, "feature vector")
    distance = np.linalg.norm(np.asarray(dots.get_offsets())[:, None] - gon(5), axis=2)
    np.testing.assert_allclose(distance.min(axis=0), 0, atol=1e-12)
    rays = [lines for lines in plane.collections if hasattr(lines, "get_segments")]
    assert [len(lines.get_segments()) for lines in rays] == [5, 3]


@pytest.mark.parametrize(
    ("axes", "select", "columns"),
    [
        ({"T": [30, 40], "S": [0.9, 0.99], "seed": [0, 1]}, {}, ("T", [30, 40])),
        ({"seed": [0, 1, 2], "T": [30]}, {}, ("seed", [0, 1, 2])),
        ({"seed": [0, 1], "T": [30, 40]}, {}, ("T", [30, 40])),
        ({"seed": [0, 1, 2], "T": [30, 40]}, {"seed": [0, 2], "T": 40}, ("seed", [0, 2])),
        ({"T": [30, 40], "repeated": [1, 2]}, {"repeated": 2}, ("T", [30, 40])),
        ({"T": list(range(30, 41))}, {}, ("T", [30, 32, 34, 36, 38, 40])),
    ],
)
def test_columns_follow_the_axis_that_matters(axes, select, columns):
    table = plots.history_table(Traced(axes, fill, repeats=5), **select)
    name, values = columns
    assert table.groupby("cell")[name].first().tolist() == values


def test_dead_and_unfinished_cells_are_drawn_as_far_as_known():
    result = by_size(dead=[(0, 0)], training=[(1, 0)])
    table = plots.history_table(result)
    ends = table[table["kind"] == "feature"].groupby("cell")["step"].max()
    assert ends.tolist() == [100, 1000, 10]
    standing = table.groupby("cell")["standing"].first()
    assert standing.tolist() == ["unfinished", "finished", "died"]
    figure = plots.history(result)
    assert {"not finite", "not trained yet"} <= set(texts(figure))
    assert any("1 cell became non-finite: drawn so far" in text for text in texts(figure))
    assert len(result.calls) == 2
    gone = by_size(dead=[(slice(None), slice(None))])
    for name in ("feature", "sample"):
        gone.dataset[f"history_{name}_dimensionality"][:] = np.nan
    plots.history(gone).draw_without_rendering()


def test_vectors_need_two_hidden_dimensions_and_stored_weights():
    assert len(plots.history(by_size(m=4)).axes) == 9
    thinned = by_size()
    thinned.dataset["W"][:, 1:] = np.nan
    assert len(plots.history(thinned, seed=5).axes) == 9
    assert len(plots.history(thinned, seed=4).axes) == 12
    without = by_size()
    without.dataset = without.dataset.drop_vars("W")
    assert len(plots.history(without).axes) == 9


def test_applies_gives_the_reason(tmp_path):
    result = by_size()
    result.dataset = result.dataset.drop_vars("history_sample_dimensionality")
    reason = FIGURES["history"].applies(result.dataset)
    assert reason.startswith("history needs history_sample_dimensionality, which this result does")
    assert "trace_dimensions = true" in reason
    with pytest.raises(ValueError, match="history needs history_sample_dimensionality"):
        save(result, FIGURES["history"], tmp_path)
    assert FIGURES["history"].applies(by_size().dataset) is None


@pytest.mark.parametrize("times", [[5], [2, 5]])
def test_everything_is_on_the_page(times):
    axes = {"repeats": times, "repeated": [1, 2, 3], "seed": [0]}
    assert_on_page(plots.history(Traced(axes, fill, T=60, dead=[(0, 1, 0)])))
