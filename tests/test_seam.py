"""A study the package has never seen goes the whole way: file, plan, training, result, figure."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from ridge import FEATURES, Regression, Ridge, Stream, draw

import superpos_jax as sp
from superpos_jax.engine.plan import make_plan
from superpos_jax.engine.study import history_steps
from superpos_jax.results.registry import load_study

TEXT = """# Ridge regression against the number of samples
study = "ridge:Ridge"

[axes]
T = [3, 20, 50]
width = [5, 24]
lr = [0.1, 1e30]
steps = [7, 1500]

[cell]
noise = 0.3
seed = 4

[options]
test_samples = 30
"""
ALIVE = [(T, width, steps) for T in (3, 20, 50) for width in (5, 24) for steps in (7, 1500)]
HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
    "COLUMNS": "200",
}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweeps") / "lines.toml"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def trained(file):
    """The process that ran the sweep, and the folder it left."""
    folder = file.parent / "result"
    command = [Path(sysconfig.get_path("scripts")) / "superpos", "run", file, "--out", folder]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    return done, folder


@pytest.fixture(scope="module")
def result(trained):
    return sp.load(trained[1])


def cell(T, width, steps):
    return Regression(T=T, width=width, steps=steps, noise=0.3, seed=4)


def descend(cell):
    """Gradient descent in the plainest way."""
    x, y = draw(Stream(cell.seed, cell.noise, "train"), cell.T)
    X = x[:, : cell.width].astype(float)
    w = np.zeros(cell.width)
    for _ in range(cell.steps):
        w -= cell.lr * (X.T @ (X @ w - y) / cell.T + cell.ridge * w)
    return w


def closed_form(cell):
    x, y = draw(Stream(cell.seed, cell.noise, "train"), cell.T)
    X = x[:, : cell.width].astype(float)
    return np.linalg.solve(X.T @ X / cell.T + cell.ridge * np.eye(cell.width), X.T @ y / cell.T)


def loss(cell, w, name, samples):
    x, y = draw(Stream(cell.seed, cell.noise, name), samples)
    return ((x[:, : cell.width] @ w - y) ** 2).mean() / 2


def test_sweep_file_names_the_study(file):
    sweep = sp.load_sweep(file)
    assert sweep.study == "ridge:Ridge"
    assert load_study(sweep.study) is Ridge
    assert [len(values) for values in sweep.axes.values()] == [3, 2, 2, 2]
    with pytest.raises(sp.UserError, match=r"cell\.depth: unknown.*width"):
        sp.Sweep(study="ridge:Ridge", cell={"depth": 3}).grid()
    with pytest.raises(sp.UserError, match=r"axes\.width\[0\]"):
        sp.load_sweep(file, [f"width=[{FEATURES + 1}]"])


def test_plan_pads_little(file):
    grid = sp.load_sweep(file).grid()
    plan = make_plan(grid.study, grid.cells, 2, "cpu")
    assert [group.layout.shapes.size for group in plan.groups] == [24, 8]
    assert sum((group.slots >= 0).sum() for group in plan.groups) == 24
    for group in plan.groups:
        taken = group.slots >= 0
        assert (
            group.data["train"].samples[taken] == [grid.cells[i].T for i in group.slots[taken]]
        ).all()


def test_run_draws_and_says_what_died(trained):
    process, folder = trained
    assert process.returncode == 1, process.stderr  # trained, and some cells died
    assert "12 dead cells" in process.stdout
    assert "Traceback" not in process.stderr
    for name in ("result.zarr", "sweep.toml", "provenance.json", "figures/risk.csv"):
        assert (folder / name).exists()
    assert (folder / "figures" / "risk.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("T", "width", "steps"), ALIVE)
def test_weights_are_those_of_a_plain_loop(result, T, width, steps):
    c = cell(T, width, steps)
    fit = result.cell(T=T, width=width, steps=steps, lr=0.1)
    assert fit.X.shape == (T, width)
    np.testing.assert_allclose(fit.w, descend(c), rtol=1e-4, atol=1e-5)
    at = result.dataset.sel(T=T, width=width, steps=steps, lr=0.1)
    np.testing.assert_allclose(at.train_loss, loss(c, fit.w, "train", T), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(at.test_loss, loss(c, fit.w, "test", 30), rtol=1e-4)
    np.testing.assert_allclose(at.w_norm, np.linalg.norm(fit.w), rtol=1e-5)


@pytest.mark.parametrize("width", [5, 24])
def test_test_loss_comes_to_the_closed_form(result, width):
    late = result.dataset.test_loss.sel(width=width, steps=1500, lr=0.1)
    cells = [cell(T, width, 1500) for T in (3, 20, 50)]
    expected = [loss(c, closed_form(c), "test", 30) for c in cells]
    np.testing.assert_allclose(late, expected, rtol=1e-3)
    assert expected[0] > expected[1] > expected[2]  # more data, less risk
    early = result.dataset.test_loss.sel(width=width, steps=7, lr=0.1)
    assert (abs(early - late) > 1e-2).any()


def test_history_is_kept_at_steps_of_the_cell_alone(result):
    history = result.dataset.history_train_loss.sel(lr=0.1)
    for steps in (7, 1500):
        recorded = np.isfinite(history.sel(steps=steps))
        assert (recorded == history.step.isin(history_steps(steps))).all()
    shared = sorted({*history_steps(7)} & {*history_steps(1500)})
    assert len(shared) > 3
    short, long = (history.sel(steps=steps, step=shared) for steps in (7, 1500))
    np.testing.assert_array_equal(short, long)


def test_training_goes_to_its_end_though_nothing_is_recorded_there(monkeypatch):
    class Brief(Ridge):
        def recorded(self, cell):
            return 0, 5

    module = ModuleType("brief")
    module.Brief = Brief
    monkeypatch.setitem(sys.modules, "brief", module)
    sweep = sp.Sweep(study="ridge:Ridge", axes={"T": [3]}, cell={"steps": 20})
    brief = sp.run(sweep.model_copy(update={"study": "brief:Brief"})).dataset
    whole = sp.run(sweep).dataset
    np.testing.assert_array_equal(brief.train_loss, whole.train_loss)
    assert np.isfinite(brief.history_train_loss).sum() == 2


def test_dead_cells_keep_their_last_finite_weights(result):
    dead = result.dead()
    assert len(dead) == 12
    assert all(row["lr"] == 1e30 and row["verdict"] == "non-finite" for row in dead)
    assert all(0 <= row["step"] < row["steps"] for row in dead)
    lost = result.dataset.sel(lr=1e30)
    assert np.isnan(lost.test_loss).all()
    assert np.isfinite(lost.w.sel(width=24)).all()
    assert np.isfinite(result.cell(T=20, width=5, steps=7, lr=1e30).w).all()


def test_saved_and_loaded_again(result, tmp_path):
    result.save(tmp_path)
    again = sp.load(tmp_path)
    assert again.dataset.identical(result.dataset)
    assert again.sweep == result.sweep


def test_show(trained, superpos):
    code, out, err = superpos("show", trained[1], "--study", "ridge:Ridge")
    assert code == 0, err
    assert "test loss of lines" in out
    assert "non-finite" in out


def test_plot(trained, result, tmp_path, superpos):
    code, _, err = superpos(
        "plot", trained[1], "--study", "ridge:Ridge", "risk", "--out", tmp_path / "mine.png"
    )
    assert code == 0, err
    assert (tmp_path / "mine.png").stat().st_size > 1000
    table = pd.read_csv(tmp_path / "mine.csv").set_index(["T", "width", "lr", "steps"])
    assert len(table) == 24
    expected = float(result.dataset.test_loss.sel(T=20, width=24, lr=0.1, steps=1500))
    assert table.test_loss[20, 24, 0.1, 1500] == pytest.approx(expected, rel=1e-5)


def test_plot_names_the_figures_there_are(trained, superpos):
    code, _, err = superpos("plot", trained[1], "--study", "ridge:Ridge", "pentagon")
    assert code == 2
    assert err.startswith("superpos: figure pentagon: unknown for the study ")
    assert err.endswith("; allowed: risk, plane, curves, history\n")
