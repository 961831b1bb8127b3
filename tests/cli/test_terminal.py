"""What the commands print of a result."""

import pytest
from ridge import Ridge

import superpos_jax as sp
from superpos_jax.cli import terminal

pytestmark = pytest.mark.unoptimized


def test_a_large_table_is_a_part_that_fits_its_range_and_where_the_rest_is(
    superpos, monkeypatch, tmp_path
):
    axes = {"T": [3, 4, 5, 6, 7], "lr": [1e-2, 1e-1, 1e30, 1e31]}
    result = sp.run(sp.Sweep(study="ridge:Ridge", axes=axes, cell={"steps": 3}), out=tmp_path)
    whole = superpos("show", tmp_path)[1]
    assert "in Python" not in whole
    monkeypatch.setattr(terminal, "MOST_ROWS", 3)
    monkeypatch.setattr(terminal, "MOST_COLUMNS", 2)
    shown = superpos("show", tmp_path)[1]
    assert "3 of 5 T x 2 of 4 lr" in shown
    loss = result.dataset["test_loss"].where(result.dataset["verdict"] == 0)
    assert f"smallest {loss.min().item():.4f} at T = " in shown
    assert f"largest {loss.max().item():.4f} at T = " in shown
    assert "10 dead cells" in shown
    assert "and 7 more: in Python result.dead() has all" in shown
    dead = shown.partition("10 dead cells")[2].partition("and 7 more")[0]
    assert [dead.count(f" {lr} ") for lr in ("1e+30", "1e+31")] == [2, 1]
    assert shown.count("\n") < whole.count("\n")


def test_a_name_that_a_study_shows_and_nothing_has_is_said(monkeypatch, capsys):
    axes = {"T": [3], "lr": [0.01, 0.1]}
    result = sp.run(sp.Sweep(study="ridge:Ridge", axes=axes, cell={"steps": 2}))
    monkeypatch.setattr(Ridge, "shown", ("test_los", "train_loss"))
    terminal.print_result(result)
    written = capsys.readouterr()
    assert "train loss of sweep" in written.out
    assert "study Ridge: shown: 'test_los': did you mean test_loss? allowed: " in written.err
