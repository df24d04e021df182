"""A polite pause between two requests to the same public host, shared by everything in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from semilla.corpus.fetching.addresses import is_local_host

PAUSE_S = 2.0
"""Between two requests to the same public host, as Project Gutenberg asks of programs."""


class Pace:
    """Remembers when each public host may be asked again. A pause starts at the end of a request."""

    def __init__(self) -> None:
        self._free_at_s: dict[str, float] = {}

    @contextmanager
    def take_turn(
        self,
        host: str,
        *,
        pause_s: float = PAUSE_S,
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> Iterator[None]:
        """Wait until ``host`` may be asked, and start its next pause when the block ends."""
        if is_local_host(host):
            yield
            return
        wait(max(0.0, self._free_at_s.get(host, 0.0) - clock()))
        try:
            yield
        finally:
            self._free_at_s[host] = clock() + pause_s


PACE = Pace()
"""The pace of this process. The prerequisite check and the download share it."""
