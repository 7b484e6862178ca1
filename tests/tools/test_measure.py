"""The table says what was counted, and the command fails where a target is missed."""

from pathlib import Path

import pytest

from tests.tools.making import source
from tools import measure
from tools.measure import Report


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a checkout in which every figure is as it should be, and that makes no payouts."""
    for name, text in {
        "payhub/__init__.py": "from payhub.hub import Hub\n",
        "payhub/models.py": "class Order: ...\n",
        "payhub/hub.py": "from payhub.models import Order\nclass Hub: ...\n",
        "payhub_alikassa/plugin.py": "from payhub import Hub\n",
        "tests/test_imports.py": 'ROOMS = ("models", "hub")\n',
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(measure, "payout", lambda root: Report([], {}))
    return tmp_path


def measured(root: Path, *options: str) -> int:
    return measure.main(["--root", str(root), *options])


def test_a_tree_without_faults_passes(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command returns 0, and no target is missed."""
    assert 0 == measured(checkout)
    assert "MISSED" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "text", "listed"),
    [
        (
            "payhub/hub.py",
            "def _one(): ...\n_one()\n",
            "once: 1\n  payhub/hub.py:1: _one: used once, in line 2; 1 lines\n",
        ),
        (
            "payhub/hub.py",
            "def f(): return A\nA = 1\n",
            "above: 1\n  payhub/hub.py:2: A: first used above, in line 1\n",
        ),
        (
            "payhub/models.py",
            "from payhub import Hub\n",
            "arrows: 1\n  payhub/models.py:1: Hub: imported from payhub.hub\n",
        ),
    ],
)
def test_a_fault_is_counted_and_listed(
    checkout: Path, capsys: pytest.CaptureFixture[str], path: str, text: str, listed: str
) -> None:
    """The command returns 1, shows what is missed, and names the place if asked."""
    (checkout / path).write_text(text)
    assert 1 == measured(checkout, "--list", listed.partition(":")[0])
    out = capsys.readouterr().out
    assert "MISSED" in out
    assert listed in out


def test_all_places_are_listed_if_no_figure_is_named(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--list` alone lists everything, and without it nothing is listed."""
    measured(checkout, "--list")
    listed = capsys.readouterr().out
    measured(checkout)
    table = capsys.readouterr().out
    assert (True, False) == ("undocumented: 2" in listed, "undocumented: 2" in table)


def test_parts_are_as_the_table_says() -> None:
    """Commands, tickets, testing, migrations and the sandbox are no core; the last two are not in every figure."""
    paths = [
        "payhub/hub.py", "payhub/cli/sandbox.py", "payhub/ticket/texts.py", "payhub/testing/fake.py",
        "payhub/journal/migrations/env.py", "payhub_alikassa/plugin.py", "payhub_alikassa/sandbox/app.py",
    ]  # fmt: skip
    every, core, driver, sandbox, counted = (
        [str(each.path) for each in part] for part in measure.parted([source("", path) for path in paths])
    )
    assert (paths, paths[:1], [paths[5]], [paths[6]]) == (every, core, driver, sandbox)
    assert [*paths[:4], paths[5]] == counted


def test_names_are_listed_once_with_their_number() -> None:
    """A trip's stay is shown in the order of first calls."""
    assert "b x2, a" == measure.times(["b", "a", "b"])
