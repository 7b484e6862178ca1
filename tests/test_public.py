import importlib
import inspect
import pkgutil
import re

import pytest

import payhub
from payhub import errors

MODULES = ["payhub", "payhub.masking", "payhub.testing", "payhub.testing.conformance"]


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_there(name: str) -> None:
    """Every name that a module declares public can be imported from it, and is declared once."""
    module = importlib.import_module(name)
    assert [] == [each for each in module.__all__ if not hasattr(module, each)]
    assert len(set(module.__all__)) == len(module.__all__)


def test_public_names_are_sorted() -> None:
    """The public names are sorted, so that each has its place."""
    assert sorted(payhub.__all__) == payhub.__all__


def test_everything_can_be_imported_by_star() -> None:
    """`from payhub import *` gives every public name, the hubs included."""
    names: dict[str, object] = {}
    exec("from payhub import *", names)  # noqa: S102 - the statement under test
    assert set(payhub.__all__) == set(names) - {"__builtins__"}


def test_what_is_not_public_is_missed_by_name() -> None:
    """A name that payhub does not have is missed as from any module."""
    with pytest.raises(AttributeError, match=r"^module 'payhub' has no attribute 'Hob'$"):
        payhub.Hob  # noqa: B018


def test_every_error_is_public() -> None:
    """Every error that may reach an application can be imported from `payhub`."""
    raised = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert set() == raised - set(payhub.__all__)


def named_errors(documented: object) -> set[str]:
    """Return the classes that a docstring names under `Raises:`."""
    _, _, raises = (inspect.getdoc(documented) or "").partition("\nRaises:\n")
    section, _, _ = raises.partition("\n\n")
    return set(re.findall(r"^    (\w+): ", section, re.MULTILINE))


def test_every_error_that_the_hubs_name_is_public() -> None:
    """Every exception class that the hubs' docstrings name is in `payhub.errors`, and can be imported from `payhub`."""
    documented = [member for hub in (payhub.Hub, payhub.AsyncHub) for _, member in inspect.getmembers(hub, callable)]
    names = named_errors(payhub.Hub).union(named_errors(payhub.AsyncHub), *map(named_errors, documented))
    assert {"IllegalStep", "JournalFailed", "UnknownOrder"} <= names
    assert [] == [name for name in names if not hasattr(errors, name) or name not in payhub.__all__]


@pytest.mark.parametrize("name", payhub.__all__)
def test_every_public_object_has_its_sentence(name: str) -> None:
    """Every public class and function opens with a sentence that says what it is for."""
    value = getattr(payhub, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert (value.__doc__ or "").split("\n")[0].endswith((".", ":", "`"))


def test_every_module_has_its_sentence() -> None:
    """Every module of payhub opens with a sentence that says what is in it."""
    names = [info.name for info in pkgutil.walk_packages(payhub.__path__, "payhub.")]
    loaded = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    assert [] == [module.__name__ for module in loaded if not (module.__doc__ or "").strip()]
