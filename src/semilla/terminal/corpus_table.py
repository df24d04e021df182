"""What a source holds, as a table: its files, what became of them, and the first lines that a model will see."""

from __future__ import annotations

from collections import Counter

from semilla.corpus.manifest import CorpusManifest, DocumentEntry
from semilla.terminal.console import print_text
from semilla.terminal.tables import print_table

MAX_ROWS = 20
_HEADINGS = ("file", "format", "encoding", "language", "lines", "documents", "kept", "removed")
_NUM_LINES, _LINE_CHARACTERS = 3, 100
_NUM_NAMED = 3


def print_corpus(manifest: CorpusManifest, text: str) -> None:
    """Print a row for each file, those left out by reason, and three lines of ``text``, the corpus."""
    entries = manifest.documents
    print_table([_describe(entry) for entry in entries[:MAX_ROWS]], headings=_HEADINGS)
    if len(entries) > MAX_ROWS:
        formats = Counter(entry.provenance.format for entry in entries)
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in formats.most_common())
        print_text(f"... and {len(entries) - MAX_ROWS:,} more; all {len(entries):,}: {kinds}")
    for line in manifest.describe_weights():
        print_text(line)
    reasons: dict[str, list[str]] = {}
    for one in manifest.left_out:
        reasons.setdefault(one.reason, []).append(one.path)
    for reason, paths in sorted(reasons.items()):
        more = ", ..." if len(paths) > _NUM_NAMED else ""
        print_text(f"left out, {reason}: {len(paths):,} ({', '.join(paths[:_NUM_NAMED])}{more})")
    print_text("the model will see:")
    lines = [line for line in text.split("\n") if line.strip()]
    for line in lines[:_NUM_LINES]:
        cut = line[:_LINE_CHARACTERS]
        print_text(f"  {cut}{'…' if len(line) > len(cut) else ''}")


def _describe(entry: DocumentEntry) -> tuple[str, ...]:
    origin = entry.provenance
    return (
        origin.source,
        origin.format,
        origin.encoding,
        entry.language,
        entry.layout or "",
        f"{max(1, len(entry.document_bytes)):,}",
        f"{entry.end_byte - entry.start_byte:,} bytes",
        f"{sum(entry.removed.values()):,} characters",
    )
