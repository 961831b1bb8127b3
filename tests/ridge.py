"""A study in one file: ridge regression on the first `width` of 24 features, by gradient descent.

    y = sum_i u_i x_i + noise * e        x, e: standard normal; u: the same for all features
    L(w) = (1/2) (y - x[:width] w)^2     per sample

It is what a study of your own looks like. A sweep file names it `ridge:Ridge`; the file lies in the
current folder or on PYTHONPATH.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict, Field

from superpos_jax.engine.study import DataSet, Inspected, Shapes, Study, Trained, Variable
from superpos_jax.studies.double_descent.figures import FigureSpec

FEATURES = 24


@dataclass(frozen=True)
class Regression:
    """One regression: every number that can be swept."""

    T: Annotated[int, Field(ge=1)] = 20
    width: Annotated[int, Field(ge=1, le=FEATURES)] = FEATURES
    noise: Annotated[float, Field(ge=0)] = 0.5
    ridge: Annotated[float, Field(ge=0)] = 0.1
    lr: Annotated[float, Field(gt=0)] = 0.1
    steps: Annotated[int, Field(ge=1)] = 1000
    seed: Annotated[int, Field(ge=0)] = 0


class Options(BaseModel):
    """What shapes depend on: the same for every cell of a sweep."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    rows: Annotated[int, Field(ge=1, description="samples in a block")] = 8
    test_samples: Annotated[int, Field(ge=1)] = 50


class Stream(NamedTuple):
    """What an endless stream of samples depends on; T is not among it, so data are nested."""

    seed: int
    noise: float
    name: str


class Batch(NamedTuple):
    """x: (samples, FEATURES), y: (samples,)."""

    x: Any
    y: Any


@dataclass(frozen=True, repr=False)
class Fit(Inspected):
    """One cell as numpy: X (T, width), y (T,), w (width,)."""

    cell: Regression
    X: np.ndarray
    y: np.ndarray
    w: np.ndarray


def draw(stream: Stream, samples: int) -> Batch:
    """The first samples of a stream: row t is the same however many are drawn."""
    kind = ("train", "test").index(stream.name)
    drawn = np.random.default_rng((stream.seed, kind)).standard_normal((samples, FEATURES + 1))
    x = drawn[:, :FEATURES]
    y = x.sum(axis=1) / np.sqrt(FEATURES) + stream.noise * drawn[:, -1]
    return Batch(x.astype(np.float32), y.astype(np.float32))


class Ridge(Study):
    """Half the squared error, full-batch gradient descent, L2 penalty (ridge / 2) |w|^2."""

    Cell = Regression
    Options = Options
    options: Options

    @classmethod
    def figures(cls) -> Mapping[str, FigureSpec]:
        return {RISK.name: RISK}

    def shapes(self, cell: Regression, platform: str) -> Shapes:
        """Weights are padded to a multiple of 8; cells of equal padding share code."""
        return Shapes(-(-cell.width // 8) * 8, block=(self.options.rows,))

    def datasets(self, cell: Regression) -> Mapping[str, DataSet]:
        sizes = {"train": cell.T, "test": self.options.test_samples}
        return {k: DataSet(Stream(cell.seed, cell.noise, k), size) for k, size in sizes.items()}

    def load(self, dataset: DataSet) -> Batch:
        return draw(dataset.key, dataset.samples)

    def init(self, cell: Regression, shapes: Shapes) -> jax.Array:
        return jnp.zeros(shapes.size)

    def optimizer(self, cell: Regression, shapes: Shapes) -> optax.GradientTransformation:
        """Gradient descent on the mean over samples plus the penalty."""
        penalty = optax.add_decayed_weights(cell.ridge)
        return optax.chain(penalty, optax.sgd(cell.lr))

    def loss(
        self, cell: Regression, shapes: Shapes, w: jax.Array, batch: Batch, weight: jax.Array
    ) -> jax.Array:
        used = jnp.arange(shapes.size) < cell.width
        error = batch.x[:, : shapes.size] @ jnp.where(used, w, 0) - batch.y
        return (weight * error**2 / 2).sum()

    def summarise(
        self, cell: Regression, shapes: Shapes, params: jax.Array
    ) -> dict[str, jax.Array]:
        return {"w_norm": jnp.linalg.norm(params)}

    def report(self, cell: Regression, trained: Trained) -> dict[str, Variable]:
        w = trained.params[: cell.width]
        return {"w": Variable(("feature",), w, {"long_name": "weights"}, of_dead=True)}

    def inspect(self, cell: Regression, report: Mapping[str, np.ndarray]) -> Fit:
        x, y = draw(*self.datasets(cell)["train"][:2])
        return Fit(cell, x[:, : cell.width], y, report["w"][: cell.width])


def risk_table(result: Any) -> pd.DataFrame:
    """One row a cell: its axes, train and test loss."""
    losses = result.dataset[["train_loss", "test_loss"]]
    return losses.to_dataframe().reset_index()


def risk(table: pd.DataFrame) -> Figure:
    """Test loss against T, the mean over all other axes."""
    mean = table.groupby("T")["test_loss"].mean()
    figure = Figure()
    figure.subplots().plot(mean.index, mean, marker="o")
    return figure


def applies(dataset: Any) -> str | None:
    return None if "T" in dataset["verdict"].dims else "risk needs the swept axis T"


RISK = FigureSpec("risk", risk_table, risk, "test loss against T", applies)
