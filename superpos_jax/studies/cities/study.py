"""The study: in which direction does one city lie from another? A map that data do not contain.

    x = [E_i, E_j]                        E: (places, emb_dim)
    h = ReLU(W x + c)                     W: (width, 2 emb_dim)
    logits = V h + d                      V: (8, width)
    L = cross-entropy with the sector of the bearing from i to j, mean over a minibatch

A network that is told nothing but names of places and eight directions has to encode latitude and
longitude. Pairs are uniform, so that no place fires together with another: where a linear probe
finds a map in E, no correlation of the data made it (Prieto et al. 2026, the city map and the
table of interventions).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from superpos_jax.engine.study import DataSet, Minibatch, Shapes, Study, Trained, Variable
from superpos_jax.studies.cities import probe
from superpos_jax.studies.cities.bearings import SECTORS, Pairs, draw_pairs
from superpos_jax.studies.cities.cell import (
    INTERVENTIONS,
    LABELS,
    LONG_NAMES,
    SHOWN,
    Choices,
    Numbers,
)
from superpos_jax.studies.cities.places import Places, Table, held_out, named, places

if TYPE_CHECKING:
    from superpos_jax.drawing.spec import FigureSpec

QUANTUM = 8
"""Dimensions of a vector are padded to a multiple of it."""
TRAIN, VALIDATION = "train", "validation"
LICENCE = "GeoNames, CC BY 4.0"


class Size(NamedTuple):
    """Places, dimensions of a vector with padding, hidden units."""

    places: int
    dims: int
    width: int


class Params(NamedTuple):
    """E: (places, dims), W: (2, width, dims) of i and of j, c: (width,), V: (8, width), d: (8,).

    E and W are zero beyond the cell's emb_dim, and stay so: each is the other's gradient there.
    """

    E: Any
    W: Any
    c: Any
    V: Any
    d: Any


class Cities(Study):
    """Cross-entropy in nats a pair; a uniform guess scores log 8 = 2.079."""

    Cell = Numbers
    Options = Choices
    options: Choices
    labels: ClassVar = LABELS
    shown: ClassVar = SHOWN

    @classmethod
    def figures(cls) -> Mapping[str, FigureSpec]:
        """map, interventions."""
        from superpos_jax.studies.cities.figures import FIGURES

        return FIGURES

    # ---- data

    @property
    def places(self) -> Places:
        """The places of all cells."""
        return places(self.options.table)

    def datasets(self, cell: Numbers) -> Mapping[str, DataSet]:
        """Pairs to train on, and others; places are the same in both."""
        table, seed = self.options.table, int(cell.data_seed)
        return {
            TRAIN: DataSet((table, seed), cell.T),
            VALIDATION: DataSet((table, seed + 1), self.options.validation_pairs),
        }

    def load(self, dataset: DataSet) -> Pairs:
        """Pairs of places and their directions."""
        return _pairs(*dataset.key, dataset.samples)

    def feed(self, cell: Numbers) -> Minibatch:
        """Shuffled epochs."""
        return Minibatch(cell.batch)

    def steps(self, cell: Numbers) -> Any:
        """Updates of all epochs; the last batch of an epoch may be smaller."""
        return cell.epochs * -(-cell.T // cell.batch)

    # ---- one cell

    def shapes(self, cell: Numbers, platform: str) -> Shapes:
        """Vectors in multiples of 8 dimensions."""
        dims = -(-cell.emb_dim // QUANTUM) * QUANTUM
        size = Size(len(self.places.names), dims, cell.width)
        return Shapes(size, row_cost=_operations(dims, cell.width))

    def sample_cost(self, cell: Numbers) -> float:
        """Operations of one pair."""
        return _operations(cell.emb_dim, cell.width)

    def init(self, cell: Numbers, shapes: Shapes) -> Params:
        """E normal, the rest uniform in +-1 / sqrt(fan in), as PyTorch's layers start."""
        size: Size = shapes.size
        key = jax.random.key(cell.seed)
        used = jnp.arange(size.dims) < cell.emb_dim

        def columns(which: int, draw: Any, shape: tuple[int, ...]) -> jax.Array:
            own = jax.random.fold_in(key, which)
            keys = jax.vmap(lambda k: jax.random.fold_in(own, k))(jnp.arange(size.dims))
            return jnp.where(used, jnp.moveaxis(jax.vmap(lambda k: draw(k, shape))(keys), 0, -1), 0)

        def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
            return jax.random.uniform(key, shape, minval=-1.0)

        entering = 1 / jnp.sqrt(2.0 * cell.emb_dim)
        leaving = 1 / jnp.sqrt(jnp.float32(size.width))
        c, V, d = (jax.random.fold_in(key, which) for which in (2, 3, 4))
        return Params(
            columns(0, jax.random.normal, (size.places,)),
            entering * columns(1, uniform, (2, size.width)),
            entering * uniform(c, (size.width,)),
            leaving * uniform(V, (SECTORS, size.width)),
            leaving * uniform(d, (SECTORS,)),
        )

    def prepare(self, cell: Numbers, shapes: Shapes, params: Params) -> Params:
        """What each place adds to the hidden layer as the first and as the second of a pair.

        There are fewer places than pairs in a minibatch, so that both are computed once: E of the
        result is (2, places, width).
        """
        return params._replace(E=_added(params.E, params.W))

    def loss(
        self, cell: Numbers, shapes: Shapes, view: Params, batch: Pairs, weight: jax.Array
    ) -> jax.Array:
        """Cross-entropy, summed."""
        return (weight * _cross_entropy(_logits(view, batch), batch.sector)).sum()

    def optimizer(self, cell: Numbers, shapes: Shapes) -> optax.GradientTransformation:
        """Adam at a constant rate."""
        return optax.adamw(cell.lr, weight_decay=cell.weight_decay)

    def measure(
        self, cell: Numbers, shapes: Shapes, view: Params, batch: Pairs, weight: jax.Array
    ) -> dict[str, jax.Array]:
        """Cross-entropy and right answers."""
        logits = _logits(view, batch)
        right = logits.argmax(axis=1) == batch.sector
        losses = _cross_entropy(logits, batch.sector)
        return {"loss": (weight * losses).sum(), "accuracy": (weight * right).sum()}

    # ---- results

    @property
    def traces(self) -> Mapping[str, tuple[str, ...]]:
        """The probe along training; its first value is that of random vectors."""
        return {"probe_r2": ()}

    def trace(self, cell: Numbers, params: Params) -> dict[str, np.ndarray]:
        """R2 of the probe on held-out places."""
        return {"probe_r2": np.array(self.probed(cell, params).r2)}

    def given(self, cell: Numbers) -> dict[str, Variable]:
        """How often the most frequent direction comes: the best guess without the places."""
        sectors = self.load(self.datasets(cell)[VALIDATION]).sector
        share = np.bincount(sectors).max() / len(sectors)
        return {"chance": Variable((), np.float32(share), {"long_name": LONG_NAMES["chance"]})}

    def report(self, cell: Numbers, trained: Trained) -> dict[str, Variable]:
        """What the probe reads of every place, and what interventions leave of the answers."""
        params = self.crop(cell, trained.params)
        own = self.probed(cell, params)
        numbers = {"probe_r2": own.r2, "probe_train_r2": own.train_r2}
        pairs = self.load(self.datasets(cell)[VALIDATION])
        for name, E in interventions(params.E, own.probe.plane(), cell.seed).items():
            numbers |= {f"{name}_{key}": v for key, v in _judged(params, E, pairs).items()}
        reported = {
            name: Variable((), np.float32(value), {"long_name": LONG_NAMES[name]})
            for name, value in numbers.items()
        }
        marks = np.where(self.places.outlying, -1, 0).astype(np.int16)
        chosen = named(self.places)
        marks[list(chosen)] = 1 + np.arange(len(chosen))
        source = {"source": LICENCE} if self.options.places == "geonames" else {}
        about = {"long_name": "latitude and longitude that the probe reads, degrees"}
        names = {"names": [self.places.names[i] for i in chosen]}
        return reported | {
            "read": Variable(("place", "coordinate"), own.read.astype(np.float32), about | source),
            "held_out": Variable(
                ("place",), own.held_out.astype(np.int16), {"long_name": "1: not the probe's own"}
            ),
            "mark": Variable(
                ("place",), marks, {"long_name": "number of a name, -1: not drawn"} | names
            ),
        }

    def result_bytes(self, cell: Numbers) -> int:
        """Of two coordinates and two marks a place."""
        return 12 * len(self.places.names)

    def crop(self, cell: Numbers, params: Params) -> Params:
        """Numpy parameters, no padding."""
        E, W, *rest = (np.asarray(leaf) for leaf in params)
        return Params(E[:, : cell.emb_dim], W[..., : cell.emb_dim], *rest)

    def probed(self, cell: Numbers, params: Params) -> Probed:
        """The probe of a cell's vectors."""
        E = np.asarray(params.E)[:, : cell.emb_dim].astype(float)
        Y, out = self.places.coordinates, held_out(len(E), int(cell.data_seed))
        fitted = probe.ridge(E[~out], Y[~out])
        read = fitted(E)
        return Probed(fitted, read, out, probe.r2(Y[out], read[out]), probe.r2(Y[~out], read[~out]))


