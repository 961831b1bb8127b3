"""Figures and measures of words, on planted text; and the statements' sweeps."""

import sys

import numpy as np
import pytest

import superpos_jax as sp
from superpos_jax.results.sweep import shipped
from superpos_jax.studies.bows import geometry, measured, planted
from superpos_jax.studies.bows.figures import FIGURES, categories
from superpos_jax.studies.bows.figures.months import apart, data_points, turned
from superpos_jax.studies.bows.reconstruction import Autoencoder
from superpos_jax.studies.bows.statements import ORDER, STATEMENTS

pytestmark = pytest.mark.unoptimized

CELL = {"structure": "text", "steps": 300, "lr": 0.01, "reduction": "sum", "clip": 0}
PLANTED = {"corpus": ["planted"], "vocabulary": 300}


@pytest.fixture(scope="module")
def result():
    axes = {"m": [4, 24], "weight_decay": [1, 4]}
    return sp.run(sp.Sweep(study="bows", axes=axes, cell=CELL, options=PLANTED))


def test_planted_text_trains_and_reports_words(result):
    values = result.at(m=24, weight_decay=1)
    trained = result.cell(m=24, weight_decay=1)
    Y = trained.model.outputs(trained.features.validation)
    X = trained.features.validation
    wanted = 1 - ((X - Y) ** 2).sum(0) / ((X - X.mean(0)) ** 2).sum(0)
    np.testing.assert_allclose(values["r2"], wanted, rtol=1e-3, atol=1e-3)
    assert values["ring_score"] > values["ring_level"]
    assert 0 < values["geometry_follows_data"] < 1
    assert values["validation_loss"] < X.var(axis=0).mean()
    assert values["pca_validation_loss"] < X.var(axis=0).mean()
    W = trained.model.W[:, :12]
    G = W.T @ W
    raw = np.linalg.norm(G - np.diag(np.diag(G)))
    assert values["months_off_diagonal"] == pytest.approx(raw, rel=1e-4)


def test_months_show_the_planted_ring(result):
    table = FIGURES["months"].table(result)
    rings = table[table["part"] == "ring"]
    assert set(rings["row"]) == {"PCA", "weight\xa0decay\xa0=\xa01", "weight\xa0decay\xa0=\xa04"}
    exact = rings[(rings["row"] == "PCA") & (rings["m"] == 4)]
    assert exact["score"].iloc[0] > 0.99
    data = table[table["part"] == "data"].pivot(index="i", columns="j", values="value")
    assert geometry.cyclic_correlation(data.to_numpy()) > 0.8
    FIGURES["months"].draw(table)


@pytest.fixture
def planted_seasons(result, monkeypatch):
    """The result, with four of the planted words, a quarter of a year apart, as words of a season.

    The first of them takes the place of Christmas.
    """
    quarters = {0: (11, 0, 1), 6: (2, 3, 4), 12: (5, 6, 7), 18: (8, 9, 10)}
    own = {f"season{k}": months for k, months in quarters.items()}
    module = sys.modules["superpos_jax.studies.bows.figures.seasons"]
    monkeypatch.setattr(module, "SEASONAL", own)
    monkeypatch.setattr(module, "CHRISTMAS", "season0")
    dataset = result.dataset.assign(seasonal_share=result.dataset["months_r2"])
    return sp.Result(dataset, result.grid)


def test_words_of_a_season_point_to_their_months(planted_seasons):
    table = FIGURES["seasons"].table(planted_seasons, m=4, weight_decay=[4])
    words = table[table["part"] == "word"]
    assert words.groupby("row").size().tolist() == [4, 4]
    assert (words["own"] > words["others"]).all()
    exact = words[words["row"] == "PCA"]
    around = np.degrees(np.arctan2(exact["x"], exact["y"])) % 360  # clockwise from the top
    away = (around.to_numpy() - [0, 90, 180, 270] + 180) % 360 - 180
    assert np.abs(away).max() < 15
    W = planted_seasons.cell(m=4, weight_decay=4).model.W
    adds = table[(table["part"] == "adds") & (table["row"] != "PCA")]
    np.testing.assert_allclose(adds["value"], W[:, 12] @ W[:, :12], rtol=1e-4)
    FIGURES["seasons"].draw(table)


def test_seasons_need_words_of_a_season(result):
    assert "words of a season: Christmas" in FIGURES["seasons"].applies(result.dataset)


def test_unknown_groups_are_refused(result):
    with pytest.raises(ValueError, match="'days': not among the words; allowed: months"):
        FIGURES["months"].table(result, group="days")


def test_turned_points_keep_their_shape():
    rng = np.random.default_rng(2)
    points = rng.normal(size=(12, 2))
    other = turned(points)
    np.testing.assert_allclose(
        np.linalg.norm(points[:, None] - points, axis=2),
        np.linalg.norm(other[:, None] - other, axis=2),
    )
    assert geometry.ring_score(other) == pytest.approx(geometry.ring_score(points))


def test_the_ring_of_the_data_is_the_one_that_is_scored():
    features = planted.features(42)
    points = data_points(features.train[:, :12])
    scored = measured.data_ring(features)["data_ring_score"]
    assert geometry.ring_score(points) == pytest.approx(scored)


def test_names_around_a_panel_stand_apart_in_their_order():
    angles = np.array([3.0, 0.1, 0.0, -3.1, 0.05])
    moved = apart(angles, 0.4)
    around = np.sort(moved)
    gaps = np.diff(around, append=around[0] + 2 * np.pi)
    assert gaps.min() > 0.39
    assert np.argsort(moved).tolist() == np.argsort(angles).tolist()


