"""Bags of words: where features are correlated, superposition arranges what fires together.

Prieto et al., "From Data Statistics to Feature Geometry: How Correlations Shape Superposition",
ICLR 2026: https://arxiv.org/abs/2603.09972
"""

from superpos_jax.studies.bows.study import Bows

STUDY = Bows

__all__ = ["STUDY", "Bows"]
