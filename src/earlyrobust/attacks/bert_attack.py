"""BERT-Attack, an attack that replaces words by those that a masked language model predicts.

Li et al., "BERT-ATTACK: Adversarial Attack Against BERT Using BERT", EMNLP 2020, arXiv 2004.09984.

The attack does the same as in TextAttack 0.3.11, except for K. It differs from the paper in three points:

* To measure the importance of a word, the attack replaces it by "[UNK]". The paper masks it.
* It tries combinations of sub-word tokens in the order of their tokens' ranks. The paper ranks them by
  perplexity. TextAttack computes the perplexity, but does not use it.
* The cosine of whole texts must be at least 0.2 for all tasks. The authors chose this threshold by task.

K is 48, as in the paper. TextAttack's recipe has lowered it to 8, because it builds all combinations of
sub-word tokens at once. This attack builds them one by one, as needed.
"""

from __future__ import annotations

from earlyrobust.attacks.constraints import SentenceSimilarity, WordLimit
from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.resources import Resources
from earlyrobust.attacks.swaps import MaskedLMSwaps


class BertAttack(WordSwapAttack):
    """Replaces words by those that a masked language model predicts at their positions.

    Args:
        resources: Provides the masked language model, the sentence encoder and the stop words.
        candidates: K, the number of tokens to try for each position (48: the paper).
        word_limit: Largest share of the words that may be replaced (0.4: the authors).
        min_similarity: Smallest cosine of sentence embeddings (0.2: TextAttack).
        ranks_all_words: Whether to measure the importance of stop words too, as TextAttack 0.3.4 did.
    """

    name = "bert-attack"

    def __init__(
        self,
        resources: Resources | None = None,
        *,
        candidates: int = 48,
        word_limit: float = 0.4,
        min_similarity: float = 0.2,
        ranks_all_words: bool = False,
    ) -> None:
        resources = resources or Resources()
        encoder = resources.sentence_encoder
        super().__init__(
            swaps=MaskedLMSwaps(resources.masked_lm(candidates)),
            constraints=[WordLimit(word_limit), SentenceSimilarity(encoder, min_similarity, metric="cosine")],
            stop_words=resources.nltk_stop_words,
            ranking="unk",
            ranks_all_words=ranks_all_words,
            sentence_encoder=encoder,
        )
