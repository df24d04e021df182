"""What the targets of a micro-batch are scored against: all of the output layer, or candidates in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from semilla.model.seeds import mix_seed
from semilla.model.transformer import Transformer
from semilla.training.data import Batch
from semilla.training.loss import Loss, compute_loss
from semilla.training.micro_batches import CHUNK_ROWS, cut_target_groups
from semilla.training.sampled_softmax import Counts, are_worth_it, draw_candidates


class Scored(NamedTuple):
    """Targets that are scored in one go: M chunks of ``rows``, each against all tokens or its candidates."""

    rows: slice
    targets_MN: Tensor
    weight_MCD: Tensor
    tokens_MC: Tensor | None = None
    offset_MC: Tensor | None = None

    def compute_loss(self, hidden_ND: Tensor) -> Loss:
        """That of the targets, from the hidden states of the whole micro-batch."""
        hidden_MND = hidden_ND[self.rows].view(*self.targets_MN.shape, -1)
        return compute_loss(hidden_MND, self.weight_MCD, self.targets_MN, offset_MC=self.offset_MC)

    def add_gradient(self, of_weight_ND: Tensor, of_output_VD: Tensor) -> None:
        """Add what the rows of ``weight_MCD`` got to the gradient of the whole layer."""
        if self.tokens_MC is None:
            of_output_VD += of_weight_ND
        else:
            of_output_VD.index_add_(0, self.tokens_MC.flatten(), of_weight_ND.to(of_output_VD.dtype))


def choose_scored(model: Transformer, batch: Batch, sampled_from: Counts | None) -> Iterator[Scored]:
    """A micro-batch's targets and what they are scored against: candidates drawn from counts, or all tokens.

    All where ``sampled_from`` is None, or the vocabulary too small for candidates to be worth it.
    """
    targets_N = batch.targets.reshape(-1)
    weight_VD, dtype = model.output_weight_VD.detach(), model.compute_dtype
    if sampled_from is None or not are_worth_it(model.vocab_size):
        weight_1VD = weight_VD.to(dtype)[None]
        for start in range(0, len(targets_N), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            yield Scored(rows, torch.from_numpy(targets_N[None, rows]).to(model.device), weight_1VD)
        return
    num_rows, length = batch.targets.shape
    first_target = batch.first_row * length
    for rows, size in cut_target_groups(num_rows, length):
        targets_MN = targets_N[rows].reshape(-1, size)
        seeds = [
            mix_seed(batch.seed, first_target + start, 1) for start in range(rows.start, rows.stop, size)
        ]
        drawn = draw_candidates(targets_MN, sampled_from, vocab_size=model.vocab_size, seeds=seeds)
        rows_MN, tokens_MC, offset_MC = (torch.from_numpy(array).to(model.device) for array in drawn)
        weight_ND = weight_VD.index_select(0, tokens_MC.flatten())  # indexing takes six times as long
        weight_MCD = weight_ND.to(dtype).view(*tokens_MC.shape, -1)
        yield Scored(rows, rows_MN, weight_MCD, tokens_MC, offset_MC.to(dtype))
