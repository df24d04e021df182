"""Links in a run's directory, which could lead a writer to files that belong to somebody else."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from semilla.errors import InvalidConfigError
from semilla.records import names

_CHANGED_IN_PLACE = {names.LOCK, names.LOG, names.HEARTBEAT}


def refuse_links(directory: Path) -> None:
    """Raise InvalidConfigError when something under a name of ours is a link, a pipe, a socket or a device.

    A file that is changed in place may have no second name (hard link) either. Checkpoints are left out: they are
    written under a new name, and one that cannot be read is skipped.
    """
    _refuse_first(_find_links(directory))


def refuse_links_at(paths: Iterable[Path]) -> None:
    """Raise InvalidConfigError when one of ``paths`` is a link, a pipe, a socket or a device."""
    _refuse_first(filter(_is_odd, paths))


def _refuse_first(links: Iterator[Path]) -> None:
    found = next(links, None)
    if found:
        raise InvalidConfigError(
            f"{found} is a link, has a second name, or is a special file. Semilla writes to this path and follows no "
            "links there: move it away, or choose another directory",
            next_command=f"ls -ld {shlex.quote(str(found))}",
            kept="everything; nothing was written",
        )


def _find_links(directory: Path) -> Iterator[Path]:
    for path in [directory / name for name in (*names.FOLDERS, *names.FILES)]:
        if _is_odd(path) or (path.name in _CHANGED_IN_PLACE and _has_second_name(path)):
            yield path
    for folder in (directory / name for name in (names.BUNDLE, names.DOWNLOADS, names.MODELS, names.TOKENS)):
        yield from filter(_is_odd, sorted(folder.glob("*")))


def _has_second_name(path: Path) -> bool:
    return os.path.lexists(path) and path.lstat().st_nlink > 1


def _is_odd(path: Path) -> bool:
    """Return whether there is something at ``path`` that is neither a regular file nor a folder."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
