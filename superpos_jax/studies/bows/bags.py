"""Binary bags of words: which words occur in a window of consecutive content words.

    f_i = 1 if word i is at least once in the window

A window lies in one document, and so does a split: whole documents are held out.
"""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from superpos_jax.errors import UserError
from superpos_jax.studies.bows import corpora, planted
from superpos_jax.studies.bows.features import Features
from superpos_jax.studies.bows.words import GROUPS, content, expand
from superpos_jax.text import counted

HELD_OUT = 0.1
"""Share of the documents that are held out."""
VERSION = 2
"""Of what bags are made of a text; another one makes them anew."""
logger = logging.getLogger(__name__)


class Text(NamedTuple):
    """Which bags: everything that they depend on."""

    corpus: tuple[str, ...]
    vocabulary: int
    forced: tuple[str, ...]
    window: int
    stride: int
    seed: int


class Bags(NamedTuple):
    """A vocabulary, and the bags of documents that are trained on and of those held out, (N, V)."""

    names: tuple[str, ...]
    train: np.ndarray
    test: np.ndarray


def windows(length: int, window: int, stride: int) -> list[slice]:
    """The windows of a document of so many words; one shorter than a window is one.

    >>> windows(10, 4, 3)
    [slice(0, 4, None), slice(3, 7, None), slice(6, 10, None)]
    >>> windows(3, 4, 3)
    [slice(0, 3, None)]
    """
    starts = range(0, max(length - window, 0) + 1, stride) if length else ()
    return [slice(start, min(start + window, length)) for start in starts]


def vocabulary(documents: Sequence[Sequence[str]], forced: Sequence[str], size: int) -> list[str]:
    """The forced words, then the most frequent others, ties by the alphabet.

    Raises:
        UserError: a forced word is not in the documents, or there are not so many words.

    >>> vocabulary([["b", "a", "b"], ["c", "a"]], ["c"], 2)
    ['c', 'a']
    """
    counts = Counter(word for document in documents for word in document)
    if absent := [word for word in forced if word not in counts]:
        raise UserError(
            f"forced: {absent[0]!r} is not in the documents that are trained on; allowed: words"
            f" that occur, names of groups ({', '.join(GROUPS)}), or none: --set 'forced=[]'"
        )
    others = [word for word in counts if word not in set(forced)]
    ranked = sorted(others, key=lambda word: (-counts[word], word))
    words = [*forced, *ranked[: max(0, size - len(forced))]]
    if len(words) != size:
        raise UserError(
            f"vocabulary = {size}: allowed: {len(forced)} (all forced words) to {len(counts):,}"
        )
    return words


def bag(documents: Sequence[Sequence[str]], words: Sequence[str], text: Text) -> np.ndarray:
    """The bags of all windows of documents, those without any of the words left out: (N, V)."""
    number = {word: i for i, word in enumerate(words)}
    rows = []
    for document in documents:
        ids = np.array([number.get(word, len(words)) for word in document], np.int64)
        for part in windows(len(ids), text.window, text.stride):
            row = np.zeros(len(words) + 1, np.uint8)  # the last one for all other words
            row[ids[part]] = 1
            rows.append(row[:-1])
    bags = np.array(rows, np.uint8).reshape(-1, len(words))
    return bags[bags.any(axis=1)]


@lru_cache(maxsize=4)
def text_features(text: Text) -> Features:
    """The bags of a text, split by document; months, days and numbers are groups.

    They are made once, and kept in the user's cache under a hash of what was read.

    Raises:
        UserError: a corpus is not there, or it has too few documents or words.
    """
    if text.corpus == (corpora.PLANTED,):
        return planted.features(text.seed)
    if corpora.PLANTED in text.corpus:
        raise UserError(f"corpus: {corpora.PLANTED!r} is no text to add; allowed: alone, or texts")
    if not text.corpus:
        raise UserError(
            "structure = 'text' reads the option corpus; allowed: paths or names, as"
            f" {corpora.WIKIPEDIA} or planted"
        )
    sources = [corpora.read(name) for name in text.corpus]
    made_of = (VERSION, [source.sha256 for source in sources], text._replace(corpus=()))
    path = _cache() / f"{hashlib.sha256(repr(made_of).encode()).hexdigest()[:24]}.npz"
    bags = _read(path)
    if bags is None:
        bags = _make([d for source in sources for d in source.documents], text)
        _keep(path, bags)
    names, train, validation = bags
    place = {word: i for i, word in enumerate(names)}
    groups = {
        group: tuple(place[word] for word in words)
        for group, words in GROUPS.items()
        if all(word in place for word in words)
    }
    ring = "months" if "months" in groups else ""
    told = {f"corpus {source.name}": source.told() for source in sources}
    return Features(train, validation, names, groups, ring, told)


def _make(documents: Sequence[str], text: Text) -> Bags:
    """Count words and cut windows."""
    forced = expand(text.forced)
    tokens = [list(content(document, frozenset(forced))) for document in documents]
    order = np.random.default_rng(text.seed).permutation(len(tokens))
    held_out = max(1, round(HELD_OUT * len(tokens)))
    if held_out >= len(tokens):
        raise UserError(
            f"corpus: {counted(len(tokens), 'document')}; allowed: at least 2, of which one is held"
            " out (files of a folder, or parts of one file with empty lines between them)"
        )
    train, test = [tokens[i] for i in order[held_out:]], [tokens[i] for i in order[:held_out]]
    words = vocabulary(train, forced, text.vocabulary)
    bags = bag(train, words, text), bag(test, words, text)
    if not all(map(len, bags)):
        raise UserError("corpus: no window of its held-out documents holds a word; give more text")
    return Bags(tuple(words), *bags)


def _read(path: Path) -> Bags | None:
    """The bags of a file; None if it is not there, or is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            names = tuple(stored["names"].tolist())
            train, test = (
                np.unpackbits(stored[split], axis=1, count=len(names))
                for split in ("train", "test")
            )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None
    return Bags(names, train, test)


def _keep(path: Path, bags: Bags) -> None:
    """Write bags to a file; where that cannot be, say so and go on without it."""
    part = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    train, test = np.packbits(bags.train, axis=1), np.packbits(bags.test, axis=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(part, names=np.array(bags.names), train=train, test=test)
        os.replace(part, path)
    except OSError as error:
        logger.warning("bags of words are not kept for next time: %s", error)


def _cache() -> Path:
    """The folder of the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "superpos_jax" / "bows"
