"""PWWS, the attack that weighs how salient a word is and how much its synonyms change.

Ren et al., "Generating Natural Language Adversarial Examples through Probability Weighted Word Saliency", ACL
2019.

As in TextAttack 0.3.11. Where that differs from the paper:

* Named entities are not swapped for others: that needs the whole data set and its labels.
* The best synonym of a word is chosen twice: for the ranking, and again when its turn has come, in the text
  as it is then. The paper chooses once.
* Synonyms are of all parts of speech that the word can have, not only of the one that it has in the text.
* The saliency is weighed with the score of the best synonym itself, not with how much it raises the score.

The synonyms are those of NLTK's WordNet where it is found, as in TextAttack. Elsewhere they are the ones that
the package carries, which are inflected as the word is. The attack puts them in as they are listed, whatever
the letter case of the word.
"""

from __future__ import annotations

from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.resources import Resources
from earlyrobust.attacks.swaps import NeighbourSwaps


class PWWS(WordSwapAttack):
    """Replaces words by synonyms, those first where saliency times change of the probability is largest.

    Args:
        resources: Synonyms and stop words.
        candidates: K, synonyms tried for each word (all: the paper; no word of WordNet has more than 67).
        ranks_all_words: Measure the importance of stop words too, as TextAttack 0.3.4 did.
    """

    name = "pwws"
    description = "replaces words by synonyms, ranked by saliency and by what the best synonym changes"

    def __init__(
        self,
        resources: Resources | None = None,
        *,
        candidates: int = 100,
        ranks_all_words: bool = False,
    ) -> None:
        resources = resources or Resources()
        super().__init__(
            swaps=NeighbourSwaps(resources.synonyms, candidates, keeps_case=False),
            constraints=[],
            stop_words=resources.nltk_stop_words,
            ranking="weighted-saliency",
            ranks_all_words=ranks_all_words,
            sentence_encoder=resources.sentence_encoder,
        )
