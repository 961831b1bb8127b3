"""What the learning rate does to the use of a spurious cue, and to compressibility."""

from superpos_jax.studies.large_lr.study import STUDY

__all__ = ["STUDY"]
