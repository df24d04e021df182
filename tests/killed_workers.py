"""Kills a process that computes for a run, at an instant that does not depend on the machine."""

from __future__ import annotations

import os
import signal

import pytest

from semilla.system.connection import AnsweringProcess


def kill_worker(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the ``number``-th message to processes of the pool, send SIGKILL to the one that would get it."""
    send = AnsweringProcess.send
    sent: list[object] = []

    def kill_and_send(process: AnsweringProcess, message: object) -> None:
        sent.append(message)
        if len(sent) == number:
            os.kill(process._process.pid, signal.SIGKILL)
            process._process.wait()
        send(process, message)

    monkeypatch.setattr(AnsweringProcess, "send", kill_and_send)
