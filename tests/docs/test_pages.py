"""Every block of code in the documentation runs, every sweep in it is one, every command exists."""

import json
import re
import tomllib
from pathlib import Path

import pytest

import superpos_jax as sp
from superpos_jax.cli.app import app

DOCS = Path(__file__).parents[2] / "docs"
OWN = [path.relative_to(DOCS) for path in DOCS.rglob("*.md") if "_build" not in path.parts]
PAGES = ["../README.md", *sorted(path.as_posix() for path in OWN)]
INDEX = (DOCS / "index.md").read_text()
NOTEBOOK = json.loads((DOCS / "notebook.ipynb").read_text())

pytestmark = pytest.mark.unoptimized


def blocks(page, language):
    text = (DOCS / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def trained():
    """What pages have trained: several train the same sweep."""
    return {}


@pytest.fixture
def run_code(trained, tmp_path, monkeypatch):
    """Run blocks one after another in a folder of their own; train a sweep once for all pages.

    A callback is told then what was told when it was trained.
    """
    really = sp.run

    def run(sweep, out=None, progress=print):
        what, told = json.dumps([sweep.axes, sweep.cell, sweep.options]), []
        if what not in trained:
            trained[what] = really(sweep, progress=told.append), told
        result, told = trained[what]
        for now in told:
            progress(now)
        return result

    monkeypatch.setattr(sp, "run", run)
    monkeypatch.chdir(tmp_path)

    def run_code(blocks):
        names = {}
        for block in blocks:
            exec(compile(block, "documentation", "exec"), names)
        return names

    return run_code


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_the_code_of_a_page_runs(page, run_code):
    run_code(blocks(page, "python"))


def test_the_notebook_runs_and_was_executed(run_code):
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    names = run_code("".join(cell["source"]) for cell in cells)
    assert names["result"].count(0) == 12
    assert all(cell["execution_count"] for cell in cells)
    assert not any(output["output_type"] == "error" for cell in cells for output in cell["outputs"])


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "toml")])
def test_the_sweeps_of_a_page_can_be_planned(page):
    for block in blocks(page, "toml"):
        sweep = tomllib.loads(block)
        assert sp.Sweep(**sweep).grid().shape


def test_the_example_sweep_can_be_planned(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "examples"))
    assert len(sp.load_sweep(DOCS / "examples" / "importance.toml").grid().cells) == 48


@pytest.mark.skipif(
    not (DOCS.parent / "figures" / "data").exists(), reason="they lead into a clone"
)
@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_links_of_a_page_lead_somewhere(page):
    """Those of the documentation are checked where it is built."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (DOCS.parent / page).read_text())
    assert links
    assert [link for link in links if not (DOCS.parent / link).exists()] == []


def test_the_site_lists_every_page_and_no_other():
    """`make docs`, which the gate does not run, fails on a page that is in no list."""
    lists = "".join(re.findall(r"^```{toctree}\n(.*?)^```", INDEX, re.DOTALL | re.MULTILINE))
    entries = re.findall(r"^(?:.*<(.+)>|([^:\s].*))$", lists, re.MULTILINE)
    listed = {(DOCS / (target or plain)).resolve() for target, plain in entries}
    pages = [
        *DOCS.rglob("*.md"),
        *DOCS.rglob("*.ipynb"),
        *(DOCS.parent / "benchmarks").glob("*.md"),
    ]
    there = {page.resolve().with_suffix("") for page in pages if "_build" not in page.parts}
    assert there - {DOCS / "index"} <= listed
    assert [page for page in listed if not any(map(Path.exists, sources(page)))] == []


def sources(page):
    return [page.with_name(page.name + ending) for ending in (".md", ".ipynb")]


def test_the_page_of_commands_has_every_command():
    text = (DOCS / "reference" / "cli.md").read_text()
    named = {*re.findall(r"^\| `superpos ([a-z-]+)", text, re.MULTILINE)}
    commands = {each.name or each.callback.__name__ for each in app.registered_commands}
    assert named == commands
