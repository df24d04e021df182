"""Data sets of the Hugging Face Hub: how they are named, and which of their files a run reads.

A data set is a repository of files. Its card may list subsets (configurations) and splits with the patterns of their
files; otherwise the names of files and folders tell the split, as the Hub documents it
(https://huggingface.co/docs/hub/datasets-file-names-and-splits).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from semilla.corpus.formats.extracted import MAX_FILE_BYTES, Reason
from semilla.corpus.formats.known import has_known_suffix, is_code, may_be_large
from semilla.corpus.manifest import LeftOutFile
from semilla.errors import InvalidCorpusError

PREFIX = "hf://datasets/"
MAX_BYTES = 1 << 30
"""Of all files together, and of one that is read in pieces."""
MAX_FILES = 50_000
"""The Hub does not list all files of a larger repository in one answer."""
TRAIN = "train"
_ADDRESS = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?)"
    r"(?:@(?P<revision>refs/(?:convert|pr)/[\w.-]+|[^/@\s]+))?(?:/(?P<inside>[^\s].*)?)?",
    re.ASCII,
)
_KEYWORDS = {
    TRAIN: {"train", "training"},
    "validation": {"validation", "valid", "val", "dev"},
    "test": {"test", "testing", "eval", "evaluation"},
}
_DESCRIPTIONS = {"readme.md", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
"""Files that describe a data set and are not part of it."""


@dataclass(frozen=True)
class DataSetAddress:
    """``hf://datasets/OWNER/NAME@REVISION/INSIDE``; ``inside`` is a file, folder, pattern, subset or split."""

    name: str
    revision: str = "main"
    inside: str = ""

    def __str__(self) -> str:
        revision = "" if self.revision == "main" else f"@{self.revision}"
        return f"{PREFIX}{self.name}{revision}{f'/{self.inside}' if self.inside else ''}"

    def locate(self, path: str) -> str:
        """The address of a file of this data set."""
        return str(replace(self, inside=path))


def read_address(address: str) -> DataSetAddress:
    """Take an address apart. Raises InvalidCorpusError for one that names no data set."""
    found = _ADDRESS.fullmatch(address.removeprefix(PREFIX))
    if found is None:
        raise InvalidCorpusError(
            f"{address} does not name a data set: write {PREFIX}OWNER/NAME, and perhaps @REVISION and /FILE behind it"
        )
    inside = (found["inside"] or "").strip("/")
    return DataSetAddress(found["name"], (found["revision"] or "main").replace("%2F", "/"), inside)


class LargeFile(BaseModel):
    """What the Hub knows of a large file: its hash."""

    sha256: str


class DataFile(BaseModel):
    """A file of the repository. ``size`` is None where the Hub does not say it."""

    path: str = Field(alias="rfilename")
    size: int | None = None
    lfs: LargeFile | None = None


class Listing(BaseModel):
    """The Hub's answer about one revision: its commit, its files and the facts of its card."""

    commit: str = Field(alias="sha", pattern=r"^[0-9a-f]{40}$")
    files: list[DataFile] = Field(alias="siblings")
    card: dict[str, Any] | None = Field(default=None, alias="cardData")

    @property
    def licence(self) -> str | None:
        """The licence of the card; several are joined."""
        found = (self.card or {}).get("license")
        names = [str(one) for one in found] if isinstance(found, list) else [found]
        return ", ".join(name for name in names if isinstance(name, str)) or None


