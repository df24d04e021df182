"""Data-parallel training over the processes of torchrun: every rank computes a part of each batch.

Rank 0 runs the whole job. The others follow it through the training only, and write nothing. All hold the same weights:
they start from those of rank 0, add up their gradients, and make the same update. PyTorch moves the tensors
(``torch.distributed``); everything else is told on the ``NoticeBoard``.
"""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import Work
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from semilla import __version__
from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.errors import IncompatibleError, InvalidConfigError, NetworkError, SemillaError
from semilla.records.files import hash_file
from semilla.system import interrupts
from semilla.system.ranks import Place, read_place
from semilla.training.checkpoints.checkpoint import describe_config, load_state
from semilla.training.checkpoints.seal import FORMAT_VERSION, parse_sealed, seal
from semilla.training.data import Batch, TrainingData
from semilla.training.devices import choose_device
from semilla.training.micro_batches import cut_worker_batches
from semilla.training.parallel.notices import BEAT_S, LIMIT_S, NoticeBoard
from semilla.training.parallel.workers import Workers
from semilla.training.state import RunState

COLLECTIVE_LIMIT = timedelta(days=1)
"""Others wait in a collective operation while rank 0 evaluates. The notices bound the wait, not PyTorch."""
FREE_SETTINGS = {
    *("output_directory", "num_threads", "resume_from_checkpoint", "checkpoint_every", "checkpoint_seconds"),
    *("keep_epochs", "keep_models", "tracker", "strict", "max_validation_loss", "corpus_mirrors"),
}
"""Settings that change no weight. They may differ between ranks."""
HASHED_TOKENS = 1 << 20
"""How many tokens are hashed at a time."""
STOPS = (signal.SIGINT, signal.SIGTERM)


class Ranks:
    """The processes that torchrun started, and the place of this one among them."""

    current: Ranks | None = None
    """The ranks that this process has joined."""

    def __init__(self, board: NoticeBoard, place: Place) -> None:
        self.board, self.place = board, place

    def start(self, config: PipelineConfiguration, store: Store) -> None:
        """Connect to the other ranks, after a check that all have the same settings and versions."""
        config = choose_device(config)
        settings = {name: value for name, value in config.flatten().items() if name not in FREE_SETTINGS}
        self.compare("versions", list_versions(), IncompatibleError)
        self.compare("settings", settings, InvalidConfigError)
        backend = "gloo" if config.device == "cpu" else "cpu:gloo,cuda:nccl"
        try:
            dist.init_process_group(
                backend,
                store=store,
                rank=self.place.rank,
                world_size=self.place.size,
                timeout=timedelta(seconds=LIMIT_S),
            )
        except RuntimeError as error:
            raise NetworkError(f"the ranks cannot connect: {str(error).splitlines()[0]}") from error
        world = dist.group.WORLD
        assert world is not None
        world.set_timeout(COLLECTIVE_LIMIT)

    def compare(self, subject: str, facts: dict[str, Any], kind: type[SemillaError]) -> None:
        """Raise an error of ``kind`` that names a rank and what differs, unless all ranks have the same ``facts``."""
        self.board.tell(**{subject: facts})
        for rank in range(self.place.size):
            self.board.wait_for(rank, subject)
        first = self.board.read(0, subject)
        for rank in range(1, self.place.size):
            other = self.board.read(rank, subject)
            differing = [
                f"{name} {first[name]} -> {other[name]}" for name in first if first[name] != other[name]
            ]
            if differing:
                raise kind(f"{self.board.name([rank])} differs from rank 0: {', '.join(differing)}")

    def add_up(self, block: Tensor) -> None:
        """Replace ``block`` by the sum of those of all ranks, whose every bit is the same everywhere."""
        self.wait(dist.all_reduce(block, async_op=True))

    def send_state(self, state: RunState) -> None:
        """Give every rank the weights, the optimizers and the step of rank 0."""
        size = torch.zeros(1, dtype=torch.int64)
        sealed = torch.empty(0, dtype=torch.uint8)
        if self.place.rank == 0:
            content = {
                "format_version": FORMAT_VERSION,
                "step": state.step,
                "model_state": state.model.state_dict(),
                "optimizer_state": {name: one.state_dict() for name, one in state.optimizers.items()},
            }
            sealed = torch.frombuffer(seal(content), dtype=torch.uint8)
            size[0] = len(sealed)
        self.wait(dist.broadcast(size, src=0, async_op=True))
        if self.place.rank:
            sealed = torch.empty(int(size), dtype=torch.uint8)
        self.wait(dist.broadcast(sealed, src=0, async_op=True))
        if self.place.rank:
            load_state(state, parse_sealed(sealed.numpy().tobytes(), name="what rank 0 sent"), name="rank 0")

    def share_number(self, number: int) -> int:
        """The number that rank 0 has."""
        shared = torch.tensor([number])
        self.wait(dist.broadcast(shared, src=0, async_op=True))
        return int(shared)

    def wait(self, work: Work | None) -> None:
        """Wait for a collective operation as long as every rank is alive and can be told so."""
        assert work is not None
        self.board.check()
        while not self._is_done(work):
            self.board.check()

    def _is_done(self, work: Work) -> bool:
        try:
            work.wait(timedelta(seconds=BEAT_S))
        except RuntimeError as error:
            if "Operation timed out!" in str(error):
                return False
            raise self.board.explain_closed() from error
        return True


