"""A one-hidden-layer classifier of small real images: which samples have a dimension of their own?

    h = ReLU(W x + c)       W: (m, 64), h: (m,)       x: 8 x 8 grey levels in [0, 1]
    logits = U h + d        U: (10, m)
    L = cross-entropy, mean over the T training images

Maximal data dimensionality D*_X says how much of a direction of the hidden space one sample can
have to itself. It needs no sparse features and no ReLU autoencoder, so it can be asked of any
layer (Henighan et al., "Superposition, Memorization, and Double Descent", 2023, section on MNIST).
The images are scikit-learn's digits (1,797; E. Alpaydin and C. Kaynak, UCI, 1998), which that
package brings along: `pip install scikit-learn`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from pydantic import Field

from superpos_jax.engine.inspected import Inspected
from superpos_jax.engine.study import (
    DataSet,
    NotNegative,
    Positive,
    Seed,
    Shapes,
    Steps,
    Study,
    Trained,
    Variable,
)
from superpos_jax.errors import UserError
from superpos_jax.studies.digits.data import IMAGES, TEST, chosen, images
from superpos_jax.studies.geometry import maximal_dimensionality

if TYPE_CHECKING:
    from superpos_jax.drawing.spec import FigureSpec

PIXELS, CLASSES = 64, 10

QUANTUM = 8
"""Hidden dimensions are padded to a multiple of it."""


@dataclass(frozen=True)
class Numbers:
    """One classifier: every number that can be swept.

    T: training images, the first ones of an order that the seed shuffles. m: hidden units. lr:
    peak learning rate, cosine to 0. weight_decay: decoupled. steps: updates on all T images.
    """

    T: Annotated[int, Field(ge=1, le=IMAGES - TEST, description="images to train on")] = 1500
    m: Annotated[int, Field(ge=1, le=4096, description="hidden units")] = 32
    seed: Seed = 0
    lr: Positive = 1e-2
    weight_decay: NotNegative = 1e-2
    steps: Steps = 2000


class Params(NamedTuple):
    """W: (hidden, 64), c: (hidden,), U: (10, hidden), d: (10,); zero beyond the cell's m."""

    W: Any
    c: Any
    U: Any
    d: Any


class Batch(NamedTuple):
    """Images x: (rows, 64) float32, and their classes y: (rows,) int32."""

    x: Any
    y: Any


@dataclass(frozen=True, repr=False)
class Classifier(Inspected):
    """One cell as numpy: its weights, its images X (T, 64) and classes y (T,), hidden H (T, m)."""

    cell: Numbers
    params: Params
    X: np.ndarray
    y: np.ndarray
    H: np.ndarray


