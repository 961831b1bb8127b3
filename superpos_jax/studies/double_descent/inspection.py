"""One cell as plain numpy: its weights, and what follows from them and from the keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from superpos_jax.engine.inspected import Inspected
from superpos_jax.errors import UserError
from superpos_jax.studies import geometry
from superpos_jax.studies.double_descent import data
from superpos_jax.studies.double_descent.cell import Cell


class Weights(NamedTuple):
    """W (m, n), b (n,) and V (m, n) of one cell, without padding."""

    W: np.ndarray
    b: np.ndarray
    V: np.ndarray


def hidden(cell: Cell, stream: data.Stream, W: np.ndarray) -> np.ndarray:
    """H = X W^T of the distinct training samples, from the non-zeros, (T, m); or its ReLU."""
    parts = []
    for samples in data.chunks(stream._replace(repeated=0, repeats=1), cell.T):
        parts.append(np.zeros((samples.T, cell.m), np.float32))
        np.add.at(parts[-1], samples.row, samples.val[:, None] * W.T[samples.col])
    H = np.concatenate(parts)
    return np.maximum(H, 0) if cell.relu else H


@dataclass(frozen=True, repr=False)
class Inspection(Inspected):
    """One cell as numpy; its data and initial weights are regenerated when they are asked for.

    W: (m, n) and b: (n,), final. X: (T + repeated (repeats - 1), n) samples, each as often as it is
    repeated. H: (T, m) hidden vectors of the distinct samples. V: (m, n) the decoder of an untied
    model, else W. W0, b0, V0: initial. D_f: (n,), D_X: (T,) and D_max: (T,) dimensionalities.

    Raises:
        UserError: on what needs the final weights, where they were not stored.
    """

    cell: Cell
    n: int
    _stream: data.Stream
    _stored: Weights | None
    _initialise: Callable[[], Weights]

    @property
    def final(self) -> Weights:
        """W, b and V after training."""
        if self._stored is None:
            raise UserError(
                "cell: the weights were not stored; train with save_weights = true, and look into "
                "the result folder where this is an archive"
            )
        return self._stored

    @property
    def W(self) -> np.ndarray:
        """Encoder weights: (m, n) float32."""
        return self.final.W

    @property
    def b(self) -> np.ndarray:
        """Decoder bias: (n,) float32."""
        return self.final.b

    @property
    def V(self) -> np.ndarray:
        """Decoder weights: (m, n) float32."""
        return self.final.V

    @cached_property
    def X(self) -> np.ndarray:
        """Training samples, dense: (T + repeated (repeats - 1), n) float32."""
        return data.draw(self._stream, self.cell.rows).dense(self.n)

    @cached_property
    def H(self) -> np.ndarray:
        """Hidden vectors h = W x of the distinct training samples: (T, m) float32."""
        return hidden(self.cell, self._stream, self.W)

    @property
    def D_f(self) -> np.ndarray:
        """Feature dimensionalities: (n,) float64."""
        return geometry.dimensionality(self.W.T)

    @property
    def D_X(self) -> np.ndarray:
        """Sample dimensionalities: (T,) float64."""
        return geometry.dimensionality(self.H)

    @property
    def D_max(self) -> np.ndarray:
        """Maximal data dimensionalities D*_X: (T,) float64."""
        return geometry.maximal_dimensionality(self.H)

    def test_loss(self, samples: int = 100_000) -> tuple[float, float]:
        """The loss on so many held-out samples, and its standard error.

        L = (1/N) sum_x sum_i |x_i - x'_i|^p, on the first N samples of the test stream.

        Raises:
            UserError: fewer than two samples have no standard error.
        """
        if samples < 2:
            raise UserError(f"test_loss: samples = {samples}; allowed: 2 or more")
        W, b, V = self.final
        each = []
        for part in data.chunks(self._stream._replace(stream="test", repeats=1), samples):
            X = part.dense(self.n)
            H = np.maximum(X @ W.T, 0) if self.cell.relu else X @ W.T
            error = np.abs(X - np.maximum(H @ V + b, 0))
            each.append((error**self.cell.loss).sum(1, dtype=np.float64))
        losses = np.concatenate(each)
        return float(losses.mean()), float(losses.std(ddof=1) / samples**0.5)

    @property
    def W0(self) -> np.ndarray:
        """Initial W: (m, n) float32."""
        return self._initial.W

    @property
    def b0(self) -> np.ndarray:
        """Initial b: (n,) float32."""
        return self._initial.b

    @property
    def V0(self) -> np.ndarray:
        """Initial V: (m, n) float32."""
        return self._initial.V

    @cached_property
    def _initial(self) -> Weights:
        return self._initialise()
