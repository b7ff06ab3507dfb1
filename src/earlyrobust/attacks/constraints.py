"""Constraints decide which edited texts an attack may offer to the victim."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from earlyrobust.attacks.asks import Ask, Attacking, NamedModel, fingerprint_as
from earlyrobust.attacks.resources.folding import fold
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
    """An edited text.

    Attributes:
        text: The text.
        similarity: Its similarity to the original text, or to the current text, as the constraint compares
            them; None if no constraint has measured it.
    """

    text: Text
    similarity: float | None = None


class Constraint(ABC):
    """Decides which candidates may stay."""

    def keep(self, candidates: list[Candidate], current: Text, original: Text) -> Attacking[list[Candidate]]:
        """Return the candidates that may stay. This generator may ask models.

        Args:
            candidates: Texts that differ from `current` in one word.
            current: The text as it is now.
            original: The text before the attack.
        """
        yield from ()
        return [candidate for candidate in candidates if self.allows(candidate.text, current, original)]

    @abstractmethod
    def allows(self, text: Text, current: Text, original: Text) -> bool:
        """Return whether one candidate may stay, if that takes no model."""

    def describe(self) -> dict[str, Any]:
        """Return the settings and the names of resources, as JSON types."""
        return {}

    def fingerprints(self) -> dict[str, str]:
        """Return hashes of the contents of resources."""
        return {}


class WordSimilarity(Constraint):
    """Allows words whose vectors are close to the vector of the original word at their place.

    Words without a vector are allowed.

    Args:
        neighbours: The source of vectors.
        minimum: Smallest allowed cosine. None for 0.5 if the vectors measure meaning, else for no limit.

    Raises:
        ConfigError: If `minimum` is given and the source has no vectors.
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
        """Return whether every new word is close enough."""
        return self._minimum is None or all(
            place < len(original.words) and self._close(original.words[place], text.words[place])
            for place in text.newest
        )

    def _close(self, old: str, new: str) -> bool:
        cosine = self._neighbours.cosine(fold(old), fold(new))
        return cosine is None or self._minimum is None or cosine >= self._minimum

    def describe(self) -> dict[str, Any]:
        """Return the smallest allowed cosine; None for no limit."""
        return {"min_word_cosine": self._minimum}


class SamePartOfSpeech(Constraint):
    """Allows words with the part of speech of the original word; nouns and verbs count as one.

    Args:
        tagger: Finds the part of speech of a word in the context of the original text.
    """

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger

    def allows(self, text: Text, current: Text, original: Text) -> bool:
        """Return whether every new word has the tag of the original one."""
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
        # If the word occurs twice in the window, the tag of its first occurrence counts, as in TextAttack.
        return self._tagger.tag(words, words.index(word))

    def describe(self) -> dict[str, Any]:
        """Return the name of the tagger."""
        return {"tagger": self._tagger.name}


class WordLimit(Constraint):
    """Allows texts in which at most a share of the words differs from the original text.

    Args:
        share: The share, from 0 to 1. The number of words is rounded up.
    """

    def __init__(self, share: float) -> None:
        self._share = share

    def allows(self, text: Text, current: Text, original: Text) -> bool:
        """Return whether few enough words differ."""
        words = min(len(text.words), len(original.words))
        return text.words_changed(original) <= math.ceil(words * self._share)

    def describe(self) -> dict[str, Any]:
        """Return the share."""
        return {"word_limit": self._share}


class EditDistance(Constraint):
    """Allows texts within a Levenshtein distance of the original text.

    Args:
        most: Largest allowed number of inserted, deleted and replaced characters.

    Raises:
        ConfigError: If `most` is less than 1.
        ResourceError: If rapidfuzz, which computes the distance, is not installed.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ConfigError(f"At most {most} characters may differ: choose at least 1.")
        if find_spec("rapidfuzz") is None:
            raise ResourceError("rapidfuzz is not installed: pip install 'earlyrobust[attack]'.")
        self._most = most

    def allows(self, text: Text, current: Text, original: Text) -> bool:
        """Return whether few enough characters differ."""
        from rapidfuzz.distance import Levenshtein

        return Levenshtein.distance(original.full, text.full, score_cutoff=self._most) <= self._most

    def describe(self) -> dict[str, Any]:
        """Return the largest allowed distance."""
        return {"max_edits": self._most}


class SentenceSimilarity(Constraint):
    """Allows texts whose sentence embedding is close to that of the original or the current text.

    Args:
        encoder: Computes the embeddings.
        minimum: Smallest allowed similarity.
        metric: "cosine", or "angular" for 1 - angle / π.
        against: The text with which candidates are compared.
        window: Number of words around the edit that are compared; None for the whole text.
        short_texts_pass: Whether candidates with fewer words than the window are allowed without comparison.
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
        """Return the candidates that are similar enough, each with its similarity."""
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
        """Return whether a candidate may stay without comparison."""
        return self._passes_unseen(text)

    def _passes_unseen(self, text: Text) -> bool:
        return self._short_texts_pass and self._window is not None and len(text.words) < self._window

    def _is_compared(self, text: Text, reference: Text) -> bool:
        """Return whether a candidate is compared. An edit that leaves no word at its place has no window."""
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
        """Return the encoder, the smallest similarity, and the settings of the comparison."""
        return {
            "sentence_encoder": self._encoder.name,
            "min_similarity": self._minimum,
            "metric": self._metric,
            "compared_with": self._against,
            "window": self._window,
            "short_texts_pass": self._short_texts_pass,
        }

    def fingerprints(self) -> dict[str, str]:
        """Return the hash of the encoder's weights."""
        return fingerprint_as("sentence_encoder", self._encoder)
