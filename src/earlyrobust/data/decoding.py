"""Decodes the lines of a user's text file."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path

from earlyrobust.errors import DataError

_BYTE_ORDER_MARK = "\ufeff"
# The first bytes of files that are not text, whatever their names.
_NO_TEXT = {
    b"PK\x03\x04": "a ZIP archive, the format of Excel workbooks",
    b"\xd0\xcf\x11\xe0": "a workbook of an old version of Excel",
    b"\x1f\x8b": "compressed by gzip",
    b"BZh91AY": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"PAR1\x15": "Parquet",
}


def decoded(path: Path, encoding: str | None = None) -> Iterator[str]:
    """Yield the text of a file, split at line feeds.

    Args:
        path: The file.
        encoding: Name of a codec; None for UTF-8.

    Raises:
        DataError: The file cannot be read, or is not in that encoding. If it is UTF-8 instead, the error
            comes after the last line.
    """
    decoder = codecs.getincrementaldecoder(encoding or "utf-8")()
    line, number, offset = "", 1, 0
    # Whether all characters outside ASCII are UTF-8 so far; None before the first such character.
    looks_otherwise: bool | None = None
    try:
        with path.open("rb") as file:
            while True:
                content = file.readline()
                if not offset:
                    _require_text(path, content)
                try:
                    text = decoder.decode(content, final=not content)
                except UnicodeError as error:
                    raise _not_text(path, encoding, error, number, offset + len(content)) from error
                if encoding is not None and looks_otherwise is not False and not content.isascii():
                    looks_otherwise = len(text) == len(content) and _is_utf8(content)
                if not offset:
                    text = text.removeprefix(_BYTE_ORDER_MARK)
                offset += len(content)
                if not line and text.find("\n") == len(text) - 1 > -1:  # the usual case
                    yield text
                    number += 1
                    continue
                # In an encoding such as UTF-16, the byte of a line feed may be half of another character.
                *whole, rest = text.split("\n")
                for end in whole:
                    yield f"{line}{end}\n"
                    line = ""
                line += rest
                number += len(whole)
                if not content:
                    break
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    # Only UTF-8 text is valid UTF-8 throughout and has one character for each byte in the given encoding.
    if looks_otherwise:
        raise DataError(
            f"{path} is UTF-8 text and not {encoding}: give --encoding utf-8 for it, and save files that are "
            "read together in one encoding."
        )
    if line:
        yield line


def lines_of(path: Path, encoding: str | None = None) -> Iterator[str]:
    """Yield the lines of a text file, with any kind of line end.

    Args:
        path: The file.
        encoding: Name of a codec; None for UTF-8.

    Raises:
        DataError: The file cannot be read, or is not in that encoding.
    """
    for line in decoded(path, encoding):
        if "\r" in line:
            # A carriage return alone also ends a line. Within quotes, the csv module joins the parts again.
            yield from io.StringIO(line, newline="")
        else:
            yield line


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _require_text(path: Path, start: bytes) -> None:
    """Refuse a file that begins like an archive, a workbook or a Parquet file."""
    for mark, kind in _NO_TEXT.items():
        if start.startswith(mark):
            raise DataError(f"{path} is not text but {kind}: unpack it, or save the table as UTF-8 text.")


def _not_text(path: Path, encoding: str | None, error: UnicodeError, number: int, read: int) -> DataError:
    """Return the error for bytes that cannot be decoded, after `read` bytes of the file."""
    place = ""
    if isinstance(error, UnicodeDecodeError):
        offset = read - len(error.object) + error.start
        place = f" (byte 0x{error.object[error.start]:02x} at offset {offset})"
    with path.open("rb") as file:
        start = file.read(4)
    if encoding is not None:
        way_out = "name the encoding that it is in with --encoding"
    elif start in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        way_out = "save the file as UTF-8, or give --encoding utf-32"
    elif start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        way_out = "save the file as UTF-8, or give --encoding utf-16"
    else:
        way_out = (
            "save the file as UTF-8, or name its encoding, as in --encoding cp1252 or --encoding latin-1"
        )
    return DataError(f"Line {number} of {path} is not {encoding or 'UTF-8'} text{place}: {way_out}.")
