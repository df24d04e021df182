"""What each rank tells all others, in the store that torchrun keeps: its sign of life, and how its part ended.

One thread exchanges the notices, so that a dead network can block it and nothing else.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from torch.distributed.distributed_c10d import Store

from semilla.errors import CATEGORIES, InterruptedRunError, KilledError, NetworkError, SemillaError
from semilla.system import interrupts
from semilla.system.ranks import read_place

BEAT_S = 0.5
"""How often a rank shows that it is alive."""
LIMIT_S = 60
"""How long a rank may show no sign of life."""
GRACE_S = 10
"""The same once the training has failed anyway."""

Notice = dict[str, Any]


class NoticeBoard:
    """The notices of all ranks, as a context. A notice is a JSON object; only its rank changes it."""

    def __init__(self, store: Store, *, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self._store = store
        self._own: Notice = {"host": socket.gethostname()}
        self._notices: list[Notice] = [{} for _ in range(size)]
        self._seen_s = [time.monotonic()] * size
        self._lost = ""
        self._is_open = True
        self._version = self._posted = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._exchange, name="notices", daemon=True)

    def __enter__(self) -> NoticeBoard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_open = False
            self._changed.notify_all()

    def tell(self, **notice: Any) -> None:
        """Add to this rank's notice, and wait until it is in the store. Raises NetworkError when the store is lost."""
        with self._changed:
            self._own |= notice
            self._version += 1
            version = self._version
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._posted >= version or self._lost, LIMIT_S):
                self._lost = f"silent for {LIMIT_S} s"
            if self._posted < version:
                raise self._explain_loss()

    def read(self, rank: int, key: str) -> Any:
        """What a rank has told under ``key``; None when it has not yet."""
        with self._changed:
            return self._notices[rank].get(key)

    def wait_for(self, rank: int, *keys: str) -> None:
        """Wait until a rank has told one of ``keys``. Raises like ``check``, and InterruptedRunError."""
        while all(self.read(rank, key) is None for key in keys):
            interrupts.check()
            self.check()
            with self._changed:
                self._changed.wait(BEAT_S)

    def wait_for_outcome(self) -> int | None:
        """Wait for the exit code of rank 0; None when it shows no sign of life."""
        while (code := self.read(0, "outcome")) is None and not self.list_silent(GRACE_S):
            with self._changed:
                self._changed.wait(BEAT_S)
        return None if code is None else int(code)

    def check(self) -> None:
        """Raise the error of a rank whose part failed or that shows no sign of life, and when rank 0 has ended."""
        if failure := self.find_failure():
            raise failure
        if self._lost:
            raise self._explain_loss()
        if silent := self.list_silent(LIMIT_S):
            raise NetworkError(f"no sign of life from {self.name(silent)} for {LIMIT_S} s")
        if self.rank and self.read(0, "outcome") is not None:
            raise KilledError("rank 0 has ended")

    def find_failure(self) -> SemillaError | None:
        """The failure that another rank has told. The death of a process is often only the effect of another one."""
        found = [(rank, told) for rank in range(self.size) if (told := self.read(rank, "failure"))]
        others = sorted(
            (one for one in found if one[0] != self.rank), key=lambda one: one[1]["category"] == "killed"
        )
        if not others:
            return None
        rank, told = others[0]
        if "signal" in told:
            return InterruptedRunError(told["signal"])
        return CATEGORIES[told["category"]](f"{self.name([rank])}: {told['message']}")

    def tell_failure(self, error: SemillaError) -> None:
        """Tell the others why this rank cannot go on. A lost store cannot be told it."""
        told: Notice = {"category": error.category, "message": error.message}
        if isinstance(error, InterruptedRunError):
            told["signal"] = error.signal_number
        with suppress(NetworkError):
            self.tell(failure=told)

    def list_silent(self, limit_s: float) -> list[int]:
        """Other ranks without a sign of life for ``limit_s``; rank 0 alone counts for those that follow it."""
        watched = [0] if self.rank else range(1, self.size)
        with self._changed:
            return [rank for rank in watched if time.monotonic() - self._seen_s[rank] > limit_s]

    def explain_closed(self) -> SemillaError:
        """The error for a connection that another rank closed; it may take some seconds to learn which one is gone."""
        # What a killed rank told last may be read a little later.
        since_s = time.monotonic() + 2 * BEAT_S
        with self._changed:
            while (gone := self._list_unseen(since_s)) and time.monotonic() < since_s + 6 * BEAT_S:
                self._changed.wait(BEAT_S)
        if failure := self.find_failure():
            return failure
        who = self.name(gone) if gone else "another rank"
        return KilledError(f"the training lost its connection to {who}: the process was killed or crashed")

    def speaks_for_all(self) -> bool:
        """Whether this rank reports the end: no lower one is alive. Without a store, one on each machine does."""
        if self._lost:
            return read_place().local_rank == 0
        with self._changed:
            return all(time.monotonic() - seen_s > GRACE_S for seen_s in self._seen_s[: self.rank])

    def name(self, ranks: list[int]) -> str:
        """Ranks with their machines, for messages."""
        return ", ".join(
            f"rank {rank} on {self.read(rank, 'host') or 'an unknown machine'}" for rank in ranks
        )

    def _list_unseen(self, since_s: float) -> list[int]:
        return [rank for rank, seen_s in enumerate(self._seen_s) if seen_s < since_s and rank != self.rank]

    def _explain_loss(self) -> NetworkError:
        return NetworkError(f"the store of torchrun cannot be reached: {self._lost}")

    def _exchange(self) -> None:
        beat = 0
        while self._is_open:
            with self._changed:
                version, own = self._version, {**self._own, "beat": beat}
            try:
                self._store.set(str(self.rank), json.dumps(own))
                texts = self._store.multi_get([str(rank) for rank in range(self.size)])
            except RuntimeError as error:
                with self._changed:
                    self._lost = str(error).splitlines()[0]
                    self._changed.notify_all()
                return
            self._take(list(map(json.loads, texts)), version)
            beat += 1

    def _take(self, notices: list[Notice], version: int) -> None:
        with self._changed:
            for rank, notice in enumerate(notices):
                if notice != self._notices[rank]:
                    self._notices[rank], self._seen_s[rank] = notice, time.monotonic()
                if self.rank == 0 and "signal" in notice.get("failure", {}):
                    interrupts.request(notice["failure"]["signal"])
            self._posted = version
            self._changed.notify_all()
            if self._version == version and self._is_open:
                self._changed.wait(BEAT_S)