@dataclass(frozen=True)
class Choice:
    """The files to read, in the order of their paths, and the others with their reasons."""

    files: tuple[DataFile, ...]
    left_out: tuple[LeftOutFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(one.size or 0 for one in self.files)


def read_listing(data: bytes, address: DataSetAddress) -> Listing:
    """Read the Hub's answer. Raises InvalidCorpusError for anything else, or for too many files."""
    try:
        listing = Listing.model_validate_json(data)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "it is not JSON"
        raise InvalidCorpusError(f"the answer about {address} is not a list of files: {place}") from error
    if len(listing.files) >= MAX_FILES:
        raise InvalidCorpusError(
            f"{address} has {MAX_FILES:,} files or more, and the Hub does not list them all: download what you need"
        )
    return listing


def choose_files(listing: Listing, address: DataSetAddress) -> Choice:
    """Choose the files that the address names; without one, those of the split train in the first subset.

    Raises InvalidCorpusError when none is left, or when together they are too large.
    """
    files = {one.path: one for one in sorted(listing.files, key=lambda one: one.path)}
    reasons = _judge(files, listing.card or {}, address)
    choice = Choice(
        tuple(files[path] for path, reason in reasons.items() if reason is None),
        tuple(
            LeftOutFile(path=address.locate(path), reason=reason[0], detail=reason[1])
            for path, reason in reasons.items()
            if reason is not None
        ),
    )
    if not choice.files:
        raise InvalidCorpusError(_describe_nothing(choice, address))
    if choice.size_bytes > MAX_BYTES:
        least = min(choice.files, key=lambda one: one.size or 0)
        raise InvalidCorpusError(
            f"{address} has {show_mb(choice.size_bytes)} in {len(choice.files):,} files, and at most "
            f"{show_mb(MAX_BYTES)} are downloaded: name a file or a folder, such as {address.locate(least.path)}"
        )
    return choice


Why = tuple[Reason, str]
"""Why a file is left out, in a word or two and in detail."""
Judged = dict[str, Why | None]
"""For each path, why its file is left out; None for one that is read."""


def _judge(files: Mapping[str, DataFile], card: Mapping[str, Any], address: DataSetAddress) -> Judged:
    inside = address.inside
    if inside in files:
        return {inside: _judge_size(files[inside])}
    if "*" in inside:
        data, judged = _sort_out([path for path in files if _matches(path, [inside])])
        return judged | {path: _judge_size(files[path]) for path in data}
    if below := [path for path in files if path.startswith(f"{inside}/")]:
        return _take_split(files, below, TRAIN, prefix=inside)
    subsets = _list_subsets(card)
    words = inside.split("/") if inside else []
    subset = words.pop(0) if words and words[0] in subsets else next(iter(subsets), "")
    if len(words) > 1:
        raise InvalidCorpusError(f"{address.locate('')} has no file or folder {inside}")
    split = words[0] if words else TRAIN
    return _take_subset(files, subsets, subset, split) if subset else _take_split(files, [*files], split)


def _sort_out(paths: Sequence[str]) -> tuple[list[str], Judged]:
    """The paths of data, and the reasons of all others: hidden, descriptions, scripts, other formats."""
    judged: Judged = {}
    for path in paths:
        names = PurePosixPath(path).parts
        if any(name.startswith(".") for name in names):
            judged[path] = ("hidden", "")
        elif names[-1].lower() in _DESCRIPTIONS or is_code(path):
            judged[path] = ("not data", "about the data set")
        elif not has_known_suffix(path):
            judged[path] = ("unknown format", "")
    data = [path for path in paths if path not in judged]
    suffixes = Counter(PurePosixPath(path).suffix for path in data)
    usual = max(
        suffixes, key=lambda one: suffixes[one], default=""
    )  # the same rows are often in several formats
    judged |= {path: ("other format", f"most files are {usual}") for path in data if not path.endswith(usual)}
    return [path for path in data if path not in judged], judged


def _take_split(
    files: Mapping[str, DataFile], paths: Sequence[str], split: str, *, prefix: str = ""
) -> Judged:
    """Take the files whose names tell the split; those that tell none are for training if no other file is."""
    data, judged = _sort_out(paths)
    splits = {path: _find_split(path.removeprefix(prefix)) for path in data}
    others = "" if TRAIN in splits.values() else TRAIN
    splits = {path: found or others for path, found in splits.items()}
    split = _choose_split(split, set(splits.values()))
    return judged | {
        path: _judge_size(files[path]) if found == split else ("other split", found or "unnamed")
        for path, found in splits.items()
    }


def _find_split(path: str) -> str:
    """The split that a path names, in its file's name or else in a folder's; empty for none."""
    for part in reversed(PurePosixPath(path).parts):
        words = set(re.split(r"[^a-z]+", part.lower()))
        for split, keywords in _KEYWORDS.items():
            if words & keywords:
                return split
    return ""


def _choose_split(split: str, splits: Collection[str]) -> str:
    """The split that was asked for; where there is one only, training takes that."""
    return next(iter(splits)) if split == TRAIN and len(splits) == 1 else split


def _list_subsets(card: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    """The patterns of the card's subsets, by split; the default subset is the first."""
    configs = card.get("configs")
    found: dict[str, dict[str, list[str]]] = {}
    for config in configs if isinstance(configs, list) else []:
        if isinstance(config, dict) and config.get("data_files") is not None:
            name, splits = str(config.get("config_name", "default")), _list_splits(config["data_files"])
            is_default = name == "default" or config.get("default") is True
            found = {name: splits, **found} if is_default else {**found, name: splits}
    return found


def _list_splits(data_files: Any) -> dict[str, list[str]]:
    """The patterns of each split: one pattern, a list of them, or a list of splits with theirs."""
    splits: dict[str, list[str]] = {}
    for entry in data_files if isinstance(data_files, list) else [data_files]:
        split, paths = (entry.get("split"), entry.get("path")) if isinstance(entry, dict) else (TRAIN, entry)
        patterns = paths if isinstance(paths, list) else [paths]
        splits.setdefault(str(split or TRAIN), []).extend(one for one in patterns if isinstance(one, str))
    return splits


def _take_subset(
    files: Mapping[str, DataFile], subsets: Mapping[str, Mapping[str, list[str]]], subset: str, split: str
) -> Judged:
    """Take the files that the card lists for a split of a subset."""
    wanted = (subset, _choose_split(split, subsets[subset]))
    places = [(wanted, subsets[subset].get(wanted[1], []))]
    places += [
        ((name, one), patterns) for name, splits in subsets.items() for one, patterns in splits.items()
    ]
    judged: Judged = {}
    for path, file in files.items():
        place = next((place for place, patterns in places if _matches(path, patterns)), None)
        if place == wanted:
            judged[path] = _judge_size(file)
        elif place is None:
            judged[path] = ("not data", "the card does not list it")
        else:
            judged[path] = ("other split", place[1]) if place[0] == subset else ("other subset", place[0])
    return judged


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(_compile(pattern).fullmatch(path) for pattern in patterns)


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    """A pattern as an expression: ``**/`` stands for any folders, ``*`` for any characters of one name."""
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(meanings.get(one) or re.escape(one) for one in pieces))


def _judge_size(file: DataFile) -> Why | None:
    if file.size == 0:
        return "empty", ""
    most_bytes = MAX_BYTES if may_be_large(file.path) else MAX_FILE_BYTES
    if (file.size or 0) > most_bytes:
        return "too large", f"{show_mb(file.size or 0)}; a file of this format may have {show_mb(most_bytes)}"
    return None


def _describe_nothing(choice: Choice, address: DataSetAddress) -> str:
    """Say why no file of a data set is read, and what can be named instead."""
    large = [one for one in choice.left_out if one.reason == "too large"]
    if large:
        return f"no file of {address} is small enough: {large[0].path} has {large[0].detail}"
    places = sorted({one.detail for one in choice.left_out if one.reason in {"other split", "other subset"}})
    if places:
        return f"{address} has no files; there are {', '.join(places)}, such as {address.locate(places[0])}"
    return f"{address} has no file that Semilla reads"


def show_mb(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):,.1f} MB"
