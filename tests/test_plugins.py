import importlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from payhub import BrokenPlugin, ConfigurationError, Hub, UnknownProvider, hookimpl, hookspecs
from payhub.accounts.plugins import Plugins
from payhub.driver import ProviderInfo
from payhub.exchanges.events import tell
from payhub.operations import operations
from payhub.testing import fake

DRIVER = """
    import msgspec
    from payhub import hookimpl
    from payhub.testing import fake

    @hookimpl
    def payhub_provider():
        return msgspec.structs.replace(fake.payhub_provider(), name={name!r}, title={title!r})

    payhub_create_payout = fake.payhub_create_payout
"""


class Installer:
    """Install distributions as pip does: a module, and its metadata with an entry point."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.modules: list[str] = []

    def __call__(self, distribution: str, point: str, source: str) -> None:
        module = distribution.replace("-", "_")
        self.modules.append(module)
        info = self.directory / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[payhub]\n{point} = {module}\n")
        (self.directory / f"{module}.py").write_text(textwrap.dedent(source))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install real distributions where Python finds them, for one test."""
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    installer = Installer(tmp_path)
    yield installer
    for module in installer.modules:
        sys.modules.pop(module, None)


Install = Callable[[str, str, str], None]


def names(plugins: Plugins) -> list[str]:
    return [provider.info.name for provider in plugins.providers]


def test_an_installed_driver_is_found(install: Install) -> None:
    """A distribution with an entry point is found, and known by its name and version."""
    install("payhub-acme", "acme", DRIVER.format(name="acme", title="Acme"))
    provider = Plugins().provider("acme")
    assert ("Acme", "payhub-acme 1.2") == (provider.info.title, provider.origin)


def test_a_foreign_distribution_that_is_damaged_is_named(install: Install, tmp_path: Path) -> None:
    """A file of entry points that cannot be read, of a distribution that is not even a plugin, costs only that one."""
    install("payhub-acme", "acme", DRIVER.format(name="acme", title="Acme"))
    info = tmp_path / "foreign-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[console_scripts]\nno equals sign\n")
    plugins = Plugins()
    assert ({"acme", "alikassa"}, ["foreign"]) == (set(names(plugins)), [each.origin for each in plugins.broken])


def test_the_driver_of_this_distribution_is_found() -> None:
    """payhub's own first driver is found the same way."""
    assert "alikassa" in names(Plugins())


FAULTS = {
    "import fails": "import no_such_module",
    "module raises": "raise RuntimeError('boom')",
    "module exits": "raise SystemExit(3)",
    "no such syntax": "def (",
    "no hook": "x = 1",
    "hook is misspelt": "import payhub\n@payhub.hookimpl\ndef payhub_creat_payout(account, order): ...",
    "argument is wrong": "import payhub\n@payhub.hookimpl\ndef payhub_create_payout(account, ordr): ...",
    "provider raises": "import payhub\n@payhub.hookimpl\ndef payhub_provider(): raise RuntimeError('boom')",
    "provider is nothing": "import payhub\n@payhub.hookimpl\ndef payhub_provider(): ...",
    "provider is a word": "import payhub\n@payhub.hookimpl\ndef payhub_provider(): return 'broken'",
    "operation without a provider": "import payhub\n@payhub.hookimpl\ndef payhub_create_payout(account, order): ...",
}


