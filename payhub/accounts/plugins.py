"""Find, load and register plugins; a broken one costs only itself and is named."""

from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import Any

import msgspec
import pluggy

from payhub import hookspecs
from payhub.driver import ProviderInfo
from payhub.errors import BrokenPlugin, ConfigurationError, UnknownProvider
from payhub.exchanges.events import Event, Observer, log
from payhub.operations import KINDS, operations

OWN = "the application"
"""The origin of plugins that are not installed, but given to a hub."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """Join what a driver says of itself with the plugin and the distribution it came from."""

    info: ProviderInfo
    plugin: Any
    origin: str
    version: str = ""


class Companion(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin as it reaches every account: which operations it wraps, and whether it observes all exchanges."""

    name: str
    origin: str
    wraps: tuple[str, ...]
    observes: bool

    def __str__(self) -> str:
        """Say whose plugin it is, and what it does."""
        does = [f"wraps {', '.join(self.wraps)}"] if self.wraps else []
        does += ["observes every exchange"] if self.observes else []
        return f"{self.name} ({self.origin}): {'; '.join(does)}"


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """Name a plugin that could not be loaded, and why."""

    name: str
    origin: str
    cause: BaseException

    def __str__(self) -> str:
        """Say which plugin of which distribution failed, and how."""
        return f"{self.name} ({self.origin}): {type(self.cause).__name__}: {self.cause}"


