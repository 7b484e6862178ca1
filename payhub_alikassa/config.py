"""The configuration of one AliKassa account: its uuid, its currency, its three keys."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from payhub.driver import AccountConfig, insecure, leads_here
from payhub.masking import Clear, Link, MaskedStruct
from payhub_alikassa.signing import Digest

Uuid = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\Z",
        description="a UUID, as 93d5df06-996c-48c3-9847-348d6b580b80",
    ),
]
Currency = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z", description="a currency in three capital letters, as RUB")
]
Code = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=100,
        pattern=r"^[\x21-\x7e]+\Z",
        description="a service code of 1 to 100 characters, without blanks, as payment_card_rub",
    ),
]

SAMPLE_ACCOUNT = "93d5df06-996c-48c3-9847-348d6b580b80"
"""The account of the provider's documents, of payhub's, and of the sandbox; nobody has it."""

_SANDBOX_KEY = Path("sandbox", "notification-private.pem")
"""What stands beside the folder cert of a sandbox, and of nobody else: the provider keeps its half to itself."""


class PaymentServices(MaskedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The service codes of ways to pay, where the account's differ from the documented ones."""

    card_hosted: Clear[Code | None] = None
    card_direct: Clear[Code | None] = None
    sbp_hosted: Clear[Code | None] = None
    sbp_direct: Clear[Code | None] = None
    sberpay_hosted: Clear[Code | None] = None
    sberpay_direct: Clear[Code | None] = None
    bank_account_hosted: Clear[Code | None] = None
    bank_account_direct: Clear[Code | None] = None
    wallet_hosted: Clear[Code | None] = None
    wallet_direct: Clear[Code | None] = None


class PayoutServices(MaskedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The service codes of payouts' destinations, where the account's differ from the documented ones."""

    card: Clear[Code | None] = None
    phone: Clear[Code | None] = None
    bank_account: Clear[Code | None] = None
    wallet: Clear[Code | None] = None


class AliKassaConfig(AccountConfig, frozen=True, kw_only=True):
    """The configuration of one account of the cabinet's section "Accounts".

    `payment_cert` and `payout_cert` are the folders of the unpacked archives (private.pem,
    password.txt, public.pem); an account that only pays out needs only `payout_cert`, and the
    balance needs it too. `notification_key` is one public key file or several: while the provider
    changes over to a new key, give both, the new one first.
    See https://merchant.alikassa.com/cabinet/form/setting-api-certs.
    """

    account: Clear[Uuid]
    currency: Clear[
        Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z", description="a currency in three capital letters, as RUB")]
    ]
    base_url: Link[str] = "https://api-merchant.alikassa.com"
    payment_cert: Clear[Path | None] = None
    payment_password: str | None = None
    payout_cert: Clear[Path | None] = None
    payout_password: str | None = None
    notification_key: Clear[tuple[Path, ...]] = ()
    digest: Clear[Digest] = "sha1"
    payment_services: Clear[PaymentServices] = PaymentServices()
    payout_services: Clear[PayoutServices] = PayoutServices()

    @property
    def identity(self) -> str:
        """Return the account's uuid, and the host that knows it."""
        return f"{self.account.lower()} {urlsplit(self.base_url).netloc.lower()}"

    def problem(self) -> str | None:
        """Return what is wrong with the account as a whole, or `None`."""
        if reason := insecure(self.base_url):
            return f"base_url: {reason}"
        parts = urlsplit(self.base_url)
        if parts.path not in {"", "/"} or any(parts[3:]) or "@" in parts.netloc:
            return "base_url: give scheme and host only, as https://api-merchant.alikassa.com"
        return None if leads_here(self.base_url) else self._only_for_a_sandbox()

    def _only_for_a_sandbox(self) -> str | None:
        if self.account.lower() == SAMPLE_ACCOUNT:
            return "account: the one of the documents and of the sandbox; give your own uuid, from the cabinet"
        for key in ("payment_cert", "payout_cert", "notification_key"):
            paths = getattr(self, key) or ()
            for path in (paths,) if isinstance(paths, Path) else paths:
                if any((above / _SANDBOX_KEY).exists() for above in path.resolve().parents[:3]):
                    return (
                        f"{key}: a sandbox's key, which must not be used with a real host; "
                        "unpack the certificates of the cabinet into a folder of their own"
                    )
        return None
