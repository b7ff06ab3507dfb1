"""The options of attacks, which a run and the attack command share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from earlyrobust.pipeline.options import Names, Options

Share = Annotated[float, Field(gt=0, le=1)]
Precision = Literal["float32", "tf32", "bf16"]
# Folders that were begun before there was a choice do not name a precision.
_Chosen = Annotated[Precision | None, AfterValidator(lambda chosen: None if chosen == "float32" else chosen)]


class AttackOptions(Options):
    """How a classifier is attacked. Options that are None take the default of each attack.

    Attributes:
        attack: Names of attacks: those of `ATTACKS`, of installed packages, or `module:Class`. In one string
            they are separated by commas.
        examples: Examples to attack, drawn from the test split with the shares of its classes.
        neighbours: Source of neighbours; None for the counter-fitted vectors if they were fetched, else the
            synonyms from WordNet that the package carries.
        sentence_encoder: A sentence-transformers model, or `use`.
        masked_lm: Masked language model of BERT-Attack.
        nltk_data: Folder of NLTK's data; None for where NLTK looks.
        candidates: K, candidates for each word.
        min_similarity: Smallest similarity of sentences, in each attack's own metric.
        min_word_cosine: Smallest cosine of word vectors.
        word_limit: Largest share of words replaced.
        ranks_all_words: Measure the importance of stop words too, as TextAttack 0.3.4 did.
        precision: In which the classifier, the sentence encoder and the masked language model are computed;
            None for "float32".
        token_budget: Most tokens of a batch; changes speed and memory, not the result. None for what suits
            the device.
        in_flight: Examples attacked side by side; the same.
    """

    attack: Names = ("textfooler",)
    examples: Annotated[int, Field(gt=0)] = 200
    neighbours: str | None = None
    sentence_encoder: str = "minilm"
    masked_lm: str = "google-bert/bert-base-uncased"
    nltk_data: Path | None = None
    candidates: Annotated[int, Field(gt=0, le=1_000)] | None = None
    min_similarity: Annotated[float, Field(ge=-1, le=1)] | None = None
    min_word_cosine: Annotated[float, Field(ge=-1, le=1)] | None = None
    word_limit: Share | None = None
    ranks_all_words: bool = False
    precision: _Chosen = None
    token_budget: Annotated[int, Field(gt=0)] | None = None
    in_flight: Annotated[int, Field(gt=0)] = 128

    @property
    def used_precision(self) -> Precision:
        """The precision that models are computed in."""
        return self.precision or "float32"


class AttackConfig(AttackOptions):
    """Options of `earlyrobust attack`, besides those of the data.

    Attributes:
        output: Folder of journals, record and page.
        seed: Of the sample and of the attacks' random choices.
        scrutiny: Whether each attack is repeated in other ways, to see whether it overstates robustness.
    """

    output: Path | None = None
    scrutiny: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
