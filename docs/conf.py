"""The documentation as a site: `make docs`. Pages are read where they lie in the repository."""

import importlib.metadata
import re
from inspect import Signature, signature
from typing import get_type_hints

from superpos_jax.results.sweep import Sweep

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
suppress_warnings = [
    "myst.header",  # a page has two titles: what is written by hand, and what `make figures` writes
]

autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True


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
        parts = re.split(r"(`[^`]+`)", line)
        parts[::2] = [re.sub(r"(?<!\*)([|*])(?!\*)", r"\\\1", part) for part in parts[::2]]
        parts[1::2] = [f"`{part}`" for part in parts[1::2]]
        rst.append("".join(parts))
    return rst


# What pydantic checks is in the descriptions; types are shown without it.
Sweep.__signature__ = Signature(
    [
        p.replace(annotation=get_type_hints(Sweep)[p.name])
        for p in signature(Sweep).parameters.values()
    ]
)


def setup(app):
    """Docstrings are read as they are written."""

    def mend(app, what, name, obj, options, lines):
        lines[:] = as_rst(lines)

    app.connect("autodoc-process-docstring", mend, priority=400)  # before napoleon
