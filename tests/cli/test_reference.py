"""docs/cli.md lists what there is: every command, option, exit code and key of an answer."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from payhub.cli.app import app
from payhub.cli.session import MEANINGS, ExitCode
from payhub_alikassa.sandbox import Sandbox

from .conftest import ACCOUNT, CARD, PAYER, Command

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"(?ms)^## (.+?)\n(.*?)(?=^## |\Z)", PAGE))
GROUP = typer.main.get_command(app)


def commands(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Walk through the commands, those of groups under both words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name)), command


COMMANDS: dict[str, Any] = dict(commands(GROUP))
COMMON = {"--config", "--json", "--verbose", "-v", "--help"}


def rows(section: str) -> set[str]:
    """Return the options of a section's table."""
    return {name for row in re.findall(r"(?m)^\| (`-.+?) \|", SECTIONS[section]) for name in re.findall("`(.+?)`", row)}


def options(command: Any) -> set[str]:
    """Return the options that a command really has."""
    return {name for parameter in command.params for name in parameter.opts if name.startswith("-")}


def test_every_command_has_its_section() -> None:
    """No command is missing, and none is explained that is gone."""
    assert {name for name in SECTIONS if name.startswith("payhub ")} == {f"payhub {name}" for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_its_row(name: str) -> None:
    """A command's own options are in its section, with no row too many."""
    assert rows(f"payhub {name}") == options(COMMANDS[name]) - COMMON


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_the_common_options(name: str) -> None:
    """The options of every command are those of the section."""
    assert rows("Every command") == COMMON
    assert options(COMMANDS[name]) | {"--help"} >= COMMON


@pytest.mark.parametrize("name", [None, "journal", "notifications"])
def test_the_common_options_may_stand_before_a_command(name: str | None) -> None:
    """payhub itself and its groups take them, too."""
    group = GROUP.commands[name] if name else GROUP  # type: ignore[attr-defined]
    assert options(group) | {"--help"} >= COMMON


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_broken_where_the_terminal_ends(payhub: Command, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """On a wide terminal each paragraph of a command's help is one line."""
    monkeypatch.setenv("COLUMNS", "1000")
    shown = [" ".join(line.split()) for line in payhub(*name.split(), "--help").out.splitlines()]
    paragraphs = [" ".join(text.replace("`", "").split()) for text in COMMANDS[name].help.split("\n\n")]
    assert set(paragraphs) <= set(shown)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_is_in_the_usage(name: str) -> None:
    """A command's arguments stand in its usage line."""
    (usage,) = re.findall(
        rf"(?m)^(payhub {name}.*)$", re.findall(r"(?ms)```text\n(.*?)```", SECTIONS[f"payhub {name}"])[0]
    )
    arguments = [p.name.upper() for p in COMMANDS[name].params if p.param_type_name == "argument"]
    assert list(re.findall(r"\b[A-Z]{4,}\b", usage.split("--")[0])) == arguments


def test_every_exit_code_is_explained() -> None:
    """The table of exit codes is complete."""
    assert [int(code) for code in re.findall(r"(?m)^\| (\d+) \|", SECTIONS["Exit codes"])] == list(ExitCode)


def test_exit_codes_differ() -> None:
    """No two meanings share a code, and help names each with what it means."""
    assert list(ExitCode.__members__.values()) == list(ExitCode)
    assert (list(ExitCode), len(ExitCode)) == (list(MEANINGS), len(set(MEANINGS.values())))
    assert all(f"{code} {meaning}" in (GROUP.help or "") for code, meaning in MEANINGS.items())


def shape(value: Any) -> Any:
    """Reduce an answer to its keys; of a list the first item counts."""
    match value:
        case dict():
            return {key: shape(item) for key, item in value.items()}
        case [first, *_]:
            return [shape(first)]
    return None


ANSWERS = {
    "pay": ("--order-id", "in-1", "--amount", "5", "--currency", "RUB", "--method", "sbp", "--presentation", "direct"),
    "payout": ("--order-id", "po-1", "--amount", "5", "--currency", "RUB", "--to-card", CARD),
    "balance": (),
    "history": ("--from", "2025-09-01", "--to", "2025-09-30"),
    "accounts": (),
    "doctor": (),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_have_the_documented_keys(payhub: Command, sandbox: Sandbox, name: str) -> None:
    """An answer in JSON has the keys that its sample has."""
    argument = () if name == "accounts" else (ACCOUNT,)
    done = payhub(name, *argument, *ANSWERS[name], *(PAYER if name == "pay" else ()), "--json")
    assert shape(done.json) == shape(sample(f"payhub {name}"))


OPERATORS = {
    "sweep": (),
    "unknown": (),
    "health": (),
    "resolve": (ACCOUNT, "payout", "po-9", "--as", "failed", "--reason", "told so", "--by", "Anna", "--yes"),
    "journal init": (),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_answers_to_operators_have_the_documented_keys(payhub: Command, sandbox: Sandbox, name: str) -> None:
    """What an operator gets in JSON has the keys that its sample has; what there was not is left out."""
    sandbox.arm("cut_after_accepting", path="/v1/payout")
    payhub("payout", ACCOUNT, "--order-id", "po-9", *ANSWERS["payout"][2:])
    found, shown = payhub(*name.split(), *OPERATORS[name], "--json").json, sample(f"payhub {name}")
    unlike = {"statuses": None, "oldest_overdue": None}
    assert shape(found | unlike) == shape(shown | unlike)


def test_providers_have_the_documented_keys(payhub: Command) -> None:
    """The list of providers has the keys that its sample has."""
    found, shown = payhub("providers", "--json").json, sample("payhub providers")
    assert set(found) == set(shown)
    assert set(found["providers"][0]) == set(shown["providers"][0])


def test_errors_have_the_documented_keys(payhub: Command, sandbox: Sandbox) -> None:
    """An error in JSON is the sample."""
    pay = ("--order-id", "in-1", "--amount", "1,5", "--currency", "RUB", "--method", "card")
    assert payhub("pay", ACCOUNT, *pay, "--json").json == sample("Exit codes")


def sample(section: str) -> Any:
    """Return the sample answer of a section."""
    (text,) = re.findall(r"(?ms)^```json\n(.*?)```", SECTIONS[section])
    return json.loads(text)
