"""Quick compilation: programs without source lines, and a process left as it was."""

import gc

import jax
import pytest

from superpos_jax.engine import code
from superpos_jax.engine.compilation import quick


def lowered():
    return jax.jit(lambda x: x + 1).lower(1.0).as_text(debug_info=True)


def test_programs_hold_no_source_lines():
    name = __file__.rpartition("/")[2]
    assert name in lowered()
    with quick():
        assert name not in lowered()


def test_a_process_is_left_as_it_was():
    def settings():
        return gc.isenabled(), jax.config.jax_traceback_in_locations_limit

    def fails():
        within.append(settings())
        raise KeyError

    before, within = settings(), []
    with pytest.raises(KeyError), quick():
        fails()
    assert within == [(False, 0)]
    assert settings() == before


def test_options_that_xla_does_not_know_are_left_out(monkeypatch):
    mesh = code.make_mesh(jax.devices()[:1])
    options = code.rough_options(mesh)
    assert options["xla_backend_optimization_level"] == 0
    assert jax.jit(lambda x: x + 1, compiler_options=options)(1) == 2
    assert not code.is_option("xla_no_such_option", False)
    monkeypatch.setattr(code, "is_option", lambda name, value: False)
    assert code.rough_options(mesh) == code.quick_options(mesh)


def test_garbage_stays_where_nobody_collects_it():
    collects = gc.isenabled()
    gc.disable()
    try:
        with quick():
            pass
        assert not gc.isenabled()
    finally:
        if collects:
            gc.enable()
