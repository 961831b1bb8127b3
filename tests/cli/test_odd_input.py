"""Files of strangers and odd input: one line, no code of theirs, no escape sequences."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import superpos_jax as sp
from superpos_jax.results.store import read_table, write_table
from superpos_jax.text import printable

SWEEP = sp.Sweep(study="ridge:Ridge", axes={"T": [3, 5]}, cell={"steps": 3})


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A whole result that names another study."""
    folder = tmp_path_factory.mktemp("stored")
    sp.run(SWEEP, out=folder)
    table = read_table(folder)
    attributes = json.dumps(table.attrs).replace("ridge:Ridge", "theirs:Ridge")
    write_table(table.assign_attrs(json.loads(attributes)), folder)
    return folder


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A module that can be imported and leaves a trace then."""
    code = f"open({str(tmp_path / 'ran')!r}, 'w').close()\nfrom ridge import Ridge\n"
    (tmp_path / "theirs.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    return tmp_path / "ran"


@pytest.mark.parametrize("command", ["show", "plot", "audit"])
def test_a_result_does_not_import_the_code_that_it_names(stored, theirs, superpos, command):
    code, _, err = superpos(command, stored)
    assert (code, err.count("\n")) == (2, 1)
    assert "--study theirs:Ridge" in err
    with pytest.raises(sp.UserError, match="not of this package"):
        sp.load(stored)
    assert not theirs.exists()


def test_a_retry_does_not_import_the_code_that_a_folder_names(stored, theirs, superpos, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP.to_toml())
    code, _, err = superpos("run", tmp_path / "sweep.toml", "--out", stored, "--retry-dead")
    assert (code, err.count("\n")) == (2, 1)
    assert not theirs.exists()


def test_the_code_that_the_user_names_is_imported(stored, theirs, superpos):
    superpos("show", stored, "--study", "theirs:Ridge")
    assert theirs.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("x = " + "[" * 5000 + "]" * 5000, "brackets within brackets"),
        (f"[axes]\nT = [{'9' * 5000}]", "thousands of digits"),
        ('name = "\\u001b[31mred"', r"\x1b[31mred"),
        (f'name = "{"a" * 10**5}"', "..."),
    ],
    ids=["empty", "brackets", "digits", "escape", "long"],
)
def test_an_odd_sweep_file_is_refused_in_one_line(tmp_path, superpos, text, said):
    (tmp_path / "odd.toml").write_text(text)
    code, out, err = superpos("run", tmp_path / "odd.toml", "--out", tmp_path / "out")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert len(err) < 3000
    assert "\x1b" not in err


@pytest.mark.parametrize("value", ["T=" + "[" * 5000, "T=" + "9" * 5000])
def test_an_odd_override_is_refused_in_one_line(superpos, value):
    code, _, err = superpos("plan", "quickstart", "--set", value)
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.parametrize("place", ["", "gs://bucket/x", "s3:/bucket"])
def test_a_result_lies_in_a_folder_of_this_machine(superpos, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    for command in (["run", "quickstart", "--out", place], ["show", place]):
        code, _, err = superpos(*command)
        assert (code, err.count("\n")) == (2, 1)
        assert "allowed: a folder of this machine" in err
    if place:
        for use in (sp.load, lambda out: sp.run(SWEEP, out=out)):
            with pytest.raises(sp.UserError, match="allowed: a folder of this machine"):
                use(place)
    assert not [*tmp_path.iterdir()]


def test_what_moves_a_terminal_is_escaped():
    assert printable("a\x1b]0;b\x07\u202e\x9b") == "a\\x1b]0;b\\x07\\u202e\\x9b"
    assert printable("μ, 3\N{NO-BREAK SPACE}MiB") == "μ, 3\N{NO-BREAK SPACE}MiB"


def test_streams_that_are_closed_and_a_folder_that_is_gone(tmp_path):
    """A file must not take the number of a stream, and get what is printed."""
    command = [Path(sys.executable).with_name("superpos"), "list"]
    shell = f"exec {command[0]} list <&- >&- 2>{tmp_path / 'errors'}"
    assert subprocess.run(["sh", "-c", shell]).returncode == 0
    assert (tmp_path / "errors").read_text() == ""
    (tmp_path / "gone").mkdir()
    shell = f"cd {tmp_path / 'gone'}; rmdir ../gone; exec {command[0]} list"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "superpos: the current folder is gone; change to another one"
    )
