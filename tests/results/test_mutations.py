"""Damaged sweep files: no traceback, and no exit code 0 for what has no meaning."""

import math
import random

import numpy as np
import pytest

from superpos_jax import load_sweep
from superpos_jax.errors import UserError

COUNT = 120
GOOD = """study = "double_descent"
name = "good"

[axes]
T = "geomspace(3, 40, 2)"
m = [2, 3]
reduction = ["sum", 0.5]

[[zip]]
S = [0.9, 0.8]
steps = [20, 1e1]

[arms.plain]

[arms.fast]
lr = 1e-2
loss = "fourth"

[cell]
lr = 1e-3
weight_decay = 0.01
eps = 1e-8
seed = 3

[options]
n = 30
test_samples = 20
save_weights = true
"""
VALUES = [
    *(
        "0",
        "-1",
        "1",
        "2.5",
        "1e400",
        "-inf",
        "nan",
        "true",
        '""',
        '"fast"',
        '"mean"',
        "[]",
        "[[3]]",
    ),
    *("[1, 1]", "[3, 0]", "[1, 'a']", "{}", "{T = 3}", "2024-01-01", "0x10", "1_000", "9" * 30),
    *(
        "1e-50",
        "99999999",
        "[1e-3, 1e-2]",
        "-0.0",
        "1.0",
        '"double_descent"',
        '"json:loads"',
        "'é'",
    ),
    *(
        '"range(3)"',
        '"linspace(0, 0.5, 2)"',
        '"logspace(-3, -2, 2)"',
        '"geomspace(1, 1e9, 2)"',
        '"geomspace(1, 9)"',
        '"range(9e9)"',
        '"rnge(3)"',
        '"open(3)"',
        "[0.5, 0.6]",
        "[20, 30]",
        "[{S = [0.5], m = [2]}]",
    ),
]
TABLES = [
    *("[axes]", "[cell]", "[options]", "[axis]", "[study]", "[cell.lr]"),
    *("[[zip]]", "[zip]", "[arms]", "[[arms]]", "[arms.more]", "[arms.'a b']", "[arms.fast.lr]"),
]
KEYS = [
    "T",
    "m",
    "S",
    "lr",
    "t",
    "weight_deca",
    "n",
    "steps",
    "seed",
    "data_seed",
    "axes",
    '"a b"',
    "",
]
BYTES = [b"\xff", b"\x00", b"[", b"]", b"=", b'"', b"\n", b"#", b"-", b"9", b"e", b".", b","]


def mutate(rng: random.Random) -> bytes:
    """The good file with one to three things done to it."""
    lines = GOOD.splitlines()
    for _ in range(rng.randint(1, 3)):
        i = rng.randrange(len(lines))
        key, equals, _ = lines[i].partition(" = ")
        what = rng.randrange(8)
        if what == 0:
            del lines[i]
        elif what == 1:
            lines.insert(rng.randrange(len(lines)), lines[i])
        elif what == 2:
            lines[i] = rng.choice(TABLES)
        elif what == 3 and equals:
            lines[i] = f"{rng.choice(KEYS)} = {lines[i].partition(' = ')[2]}"
        elif equals:
            lines[i] = f"{key} = {rng.choice(VALUES)}"
        lines = lines or [""]
    content = "\n".join(lines).encode()
    if rng.random() < 0.3:
        at = rng.randrange(len(content) + 1)
        content = content[:at] + rng.choice(BYTES) + content[at + rng.randint(0, 2) :]
    return content


def meaningful(cell) -> bool:
    """Whether a cell can be trained at all, said independently of the program's own limits."""
    with np.errstate(all="ignore"):
        lr, eps, decay = np.float32([cell.lr, cell.eps, cell.weight_decay])
    return (
        all(type(value) is int for value in (cell.T, cell.m, cell.steps, cell.seed))
        and min(cell.T, cell.m, cell.steps) >= 1
        and 0 <= cell.S < 1
        and 0 < lr < math.inf
        and 0 < eps < math.inf
        and 0 <= decay < math.inf
        and 0 <= cell.reduction <= 1
        and cell.loss in range(1, 9)
    )


def test_damaged_sweep_files(superpos, tmp_path):
    rng = random.Random(0)
    path, out = tmp_path / "sweep.toml", tmp_path / "out"
    codes = []
    for _ in range(COUNT):
        content = mutate(rng)
        path.write_bytes(content)
        code, printed, error = superpos("plan", path)
        codes.append(code)
        assert code in (0, 2), content
        if code == 0:
            sweep = load_sweep(path)
            assert all(map(meaningful, sweep.grid().cells)), content
            assert load_sweep(path) == sweep
            assert error == "", content
            continue
        assert printed == "", content
        assert error.count("\n") == 1, (content, error)
        assert error.startswith("superpos: "), (content, error)
        if "memory: " not in error:
            assert str(path) in error, (content, error)
            with pytest.raises(UserError):
                load_sweep(path)
            if len(codes) % 5 == 0:  # it reads a file as `plan` does
                assert superpos("run", path, "--out", out)[0] == 2
                assert not out.exists()
    assert 12 < codes.count(0) < COUNT - 60  # both kinds were there
