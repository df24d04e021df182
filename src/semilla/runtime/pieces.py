"""Decodes generated tokens to text, piece by piece."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from semilla.tokenizer.tokenizer import SPACE_MARK, Tokenizer


class PieceDecoder:
    """Decodes tokens to text; holds back incomplete characters, and text that may become one of the ``stop`` texts.

    ``texts`` caches the text of tokens that are whole characters, for every decoder that shares it: without it, two
    calls of SentencePiece and a decoding of bytes took a tenth of the time of a token.
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
        """The text that is certain after ``token``; often empty."""
        text = self._texts.get(token)
        if text is None or self._is_inside:
            text = self._decode(token)
        return self._hold_back(text) if self._stop else text

    def _decode(self, token: int) -> str:
        """The characters that ``token`` completes, or leaves broken."""
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
        # The stop text that is complete first counts: "b" ends "ab", even if "abc" might have come.
        found = [(place + len(stop), place) for stop in self._stop if (place := text.find(stop)) >= 0]
        self.is_stopped = bool(found)
        certain = min(found)[1] if found else len(text) - self._measure_overlap(text)
        self._held = text[certain:]
        return text[:certain]

    def finish(self) -> str:
        """Return the text held back for a stop text; an incomplete character at the end is dropped."""
        return self._held

    def _measure_overlap(self, text: str) -> int:
        """Length of the longest suffix of ``text`` that is a proper prefix of a stop text."""
        longest = max((len(stop) - 1 for stop in self._stop), default=0)
        ends = range(min(longest, len(text)), 0, -1)
        return next((end for end in ends if any(stop.startswith(text[-end:]) for stop in self._stop)), 0)
