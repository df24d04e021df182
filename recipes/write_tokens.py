"""Write the training text of a run as a token file, with the run's exported tokenizer.

    semilla export data --to huggingface
    python recipes/write_tokens.py data tokens

``tokens/train.ds`` has the ids of all documents, each from ``<s>`` to ``</s>``. ``tokens/train.ds.index`` has for each
document where it ends, as little-endian unsigned 64-bit integers. This is the format of datatrove. Text for validation
is left out. For text that does not fit into memory, use ``prepare_text.py``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from semilla.corpus.manifest import read_documents


def encode_documents(run: Path, tokenizer: Tokenizer) -> Iterator[list[int]]:
    """The ids of each training document; those of one language follow each other, as in training."""
    tokenizer.encode_special_tokens = True  # "<s>" in a text is text
    begin, end = (tokenizer.token_to_id(token) for token in ("<s>", "</s>"))
    texts = list(read_documents(run))
    languages = list(dict.fromkeys(text.language for text in texts))
    for text in sorted(texts, key=lambda one: languages.index(one.language)):
        for document in text.train_texts:
            ids = tokenizer.encode(document.rstrip("\n")).ids
            yield from [[begin, *ids, end]] * text.weight


def write_tokens(run: Path, folder: Path, *, tokenizer_file: Path) -> Path:
    """Write ``train.ds`` and its index into ``folder``, which may be new; return the path of the first."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    documents = list(encode_documents(run, tokenizer))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "train.ds"
    np.concatenate(documents).astype("<u2" if tokenizer.get_vocab_size() <= 1 << 16 else "<u4").tofile(path)
    np.cumsum([len(ids) for ids in documents]).astype("<u8").tofile(path.with_suffix(".ds.index"))
    return path


def main() -> None:
    """Read the command line and write."""
    parser = argparse.ArgumentParser(description="Write the training text of a run as a token file.")
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", type=Path, help="default: RUN/exports/huggingface/tokenizer.json")
    chosen = parser.parse_args()
    tokenizer_file = chosen.tokenizer or chosen.run / "exports" / "huggingface" / "tokenizer.json"
    path = write_tokens(chosen.run, chosen.folder, tokenizer_file=tokenizer_file)
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
