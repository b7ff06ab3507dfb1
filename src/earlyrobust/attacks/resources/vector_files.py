"""Reads word vectors from text files in the format of the counter-fitted vectors, and caches them."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from earlyrobust.attacks.resources.places import RESOURCES, fingerprint, writing_to
from earlyrobust.attacks.resources.vectors import WordVectors
from earlyrobust.errors import ResourceError
from earlyrobust.storage import cache_folder, write_atomically

SUFFIXES = (".txt", ".zip")
# Words, and their vectors in float32, shape (words, values).
Table = tuple[list[str], NDArray[np.float32]]


def read_vectors(path: Path, cache: Path | None = None, name: str | None = None) -> WordVectors:
    """Read word vectors from text, or from a ZIP archive of one text file.

    Parsing takes seconds, so the cache keeps the result under the SHA-256 hash of the file.

    Args:
        path: A file of lines `word v1 ... vN`, or a `.zip` archive of one.
        cache: The package's cache; if None, the default one.
        name: Name of the vectors in results, which is followed by the beginning of the hash; if None, a name
            after the file.

    Raises:
        ResourceError: If the file cannot be read or has a line in another format, or the cache cannot be
            written.
    """
    digest = fingerprint(path)
    kept = cache_folder(RESOURCES, cache) / f"vectors-{digest}.safetensors"
    table = _read_kept(kept)
    if table is None:
        words, matrix = table = _parse_vectors(path)
        metadata = {"words": json.dumps(words)}
        with writing_to(kept.parent):
            write_atomically(kept, lambda temporary: save_file({"matrix": matrix}, temporary, metadata))
    return WordVectors(*table, name=f"{name or f'word vectors {path.name}'} ({digest[:12]})")


def _parse_vectors(path: Path) -> Table:
    """Parse a file of word vectors.

    Args:
        path: A file of lines `word v1 ... vN`, or a `.zip` archive of one.

    Returns:
        The words, and their vectors in float32, shape (words, values).

    Raises:
        ResourceError: If the file cannot be read or has a line in another format.
    """
    rows: dict[str, NDArray[np.float32]] = {}
    length = None
    with _lines(path) as lines:
        for number, line in enumerate(lines, start=1):
            word, vector = _parse_line(line, f"Line {number} of {path}")
            length = length or len(vector)
            if len(vector) != length:
                raise ResourceError(
                    f"Line {number} of {path} has {len(vector)} values where the first has {length}."
                )
            if word in rows:
                raise ResourceError(f"Line {number} of {path} repeats the word '{word}'.")
            rows[word] = vector
    if not rows:
        raise ResourceError(f"{path} is empty: it should hold lines of a word and its values.")
    return list(rows), np.stack(list(rows.values()))


def _parse_line(line: bytes, where: str) -> tuple[str, NDArray[np.float32]]:
    try:
        word, *values = line.decode("utf-8").split()
        vector = np.array([float(value) for value in values], dtype=np.float32)
    except UnicodeDecodeError as error:
        raise ResourceError(f"{where} is not text in UTF-8.") from error
    except ValueError as error:  # also raised for a line without any word
        raise ResourceError(f"{where} is not a word followed by numbers.") from error
    if not len(vector) or not np.isfinite(vector).all():
        raise ResourceError(f"{where} is not a word followed by finite numbers.")
    return word, vector


@contextmanager
def _lines(path: Path) -> Iterator[Iterable[bytes]]:
    """Yield the lines of a text file, or of the only text file in an archive; refuse a damaged archive."""
    if path.suffix.lower() != ".zip":
        with path.open("rb") as file:
            yield file
        return
    problem = f"{path} is not a whole ZIP archive of one .txt file."
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                name for name in archive.namelist() if name.endswith(".txt") and "__MACOSX" not in name
            ]
            if len(members) != 1:
                raise ResourceError(problem)
            # When the caller reads to the end, zipfile compares the checksum in the archive.
            with archive.open(members[0]) as file:
                yield file
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ResourceError(problem) from error


def _read_kept(path: Path) -> Table | None:
    """Read the cached result of an earlier call; None if there is none, or it is damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads(file.metadata()["words"]), file.get_tensor("matrix")
    except (OSError, SafetensorError):
        return None
