"""BERT-Attack, the attack that asks a language model for words.

Li et al., "BERT-ATTACK: Adversarial Attack Against BERT Using BERT", EMNLP 2020, arXiv 2004.09984.

As in TextAttack 0.3.11. Where that differs from the paper:

* Words are ranked with "[UNK]" in their place; the paper masks them.
* Combinations of sub-word tokens are taken in the order of their tokens' ranks; the paper ranks them by
  perplexity, and TextAttack computes that and then does not use it.
* K is 48 as in the paper. TextAttack's recipe has come down to 8, because it builds all combinations of
  sub-word tokens at once; here they are made as they are needed.
* Similarity is the cosine of whole texts, at least 0.2, for all tasks; the authors chose it by task.
"""

from __future__ import annotations

from earlyrobust.attacks.constraints import SentenceSimilarity, WordLimit
from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.resources import Resources
from earlyrobust.attacks.swaps import MaskedLMSwaps


class BertAttack(WordSwapAttack):
    """Replaces words by what a masked language model reads in their place.

    Args:
        resources: Masked language model, sentence encoder and stop words.
        candidates: K, tokens tried for each place (48: the paper).
        word_limit: Largest share of words replaced (0.4: the authors).
        min_similarity: Smallest cosine of sentence embeddings (0.2: TextAttack).
        ranks_all_words: Measure the importance of stop words too, as TextAttack 0.3.4 did.
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
