"""Neighbours of words: the interface of a source, and a loader for the source that a user names."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from earlyrobust.attacks.resources.counterfitted import fetched_counterfitted, load_counterfitted
from earlyrobust.attacks.resources.list_files import SUFFIXES as LIST_SUFFIXES
from earlyrobust.attacks.resources.lists import read_lists, wordnet_synonyms
from earlyrobust.attacks.resources.vector_files import SUFFIXES as VECTOR_SUFFIXES
from earlyrobust.attacks.resources.vector_files import read_vectors
from earlyrobust.attacks.resources.vectors import embedding_neighbours
from earlyrobust.errors import ModelError, ResourceError

COUNTER_FITTED = "counter-fitted"
WORDNET = "wordnet"
EMBEDDED_ENCODER = "minilm"


class Neighbours(Protocol):
    """A source of neighbours, which finds the words near a word.

    Attributes:
        name: Name of the source in results.
        has_vectors: Whether the source has word vectors, so that it can measure how near two words are.
        measures_meaning: Whether the cosine of its vectors measures meaning, so that a smallest cosine
            rejects words of other meanings. This is not so for input embeddings of encoders: there "good" is
            near "bad".
    """

    name: str
    has_vectors: bool
    measures_meaning: bool

    def nearest(self, word: str, count: int) -> list[str]:
        """Return up to `count` neighbours of a word, nearest first, without the word itself.

        Neither letter case nor the Unicode form matters. An unknown word has no neighbours.
        """
        ...

    def cosine(self, a: str, b: str) -> float | None:
        """Return the cosine of two words' vectors; None if a word is unknown or there are no vectors.

        Neither letter case nor the Unicode form matters.
        """
        ...


def sources_here() -> list[str]:
    """Return the names of the built-in sources of neighbours on this machine, the default one first."""
    return [*([] if fetched_counterfitted() is None else [COUNTER_FITTED]), WORDNET]


def load_neighbours(source: str | None = None) -> Neighbours:
    """Load a source of neighbours.

    Args:
        source: 'wordnet' for the synonyms that come with the package; 'counter-fitted' for the counter-fitted
            vectors; an encoder for its input embeddings; or the path of word vectors (`.txt` or `.zip`) or of
            neighbour lists (`.csv`, `.tsv`, `.json`, `.jsonl` or `.parquet`, see `read_entries`). None for
            the counter-fitted vectors if they were fetched, else for 'wordnet'.

    Raises:
        ResourceError: If there is no such source, or it cannot be read.
        ModelError: If the encoder cannot be used.
    """
    if source is None:
        source = sources_here()[0]
    if source == WORDNET:
        return wordnet_synonyms()
    if source == COUNTER_FITTED:
        return load_counterfitted()
    path = Path(source).expanduser()
    suffix = path.suffix.lower()
    if suffix in LIST_SUFFIXES:
        return read_lists(path)
    if suffix in VECTOR_SUFFIXES:
        return read_vectors(path)
    if path.is_dir() or source == EMBEDDED_ENCODER:
        return embedding_neighbours(source)
    try:
        return embedding_neighbours(source)
    except ModelError as error:
        raise ResourceError(
            f"There are no neighbours '{source}': choose '{WORDNET}', '{COUNTER_FITTED}', an encoder "
            f"('{EMBEDDED_ENCODER}', a folder, or a name on the Hugging Face hub), or the path of a file "
            f"({', '.join((*LIST_SUFFIXES, *VECTOR_SUFFIXES))})."
        ) from error
