"""Check what a checkpoint contains, before torch parses it and again before it is used.

A hash proves that a file is complete, not who wrote it. ``torch.load(weights_only=True)`` executes nothing, but it
would still decompress entries, and accept tensors that claim more memory than they have. So the archive must be
uncompressed, its pickle may refer only to tensors, and every tensor must own the memory it spans.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterable, Iterator, Mapping

import torch

from semilla.errors import IncompatibleError, IntegrityError

MAX_PICKLE_BYTES = 4 << 20
"""The default model's pickle is 6 KB: names, shapes and histories, but no weights."""
MAX_DEPTH = 100
MAX_ENTRIES = 10_000
MAX_NODES = 1_000_000
ALLOWED_GLOBALS = frozenset(
    {"collections OrderedDict", "torch._utils _rebuild_tensor_v2"}
    | {f"torch {kind}Storage" for kind in ("Float", "BFloat16", "Half", "Double", "Long", "Int", "Bool")}
)
"""The only globals that the pickle of a checkpoint may refer to."""
_FORBIDDEN_OPCODES = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID"}


def inspect_archive(data: bytes, *, name: str) -> None:
    """Raise IntegrityError unless ``data`` is an archive as ``torch.save`` writes for tensors and plain values.

    Nothing is decompressed, allocated or executed: the pickle's opcodes are only listed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_entries(archive.infolist(), size_bytes=len(data))
            named = set(_list_globals(archive.read("archive/data.pkl")))
    except (KeyError, ValueError, EOFError, RecursionError, NotImplementedError, zipfile.BadZipFile) as error:
        raise IntegrityError(
            f"{name} is not a checkpoint archive: {ascii(str(error)[:200])[1:-1]}"
        ) from error
    if not named <= ALLOWED_GLOBALS:
        raise IntegrityError(
            f"{name} refers to what no checkpoint needs: {sorted(named - ALLOWED_GLOBALS)!a}"
        )


def inspect_content(content: object, *, name: str) -> None:
    """Raise IntegrityError unless every tensor in ``content`` is dense, contiguous and owns all it spans."""
    for number, value in enumerate(_walk(content)):
        if number >= MAX_NODES:
            raise IntegrityError(f"{name} holds more than {MAX_NODES:,} values")
        if isinstance(value, torch.Tensor) and not _owns_its_memory(value):
            raise IntegrityError(
                f"{name} holds a tensor of shape {tuple(value.shape)} without the memory for it"
            )


def check_shapes(found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], *, name: str) -> None:
    """Raise IncompatibleError, naming the first difference, unless names and shapes are the same."""
    for key in sorted(found.keys() | wanted.keys()):
        old, new = (tuple(one[key].shape) if key in one else "missing" for one in (found, wanted))
        if old != new:
            raise IncompatibleError(f"{name} does not fit the model: {ascii(key)[1:-1][:100]} {old} -> {new}")


def _check_entries(entries: Iterable[zipfile.ZipInfo], *, size_bytes: int) -> None:
    entries = list(entries)
    paths = {entry.filename for entry in entries}
    if len(entries) > MAX_ENTRIES or len(paths) < len(entries):
        raise ValueError("too many or duplicate entries")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise ValueError("an entry is compressed or encrypted")
    if any(entry.compress_size != entry.file_size for entry in entries):
        raise ValueError("an entry's sizes differ")
    if sum(entry.file_size for entry in entries) > size_bytes:
        raise ValueError("the entries claim more bytes than there are")
    pickles = [entry for entry in entries if entry.filename.endswith(".pkl")]
    if [entry.filename for entry in pickles] != ["archive/data.pkl"] or pickles[
        0
    ].file_size > MAX_PICKLE_BYTES:
        raise ValueError("it contains other pickles than one of moderate size")


def _list_globals(pickle: bytes) -> Iterator[str]:
    depth = 0
    for opcode, argument, _ in pickletools.genops(pickle):
        depth += (opcode.name == "MARK") - (pickletools.markobject in opcode.stack_before)
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        if opcode.name in _FORBIDDEN_OPCODES:
            raise ValueError(f"opcode {opcode.name}")
        if opcode.name == "GLOBAL":
            yield str(argument)


def _walk(content: object) -> Iterator[object]:
    """Every value in ``content`` once. Not recursive: deep nesting would exceed the recursion limit."""
    waiting, seen = [content], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list | tuple):
            if id(value) in seen:
                continue
            seen.add(id(value))
            waiting += [*value, *value.values()] if isinstance(value, dict) else value
        yield value


def _owns_its_memory(tensor: torch.Tensor) -> bool:
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or not tensor.is_contiguous():
        return False
    needed = (tensor.storage_offset() + tensor.numel()) * tensor.element_size()
    return needed <= tensor.untyped_storage().nbytes()


def check_optimizer(optimizer: torch.optim.Optimizer, *, name: str) -> None:
    """Raise IntegrityError when a restored optimizer has a tensor whose shape differs from its parameter's."""
    for parameter, kept in optimizer.state.items():
        if not isinstance(parameter, torch.Tensor) or not isinstance(kept, dict):
            raise IntegrityError(f"{name} has an optimizer state that belongs to no weights")
        shapes = {
            tuple(value.shape) for value in kept.values() if isinstance(value, torch.Tensor) and value.dim()
        }
        if shapes - {tuple(parameter.shape)}:
            raise IntegrityError(f"{name} has an optimizer state whose shape differs from its weights")
