"""The script that Python runs: it is `__main__`, whatever its file is called."""

from __future__ import annotations

import sys
from pathlib import Path

UNNAMED = "__main__"
SCRIPTS = UNNAMED, "__mp_main__"
"""Modules that are the script; the second one in a process that multiprocessing has started."""
NO_SCRIPTS = UNNAMED, "_pyrepl.__main__"
"""Names that tell nothing: of a folder or of a prompt, that of Python 3.13 among them."""


def script_name() -> str:
    """The name under which others import the running script, `sae` for sae.py.

    It is `__main__` where nobody can: of a notebook, a prompt, a pipe, and of `my-script.py`.
    """
    main = sys.modules[UNNAMED]
    if main.__spec__ is not None and main.__spec__.name not in NO_SCRIPTS:
        return main.__spec__.name  # python -m package.module
    file = Path(getattr(main, "__file__", None) or "")
    is_module = file.suffix == ".py" and file.stem.isidentifier() and file.is_file()
    return file.stem if is_module else UNNAMED
