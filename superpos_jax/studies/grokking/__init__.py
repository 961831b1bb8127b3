"""Grokking at the edge of numerical stability: what stops a network that has memorized?"""

from superpos_jax.studies.grokking.study import STUDY

__all__ = ["STUDY"]
