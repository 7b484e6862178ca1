"""Open an account: keys loaded once, calls signed and addressed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from payhub import ConfigurationError, Service
from payhub.driver import Call
from payhub.masking import MaskedStruct, hide
from payhub_alikassa import wire
from payhub_alikassa.config import AliKassaConfig
from payhub_alikassa.signing import Digest, Signer, Verifier, load_signer, load_verifier

Role = Literal["payment_cert", "payout_cert"]

# Balance and info take the payout certificate: https://doc-merchant.alikassa.com/method/balance
_ROLES: dict[str, Role] = {
    "v1/payment": "payment_cert",
    "v1/payment/status": "payment_cert",
    "v1/payment/history": "payment_cert",
    "v1/payout": "payout_cert",
    "v1/payout/status": "payout_cert",
    "v1/account/balance": "payout_cert",
    "v1/account/info": "payout_cert",
}

_SHOWN_HEADERS = frozenset({"account"})  # the account's uuid, which the provider's support asks for


def _signer(folder: Path | None, password: str | None, digest: Digest) -> Signer | None:
    return load_signer(folder, password, digest) if folder else None


def _signed_with(signer: Signer | None, digest: Digest) -> str | None:
    return f"{digest}, key SHA256:{signer.verifier.fingerprint}" if signer else None


def _verifiers(config: AliKassaConfig) -> Iterator[Verifier]:
    for number, path in enumerate(config.notification_key):
        try:
            yield load_verifier(path, config.digest)
        except ConfigurationError as cause:
            raise ConfigurationError(f"accounts.{config.name}.notification_key[{number}]: {cause}") from cause


class AliKassaAccount:
    """Hold one account's keys, and make its signed calls."""

    def __init__(self, config: AliKassaConfig) -> None:
        """Load the keys and try them.

        Raises:
            ConfigurationError: a folder or file is named, and what is wrong with it.
        """
        self.config = config
        if problem := config.problem():
            raise ConfigurationError(f"accounts.{config.name}: {problem}")
        self._signers: dict[Role, Signer | None] = {
            "payment_cert": _signer(config.payment_cert, hide(config.payment_password), config.digest),
            "payout_cert": _signer(config.payout_cert, hide(config.payout_password), config.digest),
        }
        self._signed_with = {role: _signed_with(signer, config.digest) for role, signer in self._signers.items()}
        self._verifiers = tuple(_verifiers(config))

    def __repr__(self) -> str:
        """Show the account's name only."""
        return f"AliKassaAccount({self.name!r})"

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

    def call(
        self,
        path: str,
        request: MaskedStruct,
        promised: type[MaskedStruct],
        *,
        operation: str,
        moves_money: bool = False,
        order_id: str | None = None,
        provider_id: str | None = None,
    ) -> Call:
        """Make the signed call: the bytes that are signed are the bytes that are sent.

        Raises:
            ConfigurationError: the account has no certificate for this path.
        """
        role = _ROLES[path]
        signer = self._signers[role]
        if signer is None:
            raise ConfigurationError(f"accounts.{self.name}: {operation} needs {role}, the folder of its certificate")
        body = wire.write(request)
        return Call(
            operation=operation,
            url=f"{self.config.base_url.rstrip('/')}/{path}",
            moves_money=moves_money,
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
            promised=promised,
            shown_headers=_SHOWN_HEADERS,
            signed_with=self._signed_with[role],
        )
