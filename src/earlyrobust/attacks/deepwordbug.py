"""DeepWordBug, the attack that mistypes.

Gao et al., "Black-box Generation of Adversarial Text Sequences to Evade Deep Learning Classifiers", IEEE
Security and Privacy Workshops 2018, arXiv 1801.04354.

As in TextAttack 0.3.11. Where that differs from the paper:

* Words are ranked with "[UNK]" in their place; the paper scores them by the text before and behind them.
* All four kinds of typing errors compete for each word; the paper takes one kind for a whole attack.
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
        resources: Stop words, and the sentence encoder that measures the similarity of results.
        max_edits: Most characters that differ from the original text (30: the paper).
        ranks_all_words: Measure the importance of stop words too, as TextAttack 0.3.4 did.
    """

    name = "deepwordbug"
    description = "mistypes words"

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