class Digits(Study):
    """Cross-entropy of a ReLU network with one hidden layer, full-batch AdamW, cosine to 0.

    Losses are nats a sample; a uniform guess scores log 10 = 2.303.
    """

    Cell = Numbers

    @classmethod
    def figures(cls) -> Mapping[str, FigureSpec]:
        """odd_samples."""
        from superpos_jax.studies.digits.figures import FIGURES

        return FIGURES

    def shapes(self, cell: Numbers, platform: str) -> Shapes:
        """Hidden units in multiples of 8."""
        hidden = -(-cell.m // QUANTUM) * QUANTUM
        return Shapes(hidden, row_cost=_operations(hidden))

    def sample_cost(self, cell: Numbers) -> float:
        """Operations of one image."""
        return _operations(cell.m)

    def datasets(self, cell: Numbers) -> Mapping[str, DataSet]:
        """The first T images of the seed's order, and its last ones."""
        sizes = {"train": cell.T, "test": TEST}
        return {name: DataSet((int(cell.seed), name), size) for name, size in sizes.items()}

    def load(self, dataset: DataSet) -> Batch:
        """Images and classes."""
        return Batch(*(array[chosen(dataset)] for array in images()))

    def init(self, cell: Numbers, shapes: Shapes) -> Params:
        """Weights Xavier-uniform with the cell's own m, zero in the padding; biases 0."""
        hidden: int = shapes.size
        key = jax.random.fold_in(jax.random.key(cell.seed), cell.m)
        used = jnp.arange(hidden) < cell.m

        def uniform(which: int, length: int) -> jax.Array:
            own = jax.random.fold_in(key, which)
            bound = jnp.sqrt(6 / (cell.m + length))
            keys = jax.vmap(lambda i: jax.random.fold_in(own, i))(jnp.arange(hidden))
            unit = jax.vmap(lambda k: jax.random.uniform(k, (length,), minval=-1.0))(keys)
            return jnp.where(used[:, None], bound * unit, 0)

        W, U = uniform(0, PIXELS), uniform(1, CLASSES).T
        return Params(W, jnp.zeros(hidden), U, jnp.zeros(CLASSES))

    def optimizer(self, cell: Numbers, shapes: Shapes) -> optax.GradientTransformation:
        """AdamW, cosine to 0."""

        def schedule(step: jax.Array) -> jax.Array:
            return cell.lr * (1 + jnp.cos(jnp.pi * step / cell.steps)) / 2

        return optax.adamw(schedule, weight_decay=cell.weight_decay)

    def loss(
        self, cell: Numbers, shapes: Shapes, view: Params, batch: Batch, weight: jax.Array
    ) -> jax.Array:
        """Cross-entropy, summed."""
        return (weight * cross_entropy(self.logits(view, batch.x), batch.y)).sum()

    def measure(
        self, cell: Numbers, shapes: Shapes, view: Params, batch: Batch, weight: jax.Array
    ) -> dict[str, jax.Array]:
        """Cross-entropy and right answers."""
        logits = self.logits(view, batch.x)
        right = logits.argmax(axis=1) == batch.y
        return {
            "loss": (weight * cross_entropy(logits, batch.y)).sum(),
            "accuracy": (weight * right).sum(),
        }

    def logits(self, params: Params, x: jax.Array) -> jax.Array:
        """The output of the network, (rows, 10)."""
        return jnp.maximum(x @ params.W.T + params.c, 0) @ params.U.T + params.d

    def summarise(self, cell: Numbers, shapes: Shapes, params: Params) -> dict[str, jax.Array]:
        """Frobenius norms of both weight matrices."""
        return {"W_norm": jnp.linalg.norm(params.W), "U_norm": jnp.linalg.norm(params.U)}

    def report(self, cell: Numbers, trained: Trained) -> dict[str, Variable]:
        """Of each training image D*_X and which one it is; the weights."""
        params: Params = trained.params
        H = self.hidden(cell, params, "train")
        D = maximal_dimensionality(H).astype(np.float32)
        number = chosen(self.datasets(cell)["train"]).astype(np.int16)
        weights = {
            "W": (("hidden", "pixel"), params.W[: cell.m]),
            "c": (("hidden",), params.c[: cell.m]),
            "U": (("class", "hidden"), params.U[:, : cell.m]),
            "d": (("class",), params.d),
        }
        reported = {
            "maximal_dimensionality": Variable(
                ("sample",), D, {"long_name": "maximal data dimensionality D*_X"}
            ),
            "image": Variable(("sample",), number, {"long_name": "number of the image"}),
        }
        for name, (dims, values) in weights.items():
            reported[name] = Variable(dims, values, {"long_name": f"weights {name}"}, True)
        return reported

    def inspect(self, cell: Numbers, report: Mapping[str, np.ndarray]) -> Classifier:
        """The cell's weights beside its images and hidden vectors."""
        W, c, U, d = (report.get(name, np.full((1, 1), np.nan)) for name in "WcUd")
        params = Params(W[: cell.m], c[: cell.m], U[:, : cell.m], d)
        if not all(np.isfinite(values).all() for values in params):
            raise UserError("cell: the weights are not in this result; an archive may lack them")
        X, y = (array[chosen(self.datasets(cell)["train"])] for array in images())
        return Classifier(cell, params, X, y, self.hidden(cell, params, "train"))

    def hidden(self, cell: Numbers, params: Params, name: str) -> np.ndarray:
        """Hidden vectors of a data set: (samples, m)."""
        x = images()[0][chosen(self.datasets(cell)[name])]
        return np.maximum(x @ params.W[: cell.m].T + params.c[: cell.m], 0)


def cross_entropy(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Nats of each sample, (rows,)."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, y)


def _operations(hidden: int) -> float:
    """Three products with each of the two matrices."""
    return 6.0 * hidden * (PIXELS + CLASSES)


STUDY = Digits
