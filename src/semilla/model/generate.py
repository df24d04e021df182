"""Sample text from a model in training. The shipped bundle generates through ``semilla.runtime`` instead."""

from __future__ import annotations

import torch

from semilla.model.seeds import mix_seed
from semilla.model.transformer import Transformer
from semilla.records.sample import Ending
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, UNKNOWN_ID, Tokenizer


@torch.no_grad()
def generate_sample(
    model: Transformer,
    tokenizer: Tokenizer,
    prompt: str,
    *,
    start_id: int,
    num_tokens: int,
    temperature: float,
    seed: int,
) -> tuple[str, Ending]:
    """Continue ``prompt`` by up to ``num_tokens`` tokens; the same seed gives the same text.

    Returns the continuation, and whether it ended by itself or at the limit. The context is recomputed for every token.
    A few dozen tokens an epoch are not worth a KV cache. On a CPU they are computed in float32: to convert the weights
    for every token takes three times as long as the products.
    """
    was_training, dtype = model.training, model.compute_dtype
    model.eval()
    if model.device.type == "cpu":
        model.compute_dtype = torch.float32
    draw = torch.Generator().manual_seed(mix_seed(seed, num_tokens))
    ids = [start_id, *tokenizer.encode(prompt).tolist()]
    num_given = len(ids)
    ended: Ending = "limit"
    for _ in range(num_tokens):
        context = torch.tensor([ids[-model.max_positions :]], device=model.device)
        logits = model.compute_logits(model(context)[:, -1]).float().cpu()[0]
        logits[[UNKNOWN_ID, BEGIN_ID]] = -torch.inf
        chosen = int(torch.multinomial(torch.softmax(logits / temperature, dim=-1), 1, generator=draw))
        if chosen == END_ID:
            ended = "itself"
            break
        ids.append(chosen)
    model.train(was_training)
    model.compute_dtype = dtype
    return tokenizer.decode(ids[num_given:]), ended
