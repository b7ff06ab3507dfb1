"""TextFooler, the attack that looks for synonyms.

Jin et al., "Is BERT Really Robust?", AAAI 2020, arXiv 1907.11932.

As in TextAttack 0.3.11, with which most results since were made. Where that differs from the paper:

* The cosine of word vectors must be at least 0.5. The paper says 0.7, its released code uses 0.5. This floor
  was made for counter-fitted vectors. Lists have no vectors, and the input embeddings of encoders do not
  measure meaning: there no floor holds, unless the user asks for one.
* The similarity threshold looks odd because the released code compares the angle without dividing it by π:
  0.5 there is 1 - 0.5 / π = 0.840845057 here.
* Candidates are compared with the current text, in a window of 15 words; texts of fewer words pass.
* Of a pair, the first text (premise, question) is left alone.
"""

from __future__ import annotations

from earlyrobust.attacks.constraints import SamePartOfSpeech, SentenceSimilarity, WordSimilarity
from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.resources import Resources
from earlyrobust.attacks.swaps import NeighbourSwaps


class TextFooler(WordSwapAttack):
    """Replaces words by their nearest neighbours in a space of word vectors.

    Args:
        resources: Neighbours, sentence encoder and tagger.
        candidates: K, neighbours tried for each word (50: the paper).
        min_word_cosine: Smallest cosine of word vectors. None for 0.5 (the released code) where the vectors
            are made to measure meaning, and for no floor elsewhere.
        min_similarity: Smallest angular similarity (0.840845057: the released code, see above).
        ranks_all_words: Measure the importance of stop words too, as TextAttack 0.3.4 did.

    Raises:
        ConfigError: If `min_word_cosine` is given, and the neighbours have no vectors.
    """

    name = "textfooler"

    def __init__(
        self,
        resources: Resources | None = None,
        *,
        candidates: int = 50,
        min_word_cosine: float | None = None,
        min_similarity: float = 0.840845057,
        ranks_all_words: bool = False,
    ) -> None:
        resources = resources or Resources()
        encoder = resources.sentence_encoder
        super().__init__(
            swaps=NeighbourSwaps(resources.neighbours, candidates),
            constraints=[
                WordSimilarity(resources.neighbours, min_word_cosine),
                SamePartOfSpeech(resources.tagger),
                SentenceSimilarity(
                    encoder,
                    min_similarity,
                    metric="angular",
                    against="current",
                    window=15,
                    short_texts_pass=True,
                ),
            ],
            stop_words=resources.textfooler_stop_words,
            ranking="delete",
            keeps_first_column=True,
            ranks_all_words=ranks_all_words,
            sentence_encoder=encoder,
        )
