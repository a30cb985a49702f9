"""What tests expect of an error of this package: its parts, and of the problem only the values and names in it."""

import contextlib

import pytest


@contextlib.contextmanager
def refused(kind, *words, source="", remedy="", **parts):
    """Expects an error of this kind; yields pytest's record of it.

    words: pieces of its problem. source, remedy: a piece of each. parts: layer, option and record, as the error has them.
    """
    with pytest.raises(kind) as caught:
        yield caught
    error = caught.value
    missing = [word for word in map(str, words) if word not in error.problem]
    assert not missing, f"{missing} not in {error.problem!r}"
    assert source in error.source and remedy in error.remedy, error.parts
    assert {name: getattr(error, name) for name in parts} == parts, error.parts