class RankWorkers(Workers):
    """The workers of one rank. They share this rank's part of each batch, and of Muon's matrices."""

    def __init__(self, config: PipelineConfiguration) -> None:
        if Ranks.current is None:
            raise InvalidConfigError("torchrun can start no other command than `run`")
        self.ranks, self.config = Ranks.current, config
        self._stops_by: int | None = None
        super().__init__(config, num_ranks=self.ranks.place.size)
        self._announce()

    def _announce(self) -> None:
        if self.ranks.place.rank == 0:
            self.ranks.board.tell(training=describe_config(self.config))

    def wait_for_precision(self) -> str:
        """Precision of the training, which rank 0 chooses."""
        self.ranks.board.wait_for(0, "precision")
        return str(self.ranks.board.read(0, "precision"))

    def share(self, state: RunState, data: TrainingData) -> None:
        self._agree(state, data)
        super().share(state, data)

    def _agree(self, state: RunState, data: TrainingData) -> None:
        """Make sure that all ranks start from the same weights and text."""
        if self.ranks.place.rank == 0:
            precision = str(state.model.compute_dtype).removeprefix("torch.")
            self.ranks.board.tell(precision=precision)
        self.ranks.compare("text", list_inputs(self.config, data), IncompatibleError)
        self.ranks.send_state(state)

    def _allocate(self, size: int, device: torch.device) -> Tensor:
        """Behind the gradients there is room for what else is added up: the loss, and how many ranks must stop."""
        self._block = torch.zeros(size + 1 + len(STOPS), device=device)
        return self._block[:size]

    def compute(self, batch: Batch) -> float:
        place = self.ranks.place
        parts = cut_worker_batches(*batch.inputs.shape, count=place.size)
        if place.rank < len(parts):
            loss = super().compute(batch.take_rows(parts[place.rank]))
        else:
            self.gradients.zero_()
            loss = 0.0
        requested = interrupts.get_requested()
        rest = self._block[len(self.gradients) :]
        rest.copy_(torch.tensor([loss, *(float(requested == number) for number in STOPS)]))
        self.ranks.add_up(self._block)
        total, *counts = rest.tolist()
        self._stops_by = next((number for number, count in zip(STOPS, counts, strict=True) if count), None)
        if self._stops_by:
            interrupts.request(self._stops_by)
        return float(total)

    def must_stop(self) -> bool:
        """Whether any rank was asked to stop before this step's gradients were added up: all stop at the same step."""
        return self._stops_by is not None

    def agree(self, number: int) -> int:
        return self.ranks.share_number(number)

    def _choose_matrices(self, matrices: list[Tensor]) -> list[Tensor]:
        return matrices[self.ranks.place.rank :: self.ranks.place.size]

    def _complete_matrices(self, updates: list[Tensor], matrices: list[Tensor]) -> list[Tensor]:
        size = self.ranks.place.size
        shares = [matrices[rank::size] for rank in range(size)]
        lengths = [sum(matrix.numel() for matrix in share) for share in shares]
        own = torch.zeros(max(lengths), device=matrices[0].device)
        if updates:
            own[: lengths[self.ranks.place.rank]] = torch.cat([update.flatten() for update in updates])
        gathered = torch.empty(size * len(own), device=own.device)
        self.ranks.wait(dist.all_gather_single(gathered, own, async_op=True))
        found = list(matrices)
        for rank, share in enumerate(shares):
            flat = gathered[rank * len(own) :][: lengths[rank]]
            parts = torch.split(flat, [matrix.numel() for matrix in share])
            found[rank::size] = [part.view_as(matrix) for part, matrix in zip(parts, share, strict=True)]
        return found


class TrialWorkers(RankWorkers):
    """The workers of one rank in a trial of some steps, whose weights and tokens follow from the settings."""

    def _announce(self) -> None:
        """The other ranks know of the trial."""

    def _agree(self, state: RunState, data: TrainingData) -> None:
        """Nothing can differ."""


@contextmanager
def join_ranks() -> Iterator[tuple[Ranks, Store]]:
    """Reach the store of torchrun and put up a notice there. Raises NetworkError when it cannot be reached."""
    place = read_place()
    limit = timedelta(seconds=LIMIT_S)
    try:
        store, _, _ = next(iter(rendezvous("env://", timeout=limit)))
    except (RuntimeError, ValueError) as error:
        raise NetworkError(
            f"the store of torchrun cannot be reached: {str(error).splitlines()[0]}"
        ) from error
    notices = PrefixStore(f"semilla/{place.restarts}", store).clone()  # type: ignore[attr-defined]
    with NoticeBoard(notices, rank=place.rank, size=place.size) as board:
        Ranks.current = Ranks(board, place)
        try:
            yield Ranks.current, PrefixStore(f"tensors/{place.restarts}", store)
        finally:
            Ranks.current = None


def list_versions() -> dict[str, str]:
    """What must be the same for ranks to compute the same update from the same gradient."""
    return {
        "semilla": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def list_inputs(config: PipelineConfiguration, data: TrainingData) -> dict[str, str]:
    """Hashes of the tokens to train on and of the tokenizer."""
    return {"tokenizer": hash_file(find_tokenizer(config)[0])[:12], "text": hash_tokens(data)[:12]}


def hash_tokens(data: TrainingData) -> str:
    """Hash the stream, where its documents begin, and the replayed stream."""
    digest = hashlib.sha256()
    for start in range(0, len(data.stream), HASHED_TOKENS):
        digest.update(data.stream[start : start + HASHED_TOKENS].astype(np.int32).tobytes())
    digest.update(np.asarray(data.document_starts, np.int64).tobytes())
    digest.update((hash_tokens(data.replayed) if data.replayed else "").encode())
    return digest.hexdigest()