class Probed(NamedTuple):
    """A probe, what it reads of all places (places, 2), which are held out, and its R2 on both."""

    probe: probe.Probe
    read: np.ndarray
    held_out: np.ndarray
    r2: float
    train_r2: float


def interventions(E: np.ndarray, U: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Vectors of all places after every intervention of `INTERVENTIONS`.

    Args:
        E: (places, dims).
        U: (dims, 2), the plane of the probe.
        seed: of the random plane.
    """
    E = E.astype(float)
    R = probe.random_plane(E.shape[1], seed)
    changed = (
        probe.kept(E, U), probe.removed(E, U), probe.rescaled(E, U),
        probe.kept(E, R), probe.removed(E, R),
    )  # fmt: skip
    return dict(zip(INTERVENTIONS, changed, strict=True))


def _judged(params: Params, E: np.ndarray, pairs: Pairs) -> dict[str, float]:
    """Loss and accuracy of a numpy network with other vectors."""
    logits = _logits(params._replace(E=_added(E.astype(np.float32), params.W)), pairs)
    losses = _cross_entropy(logits, pairs.sector)
    right = logits.argmax(axis=1) == pairs.sector
    return {"loss": float(losses.mean()), "accuracy": float(right.mean())}


def _added(E: Any, W: Any) -> Any:
    """(2, places, width)."""
    return E @ W.mT


def _logits(view: Params, batch: Pairs) -> jax.Array:
    """(pairs, 8)."""
    hidden = jax.nn.relu(view.E[0][batch.i] + view.E[1][batch.j] + view.c)
    return hidden @ view.V.T + view.d


def _cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def _operations(dims: int, width: int) -> float:
    """Three products with each of both matrices."""
    return 6.0 * width * (2 * dims + SECTORS)


@lru_cache(maxsize=16)
def _pairs(table: Table, seed: int, count: int) -> Pairs:
    return draw_pairs(places(table).coordinates, count, seed)


STUDY = Cities
