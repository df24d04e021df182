"""Short stories in English and Spanish, made on the spot, so that a first run needs no network.

What the stories are made of is in ``material/``, in the public domain: its README.md tells how to add a word or a plot.
``documents`` fills a size, ``stories`` tells one story, ``plots`` chooses its facts, ``lexicon`` finds its words,
``templates`` parses what writers type, ``english`` and ``spanish`` give words their form.
"""

from __future__ import annotations

from semilla.stories.documents import SampleDocument, generate_corpus
from semilla.stories.openings import OPENINGS, list_openings

__all__ = ["OPENINGS", "SampleDocument", "generate_corpus", "list_openings"]
