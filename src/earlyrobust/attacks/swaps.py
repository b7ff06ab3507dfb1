"""Transformations, which propose replacements for a word."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from random import Random
from string import ascii_letters
from typing import TYPE_CHECKING, Any

from numpy.random import RandomState

from earlyrobust.attacks.asks import Ask, Attacking
from earlyrobust.attacks.resources.folding import composed, fold
from earlyrobust.attacks.resources.vectors import WordVectors
from earlyrobust.attacks.resources.vocabularies import text_of, word_start
from earlyrobust.attacks.text import Text, words_of
from earlyrobust.errors import ConfigError

if TYPE_CHECKING:
    from earlyrobust.attacks.models import MaskedLM
    from earlyrobust.attacks.resources.neighbours import Neighbours


# The three ways in which the beginning of a word can end, each as a sample text; see `_combinations`.
_NO_WORD, _INSIDE, _BEHIND = "", "a", "a "
# What a token of a byte-level vocabulary is decoded to if it holds a part of a character.
_PART = "\ufffd"


class Draws(RandomState):
    """The random generator of one example.

    As in TextAttack, numbers come from NumPy's generator and letters from Python's.

    Args:
        seed: Seed of both generators.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._letters = Random(seed)

    def letter(self) -> str:
        """Draw an ASCII letter, in lower or upper case."""
        return self._letters.choice(ascii_letters)


class Swaps(ABC):
    """Proposes replacements for a word."""

    def propose(self, text: Text, position: int, random: Draws) -> Attacking[list[str]]:
        """Return replacements for the word at a position. This generator may ask models.

        Args:
            text: The text as it is now.
            position: Position of the word.
            random: The random generator of the example.

        Returns:
            The replacements, in order of preference among equally good ones.
        """
        yield from ()
        return self.words(text.words[position], random)

    @abstractmethod
    def words(self, word: str, random: Draws) -> list[str]:
        """Return the replacements for a word that do not depend on its context."""

    def knows(self, word: str) -> bool | None:
        """Return whether the source of neighbours holds a word; None if there is no such source."""
        return None

    def describe(self) -> dict[str, Any]:
        """Return the settings and the names of resources, as JSON types."""
        return {}

    def fingerprints(self) -> dict[str, str]:
        """Return hashes of the contents of resources."""
        return {}


class NeighbourSwaps(Swaps):
    """Replaces a word by its nearest neighbours.

    Args:
        neighbours: The source of neighbours.
        candidates: K, the largest number of neighbours to propose.
        keeps_case: Whether neighbours get the letter case of the word that they replace.

    Raises:
        ConfigError: If `candidates` is less than 1.
    """

    def __init__(self, neighbours: Neighbours, candidates: int, *, keeps_case: bool = True) -> None:
        if candidates < 1:
            raise ConfigError(f"{candidates} candidates: choose at least 1.")
        self._neighbours = neighbours
        self._candidates = candidates
        self._keeps_case = keeps_case

    def words(self, word: str, random: Draws) -> list[str]:
        """Return up to K neighbours of the word, nearest first."""
        nearest = self._nearest(word, self._candidates)
        return [in_case_of(word, neighbour) for neighbour in nearest] if self._keeps_case else nearest

    def knows(self, word: str) -> bool:
        """Return whether the word has a neighbour."""
        return bool(self._nearest(word, 1))

    def _nearest(self, word: str, count: int) -> list[str]:
        return self._neighbours.nearest(fold(word) if self._keeps_case else word, count)

    def describe(self) -> dict[str, Any]:
        """Return the name of the source, and K."""
        return {"neighbours": self._neighbours.name, "candidates": self._candidates}

    def fingerprints(self) -> dict[str, str]:
        """Return the hash of word vectors; neighbour lists and WordNet have a hash in their name."""
        if isinstance(self._neighbours, WordVectors):
            return {"neighbours_fingerprint": self._neighbours.fingerprint}
        return {}


def in_case_of(model: str, word: str) -> str:
    """Return a word in the letter case of another word, if that one is lower, UPPER or Capitalised."""
    model = composed(model)  # so that a letter and its accent count as one letter
    if model.islower():
        return word.lower()
    if model.isupper() and len(model) > 1:
        return word.upper()
    if model[0].isupper() and model[1:].islower():
        return word.capitalize()
    return word


class AnyOf(Swaps):
    """Proposes the replacements of several transformations, each replacement once.

    Args:
        swaps: The transformations.
    """

    def __init__(self, *swaps: Swaps) -> None:
        self._swaps = swaps

    def words(self, word: str, random: Draws) -> list[str]:
        """Return the replacements in the order of the transformations."""
        proposed = [new for swaps in self._swaps for new in swaps.words(word, random)]
        return list(dict.fromkeys(proposed))

    def knows(self, word: str) -> bool | None:
        """Return whether any source of neighbours holds the word; None if there is no such source."""
        told = [known for swaps in self._swaps if (known := swaps.knows(word)) is not None]
        return any(told) if told else None

    def describe(self) -> dict[str, Any]:
        """Return the settings and the names of resources of all transformations."""
        return {name: value for swaps in self._swaps for name, value in swaps.describe().items()}

    def fingerprints(self) -> dict[str, str]:
        """Return the hashes of all transformations."""
        return {name: value for swaps in self._swaps for name, value in swaps.fingerprints().items()}


