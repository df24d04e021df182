"""Minimal pairs: a sentence of a story, and the same with one grammar mistake, to ask a model which is likelier.

The method is that of BLiMP (Warstadt et al. 2020, *BLiMP: The Benchmark of Linguistic Minimal Pairs for English*). The
sentences come from stories about held-out combinations of character, object and plot, in English and in Spanish.
``mistakes`` defines a mistake, ``english`` and ``spanish`` list theirs by phenomenon, ``words`` knows the forms of the
lexicon's words, and ``pairs`` picks the sentences.
"""

from __future__ import annotations

from semilla.stories.minimal_pairs.pairs import PAIRS_PER_PHENOMENON, MinimalPair, make_pairs

__all__ = ["PAIRS_PER_PHENOMENON", "MinimalPair", "make_pairs"]
