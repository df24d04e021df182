"""Does llama.cpp read a folder for Ollama as Semilla means it? Its tokens, its texts, and how they end.

    scripts/check-ollama RUN [--output FILE.json]

llama.cpp's own server loads the GGUF file. It gets what Ollama would send: each prompt through the template of the
Modelfile, with the Modelfile's parameters. The prompts are held-out openings of each language. A greedy text is
compared with the trained model's, computed in float32 from the weights in the file.
"""

from __future__ import annotations

import argparse
import json
import site
import tempfile
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from check_llama_cpp import continue_greedily, open_network
from machine_facts import describe_machine

from semilla.corpus.manifest import read_documents
from semilla.corpus.prompts import find_prompts
from semilla.export import gguf, ollama
from semilla.export.trained_model import TrainedModel, read_run
from semilla.tokenizer.tokenizer import END_ID

QUANTIZATION = "f16"
PROMPTS_PER_LANGUAGE = 20
GREEDY_TOKENS = 40
OLLAMA_NAMES = {"num_predict": "n_predict"}
"""Name of a parameter in a Modelfile -> in a request to llama.cpp, where they differ."""
NOT_SENT = {"FROM", "TEMPLATE", "num_ctx", "stop"}


def read_parameters(content: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a Modelfile as a request to llama.cpp has them."""
    values = {
        OLLAMA_NAMES.get(name, name): json.loads(value)
        for name, value in content.items()
        if name not in NOT_SENT
    }
    return {**values, "stop": [json.loads(content["stop"])]}


class Server:
    """llama.cpp's server on a free port of this machine."""

    def __init__(self, path: Path, *, num_context: int) -> None:
        import xllamacpp  # importable once main() has added its folder

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx, parameters.n_parallel, parameters.port = num_context, 1, 0
        parameters.cpuparams.n_threads = 1
        parameters.warmup = False
        self._server = xllamacpp.Server(parameters)

    def ask(self, route: str, **content: Any) -> dict[str, Any]:
        """The answer to a POST request."""
        request = urllib.request.Request(
            f"{self._server.listening_address}{route}",
            data=json.dumps(content).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"llama.cpp refused {content}: {error.read().decode()}") from error
        return found


def check(server: Server, trained: TrainedModel, prompts: list[str], *, folder: Path) -> dict[str, Any]:
    content = ollama.read_modelfile((folder / ollama.MODELFILE).read_text(encoding="utf-8"))
    parameters = read_parameters(content)
    weights = gguf.read_gguf(folder / gguf.name_file(QUANTIZATION), trained).weights
    score = open_network(trained, weights)
    same_ids, same_texts, endings = 0, 0, Counter[str]()
    for seed, prompt in enumerate(prompts):
        sent = content["TEMPLATE"].replace("{{ .Prompt }}", prompt)
        ids = np.array([trained.start_id, *trained.tokenizer.encode(prompt)])
        same_ids += server.ask("/tokenize", content=sent, add_special=True)["tokens"] == ids.tolist()
        greedy = server.ask(
            "/completion",
            prompt=sent,
            temperature=0,
            n_predict=GREEDY_TOKENS,
            repeat_penalty=1,
            return_tokens=True,
        )["tokens"]
        expected, _ = continue_greedily(score, ids, length=len(ids) + GREEDY_TOKENS)
        same_texts += cut_at_end(greedy) == cut_at_end(expected.tolist())
        endings[server.ask("/completion", prompt=sent, seed=seed, **parameters)["stop_type"]] += 1
    return {
        "parameters": parameters,
        "prompts": len(prompts),
        "prompts_with_the_same_ids": same_ids,
        "greedy_texts_identical": same_texts,
        "endings": dict(endings),
    }


def cut_at_end(ids: list[int]) -> list[int]:
    return ids[: ids.index(END_ID)] if END_ID in ids else ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--packages", required=True, help="where xllamacpp is installed")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    site.addsitedir(arguments.packages)
    trained, _ = read_run(arguments.run)
    documents = read_documents(arguments.run)
    found = find_prompts(documents, trained.tokenizer, per_language=PROMPTS_PER_LANGUAGE)
    with tempfile.TemporaryDirectory() as place:
        ollama.write(Path(place), trained, quantization=QUANTIZATION)
        path = Path(place) / gguf.name_file(QUANTIZATION)
        server = Server(path, num_context=trained.model["max_position_embeddings"])
        prompts = [prompt for texts in found.values() for prompt in texts]
        result = check(server, trained, prompts, folder=Path(place))
    report = {**describe_machine(), "model": trained.model, "quantization": QUANTIZATION, **result}
    print(json.dumps(report, indent=2, ensure_ascii=False))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
