"""The study: a tied autoencoder of correlated binary features, synthetic ones or bags of words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from superpos_jax.engine.inspected import Inspected
from superpos_jax.engine.study import (
    DataSet,
    Feed,
    Minibatch,
    Shapes,
    Study,
    Trained,
    Variable,
    history_steps,
)
from superpos_jax.studies.bows import cell as numbers
from superpos_jax.studies.bows import measured, model, planted, reconstruction, synthetic
from superpos_jax.studies.bows.bags import Text, text_features
from superpos_jax.studies.bows.cell import DATA, TEXT
from superpos_jax.studies.bows.corpora import PLANTED
from superpos_jax.studies.bows.features import (
    Features,
    Spectrum,
    geometry_of,
    spectrum,
    synthetic_features,
)
from superpos_jax.studies.bows.labels import LABELS, PER_WORD, SHOWN, long_name
from superpos_jax.studies.bows.reconstruction import Autoencoder
from superpos_jax.studies.bows.synthetic import Source
from superpos_jax.text import Labels

BESIDE = 16
"""Cells of few features that a CPU computes side by side."""
TEXT_NUMBER = DATA.index(TEXT)
TEXT_POINTS = 3
"""Points of the history of a text model; each costs what 50 to 100 updates do."""
DENSITY = "density"
PCA = "pca_"
"""Before the name of a measure: that of the best linear autoencoder in closed form."""


class Size(NamedTuple):
    """Rows of W, some of them beyond m, and features; whether the features are words."""

    hidden: int
    d: int
    text: bool


class Bows(Study):
    """f_hat = relu(W^T W f + b) of binary features, AdamW on minibatches.

    Losses are squared errors, mean over samples and features. Beside every trained model stands
    the best linear one in closed form, principal components: `pca_validation_loss` and so on.
    """

    Cell = numbers.Cell
    Options = numbers.Options
    options: numbers.Options
    labels: ClassVar[Labels] = LABELS
    shown: ClassVar[tuple[str, ...]] = SHOWN

    @classmethod
    def figures(cls) -> Mapping[str, Any]:
        """All of `superpos_jax.studies.bows.figures.FIGURES`."""
        from superpos_jax.studies.bows.figures import FIGURES

        return FIGURES

    # ---- data

    def source(self, cell: numbers.Cell) -> Source | Text:
        """Which features a cell has; hashable."""
        o, structure = self.options, DATA[cell.structure]
        if structure == TEXT:
            window = int(cell.window)
            stride = o.stride or max(1, window // 10)
            return Text(o.corpus, o.vocabulary, o.forced, window, stride, int(cell.data_seed))
        noise = (float(cell.s), float(cell.beta), float(cell.noise))
        return Source(structure, *noise, int(cell.data_seed), o.features)

    @property
    def words(self) -> int:
        """Features of a text."""
        return planted.WORDS if self.options.corpus == (PLANTED,) else self.options.vocabulary

    def features(self, cell: numbers.Cell) -> Features:
        """The samples of a cell."""
        return features_of(self.source(cell))

    def spectrum(self, cell: numbers.Cell) -> Spectrum:
        """Moments of the training samples of a cell, and their principal components."""
        return spectrum_of(self.source(cell))

    def wrong(self, cell: numbers.Cell) -> str:
        """A hidden layer that is wider than the input."""
        d = self.shapes(cell, "cpu").size.d
        return f"m = {cell.m}: more than the {d} features; allowed: m <= {d}" if cell.m > d else ""

    def datasets(self, cell: numbers.Cell) -> Mapping[str, DataSet]:
        """Training and validation samples."""
        features, source = self.features(cell), self.source(cell)
        return {
            "train": DataSet((source, "train"), len(features.train)),
            "validation": DataSet((source, "validation"), len(features.validation)),
        }

    def load(self, dataset: DataSet) -> np.ndarray:
        """Binary features, (samples, d); few of them in the type that they are multiplied in."""
        source, split = dataset.key
        X: np.ndarray = getattr(features_of(source), split)[: dataset.samples]
        return X.astype(np.float32) if isinstance(source, Source) else X

    def data_sources(self, cell: numbers.Cell) -> Mapping[str, str]:
        """The corpora of a text: how much was read, its hash and licence."""
        source = self.source(cell)
        return features_of(source).sources if isinstance(source, Text) else {}

    def feed(self, cell: numbers.Cell) -> Feed:
        """Minibatches in shuffled epochs."""
        return Minibatch(cell.batch)

    # ---- one cell

    def shapes(self, cell: numbers.Cell, platform: str) -> Shapes:
        """Of words m, rounded up to four sizes per power of two; W of few features is square."""
        if DATA[cell.structure] != TEXT:
            d = self.options.features
            return Shapes(Size(d, d, False), row_cost=_few(d), beside=BESIDE)
        d = self.words
        quantum = max(4, 2 ** (int(cell.m - 1).bit_length() - 3))
        hidden = min(d, -(-cell.m // quantum) * quantum)
        return Shapes(Size(hidden, d, True), row_cost=_dense(hidden, d))

    def sample_cost(self, cell: numbers.Cell) -> float:
        """Operations of one sample, without padding."""
        size: Size = self.shapes(cell, "cpu").size
        return _dense(cell.m, size.d) if size.text else _few(size.d)

    def update_cost(self, cell: numbers.Cell) -> float:
        """AdamW: a parameter is read and written several times, the time of 250 operations."""
        size: Size = self.shapes(cell, "cpu").size
        return 250.0 * size.d * (cell.m if size.text else size.d)

    def prepare(self, cell: numbers.Cell, shapes: Shapes, params: model.Params) -> Any:
        """Of few features W^T W, which samples are then multiplied with."""
        size: Size = shapes.size
        return params if size.text else model.multiplied(params)

    def init(self, cell: numbers.Cell, shapes: Shapes) -> model.Params:
        """W uniform within 1 / sqrt(d), of words within sqrt(2 / d), as the paper's code has it."""
        size: Size = shapes.size
        bound = float(np.sqrt((2 if size.text else 1) / size.d))
        return model.initial(cell.seed, cell.m, size.hidden, size.d, bound)

    def loss(
        self,
        cell: numbers.Cell,
        shapes: Shapes,
        view: Any,
        batch: jax.Array,
        weight: jax.Array,
    ) -> jax.Array:
        """Squared error, mean over features, summed over samples."""
        return jnp.sum(weight * model.squared_errors(view, batch, cell.activation))

    def scale(self, cell: numbers.Cell, samples: Any) -> Any:
        """The mean over samples; over features as `reduction` says."""
        d = jnp.where(cell.structure == TEXT_NUMBER, self.words, self.options.features)
        return jnp.asarray(d, jnp.float32) ** (1 - cell.reduction) / samples

    def optimizer(self, cell: numbers.Cell, shapes: Shapes) -> optax.GradientTransformation:
        """AdamW; the learning rate falls once an epoch, for words at every step."""
        size: Size = shapes.size
        hold = 1 if size.text else -(-synthetic.TRAIN // cell.batch)
        return model.adamw(cell.lr, cell.weight_decay, cell.l2, cell.clip, cell.steps, hold)

    # ---- measured

    def recorded(self, cell: numbers.Cell) -> tuple[int, ...]:
        """Of words only the first steps, one between and the last: there are many bags."""
        few = DATA[cell.structure] == TEXT
        return history_steps(cell.steps, TEXT_POINTS) if few else super().recorded(cell)

    def summarise(
        self, cell: numbers.Cell, shapes: Shapes, params: model.Params
    ) -> dict[str, jax.Array]:
        """Squared Frobenius norm of W."""
        return {"W_norm2": jnp.sum(params.W**2)}

    def given(self, cell: numbers.Cell) -> dict[str, Variable]:
        """The measures of the best linear autoencoder of m dimensions; of a text, of its bags."""
        source = self.source(cell)
        measures = _pca_measures(source, cell.m)
        given = {
            PCA + name: Variable((), np.float32(value), {"long_name": f"{long_name(name)}, PCA"})
            for name, value in measures.items()
        }
        if isinstance(source, Text):
            about = {"long_name": "share of ones in the bags"}
            for name, value in _data_measures(source).items():
                given[name] = Variable((), np.float32(value), about if name == DENSITY else {})
        return given

    def report(self, cell: numbers.Cell, trained: Trained) -> dict[str, Variable]:
        """The measures of geometry, of words those of reconstruction; W and b, if asked for."""
        W, b = self.crop(cell, trained.params)
        source, features = self.source(cell), self.features(cell)
        measures = geometry_of(W, features, spectrum_of(source))
        reported: dict[str, Variable] = {}
        if isinstance(source, Text):
            autoencoder = Autoencoder(W, b, bool(cell.activation))
            words = measured.per_word(autoencoder, features)
            measures |= measured.of_model(autoencoder, features, spectrum_of(source), words)
            reported |= {
                name: Variable(
                    ("feature",), value.astype(np.float32), {"long_name": PER_WORD[name]}
                )
                for name, value in words._asdict().items()
            }
        reported |= {
            name: Variable((), np.float32(value), {"long_name": long_name(name)})
            for name, value in measures.items()
        }
        if self.options.save_weights:
            reported["W"] = Variable(("hidden", "feature"), W, {"long_name": "weights"}, True)
            reported["b"] = Variable(("feature",), b, {"long_name": "bias"}, True)
        return reported

    def result_bytes(self, cell: numbers.Cell) -> int:
        """Of the weights, and of four numbers a word."""
        size: Size = self.shapes(cell, "cpu").size
        return 4 * size.d * (self.options.save_weights * (cell.m + 1) + 4 * size.text)

    def inspect(self, cell: numbers.Cell, report: Mapping[str, np.ndarray]) -> Inspection:
        """The cell's weights beside its features and the best linear autoencoder."""
        W, b = (report.get(name, np.full((1, 1), np.nan)) for name in ("W", "b"))
        source = self.source(cell)
        return Inspection(
            cell,
            Autoencoder(W[: cell.m], b, bool(cell.activation)),
            spectrum_of(source).autoencoder(cell.m),
            self.features(cell),
            spectrum_of(source),
        )

    def crop(self, cell: numbers.Cell, params: model.Params) -> tuple[np.ndarray, np.ndarray]:
        """W (m, d) and b (d,); no padding."""
        return np.asarray(params.W)[: cell.m], np.asarray(params.b)


@dataclass(frozen=True, repr=False)
class Inspection(Inspected):
    """One cell as numpy: what was trained, its PCA counterpart, and its data made again."""

    cell: numbers.Cell
    model: Autoencoder
    pca: Autoencoder
    features: Features
    spectrum: Spectrum


def _few(d: int) -> float:
    """Operations of a sample that is multiplied with W^T W, twice in an update."""
    return 4.0 * d * d


def _dense(m: int, d: int) -> float:
    """Operations of a sample that is multiplied with W and its transpose, forward and back."""
    return 12.0 * m * d


def features_of(source: Source | Text) -> Features:
    """The samples of a source."""
    return text_features(source) if isinstance(source, Text) else synthetic_features(source)


@lru_cache(maxsize=16)
def spectrum_of(source: Source | Text) -> Spectrum:
    """The moments of the training samples of a source."""
    return spectrum(features_of(source))


@lru_cache(maxsize=1024)
def _pca_measures(source: Source | Text, m: int) -> dict[str, float]:
    """What `report` and the losses measure, of the best linear autoencoder."""
    features, data = features_of(source), spectrum_of(source)
    linear = data.autoencoder(m)
    measures = {
        f"{split}_loss": reconstruction.mse(linear, getattr(features, split))
        for split in ("train", "validation")
    }
    measures |= {"W_norm2": float(m)} | geometry_of(linear.W, features, data)
    if isinstance(source, Text):
        words = measured.per_word(linear, features)
        measures |= measured.of_model(linear, features, data, words)
    return measures


@lru_cache(maxsize=16)
def _data_measures(source: Text) -> dict[str, float]:
    """Of the training bags: share of ones, and how well the ring's words lie in a ring."""
    features = features_of(source)
    ring = measured.data_ring(features) if features.ring else {}
    return {DENSITY: float(features.train.mean(dtype=float)), **ring}