class MaskedLMSwaps(Swaps):
    """Replaces a word by those that a masked language model predicts. The model sees the word unmasked.

    A word of one token is replaced by those of the K most likely tokens that are words. A word of several
    tokens is replaced by combinations of the K most likely tokens at each position.

    Args:
        masked_lm: The model, which also sets K.
    """

    def __init__(self, masked_lm: MaskedLM) -> None:
        self._masked_lm = masked_lm
        self._tokenizer = masked_lm.tokenizer
        # Byte-level and SentencePiece vocabularies mark tokens that begin a word. WordPiece vocabularies mark
        # the other tokens.
        self._beginning = word_start(self._tokenizer.get_vocab()) or None

    def words(self, word: str, random: Draws) -> list[str]:
        """Return no replacement, because the replacements depend on the context of the word."""
        return []

    def propose(self, text: Text, position: int, random: Draws) -> Attacking[list[str]]:
        """Return up to K replacements, the most likely first."""
        likeliest = (yield Ask(self._masked_lm, [(text.full,)]))[0]
        pieces, unmarked = self._pieces(text, position)
        if not pieces or pieces.stop > len(likeliest):
            return []  # the model does not read the text up to this word
        choices = [
            self._tokenizer.convert_ids_to_tokens(ids.tolist())
            for ids in likeliest[pieces.start : pieces.stop]
        ]
        if len(choices) == 1:
            begins = [token for token in choices[0] if unmarked or self._begins_word(token)]
            return [bare for bare in self._bare(begins) if len(words_of(bare)) == 1]
        if self._beginning is not None:
            choices[1:] = [
                [token for token in tokens if not self._begins_word(token)] for tokens in choices[1:]
            ]
        made = _combinations([self._bare(tokens) for tokens in choices])
        return list(islice(made, self._masked_lm.candidates))

    def _pieces(self, text: Text, position: int) -> tuple[range, bool]:
        """Return the range of the word's tokens in the text, and whether the word has no mark.

        The range is empty if the model does not read the text up to the end of the word. A word has no mark
        if the vocabulary marks the beginning of words, but no space is before this word.
        """
        if self._beginning is None or not self._tokenizer.is_fast:
            first = self._first_token(text, position)
            count = len(self._tokenizer.encode(text.words[position], add_special_tokens=False))
            begins_text = position == 0 and self._beginning is not None
            return range(0) if first is None else range(first, first + count), begins_text
        start = text.starts[position]
        end = start + len(text.words[position])
        encoded = self._tokenizer(
            text.full, truncation=True, max_length=self._masked_lm.max_length, return_offsets_mapping=True
        )
        spans = encoded["offset_mapping"]
        inside = [index for index, (begin, behind) in enumerate(spans) if begin < end and behind > start]
        if not inside or spans[inside[-1]][1] < end:
            return range(0), False
        tokens = self._tokenizer.convert_ids_to_tokens(encoded["input_ids"])
        # If the vocabulary has no token of the mark and the first letters, the mark is a token of its own.
        first = inside[0] - (inside[0] > 0 and tokens[inside[0] - 1] == self._beginning)
        return range(first, inside[-1] + 1), not self._begins_word(tokens[first])

    def _first_token(self, text: Text, position: int) -> int | None:
        """Return the index of the word's first token; None if the model does not read the text so far."""
        masked = text.replace(position, str(self._tokenizer.mask_token)).full
        encoded = self._tokenizer(masked, truncation=True, max_length=self._masked_lm.max_length)
        ids: list[int] = encoded["input_ids"]
        mask = self._tokenizer.mask_token_id
        return ids.index(mask) if mask in ids else None

    def _begins_word(self, token: str) -> bool:
        return "##" not in token if self._beginning is None else token.startswith(self._beginning)

    def _bare(self, tokens: Iterable[str]) -> list[str]:
        """Return the texts of tokens without marks, but for tokens that hold a part of a character."""
        if self._beginning is None:
            return [token.replace("##", "") for token in tokens]
        texts = (text_of(token, self._beginning) for token in tokens)
        return [text for text in texts if _PART not in text]

    def describe(self) -> dict[str, Any]:
        """Return the name of the model, and K."""
        return {"masked_lm": self._masked_lm.name, "candidates": self._masked_lm.candidates}

    def fingerprints(self) -> dict[str, str]:
        """Return the hash of the model's weights."""
        return {"masked_lm_fingerprint": self._masked_lm.fingerprint}


def _combinations(choices: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield single words that consist of one piece for each position; those of the first pieces come first.

    The words are made one by one, because three positions with 48 pieces have 110,592 combinations. The
    search drops a beginning as soon as no further pieces can turn it into a single word. Whether they can
    depends only on how the beginning ends: with no word yet, inside a word, or behind a word. So this is
    computed for each position before any word is made.
    """

    def after(end: str, piece: str) -> str | None:
        """Return how a beginning ends after one more piece; None if it then holds two words."""
        words = len(words_of(end + piece))
        if words != 1:
            return _NO_WORD if words == 0 else None
        return _INSIDE if len(words_of(end + piece + _INSIDE)) == 1 else _BEHIND

    hopeful = [{_INSIDE, _BEHIND}]
    for pieces in reversed(choices):
        ends = (_NO_WORD, _INSIDE, _BEHIND)
        hopeful.insert(0, {end for end in ends if any(after(end, piece) in hopeful[0] for piece in pieces)})

    def extend(begun: str, end: str, place: int) -> Iterator[str]:
        if place == len(choices):
            yield begun
            return
        for piece in choices[place]:
            next_end = after(end, piece)
            if next_end in hopeful[place + 1]:
                yield from extend(begun + piece, str(next_end), place + 1)

    return extend("", _NO_WORD, 0) if _NO_WORD in hopeful[0] else iter(())