class Plugins:
    """Hold the plugins of one hub; nothing is loaded at import, nothing is shared between hubs."""

    def __init__(self, extra: Iterable[object] = ()) -> None:
        """Load every entry point, then the application's own plugins.

        Raises:
            ConfigurationError: one of the application's own plugins is not usable.
        """
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._found: list[Provider] = []
        self._companions: list[Companion] = []
        self.broken: list[Broken] = []
        for point in sorted(self._points(), key=lambda p: (p.name, _origin(p))):
            self._load(point)
        for plugin in extra:
            self._register_own(plugin)

    def _points(self) -> Iterable[EntryPoint]:
        """Return the entry points; a distribution whose own cannot be read, whosever it is, is left out and named."""
        try:
            return entry_points(group=hookspecs.PROJECT)
        except Exception:  # noqa: BLE001 - one that is damaged says nothing of the others, nor which it is
            readable: dict[str, Iterable[EntryPoint]] = {}
            for each in distributions():
                name = str(each.metadata["Name"])
                if name not in readable:  # of two of one name the first one counts
                    readable[name] = self._points_of(each, name)
            return [point for points in readable.values() for point in points]

    def _points_of(self, distribution: Distribution, name: str) -> Iterable[EntryPoint]:
        try:
            return distribution.entry_points.select(group=hookspecs.PROJECT)
        except Exception as cause:  # noqa: BLE001 - see above
            self._break("entry_points.txt", name, cause)
            return ()

    def _break(self, name: str, origin: str, cause: BaseException) -> None:
        self.broken.append(Broken(name=name, origin=origin, cause=cause))
        log(Event.PLUGIN_BROKEN, plugin=name, distribution=origin, error=type(cause).__name__)

    def _load(self, point: EntryPoint) -> None:
        origin = _origin(point)
        try:
            self._register(point.load(), point.name, origin, point.dist.version if point.dist else "")
        except (Exception, SystemExit) as cause:  # noqa: BLE001 - whatever a module does when imported
            self._break(point.name, origin, cause)

    def _register_own(self, plugin: object) -> None:
        name = getattr(plugin, "__name__", type(plugin).__name__)
        if isinstance(plugin, type):
            raise ConfigurationError(f"plugin {name}: give an object, not its class")
        try:
            self._register(plugin, name, OWN, str(getattr(plugin, "__version__", "")))
        except Exception as cause:
            raise ConfigurationError(f"plugin {name}: {cause}") from cause

    def _register(self, plugin: object, name: str, origin: str, version: str) -> None:
        if self._manager.is_registered(plugin):  # the same object under a second name
            return
        try:
            self._manager.register(plugin, f"{origin}:{name}:{id(plugin)}")
            self._manager.check_pending()
            if not self._manager.get_hookcallers(plugin):
                raise ValueError("implements no hook; mark its functions with @payhub.hookimpl")  # noqa: TRY301
            self._refuse_stray_operations(plugin)
            infos = self._introduce(plugin)
            found = [Provider(info=info, plugin=plugin, origin=origin, version=version) for info in infos]
        except BaseException:
            if self._manager.is_registered(plugin):
                self._manager.unregister(plugin)
            raise
        self._found.extend(found)
        wraps = tuple(
            operation
            for operation in operations()
            for impl in getattr(self._manager.hook, f"payhub_{operation}").get_hookimpls()
            if impl.plugin is plugin and (impl.wrapper or impl.hookwrapper)
        )
        observes = self._implements(plugin, "payhub_event")
        if wraps or observes:
            self._companions.append(Companion(name=name, origin=origin, wraps=wraps, observes=observes))

    def _introduce(self, plugin: object) -> list[ProviderInfo]:
        if not self._implements(plugin, "payhub_provider"):
            return []
        infos = list(self._only(plugin, "payhub_provider")())
        if [type(info) for info in infos] != [ProviderInfo]:
            raise ValueError("payhub_provider did not return a ProviderInfo")
        for kind in (*infos[0].capabilities.create, *infos[0].capabilities.fetch, *infos[0].extras):
            if kind not in KINDS:
                raise ValueError(f"payhub_provider names the kind {kind!r}; known: {', '.join(KINDS)}")
        return infos

    def _refuse_stray_operations(self, plugin: object) -> None:
        """Refuse a plugin that would answer for every driver: it must be a driver, or wrap."""
        if self._implements(plugin, "payhub_provider"):
            return
        for operation in operations():
            for impl in getattr(self._manager.hook, f"payhub_{operation}").get_hookimpls():
                if impl.plugin is plugin and not (impl.wrapper or impl.hookwrapper):
                    raise ValueError(f"payhub_{operation} without payhub_provider must be a wrapper (wrapper=True)")

    def _implements(self, plugin: object, hook: str) -> bool:
        return any(impl.plugin is plugin for impl in getattr(self._manager.hook, hook).get_hookimpls())

    def _only(self, plugin: object, hook: str) -> pluggy.HookCaller:
        others = [p for p in self._manager.get_plugins() if p is not plugin]
        return self._manager.subset_hook_caller(hook, others)

    @property
    def providers(self) -> tuple[Provider, ...]:
        """Return every provider found, duplicates included, sorted by name."""
        return tuple(sorted(self._found, key=lambda p: (p.info.name, p.origin)))

    @property
    def companions(self) -> tuple[Companion, ...]:
        """Return every plugin that wraps operations of all accounts or observes them, sorted by name."""
        return tuple(sorted(self._companions, key=lambda each: (each.name, each.origin)))

    def provider(self, name: str) -> Provider:
        """Return the one driver of a provider.

        Raises:
            UnknownProvider: nobody speaks to it; the known ones are listed.
            BrokenPlugin: its plugin could not be loaded, or two distributions claim the name.
        """
        found = [p for p in self.providers if p.info.name == name]
        if len(found) > 1:
            owners = " and ".join(p.origin for p in found)
            raise BrokenPlugin(f"provider {name!r} is claimed by {owners}; uninstall one of them")
        if found:
            return found[0]
        for broken in self.broken:
            if broken.name == name:
                raise BrokenPlugin(f"the plugin of provider {name!r} cannot be loaded: {broken}") from broken.cause
        known = ", ".join(sorted({p.info.name for p in self.providers})) or "none"
        plugins = "".join(f"; broken plugin {broken}" for broken in self.broken)
        raise UnknownProvider(f"no installed driver speaks to {name!r}; known: {known}{plugins}")

    def caller(self, provider: Provider, operation: str) -> pluggy.HookCaller | None:
        """Return a caller of one operation that reaches this driver and the wrappers, and no other driver."""
        hook = f"payhub_{operation}"
        if not self._implements(provider.plugin, hook):
            return None
        drivers = [p.plugin for p in self.providers if p.plugin is not provider.plugin]
        return self._manager.subset_hook_caller(hook, drivers)

    def supported(self, provider: Provider) -> tuple[str, ...]:
        """Return the operations that an account of a provider has: implemented, and for orders also declared."""
        can = provider.info.capabilities
        undeclared = {
            *(kind.create for kind in KINDS.values() if kind.word not in can.create),
            *(kind.fetch for kind in KINDS.values() if kind.word not in can.fetch),
        }
        found = (name for name in operations() if self._implements(provider.plugin, f"payhub_{name}"))
        return tuple(name for name in found if name not in undeclared)

    def observers(self) -> Iterator[Observer]:
        """Return one caller for each observer, so that one cannot stop another."""
        for impl in self._manager.hook.payhub_event.get_hookimpls():
            yield impl.plugin_name, self._only(impl.plugin, "payhub_event")


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
