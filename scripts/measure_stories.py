"""Print figures of the sample corpus at 3 MB: plots, words, word forms, repeated sentences, twins, time."""

from __future__ import annotations

import re
import time
from collections import Counter

from semilla.stories import generate_corpus
from semilla.stories.documents import list_long_sentences
from semilla.stories.stories import load_library, tell_story

SIZE_BYTES = 3_000_000


def main() -> None:
    started = time.process_time()
    documents = generate_corpus(seed=0, size_bytes=SIZE_BYTES)
    print(
        f"{time.process_time() - started:.2f} s of CPU for {SIZE_BYTES} bytes, reading the material included"
    )
    print(f"{len(load_library().plots)} plots")
    for document in documents:
        words = Counter(re.findall(r"[^\W\d_]+", document.text.lower()))
        entries = {
            entry.terms[document.language].text
            for entry in load_library().lexicon.entries
            if entry.terms[document.language].part not in ("name", "phrase")
        }
        used = sum(set(re.findall(r"[^\W\d_]+", entry.lower())) <= words.keys() for entry in entries)
        stories = document.text.rstrip("\n").split("\n\n")
        long = Counter(sentence for story in stories for sentence in set(list_long_sentences(story)))
        twins = sum(
            tell_story(document.language, seed=0, index=index).is_twin for index in range(len(stories))
        )
        print(
            f"{document.language}: {len(stories)} stories, {twins / len(stories):.1%} with a twin; "
            f"{used} of {len(entries)} dictionary forms used; {len(words)} word forms, "
            f"{sum(count >= 20 for count in words.values())} of them 20 times; "
            f"{long.total() - len(long)} of {long.total()} long sentences repeated"
        )


if __name__ == "__main__":
    main()
