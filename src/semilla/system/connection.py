"""Child processes that share memory with this one and exchange messages with it.

Linux: the memory is an anonymous file (``memfd_create``). macOS: an unnamed temporary file, whose pages the system may
write to the disk. Both are freed with the last process that has them open, however it ends. Windows passes descriptors
to no child, so training runs in one process there.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection


def can_share_memory() -> bool:
    """Return whether children can be given memory of this process."""
    return sys.platform != "win32"


def open_shared_file() -> int:
    """Descriptor of an empty file without a name, to map and to pass to children."""
    if hasattr(os, "memfd_create"):
        descriptor: int = os.memfd_create("semilla")  # the annotation is for mypy on other systems
        return descriptor
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def start_connected(
    command: Sequence[str], *, receive_timeout_s: int, send_timeout_s: int, shared: int | None = None
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a child with one end of a connection as standard input, and with the ``shared`` descriptor, if any.

    Waits on the connection end with BlockingIOError after these times. Not on Windows.
    """
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", receive_timeout_s, 0))
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", send_timeout_s, 0))
    connection = Connection(ours.detach())
    with theirs:
        # In a session of its own Ctrl-C does not reach it: only this process decides when to stop.
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=() if shared is None else (shared,),
            start_new_session=True,
        )
    return process, connection


def wake(process: subprocess.Popen[bytes]) -> None:
    """Let a child continue if somebody stopped it; this does nothing to one that runs."""
    if sys.platform != "win32":
        process.send_signal(signal.SIGCONT)


def connect_to_parent() -> Connection:
    """The other end of the connection, in a child that ``start_connected`` started."""
    return Connection(sys.stdin.fileno())
