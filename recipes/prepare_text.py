"""Filter, deduplicate and encode text on many processors, with datatrove. Copy it and change it.

    python recipes/prepare_text.py web/ prepared/ --languages en,es --workers 8 \
        --tokenizer data/exports/huggingface/tokenizer.json

``web/`` has files of one kind: Parquet with a column ``text``, WET or WARC files of a crawl, or JSON Lines. All but
Parquet may be packed as ``.gz`` or ``.zst``. An address that fsspec reads, such as ``hf://datasets/OWNER/NAME``, can
stand in its place. A task reads one file, and ``--workers`` tasks run at a time. The output does not depend on how
many. Of an interrupted run, only the unfinished tasks are repeated.

``prepared/documents`` has the text that is left, which ``semilla run -i prepared/documents`` reads. With a tokenizer,
``prepared/tokens`` has its token files, for ``train_llama.py``. Nothing is downloaded: py3langid brings its model with
it, and words are split at spaces instead of by spaCy, NLTK or Stanza.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.io import get_datafolder
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter, LambdaFilter
from datatrove.pipeline.readers import JsonlReader, ParquetReader, WarcReader
from datatrove.pipeline.tokens import DocumentTokenizer
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WordTokenizer
from tokenizers.processors import TemplateProcessing

from semilla.corpus.language import detect_languages

MINHASH = MinhashConfig(hash_config=HashConfig(hash_fc="sha1"))
"""Texts that share about 72 % of their five-word sequences count as duplicates: 14 buckets of 8 hashes."""
STOP_WORDS = ["the", "of", "and", "to", "that", "with", "de", "la", "que", "el", "y", "los", "en", "un"]
"""A text without two of these is no prose in English or Spanish. Name those of your languages."""

WEB_PAGES = "**/*.warc*"
READERS = {
    "**/*.parquet": ParquetReader,
    "**/*.wet*": WarcReader,
    WEB_PAGES: WarcReader,
    "**": JsonlReader,
}
"""What reads files with such names. Of a folder that has several kinds, only the first is read; it says so."""
WARC_PACKAGES = {
    "warcio": "warcio",
    "cchardet": "faust-cchardet",
    "magic": "python-magic",
    "trafilatura": "trafilatura",
    "lxml_html_clean": "lxml-html-clean",
}
"""What reads WARC files and web pages: the modules, and the packages that bring them."""


class Words(WordTokenizer):
    """Words are what spaces separate, as the rules of Gopher count them (Rae et al. 2021, arXiv:2112.11446)."""

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()

    def sent_tokenize(self, text: str) -> list[str]:
        raise NotImplementedError("no step here needs sentences")

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        raise NotImplementedError("no step here needs sentences")


class TokenFileWriter(DocumentTokenizer):
    """Encodes each document as Semilla does: from the begin token to the end token, and ``<s>`` in a text is text."""

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> None:
        marks = [(token, self.tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
        self.tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=marks)
        self.tokenizer.encode_special_tokens = True
        super().run(data, rank, world_size)


def is_in(languages: Sequence[str], document: Document) -> bool:
    """Whether the document is mostly in one of these languages (two-letter codes)."""
    return next(iter(detect_languages(document.text))) in languages


@dataclass(frozen=True)
class Preparation:
    """The stages from ``source`` to ``folder``; each is a list of datatrove's steps and a number of tasks.

    On a cluster, replace LocalPipelineExecutor by SlurmPipelineExecutor or RayPipelineExecutor. They take the same
    steps and tasks. Slurm's only submits jobs, so each also needs ``depends=``, the executor of the stage before.
    """

    source: str
    folder: Path
    languages: Sequence[str] = ()
    tokenizer: Path | None = None
    workers: int = 1

    def run(self) -> None:
        """Run one stage after another."""
        filters = [
            GopherRepetitionFilter(language=Words()),
            GopherQualityFilter(language=Words(), stop_words=STOP_WORDS),
        ]
        if self.languages:
            filters.insert(0, LambdaFilter(partial(is_in, self.languages)))
        self.execute("filter", [*self.open_source(), *filters, self.write("filtered")], tasks=self.num_files)

        work = self.folder / "work"
        signatures, pairs, removed = (str(work / name) for name in ("signatures", "pairs", "removed"))
        sign = MinhashDedupSignature(signatures, MINHASH, language=Words())
        self.execute("sign", [self.read("filtered"), sign], tasks=self.num_files)
        compare = MinhashDedupBuckets(signatures, pairs, config=MINHASH)
        self.execute("compare", [compare], tasks=MINHASH.num_buckets)
        self.execute("cluster", [MinhashDedupCluster(pairs, removed, MINHASH)], tasks=1)
        keep: list[Any] = [self.read("filtered"), MinhashDedupFilter(removed), self.write("../documents")]
        self.execute("keep", keep, tasks=self.num_files)
        if self.tokenizer:
            encode = TokenFileWriter(
                str(self.folder / "tokens"), str(self.tokenizer), shuffle_documents=False
            )
            self.execute("encode", [self.read("../documents"), encode], tasks=self.num_files)

    def execute(self, name: str, steps: Iterable[Any], *, tasks: int) -> None:
        """Run one stage; what it logs says how many documents each step kept."""
        logs = str(self.folder / "logs" / name)
        LocalPipelineExecutor(list(steps), tasks=tasks, workers=self.workers, logging_dir=logs).run()

    def open_source(self) -> list[Any]:
        """What reads the files, and of web pages, leaves the text.

        Raises SystemExit if a package is missing that WARC files need.
        """
        missing = [package for module, package in WARC_PACKAGES.items() if not find_spec(module)]
        if missing and READERS[self.pattern] is WarcReader:
            raise SystemExit(f"WARC files need more packages: pip install {' '.join(missing)}")
        reader = READERS[self.pattern](self.source, glob_pattern=self.pattern)
        # A page that takes longer than the time allowed is lost. The default of one second depends on the machine.
        return [reader, Trafilatura(timeout=60)] if self.pattern == WEB_PAGES else [reader]

    @cached_property
    def pattern(self) -> str:
        """The pattern of the files that are read; SystemExit if there is none. Says how many others there are."""
        folder = get_datafolder(self.source)
        counts = {pattern: len(folder.list_files(glob_pattern=pattern)) for pattern in READERS}
        pattern = next((one for one in READERS if counts[one]), "")
        if not pattern:
            raise SystemExit(f"no folder with files: {self.source}")
        if left_out := counts["**"] - counts[pattern]:
            print(f"{left_out} files beside {pattern} are left out", file=sys.stderr)
        return pattern

    @cached_property
    def num_files(self) -> int:
        return len(get_datafolder(self.source).list_files(glob_pattern=self.pattern))

    def read(self, name: str) -> JsonlReader:
        return JsonlReader(str(self.folder / "work" / name), add_file_path=False)

    def write(self, name: str) -> JsonlWriter:
        return JsonlWriter(str(self.folder / "work" / name), "${rank}.jsonl", compression=None)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="Filter, deduplicate and encode text on many processors.")
    parser.add_argument("source", help="folder of WARC, Parquet or JSON Lines files")
    parser.add_argument("folder", type=Path, help="folder for the output")
    parser.add_argument("--languages", default="", help="two-letter codes to keep; default: all")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json of an exported model")
    parser.add_argument("--workers", type=int, default=1, help="tasks at a time")
    chosen = parser.parse_args()
    languages = [code for code in chosen.languages.split(",") if code]
    Preparation(chosen.source, chosen.folder, languages, chosen.tokenizer, chosen.workers).run()


if __name__ == "__main__":
    main()
