"""The minimal study and the sweep of the documentation, as a reader copies them, trained."""

import re
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import superpos_jax as sp
from superpos_jax.results.registry import load_study
from superpos_jax.results.source import source_files

pytestmark = pytest.mark.unoptimized

PAGE = Path(sp.__file__).parent / "studies" / "README.md"


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A folder to work in, with the study and the sweep of the page."""
    page = PAGE.read_text()
    for name, language in {"sine.py": "python", "sine.toml": "toml"}.items():
        text = re.search(rf"`{name}`:\n\n```{language}\n(.*?)```", page, re.DOTALL)[1]
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())  # the command adds the current folder


def test_the_study_on_the_page_trains(copied, superpos):
    sweep = ("--set", "T=[5, 30]", "--set", "width=[3]", "--set", "seed=[0, 1]")
    code, _, err = superpos("run", "sine.toml", *sweep, "--set", "steps=20", "--processes", "1")
    assert code == 0, err
    assert Path("results/sine/figures/plane.png").exists()
    data = sp.load("results/sine").dataset
    assert dict(data.verdict.sizes) == {"T": 2, "width": 1, "seed": 2}
    assert (data.train_loss < data.history_train_loss.isel(step=0)).all()
    assert np.isfinite(data.test_loss).all()


def test_the_figure_on_the_page_is_drawn_and_no_code_of_its_study(copied, superpos):
    page = PAGE.read_text()
    figure = re.search(r"`sine_figures.py`:\n\n```python\n(.*?)```", page, re.DOTALL)[1]
    method = re.search(r"```python\n# In the class, with .*\n((?s:.*?))```", page)[1]
    study = Path("sine.py").read_text() + "\n" + textwrap.indent(method, "    ")
    Path("sine_figures.py").write_text(figure)
    Path("drawn.py").write_text(study.replace("\n\n", "\n\nimport importlib\n", 1))

    cell, out = ("--set", "seed=0", "--set", "steps=5"), ("--out", "out", "--processes", "1")
    sweep = ("run", "sine.toml", "--set", "study=drawn:Sine", "--set", "width=[2]", *cell, *out)
    code, _, err = superpos(*sweep, "--set", "T=[5, 30]")
    assert code == 0, err
    code, _, err = superpos("plot", "out", "gap", "--study", "drawn:Sine")
    assert code == 0, err
    assert pd.read_csv("out/figures/gap.csv").gap.notna().sum() == 2
    assert "sine_figures" in sys.modules
    assert [file.name for file in source_files(load_study("drawn:Sine"))] == ["drawn.py"]


def test_a_number_beyond_its_limit_is_named(copied, superpos):
    code, _, err = superpos("run", "sine.toml", "--set", "T=[0, 5]")
    assert code == 2
    assert "T[0] = 0: allowed: a whole number, at least 1" in err