@pytest.mark.parametrize("source", FAULTS.values(), ids=FAULTS)
def test_a_broken_plugin_costs_only_itself(install: Install, source: str) -> None:
    """One distribution that cannot be used hides no other, is logged, and is quoted when it is asked for."""
    install("payhub-aaa", "aaa", source)
    install("payhub-acme", "acme", DRIVER.format(name="acme", title="Acme"))
    with capture_logs() as logs:
        plugins = Plugins()
    with pytest.raises(
        BrokenPlugin, match=r"^the plugin of provider 'aaa' cannot be loaded: aaa \(payhub-aaa 1.2\): "
    ) as caught:
        plugins.provider("aaa")
    cause = plugins.broken[0].cause
    expected = ("acme", cause, [("payhub.plugin_broken", "aaa", "payhub-aaa 1.2", type(cause).__name__)])
    logged = [(log["event"], log["plugin"], log["distribution"], log["error"]) for log in logs]
    assert expected == (plugins.provider("acme").info.name, caught.value.__cause__, logged)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("import fails", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("hook is misspelt", "unknown hook 'payhub_creat_payout'"),
        ("argument is wrong", "ordr"),
        ("operation without a provider", "payhub_create_payout without payhub_provider must be a wrapper"),
        ("no hook", "implements no hook; mark its functions with @payhub.hookimpl"),
        ("provider is nothing", "payhub_provider did not return a ProviderInfo"),
    ],
)
def test_a_broken_plugin_says_why(install: Install, fault: str, words: str) -> None:
    """A plugin that cannot be used is reported with its mistake in words."""
    install("payhub-aaa", "aaa", FAULTS[fault])
    assert words in str(Plugins().broken[0])


@pytest.mark.parametrize("source", FAULTS.values(), ids=FAULTS)
def test_a_broken_plugin_answers_nothing(install: Install, source: str) -> None:
    """No hook of a plugin that cannot be used is left behind to answer for another driver."""
    install("payhub-aaa", "aaa", source)
    plugins = Plugins([fake])
    caller = plugins.caller(plugins.provider("fake"), "create_payout")
    assert caller is not None
    assert [fake] == [impl.plugin for impl in caller.get_hookimpls()]


def test_two_distributions_of_one_provider_are_refused(install: Install) -> None:
    """If two distributions speak to one provider, neither is chosen; both are named, and others remain."""
    install("payhub-acme", "acme", DRIVER.format(name="acme", title="Acme"))
    install("payhub-acme-fork", "acme", DRIVER.format(name="acme", title="Fork"))
    plugins = Plugins([fake])
    with pytest.raises(BrokenPlugin) as caught:
        plugins.provider("acme")
    expected = "provider 'acme' is claimed by payhub-acme 1.2 and payhub-acme-fork 1.2; uninstall one of them"
    assert (expected, "fake") == (str(caught.value), plugins.provider("fake").info.name)


def test_an_installed_driver_serves_a_hub(install: Install) -> None:
    """An account of a third-party driver opens by the provider's name, with no line of code."""
    install("payhub-acme", "acme", DRIVER.format(name="acme", title="Acme"))
    with Hub.from_mapping({"accounts": {"a": {"provider": "acme", "base_url": "https://x.example"}}}) as hub:
        assert "acme" == hub.registry.account("a").provider.info.name


def test_unknown_provider_lists_the_known() -> None:
    """A provider that nobody speaks to is refused with those that are known."""
    with pytest.raises(UnknownProvider, match=r"^no installed driver speaks to 'fke'; known: alikassa, fake$"):
        Plugins([fake]).provider("fke")


def test_unknown_provider_names_the_broken_plugins(install: Install) -> None:
    """A broken plugin under another name may be the one that is missed, so it is named."""
    install("payhub-aaa", "aaa", FAULTS["module raises"])
    with pytest.raises(UnknownProvider, match=r"broken plugin aaa \(payhub-aaa 1.2\): RuntimeError: boom$"):
        Plugins().provider("bbb")


def plugin(**hooks: Any) -> Any:
    return SimpleNamespaceHashable(**{name: hookimpl(hook) for name, hook in hooks.items()})


class SimpleNamespaceHashable(SimpleNamespace):
    __hash__ = object.__hash__  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (plugin(payhub_creat_payout=lambda account, order: None), "unknown hook 'payhub_creat_payout'"),
        (plugin(payhub_create_payout=lambda account, ordr: None), "ordr"),
        (plugin(payhub_create_payout=lambda account, order: None), "must be a wrapper"),
        (plugin(payhub_provider=lambda: None), "did not return a ProviderInfo"),
        (plugin(payhub_provider=lambda: 1 / 0), "division by zero"),
        (plugin(), "implements no hook"),
        (object(), "implements no hook"),
        (dict, "give an object, not its class"),
    ],
    ids=["typo", "argument", "no wrapper", "no provider", "raises", "empty", "object", "class"],
)
def test_the_applications_own_mistakes_are_errors(mistake: object, words: str) -> None:
    """A plugin that the application itself gives must be usable, or the hub is not made."""
    with pytest.raises(ConfigurationError) as caught:
        Plugins([mistake])
    assert words in str(caught.value)


