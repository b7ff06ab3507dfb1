"""Tokenises texts with noise, and compares the tokens of texts without noise with those of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from earlyrobust.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Reading:
    """Tokenises texts as the training data are tokenised.

    Args:
        tokenizer: The model's tokenizer, a fast one.
        max_length: Largest number of tokens of a text; the rest is cut off. None for the tokenizer's own
            limit.

    Raises:
        ConfigError: If the tokenizer is not a fast one.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_length: int | None) -> None:
        if not tokenizer.is_fast:
            raise ConfigError(f"{type(tokenizer).__name__} is not a fast tokenizer: noise needs one.")
        self._tokenizer = tokenizer
        self._max_length = max_length

    def one(self, columns: Sequence[str]) -> dict[str, Any]:
        """Tokenise a text, or the two texts of a pair, and return the fields of the tokenizer."""
        # A tokenizer takes an empty second text of a single pair for none, but not in a list of pairs.
        return {name: values[0] for name, values in self.many([columns]).items()}

    def many(self, texts: Sequence[Sequence[str]], **options: Any) -> Any:
        """Tokenise several texts, each a tuple of one text or two.

        Args:
            texts: The texts.
            **options: More options of the tokenizer.
        """
        columns = [list(column) for column in zip(*texts, strict=True)]
        return self._tokenizer(*columns, truncation="longest_first", max_length=self._max_length, **options)

    def check(self, texts: Sequence[Sequence[str]], ids: Sequence[Sequence[int]]) -> None:
        """Check that the training data have the tokens of their texts.

        Noise tokenises each text anew. Everything else in the tokens of the data would be lost.

        Args:
            texts: The texts, each a tuple of one text or two.
            ids: The token ids of each text in the training data, without padding.

        Raises:
            ConfigError: If the tokens of a text are others.
        """
        for made, given, text in zip(self.many(texts)["input_ids"], ids, texts, strict=True):
            if list(made) != list(given):
                raise ConfigError(
                    "Noise tokenises texts anew, but the training data have other tokens for the text "
                    f"{' / '.join(text)[:60]!r} than the noise: keep the second texts of pairs in the column "
                    "'pair', give TextNoise the tokenizer and the max_length of the data, and leave out a "
                    "data collator that changes tokens."
                )
