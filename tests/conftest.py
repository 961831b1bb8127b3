"""One store of compiled programs; what every process that runs tests has is in jax_setup.py."""

import os
import tempfile

import pytest

# There are as many workers as cores: threads of numpy and scikit-learn would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported: kernels of GPUs run here
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # This process hands it on to the workers and commands it starts, and removes it in the end.
    COMPILED = tempfile.TemporaryDirectory(prefix="superpos-tests-compiled-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED.name
    # What compiles faster is not kept.
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.05"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # XLA takes two of its own options for a processor's


def pytest_configure(config: pytest.Config) -> None:
    # Half an entry, of a process that was killed or that is writing it, is compiled again.
    said = "ignore:Error reading persistent compilation cache entry:UserWarning"
    config.addinivalue_line("filterwarnings", said)
    config.addinivalue_line(
        "markers",
        "unoptimized: XLA compiles for it with no optimizations and its older emitter of loops, in"
        " half of the time. For files, labels, messages and formulas to a tolerance; never where"
        " bits are compared.",
    )
    # Who deals the tests to workers runs none, and starts without JAX.
    if hasattr(config, "workerinput") or config.getoption("dist", "no") == "no":
        config.pluginmanager.import_plugin("jax_setup")
