"""`superpos view`: results as a page in a browser."""

from __future__ import annotations

import contextlib
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpos_jax.cli.options import DONE, StudyOption, a_folder
from superpos_jax.cli.terminal import out
from superpos_jax.errors import UserError

if TYPE_CHECKING:
    from superpos_jax.results.result import Result

PAGE = "page.html"


def view(
    results: Annotated[
        list[Path],
        typer.Argument(
            parser=a_folder,
            metavar="RESULT",
            help="Result folders or archives, `.zip`; several stand side by side on one page.",
        ),
    ],
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=a_folder,
            metavar="FILE",
            help=f"Where to write. Default: `RESULT/{PAGE}` of the first; of an archive, beside "
            "it.",
        ),
    ] = None,
    open_it: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = True,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Serve the page to this machine alone, and fill it in while the results train; "
            "Ctrl-C ends it.",
        ),
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where `--live` serves. Default: a free port.")
    ] = 0,
    study: StudyOption = None,
) -> int:
    """Write a page of results: any number over any two axes, and the story of each cell.

    It is one HTML file that needs no network. Its address keeps what it shows, as a link. Arrow
    keys move the chosen cell of the map that has the focus.

    Examples:

        superpos view results/quickstart

        superpos view figures/data/P5.zip figures/data/P3.zip --out page.html --no-open

        superpos view results/quickstart --live
    """
    from superpos_jax.results.registry import load_study
    from superpos_jax.results.result import load

    if study is not None:
        load_study(study)
    if live:
        return _serve(results, port, open_it)
    first = results[0]
    beside = first.with_suffix(".html") if first.suffix == ".zip" else first / PAGE
    target = out_file or beside
    if target.is_dir():
        raise UserError(f"--out {target}: a folder; give a file, as {target / PAGE}")
    write_page([load(result) for result in results], target)
    if open_it:
        webbrowser.open(target.absolute().as_uri())
    return DONE


def write_page(results: Sequence[Result], target: Path) -> None:
    """Write the page of some results, and print its path."""
    from superpos_jax.page.write import page

    text = page(results)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    out.print(str(target), soft_wrap=True)


@contextmanager
def shown_live(*folders: Path, port: int = 0) -> Iterator[str]:
    """Serve the page of some folders, which may be about to be made, and print its address."""
    from superpos_jax.page.live import Numbers, serving

    for folder in folders:
        if folder.suffix == ".zip":
            raise UserError(f"--live {folder}: an archive does not train; give its folder")
    with serving(Numbers(folders), port) as address:
        out.print(address)
        yield address


def _serve(folders: list[Path], port: int, open_it: bool) -> int:
    """Serve until Ctrl-C."""
    with shown_live(*folders, port=port) as address:
        if open_it:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    return DONE
