"""The counters of texts count what they say, and name the place."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.tools.making import source
from tools import sources
from tools.sources import Place, Prose, Share


def named(share: Share) -> tuple[list[str], int]:
    return [place.name for place in share.found], share.whole


def test_a_private_function_with_one_use_is_found() -> None:
    """A private function counts when its name is used once, also as an attribute; all functions are the whole."""
    made = source(
        """
        def public():
            return _once() + _twice() + _twice()

        def _once(): ...
        def _twice(): ...
        def _never(): ...
        def __unmangled(): ...

        class Room:
            def open(self):
                return self._door() + __unmangled()

            def _door(self):
                def _inner(): ...
                return _inner
        """
    )
    assert (["_once", "_door", "_inner"], 8) == named(sources.used_once([made]))


def test_uses_are_counted_file_by_file() -> None:
    """The use in another file is none: a function that two files use once each is found in both."""
    text = "def _same(): ...\n_same()\n"
    made = [source(text, "payhub/a.py"), source(text, "payhub/b.py")]
    assert [Path("payhub/a.py"), Path("payhub/b.py")] == [place.path for place in sources.used_once(made).found]


def test_strings_comments_and_imports_are_no_uses() -> None:
    """Only code uses a function."""
    made = source("from payhub.x import _there\ndef _one(): ...\n# _one\nx = '_one'\n_one()\n")
    assert (["_one"], 1) == named(sources.used_once([made]))


def test_a_place_says_where_the_use_is_and_how_long_the_body() -> None:
    """The list has the line of the definition, that of the use, and the lines of the body."""
    made = source('def _one():\n    """Say it."""\n    a = 1\n\n    return a\n\n\n_one()\n')
    assert "payhub/made.py:1: _one: used once, in line 8; 3 lines" == str(sources.used_once([made]).found[0])


def test_a_constant_used_above_its_definition_is_found() -> None:
    """A module's name that is read in a line above its assignment is found, whatever its form."""
    made = source(
        """
        def early(local):
            return BELOW, annotated, LEFT, ABOVE

        ABOVE = ABOVE_TOO = 1
        BELOW = 2
        annotated: int = 3
        LEFT, RIGHT = 4, 5
        RIGHT = 6
        table["key"] = 7

        def late():
            inside = ABOVE
            return RIGHT
        """
    )
    assert (["ABOVE", "BELOW", "annotated", "LEFT"], 6) == named(sources.used_above([made]))


def test_what_is_used_after_or_never_is_not_found() -> None:
    """Nothing is found where each constant stands above its use."""
    assert ([], 2) == named(
        sources.used_above([source("A = 1\n__all__ = ['A']\n\ndef use():\n    A = 2\n    return A\n")])
    )


def test_a_place_says_where_a_constant_is_first_used() -> None:
    """The list has the line of the definition and that of the first use."""
    made = source("def one():\n    return LATE\n\n\ndef two():\n    return LATE\n\n\nLATE = 1\n")
    assert [Place(Path("payhub/made.py"), 9, "LATE", "first used above, in line 2")] == sources.used_above([made]).found


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([], "0 / 0 / 0"), ([7], "7 / 7 / 7"), (range(1, 11), "6 / 9 / 10"), (range(101), "50 / 90 / 100")],
)
def test_a_spread_is_the_middle_nine_of_ten_and_the_greatest(numbers: Iterable[int], expected: str) -> None:
    """The 90th percentile is one of the numbers."""
    assert expected == str(sources.spread(numbers))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(): return 1", 1),
        ("def f(\n    a,\n):\n    return a", 1),
        ('def f():\n    """Say it."""', 0),
        ('def f():\n    """Say it."""\n\n    # why\n    if 1:\n        pass\n\n    return (\n        1\n    )', 6),
    ],
)
def test_a_body_is_counted_without_signature_and_docstring(text: str, expected: int) -> None:
    """A body goes from its first statement's first line to its last one's last."""
    assert [expected] == [sources.body_lines(each) for each in sources.functions(source(text))]


def test_comments_and_docstrings_are_counted() -> None:
    """Comments behind code count, and all lines of a docstring; `#` in a string does not, nor does a loose string."""
    made = source(
        '''\
        """Say it."""

        A = "# no comment"  # a comment
        # another
        """A loose string."""


        def f():
            """Say it.

            At length.
            """
        '''
    )
    assert Prose(lines=8, comments=2, docstrings=5) == sources.prose([made])


def test_public_definitions_without_docstrings_are_found() -> None:
    """What is private, or inside a private class or a function, is not public."""
    made = source(
        '''
        class Open:
            """An open class."""

            def bare(self):
                def inner(): ...

            def told(self):
                """Say it."""

            def _closed(self): ...

        class _Closed:
            def method(self): ...

        if True:
            def conditional(): ...
        '''
    )
    assert (["Open.bare", "conditional"], 4) == named(sources.undocumented([made]))


@pytest.mark.parametrize(
    ("docstring", "found"),
    [
        ("Fetch the order.", True),
        ("Fetch, and forget.", True),
        ("Hold what is needed.", True),
        ("A hub for threads: it waits.", False),
        ("Fetch of an order.", False),
        ("Fetch: an order that is asked for.", False),
        ("Orders that nobody asked for.", False),
        ("`fetch` as a class.", False),
    ],
)
def test_class_docstrings_that_open_with_a_verb_are_found(docstring: str, found: bool) -> None:
    """A verb is what opens a function's docstring somewhere, or one of the listed."""
    made = source(f'class It:\n    """{docstring}"""\n\n\nclass Bare: ...\n')
    verbs = source('def f():\n    """Fetch it."""\n')
    assert (["It"] if found else [], 1) == named(sources.imperative([made], [verbs]))


def test_files_are_read_below_their_package(tmp_path: Path) -> None:
    """All Python files of the packages are read, with their paths below the root."""
    for name in ("payhub/b/c.py", "payhub/a.py", "payhub/a.txt", "other/d.py", "driver/e.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("A = 1\n")
    paths = [str(each.path) for each in sources.read(tmp_path, "payhub", "driver")]
    assert ["driver/e.py", "payhub/a.py", "payhub/b/c.py"] == paths
