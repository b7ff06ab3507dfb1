"""Marks the parts of a text that an attack has changed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import NamedTuple

from earlyrobust.journal import AttackedExample

# A word as attacks define it, the white space between words, or one other character.
_TOKEN = re.compile(r"[\w'\-*@˗`×]+|\s+|.", re.DOTALL)
# Maximum number of tokens that one edit spans in both texts together, and the number of equal tokens that
# ends it.
_EDIT, _AGAIN = 100, 3


class Piece(NamedTuple):
    """A part of a text that is compared with another text.

    Attributes:
        content: The part.
        changed: Whether the other text differs in this place.
    """

    content: str
    changed: bool


def mark_columns(example: AttackedExample) -> Iterator[tuple[list[Piece], list[Piece]]]:
    """Yield the parts of each text of an example, before and after the attack."""
    for column, (before, after) in enumerate(zip(example.texts, example.final, strict=True)):
        if example.edits is None:
            yield compare(before, after)
        else:
            own = [edit for edit in example.edits if edit.column == column]
            yield (
                _pieces(before, [(edit.start, edit.end) for edit in own]),
                _pieces(after, [(edit.final_start, edit.final_end) for edit in own]),
            )


def _pieces(text: str, changed: Sequence[tuple[int, int]]) -> list[Piece]:
    """Divide a text at places that are given by their first character and their end."""
    pieces, done = [], 0
    for start, end in changed:
        pieces += [Piece(text[done:start], False), Piece(text[start:end], True)]
        done = end
    return [piece for piece in [*pieces, Piece(text[done:], False)] if piece.content]


def compare(before: str, after: str) -> tuple[list[Piece], list[Piece]]:
    """Find the words in which two texts differ.

    Args:
        before: A text.
        after: The same text with some words replaced.

    Returns:
        The parts of each text. Joined, the parts are the text.
    """
    old, new = _tokens(before), _tokens(after)
    left, right = [True] * len(old), [True] * len(new)
    for start, other, size in _matches(old, new):
        left[start : start + size] = right[other : other + size] = [False] * size
    return _joined(old, left), _joined(new, right)


def _tokens(text: str) -> list[str]:
    """Split a text into words, white space and other characters; combining marks stay with their letter."""
    tokens: list[str] = []
    for token in _TOKEN.findall(text):
        if tokens and unicodedata.category(token[0])[0] == "M":
            tokens[-1] += token
        else:
            tokens.append(token)
    return tokens


def _matches(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Yield the blocks of equal tokens: their first place in the old list and in the new list, and size."""
    if len(old) == len(new):
        # Words were replaced one for one, so tokens at the same place are compared.
        yield from ((place, place, 1) for place, token in enumerate(old) if token == new[place])
        return
    # Some edit changed the number of tokens. Edits are small, so the texts are soon the same again. A
    # comparison of the whole texts would be slow, and could match repeated words in other places.
    begin = other = 0
    while begin < len(old) and other < len(new):
        if old[begin] == new[other]:
            yield begin, other, 1
            begin, other = begin + 1, other + 1
            continue
        end, end_other = _same_again(old, new, begin, other)
        for block in SequenceMatcher(None, old[begin:end], new[other:end_other]).get_matching_blocks():
            yield begin + block.a, other + block.b, block.size
        begin, other = end, end_other


def _same_again(old: Sequence[str], new: Sequence[str], begin: int, other: int) -> tuple[int, int]:
    """Return the nearest places where the lists have `_AGAIN` equal tokens in a row; else the ends."""
    for distance in range(1, _EDIT):
        # An edit of equally many tokens in both lists is the most likely, so it is tried first.
        for skipped in sorted(range(distance + 1), key=lambda place: abs(2 * place - distance)):
            end, end_other = begin + skipped, other + distance - skipped
            ahead = old[end : end + _AGAIN]
            if ahead and ahead == new[end_other : end_other + _AGAIN]:
                return end, end_other
    return len(old), len(new)


def _joined(tokens: Sequence[str], changed: Sequence[bool]) -> list[Piece]:
    """Join neighbouring tokens that are all changed or all unchanged."""
    groups = groupby(zip(tokens, changed, strict=True), key=lambda pair: pair[1])
    return [Piece("".join(token for token, _ in group), is_changed) for is_changed, group in groups]
