"""Two CPU devices for every test that trains, and the command line to call."""

import sys

import jax
import numpy as np
import pytest

jax.config.update("jax_num_cpu_devices", 2)
jax.devices()  # start JAX now: later calls cannot change the number


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def superpos(monkeypatch, capsys):
    """Call the entry point with arguments; returns exit code, output and errors."""

    from superpos_jax import cli

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["superpos", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        written = capsys.readouterr()
        return stop.value.code, written.out, written.err

    return call
