"""A study that breaks the contract gets one line, through the real command."""

import sys

import pytest

from superpos_jax.engine.study import Study
from superpos_jax.errors import UserError
from superpos_jax.results.registry import load_study

GOOD = """
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import optax

from superpos_jax.engine.study import DataSet, Look, Minibatch, Study, Variable
from superpos_jax.text import Labels


@dataclass(frozen=True)
class Numbers:
    lr: float = 0.1
    seed: int = 0
    steps: int = 4


class Mine(Study):
    Cell = Numbers

    def datasets(self, cell):
        return {"train": DataSet(cell.seed, 5)}

    def load(self, dataset):
        return np.arange(2 * dataset.samples, dtype=np.float32).reshape(-1, 2) / 10

    def init(self, cell, shapes):
        return jnp.ones(2)

    def loss(self, cell, shapes, w, x, weight):
        return (weight * (x @ w - 1) ** 2).sum()

    def optimizer(self, cell, shapes):
        return optax.sgd(cell.lr)
"""
BROKEN = {
    "the cell can change": ("(frozen=True)", "", "Cell: allowed: a frozen dataclass"),
    "nobody says how long": ("    steps: int = 4\n", "", "Cell has no field steps"),
    "nothing to train on": ('"train"', '"test"', "a mapping with 'train' in it"),
    "a number for a data set": ("DataSet(cell.seed, 5)", "5", "train = 5: allowed: DataSet"),
    "too few samples": ("2 * dataset.samples", "6", "load: 3 samples of DataSet"),
    "a mean": (
        "(weight * (x @ w - 1) ** 2).sum()", "((x @ w - 1) ** 2).mean()", "where all samples have",
    ),
    "a mean over rows": (
        "(weight * (x @ w - 1) ** 2).sum()", "jnp.mean(weight * (x @ w - 1) ** 2)",
        "in a block of 32 rows and",
    ),
    "a sum times a part of the rows": (
        "(weight * (x @ w - 1) ** 2).sum()", "(weight * (x @ w - 1) ** 2).sum() * (1 / len(x))",
        "in a block of 32 rows and",
    ),
    "a mean over weights": (
        "(weight * (x @ w - 1) ** 2).sum()",
        "(weight * (x @ w - 1) ** 2).sum() / jnp.maximum(weight.sum(), 1)",
        "the loss of two samples is",
    ),
    "a penalty outside of the sum": (
        "** 2).sum()", "** 2).sum() + 0.1 * (w**2).sum()",
        "and a penalty on the parameters inside of it, weight * (loss + penalty)",
    ),
    "a loss of each": ("** 2).sum()", "** 2)", "loss has the shape (32,)"),
    "an unknown end": (
        "    def init", "    def look_every(self, cell):\n        return 2\n\n"
        "    def look(self, cell, shapes, now, memo):\n        return memo, self.end('late')\n\n"
        "    def init", "end('late'): unknown; allowed: none, ends is empty",
    ),
    "a look at what is not measured": (
        "    def init", "    def look_every(self, cell):\n        return 2\n\n"
        "    def look(self, cell, shapes, now, memo):\n"
        "        return memo, now.measured['train_loss'] > 1\n\n"
        "    def init", "nothing is called 'train_loss'; allowed: none.",
    ),
    "a look that says yes or no": (
        "    def init", "    def look_every(self, cell):\n        return 2\n\n"
        "    def look(self, cell, shapes, now, memo):\n        return memo, now.step > 2\n\n"
        "    def init", "look: the code is bool[]; allowed: memo and code",
    ),
    "a look without a memo": (
        "    def init", "    def look_every(self, cell):\n        return 2\n\n"
        "    def look(self, cell, shapes, now, memo):\n        return now.step\n\n"
        "    def init", "look: returns no pair; allowed: memo and code",
    ),
    "a data set that is measured at no time": (
        "DataSet(cell.seed, 5)", "DataSet(cell.seed, 5, 'looks')",
        "evaluate = 'looks': allowed: look, history, end",
    ),
    "a list for a key": ("DataSet(cell.seed, 5)", "DataSet([1], 5)", "key [1] cannot be hashed"),
    "an array for a variable": (
        "    def init", "    def report(self, cell, trained):\n"
        "        return {'w': trained.params}\n\n    def init",
        "report: w is a ndarray; allowed: Variable",
    ),
    "each prediction less each target": (
        "(weight * (x @ w - 1) ** 2)", "(weight * (x @ w - x[:, :1]) ** 2)",
        "the loss changes from",
    ),
    "a number for shapes": (
        "    def init", "    def shapes(self, cell, platform):\n        return 2\n\n    def init",
        "shapes: 2; allowed: Shapes(size)",
    ),
    "no parameters": ("return jnp.ones(2)", "jnp.ones(2)", "init: no array; allowed: a pytree"),
    "whole parameters": ("return jnp.ones(2)", "return jnp.arange(2)", "init: an array of int"),
    "no optimizer": ("return optax.sgd", "optax.sgd", "optimizer: allowed: an optax optimizer"),
    "nothing loaded": ("return np.arange", "np.arange", "load: None; allowed: arrays, samples"),
    "a word for a number": (
        "lr: float = 0.1", "lr: float = 0.1\n    kind: str = 'a'", "Cell.kind: str; allowed: int",
    ),
    "options of no model": (
        "    Cell = Numbers", "    Cell = Numbers\n    Options = Numbers",
        "Options: allowed: a pydantic model",
    ),
    "no samples": ("DataSet(cell.seed, 5)", "DataSet(0, 0)", "at least 1 sample"),
    "a batch of none": (
        "    def init", "    def feed(self, cell):\n        return Minibatch(-1)\n\n    def init",
        "feed: Minibatch(size=-1, order='epochs'): allowed: at least 1 sample",
    ),
    "a number for a feed": (
        "    def init", "    def feed(self, cell):\n        return 16\n\n    def init",
        "feed: 16; allowed: FullBatch(), Minibatch(size) or Fresh(samples)",
    ),
    "an order that is none": (
        "    def init",
        "    def feed(self, cell):\n        return Minibatch(4, 'shuffle')\n\n    def init",
        "feed: order = 'shuffle'; allowed: 'epochs', 'replace'",
    ),
    "looks twice an update": (
        "    def init", "    def look_every(self, cell):\n        return 0.5\n\n    def init",
        "look_every: 0.5; allowed: a whole number of updates, or 0",
    ),
    "looks before": (
        "    def init", "    def look_every(self, cell):\n        return -5\n\n    def init",
        "look_every: -5; allowed: a whole number of updates, or 0",
    ),
    "a dict for labels": (
        "    Cell = Numbers", "    Cell = Numbers\n    labels = {'lr': 'rate'}",
        "labels: {'lr': 'rate'}; allowed: Labels(...)",
    ),
    "names of values of no number": (
        "    Cell = Numbers", "    Cell = Numbers\n    labels = Labels(values={'los': ('a', 'b')})",
        "labels: values: 'los' is not a field of Cell; allowed: lr, seed, steps",
    ),
    "a memo that nobody began": (
        "    def init", "    def look_every(self, cell):\n        return 2\n\n"
        "    def look(self, cell, shapes, now, memo):\n"
        "        return {'best': now.params}, -1\n\n    def init",
        "look: remembers {'best': 'float32[2]'}, and memo begins with (); allowed: the same",
    ),
    "a number for a trace": (
        "    def init", "    traces = {'w': ('weight',)}\n\n    def trace(self, cell, w):\n"
        "        return {'w': w[0]}\n\n    def init",
        "trace: w is an array of 0 dimensions, and traces says ('weight',)",
    ),
    "another trace": (
        "    def init", "    traces = {'w': ('weight',)}\n\n    def trace(self, cell, w):\n"
        "        return {'v': w}\n\n    def init", "trace: v; allowed: w",
    ),
    "a number given": (
        "    def init", "    def given(self, cell):\n        return {'noise': 2.0}\n\n    def init",
        "given: noise is a float; allowed: Variable(dims, values, attrs)",
    ),
    "a metric given": (
        "    def init", "    def given(self, cell):\n"
        "        return {'train_loss': Variable((), 2.0, {})}\n\n    def init",
        "given: 'train_loss' is the engine's; give it another name",
    ),
    "no loss among what is measured": (
        "    def init", "    def measure(self, cell, shapes, w, x, weight):\n"
        "        return {'error': weight.sum()}\n\n    def init",
        "measure: no loss; allowed: scalars",
    ),
    "an array among the metrics": (
        "    def init", "    def metrics(self, cell, shapes, means):\n"
        "        return {**means, 'pair': jnp.ones(2)}\n\n    def init",
        "metrics: pair is not a scalar; allowed: scalars",
    ),
    "a name of the engine": (
        "    def init", "    def summarise(self, cell, shapes, w):\n"
        "        return {'verdict': w[0]}\n\n    def init",
        "'verdict' is the engine's; give it another name",
    ),
    "a summary with the name of a metric": (
        "    def init", "    def summarise(self, cell, shapes, w):\n"
        "        return {'train_loss': w[0]}\n\n    def init",
        "summarise: 'train_loss' is a metric; give it another name",
    ),
    "a summary with the name of a number": (
        "    def init", "    def summarise_update(self, cell, shapes, w, grads, updates):\n"
        "        return {'lr': w[0]}\n\n    def init",
        "summarise_update: 'lr' is a number of the cell or a dimension; give it another name",
    ),
    "a summary twice": (
        "    def init", "    def summarise(self, cell, shapes, w):\n"
        "        return {'norm': w[0]}\n\n"
        "    def summarise_update(self, cell, shapes, w, grads, updates):\n"
        "        return {'norm': grads[0]}\n\n    def init",
        "summarise_update: 'norm' is another summary; give it another name",
    ),
    "a vector for a summary": (
        "    def init", "    def summarise(self, cell, shapes, w):\n"
        "        return {'both': w}\n\n    def init",
        "summarise: both is not a scalar; allowed: scalars by name",
    ),
    "a summary without a name": (
        "    def init", "    def summarise(self, cell, shapes, w):\n"
        "        return w[0]\n\n    def init",
        "summarise: returns no mapping; allowed: scalars by name",
    ),
}  # fmt: skip


