"""From results to archives, figures and the page."""

import json
import re
from pathlib import Path

import pytest

import superpos_jax as sp
from superpos_jax.drawing import style
from superpos_jax.errors import UserError
from superpos_jax.results import archive
from superpos_jax.results.overlap import Overlap
from superpos_jax.results.registry import figure_names, load_study
from superpos_jax.statements import gallery, pages, resampling

FIGURES = Path(__file__).parents[2] / "figures"

in_a_clone = pytest.mark.skipif(
    not (FIGURES / "data").exists(), reason="a source distribution has no figures"
)
COLLECTIONS = pages.collections()
ENTRIES = gallery.entries()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.key)
def test_a_sweep_of_the_paper_says_what_it_makes(entry):
    stem = entry.key.partition("/")[2]
    assert entry.title.startswith(stem.partition("_")[0])
    words = [re.match(r"\w+", text)[0] for text in entry.paragraphs]
    assert words == ["Result", "See", "Paper", "Cost"]
    assert entry.sweep.figures
    assert set(entry.sweep.figures) <= set(figure_names(load_study(entry.sweep.study)))


def test_every_figure_of_the_study_has_a_sweep():
    stems = {entry.key.removeprefix("paper/").partition("_")[0] for entry in ENTRIES}
    wanted = {*(f"P{i}" for i in range(1, 9)), *(f"J{i}" for i in range(1, 9)), "H1", "C1", "A1"}
    assert wanted <= stems


def test_sweeps_of_one_name_train_the_same_cells():
    by_name = {}
    for entry in ENTRIES:
        grid = entry.sweep.grid()
        assert by_name.setdefault(entry.sweep.name, grid.cells) == grid.cells


@pytest.mark.unoptimized
def test_results_become_archives_figures_and_a_page(tmp_path, monkeypatch):
    monkeypatch.setattr(resampling, "DRAWS", 4)
    sweep = sp.Sweep(
        name="P6",
        axes={"T": [3, 9, 100, 150], "weight_decay": [0.01, 1.0], "seed": range(3)},
        cell={"m": 2, "S": 0.9, "steps": 3},
        options={"n": 20, "test_samples": 20},
    )
    sp.run(sweep, out=tmp_path / "results" / "P6")
    figures = tmp_path / "figures"
    data = figures / "data"
    assert list(gallery.store(tmp_path / "results", data)) == [data / "P6.zip"]
    assert "W" not in sp.load(data / "P6.zip").dataset  # its figure reads losses only
    drawn = list(gallery.draw(data, figures))
    folder = figures / "paper" / "P6"
    assert drawn == [folder / "t_sweep.png", folder / "t_sweep.csv"]
    page = figures / "README.md"
    page.write_text(f"# By hand\n\n{gallery.MARK}\n\nwhat was there")
    assert list(gallery.pages(data, figures)) == [page]
    text = page.read_text()
    assert text.startswith("# By hand")
    assert "what was there" not in text
    assert "superpos run paper/P6" in text
    assert "(paper/P6/t_sweep.png)" in text
    assert "24 models" in text
    assert "Stored in [P6.zip](data/P6.zip), without weights." in text
    assert re.search(r"weight decay 1.0 removes the bump.*\| \d.* to .*\|", text)


def test_an_archive_of_uncommitted_code_is_refused(tmp_path, monkeypatch):
    result = sp.load(FIGURES / "data" / "P6_long.zip")
    run = json.loads(result.dataset.attrs["provenance"])
    run.pop("changed_code", None)  # earlier versions do not say
    monkeypatch.setattr(gallery.archive, "thin", lambda result, *_: result)
    for changed in (None, [], ["superpos_jax/engine/plan.py"]):
        machine = run if changed is None else {**run, "changed_code": changed}
        result.dataset.attrs["provenance"] = json.dumps(machine)
        result.save(tmp_path / "P6_long")
        if not changed:
            assert len(list(gallery.store(tmp_path, tmp_path / "data"))) == 1
    line = (
        rf"P6_long: its run of {run['started'][:10]}.* commit {run['commit']}:"
        r" superpos_jax/engine/plan.py; commit the code and train it again"
    )
    with pytest.raises(UserError, match=line):
        list(gallery.store(tmp_path, tmp_path / "data"))


