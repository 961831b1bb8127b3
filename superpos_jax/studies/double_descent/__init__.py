"""Superposition, memorization and double descent in a tiny ReLU autoencoder.

Henighan et al., "Superposition, Memorization, and Double Descent", Transformer Circuits Thread,
2023: https://transformer-circuits.pub/2023/toy-double-descent/index.html
"""

from superpos_jax.studies.double_descent.study import DoubleDescent

STUDY = DoubleDescent

__all__ = ["STUDY", "DoubleDescent"]
