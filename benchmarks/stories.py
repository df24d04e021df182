"""Measure the stories that a finished run's model tells, beside those of the corpus and of writers that know less.

    python benchmarks/stories.py RUN_DIRECTORY [--num-samples 500] [--output FILE]

Continues held-out openings of the built-in stories with the model's own settings. The same measures are taken of the
held-out stories themselves, of the same with their sentences shuffled, of a bigram model of the training tokens, and of
the untrained network. Writes JSON: date, machine, versions, every figure, and twenty texts a language, unedited.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from machine_facts import describe_machine

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import Document, read_documents
from semilla.corpus.prompts import find_prompts
from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.evaluation.coherence import assess_coherence
from semilla.evaluation.copying import measure_copying
from semilla.evaluation.texts import ENDING_TOKENS, draw_texts
from semilla.evaluation.words import list_known_words, measure_invention
from semilla.export.bundle import write_bundle
from semilla.model.transformer import describe_llama
from semilla.records import names
from semilla.records.run_configuration import read_run_configuration
from semilla.records.sample import Sample
from semilla.runtime.session import load
from semilla.stories.reader import read_story
from semilla.stories.sentences import split_sentences
from semilla.stories.stories import load_library
from semilla.stories.terms import LANGUAGES, Language
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, Tokenizer, Tokens, read_tokenizer
from semilla.training.data import build_data, find_start_id
from semilla.training.state import build_state

NUM_SHOWN = 20
NUM_CONTROLS = 100
"""Texts a language of the bigram model and of the untrained network."""
CHILDREN: Mapping[Language, str] = {
    "en": r"(?P<kind>boy|girl) called (?P<name>\w+)|(?P<name2>\w+)(?:, the| was an?) (?:\w+ )*?(?P<kind2>boy|girl)\b",
    "es": r"(?P<kind>niñ[oa])(?: \w+)? llamad[oa] (?P<name>\w+)"
    r"|(?P<name2>\w+)(?:, (?:el|la)| era una?) (?P<kind2>niñ[oa])\b",
}
"""How a story says that somebody is a boy or a girl."""
_FEMALE = {"girl", "niña"}
_WORD = re.compile(r"[^\W\d_]+")

Texts = dict[Language, list[Sample]]
Item = TypeVar("Item")


def main() -> None:
    options = read_options()
    run = Path(options.run)
    config = read_run_configuration(run)
    documents = read_documents(run)
    tokenizer = read_tokenizer(find_tokenizer(config, run)[0])
    stream = build_data(documents, tokenizer, config).stream
    known = list_known_words(text for one in documents for text in (*one.train_texts, *one.validation_texts))
    openings = find_prompts(documents, tokenizer, per_language=options.num_samples)
    held_out = tell_held_out(documents)
    writers: dict[str, Texts] = {
        "model": continue_openings(run / names.BUNDLE, openings),
        "corpus": held_out,
        "shuffled": {language: shuffle_sentences(texts) for language, texts in held_out.items()},
        "bigram": write_bigram_texts(stream, tokenizer, held_out),
        "untrained": write_untrained(run, config, documents, tokenizer, openings),
    }
    results = {
        **describe_machine(),
        "configuration": config.flatten(),
        "writers": {
            name: {
                language: measure_texts(found, language, known=known, tokenizer=tokenizer, stream=stream)
                for language, found in texts.items()
            }
            for name, texts in writers.items()
        },
        "texts": {
            language: [one.marked for one in spread(found, NUM_SHOWN)]
            for language, found in writers["model"].items()
        },
    }
    Path(options.output).write_text(
        json.dumps(results, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    print_results(results)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", help="the output directory of a finished run on the built-in stories")
    parser.add_argument("--num-samples", type=int, default=500, help="texts a language")
    parser.add_argument("--output", default="benchmarks/results/stories.json")
    return parser.parse_args()


def continue_openings(bundle: Path, openings: Mapping[str, Sequence[str]]) -> Texts:
    model = load(bundle)
    return {
        language: draw_texts(model, openings[language], language=language, seed=0, max_tokens=ENDING_TOKENS)
        for language in LANGUAGES
    }


def tell_held_out(documents: Sequence[Document]) -> Texts:
    return {
        language: [
            Sample(text=text.rstrip("\n"), language=language, ended="itself")
            for document in documents
            if document.language == language
            for text in document.validation_texts
        ]
        for language in LANGUAGES
    }


def shuffle_sentences(texts: Sequence[Sample]) -> list[Sample]:
    draw, shuffled = Random(0), []
    for text in texts:
        sentences = split_sentences(text.text)
        draw.shuffle(sentences)
        shuffled.append(text.model_copy(update={"text": " ".join(sentences)}))
    return shuffled


def write_bigram_texts(stream: npt.NDArray[np.int32], tokenizer: Tokenizer, held_out: Texts) -> Texts:
    """Each token is drawn from those that follow the one before in the training text."""
    order = np.argsort(stream[:-1], kind="stable")
    sorted_tokens, following = stream[:-1][order], stream[1:][order]
    draw = np.random.Generator(np.random.PCG64(0))

    def write(first_ids: Sequence[int]) -> list[int]:
        ids = list(first_ids)
        while ids[-1] != END_ID and len(ids) < ENDING_TOKENS:
            low, high = np.searchsorted(sorted_tokens, [ids[-1], ids[-1] + 1])
            ids.append(int(following[draw.integers(low, high)]))
        return ids

    return {
        language: [
            Sample(
                text=tokenizer.decode([one for one in ids if one not in (BEGIN_ID, END_ID)]),
                language=language,
                ended="itself" if ids[-1] == END_ID else "limit",
            )
            for text in spread(texts, NUM_CONTROLS)
            for ids in [write(tokenizer.encode(text.text).tolist()[:4])]
        ]
        for language, texts in held_out.items()
    }


def write_untrained(
    run: Path,
    config: PipelineConfiguration,
    documents: Sequence[Document],
    tokenizer: Tokenizer,
    openings: Mapping[str, Sequence[str]],
) -> Texts:
    model = build_state(config, vocab_size=tokenizer.vocab_size, precision="float32").model.eval()
    with TemporaryDirectory() as folder:
        write_bundle(
            Path(folder),
            weights={name: tensor.detach().numpy() for name, tensor in model.state_dict().items()},
            model=describe_llama(model),
            tokenizer_model=find_tokenizer(config, run)[0].read_bytes(),
            generation=asdict(load(run / names.BUNDLE).bundle.settings),
            start_id=find_start_id(documents),
            provenance={"documents": []},
            languages=list(LANGUAGES),
        )
        return continue_openings(
            Path(folder), {language: spread(found, NUM_CONTROLS) for language, found in openings.items()}
        )


def measure_texts(
    samples: Sequence[Sample], language: Language, *, known: set[str], tokenizer: Tokenizer, stream: Tokens
) -> dict[str, Any]:
    """Every figure of one writer's texts in a language; shares are of texts, or of words."""
    coherence = assess_coherence({language: samples})[language]
    encoded = [tokenizer.encode(one.whole).tolist() for one in spread(samples, NUM_CONTROLS)]
    plots = Counter(read_story(one.whole, language).plot for one in samples)
    num_words = sum(len(_WORD.findall(one.whole)) for one in samples)
    fits = [fit for one in samples for fit in check_children(one.whole, language)]
    return {
        "num_texts": len(samples),
        "coherence": coherence.model_dump(),
        "invented_words": measure_invention(samples, known).share,
        "ended": statistics.fmean(one.ended == "itself" for one in samples),
        "children_that_fit": statistics.fmean(fits) if fits else math.nan,
        "num_children": len(fits),
        "names_per_100_words": 100
        * sum(len(set(find_names(one.whole, language))) for one in samples)
        / max(1, num_words),
        "plots_told": math.exp(-sum(n / len(samples) * math.log(n / len(samples)) for n in plots.values())),
        "distinct_texts": len({one.whole for one in samples}),
        "median_tokens": statistics.median(map(len, encoded)),
        "copying_median": statistics.median(measure_copying(encoded, stream)),
    }


