"""TextBugger, an attack that misspells words or replaces them by near neighbours.

Li et al., "TextBugger: Generating Adversarial Text Against Real-world Applications", NDSS 2019, arXiv
1812.05271.

The attack does the same as in TextAttack 0.3.11. It differs from the paper's black-box attack in four points:

* It ranks words by the score of the text without them. The paper ranks sentences first.
* Neighbours come from counter-fitted vectors, not from GloVe.
* It tries each kind of misspelling at one random place. Only look-alikes are tried at every place.
* The angular similarity of the whole texts before and after the attack must be at least 0.8.
"""

from __future__ import annotations

from earlyrobust.attacks.characters import DeleteCharacter, InsertSpace, Lookalikes, SwapCharacters
from earlyrobust.attacks.constraints import SentenceSimilarity
from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.resources import Resources
from earlyrobust.attacks.swaps import AnyOf, NeighbourSwaps


class TextBugger(WordSwapAttack):
    """Misspells words in ways that people hardly notice, or replaces them by near neighbours.

    Args:
        resources: Provides the neighbours, the sentence encoder and the stop words.
        candidates: K, the number of neighbours to try for each word (5: the paper).
        min_similarity: Smallest angular similarity (0.8: the paper).
        ranks_all_words: Whether to measure the importance of stop words too, as TextAttack 0.3.4 did.
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
