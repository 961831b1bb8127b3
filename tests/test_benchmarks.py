"""The scripts of benchmarks/ run, the engine and by hand train as much; needs no PyTorch."""

import importlib
import sys
from pathlib import Path

import pytest

from superpos_jax.engine.numerics import pinned

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """Import a script of the folder; it finds those beside it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = {*sys.modules}
    yield importlib.import_module
    for name in {*sys.modules} - before:
        if str(FOLDER) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.unoptimized
@pytest.mark.parametrize(
    ("script", "arguments", "chosen", "updates"),
    [
        ("grokking", (10, "seed=[0]"), ["by hand, unseen"], 4 * 10),
        ("bows", (32, "m=[2, 4]"), ["engine", "shared"], 48 * 32),
        ("large_lr", (10, "lr=[0.1]"), ["engine, fixed", "by hand, fixed"], 32 * 10),
    ],
)
def test_the_ways_train_all_cells(benchmark, script, arguments, chosen, updates):
    module = benchmark(script)
    with pinned():
        ways = module.ways(*arguments)
        assert [ways[name]()() for name in chosen] == [updates] * len(chosen)


def test_a_section_of_the_page_is_replaced_alone(benchmark):
    page = benchmark("page")
    first = page.rewrite("", "small", ["## Small", "", "1"])
    both = page.rewrite(first, "step", ["## Step"])
    again = page.rewrite(both, "small", ["## Small", "", "2"])
    assert again.index("## Step") < again.index("## Small")
    assert again.count("## ") == 2
    assert again == both.replace("\n1\n", "\n2\n")
