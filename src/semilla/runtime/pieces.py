"""Generated tokens to text, piece by piece."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from semilla.tokenizer.tokenizer import SPACE_MARK, Tokenizer


class PieceDecoder:
    """Tokens to text: holds back unfinished characters, and what may yet become one of the ``stop`` texts.

    ``texts`` remembers what tokens of whole characters spell, for every decoder that is given it: asking
    SentencePiece twice for each token and decoding its bytes was a tenth of the time of a token.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, stop: Sequence[str] = (), texts: dict[int, str] | None = None
    ) -> None:
        self._processor = tokenizer.processor
        self._texts = {} if texts is None else texts
        self._stop = stop
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_inside = False
        self._held = ""
        self.is_stopped = False

    def push(self, token: int) -> str:
        """Text that is certain once ``token`` is there; often none."""
        text = self._texts.get(token)
        if text is None or self._is_inside:
            text = self._spell(token)
        return self._hold_back(text) if self._stop else text

    def _spell(self, token: int) -> str:
        """Characters that end with ``token``: its own, or those that bytes have made whole or left broken."""
        piece: str = self._processor.IdToPiece(token)
        if self._processor.IsByte(token):
            text = self._characters.decode(bytes([int(piece[3:5], 16)]))  # byte pieces look like <0xC3>
        else:
            self._texts[token] = own = piece.replace(SPACE_MARK, " ")
            text = self._characters.decode(own.encode())
        self._is_inside = self._characters.getstate()[0] != b""
        return text.replace(SPACE_MARK, " ")

    def _hold_back(self, text: str) -> str:
        text = self._held + text
        # Whichever is complete first, however tokens cut it: "b" ends "ab" even where "abc" might have come.
        found = [(place + len(stop), place) for stop in self._stop if (place := text.find(stop)) >= 0]
        self.is_stopped = bool(found)
        certain = min(found)[1] if found else len(text) - self._measure_overlap(text)
        self._held = text[certain:]
        return text[:certain]

    def finish(self) -> str:
        """Return what was held back for a stop text; half a character at the end is dropped."""
        return self._held

    def _measure_overlap(self, text: str) -> int:
        """Length of the longest end of ``text`` that begins a stop text."""
        longest = max((len(stop) - 1 for stop in self._stop), default=0)
        ends = range(min(longest, len(text)), 0, -1)
        return next((end for end in ends if any(stop.startswith(text[-end:]) for stop in self._stop)), 0)
