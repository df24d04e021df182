"""The tokens of each step, as pure functions of (seed, epoch, step): a checkpoint need not save them.

The training text is one stream of tokens. Each epoch cuts it into windows that do not overlap, from a new random
offset, and shuffles them. Over the epochs every token appears at every position of the context. To balance languages,
``mixture`` may leave some windows out and repeat others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import Document
from semilla.errors import InvalidCorpusError
from semilla.system import interrupts
from semilla.tokenizer.tokenizer import BEGIN_ID, Tokenizer, Tokens
from semilla.training.mixture import Mixture

Windows = npt.NDArray[np.int64]

BEGIN = np.array([BEGIN_ID], dtype=np.int32)


@dataclass(frozen=True)
class HeldOutText:
    """The validation part of one document: its tokens, and its size in UTF-8 bytes."""

    language: str
    tokens: Tokens
    size_bytes: int


@dataclass(frozen=True)
class TrainingData:
    """The training stream and the validation texts. Immutable."""

    stream: Tokens
    held_out: tuple[HeldOutText, ...]
    batch_size: int
    length: int
    seed: int
    mixture: Mixture | None = None
    """None, like a balance of 0, trains on every window once per epoch."""

    @property
    def num_windows(self) -> int:
        """Windows in each epoch. The same for every offset."""
        return (len(self.stream) - self.length) // self.length

    @property
    def language_shares(self) -> dict[str, float]:
        """Share of the training that each language gets, the language with most text first."""
        return self.mixture.measure_shares() if self.mixture else {}

    @cached_property
    def token_counts(self) -> npt.NDArray[np.int64]:
        """How often each token occurs in the training text, up to the highest id that does."""
        return np.bincount(self.stream)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.num_windows // self.batch_size)


def build_data(
    documents: Sequence[Document], tokenizer: Tokenizer, config: PipelineConfiguration
) -> TrainingData:
    """Encode the training and the validation part of every document.

    Raises InvalidCorpusError when the text does not fill one window of ``max_sequence_length`` tokens.
    """
    settings = config.training_hyperparameters
    length = settings.max_sequence_length
    encoded = []
    for document in documents:
        interrupts.check()
        encoded.append(tokenizer.encode(document.train_text))
    stream = np.concatenate([part for tokens in encoded for part in (BEGIN, tokens)])
    ends = list(accumulate(len(tokens) + len(BEGIN) for tokens in encoded))
    languages = tuple(document.language for document in documents)
    mixture = Mixture(settings.language_balance, (0, *ends[:-1]), languages, len(stream))
    held_out = tuple(
        HeldOutText(
            document.language,
            tokenizer.encode(document.validation_text),
            len(document.validation_text.encode()),
        )
        for document in documents
    )
    data = TrainingData(stream, held_out, settings.batch_size, length, config.seed, mixture)
    if data.num_windows < 1 or not any(len(text.tokens) for text in held_out):
        raise InvalidCorpusError(
            f"the training text has {len(stream)} tokens; one window of --max-sequence-length {length} "
            f"needs at least {2 * length}"
        )
    return data


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


def plan_epoch(data: TrainingData, epoch: int) -> Windows:
    """First positions of this epoch's windows, shuffled; ``epoch`` counts from 1."""
    draw = np.random.Generator(np.random.PCG64([data.seed, epoch]))
    offset = int(draw.integers(0, data.length))
    if data.mixture is None or not data.mixture.balance:
        return offset + data.length * draw.permutation(data.num_windows)
    return data.mixture.choose_windows(offset + data.length * np.arange(data.num_windows), draw)


def cut_batch(data: TrainingData, starts: Windows) -> tuple[Windows, Windows]:
    """Inputs and targets, each [B, T], for windows that begin at ``starts``."""
    positions = starts[:, None] + np.arange(data.length + 1)
    tokens = data.stream[positions].astype(np.int64)
    return tokens[:, :-1], tokens[:, 1:]


def halve_sequences(windows_BT: Windows) -> Windows:  # noqa: N803 - shape suffix
    """Sequence-length warm-up: cut each window into two of half its length, unless its length is odd.

    Short-range dependencies are learned first, and attention over short sequences costs less (Press et al. 2021,
    https://arxiv.org/abs/2012.15832; Li et al. 2022, https://arxiv.org/abs/2108.06084).
    """
    length = windows_BT.shape[1]
    return windows_BT.reshape(-1, length // 2) if length % 2 == 0 else windows_BT


def cut_held_out(text: HeldOutText, *, length: int, batch_size: int) -> Iterator[tuple[Windows, Windows]]:
    """Inputs and targets that predict every token of ``text`` exactly once, the first from the begin token."""
    tokens = np.append(np.int64(BEGIN_ID), text.tokens.astype(np.int64))
    full = (len(tokens) - 1) // length
    inputs, targets = tokens[: full * length], tokens[1 : full * length + 1]
    for start in range(0, full, batch_size):
        rows = slice(start * length, min(start + batch_size, full) * length)
        yield inputs[rows].reshape(-1, length), targets[rows].reshape(-1, length)
    if full * length < len(tokens) - 1:
        yield tokens[None, full * length : -1], tokens[None, full * length + 1 :]
