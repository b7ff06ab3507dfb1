"""The text under attack: its words can be replaced one by one, and everything between them stays.

This module follows TextAttack 0.3.11, so that attacks can be repeated edit for edit. It has the same
definition of a word, the same rule for the spaces around a deleted word, and the same rule for the positions
after an edit that turns one word into two. Two things are different. Chinese text is not segmented, so a run
of characters without a space is one word. The marks of a letter, such as accents that are characters of their
own and the vowel signs of Hindi, belong to its word, while TextAttack ends a word there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, groupby
from unicodedata import category

from earlyrobust.journal import Edit

# Allowed inside a word, but not at its ends.
_INNER = "'-_*@"
# Look-alikes that TextBugger inserts and that are not letters in Unicode.
_LOOKALIKES = "˗`×"
# Categories of the marks of a letter, which `\w` does not include: accents, vowel signs, points.
MARKS = frozenset({"Mn", "Mc"})
# Invisible characters inside words of Persian and Hindi, which join or separate the letters beside them.
JOINERS = "\u200c\u200d"
# Joins the columns. No word contains it.
_JOINT = "\n"


def _word_pattern() -> re.Pattern[str]:
    """Return the pattern of a word: a letter, digit or look-alike, and what may follow inside the word."""
    # All marks are in these parts of Unicode. Ranges of them make a faster pattern than single characters.
    characters = map(chr, chain(range(0x300, 0x20000), range(0xE0000, 0xE1000)))
    runs = [list(run) for is_mark, run in groupby(characters, lambda c: category(c) in MARKS) if is_mark]
    marks = "".join(f"{run[0]}-{run[-1]}" for run in runs)
    inner = re.escape(_INNER)
    plain = rf"[\w{inner}{_LOOKALIKES}]"
    # Most words end before a character of ASCII, which is recognised faster than it is compared with marks.
    marked = rf"(?![\0-\x7f])[{marks}{JOINERS}]+"
    # There is one way to read each text, so that the search takes linear time.
    inside = rf"{plain}*(?:{marked}(?:{plain}+{marked})*{plain}*)?"
    return re.compile(rf"(?!_)[\w{_LOOKALIKES}]{inside}(?<![{inner}{JOINERS}])")


_WORD = _word_pattern()


def words_of(text: str) -> list[str]:
    """Return the words of a text, in order, without the punctuation around them."""
    return [word for _, word in find_words(text)]


def find_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield the start and the content of each word of a text."""
    for found in _WORD.finditer(text):
        yield found.start(), found.group()


@lru_cache(maxsize=2**16)
def _find_in_word(new: str) -> tuple[tuple[int, str], ...]:
    """Return the words of a replacement. Cached, because attacks try the same replacements many times."""
    return tuple(find_words(new))


@dataclass(frozen=True, slots=True)
class Text:
    """A single text or a pair of texts, with a record of the edits of an attack.

    Positions count the words of all columns, from 0.

    Attributes:
        full: The columns, joined by a line break.
        joint: Start of the second column in `full`, after the line break; None for a single text.
        words: The words of all columns.
        starts: Start of each word in `full`.
        modified: Positions of the words that edits have inserted.
        newest: Positions of the words that the last edit has inserted.
    """

    full: str
    joint: int | None
    words: tuple[str, ...]
    starts: tuple[int, ...]
    modified: frozenset[int] = frozenset()
    newest: tuple[int, ...] = ()
    # The text before the last edit, and the edit: its start there, and the numbers of characters that it has
    # removed and inserted. Only the end of an attack needs them.
    parent: Text | None = field(default=None, compare=False, repr=False)
    edit: tuple[int, int, int] = field(default=(0, 0, 0), compare=False, repr=False)

    @classmethod
    def of(cls, columns: Sequence[str]) -> Text:
        """Return a text without any edit.

        Args:
            columns: A single text, or the two texts of a pair.
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
        """The single text, or the two texts of a pair."""
        if self.joint is None:
            return (self.full,)
        return self.full[: self.joint - len(_JOINT)], self.full[self.joint :]

    def is_in_first_column(self, position: int) -> bool:
        """Return whether a word is in the first text of a pair; true for every word of a single text."""
        return self.joint is None or self.starts[position] < self.joint

    def replace(self, position: int, new: str) -> Text:
        """Return the text with another word at a position.

        Args:
            position: Position of the word to replace.
            new: The replacement, which may hold one word, several or none. If it holds none, one space beside
                the old word is removed too, unless a mark in the replacement would then belong to the word
                before.
        """
        old = self.words[position]
        start = self.starts[position]
        before, after = self.full[:start], self.full[start + len(old) :]
        put = _find_in_word(new)
        if not put and after and _find_in_word(f"a{new}") == ((0, "a"),):
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
        # A removed space lies behind all earlier words, so their starts do not change.
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
            parent=self,
            edit=(len(before), len(self.full) - len(before) - len(after), len(new)),
        )

    def window(self, position: int, size: int | None) -> str:
        """Return the part of the text in a window around a word, from its first to its last word.

        Args:
            position: Position of the word in the middle. At the ends of the text the window is shifted
                inwards.
            size: Number of words in the window; None for all words.
        """
        last = len(self.words) - 1
        if size is None or position - (size - 1) / 2 < 0:
            first, last = 0, last if size is None else min(size - 1, last)
        elif position + (size - 1) / 2 > last:
            first = max(0, last + 1 - size)
        else:
            first, last = position - size // 2, position + (size - 1) // 2
        return self.full[self.starts[first] : self.starts[last] + len(self.words[last])]

    def edits(self) -> tuple[Edit, ...]:
        """Return the places that edits have changed, in the order of the original text.

        The attacks change each word at most once, so no two edits overlap.
        """
        steps: list[tuple[int, int, int]] = []
        text, original = self, self
        while text.parent is not None:
            steps.append(text.edit)
            original = text = text.parent
        steps.reverse()
        found = []
        for number, (start, removed, inserted) in enumerate(steps):
            first, last = start, start
            for other, gone, come in reversed(steps[:number]):
                first -= come - gone if other < first else 0
            for other, gone, come in steps[number + 1 :]:
                last += come - gone if other < last else 0
            column = int(original.joint is not None and first >= original.joint)
            before, after = (text.joint or 0 if column else 0 for text in (original, self))
            found.append(
                Edit(column, first - before, first - before + removed, last - after, last - after + inserted)
            )
        return tuple(sorted(found))

    def words_changed(self, other: Text) -> int:
        """Return the number of positions at which two texts differ, up to the end of the shorter text."""
        return sum(mine != theirs for mine, theirs in zip(self.words, other.words, strict=False))
