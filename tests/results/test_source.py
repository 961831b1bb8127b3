"""The text of a module by which a change of its code is seen."""

import hashlib

import pytest

from superpos_jax.results.source import code_of

FORMS = """
def shown(rows: list[dict[str, int]], *rest: "float", key: str | None = None, **more) -> str:
    match rows:
        case [{"a": int(first), **other}, *_] if first > -1e-3:
            return f"{first!r:>{more['width']}} and {', '.join(f'{k}={v:.{2}f}' for k, v in other)}"
        case [] | None:
            return f"{key=}" "no" f" rows {rest[0]:}{{}}" 'it\\'s "so"' f""
        case Point(x=0, y=1j) as there:
            return f"a{key=}b{key!s}" f"{1:{'>'}{10}}" if 0 else u"\\u00e9\\U0001FAE8"
    async with a as b, c: x[1:2, ::3] = lambda p, /, q=1, *, r: (yield)
    try: print(*rest, **more)
    except* (OSError, ValueError) as e: raise e from None
"""
MODULE = """
import model
class SAE: pass
if __name__ == "__main__":
    import plotting
    print(1)
"""


def test_the_text_of_a_module_is_the_same_in_every_python():
    """Each version writes nested f-strings in its own way; this hash is of 3.11, 3.12 and 3.13."""
    assert hashlib.sha256(code_of(FORMS).encode()).hexdigest()[:16] == "2156bcdc0e422559"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("print(1)", "print(2)", True),
        ("class SAE: pass", "class SAE: x = 1", False),
        ("__main__", "model", False),
        ("print(1)", "class Other: pass", False),
    ],
)
def test_what_only_a_script_does_is_no_code_of_its_study(old, new, same):
    assert old in MODULE
    assert (code_of(MODULE.replace(old, new)) == code_of(MODULE)) == same
