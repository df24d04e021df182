"""The limits of a download, and the ways in which a request can fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from semilla.corpus.fetching.addresses import is_public_address
from semilla.corpus.fetching.pace import PAUSE_S


@dataclass(frozen=True)
class FetchPolicy:
    """Limits of a download. Times are in seconds; ``backoff_s`` holds one wait per retry."""

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 20.0
    """Longest silence of a connected server."""
    head_timeout_s: float = 30.0
    """Longest time until all headers have arrived, however many there are."""
    deadline_s: float = 600.0
    """Longest time for one request with its redirects. No retry starts after it."""
    min_bytes_per_s: float = 1024.0
    rate_window_s: float = 15.0
    """Length of the windows over which the rate is measured."""
    max_bytes: int = 64 << 20
    backoff_s: tuple[float, ...] = (1.0, 2.0, 4.0)
    max_retry_after_s: float = 60.0
    """Longest ``Retry-After`` that is waited for. A server that asks for more is not asked again."""
    pause_s: float = PAUSE_S
    max_redirects: int = 5
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    is_public: Callable[[str], bool] = is_public_address


class FetchFailure(Exception):  # noqa: N818 - one failed request; the error comes after the last retry
    """One request failed.

    ``kind`` says what to do next: ``retry`` the same address, try the server's other addresses (``gone``), leave
    the server alone (``stop``), or try another server because the file is ``empty``. ``retry_after_s`` is the wait
    that the server asked for, ``status`` that of an answer which refused.
    """

    def __init__(
        self,
        reason: str,
        *,
        kind: Literal["retry", "gone", "stop", "empty"],
        retry_after_s: float = 0.0,
        status: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind
        self.retry_after_s = retry_after_s
        self.status = status
