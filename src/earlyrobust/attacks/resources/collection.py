"""Collects the resources from which attacks are built; each is loaded when it is first needed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from earlyrobust.attacks.precision import Precision
from earlyrobust.attacks.resources.lists import NeighbourLists, wordnet_synonyms
from earlyrobust.attacks.resources.neighbours import Neighbours, load_neighbours
from earlyrobust.attacks.resources.stopwords import nltk_stop_words, textfooler_stop_words
from earlyrobust.attacks.resources.tagging import Tagger, load_tagger
from earlyrobust.attacks.resources.wordnet_files import find_wordnet
from earlyrobust.encoders import Note, fastest_device, load_masked_lm, load_sentence_encoder, silent

if TYPE_CHECKING:
    from earlyrobust.attacks.asks import NamedModel
    from earlyrobust.attacks.models import MaskedLM

DEFAULT_SENTENCE_ENCODER = "minilm"
DEFAULT_MASKED_LM = "google-bert/bert-base-uncased"
UNIVERSAL = "use"


class Resources:
    """The resources that attacks use besides the victim. Each is loaded when it is first needed.

    Args:
        neighbours: A source of neighbours, or its name or path; see `load_neighbours`.
        sentence_encoder: A sentence-transformers model: `minilm` (embedded), a folder, or a name on the hub;
            `use` for the Universal Sentence Encoder.
        masked_lm: A masked language model: a folder or a name on the hub.
        nltk_data: Folder of NLTK's data; None for the places where NLTK looks.
        device: The device on which the models run; None for the accelerator, or for the CPU if there is none.
        precision: The precision in which the models are computed. The Universal Sentence Encoder always uses
            float32.
        note: Receives a sentence about each choice between models, and about other points that a user should
            know.
    """

    def __init__(
        self,
        *,
        neighbours: Neighbours | str | None = None,
        sentence_encoder: str = DEFAULT_SENTENCE_ENCODER,
        masked_lm: str = DEFAULT_MASKED_LM,
        nltk_data: Path | None = None,
        device: torch.device | str | None = None,
        precision: Precision = "float32",
        note: Note = silent,
    ) -> None:
        self._neighbours = neighbours
        self._sentence_encoder = sentence_encoder
        self._masked_lm = masked_lm
        self._nltk_data = nltk_data
        self._precision = precision
        self._note = note
        self._device = fastest_device() if device is None else torch.device(device)
        self._loads_masked_lm = False

    def unused(self) -> list[str]:
        """Return the named resources that nothing has loaded: "neighbours", "sentence_encoder", "masked_lm".

        Resources with their default name are left out.
        """
        loaded = vars(self)
        named = {
            "neighbours": self._neighbours is not None and not {"neighbours", "synonyms"} & loaded.keys(),
            "sentence_encoder": self._sentence_encoder != DEFAULT_SENTENCE_ENCODER
            and "sentence_encoder" not in loaded,
            "masked_lm": self._masked_lm != DEFAULT_MASKED_LM and not self._loads_masked_lm,
        }
        return [name for name, is_unused in named.items() if is_unused]

    @cached_property
    def neighbours(self) -> Neighbours:
        """The source of neighbours of words.

        Raises:
            ResourceError: If there is no such source, or it cannot be read.
        """
        if self._neighbours is None or isinstance(self._neighbours, str):
            found = load_neighbours(self._neighbours)
            if isinstance(found, NeighbourLists) and found.unused:
                self._note(
                    f"{found.words:,} words have neighbours in the {found.name}. {found.unused:,} entries "
                    "are not used: their word is not a single word, or they name no other word."
                )
            return found
        return self._neighbours

    @cached_property
    def synonyms(self) -> Neighbours:
        """The source of synonyms of words: the source of neighbours if one is given, else WordNet.

        WordNet is read from its own files if NLTK's data holds them. Otherwise the synonyms are those that
        come with the package.

        Raises:
            ResourceError: If there is no such source, or it is damaged.
        """
        if self._neighbours is not None:
            return self.neighbours
        return find_wordnet(self._nltk_data) or wordnet_synonyms()

    @cached_property
    def tagger(self) -> Tagger:
        """The part-of-speech tagger: NLTK's if its data is found, else TextBlob's."""
        return load_tagger(self._nltk_data)

    @cached_property
    def nltk_stop_words(self) -> frozenset[str]:
        """NLTK's English stop words."""
        return nltk_stop_words(self._nltk_data)[0]

    @cached_property
    def textfooler_stop_words(self) -> frozenset[str]:
        """The stop words of TextFooler's authors."""
        return textfooler_stop_words()

    @cached_property
    def sentence_encoder(self) -> NamedModel:
        """The sentence encoder.

        Raises:
            ModelError: If the model cannot be loaded.
            ResourceError: If the Universal Sentence Encoder cannot be loaded.
        """
        from earlyrobust.attacks.models import SentenceEncoder, UniversalSentenceEncoder

        if self._sentence_encoder == UNIVERSAL:
            if self._precision != "float32":
                self._note("The Universal Sentence Encoder is computed in float32, whatever the precision.")
            return UniversalSentenceEncoder()
        model = load_sentence_encoder(self._sentence_encoder, self._device, self._note)
        return SentenceEncoder(model, self._sentence_encoder, self._precision)

    def masked_lm(self, candidates: int) -> MaskedLM:
        """Load the masked language model.

        Args:
            candidates: Number of tokens in the model's answer for each position of a text.

        Raises:
            ModelError: If the model cannot be loaded.
            ResourceError: If the tokenizer has no mask token.
            ConfigError: If `candidates` is not positive or exceeds the size of the vocabulary.
        """
        from earlyrobust.attacks.models import MaskedLM

        self._loads_masked_lm = True
        model, tokenizer = load_masked_lm(self._masked_lm, self._note)
        return MaskedLM(model.to(self._device), tokenizer, self._masked_lm, candidates, self._precision)
