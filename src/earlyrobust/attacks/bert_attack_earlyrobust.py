"""What the paper that this package implements attacks with under the name of BERT-Attack.

Read in the release of "Efficient Adversarial Training with Robust Early-Bird Tickets", EMNLP 2022, arXiv
2211.07263. It asks no language model: it starts from another recipe (BAE), puts neighbours of word vectors in
the place of the masked language model, and the similarity of a window in the place of that of the whole text.
Results of that paper compare with this attack, not with BERT-Attack.
"""

from __future__ import annotations

from earlyrobust.attacks.constraints import SamePartOfSpeech, SentenceSimilarity
from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.resources import Resources
from earlyrobust.attacks.swaps import NeighbourSwaps


class BertAttackEarlyRobust(WordSwapAttack):
    """Replaces words by neighbours of the same part of speech, whatever their distance.

    Args:
        resources: Neighbours, sentence encoder, tagger and stop words.
        candidates: K, neighbours tried for each word (50: the release).
        min_similarity: Smallest cosine of sentence embeddings (0.2: the release).
        ranks_all_words: Measure the importance of stop words too, as TextAttack 0.3.4 did.
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
