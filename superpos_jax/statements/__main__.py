"""Store and draw what was trained: `python -m superpos_jax.statements [RESULTS]`.

With a folder of results their archives are written first; without, figures are drawn from the
archives that are there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from superpos_jax.errors import UserError
from superpos_jax.statements import gallery

DATA, FIGURES = Path("figures/data"), Path("figures")


def main(arguments: list[str]) -> None:
    """Archive the results in the folders named, then draw all figures and write the pages."""
    for results in arguments:
        if not Path(results).is_dir():
            sys.exit(f"{results}: no such folder")
        for path in gallery.store(Path(results), DATA):
            print(path)
    for path in gallery.draw(DATA, FIGURES):
        print(path)
    for path in gallery.pages(DATA, FIGURES):
        print(path)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
