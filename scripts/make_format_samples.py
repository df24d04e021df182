"""Make the files that the tests of the formats read, with pandoc, LibreOffice, pyarrow and zstandard, from one text.

    scripts/make_format_samples.py tests/fixtures/formats --bomb tests/fixtures/bombs/rows.parquet
    scripts/make_format_samples.py DIRECTORY --megabytes 0.2    larger ones, to measure

The text is made of stories, with a list, a table, verse, code and a footnote at its end. The PDF has a running header
and page numbers.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pyarrow
import zstandard
from pyarrow import parquet

from semilla.stories import generate_corpus

HEAD = "---\ntitle: The seed book\nauthor: Semilla\nlang: en\n---\n\n"
END = """

A paragraph with *marked* words, a [link](https://example.org/page) and a note[^1].

[^1]: The note says something about the mark.

- first item of a list
- second item of a list

| name | age |
|------|-----|
| Ana  | 7   |
| Iker | 8   |

```python
def double(number):
    return number * 2
```

| The first line of a verse,
|     and the second, which is indented.
"""
PANDOC_FORMATS = ("html", "epub", "docx", "odt", "rtf", "txt")
RUNNING_HEADER = "A running header of every page"


def write_reference(size_bytes: int) -> str:
    """Markdown with stories in two languages, each a chapter."""
    chapters = [
        "\n\n".join(line for line in story.split("\n") if line.strip())
        for document in generate_corpus(seed=5, size_bytes=1 << 20)
        for story in document.stories[: size_bytes // 1600]
    ]
    return (
        HEAD + "\n\n".join(f"## Chapter {number}\n\n{text}" for number, text in enumerate(chapters, 1)) + END
    )


def add_header(source: Path, target: Path) -> None:
    """Copy an OpenDocument text, with a running header on every page."""
    header = f"<style:header><text:p>{RUNNING_HEADER}</text:p></style:header>"
    style = (
        "<style:header-style><style:header-footer-properties fo:min-height='0.4in' fo:margin-bottom='0.2in'/>"
        "</style:header-style>"
    )
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == "styles.xml":
                text = data.decode().replace("<style:header-style />", style)
                data = re.sub(r"(<style:master-page [^>]*>)", rf"\1{header}", text).encode()
            new.writestr(info, data)


def write_parquet(rows: list[dict[str, str]], target: Path) -> None:
    parquet.write_table(pyarrow.Table.from_pylist(rows), target, store_schema=False)


def write_bomb(target: Path) -> None:
    """Two kilobytes with a gigabyte of text: a million rows of one string, which is stored once."""
    texts = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 1_000_000, pyarrow.int32()), pyarrow.array(["hola mundo " * 100])
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(
        pyarrow.table({"text": texts}),
        target,
        compression="zstd",
        data_page_size=1 << 24,
        write_statistics=False,
        store_schema=False,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("--megabytes", type=float, default=0.008)
    parser.add_argument("--bomb", type=Path, metavar="FILE", help="also write a hostile Parquet file")
    arguments = parser.parse_args()
    for program in ("pandoc", "soffice"):
        if shutil.which(program) is None:
            print(f"{program} is missing: apt-get install pandoc libreoffice-writer-nogui", file=sys.stderr)
            return 1
    folder: Path = arguments.directory
    folder.mkdir(parents=True, exist_ok=True)
    reference = folder / "sample.md"
    reference.write_text(write_reference(int(arguments.megabytes * 1e6)), encoding="utf-8")
    for suffix in PANDOC_FORMATS:
        extra = {"txt": ["--to", "plain", "--wrap", "none"], "html": ["--toc"]}.get(suffix, [])
        target = folder / f"sample.{suffix}"
        subprocess.run(["pandoc", "--standalone", *extra, reference, "--output", target], check=True)
    stories = reference.read_text(encoding="utf-8").removeprefix(HEAD).split("## ")[1:]
    write_parquet(
        [{"title": one.partition("\n")[0], "text": one} for one in stories], folder / "sample.parquet"
    )
    packed = zstandard.ZstdCompressor().compress((folder / "sample.txt").read_bytes())
    (folder / "sample.txt.zst").write_bytes(packed)
    if arguments.bomb:
        write_bomb(arguments.bomb)
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "sample.odt"
        add_header(folder / "sample.odt", source)
        words = ["soffice", "--headless", "--convert-to", "pdf", "--outdir", str(folder), str(source)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
