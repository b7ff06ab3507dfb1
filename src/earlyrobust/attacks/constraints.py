"""Constraints: which edited texts an attack may offer to the victim."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from earlyrobust.attacks.engine import Ask, Attacking, NamedModel, fingerprint_as
from earlyrobust.attacks.text import Text
from earlyrobust.errors import ConfigError, ResourceError

if TYPE_CHECKING:
    from earlyrobust.attacks.resources.neighbours import Neighbours
    from earlyrobust.attacks.resources.tagging import Tagger

# Words before and after a word that the tagger sees.
_BEFORE, _AFTER = 4, 3
_INTERCHANGEABLE = {"NOUN", "VERB"}
# The smallest cosine that TextFooler's authors chose, for counter-fitted vectors.
_WORD_COSINE = 0.5


@dataclass(frozen=True, slots=True)
class Candidate:
    """An edited text, and how similar a constraint has found it to the text it is compared with."""

    text: Text
    similarity: float | None = None


class Constraint(ABC):
    """Decides which candidates may stay."""

    def keep(self, candidates: list[Candidate], current: Text, original: Text) -> Attacking[list[Candidate]]:
        """The candidates that may stay; may ask models.

        Args:
            candidates: Texts that differ from `current` in one word.
            current: The text as it is now.
            original: The text before the attack.
        """
        yield from ()
        return [candidate for candidate in candidates if self.allows(candidate.text, current, original)]

    @abstractmethod
    def allows(self, text: Text, current: Text, original: Text) -> bool:
        """Whether one candidate may stay, where no model needs to be asked."""

    def describe(self) -> dict[str, Any]:
        """Settings and resources, as JSON types."""
        return {}

    def fingerprints(self) -> dict[str, str]:
        """Hashes of what the resources hold."""
        return {}


class WordSimilarity(Constraint):
    """The new word's vector is close to that of the word that stood there before the attack.

    Words without a vector may be used.

    Args:
        neighbours: Where the vectors come from.
        minimum: Smallest cosine. None for 0.5 where the vectors are made to measure meaning, and for no limit
            elsewhere.

    Raises:
        ConfigError: If there is a smallest cosine, and the source of neighbours has no vectors.
    """

    def __init__(self, neighbours: Neighbours, minimum: float | None = None) -> None:
        if minimum is not None and not neighbours.has_vectors:
            raise ConfigError(
                f"There are no word vectors in the {neighbours.name}: leave --min-word-cosine out, or name "
                "--neighbours that have them."
            )
        self._neighbours = neighbours
        self._minimum = _WORD_COSINE if minimum is None and neighbours.measures_meaning else minimum

    def allows(self, text: Text, current: Text, original: Text) -> bool:
        """Whether every new word is close enough."""
        return self._minimum is None or all(
            place < len(original.words) and self._close(original.words[place], text.words[place])
            for place in text.newest
        )

    def _close(self, old: str, new: str) -> bool:
        cosine = self._neighbours.cosine(old.lower(), new.lower())
        return cosine is None or self._minimum is None or cosine >= self._minimum

    def describe(self) -> dict[str, Any]:
        """Smallest cosine; None where there is no limit."""
        return {"min_word_cosine": self._minimum}


class SamePartOfSpeech(Constraint):
    """The new word has the part of speech of the old one; nouns and verbs may stand for each other.

    Args:
        tagger: Tags words among their neighbours in the text before the attack.
    """

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger

    def allows(self, text: Text, current: Text, original: Text) -> bool:
        """Whether every new word is tagged as the old one."""
        return all(
            place < len(original.words) and self._same(original, place, text.words[place])
            for place in text.newest
        )

    def _same(self, original: Text, place: int, new: str) -> bool:
        tags = {self._tag(original, place, word) for word in (original.words[place], new)}
        return len(tags) == 1 or tags <= _INTERCHANGEABLE

    def _tag(self, original: Text, place: int, word: str) -> str:
        before = original.words[max(0, place - _BEFORE) : place]
        words = [*before, word, *original.words[place + 1 : place + 1 + _AFTER]]
        # If the word stands twice in the window the tag of the first counts, as in TextAttack.
        return self._tagger.tag(words, words.index(word))

    def describe(self) -> dict[str, Any]:
        """Which tagger."""
        return {"tagger": self._tagger.name}


class WordLimit(Constraint):
    """At most a share of the words differs from the text before the attack.

    Args:
        share: Of the words; rounded up to a whole number of them.
    """

    def __init__(self, share: float) -> None:
        self._share = share

    def allows(self, text: Text, current: Text, original: Text) -> bool:
        """Whether few enough words differ."""
        words = min(len(text.words), len(original.words))
        return text.words_changed(original) <= math.ceil(words * self._share)

    def describe(self) -> dict[str, Any]:
        """The share."""
        return {"word_limit": self._share}


class EditDistance(Constraint):
    """At most so many characters differ from the text before the attack (Levenshtein's distance).

    Args:
        most: Characters inserted, deleted or replaced.

    Raises:
        ConfigError: If there are none.
        ResourceError: If the package that computes the distance is not installed.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ConfigError(f"At most {most} characters may differ: choose at least 1.")
        if find_spec("rapidfuzz") is None:
            raise ResourceError("rapidfuzz is not installed: pip install 'earlyrobust[attack]'.")
        self._most = most

    def allows(self, text: Text, current: Text, original: Text) -> bool:
        """Whether few enough characters differ."""
        from rapidfuzz.distance import Levenshtein

        return Levenshtein.distance(original.full, text.full, score_cutoff=self._most) <= self._most

    def describe(self) -> dict[str, Any]:
        """The number of characters."""
        return {"max_edits": self._most}


class SentenceSimilarity(Constraint):
    """The candidate's embedding is close to that of the original or the current text.

    Args:
        encoder: Computes the embeddings.
        minimum: Smallest similarity.
        metric: "cosine", or "angular": 1 - angle / π.
        against: The text that candidates are compared with.
        window: Words around the edit that are compared; None for the whole text.
        short_texts_pass: Whether a candidate of fewer words than the window may stay without being compared.
    """

    def __init__(
        self,
        encoder: NamedModel,
        minimum: float,
        *,
        metric: Literal["cosine", "angular"],
        against: Literal["original", "current"] = "original",
        window: int | None = None,
        short_texts_pass: bool = False,
    ) -> None:
        self._encoder = encoder
        self._minimum = minimum
        self._metric = metric
        self._against = against
        self._window = window
        self._short_texts_pass = short_texts_pass

    def keep(self, candidates: list[Candidate], current: Text, original: Text) -> Attacking[list[Candidate]]:
        """The candidates that are similar enough, each with its similarity."""
        reference = original if self._against == "original" else current
        asked = [candidate for candidate in candidates if self._is_compared(candidate.text, reference)]
        windows = [self._windows(candidate.text, reference) for candidate in asked]
        found = {}
        if asked:
            embeddings = yield Ask(self._encoder, [text for pair in windows for text in pair])
            found = dict(zip(map(id, asked), self._similarities(embeddings), strict=True))
        kept = []
        for candidate in candidates:
            if id(candidate) in found:
                if found[id(candidate)] >= self._minimum:
                    kept.append(replace(candidate, similarity=float(found[id(candidate)])))
            elif self._passes_unseen(candidate.text):
                kept.append(replace(candidate, similarity=1.0))
        return kept

    def allows(self, text: Text, current: Text, original: Text) -> bool:
        """Whether a candidate may stay without being compared."""
        return self._passes_unseen(text)

    def _passes_unseen(self, text: Text) -> bool:
        return self._short_texts_pass and self._window is not None and len(text.words) < self._window

    def _is_compared(self, text: Text, reference: Text) -> bool:
        """Whether there is something to compare: an edit that left no word has no window."""
        return bool(text.newest and reference.words) and not self._passes_unseen(text)

    def _windows(self, text: Text, reference: Text) -> tuple[str, str]:
        place = text.newest[0]
        return reference.window(place, self._window), text.window(place, self._window)

    def _similarities(self, embeddings: Any) -> Tensor:
        cosines = torch.nn.functional.cosine_similarity(
            torch.stack(embeddings[::2]), torch.stack(embeddings[1::2]), dim=1
        )
        if self._metric == "cosine":
            return cosines
        return 1 - torch.acos(cosines.clamp(-1, 1)) / math.pi

    def describe(self) -> dict[str, Any]:
        """Encoder, threshold, and what is compared."""
        return {
            "sentence_encoder": self._encoder.name,
            "min_similarity": self._minimum,
            "metric": self._metric,
            "compared_with": self._against,
            "window": self._window,
            "short_texts_pass": self._short_texts_pass,
        }

    def fingerprints(self) -> dict[str, str]:
        """The encoder's."""
        return fingerprint_as("sentence_encoder", self._encoder)
