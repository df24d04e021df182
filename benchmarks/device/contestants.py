"""One contestant in a process of its own: reads a number of tokens, generates them, prints the seconds it took.

    python benchmarks/device/contestants.py semilla RUN_DIRECTORY

Each samples with the bundle's settings on one thread, at most a hundred tokens from an empty prompt at a time, and
decodes them. It prints wall-clock seconds and CPU seconds.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

TEXT_TOKENS = 100
START_ID = 3
Generate = Callable[[int, int], int]
"""Generate one text from a maximum number of tokens and a seed; return the number of tokens."""


def open_semilla(run_dir: Path) -> Generate:
    from semilla.runtime.session import load

    model = load(run_dir)

    def generate(num_tokens: int, seed: int) -> int:
        stream = model.stream(seed=seed, max_tokens=num_tokens)
        "".join(stream)
        return max(1, len(stream.token_ids))

    return generate


def open_semilla_8(run_dir: Path) -> Generate:
    """Eight texts together, in a thread for each core."""
    from semilla.runtime.session import load
    from semilla.system.processor import count_cores

    model = load(run_dir)

    def generate(num_tokens: int, seed: int) -> int:
        seeds = range(8 * seed, 8 * seed + 8)
        streams = model.stream_all([""] * 8, seeds=seeds, num_threads=count_cores(), max_tokens=num_tokens)
        count = 0
        for stream in streams:
            "".join(stream)
            count += max(1, len(stream.token_ids))
        return count

    return generate


def read_weights(run_dir: Path) -> dict[str, Any]:
    from semilla.training.checkpoints.checkpoint import read_sealed

    return {
        name: tensor.numpy() for name, tensor in read_sealed(run_dir / "best_model.pt")["model_state"].items()
    }


def open_numpy(run_dir: Path) -> Generate:
    from numpy_engine import NumpyEngine, choose

    from semilla.runtime.bundle import read_bundle
    from semilla.runtime.pieces import PieceDecoder
    from semilla.tokenizer.tokenizer import read_tokenizer

    bundle = read_bundle(run_dir)
    engine, tokenizer = (
        NumpyEngine(read_weights(run_dir), bundle.model),
        read_tokenizer(bundle.tokenizer_path),
    )

    def generate(num_tokens: int, seed: int) -> int:
        decoder, random, tokens = PieceDecoder(tokenizer), Random(seed), [START_ID]
        for position in range(num_tokens):
            scores = engine.read_token(tokens[-1], position)
            tokens.append(choose(scores, tokens, bundle.settings, random))
            decoder.push(tokens[-1])
            if tokens[-1] == tokenizer.processor.eos_id():
                break
        return len(tokens) - 1

    return generate


def open_transformers(run_dir: Path) -> Generate:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from semilla.runtime.bundle import read_bundle
    from semilla.tokenizer.tokenizer import read_tokenizer
    from semilla.training.checkpoints.checkpoint import read_sealed

    torch.set_num_threads(1)
    bundle = read_bundle(run_dir)
    tokenizer, settings = read_tokenizer(bundle.tokenizer_path), bundle.settings
    network = LlamaForCausalLM(LlamaConfig(**bundle.model, bos_token_id=1, eos_token_id=2)).eval()
    state = read_sealed(run_dir / "best_model.pt")["model_state"]
    network.load_state_dict({"lm_head.weight": state["model.embed_tokens.weight"], **state})

    def generate(num_tokens: int, seed: int) -> int:
        torch.manual_seed(seed)
        prompt = torch.tensor([[START_ID]])
        ids = network.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=True,
            temperature=settings.temperature,
            top_k=settings.top_k,
            top_p=settings.top_p,
            repetition_penalty=settings.repetition_penalty,
            max_new_tokens=num_tokens,
            pad_token_id=2,
        )[0, 1:]
        tokenizer.decode(ids.tolist())
        return len(ids)

    return generate


def open_llama_cpp(gguf_path: Path) -> Generate:
    """llama.cpp through its C interface: one decode and one sampler call a token, without its Python classes."""
    import llama_cpp as lib

    lib.llama_log_set(ctypes.cast(None, lib.llama_log_callback), None)
    lib.llama_backend_init()
    model = lib.llama_model_load_from_file(str(gguf_path).encode(), lib.llama_model_default_params())
    params = lib.llama_context_default_params()
    params.n_ctx, params.n_threads, params.n_threads_batch = 128, 1, 1
    context = lib.llama_init_from_model(model, params)
    vocabulary = lib.llama_model_get_vocab(model)
    buffer = ctypes.create_string_buffer(64)

    def open_sampler(seed: int) -> Any:
        sampler = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        for one in (
            lib.llama_sampler_init_penalties(lib.llama_vocab_n_tokens(vocabulary), 128, 1.1, 0.0, 0.0),
            lib.llama_sampler_init_top_k(40),
            lib.llama_sampler_init_temp(0.8),
            lib.llama_sampler_init_top_p(0.95, 1),
            lib.llama_sampler_init_dist(seed),
        ):
            lib.llama_sampler_chain_add(sampler, one)
        return sampler

    def generate(num_tokens: int, seed: int) -> int:
        lib.llama_memory_clear(lib.llama_get_memory(context), True)
        sampler, token = open_sampler(seed), (lib.llama_token * 1)(START_ID)
        count = 0
        while count < num_tokens:
            if lib.llama_decode(context, lib.llama_batch_get_one(token, 1)):
                raise RuntimeError("llama_decode failed")
            token[0] = lib.llama_sampler_sample(sampler, context, -1)
            count += 1
            if lib.llama_vocab_is_eog(vocabulary, token[0]):
                break
            lib.llama_token_to_piece(vocabulary, token[0], buffer, 64, 0, True)
        lib.llama_sampler_free(sampler)
        return count

    return generate


OPENERS = {
    "semilla": open_semilla,
    "semilla_8": open_semilla_8,
    "numpy": open_numpy,
    "transformers": open_transformers,
    "llama_cpp": open_llama_cpp,
}


def main() -> None:
    generate = OPENERS[sys.argv[1]](Path(sys.argv[2]))
    generate(TEXT_TOKENS, 0)
    seed = 0
    for line in sys.stdin:
        requested, count, start_s, start_cpu_s = int(line), 0, time.perf_counter(), time.process_time()
        while count < requested:
            seed += 1
            count += generate(TEXT_TOKENS, seed)
        seconds = time.perf_counter() - start_s, time.process_time() - start_cpu_s
        print(count, *(f"{one:.6f}" for one in seconds), flush=True)


if __name__ == "__main__":
    main()
