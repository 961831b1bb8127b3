"""From results to archives, figures and the page."""

import re
from pathlib import Path

import pytest

import superpos_jax as sp
from superpos_jax.results.registry import load_study
from superpos_jax.statements import gallery, resampling

FIGURES = Path(__file__).parents[2] / "figures"
ENTRIES = gallery.entries()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.key)
def test_a_sweep_of_the_paper_says_what_it_makes(entry):
    stem = entry.key.partition("/")[2]
    assert entry.title.startswith(stem.partition("_")[0])
    words = [re.match(r"\w+", text)[0] for text in entry.paragraphs]
    assert words == ["Result", "See", "Paper", "Cost"]
    assert entry.sweep.figures
    assert set(entry.sweep.figures) <= set(load_study(entry.sweep.study).figures())


def test_every_figure_of_the_study_has_a_sweep():
    stems = {entry.key.removeprefix("paper/").partition("_")[0] for entry in ENTRIES}
    wanted = {*(f"P{i}" for i in range(1, 9)), *(f"J{i}" for i in range(1, 9)), "H1", "C1", "A1"}
    assert wanted <= stems


def test_sweeps_of_one_name_train_the_same_cells():
    by_name = {}
    for entry in ENTRIES:
        grid = entry.sweep.grid()
        assert by_name.setdefault(entry.sweep.name, grid.cells) == grid.cells


def test_results_become_archives_figures_and_a_page(tmp_path, monkeypatch):
    monkeypatch.setattr(resampling, "DRAWS", 4)
    sweep = sp.Sweep(
        name="P6",
        axes={"T": [3, 9, 100, 150], "weight_decay": [0.01, 1.0], "seed": range(3)},
        cell={"m": 2, "S": 0.9, "steps": 3},
        options={"n": 20, "test_samples": 20},
    )
    sp.run(sweep, out=tmp_path / "results" / "P6")
    data, figures = tmp_path / "data", tmp_path / "figures"
    assert list(gallery.store(tmp_path / "results", data)) == [data / "P6.zip"]
    assert "W" not in sp.load(data / "P6.zip").dataset  # its figure reads losses only
    drawn = list(gallery.draw(data, figures))
    folder = figures / "paper" / "P6"
    assert drawn == [folder / "t_sweep.png", folder / "t_sweep.csv"]
    page = figures / "README.md"
    page.write_text(f"# By hand\n\n{gallery.MARK}\n\nwhat was there")
    gallery.page(data, figures)
    text = page.read_text()
    assert text.startswith("# By hand")
    assert "what was there" not in text
    assert "superpos run paper/P6" in text
    assert "(paper/P6/t_sweep.png)" in text
    assert "24 models" in text
    assert "Stored in [P6.zip](data/P6.zip), without weights." in text
    assert re.search(r"weight decay 1.0 removes the bump.*\| \d.* to .*\|", text)


def test_a_reason_is_told_once():
    text = (FIGURES / "README.md").read_text()
    told = [line for line in text.splitlines() if line.startswith("Why “")]
    assert len(told) > 5
    for section in text.split("\n## "):
        reasons = [
            re.split("” differs?: ", line)[1] for line in section.splitlines() if line in told
        ]
        assert len(reasons) == len(set(reasons))


def test_the_page_says_what_the_sweep_files_say():
    text = (FIGURES / "README.md").read_text()
    trained = [e for e in gallery.entries() if (FIGURES / "data" / f"{e.sweep.name}.zip").exists()]
    assert len(trained) > 30
    for entry in trained:
        section = text.split(f"\n## {entry.title}\n")[1].split("\n## ")[0]
        for paragraph in entry.paragraphs:
            word, _, rest = paragraph.partition(": ")
            assert (rest[1:] in section) == (word != "Cost"), entry.key


def test_the_page_shows_figures_that_are_there():
    linked = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (FIGURES / "README.md").read_text())
    assert len(linked) > 10
    assert [path for path in linked if not (FIGURES / path).exists()] == []


def test_check_paper(superpos, tmp_path):
    code, _, err = superpos("check-paper", "--data", tmp_path)
    assert code == 2
    assert "no archive of a paper's sweep" in err
    assert err.count("\n") == 1
