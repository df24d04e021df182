"""Minimal pairs: a sentence of a story and its twin with one mistake of grammar, to ask a model which is likelier.

The method is that of BLiMP (Warstadt et al. 2020, *BLiMP: The Benchmark of Linguistic Minimal Pairs for English*). The
sentences come from stories about held-out combinations of character, object and plot, in English and in Spanish.
``mistakes`` says what a mistake is, ``english`` and ``spanish`` list theirs by phenomenon, ``words`` knows the forms of
the lexicon, ``pairs`` picks the sentences.
"""

from __future__ import annotations

from semilla.stories.minimal_pairs.pairs import PAIRS_PER_PHENOMENON, MinimalPair, make_pairs

__all__ = ["PAIRS_PER_PHENOMENON", "MinimalPair", "make_pairs"]
