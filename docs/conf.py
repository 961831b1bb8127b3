"""The documentation as a site: `make docs`. Pages are read where they lie in the repository."""

import importlib.metadata
import re
from pathlib import Path
from typing import get_type_hints

import superpos_jax as sp
from superpos_jax.page.write import page
from superpos_jax.results.sweep import Sweep
from superpos_jax.statements.gallery import MARK

project = "superpos_jax"
author = "The superpos_jax authors"
version = release = importlib.metadata.version("superpos_jax")
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "figures/README.md",
    "figures/*/README.md",
    "superpos_jax/studies/README.md",
    "sweeps/cluster/README.md",
    "benchmarks/*.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".*", "docs/_build", "results", "tests", "superpos_jax/sweeps", "**/checkpoint"]
html_theme = "furo"
html_title = f"superpos_jax {release}"
html_extra_path = ["redirect/index.html"]  # the site begins at docs/index.html

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # notebooks are stored as they were executed

autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True


ROOT = Path(__file__).parents[1]
PAGES = {
    "double_descent": "P5",
    "grokking": "grokking_S5",
    "large_lr": "large_lr_grid",
    "bows": "bows_circular",
    "cities": "bows_cities",
    "digits": "C1",
}
"""Of each study an archive in figures/data that the gallery shows as a page to explore."""


def demoted(page: str) -> str:
    """A page with one title: what `make figures` writes below it begins one level deeper."""
    own, mark, written = page.partition(MARK)
    return own + mark + re.sub(r"^#", "##", written, flags=re.MULTILINE)


def as_rst(lines: list[str]) -> list[str]:
    """A docstring of this package, with `code` and indented formulas, as reStructuredText."""
    rst: list[str] = []
    literal = example = False
    for number, line in enumerate(lines):
        before = lines[number - 1] if number else ""
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        starts = line.startswith("    ") and not before.strip() and number > 0
        if starts and not example:
            literal = True
            rst += ["::", ""]
        elif line.strip() and not line.startswith("    "):
            literal = False
        if example or literal:
            rst.append(line)
            continue
        parts = re.split(r"(`[^`]+`|\*\*?\w[^*]*\*\*?)", line)
        parts[::2] = [re.sub(r"([|*])", r"\\\1", part) for part in parts[::2]]
        parts[1::2] = [f"`{part}`" if part[0] == "`" else part for part in parts[1::2]]
        rst.append("".join(parts))
    return rst


Sweep.__annotations__ = get_type_hints(Sweep)  # without what pydantic checks, which is prose here


def setup(app):
    """Docstrings and pages are read as they are written."""
    attributes = {}

    def read(app, name, source):
        source[0] = demoted(source[0])

    app.connect("source-read", read)

    def explore(app, error):
        if error is None and app.builder.name == "html":
            folder = Path(app.outdir, "pages")
            folder.mkdir(exist_ok=True)
            for study, name in PAGES.items():
                text = page([sp.load(ROOT / "figures" / "data" / f"{name}.zip")])
                (folder / f"{study}.html").write_text(text, encoding="utf-8")

    app.connect("build-finished", explore)

    def mend(app, what, name, obj, options, lines):
        lines[:] = as_rst(lines)
        if what in ("attribute", "data"):
            attributes[name] = lines[:]

    def restore(app, what, name, obj, options, lines):
        lines[:] = attributes.get(name, lines)  # napoleon takes what is before a colon for a type

    app.connect("autodoc-process-docstring", mend, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", restore, priority=600)
