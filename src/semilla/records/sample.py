"""A text that a model wrote, as records keep it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from semilla.records.record import Record

Ending = Literal["itself", "stop", "limit"]
"""Why a text ended: the model chose the end token, a stop text came, or the limit of tokens was reached."""


class Sample(Record):
    """A prompt, its continuation, and why that ended. Earlier records have only the two in one, as ``text``."""

    text: str
    prompt: str = ""
    language: str = ""
    ended: Ending | None = None

    @property
    def whole(self) -> str:
        return self.prompt + self.text

    @property
    def marked(self) -> str:
        """Both in one line of text: the prompt in brackets, and how the text ended."""
        prompt = f"[{self.prompt}]" if self.prompt else ""
        ending = {"itself": " [end]", "limit": "…"}.get(self.ended or "", "")
        return f"{prompt}{self.text.rstrip()}{ending}"


def recall_samples(samples: Sequence[Sample], texts: Sequence[str]) -> list[Sample]:
    """The samples of a record; those of an earlier version from its ``texts``."""
    return list(samples) or [Sample(text=text) for text in texts]
