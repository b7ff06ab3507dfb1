"""Defines the options of attacks, which a run and the attack command share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from earlyrobust.options.base import AtLeastOne, Names, Options, Seed, option
from earlyrobust.options.places import FilePath, PathOrName

Cosine = Annotated[float, Field(ge=-1, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Precision = Literal["float32", "tf32", "bf16"]
# The folders of earlier versions name no precision. Those versions used float32, so "float32" becomes None.
_Chosen = Annotated[Precision | None, AfterValidator(lambda chosen: None if chosen == "float32" else chosen)]


class AttackOptions(Options):
    """Options of attacks on a classifier. An option that is None takes the default of each attack."""

    attack: Names = option(
        ("textfooler",),
        "Attacks, separated by commas: see `earlyrobust list attacks`; or a class such as 'module:Class'.",
        "Attack",
    )
    examples: AtLeastOne = option(
        200, "Number of test examples to attack; they keep the shares of the classes.", "Attack"
    )
    neighbours: PathOrName | None = option(
        None,
        "Source of the words that replace words: 'wordnet', 'counter-fitted', an encoder, or a file of lists "
        "or vectors.",
        "Attack",
        shown="counter-fitted if fetched, else wordnet",
    )
    sentence_encoder: PathOrName = option(
        "minilm",
        "Model that measures the similarity of sentences: a sentence-transformers model, or 'use'.",
        "Attack",
    )
    masked_lm: PathOrName = option(
        "google-bert/bert-base-uncased", "Masked language model of bert-attack.", "Attack"
    )
    nltk_data: FilePath | None = option(
        None, "Folder of NLTK's tagger, stop words and WordNet.", "Attack", shown="where NLTK looks"
    )
    candidates: Annotated[int, Field(gt=0, le=1_000)] | None = option(
        None,
        "K, the number of neighbours, or of predicted tokens, that an attack tries for each word.",
        "Attack",
        shown="by attack",
    )
    min_similarity: Cosine | None = option(
        None, "Smallest similarity of sentences, in the metric of each attack.", "Attack", shown="by attack"
    )
    min_word_cosine: Cosine | None = option(
        None, "Smallest cosine of word vectors.", "Attack", shown="by attack"
    )
    word_limit: Share | None = option(
        None, "Largest share of the words of a text that are replaced.", "Attack", shown="by attack"
    )
    ranks_all_words: bool = option(
        False, "Measure the importance of stop words, too, as TextAttack 0.3.4 did.", "Attack"
    )
    precision: _Chosen = option(
        None,
        "Precision of the classifier, the sentence encoder and the masked language model: float32; tf32 and "
        "bf16 are faster on hardware that supports them.",
        "Attack",
        shown="float32",
    )
    token_budget: AtLeastOne | None = option(
        None,
        "Maximum number of tokens of a batch; it affects speed and memory, not results.",
        "Attack",
        shown="by device",
    )
    in_flight: AtLeastOne = option(
        128, "Number of examples attacked side by side; it affects speed and memory, not results.", "Attack"
    )

    @property
    def used_precision(self) -> Precision:
        """The precision in which models are computed."""
        return self.precision or "float32"


class AttackConfig(AttackOptions):
    """Options of `earlyrobust attack`, in addition to the options of the data."""

    output: FilePath | None = option(
        None, "Folder of the results.", "Run", shown="under runs/, named after model and data"
    )
    scrutiny: bool = option(
        False,
        "Repeat each attack in other ways, to see whether its number overstates robustness; takes far "
        "longer.",
        "Attack",
    )
    seed: Seed = option(0, "Seed of the sample and of the random choices of attacks.", "Attack")
