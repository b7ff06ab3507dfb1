"""TextBugger, the attack that misspells.

Li et al., "TextBugger: Generating Adversarial Text Against Real-world Applications", NDSS 2019, arXiv
1812.05271.

As in TextAttack 0.3.11. Where that differs from the paper:

* Words are ranked by the score of the text without them, not by sentences first; the black-box attack.
* Neighbours are counter-fitted ones, not GloVe's.
* Each kind of bug is put in at one random place, except look-alikes, which are tried at every place.
* Similarity is angular, at least 0.8, between the whole texts before and after.
"""

from __future__ import annotations

from earlyrobust.attacks.characters import DeleteCharacter, InsertSpace, Lookalikes, SwapCharacters
from earlyrobust.attacks.constraints import SentenceSimilarity
from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.resources import Resources
from earlyrobust.attacks.swaps import AnyOf, NeighbourSwaps


class TextBugger(WordSwapAttack):
    """Misspells words in ways that people read over, or replaces them by near neighbours.

    Args:
        resources: Neighbours, sentence encoder and stop words.
        candidates: K, neighbours tried for each word (5: the paper).
        min_similarity: Smallest angular similarity (0.8: the paper).
        ranks_all_words: Measure the importance of stop words too, as TextAttack 0.3.4 did.
    """

    name = "textbugger"

    def __init__(
        self,
        resources: Resources | None = None,
        *,
        candidates: int = 5,
        min_similarity: float = 0.8,
        ranks_all_words: bool = False,
    ) -> None:
        resources = resources or Resources()
        encoder = resources.sentence_encoder
        super().__init__(
            swaps=AnyOf(
                InsertSpace(),
                DeleteCharacter(),
                SwapCharacters(),
                Lookalikes(),
                NeighbourSwaps(resources.neighbours, candidates),
            ),
            constraints=[SentenceSimilarity(encoder, min_similarity, metric="angular")],
            stop_words=resources.nltk_stop_words,
            ranking="delete",
            ranks_all_words=ranks_all_words,
            sentence_encoder=encoder,
        )
