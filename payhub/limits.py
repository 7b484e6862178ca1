"""Keep an account's calls under its rate limit, across processes where the journal is PostgreSQL.

The counting is pyrate-limiter's; without PostgreSQL each process counts for itself.
"""

import re
import threading
import zlib
from typing import Any

from payhub.errors import ConfigurationError
from payhub.masking import HiddenText


class Limits:
    """Let calls pass one by one, evenly spaced, each account by its own rate."""

    def __init__(self, journal_url: str | None, prefix: str) -> None:
        """Remember where to count; nothing is imported or connected before an account has a limit."""
        self._postgres = HiddenText(re.sub(r"^postgresql\+\w+:", "postgresql:", journal_url or ""))
        self._prefix = prefix
        self._limiters: dict[str, tuple[Any, Any]] = {}
        self._pool: Any = None
        self._lock = threading.Lock()

    def acquire(self, account: str, rate: float, patience: float) -> bool:
        """Wait until a call may pass; return whether one may within `patience` seconds.

        Raises:
            ConfigurationError: the extra `sql`, which brings pyrate-limiter, is not installed.
        """
        limiter, bucket = self._limiter(account, rate)
        bucket.leak(bucket.now())  # forget what is past here, and not in a thread that may outlive the hub
        return bool(limiter.try_acquire(account, timeout=max(patience, 0.0)))

    def _limiter(self, account: str, rate: float) -> tuple[Any, Any]:
        with self._lock:
            if account not in self._limiters:
                self._limiters[account] = self._made(account, rate)
            return self._limiters[account]

    def _made(self, account: str, rate: float) -> tuple[Any, Any]:
        try:
            import pyrate_limiter as pyrate  # noqa: PLC0415 - only if needed
        except ImportError as cause:
            raise ConfigurationError("max_per_second needs pyrate-limiter: pip install 'payhub[sql]'") from cause
        spaced = [pyrate.Rate(1, max(1, round(1000 / rate)))]
        bucket: Any = pyrate.InMemoryBucket(spaced)
        if self._postgres.startswith("postgresql:"):
            table = f"{self._prefix}{zlib.crc32(account.encode()):08x}"
            bucket = pyrate.PostgresBucket(self._connected(), table, spaced)
        return pyrate.Limiter(pyrate.SingleBucketFactory(bucket, schedule_leak=False)), bucket

    def _connected(self) -> Any:
        from psycopg_pool import ConnectionPool  # noqa: PLC0415 - only if needed

        if self._pool is None:
            self._pool = ConnectionPool(self._postgres, min_size=1, max_size=4, open=True)
        return self._pool

    def close(self) -> None:
        """Stop counting, and let go of connections."""
        for limiter, _ in self._limiters.values():
            limiter.close()
        if self._pool is not None:
            self._pool.close()
