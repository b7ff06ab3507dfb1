"""TextFooler, an attack that replaces words by near neighbours of the same part of speech.

Jin et al., "Is BERT Really Robust?", AAAI 2020, arXiv 1907.11932.

The attack does the same as in TextAttack 0.3.11, which most later results use. It differs from the paper in
four points:

* The cosine of word vectors must be at least 0.5. The paper says 0.7, its released code uses 0.5. This
  threshold was chosen for counter-fitted vectors. Lists have no vectors, and the input embeddings of encoders
  do not measure meaning. For such embeddings the attack uses a threshold only if the user sets one.
* The similarity threshold is 0.840845057. The released code compares the angle without dividing it by π, and
  its threshold of 0.5 equals 1 - 0.5 / π here.
* The attack compares candidates with the current text, in a window of 15 words. Candidates with fewer words
  pass without comparison.
* The attack leaves the first text of a pair (premise, question) unchanged.
"""

from __future__ import annotations

from earlyrobust.attacks.constraints import SamePartOfSpeech, SentenceSimilarity, WordSimilarity
from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.resources import Resources
from earlyrobust.attacks.swaps import NeighbourSwaps


class TextFooler(WordSwapAttack):
    """Replaces words by their nearest neighbours in a space of word vectors.

    Args:
        resources: Provides the neighbours, the sentence encoder, the tagger and the stop words.
        candidates: K, the number of neighbours to try for each word (50: the paper).
        min_word_cosine: Smallest cosine of word vectors. None for 0.5 (the released code) if the vectors
            measure meaning, else for no limit.
        min_similarity: Smallest angular similarity (0.840845057 = 1 - 0.5 / π: the released code).
        ranks_all_words: Whether to measure the importance of stop words too, as TextAttack 0.3.4 did.

    Raises:
        ConfigError: If `min_word_cosine` is given and the source of neighbours has no vectors.
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