def test_the_same_plugin_twice_is_one() -> None:
    """A plugin given twice, or given and installed, is registered once and works."""
    module = importlib.import_module("payhub_alikassa.plugin")
    plugins = Plugins([fake, fake, module])
    provider = plugins.provider("fake")
    assert (["alikassa", "fake"], True) == (names(plugins), plugins.caller(provider, "create_payout") is not None)


def test_a_hub_has_plugins_of_its_own() -> None:
    """Plugins given to one hub are unknown to the next: nothing is global."""
    assert (["alikassa", "fake"], ["alikassa"]) == (names(Plugins([fake])), names(Plugins()))


def test_operations_are_those_of_the_hookspecs() -> None:
    """Every hook but the introduction and the observer is an operation, and has a docstring that begins a sentence."""
    hooks = {name for name in vars(hookspecs) if name.startswith("payhub_")}
    undocumented = [name for name in hooks if not (getattr(hookspecs, name).__doc__ or "").strip()]
    assert ({f"payhub_{name}" for name in operations()}, []) == (
        hooks - {"payhub_provider", "payhub_event"},
        undocumented,
    )


class Second:
    """Speak to another provider, and answer every operation with an error if called."""

    @hookimpl
    def payhub_provider(self) -> ProviderInfo:
        return msgspec.structs.replace(fake.payhub_provider(), name="second")

    @hookimpl
    def payhub_create_payout(self, account: Any, order: Any) -> Any:
        raise AssertionError("money was broadcast")


class Limits:
    @hookimpl(wrapper=True)
    def payhub_create_payout(self, account: Any, order: Any) -> Any:
        return (yield)


@pytest.mark.parametrize("order", [1, -1])
def test_a_caller_reaches_one_driver_and_the_wrappers(order: int) -> None:
    """Money is not broadcast: a caller holds this account's driver and the wrappers, and no other driver."""
    limits = Limits()
    plugins = Plugins([fake, Second(), limits][::order])
    caller = plugins.caller(plugins.provider("fake"), "create_payout")
    assert caller is not None
    assert {fake, limits} == {impl.plugin for impl in caller.get_hookimpls()}


def test_no_caller_of_what_a_driver_does_not_have() -> None:
    """Where the driver has no such operation there is no caller, though others have it."""
    plugins = Plugins([fake, Second()])
    assert None is plugins.caller(plugins.provider("second"), "create_payment")


def test_observers_are_isolated() -> None:
    """An observer that raises changes nothing, is logged, and does not keep others from hearing."""
    heard: list[str] = []

    def fail(event: Any) -> None:
        raise RuntimeError("4111111111111111")

    plugins = Plugins([plugin(payhub_event=lambda event: heard.append("first")), plugin(payhub_event=fail),
                       plugin(payhub_event=lambda event: heard.append("last"))])  # fmt: skip
    with capture_logs() as logs:
        tell(plugins.observers(), None)  # type: ignore[arg-type]
    assert (["first", "last"], [("payhub.observer_failed", "RuntimeError")], False) == (
        sorted(heard), [(log["event"], log["error"]) for log in logs], "4111" in str(logs)
    )  # fmt: skip


def test_nothing_is_loaded_at_import(install: Install, tmp_path: Path) -> None:
    """Importing payhub, hubs included, loads no plugin; making a hub does."""
    install("payhub-acme", "acme", "print('loaded')")
    program = "import payhub; payhub.Hub; print('imported'); payhub.Hub.from_mapping({}).close()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert ["imported", "loaded"] == printed.splitlines()[:2]
