"""Finds the places of resources: their folder in the cache, and NLTK's data; and hashes their files."""

from __future__ import annotations

import importlib.util
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path

from earlyrobust.errors import ResourceError
from earlyrobust.storage import sha256_of

# Name of their folder in the cache.
RESOURCES = "resources"


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn errors of the system inside the block into one sentence about a cache that cannot be written.

    Args:
        folder: The folder in the cache to which the block writes.

    Raises:
        ResourceError: If the block raises an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise ResourceError(
            f"The cache {folder} cannot be written ({error.strerror}): set EARLYROBUST_CACHE to a "
            "writable folder."
        ) from error


def fingerprint(path: Path) -> str:
    """Return the SHA-256 hash of a file's bytes, in hexadecimal.

    Raises:
        ResourceError: If the file cannot be read.
    """
    try:
        return sha256_of(path)
    except OSError as error:
        raise ResourceError(f"{path} cannot be read: {error.strerror}.") from error


def nltk_package(name: str, data_dir: Path | None = None) -> Traversable | None:
    """Find a package of NLTK's data, unpacked or in the archive that NLTK's downloader saves.

    Args:
        name: Kind and name of the package, such as `corpora/stopwords`.
        data_dir: The data folder; None for the folders in `$NLTK_DATA`, then NLTK's default folders.

    Returns:
        The package's folder, possibly inside an archive; None if there is none.

    Raises:
        ResourceError: If `data_dir` is not a folder.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise ResourceError(f"The folder of NLTK's data {data_dir} does not exist: check --nltk-data.")
    for folder in [data_dir] if data_dir is not None else _nltk_folders():
        if (folder / name).is_dir():
            return folder / name
        archive = folder / f"{name}.zip"
        if zipfile.is_zipfile(archive):
            return zipfile.Path(archive, f"{archive.stem}/")
    return None


def _nltk_folders() -> list[Path]:
    # NLTK reads the variable only when it is imported, and that may be before the variable was set.
    given = [folder for folder in os.environ.get("NLTK_DATA", "").split(os.pathsep) if folder]
    if importlib.util.find_spec("nltk") is None:
        return [Path(folder) for folder in given]
    import nltk.data

    return [Path(folder) for folder in (*given, *nltk.data.path) if folder]
