"""Markup in a text that is about to be learned as text: JSON, tables, chats, tags, escapes, entities."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

_SAMPLE_CHARACTERS = 200_000
_MIN_SHARE = 0.02
_MIN_MATCHES = 10
_MIN_RECORD_SHARE = 0.8
_NUM_RECORDS = 50
_SEPARATORS = {"\t": 1, ";": 2, "|": 2, ",": 2}
"""What separates the columns of a table, and the fewest in a row."""
_MIN_ROWS = 5
_CHAT_LINE = re.compile(
    r"""[\u200e\[(]*(?:\d{1,4}[./-]\d{1,2}[./-]\d{1,4}[,T]?\ )?\d{1,2}:\d\d(?::\d\d)?(?:\s?[ap]\.?\s?m\.?)?[\])]?
        (?:\ -|:)?\ *(?:[<(*][^<>\n]{1,40}[>)*]|[^:\n]{1,40}:)\ # 12/1/2023, 10:15 - Ana: and [10:15] <ana>
    |[^,\n]{1,40},\ \[[\d./-]{6,10},?\ \d{1,2}:\d\d[^\]\n]{0,10}\] # Ana, [12.01.2023 10:15]
    |[^:\n]{1,40}\s\d{1,2}:\d\d(?:\s?[ap]m)?$ # Ana 10:15 AM""",
    re.I | re.X,
)
"""A message with its time and sender, as messengers, IRC and some logs write them."""
_MIN_CHAT_SHARE = 0.4
"""Messages go on in further lines."""
_MARKUP = {
    "JSON, whose field names and braces": re.compile(r'^[ \t]*[\[{]?[ \t]*"[^"\n]{1,80}"[ \t]*:', re.M),
    r"escapes such as \u00e9, which": re.compile(r"\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}"),
    "tags such as <p>, which": re.compile(r"</?[A-Za-z!?][^<>\n]{0,300}>"),
    "entities such as &eacute;, which": re.compile(r"&(?:[A-Za-z]{2,8}|#\d{2,6}|#x[0-9a-fA-F]{2,6});"),
    r"commands of TeX, which": re.compile(r"\\(?:[A-Za-z]+\*?[{\[]|(?:begin|end|item|par)\b)"),
    "wiki markup such as [[, which": re.compile(r"\[\[|\]\]|\{\{|\}\}"),
    "times of subtitles, which": re.compile(r"^\d\d:\d\d:\d\d[,.]\d{3} --> \d\d:\d\d:\d\d[,.]\d{3}.*$", re.M),
}


def find_markup(text: str) -> tuple[str, str] | None:
    """Find the kind of markup that a text consists of, and an example; None for plain text."""
    sample = text[:_SAMPLE_CHARACTERS]
    lines = [line for line in sample.split("\n") if line.strip()][:_NUM_RECORDS]
    if sum(map(_is_record, lines)) >= _MIN_RECORD_SHARE * len(lines):
        return "JSON records, whose field names and braces", lines[0][:60]
    messages = [line for line in lines if _CHAT_LINE.match(line)]
    if len(messages) >= max(_MIN_ROWS, _MIN_CHAT_SHARE * len(lines)):
        return "times and names before the lines, as in a chat or a log, which", messages[0][:60]
    for kind, pattern in _MARKUP.items():
        found = [match[0] for match in pattern.finditer(sample)]
        if len(found) >= _MIN_MATCHES and sum(map(len, found)) >= _MIN_SHARE * len(sample):
            return kind, found[0].strip()[:60]
    if len(lines) >= _MIN_ROWS and _are_rows(lines):
        return "rows of a table, whose separators and numbers", lines[0].strip()[:60]
    return None


def _are_rows(lines: Sequence[str]) -> bool:
    """Return whether lines are rows of a table: as many columns in nearly all. Commas of prose have a space after."""
    for separator, fewest in _SEPARATORS.items():
        rows = [line.strip().replace(" | ", "|") for line in lines]
        counts = Counter(row.count(separator) - row.count(f"{separator} ") for row in rows)
        usual, num_rows = counts.most_common(1)[0]
        if usual >= fewest and num_rows >= _MIN_RECORD_SHARE * len(lines):
            return True
    return False


def _is_record(line: str) -> bool:
    if line.lstrip()[:1] not in {"{", "["}:
        return False
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False
