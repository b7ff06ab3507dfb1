"""Describes the layout of a user's text file: the options `--quotes`, `--delimiter` and `--encoding`.

This module imports nothing heavy, so that options can be checked before any data is read.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from earlyrobust.errors import DataError

SEPARATED = (".csv", ".tsv")
_TEXT_FILES = (*SEPARATED, ".jsonl")
_NAMES_OF_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}


@dataclass(frozen=True)
class TextFormat:
    r"""The layout of CSV, TSV and JSONL files, as the user gives it.

    Attributes:
        quotes: True if a quote at the start of a field always opens a quoted field; False if every quote is
            text. None for the usual rules: CSV fields may be quoted, and a TSV field is quoted only if its
            quotes close before the tab.
        delimiter: Character between the fields of CSV and TSV files; None for a comma or a tab, depending on
            the file's name.
        encoding: Name of a codec; None for UTF-8.
    """

    quotes: bool | None = None
    delimiter: str | None = None
    encoding: str | None = None

    def check_used(self, *paths: Path | None) -> None:
        """Refuse options that have no effect on any of the files.

        Args:
            *paths: The files to read; None for a file that is not given.

        Raises:
            DataError: An option has no effect on any of the files.
        """
        endings = {path.suffix.lower() for path in paths if path is not None}
        given = ", ".join(str(path) for path in paths if path is not None)
        for option, value, kinds in (
            ("--no-quotes" if self.quotes is False else "--quotes", self.quotes, SEPARATED),
            ("--delimiter", self.delimiter, SEPARATED),
            ("--encoding", self.encoding, _TEXT_FILES),
        ):
            if value is not None and endings and endings.isdisjoint(kinds):
                raise DataError(f"{option} is for {_either(kinds)} files, not for {given}: leave it out.")


# The layout if the user gives no options.
USUAL_FORMAT = TextFormat()


def parse_delimiter(text: str) -> str:
    r"""Return the delimiter that an option names.

    Args:
        text: The character itself, or `tab` (`\t`), `comma` or `semicolon`.

    Raises:
        ValueError: The text is not one character, or the character cannot be between fields.
    """
    character = _NAMES_OF_DELIMITERS.get(text.lower(), text)
    if len(character) != 1 or character in '"\r\n':
        raise ValueError("it must be one character other than a quote, or 'tab'")
    return character


def parse_encoding(name: str) -> str:
    """Return the name of an encoding if Python has a codec for text of this name.

    Raises:
        ValueError: Python has no such codec.
    """
    try:
        codecs.getincrementaldecoder(name)
        "a".encode(name)
    except (LookupError, UnicodeError, ValueError) as error:
        raise ValueError(
            "it must be an encoding that Python knows, such as utf-8, cp1252, latin-1 or utf-16"
        ) from error
    return name


def _either(kinds: Iterable[str]) -> str:
    names = [kind.removeprefix(".").upper() for kind in kinds]
    return f"{', '.join(names[:-1])} and {names[-1]}"