@pytest.fixture
def topics(monkeypatch):
    """Two planted topics as categories."""
    own = {f"topic{k}": tuple(f"topic{k}_{i}" for i in range(25)) for k in range(2)}
    monkeypatch.setattr(categories, "CATEGORIES", own)


def test_clusters_follow_the_data_more_in_pca(result, topics):
    table = FIGURES["clusters"].table(result)
    numbers = table[(table["part"] == "numbers") & (table["m"] == 24)]
    assert numbers["chance"].iloc[0] == pytest.approx(24 / 299)
    by = numbers.set_index(["quantity", "model", "weight_decay"])["median"]
    weights = result.cell(m=24, weight_decay=4)
    wanted = geometry.geometry_follows_data(weights.model.W, weights.spectrum.correlation)
    assert by["covariance", "trained", 4] == pytest.approx(wanted)
    assert by["purity", "trained", 4] > 4 * numbers["chance"].iloc[0]
    assert by["covariance", "trained", 4] > by["second_moment", "trained", 4]
    maps = table[table["part"] == "map"]
    assert maps.groupby("row").size().tolist() == [300] * 3
    assert (maps["category"] == "topic1").sum() == 3 * 25
    FIGURES["clusters"].draw(table)


def test_regimes_count_every_word_once(result):
    table = FIGURES["regimes"].table(result, m=[24])
    words = table[table["part"] == "word"]
    counts = table[(table["part"] == "count") & (table["model"] == "trained")]
    counts = counts.set_index("threshold")
    for threshold in (0.5, 0.25):
        linear = words["linear_r2"] >= threshold
        assert counts.loc[threshold, "linear"] == linear.sum()
        assert counts.loc[threshold, "nonlinear"] == ((words["r2"] >= threshold) & ~linear).sum()
    deciles = table[(table["part"] == "decile") & (table["threshold"] == 0.25)]
    shares = deciles[deciles["model"] == "trained"].set_index("decile")["median"]
    assert 30 * shares.sum() == pytest.approx(counts.loc[0.25, "linear"])
    assert shares[1] >= shares[10]
    FIGURES["regimes"].draw(table)


def test_groups_have_both_norms_and_pca(result):
    table = FIGURES["groups"].table(result)
    rows = table[(table["norm"] == "relative") & (table["m"] == 4) & (table["weight_decay"] == 1)]
    assert set(rows["model"]) == {"trained", "PCA"}
    wanted = geometry.off_diagonal(result.cell(m=4, weight_decay=1).model.W[:, :12])[1]
    assert rows.loc[rows["model"] == "trained", "median"].item() == pytest.approx(wanted, rel=1e-4)
    FIGURES["groups"].draw(table)


def test_measures_go_over_the_window_where_m_is_not_swept():
    axes = {"window": [10, 20]}
    sweep = sp.Sweep(study="bows", axes=axes, cell={**CELL, "steps": 3, "m": 4}, options=PLANTED)
    table = FIGURES["measures"].table(sp.run(sweep))
    assert set(table["window"]) == {10, 20}
    labels = [axes.get_xlabel() for axes in FIGURES["measures"].draw(table).axes]
    assert set(labels) == {"content words of a bag"}


def test_mechanism_adds_up_to_preactivations(result):
    table = FIGURES["mechanism"].table(result, m=24, weight_decay=1)
    assert table["target"].nunique() == 3
    cell = result.cell(m=24, weight_decay=1)
    target = table["target"].iloc[0]
    word = cell.features.names.index(target)
    tower = table[(table["target"] == target) & (table["stack"] == "related")]
    x = np.zeros((1, 300))
    x[0, [cell.features.names.index(name) for name in tower["word"][2:]]] = 1
    x[0, word] = 1
    wanted = cell.model._replace(relu=False).outputs(x)[0, word]
    assert tower["value"].sum() == pytest.approx(wanted, rel=1e-3)
    FIGURES["mechanism"].draw(table)


def test_the_ring_of_the_data_is_found_where_it_is_planted():
    there = measured.data_ring(planted.features(3))
    absent = measured.data_ring(planted.features(3, seasons=False))
    assert there["data_ring_score"] > 0.95 > there["data_ring_level"]
    assert absent["data_ring_score"] < 0.8


def test_topics_are_clusters_of_the_weights(result):
    W = result.cell(m=24, weight_decay=4).model.W
    purity = geometry.neighbour_purity(W, planted.topics())
    mixed = np.random.default_rng(0).permutation(planted.topics())
    assert purity > 0.4 > 2 * geometry.neighbour_purity(W, mixed)


def test_words_that_support_each_other_are_blocked_without_the_word():
    X = planted.features(5)
    model = Autoencoder(np.eye(300, dtype=np.float32), np.full(300, -0.1, np.float32), True)
    correlation = np.corrcoef(X.train.T)
    assert measured.blocked(model, X, correlation) == 0  # no context reaches an identity


def test_cancelled_compares_the_sum_with_its_parts():
    names = (*planted.features(1).names[:12], "Christmas")
    features = planted.features(1)._replace(names=names)
    W = np.concatenate([np.tile([[1.0, -1.0]], (1, 6)), [[1.0]]], axis=1)
    assert measured.cancelled(W, features) == 0
    assert measured.cancelled(np.abs(W), features) == 1


def test_every_statement_is_about_a_shipped_sweep():
    shipped_ones = {name.partition("/")[2] for name in shipped() if name.startswith("bows/")}
    assert set(ORDER) == shipped_ones
    assert {statement.key.partition("/")[2] for statement in STATEMENTS} <= shipped_ones
