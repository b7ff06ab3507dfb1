"""The text under attack: words that can be replaced one by one while everything between them stays.

What counts as a word, where spaces go when a word is deleted, and how positions move when one word becomes
two follow TextAttack 0.3.11, so that its attacks can be repeated edit for edit. One thing differs: Chinese
text is not segmented, a run of characters without a space is one word there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

# Allowed inside a word, but not at its ends.
_INNER = "'-_*@"
# Look-alikes of characters that TextBugger puts in; those that are not letters to Unicode.
_LOOKALIKES = "˗`×"
_RUN = re.compile(rf"[\w{re.escape(_INNER)}{_LOOKALIKES}]+")
# Columns are joined by what no word contains.
_JOINT = "\n"


def words_of(text: str) -> list[str]:
    """The words of a text, in order, without the punctuation around them."""
    return [word for _, word in find_words(text)]


def find_words(text: str) -> Iterator[tuple[int, str]]:
    """Start and content of each word."""
    for run in _RUN.finditer(text):
        left = run.group().lstrip(_INNER)
        word = left.rstrip(_INNER)
        if word:
            yield run.end() - len(left), word


@lru_cache(maxsize=2**16)
def _find_in_word(new: str) -> tuple[tuple[int, str], ...]:
    """Start and content of the words in a replacement, of which the same ones are tried again and again."""
    return tuple(find_words(new))


@dataclass(frozen=True, slots=True)
class Text:
    """One text or a pair of them, with what an attack has done to it so far.

    Positions count the words of all columns, from 0.

    Attributes:
        full: The columns, joined by a line break.
        joint: Where in `full` the second column begins, after the line break; None for a single text.
        words: All words.
        starts: Where in `full` each word begins.
        modified: Positions of words that an edit has put in.
        newest: Positions of the words that the last edit put in.
    """

    full: str
    joint: int | None
    words: tuple[str, ...]
    starts: tuple[int, ...]
    modified: frozenset[int] = frozenset()
    newest: tuple[int, ...] = ()

    @classmethod
    def of(cls, columns: Sequence[str]) -> Text:
        """The text as it was before the attack.

        Args:
            columns: A single text, or the two of a pair.
        """
        full = _JOINT.join(columns)
        found = list(find_words(full))
        return cls(
            full=full,
            joint=len(columns[0]) + len(_JOINT) if len(columns) > 1 else None,
            words=tuple(word for _, word in found),
            starts=tuple(start for start, _ in found),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The single text, or the two of a pair."""
        if self.joint is None:
            return (self.full,)
        return self.full[: self.joint - len(_JOINT)], self.full[self.joint :]

    def is_in_first_column(self, position: int) -> bool:
        """Whether a word belongs to the first text of a pair; true for every word of a single text."""
        return self.joint is None or self.starts[position] < self.joint

    def replace(self, position: int, new: str) -> Text:
        """The text with the word at a position replaced.

        Args:
            position: Of the word to replace.
            new: A word, several, or nothing; without any word in it, one space beside it goes too.
        """
        old = self.words[position]
        start = self.starts[position]
        before, after = self.full[:start], self.full[start + len(old) :]
        put = _find_in_word(new)
        if not put and after:
            if position == 0:
                after = after.removeprefix(" ")
            else:
                before = before.removesuffix(" ")
        moved = len(before) + len(new) + len(after) - len(self.full)
        more = len(put) - 1
        newest = tuple(range(position, position + len(put))) if new != old else ()
        kept = (
            self.modified
            if more == 0
            else {place + more if place > position else place for place in self.modified - {position}}
        )
        # A space that went after the first word has not moved what is before it, and it is the first.
        return Text(
            full=before + new + after,
            joint=self.joint + moved if self.joint is not None and start < self.joint else self.joint,
            words=(*self.words[:position], *(word for _, word in put), *self.words[position + 1 :]),
            starts=(
                *self.starts[:position],
                *(len(before) + offset for offset, _ in put),
                *(place + moved for place in self.starts[position + 1 :]),
            ),
            modified=frozenset(kept).union(newest),
            newest=newest,
        )

    def window(self, position: int, size: int | None) -> str:
        """The text from the first to the last word of a window around a word.

        Args:
            position: The word in the middle; at the ends of the text the window is shifted inwards.
            size: Words in the window; None for all.
        """
        last = len(self.words) - 1
        if size is None or position - (size - 1) / 2 < 0:
            first, last = 0, last if size is None else min(size - 1, last)
        elif position + (size - 1) / 2 > last:
            first = max(0, last + 1 - size)
        else:
            first, last = position - size // 2, position + (size - 1) // 2
        return self.full[self.starts[first] : self.starts[last] + len(self.words[last])]

    def words_changed(self, other: Text) -> int:
        """Number of positions at which the two texts have different words, as far as both reach."""
        return sum(mine != theirs for mine, theirs in zip(self.words, other.words, strict=False))
