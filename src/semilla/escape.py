"""Make untrusted text safe to show: escape characters that could move the cursor or reorder a line.

Everything shown or recorded goes through here: terminal output, the log, JSON and the configuration file.
"""

from __future__ import annotations

import re

# C0 and C1 controls except \n and \t, DEL, direction marks, embeddings, overrides, isolates, line separators, and
# lone surrogates, which stand for undecodable bytes in file names and cannot be printed. The zero-width joiner stays:
# emoji use it.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")


def escape_controls(text: str) -> str:
    r"""Write every control character as ``\u001b``, except line breaks and tabs.

    The form is JSON's, so JSON dumped with ``ensure_ascii=False`` keeps its meaning.
    """
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def redact_credentials(text: str) -> str:
    """Hide user names and passwords of every URL in ``text``."""
    return _USERINFO.sub("***@", text)
