"""The figures of the study double_descent, by the name under which users know them."""

from superpos_jax.studies.double_descent.figures import *  # noqa: F403
