"""Cities: maps without correlated data, where a network linearly encodes a continuous value.

A part of Prieto et al., "From Data Statistics to Feature Geometry", ICLR 2026, with a model of its
own; the rest of the paper is the study `bows`.
"""

from superpos_jax.studies.cities.study import STUDY

__all__ = ["STUDY"]
