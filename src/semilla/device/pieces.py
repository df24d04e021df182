"""Generated tokens to text, piece by piece."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from semilla.tokenizer import SPACE_MARK, Tokenizer


class PieceDecoder:
    """Tokens to text: holds back unfinished characters, and what may yet become one of the ``stop`` texts."""

    def __init__(self, tokenizer: Tokenizer, *, stop: Sequence[str] = ()) -> None:
        self._processor = tokenizer.processor
        self._spelled: dict[
            int, bytes
        ] = {}  # asking SentencePiece twice for each token was a tenth of its time
        self._stop = stop
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.is_stopped = False

    def push(self, token: int) -> str:
        """Text that is certain once ``token`` is there; often none."""
        spelled = self._spelled.get(token) or self._spell(token)
        text = self._held + self._characters.decode(spelled).replace(SPACE_MARK, " ")
        if not self._stop:
            return text
        # Whichever is complete first, however tokens cut it: "b" ends "ab" even where "abc" might have come.
        found = [(place + len(stop), place) for stop in self._stop if (place := text.find(stop)) >= 0]
        self.is_stopped = bool(found)
        certain = min(found)[1] if found else len(text) - self._measure_overlap(text)
        self._held = text[certain:]
        return text[:certain]

    def _spell(self, token: int) -> bytes:
        piece: str = self._processor.IdToPiece(token)
        is_byte = self._processor.IsByte(token)
        spelled = bytes([int(piece[3:5], 16)]) if is_byte else piece.encode()  # byte pieces look like <0xC3>
        self._spelled[token] = spelled
        return spelled

    def finish(self) -> str:
        """Return what was held back for a stop text; half a character at the end is dropped."""
        return self._held

    def _measure_overlap(self, text: str) -> int:
        """Length of the longest end of ``text`` that begins a stop text."""
        longest = max((len(stop) - 1 for stop in self._stop), default=0)
        ends = range(min(longest, len(text)), 0, -1)
        return next((end for end in ends if any(stop.startswith(text[-end:]) for stop in self._stop)), 0)
