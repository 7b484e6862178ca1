"""Make the plans of one open account."""

from collections.abc import Generator
from typing import Any, TypeVar

import msgspec
import pluggy

from payhub import operations
from payhub.accounts.plugins import Plugins, Provider
from payhub.driver import AccountConfig, Flow
from payhub.errors import BadNotification, BrokenPlugin, PayhubError
from payhub.exchanges.record import software
from payhub.models import Delivery, Order, Received, Ref, Result
from payhub.operations import NOTIFICATION, OrderKind, Query, Verification
from payhub.plans.advance import Visit, advance, visit
from payhub.plans.create import create
from payhub.plans.fetch import ask, fetch
from payhub.plans.identity import account_key
from payhub.plans.plan import Place, Plan, Steps, Timing
from payhub.plans.receive import receive
from payhub.plans.rules import unsupported

T = TypeVar("T")
OrderT = TypeVar("OrderT", bound=Order)
ResultT = TypeVar("ResultT", bound=Result)
V = TypeVar("V", bound=msgspec.Struct)
S = TypeVar("S", bound=msgspec.Struct)


class OpenAccount:
    """An account with its keys loaded: it holds its own driver and the wrappers, no other driver."""

    def __init__(
        self,
        provider: Provider,
        config: AccountConfig,
        plugins: Plugins,
        timing: Timing,
        place: Place,
        *,
        receives: bool = False,
    ) -> None:
        """Load the keys and make the caller of each operation, once; an account that `receives` need not sign.

        Raises:
            BrokenPlugin: the driver cannot open it, and does not say by a `ConfigurationError` why.
        """
        self.provider = provider
        self.provider_name = provider.info.name
        self.capabilities = provider.info.capabilities
        self.timing = timing
        try:
            self.driver = ((receives and provider.info.receive) or provider.info.connect)(config)
            self.name = self.driver.name
            identity = config.identity
        except PayhubError:
            raise
        except NotImplementedError:
            raise BrokenPlugin(
                f"the driver of provider {provider.info.name!r} does not say who an account is"
            ) from None
        except Exception as cause:
            words = f"the driver of provider {provider.info.name!r} cannot open the account: {type(cause).__name__}"
            raise BrokenPlugin(words) from cause
        self.place = place._replace(identity=account_key(place.key, provider.info.name, identity))
        self._max_per_second = config.max_per_second
        self._software = software(provider.info.name, provider.version)
        callers = {operation: plugins.caller(provider, operation) for operation in operations.operations()}
        self._callers = {operation: caller for operation, caller in callers.items() if caller}

    def create(self, kind: OrderKind[OrderT, ResultT], order: OrderT) -> Plan[ResultT]:
        """Plan to create an order that is live with no account."""
        return self._plan(create(self, kind, order))

    def fetch(self, kind: OrderKind[Any, ResultT], ref: Ref) -> Plan[ResultT]:
        """Plan to ask for an order's status, and to keep the answer where the order is known."""
        return self._plan(fetch(self, kind, ref))

    def advance(self, kind: OrderKind[Any, ResultT], order_id: str) -> Plan[ResultT]:
        """Plan to take an order as far as it can go now."""
        return self._plan(advance(self, kind, order_id))

    def visit(self, kind: OrderKind[Any, Any], order_id: str) -> Plan[Visit]:
        """Plan to take an order as far as it can go now, in the account's turn of a sweep."""
        return self._plan(visit(self, kind, order_id))

    def ask(self, query: Query[T], **asked: Any) -> Plan[T]:
        """Plan to ask a question that is about no order."""
        return self._plan(ask(self, query, **asked))

    def verify(self, verification: Verification[V], delivery: Delivery) -> V:
        """Return what a delivery proves; this is no plan, for nothing is sent and nothing kept.

        Raises:
            BadNotification: not authentic, or not readable.
        """
        caller = self._caller(verification.word)
        try:
            proof = caller(account=self.driver, delivery=delivery)
        except PayhubError:
            raise
        except Exception as cause:
            raise BadNotification("the driver could not read it") from cause
        if not isinstance(proof, verification.proof):
            raise BadNotification("the driver could not read it") from TypeError(type(proof).__name__)
        return self.named(proof)

    def receive(self, delivery: Delivery, *, ask: bool) -> Plan[Received]:
        """Verify a notification, and plan to keep it; without `ask` its order is left due for a sweep.

        Raises:
            BadNotification: not authentic, or not readable.
        """
        return self._plan(receive(self, self.verify(NOTIFICATION, delivery), ask=ask))

    def named(self, result: S) -> S:
        """Return a result with the account's name, and the provider's where it has a field for it."""
        names = {"account": self.name, "provider": self.provider_name}
        return msgspec.structs.replace(result, **{n: v for n, v in names.items() if n in result.__struct_fields__})

    def flow(self, operation: str, **asked: Any) -> Flow[Any]:
        """Begin a flow of this account's driver, and of the wrappers around it.

        Raises:
            UnsupportedOperation: the driver has no such operation.
            BrokenPlugin: its hook returns none.
        """
        flow: Any = self._caller(operation)(account=self.driver, **asked)
        if not isinstance(flow, Generator):
            raise BrokenPlugin(f"payhub_{operation} of provider {self.provider_name!r} returned no flow")
        return flow

    def _caller(self, operation: str) -> pluggy.HookCaller:
        if operation not in self._callers:
            raise unsupported(self, operation)
        return self._callers[operation]

    def _plan(self, steps: Steps[T]) -> Plan[T]:
        return Plan(
            account=self.name,
            provider=self.provider_name,
            steps=steps,
            max_per_second=self._max_per_second,
            software=self._software,
        )
