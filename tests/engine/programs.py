"""What the tests of the engine share: programs of some cells, and how two of them differ."""

import contextlib
import logging

import jax
import numpy as np

from superpos_jax.engine.code import make_mesh
from superpos_jax.engine.layout import by_layout
from superpos_jax.engine.plan import make_plan
from superpos_jax.engine.program import Program


def build(study, cells, devices=1, platform="cpu"):
    """The program of some cells, laid out for a platform."""
    mesh = make_mesh(jax.devices()[:devices])
    return Program(study, make_plan(study, cells, devices, platform), mesh)


def layout_of(study, cell, platform):
    """The layout of one cell."""
    (layout,) = by_layout(study, [cell], platform)
    return layout


def train(study, cells, *stops, platform="cpu"):
    """A program and its state after it has come to the last of some steps, stop by stop."""
    program = build(study, cells, platform=platform)
    state = program.init()
    for stop in stops:
        state = program.advance(state, stop)
    return program, state


def difference(tree, reference):
    """The names of leaves whose bits differ, and by how much."""
    apart = {}
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    for (path, a), b in zip(leaves, jax.tree.leaves(reference), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if a.tobytes() != b.tobytes():
            apart[jax.tree_util.keystr(path)] = np.abs(a.astype(float) - b).max()
    return apart


@contextlib.contextmanager
def compilations():
    """What XLA compiles meanwhile."""
    messages = []

    class Listener(logging.Handler):
        def emit(self, record):
            if record.getMessage().startswith("Finished XLA compilation"):
                messages.append(record.getMessage())

    listener = Listener()
    logging.getLogger("jax").addHandler(listener)
    jax.config.update("jax_log_compiles", True)  # in all threads
    try:
        yield messages
    finally:
        jax.config.update("jax_log_compiles", False)
        logging.getLogger("jax").removeHandler(listener)
