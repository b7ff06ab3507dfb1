"""Text noise: exchanges words of training texts for neighbours, and misspells words.

Random noise takes any neighbour of a word. Learned noise prefers neighbours that raise the loss, as
word-substitution attacks do. A table holds the mean first-order gain in loss for each class, word and
neighbour (see `gains`), and noise prefers the neighbour with the greatest gain. The table costs no extra
pass, because training computes the gradient at the embeddings anyway. Noise with the choice "gradient" uses
the gains in the text at hand instead, from the gradient of an extra pass.

The rate of noise rises while the model still classifies the texts with noise well (see `rate`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category

import numpy as np
from safetensors import SafetensorError

from earlyrobust import processes
from earlyrobust.attacks.characters import DeleteCharacter, InsertCharacter, InsertSpace, SwapCharacters
from earlyrobust.attacks.swaps import Draws, Swaps, in_case_of
from earlyrobust.attacks.text import MARKS, find_words
from earlyrobust.errors import TrainingError
from earlyrobust.noise.config import NoiseConfig
from earlyrobust.noise.gains import (
    GainTable,
    Occurrences,
    Pieces,
    best_of_each_text,
    first_order_gains,
)
from earlyrobust.noise.lexicon import Lexicon, is_touchable
from earlyrobust.noise.noisy import Noisy, NoisyBatch
from earlyrobust.noise.rate import FittedRate
from earlyrobust.noise.reading import Reading

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

STATE_NAME = "noise.safetensors"
# Returns the place of the neighbour that noise prefers, given the index of a word; None for no preference.
Aim = Callable[[int], int | None]
# Marks an observed loss, in the column of the class: the processes exchange losses and gains in one array.
_LOSS = -1
_MISSPELLINGS: tuple[Swaps, ...] = (DeleteCharacter(), InsertCharacter(), SwapCharacters(), InsertSpace())


class TextNoise:
    """Changes words of training texts, and learns from gradients which changes raise the loss.

    The noise of a text depends only on the seed, the epoch, the text, the gains and the level. So neither the
    number of processes nor a resume changes it. In a pair, noise changes the second text, as TextFooler does.

    Args:
        lexicon: The words that noise may exchange, with their neighbours.
        tokenizer: The model's tokenizer, a fast one.
        classes: Number of classes.
        config: The settings.
        max_length: Largest number of tokens of a text; the rest is cut off. None for the tokenizer's own
            limit.
        seed: Seed of the random choices.

    Attributes:
        config: The settings.
        lexicon: The words that noise may exchange, with the `candidates` nearest neighbours of each.
        tokenizer: The model's tokenizer.
        reading: Tokenises texts.
        classes: Number of classes that the noise distinguishes.
        table: The mean gains that the noise has learned.
        rate: The level of noise, which rises and falls with the model's losses.

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
        self.reading = Reading(tokenizer, max_length)
        self.config = config or NoiseConfig(candidates=lexicon.count)
        lexicon = lexicon.limited(self.config.candidates)
        self.lexicon = lexicon
        self.tokenizer = tokenizer
        self._seed = seed
        self._pieces = Pieces(lexicon, tokenizer) if self.config.choice != "random" else None
        self.classes = classes
        self.forget()

    def forget(self) -> None:
        """Forget everything that the noise has learned, and return to its first level."""
        self.table = GainTable(self.classes, len(self.lexicon.words), self.lexicon.count, self.config.memory)
        self.rate = FittedRate(self.classes, self.config.keeps, self.config.ramp)
        self._observed: list[NDArray[np.float64]] = []

    @property
    def learns(self) -> bool:
        """Return whether the noise learns from the gradients of each training step."""
        return self.config.choice == "learned"

    @property
    def looks_ahead(self) -> bool:
        """Return whether the noise needs the gradients of an extra pass before each training step."""
        return self.config.choice == "gradient"

    def batch(
        self,
        texts: Sequence[tuple[str, ...]],
        labels: Sequence[int | None],
        *,
        epoch: int,
        side: str | None = None,
        aims: Sequence[Aim] | None = None,
        exchanges: bool = True,
    ) -> NoisyBatch:
        """Add noise to a batch of texts, and tokenise the texts.

        Args:
            texts: The texts, each a tuple of one text or two.
            labels: The classes of the texts; None for a text without a class, from which nothing is learned.
            epoch: Number of the epoch, from 0.
            side: The side of the padding, "left" or "right"; None for that of the tokenizer.
            aims: For each text, the neighbours that exchanges prefer; None for those that the table prefers.
            exchanges: Whether words are exchanged. False for misspellings only, at the same places.

        Returns:
            The batch with noise.
        """
        level = self.config.rate * self.rate.level
        aims = aims or [self._learned(label) for label in labels]
        noisy = [
            self.noisy(columns, self._draws(columns, epoch), level, aim, exchanges=exchanges)
            for columns, aim in zip(texts, aims, strict=True)
        ]
        tokens = self.reading.many(
            [text.columns for text in noisy], padding=True, padding_side=side, return_tensors="pt"
        )
        found = [] if self._pieces is None else self._found(noisy, labels, tokens.encodings)
        may_change = np.array([text.may_change for text in noisy])
        return NoisyBatch(dict(tokens), Occurrences.of(found), may_change)

    def _learned(self, label: int | None) -> Aim:
        """Return the preferences of the table for texts of a class."""
        return lambda word: None if label is None else self.table.best(label, word)

    def tokens(self, columns: tuple[str, ...], epoch: int) -> dict[str, list[int]]:
        """Add random noise to one text at the full rate, and tokenise the text.

        Args:
            columns: The text, or the two texts of a pair.
            epoch: Number of the epoch, from 0.

        Returns:
            The fields that the tokenizer returns.
        """
        text = self.noisy(columns, self._draws(columns, epoch), self.config.rate)
        return dict(self.reading.one(text.columns))

    def noisy(
        self,
        columns: tuple[str, ...],
        random: Draws,
        rate: float,
        aim: Aim = lambda _: None,
        *,
        exchanges: bool = True,
    ) -> Noisy:
        """Add noise to one text.

        Args:
            columns: The text, or the two texts of a pair.
            random: Source of randomness.
            rate: Largest share of words that are chosen for a change.
            aim: The neighbours that exchanges prefer.
            exchanges: Whether words are exchanged.

        Returns:
            The text with noise.
        """
        may_change = random.random_sample() >= self.config.clean
        share = rate * random.random_sample() if may_change else 0.0
        *before, text = columns
        parts, words, length, behind = [], [], 0, 0
        for start, word in find_words(text):
            chosen = is_touchable(word) and random.random_sample() < share
            new = self._change(word, random, aim, exchanges) if chosen else word
            length += start - behind
            if (index := self.lexicon.find(new)) is not None:
                words.append((length, len(new), index))
            parts += [text[behind:start], new]
            length += len(new)
            behind = start + len(word)
        return Noisy((*before, "".join([*parts, text[behind:]])), words, may_change)

    def _draws(self, columns: tuple[str, ...], epoch: int) -> Draws:
        """Return the source of randomness of a text in an epoch."""
        text = zlib.crc32("\n".join(columns).encode("utf-8", "surrogatepass"))
        return Draws(int(np.random.SeedSequence([self._seed, epoch, text]).generate_state(1)[0]))

    def _change(self, word: str, random: Draws, aim: Aim, exchanges: bool) -> str:
        """Exchange, misspell or keep a word."""
        settings = self.config
        chance, index = random.random_sample(), self.lexicon.find(word)
        if index is None:
            return _misspell(word, random) if chance < settings.misspells_others else word
        if chance < settings.exchanges:
            near, place = self.lexicon.neighbours[index], aim(index)
            # Both numbers are always drawn, so that the aim does not change the draws of later words.
            guided, other = random.random_sample() < settings.guided, random.randint(len(near))
            if not exchanges:
                return word
            return in_case_of(word, near[place if guided and place is not None else other])
        return _misspell(word, random) if chance < settings.exchanges + settings.misspells else word

    def _found(
        self, noisy: Sequence[Noisy], labels: Sequence[int | None], encodings: Any
    ) -> list[tuple[int, int, int, int, int]]:
        """Return the words of the lexicon that the model reads, in the form that `Occurrences.of` takes."""
        found = []
        for row, (text, label, encoding) in enumerate(zip(noisy, labels, encodings, strict=True)):
            if label is None:
                continue
            last = len(text.columns) - 1
            for start, length, index in text.words:
                if (span := _tokens_of(encoding, text.columns[last], start, length, last)) is not None:
                    found.append((row, *span, index, label))
        return found

    def aims(self, gradient: Tensor, tokens: Tensor, weight: Tensor, found: Occurrences) -> list[Aim]:
        """Return the preferences of each text of a batch.

        A text prefers, for each of its words, the neighbour with the greatest gain in this text.

        Args:
            gradient: The gradient of the loss at the output of the word embeddings, shape (B, T, D).
            tokens: Token ids, shape (B, T).
            weight: The word embeddings, shape (tokens, D).
            found: The words of the batch that are in the lexicon.
        """
        if self._pieces is None or not len(found.rows):
            return [lambda _: None] * len(tokens)
        gains = first_order_gains(gradient, tokens, weight, found, self._pieces)
        return [best.get for best in best_of_each_text(gains, found, len(tokens))]

    def observe(self, gradient: Tensor, tokens: Tensor, weight: Tensor, found: Occurrences) -> None:
        """Store the gains of a batch until the next `update`.

        Args:
            gradient: The gradient of each example's own loss at the output of the word embeddings, shape (B,
                T, D).
            tokens: Token ids, shape (B, T).
            weight: The word embeddings, shape (tokens, D).
            found: The words of the batch that are in the lexicon, from the result of `batch`.
        """
        if self._pieces is None or not len(found.rows):
            return
        gains = first_order_gains(gradient, tokens, weight, found, self._pieces)
        self._observed.append(np.column_stack([found.labels, found.words, gains]))

    def observe_losses(self, losses: NDArray[np.float64], noisy: NDArray[np.bool_]) -> None:
        """Store the losses of a batch until the next `update`.

        Args:
            losses: The loss of each text, shape (B,).
            noisy: Whether the text was chosen for noise, shape (B,), from the result of `batch`.
        """
        rows = np.zeros((len(losses), 2 + self.lexicon.count))
        rows[:, 0], rows[:, 1], rows[:, 2] = _LOSS, noisy, losses
        self._observed.append(rows)

    def update(self, progress: float) -> None:
        """Learn from the observed gains and losses of all processes. Call this once per optimiser step.

        Args:
            progress: The point of the training, from 0 for its beginning to 1 for its end.
        """
        empty = np.zeros((0, 2 + self.lexicon.count))
        rows = processes.stacked(np.concatenate([empty, *self._observed]))
        self._observed = []
        is_loss = rows[:, 0] == _LOSS
        self.rate.add(rows[is_loss, 2], rows[is_loss, 1] > 0)
        self.rate.move(progress)
        gains = rows[~is_loss]
        ids = gains[:, :2].astype(np.int64)
        self.table.add(ids[:, 0], ids[:, 1], gains[:, 2:])

    def save(self, folder: Path) -> None:
        """Write the table and the level into a folder, such as a checkpoint, as `noise.safetensors`."""
        from safetensors.numpy import save_file

        state = {"means": self.table.means, "seen": self.table.seen, "rate": self.rate.state}
        save_file(state, folder / STATE_NAME)

    def load(self, folder: Path) -> None:
        """Read the table and the level from a folder.

        Raises:
            TrainingError: If the folder holds no table, or that of another lexicon.
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
        self.rate.state = state.get("rate", self.rate.state)


def _misspell(word: str, random: Draws) -> str:
    """Return a word with a letter deleted, inserted or swapped, or a space in it; a short word may stay."""
    how = _MISSPELLINGS[random.randint(len(_MISSPELLINGS))]
    return next(iter(how.words(word, random)), word)


def _tokens_of(encoding: Any, text: str, start: int, length: int, column: int) -> tuple[int, int] | None:
    """Return the first token of a word and the token after its last one; None unless the whole word is read.

    A tokenizer may drop the marks of letters, such as accents that are characters of their own.
    """
    tokens = [encoding.char_to_token(place, column) for place in range(start, start + length)]
    read = [token for token in tokens if token is not None]
    whole = all(
        token is not None or category(character) in MARKS
        for token, character in zip(tokens, text[start : start + length], strict=True)
    )
    return (read[0], read[-1] + 1) if read and whole else None
