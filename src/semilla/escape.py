"""Make untrusted text safe to show: escape characters that could move the cursor or reorder a line.

Everything shown or recorded goes through here: terminal output, the log, JSON and the configuration file.
"""

from __future__ import annotations

import json
import re

# C0 and C1 controls except \n and \t, DEL, direction marks, embeddings, overrides, isolates, line separators, and
# lone surrogates, which stand for undecodable bytes in file names and cannot be printed. The zero-width joiner stays:
# emoji use it.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_DIRECTION_MARKS = "\u061c\u200e\u200f"
"""Invisible characters that right-to-left text needs. In a file they are text; only a terminal may be misled."""

_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")


def escape_controls(text: str, *, keeps_marks: bool = False) -> str:
    r"""Write every control character as ``\u001b``, except line breaks, tabs and, for a file, direction marks.

    The form is JSON's, so JSON dumped with ``ensure_ascii=False`` keeps its meaning.
    """
    kept = _DIRECTION_MARKS if keeps_marks else ""
    return _UNSAFE.sub(lambda match: match[0] if match[0] in kept else f"\\u{ord(match[0]):04x}", text)


def redact_credentials(text: str) -> str:
    """Hide user names and passwords of every URL in ``text``."""
    return _USERINFO.sub("***@", text)


def dump_json(value: object) -> str:
    """JSON that may stand in a script element of a page: it has no "<" that could end the element."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace(
        "<", "\\u003c"
    )
