"""The attack that the paper behind this package calls BERT-Attack.

The attack follows the released code of "Efficient Adversarial Training with Robust Early-Bird Tickets", EMNLP
2022, arXiv 2211.07263. It does not use a language model. It starts from another recipe (BAE). Neighbours by
word vectors replace the masked language model, and the similarity of a window replaces the similarity of the
whole text. Compare results of that paper with this attack, not with BERT-Attack.
"""

from __future__ import annotations

from earlyrobust.attacks.constraints import SamePartOfSpeech, SentenceSimilarity
from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.resources import Resources
from earlyrobust.attacks.swaps import NeighbourSwaps


class BertAttackEarlyRobust(WordSwapAttack):
    """Replaces words by neighbours of the same part of speech, whatever their distance.

    Args:
        resources: Provides the neighbours, the sentence encoder, the tagger and the stop words.
        candidates: K, the number of neighbours to try for each word (50: the released code).
        min_similarity: Smallest cosine of sentence embeddings (0.2: the released code).
        ranks_all_words: Whether to measure the importance of stop words too, as TextAttack 0.3.4 did.
    """

    name = "bert-attack-earlyrobust"

    def __init__(
        self,
        resources: Resources | None = None,
        *,
        candidates: int = 50,
        min_similarity: float = 0.2,
        ranks_all_words: bool = False,
    ) -> None:
        resources = resources or Resources()
        encoder = resources.sentence_encoder
        super().__init__(
            swaps=NeighbourSwaps(resources.neighbours, candidates),
            constraints=[
                SamePartOfSpeech(resources.tagger),
                SentenceSimilarity(encoder, min_similarity, metric="cosine", window=15),
            ],
            stop_words=resources.nltk_stop_words,
            ranking="delete",
            keeps_first_column=True,
            ranks_all_words=ranks_all_words,
            sentence_encoder=encoder,
        )
