"""Text from outside, made safe to show: what could move the cursor or reorder a line is spelled out.

Everything that is shown or recorded goes through here: the terminal, the log, JSON and the configuration file.
"""

from __future__ import annotations

import re

# C0 and C1 controls but \n and \t, DEL, direction marks, embeddings, overrides and isolates, line separators,
# and lone surrogates, which stand for undecodable bytes in file names and cannot be printed at all. The
# zero-width joiner stays: emoji are made with it.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")


def escape_controls(text: str) -> str:
    r"""Spell every control character as ``\u001b``; line breaks and tabs pass.

    The form is that of JSON, so JSON that was dumped with ``ensure_ascii=False`` still means the same
    afterwards.
    """
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def redact_credentials(text: str) -> str:
    """Hide user names and passwords of every URL in ``text``."""
    return _USERINFO.sub("***@", text)
