"""Which class a name in a result means: that of a script, of a notebook, of a module."""

import importlib.machinery
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import ridge
from ridge import Ridge

import superpos_jax as sp
from superpos_jax.engine.script import script_name
from superpos_jax.results.registry import load_study
from superpos_jax.results.source import source_hash

SCRIPT = """
from ridge import Ridge
import superpos_jax as sp

class SAE(Ridge):
    pass

if __name__ == "__main__":
    import unused
    from superpos_jax.results.registry import load_study
    from superpos_jax.results.source import source_hash
    cell = {"T": 5, "width": 2, "lr": 0.1, "steps": 3}
    sp.run(sp.Sweep(study=SAE, axes={"seed": [0]}, cell=cell), out="out", progress=False)
    print(load_study("sae:SAE") is SAE, source_hash(SAE))
"""
TYPED = "__main__:SAE"


@pytest.fixture
def as_main(monkeypatch):
    """Make a module of this process the running script; by its file, and as `python -m`."""

    def become(file=None, spec=None, **held):
        main = ModuleType("__main__")
        main.__spec__ = spec and importlib.machinery.ModuleSpec(spec, None)
        vars(main).update(held, **({} if file is None else {"__file__": str(file)}))
        monkeypatch.setitem(sys.modules, "__main__", main)
        return main

    return become


@pytest.mark.unoptimized
def test_a_result_of_a_script_is_read_and_grown_by_others(tmp_path, monkeypatch):
    (tmp_path / "sae.py").write_text(SCRIPT)
    (tmp_path / "unused.py").touch()
    paths = [str(Path(ridge.__file__).parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "sae.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stdout.startswith("True ")  # once: the script ran once

    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(sp.UserError, match="--study sae:SAE, or import sae first"):
        sp.load(tmp_path / "out")
    assert "sae" not in sys.modules
    monkeypatch.setitem(sys.modules, "sae", None)  # it is removed in the end
    del sys.modules["sae"]
    study = load_study("sae:SAE")
    assert done.stdout.split() == ["True", source_hash(study)]
    before = sp.load(tmp_path / "out").sweep
    assert before.study == "sae:SAE"
    grown = sp.Sweep(study=study, axes={"seed": [0, 1]}, cell=before.cell)
    assert sp.run(grown, out=tmp_path / "out", progress=False).count(0) == 2


@pytest.mark.parametrize(
    ("file", "spec", "name"),
    [
        ("sae.py", None, "sae"),
        ("sae.py", "__main__", "sae"),  # as coverage runs it
        ("mod.py", "pkg.mod", "pkg.mod"),
        ("my-script.py", None, "__main__"),
        ("superpos", None, "__main__"),
        ("<stdin>", None, "__main__"),
        (None, None, "__main__"),
        ("__main__.py", "_pyrepl.__main__", "__main__"),
    ],
)
def test_a_class_of_a_script_is_named_after_its_file(tmp_path, as_main, file, spec, name):
    if file and not file.startswith("<"):
        (tmp_path / file).touch()
    as_main(file and tmp_path / file, spec)
    assert script_name() == name
    for module in ("__main__", "__mp_main__"):
        assert type("SAE", (Ridge,), {"__module__": module}).name() == f"{name}:SAE"


def test_the_class_of_the_script_is_meant_by_its_name(tmp_path, as_main):
    """The file is not imported: it would raise."""
    (tmp_path / "sae.py").write_text("1 / 0")
    kind = type("SAE", (Ridge,), {"__module__": "__main__"})
    as_main(tmp_path / "sae.py", SAE=kind)
    assert load_study("sae:SAE") is load_study(TYPED) is kind


def test_an_imported_class_stands_for_one_that_was_typed(as_main, monkeypatch):
    as_main()
    with pytest.raises(sp.UserError, match="typed into a script or notebook; put the class into"):
        load_study(TYPED)
    for name in ("mine", "other"):
        module = ModuleType(name)
        module.SAE = type("SAE", (Ridge,), {"__module__": name})
        monkeypatch.setitem(sys.modules, name, module)
        if name == "mine":
            assert load_study(TYPED) is module.SAE
    with pytest.raises(sp.UserError, match="name it, --study module:SAE"):
        load_study(TYPED)  # it may be either
