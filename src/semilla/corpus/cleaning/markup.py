"""Markup in a text that is about to be learned as text: JSON, tags, escapes, entities."""

from __future__ import annotations

import json
import re

_SAMPLE_CHARACTERS = 200_000
_MIN_SHARE = 0.02
_MIN_MATCHES = 10
_MIN_RECORD_SHARE = 0.8
_NUM_RECORDS = 50
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
    for kind, pattern in _MARKUP.items():
        found = [match[0] for match in pattern.finditer(sample)]
        if len(found) >= _MIN_MATCHES and sum(map(len, found)) >= _MIN_SHARE * len(sample):
            return kind, found[0].strip()[:60]
    return None


def _is_record(line: str) -> bool:
    if line.lstrip()[:1] not in {"{", "["}:
        return False
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False
