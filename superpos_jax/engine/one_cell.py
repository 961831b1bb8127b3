"""The training of one cell: a step, a look, a measurement. Everything else is a map over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from superpos_jax.engine import batches
from superpos_jax.engine.layout import TRAIN, Layout
from superpos_jax.engine.plan import Pace, Range
from superpos_jax.engine.study import Look, PyTree, Study
from superpos_jax.engine.verdicts import ALIVE, NOT_ENDED
from superpos_jax.errors import UserError
from superpos_jax.text import printable

BESIDE = "beside"
"""The mapped axis of the cells that are computed side by side."""

UNCHECKED = 16
"""Updates in a row before cells side by side are checked: whether they are finite."""


class State(NamedTuple):
    """Training state of a cell; of the cells of a group with leading axes (devices, slots)."""

    params: PyTree
    optimizer: PyTree
    step: jax.Array
    """Updates done, int32."""
    died_at: jax.Array
    """Step at which the cell became non-finite, int32; `ALIVE` otherwise."""
    ended: jax.Array
    """Why it stopped early, a number of `Study.ends`, int32; `NOT_ENDED` otherwise."""
    memo: PyTree
    """What looks remember."""


@dataclass(frozen=True)
class OneCell:
    """One cell and what its functions read.

    Attributes:
        study: static.
        layout: of the cell, static.
        evaluate: when each data set is measured, static.
        pools: blocks of samples, by shape of a block.
        cell: its numbers, traced.
        data: where its data sets lie in the pool, traced.
        pace: samples of an update and updates between looks, traced.
        in_company: whether others are computed side by side with it, along the axis `BESIDE`.
    """

    study: Study
    layout: Layout
    evaluate: Mapping[str, str]
    pools: Mapping[tuple[int, ...], PyTree]
    cell: Any
    data: Mapping[str, Range]
    pace: Pace
    in_company: bool = False

    def init(self) -> State:
        """The cell at step 0."""
        study, shapes = self.study, self.layout.shapes
        params = study.init(self.cell, shapes)
        memo = jax.tree.map(jnp.asarray, study.memo(self.cell, shapes, params))
        optimizer = study.optimizer(self.cell, shapes).init(params)
        return State(params, optimizer, jnp.int32(0), jnp.int32(ALIVE), jnp.int32(NOT_ENDED), memo)

    def train(self, state: State, stop: jax.Array) -> State:
        """The cell after `stop` updates, or all of its own, or as it ended before."""
        steps, end = self.study.steps(self.cell), self.end(stop)

        def train_to(state: State, end: jax.Array) -> State:
            if not self.in_company:
                return jax.lax.while_loop(lambda state: self.goes_on(state, end), self.step, state)
            trained, _ = jax.lax.while_loop(
                lambda carry: self.any_of(self.goes_on(carry[0], end)),
                lambda carry: self.some_steps(*carry, end),
                (state, jnp.bool(False)),
            )
            return trained

        if not self.layout.looks:
            return train_to(state, end)

        def until_look(state: State) -> State:
            next_look = (state.step // self.pace.every + 1) * self.pace.every
            going = self.goes_on(state, end)
            state = train_to(state, jnp.minimum(end, next_look))
            due = (state.step == next_look) | (state.step == steps)
            due &= going & (state.died_at == ALIVE)
            return self.where(due, lambda: self.look(state), state)

        return jax.lax.while_loop(
            lambda state: self.any_of(self.goes_on(state, end)), until_look, state
        )

    def end(self, stop: jax.Array) -> jax.Array:
        """The last step of the cell if all train until `stop`; 0 for an empty slot."""
        filled = self.data[TRAIN].samples > 0
        return jnp.where(filled, jnp.minimum(stop, self.study.steps(self.cell)), 0)

    def goes_on(self, state: State, end: jax.Array) -> jax.Array:
        """Whether a cell that is trained to a step does another update."""
        return (state.step < end) & (state.died_at == ALIVE) & (state.ended == NOT_ENDED)

    def any_of(self, condition: jax.Array) -> jax.Array:
        """Whether a condition holds for any of the cells side by side: all loop until none goes on.

        If each cell were asked alone, `vmap` would choose between old and new state a second time.
        """
        if not self.in_company:
            return condition
        return jax.lax.pmax(condition.astype(jnp.int32), BESIDE) > 0

    def where(self, condition: jax.Array, value: Callable[[], PyTree], otherwise: PyTree) -> PyTree:
        """A value where a condition holds; computed if it holds for any of the cells side by side.

        If each cell were asked alone, `vmap` would always compute the value. It would first copy
        all that the value reads, the pool of samples too, once for each cell.
        """
        chosen = jax.lax.cond(self.any_of(condition), value, lambda: otherwise)
        if not self.in_company:
            return chosen
        return jax.tree.map(lambda new, old: jnp.where(condition, new, old), chosen, otherwise)

    def step(self, state: State) -> State:
        """One update; of a cell that would become non-finite, its death."""
        new, finite = self.tried(state)
        finite &= self.is_finite(new)
        return self.settled(state, new, finite, ~finite)

    def some_steps(
        self, state: State, careful: jax.Array, end: jax.Array
    ) -> tuple[State, jax.Array]:
        """A few updates of a cell side by side with others, checked once, at the end.

        Such cells are small: a check of each update would cost too much. What has become non-finite
        stays so. A cell that fails the check goes back, and is then careful: it is checked after
        each update, until the one that it dies of.

        Returns:
            Its state, and whether it is careful.
        """
        going = self.goes_on(state, end)
        ahead = jnp.minimum(end - state.step, jnp.where(careful, 1, UNCHECKED))
        count = jax.lax.pmin(jnp.where(going, ahead, UNCHECKED), BESIDE)

        def step(_: jax.Array, carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            state, finite = carry
            new, is_finite = self.tried(state)
            return new, finite & is_finite

        new, finite = jax.lax.fori_loop(0, count, step, (state, jnp.bool(True)))
        finite &= self.is_finite(new)
        dies = going & ~finite & (count == 1)
        state = self.settled(state, new, going & finite, dies)
        return state, going & ~dies & (careful | ~finite)

    def tried(self, state: State) -> tuple[State, jax.Array]:
        """The state after one update, finite or not, and whether the loss before it is finite."""
        loss, grads = self.gradient(state)
        return self.updated(state, loss, grads), jnp.isfinite(loss)

    @jax.named_scope("optimizer")
    def updated(self, state: State, loss: jax.Array, grads: PyTree) -> State:
        """The state after an update by the loss and the gradient there, finite or not."""
        updates, optimizer = self.update(state, loss, grads)
        params = optax.apply_updates(state.params, updates)
        return state._replace(params=params, optimizer=optimizer, step=state.step + 1)

    def is_finite(self, state: State) -> jax.Array:
        """Whether all parameters are."""
        finite = jnp.bool(True)
        for leaf in jax.tree.leaves(state.params):
            finite &= jnp.isfinite(leaf).all()
        return finite

    def settled(self, state: State, new: State, moves: jax.Array, dies: jax.Array) -> State:
        """The new state where a cell moves on; its death where it dies."""
        kept: State = jax.tree.map(lambda new, old: jnp.where(moves, new, old), new, state)
        return kept._replace(died_at=jnp.where(dies, state.step, state.died_at))

    def gradient(self, state: State) -> tuple[jax.Array, PyTree]:
        """Loss and gradient of the next update, scaled: the mean over its samples."""
        study, layout = self.study, self.layout
        shapes, train = layout.shapes, self.data[TRAIN]

        def prepare(params: PyTree) -> PyTree:
            with jax.named_scope("view"):
                return study.prepare(self.cell, shapes, params)

        view, pull_back = jax.vjp(prepare, state.params)

        def of_batch(index: jax.Array, batch: PyTree, weight: jax.Array) -> PyTree:
            batch = study.augment(self.cell, shapes, state.step, index, batch)
            return study.loss_and_grad(self.cell, shapes, view, batch, weight)

        if layout.batch:
            seed = study.batch_seed(self.cell)
            index, weight = batches.choose(
                layout.order, layout.batch, seed, state.step, self.pace.batch, train.samples
            )
            batch = jax.tree.map(
                lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[train.first * shapes.rows + index],
                self.pools[shapes.block],
            )
            loss, summed = of_batch(jnp.int32(0), batch, weight)
            seen = weight.sum()
        else:

            def block(index: jax.Array, number: jax.Array, weight: jax.Array) -> PyTree:
                if layout.order == "fresh":
                    batch = study.draw(self.cell, shapes, state.step, index)
                else:
                    batch = self.stored(number)
                return of_batch(index, batch, weight)

            zeros = jnp.float32(0), jax.tree.map(jnp.zeros_like, view)
            seen = self.pace.batch
            loss, summed = self.summed(block, Range(train.first, seen), zeros)
        with jax.named_scope("view"):
            (grads,) = pull_back(summed)
        return self.scaled(loss, grads, seen)

    def scaled(
        self, loss: jax.Array, grads: PyTree, seen: jax.Array | None = None
    ) -> tuple[jax.Array, PyTree]:
        """Mean loss and gradient, of the sums over the samples that an update has seen."""
        scale = self.study.scale(self.cell, self.pace.batch if seen is None else seen)
        return scale * loss, jax.tree.map(lambda leaf: scale * leaf, grads)

    @jax.named_scope("optimizer")
    def update(self, state: State, loss: jax.Array, grads: PyTree) -> tuple[PyTree, PyTree]:
        """What the optimizer makes of a gradient, and its new state."""
        optimizer = self.study.optimizer(self.cell, self.layout.shapes)
        return optax.with_extra_args_support(optimizer).update(
            grads, state.optimizer, state.params, value=loss
        )

    def look(self, state: State) -> State:
        """The state after the study has looked at it."""
        measured = _Measured(self.metrics("look", params=state.params))
        now = Look(state.step, state.params, measured)
        said = self.study.look(self.cell, self.layout.shapes, now, state.memo)
        if not isinstance(said, tuple) or len(said) != 2:
            raise UserError(f"look: returns no pair; allowed: {CODE}")
        memo, ended = said
        kind = jnp.asarray(ended)
        if kind.ndim or not jnp.issubdtype(kind.dtype, jnp.integer):
            raise UserError(f"look: the code is {kind.dtype}{list(kind.shape)}; allowed: {CODE}")
        structures: list[Any] = [jax.tree.structure(tree) for tree in (memo, state.memo)]
        if structures[0] != structures[1]:
            both = (jax.tree.map(_written, tree) for tree in (memo, state.memo))
            new, old = (printable(tree, 200) for tree in both)
            raise UserError(
                f"look: remembers {new}, and memo begins with {old}; allowed: the same; define"
                " memo(cell, shapes, params) where there is none"
            )
        memo = jax.tree.map(_like, memo, state.memo)
        return state._replace(memo=memo, ended=kind.astype(jnp.int32))

    def metrics(self, *when: str, params: PyTree) -> dict[str, jax.Array]:
        """The metrics of the data sets that are evaluated then: `train_loss`."""
        study, shapes = self.study, self.layout.shapes
        view = study.prepare(self.cell, shapes, params)

        def measure(_: jax.Array, number: jax.Array, weight: jax.Array) -> PyTree:
            return study.measure(self.cell, shapes, view, self.stored(number), weight)

        scalar = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct((), jnp.int32)
        weight = jax.ShapeDtypeStruct((shapes.rows,), jnp.float32)
        shape = jax.eval_shape(measure, *scalar, weight)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float32), shape)

        def of(dataset: Range) -> dict[str, jax.Array]:
            sums = self.summed(measure, dataset, zeros, loop=True)
            means = jax.tree.map(lambda total: total / dataset.samples, sums)
            return study.metrics(self.cell, shapes, means)

        names = [name for name in self.data if self.evaluate[name] in when]
        if not names:
            return {}
        # One loop over the data sets: what it does with each is compiled once.
        datasets = jax.tree.map(lambda *of_each: jnp.stack(of_each), *map(self.data.get, names))
        return {
            f"{name}_{metric}": values[i]
            for metric, values in jax.lax.map(of, datasets).items()
            for i, name in enumerate(names)
        }

    def measure(self, state: State, *when: str) -> dict[str, jax.Array]:
        """The metrics of data sets, and the study's summaries."""
        gradient = self.gradient(state) if self.study.summarises_updates else ()
        return self.metrics(*when, params=state.params) | self.summaries(state, *gradient)

    def summaries(self, state: State, *gradient: PyTree) -> dict[str, jax.Array]:
        """The study's summaries; of the update too where its loss and gradient are given."""
        study, shapes, params = self.study, self.layout.shapes, state.params
        summaries = study.summarise(self.cell, shapes, params)
        if gradient:
            loss, grads = gradient
            updates, _ = self.update(state, loss, grads)
            summaries |= study.summarise_update(self.cell, shapes, params, grads, updates)
        return summaries

    def of_sum(self, name: str, loss: jax.Array) -> dict[str, jax.Array]:
        """The metrics of a data set, of its loss alone, summed over its samples."""
        means = {"loss": loss / self.data[name].samples}
        return self.study.metrics(self.cell, self.layout.shapes, means)

    def stored(self, index: jax.Array) -> PyTree:
        """A block of data, by its index in the pool of its shape."""
        return jax.tree.map(lambda leaf: leaf[index], self.pools[self.layout.shapes.block])

    def summed(
        self, block: Callable[..., PyTree], dataset: Range, zeros: PyTree, loop: bool = False
    ) -> PyTree:
        """What a function of a block gives, summed over a data set.

        Its arguments: which of the data set's blocks it is, its number in the pool, the weights of
        its rows. Without `loop` a training set of a single block needs none.
        """
        rows = self.layout.shapes.rows

        def weighted(i: jax.Array) -> PyTree:
            weight = (jnp.arange(rows) < dataset.samples - i * rows).astype(jnp.float32)
            return block(i, dataset.first + i, weight)

        if self.layout.single and not loop:
            return weighted(jnp.int32(0))

        def add(i: jax.Array, total: PyTree) -> PyTree:
            return jax.tree.map(jnp.add, total, weighted(i))

        return jax.lax.fori_loop(0, -(-dataset.samples // rows), add, zeros)


def missing(shapes: PyTree) -> PyTree:
    """NaN in place of values of some shapes, for a cell that has none."""
    return jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.nan, leaf.dtype), shapes)


CODE = "memo and code, as (memo, jnp.where(done, self.end(reason), NOT_ENDED))"
"""What a look returns."""


class _Measured(dict[str, jax.Array]):
    """What is measured at a look, by name."""

    def __missing__(self, name: str) -> jax.Array:
        raise UserError(
            f"look: nothing is called {name!r}; allowed: {', '.join(self) or 'none'}. A data set is"
            ' measured at looks where its evaluate is "look"'
        )


def _written(value: Any) -> str:
    """The type and the shape of a value to remember."""
    value = jnp.asarray(value)
    return f"{value.dtype}{list(value.shape)}"


def _like(new: Any, old: jax.Array) -> jax.Array:
    """A value to remember, of the type it had before.

    Raises:
        UserError: it has another shape, or its type would lose something.
    """
    new = jnp.asarray(new)
    if new.shape != old.shape or not jnp.can_cast(new.dtype, old.dtype, "same_kind"):
        raise UserError(
            f"look: remembers {_written(new)}, and memo begins with {_written(old)}; allowed: the"
            " same"
        )
    return new.astype(old.dtype)
