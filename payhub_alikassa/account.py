"""Open an account: load its keys once, then address and sign its calls."""

from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import msgspec

from payhub import ConfigurationError, Service
from payhub.driver import Call, leads_here
from payhub.masking import MaskedStruct, hide
from payhub_alikassa import wire
from payhub_alikassa.config import AliKassaConfig
from payhub_alikassa.signing import Signer, Verifier, load_signer, load_verifier

Answer = TypeVar("Answer", bound=MaskedStruct)

_SHOWN_HEADERS = frozenset({"account"})  # the account's uuid, which the provider's support asks for


class Endpoint(msgspec.Struct, Generic[Answer], frozen=True):
    """A path of the provider: the operation it serves, the certificate that signs for it, the answer it promises."""

    operation: str
    path: str
    certificate: Literal["payment_cert", "payout_cert"]
    promised: type[Answer]
    moves_money: bool = False


def _signer(config: AliKassaConfig, folder: Path | None, password: str | None) -> Signer | None:
    return load_signer(folder, password, config.digest, real=not leads_here(config.base_url)) if folder else None


class AliKassaReceiver:
    """One account that verifies what is delivered: it has the provider's public keys, and none of ours."""

    def __init__(self, config: AliKassaConfig) -> None:
        """Load the public keys.

        Raises:
            ConfigurationError: a file is named, and what is wrong with it.
        """
        self.config = config
        if problem := config.problem():
            raise ConfigurationError(f"accounts.{config.name}: {problem}")
        verifiers: list[Verifier] = []
        for number, path in enumerate(config.notification_key):
            try:
                verifiers.append(load_verifier(path, config.digest))
            except ConfigurationError as cause:
                raise ConfigurationError(f"accounts.{config.name}.notification_key[{number}]: {cause}") from cause
        self._verifiers = tuple(verifiers)

    def __repr__(self) -> str:
        """Show the account's name only."""
        return f"{type(self).__name__}({self.name!r})"

    @property
    def name(self) -> str:
        """Return the name that the application chose."""
        return self.config.name

    def verifiers(self) -> tuple[Verifier, ...]:
        """Return the keys that notifications may be signed with, in the order of the configuration.

        Raises:
            ConfigurationError: the account has none.
        """
        if not self._verifiers:
            raise ConfigurationError(f"accounts.{self.name}: notifications need notification_key, a public key file")
        return self._verifiers

    def services(self) -> tuple[Service, ...]:
        """Return the services that the configuration names."""
        payments = msgspec.structs.asdict(self.config.payment_services).values()
        payouts = msgspec.structs.asdict(self.config.payout_services).values()
        currency = self.config.currency
        return (
            *(Service(kind="payment", code=code, currency=currency, active=True) for code in payments if code),
            *(Service(kind="payout", code=code, currency=currency, active=True) for code in payouts if code),
        )


class AliKassaAccount(AliKassaReceiver):
    """One account: its keys, and the calls that they sign."""

    def __init__(self, config: AliKassaConfig) -> None:
        """Load the keys and try them.

        Raises:
            ConfigurationError: a folder or file is named, and what is wrong with it.
        """
        super().__init__(config)
        if config.payment_cert is None and config.payout_cert is None:
            folders = "the folders of the unpacked certificates"
            raise ConfigurationError(f"accounts.{config.name}: give payment_cert or payout_cert, {folders}")
        self._signers = {
            "payment_cert": _signer(config, config.payment_cert, hide(config.payment_password)),
            "payout_cert": _signer(config, config.payout_cert, hide(config.payout_password)),
        }

    def call(
        self,
        endpoint: Endpoint[Any],
        request: MaskedStruct,
        *,
        order_id: str | None = None,
        provider_id: str | None = None,
    ) -> Call:
        """Return the signed call of an endpoint: the bytes that are signed are the bytes that are sent.

        Raises:
            ConfigurationError: the account has no certificate for this endpoint.
        """
        signer = self._signers[endpoint.certificate]
        if signer is None:
            needed = f"{endpoint.operation} needs {endpoint.certificate}"
            raise ConfigurationError(f"accounts.{self.name}: {needed}, the folder of its certificate")
        body = wire.write(request)
        return Call(
            operation=endpoint.operation,
            url=f"{self.config.base_url.rstrip('/')}/{endpoint.path}",
            moves_money=endpoint.moves_money,
            body=body,
            headers={
                "Content-Type": "application/json",
                "Account": self.config.account,
                "Sign": signer.sign(body),
                "User-Agent": "AliKassa2.0 API",
            },
            order_id=order_id,
            provider_id=provider_id,
            asked=type(request),
            promised=endpoint.promised,
            shown_headers=_SHOWN_HEADERS,
            signed_with=signer.description,
        )
