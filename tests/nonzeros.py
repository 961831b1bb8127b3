"""The study double_descent as it is for many features, on few: a study of the tests."""

from superpos_jax.studies.double_descent.study import DoubleDescent


class Sparse(DoubleDescent):
    """It never computes with the zeros of samples."""

    def is_dense(self, cell):
        return False
