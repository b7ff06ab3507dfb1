"""DeepWordBug, an attack that inserts typing errors.

Gao et al., "Black-box Generation of Adversarial Text Sequences to Evade Deep Learning Classifiers", IEEE
Security and Privacy Workshops 2018, arXiv 1801.04354.

The attack does the same as in TextAttack 0.3.11. It differs from the paper in two points:

* To measure the importance of a word, the attack replaces it by "[UNK]". The paper scores the text before the
  word and the text after it.
* All four kinds of typing errors compete for each word. The paper uses one kind for a whole attack.
"""

from __future__ import annotations

from earlyrobust.attacks.characters import (
    DeleteCharacter,
    InsertCharacter,
    SubstituteCharacter,
    SwapCharacters,
)
from earlyrobust.attacks.constraints import EditDistance
from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.resources import Resources
from earlyrobust.attacks.swaps import AnyOf


class DeepWordBug(WordSwapAttack):
    """Mistypes words: two letters swapped, one replaced, one missing, or one too many.

    Args:
        resources: Provides the stop words, and the sentence encoder that measures similarity in the results.
        max_edits: Largest edit distance from the original text, in characters (30: the paper).
        ranks_all_words: Whether to measure the importance of stop words too, as TextAttack 0.3.4 did.
    """

    name = "deepwordbug"

    def __init__(
        self,
        resources: Resources | None = None,
        *,
        max_edits: int = 30,
        ranks_all_words: bool = False,
    ) -> None:
        resources = resources or Resources()
        super().__init__(
            swaps=AnyOf(
                SwapCharacters(ends=True),
                SubstituteCharacter(),
                DeleteCharacter(ends=True),
                InsertCharacter(),
            ),
            constraints=[EditDistance(max_edits)],
            stop_words=resources.nltk_stop_words,
            ranking="unk",
            ranks_all_words=ranks_all_words,
            sentence_encoder=resources.sentence_encoder,
        )
