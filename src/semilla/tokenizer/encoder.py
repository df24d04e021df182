"""Encodes whole documents, in this process or in others, which import nothing that they do not need."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from semilla.tokenizer.token_files import Packed, pack_documents
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, Tokenizer, Tokens


def trim(text: str, *, has_ends: bool) -> str:
    """The text without the line breaks that separate it from the next document: the end token stands for them."""
    return text.rstrip("\n") if has_ends else text


def encode_document(text: str, tokenizer: Tokenizer, *, has_ends: bool) -> Tokens:
    """The ids of a document, from its begin token to its end token, if it has one."""
    ids = tokenizer.encode(trim(text, has_ends=has_ends))
    ends = [END_ID] if has_ends else []
    return np.concatenate([np.array([BEGIN_ID], np.int32), ids, np.array(ends, np.int32)])


Request = tuple[list[tuple[str, bool]], bool]
"""Documents, each with whether it has an end; and whether they are the last of a token file."""


def make_encoder(model: bytes) -> Callable[[Request], tuple[Packed, bool]]:
    """A function that encodes documents; it also gives back whether they are the last of a file."""
    tokenizer = Tokenizer(model)

    def encode(request: Request) -> tuple[Packed, bool]:
        documents, ends_file = request
        encoded = [encode_document(text, tokenizer, has_ends=has_ends) for text, has_ends in documents]
        return pack_documents(encoded), ends_file

    return encode
