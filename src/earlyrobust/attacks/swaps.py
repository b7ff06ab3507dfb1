"""Transformations: what a word may be replaced by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from string import ascii_letters
from typing import TYPE_CHECKING, Any

from numpy.random import RandomState

from earlyrobust.attacks.asks import Ask, Attacking
from earlyrobust.attacks.resources.vectors import WordVectors
from earlyrobust.attacks.text import Text, words_of
from earlyrobust.errors import ConfigError

if TYPE_CHECKING:
    from earlyrobust.attacks.models import MaskedLM
    from earlyrobust.attacks.resources.neighbours import Neighbours


# Texts that stand for how a beginning ends, see `_combinations`.
_NO_WORD, _INSIDE, _BEHIND = "", "a", "a "


class Draws(RandomState):
    """An example's own source of randomness.

    Numbers are drawn as from NumPy's source, letters from Python's beside it, as TextAttack does.

    Args:
        seed: Of both.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._letters = Random(seed)

    def letter(self) -> str:
        """Draw a letter, lower or upper case."""
        return self._letters.choice(ascii_letters)


class Swaps(ABC):
    """Proposes replacements for a word."""

    def propose(self, text: Text, position: int, random: Draws) -> Attacking[list[str]]:
        """Replacements for the word at a position; may ask models.

        Args:
            text: The text as it is now.
            position: Of the word.
            random: The example's own source of randomness.

        Returns:
            Replacements, in the order in which equally good ones are preferred.
        """
        yield from ()
        return self.words(text.words[position], random)

    @abstractmethod
    def words(self, word: str, random: Draws) -> list[str]:
        """Replacements for a word, where its surroundings do not matter."""

    def knows(self, word: str) -> bool | None:
        """Whether the source of neighbours holds a word; None for a transformation without such a source."""
        return None

    def describe(self) -> dict[str, Any]:
        """Settings and resources, as JSON types."""
        return {}

    def fingerprints(self) -> dict[str, str]:
        """Hashes of what the resources hold."""
        return {}


class NeighbourSwaps(Swaps):
    """The nearest words of a source of neighbours.

    Args:
        neighbours: Where neighbours come from.
        candidates: K, how many.
        keeps_case: Whether they get the letter case of the word that they replace.

    Raises:
        ConfigError: If that is none.
    """

    def __init__(self, neighbours: Neighbours, candidates: int, *, keeps_case: bool = True) -> None:
        if candidates < 1:
            raise ConfigError(f"{candidates} candidates: choose at least 1.")
        self._neighbours = neighbours
        self._candidates = candidates
        self._keeps_case = keeps_case

    def words(self, word: str, random: Draws) -> list[str]:
        """The nearest first."""
        nearest = self._nearest(word, self._candidates)
        return [in_case_of(word, neighbour) for neighbour in nearest] if self._keeps_case else nearest

    def knows(self, word: str) -> bool:
        """Whether the word has a neighbour."""
        return bool(self._nearest(word, 1))

    def _nearest(self, word: str, count: int) -> list[str]:
        return self._neighbours.nearest(word.lower() if self._keeps_case else word, count)

    def describe(self) -> dict[str, Any]:
        """Source and K."""
        return {"neighbours": self._neighbours.name, "candidates": self._candidates}

    def fingerprints(self) -> dict[str, str]:
        """That of word vectors; neighbour lists have it in their name."""
        if isinstance(self._neighbours, WordVectors):
            return {"neighbours_fingerprint": self._neighbours.fingerprint}
        return {}


def in_case_of(model: str, word: str) -> str:
    """Give a word the letter case of another, if that is lower, UPPER or Capitalised."""
    if model.islower():
        return word.lower()
    if model.isupper() and len(model) > 1:
        return word.upper()
    if model[0].isupper() and model[1:].islower():
        return word.capitalize()
    return word


class AnyOf(Swaps):
    """What several transformations propose, each replacement once.

    Args:
        swaps: The transformations.
    """

    def __init__(self, *swaps: Swaps) -> None:
        self._swaps = swaps

    def words(self, word: str, random: Draws) -> list[str]:
        """Those of the first transformation first."""
        proposed = [new for swaps in self._swaps for new in swaps.words(word, random)]
        return list(dict.fromkeys(proposed))

    def knows(self, word: str) -> bool | None:
        """Whether any of the sources of neighbours holds the word; None if there is none."""
        told = [known for swaps in self._swaps if (known := swaps.knows(word)) is not None]
        return any(told) if told else None

    def describe(self) -> dict[str, Any]:
        """Settings and resources of all."""
        return {name: value for swaps in self._swaps for name, value in swaps.describe().items()}

    def fingerprints(self) -> dict[str, str]:
        """Those of all."""
        return {name: value for swaps in self._swaps for name, value in swaps.fingerprints().items()}


