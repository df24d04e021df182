"""The tokens of each step, as pure functions of (seed, epoch, step): a checkpoint need not save them.

The training text is one stream of tokens, in which a begin and an end token enclose every document. Each epoch shuffles
the documents of each language, packs them so that windows begin where documents begin as often as possible, cuts the
stream into windows from a new random offset, and shuffles those. A window that begins with a document may overlap the
one before. An epoch has as many windows as fit beside each other, so it then leaves some out, each time others. To
balance languages, ``mixture`` may leave some windows out and repeat others. A document is in the stream as often as its
weight says.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np
import numpy.typing as npt

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import Document
from semilla.errors import InvalidCorpusError
from semilla.system import interrupts
from semilla.tokenizer.encoder import encode_document, trim
from semilla.tokenizer.token_files import MAX_IDS
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, NEWLINE_ID, Tokenizer, Tokens
from semilla.training.mixture import Mixture
from semilla.training.stored import StoredStream, TokenStore

Windows = npt.NDArray[np.int64]
HeldOutBatch = tuple[Windows, Windows]
"""Inputs and targets, [B, T] each; NO_TARGET is no target."""
Counts = npt.NDArray[np.int64]
HeldOutTokens = npt.NDArray[np.int32] | npt.NDArray[np.uint16]
Stream = Tokens | StoredStream

BEGIN = np.array([BEGIN_ID], dtype=np.int32)
NO_TARGET = -1
"""In place of a target: padding."""
LEAST_DOCUMENTS = 20
"""With fewer, a model sees the begin and the end token too rarely to learn when to use them."""
BACKWARD_SHARE = 1 / 3
"""Share of a window that may overlap the one before, so that a document is whole in it. With an eighth, only a fifth of
the sample stories were whole in a window; now four fifths are."""
_COUNTED_TOKENS = 1 << 20
"""How many tokens are counted at a time."""
_last_encoded: dict[tuple[str, Tokenizer], tuple[Tokens, Counts, Sequence[HeldOutTokens]]] = {}
"""The last text that was encoded in memory: validation reads what training has read."""
PACKED_DOCUMENTS = 64
"""How many of the next documents the packing chooses from."""


@dataclass(frozen=True)
class HeldOutText:
    """A document for validation, or the part of one: its tokens with the end token, and its size in UTF-8 bytes."""

    language: str
    tokens: HeldOutTokens
    size_bytes: int


@dataclass(frozen=True)
class TrainingData:
    """The training stream and the validation texts. Immutable."""

    stream: Stream
    held_out: tuple[HeldOutText, ...]
    batch_size: int
    length: int
    seed: int
    mixture: Mixture | None = None
    """None, like a balance of 0, trains on every window once per epoch."""
    document_starts: Sequence[int] | Counts = ()
    """Where documents begin, ascending. Empty: the stream is one text, which is never rearranged."""
    document_sizes: Sequence[int] | Counts = ()
    """Tokens of each document, also of one that is in the stream several times: once."""
    replayed: TrainingData | None = None
    """The text of an earlier model, of which each epoch reads a random part so that it is not forgotten."""
    replay_share: float = 0.0
    """Share of the windows that are of ``replayed``."""

    @property
    def num_windows(self) -> int:
        """Windows in each epoch: as many as fit beside each other, wherever the first begins, and the replayed ones."""
        return self.num_own_windows + self.num_replayed_windows

    @property
    def num_own_windows(self) -> int:
        return (len(self.stream) - self.length) // self.length

    @property
    def num_replayed_windows(self) -> int:
        return (
            round(self.num_own_windows * self.replay_share / (1 - self.replay_share)) if self.replayed else 0
        )

    @property
    def language_shares(self) -> dict[str, float]:
        """Share of the training that each language gets, the language with most text first."""
        return self.mixture.measure_shares() if self.mixture else {}

    @cached_property
    def token_counts(self) -> Counts:
        """How often each token occurs in the training text, up to the highest id that does."""
        counts = np.zeros(MAX_IDS, np.int64)
        for start in range(0, len(self.stream), _COUNTED_TOKENS):
            counts += np.bincount(self.stream[start : start + _COUNTED_TOKENS], minlength=MAX_IDS)
        if self.replayed:
            counts[: len(self.replayed.token_counts)] += self.replayed.token_counts
        return np.trim_zeros(counts, "b")

    def read(self, positions: Windows) -> Windows:
        """The tokens at positions of the stream; after its end, those of the replayed one."""
        if self.replayed is None:
            return self.stream[positions].astype(np.int64)
        is_own = positions < len(self.stream)
        tokens = np.empty(positions.shape, np.int64)
        tokens[is_own] = self.stream[positions[is_own]]
        tokens[~is_own] = self.replayed.read(positions[~is_own] - len(self.stream))
        return tokens

    @property
    def has_documents(self) -> bool:
        """Whether there are enough documents to learn how one begins and ends."""
        return len(self.document_sizes) >= LEAST_DOCUMENTS

    @cached_property
    def fits_documents(self) -> bool:
        """Whether there are enough documents, and most of them fit into a window as a whole."""
        return self.has_documents and bool(np.median(self.document_sizes) <= self.length)

    def list_blocks(self) -> Iterator[Counts]:
        """Places of the documents of each language, which are beside each other in the stream."""
        languages = np.array(
            self.mixture.document_languages if self.mixture else [""] * len(self.document_starts)
        )
        borders = np.flatnonzero(languages[1:] != languages[:-1]) + 1
        yield from np.split(np.arange(len(languages)), borders)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.num_windows // self.batch_size)


def find_start_id(documents: Sequence[Document]) -> int:
    """The token that generation begins with: that of a new document, or of a new line where there are few documents."""
    num_documents = sum(len(one.train_texts) for one in documents if one.has_ends)
    return BEGIN_ID if num_documents >= LEAST_DOCUMENTS else NEWLINE_ID


def build_data(
    documents: Sequence[Document],
    tokenizer: Tokenizer,
    config: PipelineConfiguration,
    store: TokenStore | None = None,
) -> TrainingData:
    """Encode what is for training and for validation, language by language; into ``store``, if there is one.

    Raises InvalidCorpusError when the text does not fill one window of ``max_sequence_length`` tokens.
    """
    settings = config.training_hyperparameters
    length = settings.max_sequence_length
    ordered = _sort_by_language(documents)
    weights = np.array([one.weight for one in ordered for _ in one.train_texts], np.int64)
    order = np.repeat(np.arange(len(weights)), weights)
    train_texts = [(one.train_texts, one.has_ends) for one in ordered]
    held_out_texts = [(one.validation_texts, one.has_ends) for one in ordered]
    stream: Stream
    if store:
        files = store.encode(train_texts, tokenizer, kind="train")
        stream, sizes = StoredStream(files, order), files.sizes
        held_out_tokens: Sequence[HeldOutTokens] = store.encode(
            held_out_texts, tokenizer, kind="held_out"
        ).list_documents()
    else:
        key = _identify([*train_texts, *held_out_texts], order, tokenizer)
        if key not in _last_encoded:
            encoded = _encode(train_texts, tokenizer)
            stream = np.concatenate([encoded[place] for place in order]) if encoded else BEGIN[:0]
            sizes = np.array(list(map(len, encoded)), np.int64)
            held_out_tokens = _encode(held_out_texts, tokenizer)
            _last_encoded.clear()
            _last_encoded[key] = stream, sizes, held_out_tokens
        stream, sizes, held_out_tokens = _last_encoded[key]
    starts = np.cumsum(sizes[order]) - sizes[order]
    languages = [one.language for one in ordered for _ in one.train_texts]
    mixture = Mixture(
        settings.language_balance, starts, tuple(languages[place] for place in order), len(stream)
    )
    named = ((one, text) for one in ordered for text in one.validation_texts)
    held_out = tuple(
        HeldOutText(one.language, tokens[1:], len(trim(text, has_ends=one.has_ends).encode()))
        for (one, text), tokens in zip(named, held_out_tokens, strict=True)
    )
    has_ends = all(one.has_ends for one in documents)
    data = TrainingData(
        stream,
        held_out,
        settings.batch_size,
        length,
        config.seed,
        mixture,
        document_starts=starts if has_ends else (),
        document_sizes=sizes if has_ends else (),
    )
    if data.num_windows < 1 or not any(len(text.tokens) for text in held_out):
        raise InvalidCorpusError(
            f"the training text has {len(stream)} tokens; one window of --max-sequence-length {length} "
            f"needs at least {2 * length}"
        )
    return data


def _sort_by_language(documents: Sequence[Document]) -> list[Document]:
    """Texts of one language beside each other, except in the corpus of an earlier Semilla, which keeps its order."""
    languages = list(dict.fromkeys(one.language for one in documents))
    if not all(one.has_ends for one in documents):
        return list(documents)
    return sorted(documents, key=lambda one: languages.index(one.language))


def _identify(
    texts: Iterable[tuple[Sequence[str], bool]], order: Counts, tokenizer: Tokenizer
) -> tuple[str, Tokenizer]:
    """Identify what is encoded: the hash of the texts and their order, and the tokenizer."""
    found = hashlib.sha256(order.tobytes())
    for documents, has_ends in texts:
        found.update(f"{len(documents)} {has_ends}".encode())
        for text in documents:
            interrupts.check()
            found.update(len(text).to_bytes(8) + text.encode())
    return found.hexdigest(), tokenizer


def _encode(texts: Iterable[tuple[Sequence[str], bool]], tokenizer: Tokenizer) -> list[Tokens]:
    encoded = []
    for documents, has_ends in texts:
        for text in documents:
            interrupts.check()
            encoded.append(encode_document(text, tokenizer, has_ends=has_ends))
    return encoded


@dataclass(frozen=True)
class Batch:
    """The tokens of a step, [B, T], and how to compute them; or consecutive rows of such a batch."""

    inputs: Windows
    targets: Windows
    num_targets: int
    """In all rows of the step: the loss is their mean."""
    seed: int
    """Of the step. Dropout draws with it per row, sampled softmax per group of targets."""
    dropout: float
    samples_output: bool
    first_row: int = 0
    """Place of the first row among all rows of the step."""

    def take_rows(self, rows: slice) -> Batch:
        """The part of the batch in ``rows``."""
        return replace(
            self,
            inputs=self.inputs[rows],
            targets=self.targets[rows],
            first_row=self.first_row + rows.start,
        )


def arrange_documents(data: TrainingData, epoch: int) -> TrainingData:
    """The data with the documents of each language in this epoch's order; ``epoch`` counts from 1.

    From a random order, the document that follows is the largest of the next few that fits into the rest of the window.
    Training on whole documents makes fewer mistakes (Ding et al. 2024, https://arxiv.org/abs/2404.10830).
    """
    if data.replayed:
        data = replace(data, replayed=arrange_documents(data.replayed, epoch))
    if len(data.document_starts) == 0:
        return data
    starts = np.array(data.document_starts)
    sizes = np.diff(np.append(starts, len(data.stream)))
    draw = np.random.Generator(np.random.PCG64([data.seed, epoch, 1]))
    position = -_draw_offset(data, np.random.Generator(np.random.PCG64([data.seed, epoch])))
    blocks = []
    for block in data.list_blocks():
        chosen, position = _pack(draw.permutation(block), sizes, position=position, length=data.length)
        blocks.append(chosen)
    order = np.concatenate(blocks)
    if isinstance(data.stream, StoredStream):
        stream: Stream = data.stream.arrange(order)
    else:
        pieces = [data.stream[starts[place] : starts[place] + sizes[place]] for place in order]
        stream = np.concatenate(pieces)
    return replace(data, stream=stream, document_starts=np.cumsum(sizes[order]) - sizes[order])


def _pack(places: Counts, sizes: Counts, *, position: int, length: int) -> tuple[Counts, int]:
    """Order documents so that many are whole in a window; ``position`` counts from where a window begins.

    Returns the order and the position after the last document.
    """
    order = array("q")
    waiting = map(int, places)
    pool = list(islice(waiting, PACKED_DOCUMENTS))
    while pool:
        fitting = np.where(sizes[pool] <= length - position, sizes[pool], 0)
        order.append(pool.pop(int(fitting.argmax()) if position else 0))
        pool.extend(islice(waiting, 1))
        size = int(sizes[order[-1]])
        if position + size > length and _begins_window(size, back=length - position, length=length):
            position = 0
        position = (position + size) % length
    return np.array(order), position


def _begins_window(size: int, *, back: int, length: int) -> bool:
    """Whether a window begins with a document of ``size`` tokens that began ``back`` tokens before its place."""
    return size <= length and back <= BACKWARD_SHARE * length


def plan_epoch(data: TrainingData, epoch: int) -> Windows:
    """First positions of this epoch's windows in the whole stream, shuffled; ``epoch`` counts from 1."""
    draw = np.random.Generator(np.random.PCG64([data.seed, epoch]))
    starts = _find_windows(data, _draw_offset(data, draw))
    if data.mixture is None or not data.mixture.balance:
        chosen = draw.permutation(starts)[: data.num_own_windows]
    else:
        chosen = data.mixture.choose_windows(starts, draw, count=data.num_own_windows)
    if data.replayed is None:
        return chosen
    replayed = np.resize(plan_epoch(data.replayed, epoch), data.num_replayed_windows)
    return draw.permutation(np.concatenate([chosen, len(data.stream) + replayed]))


def _draw_offset(data: TrainingData, draw: np.random.Generator) -> int:
    """Where the first window of an epoch begins."""
    return int(draw.integers(0, data.length))


def _find_windows(data: TrainingData, offset: int) -> Windows:
    """First positions of windows side by side; one that can begin with a document instead overlaps a little."""
    last = len(data.stream) - data.length - 1
    if len(data.document_starts) == 0:
        return offset + data.length * np.arange(data.num_own_windows)
    starts = array("q")
    ends = np.append(data.document_starts[1:], len(data.stream))
    position = offset
    while position <= last:
        place = bisect_right(data.document_starts, position) - 1
        document = data.document_starts[place]
        if _begins_window(ends[place] - document, back=position - document, length=data.length):
            position = document
        starts.append(position)
        position += data.length
    return np.array(starts)


def cut_batch(data: TrainingData, starts: Windows, periods: Windows | None = None) -> tuple[Windows, Windows]:
    """Inputs and targets, each [B, T], for windows that begin at ``starts``.

    With ``periods`` [B], a window is not what follows its start, but its first tokens again and again, as many as its
    period says.
    """
    offsets = np.arange(data.length + 1)
    positions = starts[:, None] + (offsets if periods is None else offsets % periods[:, None])
    tokens = data.read(positions)
    return tokens[:, :-1], tokens[:, 1:]


def draw_repetitions(data: TrainingData, starts: Windows, step: int) -> tuple[Windows, Windows]:
    """Repetition warm-up: where each window of a step begins, and how many tokens it repeats.

    Every token but those of the first round can be copied, so the network soon learns where to look: at what followed
    the last time. Such induction heads are what repeats names later (Olsson et al. 2022,
    https://arxiv.org/abs/2209.11895). A quarter to half of the window repeats; with one period for all, it would be
    enough to learn a distance. A window begins up to its length before ``starts``, where documents begin: the network
    would soon know their beginnings by heart.
    """
    draw = np.random.Generator(np.random.PCG64([data.seed, step, 2]))
    periods = draw.integers(data.length // 4, data.length // 2, size=len(starts), endpoint=True)
    return np.maximum(starts - draw.integers(0, data.length, size=len(starts)), 0), periods


def halve_sequences(windows_BT: Windows) -> Windows:  # noqa: N803 - shape suffix
    """Sequence-length warm-up: cut each window into two of half its length, unless its length is odd.

    Short-range dependencies are learned first, and attention over short sequences costs less (Press et al. 2021,
    https://arxiv.org/abs/2012.15832; Li et al. 2022, https://arxiv.org/abs/2108.06084).
    """
    length = windows_BT.shape[1]
    return windows_BT.reshape(-1, length // 2) if length % 2 == 0 else windows_BT


def cut_held_out(text: HeldOutText, *, length: int) -> Iterator[tuple[Tokens, Tokens]]:
    """Inputs and targets, [T] each, that predict every token of ``text`` exactly once, the first from the begin token.

    T is ``length``, and at the end of the text less.
    """
    tokens = np.concatenate([BEGIN, text.tokens])
    for start in range(0, len(text.tokens), length):
        yield (
            tokens[start : start + length][: len(tokens) - 1 - start],
            tokens[start + 1 : start + length + 1],
        )


def batch_held_out(
    texts: Iterable[HeldOutText], *, length: int, batch_size: int, step: int = 1
) -> Iterator[HeldOutBatch]:
    """Inputs and targets, [B, T] each, of windows of ``texts``: all, or with a ``step`` every second, third and so on.

    Shorter windows are padded with NO_TARGET. A batch has windows of similar length, and no more tokens than
    ``batch_size`` full windows.
    """
    every = (window for text in texts for window in cut_held_out(text, length=length))
    windows = list(islice(every, 0, None, step))
    windows.sort(key=lambda window: -len(window[0]))
    done = 0
    while done < len(windows):
        longest = len(windows[done][0])
        rows = windows[done : done + max(1, batch_size * length // longest)]
        done += len(rows)
        inputs, targets = np.full((len(rows), longest), END_ID), np.full((len(rows), longest), NO_TARGET)
        for row, (before, after) in enumerate(rows):
            inputs[row, : len(before)], targets[row, : len(after)] = before, after
        yield inputs, targets
