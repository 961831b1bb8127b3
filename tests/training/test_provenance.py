"""Which code trained a run: hashes, and what of it is in no commit."""

import subprocess

import pytest
from ridge import Ridge

from superpos_jax.results import source
from superpos_jax.training import provenance


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose engine has one module; git answers in it."""
    monkeypatch.setattr(provenance, "CHECKOUT", tmp_path)
    engine = tmp_path / "superpos_jax" / "engine"
    engine.mkdir(parents=True)
    module = engine / "plan.py"
    module.write_text("x = 1  # why\n")
    monkeypatch.setattr(provenance, "engine_files", lambda: [module])

    def git(*arguments):
        who = ["-c", "user.name=me", "-c", "user.email=me@home"]
        subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True)

    def changed():
        provenance._changed_modules.cache_clear()
        return provenance.changed_code(Ridge)

    yield engine, git, changed
    provenance._changed_modules.cache_clear()


def test_code_that_is_in_no_commit_is_told(checkout):
    engine, git, changed = checkout
    assert changed() is None  # it is no checkout yet
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    assert changed() == []
    (engine / "plan.py").write_text("x = 1  # because\n")
    (engine.parent / "figure.py").write_text("x = 1")
    assert changed() == []  # a comment, and what trains nothing
    (engine / "plan.py").write_text("x = 2\n")
    (engine / "new.py").write_text("y = 1")
    assert changed() == ["superpos_jax/engine/plan.py", "superpos_jax/engine/new.py"]


def test_the_hash_of_the_engine_is_of_its_code(tmp_path, monkeypatch):
    assert provenance.trainer(Ridge(Ridge.Options()))["engine_source"] == source.engine_hash()
    assert {path.parent.name for path in source.engine_files()} == {"engine", "studies"}
    module = tmp_path / "plan.py"
    monkeypatch.setattr(source, "engine_files", lambda: [module])
    hashes = []
    for text in ("x = 1", "x = 1  # why", "x = 2"):
        module.write_text(text)
        hashes.append(source.engine_hash.__wrapped__())
    assert hashes[0] == hashes[1] != hashes[2]


def test_hashes_tell_the_code_and_the_commit_does_not():
    code = {"study_source": "a", "engine_source": "b"}
    run = {"versions": {"jax": "1"}, "commit": "first", **code, "changed_code": ["plan.py"]}
    now = run | {"commit": "second", "changed_code": []}
    assert provenance.differences(run, now) == []
    assert provenance.differences(run | {"engine_source": "c"}, now) == ["engine_source c, here b"]
    old = {"versions": {"jax": "1"}, "commit": "first"}
    assert provenance.differences(old, now) == ["commit first, here second"]
