"""Generates short stories in English and Spanish, so that a first run needs no network.

The plots and words are in ``material/``, in the public domain; its README.md says how to add to them. ``documents``
fills a corpus of a given size, ``stories`` tells one story, ``plots`` chooses its facts, ``lexicon`` finds its words,
``templates`` parses the lines of the plots, and ``english`` and ``spanish`` inflect the words.
"""

from __future__ import annotations

from semilla.stories.documents import SampleDocument, generate_corpus
from semilla.stories.openings import OPENINGS, list_openings

__all__ = ["OPENINGS", "SampleDocument", "generate_corpus", "list_openings"]
