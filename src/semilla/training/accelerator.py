"""The gradient of a batch on a GPU. It takes the place of ``gradients`` and ``loss``; the rest is shared with the CPU.

The network is that of ``model.reference``, with the weights of ``Transformer``: torch's own attention and gradients,
bfloat16 by autocast, dropout and negative samples drawn on the device. Layers and losses are compiled where torch can.
Shape suffixes as in ``transformer``; N = B x T, C negative samples.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import ParamSpec

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo import config as dynamo
from torch._functorch import config as functorch

from semilla.model.operators import NORM_EPSILON, apply_rotary
from semilla.model.seeds import mix_seed
from semilla.model.transformer import Attention, FeedForward, Layer, RMSNorm, Transformer
from semilla.system.temporary import open_compiler_folder
from semilla.training.data import Batch
from semilla.training.devices import can_compile
from semilla.training.micro_batches import DEVICE_TOKENS
from semilla.training.sampled_softmax import MAX_SAMPLE_SHARE, Counts

NUM_NEGATIVES = 2048
"""Negative samples of a micro-batch, which all its targets share. A device computes few large products fastest."""


_Arguments = ParamSpec("_Arguments")


class Accelerator:
    """Computes batches for one network on the device that it is on.

    What it draws is a function of seed, step, and the first row of each micro-batch.
    """

    def __init__(
        self, model: Transformer, counts: Counts, *, has_dropout: bool, compiles: bool | None = None
    ) -> None:
        self.model, self.has_dropout = model, has_dropout
        self._layers = [module for module in model.modules() if isinstance(module, Layer)]
        self._exits = ExitStack()
        frequencies_V = np.ones(model.vocab_size)
        frequencies_V[: len(counts)] += counts
        shares_V = torch.from_numpy(frequencies_V / frequencies_V.sum())
        self._shares_V = shares_V.float().to(model.device)
        self._run_layer, self._sum_losses = run_layer, sum_losses
        if can_compile(model.device.type) if compiles is None else compiles:
            self._exits.enter_context(open_compiler_folder())
            self._run_layer, self._sum_losses = compile_quietly(run_layer), compile_quietly(sum_losses)

    def close(self) -> None:
        """Remove compiled code."""
        self._exits.close()

    def compute_batch(self, gradients: Tensor, batch: Batch) -> float:
        """Overwrite ``gradients``, as ``gradients.compute_batch`` does; return the loss in nats per token."""
        gradients.zero_()
        num_rows, length = batch.inputs.shape
        rows = max(1, DEVICE_TOKENS // length)
        total = torch.zeros((), device=self.model.device)
        for start in range(0, num_rows, rows):
            loss = self.compute_loss(batch.take_rows(slice(start, min(start + rows, num_rows))))
            torch.autograd.backward(loss)
            total += loss.detach()
        return total.item()

    def compute_loss(self, batch: Batch) -> Tensor:
        """The share of a micro-batch in the loss of its step, in nats per token: a scalar on the device."""
        device = self.model.device
        torch.manual_seed(mix_seed(batch.seed, batch.first_row))
        ids_BT = torch.from_numpy(batch.inputs).to(device)
        targets_N = torch.from_numpy(batch.targets).to(device).flatten()
        with self._cast():
            hidden_ND = self._decode(ids_BT, self._read_dropout(batch)).flatten(0, 1)
            weight_VD = self.model.output_weight_VD
            if batch.samples_output and MAX_SAMPLE_SHARE * self.model.vocab_size >= NUM_NEGATIVES:
                negatives_C = torch.multinomial(self._shares_V, NUM_NEGATIVES, replacement=True)
                nats = sum_sampled_losses(hidden_ND, weight_VD, targets_N, negatives_C, self._shares_V)
            else:
                nats = self._sum_losses(hidden_ND, weight_VD, targets_N)
        return nats / batch.num_targets

    def _cast(self) -> AbstractContextManager[object]:
        dtype = self.model.compute_dtype
        return nullcontext() if dtype == torch.float32 else torch.autocast(self.model.device.type, dtype)

    def _read_dropout(self, batch: Batch) -> Tensor | None:
        """The probability as a tensor: compiled code takes a new number as it takes new tokens."""
        return torch.tensor(batch.dropout).to(self.model.device) if self.has_dropout else None

    def _decode(self, ids_BT: Tensor, dropout: Tensor | None) -> Tensor:
        model, length = self.model, ids_BT.shape[1]
        cos_THK, sin_THK = (
            table[:length, : model.architecture.num_heads] for table in (model.cos_THK, model.sin_THK)
        )
        hidden_BTD = drop(model.embed(ids_BT), dropout)
        for layer in self._layers:
            hidden_BTD = self._run_layer(layer, hidden_BTD, cos_THK, sin_THK, dropout)
        return normalize(hidden_BTD, model.model.norm)


def compile_quietly(function: Callable[_Arguments, Tensor]) -> Callable[_Arguments, Tensor]:
    """``function`` compiled at its first call, once for all layers; as it is where that fails.

    No cache is read, because torch keeps pickles there, and no process is started.
    """
    dynamo.suppress_errors, functorch.enable_autograd_cache = True, False
    return torch.compile(function, options={"fx_graph_cache": False, "compile_threads": 1})


def run_layer(
    layer: Layer, hidden_BTD: Tensor, cos_THK: Tensor, sin_THK: Tensor, dropout: Tensor | None
) -> Tensor:
    """A layer with dropout on what it adds."""
    mixed_BTD = attend(layer.self_attn, normalize(hidden_BTD, layer.input_layernorm), cos_THK, sin_THK)
    hidden_BTD = hidden_BTD + drop(mixed_BTD, dropout)
    gated_BTD = gate(layer.mlp, normalize(hidden_BTD, layer.post_attention_layernorm))
    return hidden_BTD + drop(gated_BTD, dropout)


def attend(attention: Attention, x_BTD: Tensor, cos_THK: Tensor, sin_THK: Tensor) -> Tensor:
    """Causal self-attention with rotary positions."""
    q_BTHK, k_BTHK, v_BTHK = (
        F.linear(x_BTD, projection.weight).view(*x_BTD.shape[:2], attention.num_heads, -1)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    q_BTHK, k_BTHK = (apply_rotary(one, cos_THK, sin_THK).to(v_BTHK.dtype) for one in (q_BTHK, k_BTHK))
    q_BHTK, k_BHTK, v_BHTK = (one.transpose(1, 2) for one in (q_BTHK, k_BTHK, v_BTHK))
    mixed_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, is_causal=True)
    return F.linear(mixed_BHTK.transpose(1, 2).flatten(2), attention.o_proj.weight)


def gate(feed_forward: FeedForward, x_BTD: Tensor) -> Tensor:
    active_BTF = F.silu(F.linear(x_BTD, feed_forward.gate_proj.weight))
    return F.linear(active_BTF * F.linear(x_BTD, feed_forward.up_proj.weight), feed_forward.down_proj.weight)


def normalize(x_BTD: Tensor, norm: RMSNorm) -> Tensor:
    return F.rms_norm(x_BTD, x_BTD.shape[-1:], norm.weight, NORM_EPSILON)


def drop(x: Tensor, probability: Tensor | None) -> Tensor:
    """Zero numbers at random, and scale up the rest."""
    if probability is None:
        return x
    return x * (torch.rand_like(x, dtype=torch.float32) >= probability) / (1 - probability)


def sum_losses(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    """Cross-entropy of the full softmax in nats."""
    return F.cross_entropy(F.linear(hidden_ND, weight_VD).float(), targets_N, reduction="sum")


def sum_sampled_losses(
    hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, negatives_C: Tensor, shares_V: Tensor
) -> Tensor:
    """Cross-entropy of each target against ``negatives_C``, which were drawn with the probabilities ``shares_V``.

    A negative is weighted by the inverse of how often it is expected in the sample, and left out where it is the
    target. So the normalising sum is right on average (``sampled_softmax`` has the sources).
    """
    offset_C = (len(negatives_C) * shares_V[negatives_C]).log().neg()
    logits_NC = F.linear(hidden_ND, F.embedding(negatives_C, weight_VD)).float() + offset_C
    logits_NC = logits_NC.masked_fill(targets_N[:, None] == negatives_C, -torch.inf)
    own_N1 = (hidden_ND * F.embedding(targets_N, weight_VD)).sum(-1, keepdim=True).float()
    return (torch.cat((own_N1, logits_NC), dim=1).logsumexp(1) - own_N1[:, 0]).sum()
