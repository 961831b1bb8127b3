"""What the command line says of itself, and tables that fit a narrow terminal."""

import pytest
from rich.console import Console

import superpos_jax as sp
from superpos_jax.cli import terminal


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_lists_the_commands_and_the_exit_codes(superpos, arguments):
    code, out, err = superpos(*arguments)
    assert (code, err) == (0, "")
    assert "export" in out
    assert "Exit codes: 0 done" in out


def test_the_version_is_that_of_the_package(superpos):
    assert superpos("--version") == (0, f"superpos_jax {sp.__version__}\n", "")


def test_fields_say_what_can_be_swept(superpos):
    code, out, _ = superpos("fields", "double_descent")
    rows = [[part.strip() for part in line.split("│")[1:4]] for line in out.splitlines()]
    assert code == 0
    assert ["weight_decay", "0.01", "a number, at least 0, at most 3e+38 (0 or more)"] in rows
    assert ["save_weights", "True", "true, false (store the final W and b)"] in rows
    assert any(row[:2] == ["loss", "squared"] and "fourth" in row[2] for row in rows if row)
    code, _, err = superpos("fields", "nope")
    assert (code, err.count("\n")) == (2, 1)


def test_a_wide_table_is_printed_in_parts(monkeypatch, capsys):
    monkeypatch.setattr(terminal, "out", Console(width=40))
    head = ["T \\ m", *map(str, range(10))]
    rows = [[str(T), *(f"{T + m / 10:.4f}" for m in range(10))] for T in (1, 200)]
    terminal.print_grid("losses", head, rows)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert "…" not in "".join(lines)
    numbers = {cell.strip() for line in lines for cell in line.split("│")}
    assert {f"{T + m / 10:.4f}" for T in (1, 200) for m in range(10)} <= numbers
    assert sum("200.0000" in line for line in lines) == 1
    assert sum(line.startswith("│ 200 ") for line in lines) == 5  # two columns fit