def test_the_page_says_which_numbers_other_archives_have_otherwise():
    path = Path("P6_long.zip")
    result = sp.load(FIGURES / "data" / path)
    assert gallery._doubts(result, path, [Overlap(str(path), "P6.zip", 20, 0, "", "")]) == ""
    pairs = [Overlap("P5.zip", str(path), 20, 7, "", ""), Overlap("P5.zip", "P7.zip", 9, 9, "", "")]
    told = gallery._doubts(result, path, pairs)
    assert told.endswith("The same models with other numbers: 7 in P5 (`superpos compare`).")
    result.dataset.attrs["provenance"] = json.dumps({"commit": ""})
    of_all = f" No commit is noted that has the code of {result.dataset.verdict.size} of them."
    assert gallery._doubts(result, path, []) == of_all


def test_a_caption_that_loses_a_sentence_fails_the_gallery(tmp_path, monkeypatch):
    def drawn(*args, **kwargs):
        style.fitting(["No room. " * 40], 2.0)
        yield tmp_path / "t_sweep.png"

    monkeypatch.setattr(gallery.drawing, "draw", drawn)
    monkeypatch.setattr(gallery, "load", lambda path: None)
    (tmp_path / "P6.zip").touch()
    drawing = gallery.draw(tmp_path, tmp_path / "figures")
    assert next(drawing) == tmp_path / "t_sweep.png"
    with pytest.raises(UserError, match=r"the caption has no room for it: No room\."):
        list(drawing)
    assert not style.logger.handlers


@pytest.mark.unoptimized
def test_figures_of_data_that_are_not_there_stay(tmp_path, monkeypatch, caplog):
    def absent(*args, **kwargs):
        raise UserError("corpus: not there")
        yield

    monkeypatch.setattr(gallery.drawing, "draw", absent)
    sweep = sp.Sweep(name="P6", axes={"T": [3]}, cell={"steps": 1}, options={"n": 20})
    archive.write(sp.run(sweep), tmp_path / "P6.zip")
    assert list(gallery.draw(tmp_path, tmp_path / "figures")) == []
    assert "figures of paper/P6 stay as they are: corpus: not there" in caplog.text


@in_a_clone
def test_a_reason_is_told_once():
    text = (FIGURES / "README.md").read_text()
    told = [line for line in text.splitlines() if line.startswith("Why “")]
    assert len(told) > 5
    for section in text.split("\n## "):
        reasons = [
            re.split("” differs?: ", line)[1] for line in section.splitlines() if line in told
        ]
        assert len(reasons) == len(set(reasons))


def page_of(collection):
    """The page of a study, and the folder that it lies in."""
    folder = FIGURES / collection.page.folder
    return (folder / "README.md").read_text(), folder


@in_a_clone
@pytest.mark.parametrize("collection", COLLECTIONS, ids=lambda own: own.page.title)
def test_a_page_says_what_the_sweep_files_say(collection):
    text, _ = page_of(collection)
    stored = FIGURES / "data"
    trained = [e for e in collection.entries if (stored / f"{e.sweep.name}.zip").exists()]
    assert trained
    for entry in trained:
        section = text.split(f"\n## {entry.title}\n")[1].split("\n## ")[0]
        for paragraph in entry.paragraphs:
            word, _, rest = paragraph.partition(": ")
            assert (rest[1:] in section) == (word != "Cost"), entry.key


@in_a_clone
@pytest.mark.parametrize("collection", COLLECTIONS, ids=lambda own: own.page.title)
def test_a_page_shows_figures_and_archives_that_are_there(collection):
    text, folder = page_of(collection)
    linked = re.findall(r"(!?)\[[^]]*\]\(([^)#]+)\)", text)
    assert any(picture for picture, _ in linked)
    paths = [path for _, path in linked if not path.startswith("http")]
    assert [path for path in paths if not (folder / path).exists()] == []


def test_check_paper(superpos, tmp_path):
    code, _, err = superpos("check-paper", "--data", tmp_path)
    assert code == 2
    assert "no archive of a paper's sweep" in err
    assert err.count("\n") == 1
