"""The study bows: its training against plain numpy, PCA beside it, and its figures."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import superpos_jax as sp
from superpos_jax.engine import batches
from superpos_jax.errors import UserError
from superpos_jax.studies.bows import Bows, geometry
from superpos_jax.studies.bows.cell import Cell, Options
from superpos_jax.studies.bows.figures import FIGURES

SHORT = {"steps": 40, "batch": 1000}
choose = jax.jit(batches.choose, static_argnums=(0, 1))


def train(X, W, b, cell):
    """AdamW on W and b in float64, gradients by hand, the minibatches of the engine."""
    theta = [np.array(W, np.float64), np.array(b, np.float64)]
    first, second = [0.0, 0.0], [0.0, 0.0]
    per_epoch = -(-len(X) // cell.batch)
    for k in range(cell.steps):
        index, weight = choose("epochs", cell.batch, cell.seed, k, cell.batch, len(X))
        x = X[np.asarray(index)[np.asarray(weight) > 0]].astype(float)
        W, b = theta
        z = x @ W.T @ W + b
        error = 2 * ((np.maximum(z, 0) if cell.activation else z) - x) / len(x)
        error *= (z > 0) if cell.activation else 1
        error /= x.shape[1] ** cell.reduction
        grads = [W @ (x.T @ error + error.T @ x), error.sum(axis=0)]
        grads = [grad + cell.l2 * leaf for grad, leaf in zip(grads, theta, strict=True)]
        norm = np.sqrt(sum((grad**2).sum() for grad in grads))
        if cell.clip and norm > cell.clip:
            grads = [grad * cell.clip / norm for grad in grads]
        rate = cell.lr * (1 + np.cos(np.pi * (k // per_epoch * per_epoch) / cell.steps)) / 2
        for i, grad in enumerate(grads):
            first[i] = 0.9 * first[i] + 0.1 * grad
            second[i] = 0.999 * second[i] + 0.001 * grad**2
            mean, square = first[i] / (1 - 0.9 ** (k + 1)), second[i] / (1 - 0.999 ** (k + 1))
            step = mean / (np.sqrt(square) + 1e-8) + cell.weight_decay * theta[i]
            theta[i] = theta[i] - rate * step
    return theta


@pytest.mark.parametrize(
    "numbers",
    [
        {"m": 5, "activation": 1, "weight_decay": 3.0},
        {"m": 12, "activation": 0, "weight_decay": 0.0, "l2": 0.01, "clip": 0.0},
        {"m": 2, "activation": 1, "clip": 0.05, "reduction": 0.0, "structure": 2},
    ],
)
@pytest.mark.unoptimized
def test_training_is_what_numpy_gives(numbers):
    cell = Cell(seed=3, **SHORT, **numbers)
    point = {name: getattr(cell, name) for name in numbers}
    sweep = sp.Sweep(study="bows", axes={"seed": [3, 4]}, cell={**SHORT, **point})
    trained = sp.run(sweep).cell(seed=3)
    study = Bows(Options())
    shapes = study.shapes(cell, "cpu")
    initial = jax.jit(lambda seed: study.init(replace(cell, seed=seed), shapes))(cell.seed)
    W, b = study.crop(cell, initial)
    wanted_W, wanted_b = train(trained.features.train, W, b, cell)
    np.testing.assert_allclose(trained.model.W, wanted_W, rtol=0, atol=2e-4)
    np.testing.assert_allclose(trained.model.b, wanted_b, rtol=0, atol=2e-4)


@pytest.fixture(scope="module")
def result():
    axes = {"m": [2, 6], "activation": ["linear", "relu"], "weight_decay": [0, 6], "seed": [0, 1]}
    return sp.run(sp.Sweep(study="bows", axes=axes, cell={"steps": 1500, "lr": 0.02}))


def test_a_trained_linear_model_reaches_the_closed_form(result):
    linear = result.dataset.sel(activation="linear", weight_decay=0)
    loss, best = linear["train_loss"], linear["pca_train_loss"]
    assert (loss >= best - 1e-6).all()
    np.testing.assert_allclose(loss, best, atol=3e-4)
    np.testing.assert_allclose(linear["W_norm2"], linear["pca_W_norm2"], rtol=0.02)


def test_relu_is_better_than_linear_and_decay_costs_error(result):
    loss = result.dataset["validation_loss"].mean("seed")
    assert (loss.sel(activation="relu") < loss.sel(activation="linear")).sel(weight_decay=0).all()
    assert (loss.sel(weight_decay=6) > loss.sel(weight_decay=0)).all()


def test_what_is_reported_is_measured_of_the_stored_weights(result):
    trained = result.cell(m=6, activation="relu", weight_decay=6, seed=1)
    values = result.at(m=6, activation="relu", weight_decay=6, seed=1)
    W = trained.model.W
    assert W.shape == (6, 12)
    cyclic = geometry.cyclic_correlation(geometry.gram(W))
    assert values["cyclic_correlation"] == pytest.approx(cyclic, rel=1e-5)
    assert values["antipodality"] == pytest.approx(geometry.antipodality(W))
    assert values["W_norm2"] == pytest.approx((W**2).sum(), rel=1e-5)
    Y = trained.model.outputs(trained.features.validation)
    error = ((trained.features.validation - Y) ** 2).mean()
    assert values["validation_loss"] == pytest.approx(error, rel=1e-4)


def test_cells_of_a_seed_share_the_first_rows_of_their_initial_weights():
    study = Bows(Options())
    few, many = (
        study.crop(cell, study.init(cell, study.shapes(cell, "cpu")))[0]
        for cell in (Cell(m=3), Cell(m=8))
    )
    np.testing.assert_array_equal(few, many[:3])
    assert np.abs(many).max() <= 1 / np.sqrt(12)


@pytest.mark.unoptimized
def test_independent_features_have_no_ring():
    sweep = sp.Sweep(study="bows", axes={"m": [2, 3]}, cell={**SHORT, "structure": "iid"})
    assert np.isnan(sp.run(sweep).dataset["cyclic_correlation"]).all()


def test_more_hidden_dimensions_than_features_are_refused(superpos, tmp_path):
    file = tmp_path / "wide.toml"
    file.write_text('study = "bows"\n[axes]\nm = [2, 13]\n')
    code, _, errors = superpos("plan", file)
    assert code == 2
    assert "m = 13: more than the 12 features; allowed: m <= 12" in errors


def test_gram_shows_the_data_pca_and_every_model(result):
    table = FIGURES["gram"].table(result)
    assert set(table["row"]) == {
        "data", "PCA", "linear, wd 0", "linear, wd 6", "relu, wd 0", "relu, wd 6",
    }  # fmt: skip
    assert len(table) == 144 * (1 + 2 * 5)
    model = table[(table["row"] == "relu, wd 6") & (table["m"] == 6)]
    W = result.cell(m=6, activation="relu", weight_decay=6, seed=0).model.W
    G = W.T @ W / (W**2).sum()
    np.testing.assert_allclose(model["value"].to_numpy().reshape(12, 12), G, rtol=1e-5)
    FIGURES["gram"].draw(table)


def test_measures_have_pca_beside_them(result):
    table = FIGURES["measures"].table(result, activation=["relu"])
    exact = table[(table["activation"] == "PCA") & (table["quantity"] == "W_norm2")]
    assert exact.sort_values("m")["median"].tolist() == [2, 6]
    assert set(table["activation"]) == {"PCA", "relu"}
    FIGURES["measures"].draw(table)


@pytest.mark.unoptimized
def test_settings_need_beta_and_s(result):
    with pytest.raises(ValueError, match="beta and s"):
        FIGURES["settings"].table(result)
    sweep = sp.Sweep(study="bows", axes={"s": [5, 10], "beta": [-2, 0]}, cell=SHORT)
    table = FIGURES["settings"].table(sp.run(sweep))
    assert len(table) == 2 * 4
    FIGURES["settings"].draw(table)


@pytest.mark.unoptimized
def test_decay_is_drawn_beside_an_l2_term(result):
    with pytest.raises(ValueError, match="decay needs"):
        FIGURES["decay"].table(result)
    arms = {"a": {"weight_decay": 6}, "b": {"weight_decay": 0, "l2": 0.05}}
    trained = sp.run(sp.Sweep(study="bows", arms=arms, axes={"m": [2, 6]}, cell=SHORT))
    table = FIGURES["decay"].table(trained)
    kinds = table[table["m"] == 6].set_index("kind")
    assert kinds["strength"].loc[["decoupled", "L2 term"]].tolist() == [6, 0.05]
    for kind, arm, prefix in (("decoupled", "a", ""), ("L2 term", "b", ""), ("PCA", "a", "pca_")):
        values = trained.at(arm=arm, m=6)
        for name, measure in (("error", "validation_loss"), ("ring", "cyclic_correlation")):
            assert kinds[f"{name}_median"][kind] == pytest.approx(values[prefix + measure].item())
    FIGURES["decay"].draw(table)


@pytest.mark.parametrize("name", ["circular", "structures", "sets", "settings", "decay"])
def test_shipped_sweeps_are_right(name):
    from superpos_jax.drawing.choose import check_figures
    from superpos_jax.results.sweep import load_sweep

    sweep = load_sweep(f"bows/{name}")
    check_figures(sweep, sweep.grid())


def test_an_unknown_structure_is_refused():
    with pytest.raises(UserError, match="structure"):
        sp.Sweep(study="bows", axes={"structure": ["torus"]}).grid()
