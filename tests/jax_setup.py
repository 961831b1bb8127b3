"""Two CPU devices for every test that trains, options of XLA, the command line."""

import atexit
import gc
import os
import sys

import jax  # reads what conftest.py has set
import numpy as np
import pytest
from jax._src import compiler

from superpos_jax.drawing import spec
from superpos_jax.engine import code
from superpos_jax.engine.study import Study
from superpos_jax.studies.double_descent import autoencoders
from superpos_jax.training import reports

autoencoders.backend = lambda platform: (
    ""
)  # a test that wants kernels says so, whatever is installed
spec.DPI = 50  # a small picture is drawn and packed in half of the time
reports.TOGETHER = 3  # the few cells of a test are reported in several parts too
# Studies of equal options are one: what one test compiled of a sweep another need not trace.
Study.__eq__ = lambda study, other: (type(study), study.options) == (type(other), other.options)
Study.__hash__ = lambda study: hash((type(study), study.options.model_dump_json()))
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
if CORES and (worker := os.environ.get("PYTEST_XDIST_WORKER", "")):
    # XLA's threads keep a core busy while they wait: each worker, and what it starts, has its own.
    mine = CORES[int(worker.removeprefix("gw")) :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])]
    os.sched_setaffinity(0, mine or CORES)
jax.config.update("jax_num_cpu_devices", 2)
jax.devices()  # start JAX now: later calls cannot change the number


# Tracing and collecting make many objects that stay, and Python would search them for garbage.
gc.set_threshold(200_000, 50, 50)


def fsync(descriptor):
    """No test pulls the plug; a descriptor that is none is still an error."""
    os.fstat(descriptor)


os.fsync = fsync


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Examples of docstrings print rounded numbers; that of the audit compares bits.

    Of each file the tests that are `unoptimized` come last: nothing compiled is kept across.
    """
    for item in items:
        if isinstance(item, pytest.DoctestItem) and "audit" not in item.name:
            item.add_marker("unoptimized")
    files = {item.path: place for place, item in enumerate(items)}
    items.sort(key=lambda item: (files[item.path], _is_plain(item)))


def _is_plain(item: pytest.Item) -> bool:
    return item.get_closest_marker("unoptimized") is not None


def pytest_collection_finish() -> None:
    """What there is by now stays to the end, and then goes in order: libraries say what leaks.

    pytest searches for garbage five times as it ends; that it need not see either.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


PLAIN = {
    **code.rough_options(code.make_mesh(jax.devices("cpu"))),
    "xla_cpu_parallel_codegen_split_count": 1,  # each core has a worker
}
"""Options of XLA for tests that are `unoptimized`."""
as_users_compile = compiler.get_compile_options


def plainly(*arguments, env_options_overrides=None, **named):
    """What JAX tells XLA, and the options above."""
    options = {**(env_options_overrides or {}), **PLAIN}
    return as_users_compile(*arguments, env_options_overrides=options, **named)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    is_plain = _is_plain(item)
    if is_plain != (compiler.get_compile_options is plainly):
        code.code_for.cache_clear()
    jax.config.update("jax_disable_most_optimizations", is_plain)
    compiler.get_compile_options = plainly if is_plain else as_users_compile


@pytest.fixture
def all_cores():
    """What the test starts may use all cores; it is skipped where there is one."""
    if len(CORES) < 2:
        pytest.skip("needs two cores")
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES)
    yield
    os.sched_setaffinity(0, mine)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def superpos(monkeypatch, capsys):
    """Call the entry point with arguments; returns exit code, output and errors."""

    from superpos_jax.cli import app as cli

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["superpos", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        written = capsys.readouterr()
        return stop.value.code, written.out, written.err

    return call
