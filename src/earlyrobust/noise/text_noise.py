"""Text noise: exchanges words of training texts for neighbours, and misspells words.

Random noise takes any neighbour of a word. Learned noise aims, as word-substitution attacks do. A table holds
the mean first-order gain in loss for each class, word and neighbour (see `gains`), and noise prefers the
neighbour of greatest gain. The table costs no pass, because training computes the gradient at the embeddings
anyway.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError

from earlyrobust import processes
from earlyrobust.attacks.characters import DeleteCharacter, InsertCharacter, InsertSpace, SwapCharacters
from earlyrobust.attacks.swaps import Draws, Swaps, in_case_of
from earlyrobust.attacks.text import find_words
from earlyrobust.errors import ConfigError, TrainingError
from earlyrobust.noise.config import NoiseConfig
from earlyrobust.noise.gains import GainTable, Occurrences, Pieces, first_order_gains
from earlyrobust.noise.lexicon import Lexicon, is_touchable

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

STATE_NAME = "noise.safetensors"
_MISSPELLINGS: tuple[Swaps, ...] = (DeleteCharacter(), InsertCharacter(), SwapCharacters(), InsertSpace())


@dataclass(frozen=True)
class Noisy:
    """A text with noise.

    Attributes:
        columns: The text, or the two of a pair.
        words: For each word of the last column that the lexicon holds: its first character, its length, and
            its index in the lexicon.
    """

    columns: tuple[str, ...]
    words: list[tuple[int, int, int]]


class TextNoise:
    """Changes words of training texts, and learns from gradients which changes raise the loss.

    The noise of a text depends on the seed, the epoch, the text and the learned gains alone. So neither the
    number of processes nor a resume changes it. Of a pair, noise changes the second text, as TextFooler does.

    Args:
        lexicon: The words that are exchanged, with their neighbours.
        tokenizer: The model's tokenizer, a fast one.
        classes: Number of classes.
        config: The settings.
        max_length: Most tokens of a text; the rest is cut off. None for the tokenizer's own limit.
        seed: Seed of the random choices.

    Attributes:
        config: The settings.
        lexicon: See the argument.
        tokenizer: See the argument.
        table: The mean gains that the noise has learned.

    Raises:
        ConfigError: If the tokenizer is not a fast one.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        tokenizer: PreTrainedTokenizerBase,
        classes: int,
        *,
        config: NoiseConfig | None = None,
        max_length: int | None = None,
        seed: int = 0,
    ) -> None:
        if not tokenizer.is_fast:
            raise ConfigError(f"{type(tokenizer).__name__} is not a fast tokenizer: noise needs one.")
        self.config = config or NoiseConfig(candidates=lexicon.count)
        self.lexicon = lexicon
        self.tokenizer = tokenizer
        self._max_length = max_length
        self._seed = seed
        self._pieces = Pieces(lexicon, tokenizer) if self.learns else None
        self.table = GainTable(classes, len(lexicon.words), lexicon.count, self.config.memory)
        self._observed: list[NDArray[np.float64]] = []

    @property
    def classes(self) -> int:
        """Number of classes that the noise distinguishes."""
        return len(self.table.seen)

    @property
    def learns(self) -> bool:
        """Whether the noise needs gradients."""
        return self.config.choice == "learned"

    def batch(
        self,
        texts: Sequence[tuple[str, ...]],
        labels: Sequence[int],
        *,
        epoch: int,
        progress: float,
        side: str | None = None,
    ) -> tuple[dict[str, Tensor], Occurrences]:
        """Make noise for a batch of texts, and tokenise the texts with their noise.

        Args:
            texts: The texts, each a tuple of one text or two.
            labels: Their classes.
            epoch: Number of the epoch, from 0.
            progress: The point of the training, from 0 for its beginning to 1 for its end.
            side: The side of the padding, "left" or "right"; None for that of the tokenizer.

        Returns:
            The fields that the tokenizer makes, padded, as tensors of shape (B, T); and the words that the
            noise can learn from.
        """
        rate = self.config.rate_at(progress)
        noisy = [
            self.noisy(columns, label, self._draws(columns, epoch), rate)
            for columns, label in zip(texts, labels, strict=True)
        ]
        columns = [list(column) for column in zip(*(text.columns for text in noisy), strict=True)]
        tokens = self.tokenizer(
            *columns,
            truncation="longest_first",
            max_length=self._max_length,
            padding=True,
            padding_side=side,
            return_tensors="pt",
        )
        found = self._found(noisy, labels, tokens.encodings) if self.learns else []
        return dict(tokens), Occurrences.of(found)

    def tokens(self, columns: tuple[str, ...], epoch: int) -> dict[str, list[int]]:
        """Make random noise for one text at the full rate, and tokenise the text with its noise.

        Args:
            columns: The text, or the two of a pair.
            epoch: Number of the epoch, from 0.
        """
        text = self.noisy(columns, 0, self._draws(columns, epoch), self.config.rate)
        return dict(self.tokenizer(*text.columns, truncation="longest_first", max_length=self._max_length))

    def noisy(self, columns: tuple[str, ...], label: int, random: Draws, rate: float) -> Noisy:
        """Make noise for one text.

        Args:
            columns: The text, or the two of a pair.
            label: Its class.
            random: Source of randomness.
            rate: Largest share of words that are chosen for a change.
        """
        share = 0.0 if random.random_sample() < self.config.clean else rate * random.random_sample()
        *before, text = columns
        parts, words, length, behind = [], [], 0, 0
        for start, word in find_words(text):
            chosen = is_touchable(word) and random.random_sample() < share
            new = self._change(word, label, random) if chosen else word
            length += start - behind
            if (index := self.lexicon.find(new)) is not None:
                words.append((length, len(new), index))
            parts += [text[behind:start], new]
            length += len(new)
            behind = start + len(word)
        return Noisy((*before, "".join([*parts, text[behind:]])), words)

    def _draws(self, columns: tuple[str, ...], epoch: int) -> Draws:
        """Return the source of randomness of a text in an epoch."""
        text = zlib.crc32("\n".join(columns).encode("utf-8", "surrogatepass"))
        return Draws(int(np.random.SeedSequence([self._seed, epoch, text]).generate_state(1)[0]))

    def _change(self, word: str, label: int, random: Draws) -> str:
        """Exchange, misspell or keep a word."""
        settings = self.config
        chance, index = random.random_sample(), self.lexicon.find(word)
        if index is None:
            return _misspell(word, random) if chance < settings.misspells_others else word
        if chance < settings.exchanges:
            near = self.lexicon.neighbours[index]
            place = self.table.best(label, index) if self.learns else None
            # Both numbers are always drawn, so that learning does not change the draws of later words.
            guided, other = random.random_sample() < settings.guided, random.randint(len(near))
            return in_case_of(word, near[place if guided and place is not None else other])
        return _misspell(word, random) if chance < settings.exchanges + settings.misspells else word

    def _found(
        self, noisy: Sequence[Noisy], labels: Sequence[int], encodings: Any
    ) -> list[tuple[int, int, int, int, int]]:
        """Return the words that the lexicon holds and the model reads, as `Occurrences.of` takes them."""
        found = []
        for row, (text, label, encoding) in enumerate(zip(noisy, labels, encodings, strict=True)):
            last = len(text.columns) - 1
            for start, length, index in text.words:
                begin = encoding.char_to_token(start, last)
                end = encoding.char_to_token(start + length - 1, last)
                if begin is not None and end is not None:
                    found.append((row, begin, end + 1, index, label))
        return found

    def observe(self, gradient: Tensor, tokens: Tensor, weight: Tensor, found: Occurrences) -> None:
        """Keep the gains of a batch for the next `update`.

        Args:
            gradient: The gradient of each example's own loss at the output of the word embeddings, shape
                (B, T, D).
            tokens: Indices of the vocabulary, shape (B, T).
            weight: The word embeddings, shape (tokens, D).
            found: The words of the batch, as `batch` returned them.
        """
        if self._pieces is None or not len(found.rows):
            return
        gains = first_order_gains(gradient, tokens, weight, found, self._pieces)
        self._observed.append(np.column_stack([found.labels, found.words, gains]))

    def update(self) -> None:
        """Add the observed gains of all processes to the table. To be called once per optimiser step."""
        if not self.learns:
            return
        empty = np.zeros((0, 2 + self.lexicon.count))
        rows = processes.stacked(np.concatenate([empty, *self._observed]))
        self._observed = []
        ids = rows[:, :2].astype(np.int64)
        self.table.add(ids[:, 0], ids[:, 1], rows[:, 2:])

    def save(self, folder: Path) -> None:
        """Write the table into a folder, such as that of a checkpoint, as `noise.safetensors`."""
        from safetensors.numpy import save_file

        save_file({"means": self.table.means, "seen": self.table.seen}, folder / STATE_NAME)

    def load(self, folder: Path) -> None:
        """Read the table from a folder.

        Raises:
            TrainingError: If there is no table, or it belongs to another lexicon.
        """
        from safetensors.numpy import load_file

        try:
            state = load_file(folder / STATE_NAME)
        except (OSError, ValueError, SafetensorError) as error:
            raise TrainingError(
                f"'{folder}' holds no {STATE_NAME} that can be read, but training with noise needs it to "
                "continue: begin again in another folder."
            ) from error
        if state["means"].shape != self.table.means.shape:
            raise TrainingError(
                f"The noise of the checkpoint '{folder}' was learned with other words: continue with "
                "the texts and --neighbours of its beginning, or begin again in another folder."
            )
        self.table.means, self.table.seen = state["means"], state["seen"]


def _misspell(word: str, random: Draws) -> str:
    """Return a word with a letter dropped, inserted or exchanged, or a space in it; a short word may stay."""
    how = _MISSPELLINGS[random.randint(len(_MISSPELLINGS))]
    return next(iter(how.words(word, random)), word)