class MaskedLMSwaps(Swaps):
    """What a masked language model reads in the place of the word, which it sees unmasked.

    A word of one token is replaced by the K likeliest tokens that are words, a word of several by
    combinations of the K likeliest tokens of each place.

    Args:
        masked_lm: The model; it knows K.
    """

    def __init__(self, masked_lm: MaskedLM) -> None:
        self._masked_lm = masked_lm
        self._tokenizer = masked_lm.tokenizer
        vocabulary = self._tokenizer.get_vocab()
        # Byte-level and SentencePiece vocabularies mark the tokens that begin a word, WordPiece the others.
        marks = (mark for mark in "Ġ▁" if any(token.startswith(mark) for token in vocabulary))
        self._beginning = next(marks, None)

    def words(self, word: str, random: Draws) -> list[str]:
        """None: without its surroundings a word has no replacement here."""
        return []

    def propose(self, text: Text, position: int, random: Draws) -> Attacking[list[str]]:
        """The likeliest first."""
        likeliest = (yield Ask(self._masked_lm, [(text.full,)]))[0]
        pieces, unmarked = self._pieces(text, position)
        if not pieces or pieces.stop > len(likeliest):
            return []  # the model does not read so far
        choices = [
            self._tokenizer.convert_ids_to_tokens(ids.tolist())
            for ids in likeliest[pieces.start : pieces.stop]
        ]
        if len(choices) == 1:
            begins = [token for token in choices[0] if unmarked or self._begins_word(token)]
            return [self._bare(token) for token in begins if len(words_of(token)) == 1]
        if self._beginning is not None:
            choices[1:] = [
                [token for token in tokens if not self._begins_word(token)] for tokens in choices[1:]
            ]
        made = _combinations([[self._bare(token) for token in tokens] for tokens in choices])
        return list(islice(made, self._masked_lm.candidates))

    def _pieces(self, text: Text, position: int) -> tuple[range, bool]:
        """Which tokens of the text are the word; none if the model does not read to its end.

        Also whether nothing marks the first of them as the beginning of a word, though the vocabulary has a
        mark for that: no space is before the word.
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
        # Where no token begins with the mark and the word's first letter, the mark is a token of its own.
        first = inside[0] - (inside[0] > 0 and tokens[inside[0] - 1] == self._beginning)
        return range(first, inside[-1] + 1), not self._begins_word(tokens[first])

    def _first_token(self, text: Text, position: int) -> int | None:
        """Where the word begins in tokens; None if that is beyond what the model reads."""
        masked = text.replace(position, str(self._tokenizer.mask_token)).full
        encoded = self._tokenizer(masked, truncation=True, max_length=self._masked_lm.max_length)
        ids: list[int] = encoded["input_ids"]
        mask = self._tokenizer.mask_token_id
        return ids.index(mask) if mask in ids else None

    def _begins_word(self, token: str) -> bool:
        return "##" not in token if self._beginning is None else token.startswith(self._beginning)

    def _bare(self, token: str) -> str:
        """A token without its vocabulary's mark."""
        return token.replace("##" if self._beginning is None else self._beginning, "")

    def describe(self) -> dict[str, Any]:
        """Model and K."""
        return {"masked_lm": self._masked_lm.name, "candidates": self._masked_lm.candidates}

    def fingerprints(self) -> dict[str, str]:
        """The model's."""
        return {"masked_lm_fingerprint": self._masked_lm.fingerprint}


def _combinations(choices: Sequence[Sequence[str]]) -> Iterator[str]:
    """Single words made of one piece for each place, those of the first pieces first.

    Made one by one as they are asked for: three places of 48 pieces would be 110,592 at once. A beginning is
    left as soon as no further pieces can make one word of it. Whether they can depends only on how it ends:
    with no word yet, inside a word, or behind one; so this is known for each place before any word is made.
    """

    def after(end: str, piece: str) -> str | None:
        """How a beginning ends with one more piece; None if it then holds two words."""
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
