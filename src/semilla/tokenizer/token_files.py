"""Token files: the ids of many documents, read through a memory map.

``NAME.ds`` has the ids as little-endian unsigned 16-bit integers, one document after another. ``NAME.ds.index`` has for
each document where it ends: the number of ids up to there, as a little-endian unsigned 64-bit integer. This is the
format of datatrove (``DocumentTokenizer``, ``DatatroveFileDataset``). docs/scaling.md describes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from semilla.errors import IntegrityError
from semilla.records.files import Artifact, describe_artifact, verify_artifact, write_bytes
from semilla.system.mapped_file import MappedFile

SUFFIX, INDEX_SUFFIX = ".ds", ".ds.index"
ID_TYPE, END_TYPE = np.dtype("<u2"), np.dtype("<u8")
MAX_IDS = 1 << 16

Ids = npt.NDArray[np.uint16]
Counts = npt.NDArray[np.int64]


Packed = tuple[bytes, list[int]]
"""The bytes of the ids of some documents, and how many ids each has."""


def pack_documents(documents: Sequence[npt.NDArray[np.integer]]) -> Packed:
    """Pack documents of ids below 65,536; there is at least one."""
    ids = np.concatenate(documents)
    assert ids.min(initial=0) >= 0
    assert ids.max(initial=0) < MAX_IDS
    return ids.astype(ID_TYPE).tobytes(), [len(one) for one in documents]


def write_token_file(path: Path, packed: Sequence[Packed], *, root: Path) -> list[Artifact]:
    """Write ``path``, which ends in ``.ds``, and its index."""
    write_bytes(path, b"".join(ids for ids, _ in packed))
    index = path.with_suffix(INDEX_SUFFIX)
    ends = np.cumsum([size for _, sizes in packed for size in sizes])
    write_bytes(index, ends.astype(END_TYPE).tobytes())
    paths = (path, index)
    return [describe_artifact(one, root=root) for one in paths]


class TokenFiles:
    """The documents of several token files, numbered through, and their ids as one long row."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Raises IntegrityError when an index does not fit its file."""
        self._files = [MappedFile(path) for path in paths]
        self._ids = [np.frombuffer(file.map, ID_TYPE) for file in self._files]
        self._starts = np.cumsum([0, *map(len, self._ids)])
        ends = [np.fromfile(path.with_suffix(INDEX_SUFFIX), END_TYPE).astype(np.int64) for path in paths]
        for path, ids, own in zip(paths, self._ids, ends, strict=True):
            if not len(own) or own[-1] != len(ids) or (np.diff(own, prepend=0) < 0).any():
                raise IntegrityError(f"{path} does not fit its index")
        shifted = [own + start for own, start in zip(ends, self._starts, strict=False)]
        self.ends = np.concatenate(shifted) if shifted else np.zeros(0, np.int64)
        """Where each document ends in the row."""

    @property
    def sizes(self) -> Counts:
        """Tokens of each document."""
        return np.diff(self.ends, prepend=0)

    def take(self, positions: Counts) -> Ids:
        """The ids at these positions of the row, in the shape of ``positions``."""
        places = np.searchsorted(self._starts, positions, side="right") - 1
        taken = np.empty(positions.shape, np.uint16)
        for place in np.unique(places):
            chosen = places == place
            taken[chosen] = self._ids[place][positions[chosen] - self._starts[place]]
            self._files[place].count(min(taken.nbytes * 64, len(self._files[place])))
        return taken

    def list_documents(self) -> list[Ids]:
        """Views of all documents, which read them when they are used."""
        starts = np.searchsorted(self._starts, self.ends - 1, side="right") - 1
        bounds = np.stack([self.ends - self.sizes, self.ends]) - self._starts[starts]
        return [self._ids[place][start:end] for place, start, end in zip(starts, *bounds, strict=True)]


def verify_token_file(artifacts: Sequence[Artifact], *, root: Path) -> None:
    """Raise IntegrityError unless both files are, byte for byte, what was recorded."""
    for artifact in artifacts:
        verify_artifact(artifact, root=root)
