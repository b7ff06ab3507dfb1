"""PWWS, an attack that replaces words by synonyms, ranked by saliency and by the effect of the best synonym.

Ren et al., "Generating Natural Language Adversarial Examples through Probability Weighted Word Saliency", ACL
2019.

The attack does the same as in TextAttack 0.3.11. It differs from the paper in four points:

* It does not replace named entities by others, which needs the whole data set and its labels.
* It chooses the best synonym of a word twice: for the ranking in the original text, and again in the current
  text when it replaces the word. The paper chooses once.
* It tries synonyms for all parts of speech that the word can have. The paper tries only those for the part of
  speech that the word has in the text.
* It multiplies the saliency by the score of the best synonym. The paper multiplies it by the increase of the
  score.

The synonyms are those of NLTK's WordNet if its data is found, as in TextAttack. Otherwise they are those that
come with the package, inflected as the word is. The attack inserts synonyms as they are listed, whatever the
letter case of the word.
"""

from __future__ import annotations

from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.resources import Resources
from earlyrobust.attacks.swaps import NeighbourSwaps


class PWWS(WordSwapAttack):
    """Replaces words by synonyms, in the order of saliency times the change of the probability.

    Args:
        resources: Provides the synonyms, the stop words, and the sentence encoder that measures similarity in
            the results.
        candidates: K, the largest number of synonyms to try for each word (all: the paper; no word of WordNet
            has more than 67).
        ranks_all_words: Whether to measure the importance of stop words too, as TextAttack 0.3.4 did.
    """

    name = "pwws"

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
