"""Fetches the counter-fitted word vectors (Mrkšić et al., 2016), and loads them from the cache."""

from __future__ import annotations

import hashlib
import http.client
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

from earlyrobust.attacks.resources.places import RESOURCES, fingerprint, writing_to
from earlyrobust.attacks.resources.vector_files import read_vectors
from earlyrobust.attacks.resources.vectors import WordVectors
from earlyrobust.errors import ResourceError
from earlyrobust.storage import cache_folder, write_atomically, write_json

COMMIT = "8cf3cf4db1074f2f80ecf728e6af68347c3b3d02"
URL = (
    f"https://raw.githubusercontent.com/nmrksic/counter-fitting/{COMMIT}/word_vectors/"
    "counter-fitted-vectors.txt.zip"
)
# Git's hash of the file's content in that commit.
BLOB = "c3b88f0b560b1a695780a8d6090cdbf36e6a7f04"
HOW_TO_FETCH = "earlyrobust resources --fetch counter-fitted"
ARCHIVE = "counter-fitted-vectors.txt.zip"
TIMEOUT_SECONDS = 30
CHUNK_BYTES = 2**18


def fetch_counterfitted(
    cache: Path | None = None,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
    *,
    url: str = URL,
    blob: str = BLOB,
) -> Path:
    """Download the counter-fitted vectors into the cache, unless the cache already holds them.

    Args:
        cache: The package's cache; if None, the default one.
        progress: A function that is called as bytes arrive, with the number of bytes so far and the total
            number; the total is None if it is unknown.
        url: The address of the archive.
        blob: The hash that git gives to the content of the archive.

    Returns:
        The archive in the cache. A JSON file beside it holds its address and SHA-256 hash.

    Raises:
        ResourceError: If the vectors cannot be fetched, their hash is another one, or the cache cannot be
            written. An error leaves no incomplete file behind.
    """
    fetched = fetched_counterfitted(cache)
    if fetched is not None and fingerprint(fetched) == _recorded(fetched):
        return fetched
    archive = cache_folder(RESOURCES, cache) / ARCHIVE

    def write(temporary: Path) -> None:
        _download(url, temporary, progress)
        if blob_of(temporary) != blob:
            raise _not_fetched(url, "the answer is not the published file: its hash is not the known one")

    with writing_to(archive.parent):
        write_atomically(archive, write)
        write_json(_record(archive), {"url": url, "sha256": fingerprint(archive)})
    return archive


def fetched_counterfitted(cache: Path | None = None) -> Path | None:
    """Return the archive of the counter-fitted vectors in the cache; None if they were not fetched."""
    archive = cache_folder(RESOURCES, cache) / ARCHIVE
    return archive if archive.is_file() and _recorded(archive) is not None else None


def load_counterfitted(cache: Path | None = None) -> WordVectors:
    """Load the counter-fitted vectors from the cache.

    Args:
        cache: The package's cache; if None, the default one.

    Raises:
        ResourceError: If the vectors were not fetched, or the file has changed since.
    """
    archive = fetched_counterfitted(cache)
    if archive is None:
        raise ResourceError(
            f"The counter-fitted vectors are not on this machine: fetch them with `{HOW_TO_FETCH}`, or give "
            "the path of a file that holds them."
        )
    if fingerprint(archive) != _recorded(archive):
        raise ResourceError(f"{archive} has changed since it was fetched: `{HOW_TO_FETCH}` fetches it again.")
    return read_vectors(archive, cache, name="counter-fitted vectors")


def blob_of(path: Path) -> str:
    """Return the hash that git gives to the content of a file, in hexadecimal."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _record(archive: Path) -> Path:
    return archive.with_suffix(".json")


def _recorded(archive: Path) -> str | None:
    """Return the SHA-256 hash that an archive had when it was fetched; None if it is unknown."""
    try:
        return str(json.loads(_record(archive).read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _download(url: str, path: Path, progress: Callable[[int, int | None], None]) -> None:
    done = 0
    with path.open("wb") as file:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
                total = int(response.headers["Content-Length"] or 0) or None
                while chunk := response.read(CHUNK_BYTES):
                    done += file.write(chunk)
                    progress(done, total)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _not_fetched(url, str(error)) from error
    # A broken connection looks like the end of the file, so the number of bytes is compared.
    if total is not None and done < total:
        raise _not_fetched(url, f"the connection broke off after {done:,} of {total:,} bytes")


def _not_fetched(url: str, reason: str) -> ResourceError:
    return ResourceError(
        f"{url} could not be fetched ({reason}): check the network, or download it elsewhere and give the "
        "file's path instead of 'counter-fitted'."
    )
