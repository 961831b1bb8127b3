"""How numbers and hyperparameters are written: in captions, in tables and on pages."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NBSP = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Labels:
    """What a study calls the numbers of its cells.

    Attributes:
        axes: what a reader calls a number; by default its name without underscores.
        values: names of values. A sequence names 0, 1, ...: the number is a choice, and results
            hold its names. A mapping gives numbers that are also known by a name.
        phrases: what to say instead of `name = value`, by number.

    >>> labels = Labels({"eps": "ε"}, {"loss": ("ce", "mse"), "reduction": {"mean": 1.0}})
    >>> labels.axis("eps"), labels.axis("weight_decay")
    ('ε', 'weight decay')
    >>> labels.number("loss", "mse"), labels.number("reduction", "mean"), labels.number("T", 3)
    (1, 1.0, 3)
    >>> labels.called("loss", 0), labels.called("reduction", 0.5), labels.shown("loss", 1)
    ('ce', None, 'mse')
    """

    axes: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Sequence[str] | Mapping[str, float]] = field(default_factory=dict)
    phrases: Mapping[str, Mapping[float, str]] = field(default_factory=dict)

    def axis(self, name: str) -> str:
        """What a reader calls a number of a cell."""
        return self.axes.get(name, name.replace("_", " "))

    def names(self, name: str) -> dict[str, float]:
        """The named values of a number: name -> value."""
        named = self.values.get(name, {})
        return dict(named) if isinstance(named, Mapping) else {n: i for i, n in enumerate(named)}

    def is_choice(self, name: str) -> bool:
        """Whether every value of a number has a name."""
        return not isinstance(self.values.get(name, {}), Mapping)

    def number(self, name: str, value: Any) -> Any:
        """The number that a value is a name of; any other value as it is."""
        return self.names(name).get(value, value) if isinstance(value, str) else value

    def called(self, name: str, value: Any) -> str | None:
        """The name of a value, if it has one."""
        return next((word for word, own in self.names(name).items() if own == value), None)

    def shown(self, name: str, value: Any) -> Any:
        """A value as results hold it: the name of a choice, else the number."""
        return self.called(name, value) if self.is_choice(name) else value

    def describe(self, values: Mapping[str, Any]) -> str:
        """`lr = 0.003, S = 0.99, loss = ce`: values as a reader would write them.

        >>> Labels(values={"loss": ("ce", "mse")}).describe({"loss": 1}).replace(NBSP, " ")
        'loss = mse'
        """
        parts = []
        for name, value in values.items():
            named = isinstance(value, str | list)  # options are, too
            phrase = None if named else self.phrases.get(name, {}).get(value)
            shown = value if named else self.shown(name, value)
            parts.append(
                phrase or f"{self.axis(name)} = {_plain(value if shown is None else shown)}"
            )
        return ", ".join(part.replace(" ", NBSP) for part in parts)


def is_seed(name: str) -> bool:
    """Whether a number of a cell repeats an experiment: `seed`, or any name that ends in `_seed`.

    >>> is_seed("seed"), is_seed("data_seed"), is_seed("T")
    (True, True, False)
    """
    return name == "seed" or name.endswith("_seed")


def seed_axes(dims: Iterable[Hashable]) -> tuple[str, ...]:
    """Those of some dimensions that repeat an experiment, the shortest name first.

    Example:
        >>> seed_axes(("T", "init_seed", "seed"))
        ('seed', 'init_seed')
    """
    return tuple(sorted(filter(is_seed, map(str, dims)), key=lambda name: (len(name), name)))


def printable(text: object, most: int = 2000) -> str:
    """Text for a terminal: control characters escaped, and what is longer than `most` cut.

    >>> printable("\\x1b[31mred\\n"), printable("a" * 9, 4)
    ('\\\\x1b[31mred\\\\n', 'aaaa...')
    """
    text = str(text)
    shown = text if len(text) <= most else f"{text[:most]}..."
    return "".join(
        letter
        if letter.isprintable() or letter == NBSP
        else letter.encode("unicode_escape").decode()
        for letter in shown
    )


def first_line(error: BaseException) -> str:
    """What an error says, without the lines that some libraries add.

    >>> first_line(ValueError("no such chunk\\nfor details see ..."))
    'no such chunk'
    """
    return str(error).partition("\n")[0]


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def few(words: Sequence[str], most: int = 12) -> list[str]:
    """The first ones of many words, and how many more there are.

    >>> few(["a", "b", "c", "d"], most=2)
    ['a', 'b', 'and 2 more']
    """
    return [*words] if len(words) <= most else [*words[:most], f"and {len(words) - most:,} more"]


def written(value: float, form: str = ".3g") -> str:
    """A number in so many digits, never as 1e+04.

    >>> written(9963.2), written(0.99893, ".5g"), written(1.7e-5), written(float("inf"))
    ('9,960', '0.99893', '1.7e-05', 'inf')
    """
    return f"{float(f'{value:{form}}'):,.10g}"


def _plain(value: Any) -> str:
    if isinstance(value, int | float) and float(value).is_integer() and abs(value) < 1e9:
        return f"{int(value):,}"
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
