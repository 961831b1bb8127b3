"""The command line through its entry point: what it trains, draws, prints and refuses."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from superpos_jax import Sweep, load, load_sweep, run
from superpos_jax.cli.terminal import _labels
from superpos_jax.results.sweep import headline, shipped
from superpos_jax.text import Labels

pytestmark = pytest.mark.unoptimized

SWEEP = """
study = "double_descent"

[axes]
T = [3, 8, 40]
m = [2, 3]
seed = [0, 1]

[cell]
S = 0.9
steps = 6

[options]
n = 30
test_samples = 20
"""
DRAWN = ("plane", "vectors")


@pytest.fixture
def sweep_file(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SWEEP)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A result folder made by the installed program, in a process of its own."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "small.toml").write_text(f"figures = {json.dumps(DRAWN)}\n{SWEEP}")
    program = Path(sys.executable).with_name("superpos")
    environment = os.environ | {"COLUMNS": "200", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(
        [program, "run", "small.toml", "--set", "lr=2e-3"],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "results" / "small", done


def test_run_makes_the_folder_of_the_contract(trained):
    folder, done = trained
    assert {path.name for path in folder.iterdir()} == {
        "result.zarr", "sweep.toml", "provenance.json", "figures",
    }  # fmt: skip
    assert tomllib.loads((folder / "sweep.toml").read_text())["cell"]["lr"] == 2e-3
    assert dict(load(folder).dataset.test_loss.sizes) == {"T": 3, "m": 2, "seed": 2}
    for name in DRAWN:
        assert (folder / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / "figures" / f"{name}.csv").read_text().count("\n") > 1
        assert f"{name}.png" in done.stdout
    assert "test loss of small, mean over seed" in done.stdout
    assert "12 cells" in done.stderr


def test_the_resolved_sweep_reads_back_to_an_equal_sweep(trained):
    folder, _ = trained
    assert load_sweep(folder / "sweep.toml") == load(folder).sweep


def test_a_finished_run_is_not_trained_again(trained, superpos, monkeypatch):
    folder, _ = trained
    monkeypatch.setattr("superpos_jax.cli.run.print_figures", lambda *arguments: False)
    before = sorted((path, path.stat().st_mtime_ns) for path in (folder / "result.zarr").rglob("*"))
    code, out, _ = superpos("run", folder / "sweep.toml", "--out", folder)
    after = sorted((path, path.stat().st_mtime_ns) for path in (folder / "result.zarr").rglob("*"))
    assert code == 0
    assert "--fresh" in out
    assert before == after


def test_another_sweep_is_refused_by_the_folder(trained, superpos):
    folder, _ = trained
    code, _, err = superpos("run", folder / "sweep.toml", "--out", folder, "--set", "steps=7")
    assert code == 2
    assert "cell.steps = 6, not 7" in err.replace("\n", " ")
    assert int(load(folder).dataset.step.max()) == 6


def test_fresh_replaces_the_result_of_another_sweep(superpos, tmp_path):
    (tmp_path / "ridge.toml").write_text('study = "ridge:Ridge"\n[axes]\nT = [3]\n')
    for steps in (2, 3):
        code, _, _ = superpos(
            "run", tmp_path / "ridge.toml", "--out", tmp_path / "out", "--fresh", "--yes",
            "--set", f"steps={steps}",
        )  # fmt: skip
        assert code == 0
        assert int(load(tmp_path / "out").dataset.step.max()) == steps


def test_show_prints_the_losses(trained, superpos):
    folder, _ = trained
    code, out, _ = superpos("show", folder)
    assert code == 0
    dataset = load(folder).dataset
    assert f"{float(dataset.test_loss.mean('seed').sel(T=8, m=3)):.4f}" in out


def test_show_averages_seeds_alone(superpos, tmp_path):
    """A mean over learning rates or conventions would be of nothing."""
    axes = {"T": [5], "seed": [0, 1], "reduction": ["sum", "mean"], "lr": [1e-3, 1e-2]}
    small = Sweep(
        axes=axes,
        cell={"steps": 20, "S": 0.9, "eps": 0.01},
        options={"n": 30, "test_samples": 20},
        name="small",
    )
    result = run(small, out=tmp_path)
    code, out, _ = superpos("show", tmp_path)
    assert code == 0
    assert "train loss of small, mean over seed, at lr = 0.001 (the first of each)" in out
    assert "T \\ reduction │ sum    │ mean" in out.replace("┃", "│")
    of_sum = result.dataset.train_loss.sel(T=5, lr=1e-3, reduction=0.0).mean()
    assert f"{float(of_sum):.4f}" in out


def test_show_prints_a_slice(trained, superpos):
    folder, _ = trained
    code, out, _ = superpos("show", folder, "--at", "seed=1", "--at", "T=[8]")
    assert code == 0
    loss = load(folder).dataset.test_loss.sel(T=8, m=3, seed=1)
    assert "test loss of small, at seed = 1" in out
    assert f"{float(loss):.4f}" in out
    code, _, err = superpos("show", folder, "--at", "m=7")
    assert (code, "--at: m = 7 is not in this result, which holds" in err) == (2, True)


def test_view_writes_one_page_and_opens_it_unless_told_not_to(trained, superpos, monkeypatch):
    folder, _ = trained
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    page = folder / "page.html"
    code, out, _ = superpos("view", folder)
    assert (code, out.strip(), opened) == (0, str(page), [page.as_uri()])
    assert "<script src" not in page.read_text(encoding="utf-8")
    code, _, _ = superpos("view", folder, folder, "--no-open", "--out", folder / "two.html")
    assert (code, len(opened)) == (0, 1)
    assert (folder / "two.html").stat().st_size > page.stat().st_size
    code, _, err = superpos("view", folder, "--out", folder)
    assert (code, "a folder; give a file" in err.replace("\n", " ")) == (2, True)


def test_plot_draws_one_figure_into_a_file(trained, superpos, tmp_path):
    folder, _ = trained
    code, _, _ = superpos("plot", folder, "t_sweep", "--out", tmp_path / "a" / "curve.png")
    assert code == 0
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"curve.png", "curve.csv"}


def test_plot_draws_any_result(superpos, tmp_path):
    cell = {"T": 5, "m": 4, "S": 0.9, "steps": 2}
    run(Sweep(cell=cell, options={"n": 30, "test_samples": 20}), out=tmp_path)
    code, _, err = superpos("plot", tmp_path, "--out", tmp_path / "drawn")
    assert code == 0, err  # the study's own history asks for more
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == {"history.png", "history.csv"}


def test_plot_draws_a_slice_of_any_number(trained, superpos, tmp_path):
    folder, _ = trained
    slices = ("--at", "value=W_norm", "--at", "m=3", "--at", "T=[3, 40]")
    code, _, err = superpos("plot", folder, "curves", "--out", tmp_path, *slices)
    assert code == 0, err
    rows = (tmp_path / "curves.csv").read_text().splitlines()
    assert rows[0].startswith("T,runs")
    assert [row.partition(",")[0] for row in rows[1:]] == ["3", "40"]
    for wrong, said in (("m=5", "m = 5 is not in this result"), ("m", "--at 'm': expected")):
        code, _, err = superpos("plot", folder, "curves", "--out", tmp_path, "--at", wrong)
        assert (code, err.count("\n")) == (2, 1), err
        assert said in err


def test_a_sweep_says_what_is_drawn_and_of_which_cells(superpos, sweep_file, tmp_path):
    """`--set` may take an axis from a figure: a warning says so before training."""
    sweep_file.write_text('figures = ["t_sweep", "plane"]\nbest = "seed"\n' + SWEEP)
    code, _, err = superpos("run", sweep_file, "--out", tmp_path / "out", "--set", "m=2")
    assert code == 0, err
    assert {path.name for path in (tmp_path / "out" / "figures").iterdir()} == {
        "t_sweep.png", "t_sweep.csv",
    }  # fmt: skip
    assert "figure plane will not be drawn: plane needs two swept axes T and m" in err
    assert load(tmp_path / "out").sweep == load_sweep(sweep_file, ["m=2"])


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_figure_that_cannot_be_drawn_is_refused_before_training(
    command, superpos, sweep_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    sweep_file.write_text('figures = ["t_sweep", "plane"]\n' + SWEEP.replace("m = [2, 3]\n", ""))
    code, _, err = superpos(command, sweep_file)
    assert (code, err.count("\n")) == (2, 1)
    assert f"{sweep_file}: figures[1]: plane needs two swept axes T and m; swept: T, seed" in err
    assert not (tmp_path / "results").exists()


def test_a_file_names_its_sweep_if_it_can(tmp_path, superpos):
    """Also one with a mark of its byte order."""
    text = "[axes]\nT = [3, 5]\n".encode("utf-8-sig")
    (tmp_path / "mine.toml").write_bytes(text)
    assert load_sweep(tmp_path / "mine.toml").name == "mine"
    odd = tmp_path / "my sweep.toml"
    odd.write_bytes(text)
    code, _, err = superpos("plan", odd)
    assert (code, err.count("\n")) == (2, 1)
    assert "name: missing, and 'my sweep' cannot be one" in err
    assert load_sweep(odd, ["name=mine"]).name == "mine"


def test_set_chooses_figures_and_what_they_show(sweep_file):
    sweep_file.write_text('best = "seed"\n' + SWEEP)
    sweep = load_sweep(sweep_file, ['figures=["plane"]', "best=m"])
    assert (sweep.figures, sweep.best) == (("plane",), "m")
    assert load_sweep(sweep_file, ["seed=1"]).best == ""  # there is one seed to choose from


def test_plan_trains_nothing(superpos, sweep_file, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, _ = superpos("plan", sweep_file)
    assert code == 0
    assert "12 = 3 T x 2 m x 2 seed" in out
    assert "work done / needed" in out
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


def test_list_names_what_ships_each_on_one_line_of_a_pipe(superpos):
    code, out, _ = superpos("list")
    assert code == 0
    for name, path in shipped().items():
        assert any(name in line and headline(path) in line for line in out.splitlines())
    assert "plane" in out


def test_dead_cells_are_exit_code_1_and_shown(superpos, sweep_file, tmp_path):
    out_folder = tmp_path / "out"
    code, out, _ = superpos(
        "run", sweep_file, "--out", out_folder, "--set", "lr=[1e-3, 3e38]", "--set", "m=2",
        "--set", "T=[3]",
    )  # fmt: skip
    assert code == 1
    assert "2 dead cells" in out
    assert "non-finite" in out
    dataset = load(out_folder).dataset
    assert dataset.verdict.sel(lr=1e-3).sum() == 0
    assert dataset.verdict.sel(lr=3e38).sum() == 2


def test_a_result_of_a_newer_version_is_refused(trained, superpos, tmp_path):
    folder, _ = trained
    dataset = xr.open_zarr(folder / "result.zarr", consolidated=False).load()
    dataset.attrs["format"] = 99
    dataset.to_zarr(tmp_path / "result.zarr", consolidated=False)
    code, _, err = superpos("show", tmp_path)
    assert code == 2
    assert "newer version" in err


def test_interrupting_is_exit_code_130(superpos, sweep_file, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("superpos_jax.training.job.train", interrupted)
    code, _, err = superpos("run", sweep_file, "--out", tmp_path / "out")
    assert code == 130
    assert err.count("\n") == 1


BAD_FILES = {
    "not TOML": ("axes = [", "not TOML"),
    "not UTF-8": (b"\xff\xfe", "not UTF-8"),
    "unknown table": ("[axis]\nT = [1]", "did you mean axes?"),
    "unknown axis": ("[axes]\nweight_deca = [0.1]", "did you mean weight_decay?"),
    "unknown option": ("[options]\nnn = 5", "options.nn: unknown"),
    "unknown study": ('study = "double"', "no study 'double'"),
    "a dot for the colon": ('study = "mine.Mine"', "did you mean 'mine:Mine'?"),
    "study of another kind": ('study = "json:loads"', "not a superpos_jax.Study"),
    "empty axis": ("[axes]\nT = []", "axes.T"),
    "axis is no list": ("[axes]\nT = 5", "axes.T = 5: allowed: a list"),
    "twice the same value": ("[axes]\nT = [5, 7, 5]", "5 is given twice"),
    "axis given twice": ("[axes]\nT = [5]\n[cell]\nT = 5", "cell.T: also an axis"),
    "T too small": ("[axes]\nT = [5, 0]", "axes.T[1] = 0: allowed: a whole number, at least 1"),
    "T no integer": ("[axes]\nT = [5.5]", "axes.T[0]"),
    "m too small": ("[cell]\nm = 0", "cell.m"),
    "S is 1 in float32": ("[cell]\nS = 0.99999999", "cells: S = 0.99999999 is 1 in float32"),
    "more samples than are counted": (
        "[cell]\nT = 1_000_000\nrepeated = 1_000_000\nrepeats = 1_000_000",
        "allowed: fewer than 2^31 samples",
    ),
    "new samples repeated": (
        "[cell]\nonline = 1\nrepeated = 2\nrepeats = 5",
        "online = 1 repeats no sample; allowed: repeated = 0",
    ),
    "a seed beyond 32 bits": (
        'study = "ridge:Ridge"\n[axes]\nseed = [0, 2147483648]',
        "axes.seed[1] = 2147483648: allowed: a whole number that fits 32 bits",
    ),
    "an unfinished study": (
        'study = "superpos_jax.engine.study:Study"',
        "does not define datasets, init, optimizer",
    ),
    "S is 1": ("[cell]\nS = 1.0", "cell.S = 1.0: allowed: a number, at least 0, less than 1"),
    "negative lr": ("[cell]\nlr = -1.0", "cell.lr"),
    "lr not finite": ("[cell]\nlr = nan", "cell.lr"),
    "steps 0": ("[cell]\nsteps = 0", "cell.steps"),
    "a word for a number": ('[cell]\nlr = "fast"', "cell.lr"),
    "a truth value for a number": ("[cell]\nT = true", "cell.T"),
    "unknown reduction": ('[cell]\nreduction = "max"', "'sum' is 0, 'mean' is 1"),
    "n of the wrong type": ('[options]\nn = "many"', "options.n"),
    "unknown figure": ('figures = ["plan"]', "figures[0] = 'plan': unknown; did you mean plane?"),
    "best of nothing": ('best = "T"\n[axes]\nm = [2]', "best = 'T': not swept; allowed: m"),
    "a name that is a path": ('name = "../up"', "name"),
    "too many cells": (
        "[axes]\n" + "\n".join(f"{a} = {list(range(1, 201))}" for a in ("T", "m", "seed")),
        "more than 1,000,000 cells",
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_get_one_line_and_exit_code_2(superpos, tmp_path, kind):
    content, said = BAD_FILES[kind]
    path = tmp_path / "bad.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = superpos("run", path, "--out", tmp_path / "out")
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1, err
    assert str(path) in err
    assert said in err
    assert not (tmp_path / "out").exists()


BAD_FLAGS = {
    "no such sweep": (["run", "quickstar"], "did you mean quickstart?"),
    "a folder": (["run", "."], "a folder, not a sweep file"),
    "unknown command": (["rn", "quickstart"], "rn"),
    "unknown flag": (["run", "quickstart", "--outt", "x"], "--out"),
    "no sweep": (["run"], "Missing argument 'sweep'"),
    "set without a value": (["plan", "quickstart", "--set", "T"], "expected key=value"),
    "set twice": (["plan", "quickstart", "--set", "T=5", "--set", "T=6"], "--set T: given twice"),
    "at twice": (["show", "RESULT", "--at", "m=2", "--at", "m=3"], "--at m: given twice"),
    "set an unknown key": (["plan", "quickstart", "--set", "stps=1"], "did you mean steps?"),
    "set a wrong value": (["plan", "quickstart", "--set", "lr=-1.0"], "cell.lr"),
    "no devices": (["run", "quickstart", "--devices", "0"], "--devices"),
    "too many devices": (["run", "FILE", "--out", "OUT", "--devices", "999"], "1 to 2"),
    "no result": (["show", "nowhere"], "no result here"),
    "no result to plot": (["plot", "nowhere"], "no result here"),
    "unknown figure": (["plot", "RESULT", "plan"], "allowed: plane"),
    "best along the figure's axis": (
        ["plot", "RESULT", "t_sweep", "--best", "m"],
        "figure t_sweep: m is neither an axis nor the same",
    ),
    "a table that is none, set": (["plan", "AXES", "--set", "T=5"], "axes = [1]: allowed: a table"),
    "a study within nothing": (["plan", "quickstart", "--set", "study=.foo:Bar"], "no study"),
    "a quantity for all figures": (
        ["plot", "RESULT", "--at", "value=test_loss"],
        "--at value: only a figure that is named takes it; allowed: plane, curves, history",
    ),
    "figure of another type": (["plot", "RESULT", "plane", "--out", "x.jpg"], ".png, .pdf, .svg"),
    "folder of something else": (["run", "FILE", "--out", "BUSY"], "not a result folder"),
    "file in the way": (["run", "FILE", "--out", "FILE"], "a file is in the way"),
    "folder called as an archive": (
        ["run", "FILE", "--out", "a.zip"],
        "a folder cannot end in .zip",
    ),
}


@pytest.mark.parametrize("kind", BAD_FLAGS)
def test_bad_flags_get_one_line_and_exit_code_2(superpos, sweep_file, trained, tmp_path, kind):
    arguments, said = BAD_FLAGS[kind]
    busy = tmp_path / "busy"
    busy.mkdir()
    (busy / "thesis.tex").write_text("years of work")
    (tmp_path / "axes.toml").write_text("axes = [1]")
    places = {"FILE": sweep_file, "OUT": tmp_path / "out", "BUSY": busy, "RESULT": trained[0]}
    places["AXES"] = tmp_path / "axes.toml"
    code, out, err = superpos(*(places.get(argument, argument) for argument in arguments))
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1, err
    assert said in err
    assert (busy / "thesis.tex").read_text() == "years of work"


def test_help_does_not_start_jax():
    program = (
        "import sys; from superpos_jax.cli import app; sys.argv = ['superpos', '--help']\n"
        "try: app.main()\n"
        "except SystemExit: assert not {'jax', 'xarray', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "run" in done.stdout


def test_values_of_an_axis_are_written_as_in_figures():
    axis = xr.DataArray(np.zeros(4), {"decay": [0.0, 1e-3, 0.1, 10.0]}, ["decay"])
    assert _labels(axis, "decay", Labels()) == ["0", "0.001", "0.1", "10"]
