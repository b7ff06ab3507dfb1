"""The lexicon of training texts: the words that noise may exchange, with their neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from earlyrobust.attacks.resources.folding import fold
from earlyrobust.attacks.resources.neighbours import Neighbours
from earlyrobust.attacks.resources.stopwords import textfooler_stop_words
from earlyrobust.attacks.text import words_of
from earlyrobust.errors import ResourceError

# Noise does not change these words, because another word in their place changes the statement of a text.
_NEGATIONS = "barely cannot hardly neither never no nobody none nor not nothing nowhere without"
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty "
    "seventy eighty ninety hundred thousand million billion"
)
# Number of extra neighbours to request from a source, because noise must not put some of them into texts.
_SPARE = 16
_UNTOUCHED = textfooler_stop_words().union(_NEGATIONS.split(), _NUMBERS.split())


class Lexicon:
    """The words of training texts that noise may exchange, each with up to K neighbours.

    The neighbours of these words are words of the lexicon, too, because noise puts them into texts.

    Args:
        neighbours: For each word in lower case its neighbours, the nearest first.
        count: K, the largest number of neighbours of a word.

    Attributes:
        count: K, the largest number of neighbours of a word.
        words: The words in alphabetical order.
        neighbours: The neighbours of each word, in the order of `words`.
    """

    def __init__(self, neighbours: dict[str, list[str]], count: int) -> None:
        self.count = count
        self.words = sorted(neighbours)
        self.neighbours = [neighbours[word][:count] for word in self.words]
        self._index = {fold(word): index for index, word in enumerate(self.words)}

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]], sources: Sequence[Neighbours], count: int = 8) -> Lexicon:
        """Make the lexicon of training texts.

        Args:
            texts: The texts, each a tuple of one text or two.
            sources: Sources of neighbours. Several sources take turns: each gives its next nearest neighbour.
            count: K, the largest number of neighbours of a word.

        Raises:
            ResourceError: If no word of the texts has a neighbour.
        """
        found: dict[str, list[str]] = {}
        waiting = {fold(word) for columns in texts for text in columns for word in words_of(text)}
        for _ in range(2):  # the words of the texts, then the neighbours of these words
            for word in waiting:
                if is_touchable(word) and (near := _nearest(word, sources, count)):
                    found[word] = near
            waiting = {fold(near) for word in waiting for near in found.get(word, ())} - set(found)
        if not found:
            names = ", ".join(source.name for source in sources)
            raise ResourceError(
                f"No word of the training texts has a neighbour in {names}: choose --neighbours in the "
                "language of the texts."
            )
        return cls(found, count)

    def limited(self, count: int) -> Lexicon:
        """Return a lexicon that keeps only the nearest neighbours of each word.

        Args:
            count: Largest number of neighbours of a word.
        """
        if count >= self.count:
            return self
        return Lexicon(dict(zip(self.words, self.neighbours, strict=True)), count)

    def find(self, word: str) -> int | None:
        """Return the index of a word in any letter case and Unicode form; None if it has no neighbours."""
        return self._index.get(fold(word))


def is_touchable(word: str) -> bool:
    """Return whether noise may change a word, which is no stop word, no negation, and no number."""
    folded = fold(word)
    return not (folded in _UNTOUCHED or folded.endswith(("n't", "n’t")) or any(map(str.isdigit, folded)))


def _nearest(word: str, sources: Sequence[Neighbours], count: int) -> list[str]:
    """Return the nearest neighbours that noise may put into texts, from each source in turn."""
    offered = [source.nearest(word, count + _SPARE) for source in sources]
    found = [[near for near in own if fold(near) != word and is_touchable(near)] for own in offered]
    turns = chain.from_iterable(
        (near[place] for near in found if place < len(near)) for place in range(count)
    )
    first: dict[str, str] = {}
    for near in turns:
        first.setdefault(fold(near), near)
    return list(first.values())[:count]
