"""The text of a value of JSON or Parquet: a string, the messages of a conversation, or the parts of one text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_TEXT_FIELDS = ("text", "content", "value", "message", "parts", "body", "utterance")
_SPEAKER_FIELDS = ("role", "from", "speaker", "author", "sender_name", "sender", "name")
_MAX_DEPTH = 12


def find_text(value: Any) -> str:
    """The text of a value; empty for numbers and for lists and objects without strings.

    A list of objects is a conversation, with a line ``speaker: words`` for each, and so is an object of objects, whose
    names are numbers of messages; a list of strings has a line for each;
    strings and objects in turn are parts of one text, such as words and a link. Of an object it is the field that has
    the text by its name, else the longest.
    """
    return _find(value, depth=0, in_list=False)


def _find(value: Any, *, depth: int, in_list: bool) -> str:
    if isinstance(value, str):
        return value
    if depth > _MAX_DEPTH:
        return ""
    if isinstance(value, Mapping):
        if not value.keys() & {*_TEXT_FIELDS} and all(isinstance(one, Mapping) for one in value.values()):
            return _find(list(value.values()), depth=depth, in_list=in_list)
        return _find_in_object(value, depth=depth, in_list=in_list)
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        return ""
    found = [_find(one, depth=depth + 1, in_list=True) for one in value]
    kinds = {isinstance(one, str) for one in value}
    return ("" if len(kinds) > 1 else "\n").join(one for one in found if one)


def _find_in_object(value: Mapping[str, Any], *, depth: int, in_list: bool) -> str:
    named = next((value[one] for one in _TEXT_FIELDS if value.get(one)), None)
    text = _find(named, depth=depth + 1, in_list=in_list)
    if not text:
        text = max(
            (_find(one, depth=depth + 1, in_list=in_list) for one in value.values()), key=len, default=""
        )
    speaker = _find_speaker(value) if in_list else ""
    return f"{speaker}: {text}" if speaker and text.strip() and text != speaker else text


def _find_speaker(value: Mapping[str, Any]) -> str:
    speaker = next((value[one] for one in _SPEAKER_FIELDS if value.get(one)), "")
    if isinstance(speaker, Mapping):
        speaker = next((speaker[one] for one in _SPEAKER_FIELDS if speaker.get(one)), "")
    return speaker if isinstance(speaker, str) else ""
