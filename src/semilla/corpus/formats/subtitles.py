"""SubRip (.srt) and WebVTT (.vtt): the spoken lines, without numbers, times, settings and tags."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from semilla.corpus.formats.extracted import Extracted, ReadOptions, UnreadableError, count_visible
from semilla.corpus.formats.plain_text import decode_text

_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d\d)[,.](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}")
_TOUCHING_S = 0.05
"""Cues so close show one picture after the other; cues that somebody wrote have a gap."""
_MAX_SHOWN = 8
"""Lines of a cue that are compared with those before it."""
_TAGS = re.compile(r"</?[A-Za-z][^<>\n]*>|<\d[\d:.]*>|\{\\[^{}\n]*\}")
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


@dataclass(frozen=True)
class _Cue:
    start_s: float
    end_s: float
    lines: list[str]


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read one document: a line for each line of a cue. Lines that are still shown from the cue before are left out.

    Raises UnreadableError for a file without cues.
    """
    text, encoding = decode_text(data, name=name, encoding=options.encoding)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines: list[str] = []
    end_s = None
    for block in _BLANK_LINES.split(text):
        cue = _read_cue(block)
        if cue is None:
            continue
        is_next = end_s is not None and abs(cue.start_s - end_s) <= _TOUCHING_S
        lines += cue.lines[_count_shown(lines, cue.lines) if is_next else 0 :]
        end_s = cue.end_s
    if end_s is None:
        raise UnreadableError(
            f"{name} has no subtitles: no line has times such as 00:00:01,000 --> 00:00:02,000",
            reason="unreadable",
        )
    spoken = "\n".join(lines)
    num_removed = count_visible(text) - count_visible(spoken)
    yield Extracted(spoken, encoding=encoding, removed={"subtitle_times": max(0, num_removed)})


def _count_shown(lines: list[str], cue: list[str]) -> int:
    """How many lines of a cue are still shown from the cues before it, as where captions roll up."""
    sizes = range(min(len(lines), len(cue), _MAX_SHOWN), 0, -1)
    return next((size for size in sizes if lines[-size:] == cue[:size]), 0)


def _read_cue(block: str) -> _Cue | None:
    """The times and the lines after them; None for notes, styles and the head of a file."""
    lines = block.strip("\n").split("\n")
    found = ((place, _TIMES.match(line)) for place, line in enumerate(lines))
    start, times = next(((place, match) for place, match in found if match), (0, None))
    if times is None:
        return None
    spoken = (html.unescape(_TAGS.sub("", line)).strip() for line in lines[start + 1 :])
    groups = times.groups()
    return _Cue(_read_time(groups[:4]), _read_time(groups[4:]), [line for line in spoken if line])


def _read_time(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return int(hours) * 3600 + int(minutes) * 60 + float(f"{seconds}.{fraction}")
