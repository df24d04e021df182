"""SubRip (.srt) and WebVTT (.vtt): the spoken lines, without numbers, times, settings and tags."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from semilla.corpus.formats.extracted import Extracted, ReadOptions
from semilla.corpus.formats.plain_text import decode_text

_TIMES = re.compile(r"\s*(?:\d+:)?\d{1,2}:\d\d[,.]\d{1,3}\s*-->\s*(?:\d+:)?\d{1,2}:\d\d[,.]\d{1,3}")
_TAGS = re.compile(r"</?[A-Za-z][^<>\n]*>|<\d[\d:.]*>|\{\\[^{}\n]*\}")
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read one document: a line for each line of a cue. Cues that repeat the one before are left out."""
    text, encoding = decode_text(data, name=name, encoding=options.encoding)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines: list[str] = []
    for block in _BLANK_LINES.split(text):
        cue = _read_cue(block)
        if cue and cue != lines[-len(cue) :]:
            lines += cue
    spoken = "\n".join(lines)
    num_removed = sum(map(len, text.split())) - sum(map(len, spoken.split()))
    yield Extracted(spoken, encoding=encoding, removed={"subtitle_times": max(0, num_removed)})


def _read_cue(block: str) -> list[str]:
    """The lines after the times; none for notes, styles and the head of a file."""
    lines = block.strip("\n").split("\n")
    start = next((place for place, line in enumerate(lines) if _TIMES.match(line)), None)
    if start is None:
        return []
    spoken = (html.unescape(_TAGS.sub("", line)).strip() for line in lines[start + 1 :])
    return [line for line in spoken if line]