@pytest.fixture
def run(superpos, tmp_path, monkeypatch):
    """Train the study of a text; exit code, output and errors."""
    monkeypatch.syspath_prepend(tmp_path)

    def call(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        sweep = tmp_path / f"{name}.toml"
        sweep.write_text(f'study = "{name}:Mine"\n[axes]\nseed = [0, 1]\n')
        return superpos("run", sweep, "--out", tmp_path / name, "--processes", "1")

    return call


def test_a_study_that_keeps_the_contract_trains(run):
    code, out, err = run("kept", GOOD)
    assert (code, err.count("superpos:")) == (0, 0)
    assert "train loss of kept" in out


@pytest.mark.parametrize("what", BROKEN)
def test_one_line_says_what_is_wrong(run, what):
    old, new, said = BROKEN[what]
    assert old in GOOD
    code, _, err = run(f"broken_{list(BROKEN).index(what)}", GOOD.replace(old, new))
    lines = [line for line in err.splitlines() if line.startswith("superpos: ")]
    assert code == 2, err
    assert "Traceback" not in err
    assert len(lines) == 1
    assert said in lines[0]


def test_python_that_is_none_is_one_line(run, tmp_path):
    code, _, err = run("unwritten", GOOD.replace("def init", "deff init"))
    line = 1 + GOOD.partition("def init")[0].count("\n")
    assert (code, err.count("\n")) == (2, 1)
    assert f"study unwritten:Mine: {tmp_path / 'unwritten.py'}, line {line}: invalid syntax" in err


def test_an_error_in_a_study_shows_where_and_is_no_result(run, tmp_path):
    """1 would say that some cells died."""
    code, _, err = run("misspelt", GOOD.replace("(x @ w - 1)", "(x @ ww - 1)"))
    assert code == 2
    assert "name 'ww' is not defined" in err
    first = err.partition("Traceback (most recent call last):\n")[2].partition("\n")[0]
    assert f'"{tmp_path / "misspelt.py"}"' in first  # not where this package calls it
    assert not (tmp_path / "misspelt").exists()


def test_a_mistake_in_a_report_is_found_before_training(run, tmp_path):
    report = """    def report(self, cell, trained):
        steps.append(len(trained.history["step"]))
        return trained.history["accuracy"]

    def init"""
    code, _, err = run("hasty", "steps = []\n" + GOOD.replace("    def init", report))
    assert (code, "KeyError: 'accuracy'\nsuperpos tried report before training" in err) == (2, True)
    assert sys.modules["hasty"].steps == [1]
    assert not (tmp_path / "hasty").exists()


def test_a_class_in_a_function_is_told_where_to_stand():
    class Inner(Study):
        pass

    with pytest.raises(UserError, match="stands in a function; allowed: a class at the top of a"):
        load_study(f"{Inner.__module__}:{Inner.__qualname__}")
