"""A classifier of small real images: which samples have a dimension of their own?"""

from superpos_jax.studies.digits.study import STUDY

__all__ = ["STUDY"]
