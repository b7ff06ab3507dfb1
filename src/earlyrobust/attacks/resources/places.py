"""Where resources lie: their part of the cache and NLTK's data folders; and fingerprints of their files."""

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

# Their part of the cache.
RESOURCES = "resources"


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Say in one sentence if what is done inside cannot write to the cache.

    Raises:
        ResourceError: If so.
    """
    try:
        yield
    except OSError as error:
        raise ResourceError(
            f"The cache {folder} cannot be written ({error.strerror}): set EARLYROBUST_CACHE to a folder "
            "that can be."
        ) from error


def fingerprint(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal.

    Raises:
        ResourceError: The file cannot be read.
    """
    try:
        return sha256_of(path)
    except OSError as error:
        raise ResourceError(f"{path} cannot be read: {error.strerror}.") from error


def nltk_package(name: str, data_dir: Path | None = None) -> Traversable | None:
    """Find a package of NLTK's data, unpacked or as the archive that its downloader leaves.

    Args:
        name: Kind and name, such as `corpora/stopwords`.
        data_dir: The data folder; if None, those of `$NLTK_DATA`, then NLTK's default ones.

    Returns:
        The package's folder, possibly inside an archive; None if there is none.

    Raises:
        ResourceError: `data_dir` is not a folder.
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
    # NLTK reads the variable only when it is imported, which may have been before it was set.
    given = [folder for folder in os.environ.get("NLTK_DATA", "").split(os.pathsep) if folder]
    if importlib.util.find_spec("nltk") is None:
        return [Path(folder) for folder in given]
    import nltk.data

    return [Path(folder) for folder in (*given, *nltk.data.path) if folder]
