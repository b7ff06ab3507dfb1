"""Neighbours of words: what attacks ask of a source, and finding the source that a user names."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from earlyrobust.attacks.resources.counterfitted import fetched_counterfitted, load_counterfitted
from earlyrobust.attacks.resources.lists import NeighbourLists
from earlyrobust.attacks.resources.vector_files import read_vectors
from earlyrobust.attacks.resources.vectors import embedding_neighbours
from earlyrobust.errors import ModelError, ResourceError

COUNTER_FITTED = "counter-fitted"
EMBEDDED_DEFAULT = "minilm"


class Neighbours(Protocol):
    """Knows which words are near a word.

    Attributes:
        name: How results name the source.
        has_vectors: Whether it can tell how near two words are.
    """

    name: str
    has_vectors: bool

    def nearest(self, word: str, count: int) -> list[str]:
        """Return up to `count` neighbours of a lower-case word, nearest first, without the word itself.

        An unknown word has none.
        """
        ...

    def cosine(self, a: str, b: str) -> float | None:
        """Return the cosine of two words' vectors, None if one is unknown or there are no vectors."""
        ...


def load_neighbours(source: str | None = None) -> Neighbours:
    """Load a source of neighbours.

    Args:
        source: 'counter-fitted'; an encoder, for its input embeddings; or the path of word vectors (`.txt` or
            `.zip`) or of neighbour lists (`.parquet`). If None, the counter-fitted vectors if they were
            fetched, else the embedded encoder 'minilm'.

    Raises:
        ResourceError: There is no such source, or it cannot be read.
        ModelError: The encoder cannot be used.
    """
    if source is None:
        source = EMBEDDED_DEFAULT if fetched_counterfitted() is None else COUNTER_FITTED
    if source == COUNTER_FITTED:
        return load_counterfitted()
    path = Path(source).expanduser()
    match path.suffix.lower():
        case ".parquet":
            return NeighbourLists(path)
        case ".txt" | ".zip":
            return read_vectors(path)
    if path.is_dir() or source == EMBEDDED_DEFAULT:
        return embedding_neighbours(source)
    try:
        return embedding_neighbours(source)
    except ModelError as error:
        raise ResourceError(
            f"There are no neighbours '{source}': choose '{COUNTER_FITTED}', an encoder "
            f"('{EMBEDDED_DEFAULT}', a folder, or a name on the Hugging Face hub), or the path of a .txt, "
            ".zip or .parquet file."
        ) from error
