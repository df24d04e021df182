"""Train a Llama network of any shape on token files, with Hugging Face Accelerate. Copy it and change it.

    accelerate launch recipes/train_llama.py --tokenizer data/exports/huggingface --output large --steps 20000 \
        --hidden-size 2048 --num-layers 24 --num-heads 16 --num-kv-heads 8 tokens/*.ds

A token file has the ids of its documents, one after another, as little-endian unsigned integers of 16 bits, or of 32
bits where the vocabulary has more than 65,536 pieces. ``prepare_text.py`` and datatrove write such files. The output is
a folder that transformers loads. It needs torch, transformers and accelerate, and nothing of Semilla.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch.nn import functional
from torch.utils.data import ConcatDataset, DataLoader, Dataset
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM


class Windows(Dataset[torch.Tensor]):
    """Windows of ``length`` tokens of one token file, side by side, each with the token that follows: [length + 1]."""

    def __init__(self, path: Path, *, length: int, vocab_size: int) -> None:
        self.path, self.length, self.dtype = path, length, "<u2" if vocab_size <= 1 << 16 else "<u4"
        self.num_tokens = path.stat().st_size // np.dtype(self.dtype).itemsize

    def __len__(self) -> int:
        return max(0, (self.num_tokens - 1) // self.length)

    def __getitem__(self, index: int) -> torch.Tensor:
        # Opened at each access: a memory map in a data set would be copied to every worker process.
        tokens = np.memmap(self.path, self.dtype, "r")
        window = tokens[index * self.length : (index + 1) * self.length + 1]
        return torch.from_numpy(window.astype(np.int64))


def build_network(
    *,
    vocab_size: int,
    length: int,
    hidden_size: int,
    num_layers: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    intermediate_size: int | None = None,
    tie_embeddings: bool = True,
) -> LlamaForCausalLM:
    """A new network with Semilla's architecture; by default, the feed-forward layers have 8/3 of its width."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=hidden_size,
            intermediate_size=intermediate_size or -(-hidden_size * 8 // 3 // 64) * 64,
            num_hidden_layers=num_layers,
            num_attention_heads=num_heads,
            num_key_value_heads=num_kv_heads or num_heads,
            max_position_embeddings=length,
            rms_norm_eps=1e-5,
            tie_word_embeddings=tie_embeddings,
            bos_token_id=1,
            eos_token_id=2,
        )
    )


def build_optimizer(network: LlamaForCausalLM, *, weight_decay: float) -> torch.optim.AdamW:
    """Plain AdamW, with the settings that Semilla's AdamW has."""
    return torch.optim.AdamW(network.parameters(), betas=(0.9, 0.95), eps=1e-10, weight_decay=weight_decay)


def train(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[torch.Tensor],
    accelerator: Accelerator,
    *,
    rates: Sequence[float],
) -> Iterator[float]:
    """Make a step for each of ``rates`` and yield its loss in nats per token, the mean over all processes.

    ``accelerator`` has prepared the first three.
    """
    network.train()
    for rate, windows in zip(rates, repeat(batches), strict=False):
        logits = network(input_ids=windows[:, :-1]).logits
        loss = functional.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(network.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
        yield accelerator.reduce(loss.detach(), "mean").item()


def repeat(batches: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """One epoch after another."""
    while True:
        yield from batches


def plan_rates(steps: int, *, peak: float) -> list[float]:
    """A linear warm-up over one step in a hundred, and a linear decay to nearly zero."""
    warmup = max(1, steps // 100)
    return [
        peak * min((step + 1) / warmup, 1 - 0.98 * max(0, step - warmup) / steps) for step in range(steps)
    ]


def main() -> None:
    """Read the command line, train and save."""
    parser = argparse.ArgumentParser(description="Train a Llama network on token files.")
    parser.add_argument("tokens", nargs="+", type=Path, help="token files (.ds)")
    parser.add_argument("--tokenizer", required=True, type=Path, help="folder of an exported tokenizer")
    parser.add_argument("--output", required=True, type=Path, help="folder for the network")
    parser.add_argument("--hidden-size", type=int, default=1024)
    parser.add_argument("--num-layers", type=int, default=16)
    parser.add_argument("--num-heads", type=int, default=16)
    parser.add_argument("--num-kv-heads", type=int, help="default: --num-heads")
    parser.add_argument("--length", type=int, default=1024, help="tokens of a window")
    parser.add_argument("--batch-size", type=int, default=8, help="windows of a step in each process")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--learning-rate", type=float, default=6e-4, help="the highest")
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()

    accelerator = Accelerator()
    torch.manual_seed(chosen.seed)
    tokenizer = AutoTokenizer.from_pretrained(chosen.tokenizer, local_files_only=True)
    network = build_network(
        vocab_size=len(tokenizer),
        length=chosen.length,
        hidden_size=chosen.hidden_size,
        num_layers=chosen.num_layers,
        num_heads=chosen.num_heads,
        num_kv_heads=chosen.num_kv_heads,
    )
    windows = ConcatDataset(
        [Windows(path, length=chosen.length, vocab_size=len(tokenizer)) for path in sorted(chosen.tokens)]
    )
    batches = DataLoader(windows, batch_size=chosen.batch_size, shuffle=True, drop_last=True)
    if not len(batches):
        parser.error(f"the token files have {len(windows):,} windows, fewer than a batch")
    accelerator.print(f"{network.num_parameters():,} parameters, {len(windows) * chosen.length:,} tokens")
    optimizer = build_optimizer(network, weight_decay=chosen.weight_decay)
    network, optimizer, batches = accelerator.prepare(network, optimizer, batches)
    rates = plan_rates(chosen.steps, peak=chosen.learning_rate)
    for step, loss in enumerate(train(network, optimizer, batches, accelerator, rates=rates), start=1):
        if step == 1 or step % 10 == 0:
            accelerator.print(f"step {step:,}: loss {loss:.4f}")
    weights = accelerator.get_state_dict(network)
    if accelerator.is_main_process:
        accelerator.unwrap_model(network).save_pretrained(chosen.output, state_dict=weights)
        tokenizer.save_pretrained(chosen.output)


if __name__ == "__main__":
    main()
