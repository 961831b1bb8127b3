"""Vectors with a column a seed, of one kind only, and of weights that are not there."""

from types import SimpleNamespace

import numpy as np
import pytest
from made import Made, N, texts

from superpos_jax import plots


def caption(figure):
    (found,) = (text for text in texts(figure) if text.startswith("One model per column."))
    return found


def test_columns_are_seeds_where_T_has_one_value():
    result = Made(seed=[4, 7, 9], cell={"T": 1000, "online": 1})
    table = plots.vectors_table(result)
    assert result.calls == [{"seed": 4}, {"seed": 7}, {"seed": 9}]
    assert table.columns[0] == "seed"
    assert set(table["T"]) == {1000}
    figure = plots.vectors(result)
    assert len(figure.axes) == 6
    words = texts(figure)
    assert {"seed = 4", "seed = 7", "seed = 9"} <= set(words)
    assert any(text.startswith("made · T = 1,000 ·") for text in words)
    assert "never trained on" in caption(figure)
    offline = plots.vectors(Made(seed=[4, 7], cell={"T": 1000}))
    assert "never trained" not in caption(offline)


def test_columns_are_seeds_of_a_selected_T_and_at_most_eight():
    result = Made(T=[10, 1000], lr=[0.001], seed=list(range(40)))
    table = plots.vectors_table(result, T=1000, rows="feature")
    assert len(table["seed"].unique()) == 8
    assert {call["T"] for call in result.calls} == {1000}
    assert plots.vectors_table(result, T=[10], seed=[5, 6])["seed"].unique().tolist() == [5, 6]
    assert plots.vectors_table(result, seed=5)["T"].unique().tolist() == [10, 1000]
    alone = plots.vectors_table(result, T=10, seed=5)
    assert (alone["T"].unique().tolist(), alone["seed"].unique().tolist()) == ([10], [5])


def test_columns_are_by_another_axis_before_seeds():
    result = Made(steps=[10, 100], seed=[0, 1], cell={"T": 1000})
    table = plots.vectors_table(result)
    assert table.columns[0] == "steps"
    assert result.calls == [{"steps": 10, "seed": 0}, {"steps": 100, "seed": 0}]
    assert {"steps = 10", "steps = 100"} <= set(texts(plots.vectors(result)))
    assert plots.vectors_table(result, steps=100).columns[0] == "seed"


@pytest.mark.parametrize("kind", ["feature", "hidden"])
def test_one_row_of_one_kind(kind):
    result = Made(T=[5, 1000], cell={"online": 1})
    both, table = plots.vectors_table(result), plots.vectors_table(result, rows=kind)
    assert set(table["kind"]) == {kind}
    same = both[both["kind"] == kind].reset_index(drop=True)
    np.testing.assert_array_equal(table[["x", "y", "half_width"]], same[["x", "y", "half_width"]])
    figure = plots.vectors(result, rows=kind)
    assert len(figure.axes) == 2
    assert f"{kind.capitalize()} vectors at m = 2" in texts(figure)
    assert ("never trained" in caption(figure)) is (kind == "hidden")
    with pytest.raises(ValueError, match='rows is "both" or "feature" or "hidden", not \'all\''):
        plots.vectors(result, rows="all")


def test_hidden_vectors_at_the_origin_are_counted():
    class Lost(Made):
        def cell(self, **point):
            found = super().cell(**point)
            H = np.array(found.H)
            H[: point["T"] // 5] *= 1e-3
            return SimpleNamespace(W=found.W, H=H)

    words = texts(plots.vectors(Lost(T=[5, 10], m=[2], seed=[0])))
    assert {"1 near 0", "2 near 0"} <= set(words)
    assert not any("1 near 0" in text for text in texts(plots.vectors(Made(T=[5, 10], m=[2]))))


def test_panels_say_why_they_are_empty():
    result = Made(seed=[0, 1, 2, 3], cell={"T": 10}, dead=[(2,)], unfinished=[(3,)])
    result.dataset["W"] = result.dataset["W"].where(result.dataset["seed"] != 1)
    table = plots.vectors_table(result)
    features = table[table["kind"] == "feature"].set_index("seed")
    assert (features.loc[0, "rank"] >= 0).all()
    assert len(features.loc[0]) == N
    assert features.loc[[1, 2, 3], "rank"].tolist() == [-1, -1, -1]
    assert features.loc[[1, 2, 3], "x"].isna().all()
    assert result.calls == [{"seed": 0}]
    for scale in ("panel", "common"):
        words = texts(plots.vectors(result, scale=scale))
        for text in ("weights not stored", "not finite after step 1,234", "not trained yet"):
            assert words.count(text) == 2


def test_the_caption_explains_the_regimes_that_occur():
    left, right = (caption(plots.vectors(Made(T=T))) for T in ([3, 5], [1000, 2000]))
    assert "Memorizing:" in left
    assert "Generalizing:" not in left
    assert "Memorizing:" not in right
    assert "Generalizing:" in right


@pytest.mark.parametrize(("T", "few"), [(40, True), (41, False)])
def test_few_hidden_vectors_are_drawn_as_rays(T, few):
    figure = plots.vectors(Made(T=[T, 1000]), T=[T, 1000])
    drawn = [len(panel.collections[0].get_segments()) for panel in figure.axes[2:]]
    assert (drawn[0] > 0, drawn[1]) == (few, 0)