def find_names(text: str, language: Language) -> list[str]:
    genders = list_genders(language)
    return [word for word in _WORD.findall(text) if word in genders]


@cache
def list_genders(language: Language) -> dict[str, str]:
    """Name -> its gender."""
    terms = [entry.terms[language] for entry in load_library().lexicon.entries]
    return {term.text: term.gender for term in terms if term.part == "name"}


def check_children(text: str, language: Language) -> list[bool]:
    """For each person who is called a boy or a girl: whether the name is one of theirs."""
    genders = list_genders(language)
    found = [
        (one["name"] or one["name2"], one["kind"] or one["kind2"])
        for one in re.finditer(CHILDREN[language], text)
    ]
    return [(genders[name] == "f") == (kind in _FEMALE) for name, kind in found if name in genders]


def spread(items: Sequence[Item], count: int) -> list[Item]:
    return list(items[:: max(1, len(items) // count)][:count])


def print_results(results: dict[str, Any]) -> None:
    print("writer, language: coherent; invented words; ended; children fit; names in 100 words; plots; copy")
    for name, by_language in results["writers"].items():
        for language, one in by_language.items():
            coherence = one["coherence"]
            print(
                f"{name:9} {language}: {coherence['share']:6.1%} ({coherence['low']:.1%} to {coherence['high']:.1%}); "
                f"{one['invented_words']:.2%}; {one['ended']:.1%}; "
                f"{one['children_that_fit']:.1%} of {one['num_children']}; {one['names_per_100_words']:.2f}; "
                f"{one['plots_told']:.1f}; {one['copying_median']:.0f} of {one['median_tokens']:.0f} tokens"
            )
    print(json.dumps({k: v["coherence"]["contradictions"] for k, v in results["writers"]["model"].items()}))


if __name__ == "__main__":
    main()
