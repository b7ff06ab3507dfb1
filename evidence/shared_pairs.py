"""Count the pairs of words that two lists of neighbours share: shared_pairs.py LIST OTHER FILE.parquet.

The pairs are those of the words that occur in the texts of FILE. LIST and OTHER are sources of neighbours, as
`--neighbours` takes them, such as "wordnet".
"""

from __future__ import annotations

import sys

from datasets import Dataset

from earlyrobust.attacks.resources.neighbours import Neighbours, load_neighbours
from earlyrobust.attacks.text import words_of

# As many neighbours as the noise asks for, see `NoiseConfig.candidates`.
_COUNT = 8


def pairs(neighbours: Neighbours, words: set[str]) -> set[tuple[str, str]]:
    """Return each word with each of its neighbours, in small letters."""
    return {(word, other.lower()) for word in words for other in neighbours.nearest(word, _COUNT)}


if __name__ == "__main__":
    names, file = sys.argv[1:3], sys.argv[3]
    rows = Dataset.from_parquet(file)
    texts = [name for name, kind in rows.features.items() if kind.dtype in ("string", "large_string")]
    words = {word.lower() for name in texts for text in rows[name] for word in words_of(text)}
    found = [pairs(load_neighbours(name), words) for name in names]
    shared = found[0] & found[1]
    for name, own in zip(names, found, strict=True):
        sys.stdout.write(
            f"{name}: {len(own):,} pairs, of which {len(shared):,} ({len(shared) / len(own):.1%}) "
            "are in the other list\n"
        )
