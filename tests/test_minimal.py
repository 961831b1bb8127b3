"""The minimal study and the sweep of the documentation, as a reader copies them, trained."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import superpos_jax as sp

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


def test_a_number_beyond_its_limit_is_named(copied, superpos):
    code, _, err = superpos("run", "sine.toml", "--set", "T=[0, 5]")
    assert code == 2
    assert "T[0] = 0: allowed: a whole number, at least 1" in err
