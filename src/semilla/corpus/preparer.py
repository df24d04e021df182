"""Cleans and measures files, perhaps in other processes: what these are sent and send has only built-in types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.formats.extracted import Extracted
from semilla.corpus.formats.reading import FileText
from semilla.corpus.manifest import Provenance
from semilla.corpus.prepared import PreparedDocument, prepare_file
from semilla.corpus.remarks import PackedRemarks, Remarks
from semilla.corpus.traits import TextTraits

Packed = dict[str, Any]


def pack_request(found: FileText, origin: Provenance | None, *, compares_similar: bool) -> Packed:
    """A file that was read, where it came from if it was downloaded, and how its paragraphs are compared."""
    packed = origin.model_dump() if origin else None
    return {"found": asdict(found), "origin": packed, "compares_similar": compares_similar}


def make_preparer(config_json: str) -> Callable[[Packed], tuple[Packed | None, PackedRemarks]]:
    """A function that cleans and measures a file, and gives the remarks on it; no document for a file without text."""
    config = PipelineConfiguration.model_validate_json(config_json)

    def prepare(request: Packed) -> tuple[Packed | None, PackedRemarks]:
        documents = tuple(Extracted(**one) for one in request["found"]["documents"])
        found = FileText(**request["found"] | {"documents": documents})
        origin = Provenance(**request["origin"]) if request["origin"] else None
        remarks = Remarks()
        document = prepare_file(found, config, remarks=remarks, origin=origin)
        if document is None:
            return None, remarks.pack()
        document.measure(finds_paragraphs=True, compares_similar=request["compares_similar"])
        return _pack_document(document), remarks.pack()

    return prepare


def _pack_document(document: PreparedDocument) -> Packed:
    assert document.traits
    packed = {one.name: getattr(document, one.name) for one in fields(document)}
    return packed | {"provenance": document.provenance.model_dump(), "traits": document.traits.pack()}


def unpack_document(packed: Packed) -> PreparedDocument:
    provenance, traits = Provenance(**packed["provenance"]), TextTraits.unpack(packed["traits"])
    return PreparedDocument(**packed | {"provenance": provenance, "traits": traits})
