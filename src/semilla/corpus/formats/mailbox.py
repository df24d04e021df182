"""Mail: a document for each message of an mbox or .eml file, with its subject as title."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from contextlib import suppress
from email.header import decode_header, make_header
from email.message import Message

from semilla.corpus.formats.extracted import Extracted, ReadOptions, UnreadableError
from semilla.corpus.formats.html import read_page
from semilla.installation import list_missing

_FROM = re.compile(rb"^From [^\r\n]+\r?\n", re.M)
_QUOTED_FROM = re.compile(r"^>(>*From )", re.M)
_MAX_PARTS = 1000


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:  # noqa: ARG001 - every reader has it
    """Read a document for each message that has text. Attachments are left out."""
    if not data.startswith(b"From "):
        messages = [data]
    else:
        starts = [match.end() for match in _FROM.finditer(data) if _begins_message(data, match.start())]
        ends = [data.rfind(b"From ", 0, start) for start in starts[1:]] + [len(data)]
        messages = [data[start:end] for start, end in zip(starts, ends, strict=True)]
    for one in messages:
        document = _read_message(one, options)
        if document is not None:
            yield document


def _begins_message(data: bytes, place: int) -> bool:
    return place == 0 or data[place - 2 : place] == b"\n\n" or data[place - 4 : place] == b"\r\n\r\n"


def _read_message(data: bytes, options: ReadOptions) -> Extracted | None:
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    found: dict[str, tuple[str, str]] = {}
    for number, part in enumerate(message.walk()):
        kind = part.get_content_type()
        if number > _MAX_PARTS:
            break
        if kind in {"text/plain", "text/html"} and kind not in found and not part.get_filename():
            found[kind] = _decode(part, options)
    if not found:
        return None
    text, encoding = next(iter(found.values()))
    if "text/plain" in found:
        text, encoding = found["text/plain"]
    elif list_missing(["selectolax"]):
        raise UnreadableError("a message in HTML needs the package selectolax", reason="package missing")
    else:
        text = read_page(text).text
    body = _QUOTED_FROM.sub(r"\1", text.replace("\r\n", "\n"))
    return Extracted(body, title=_decode_subject(message), encoding=encoding, layout="auto")


def _decode(part: Message, options: ReadOptions) -> tuple[str, str]:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    declared = str(part.get_content_charset() or "utf-8")
    for encoding in (declared, "utf-8", options.encoding, "cp1252"):
        with suppress(LookupError, ValueError):
            return data.decode(encoding), encoding
    return data.decode("latin-1"), "latin-1"


def _decode_subject(message: Message) -> str | None:
    subject = str(message.get("Subject") or "")
    with suppress(LookupError, ValueError, IndexError):
        subject = str(make_header(decode_header(subject)))
    return " ".join(subject.split()) or None
