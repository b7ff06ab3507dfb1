"""Text noise in the batches of transformers' own Trainer."""

from __future__ import annotations

from collections.abc import Callable
from itertools import compress
from typing import Any

import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from earlyrobust import processes
from earlyrobust.errors import ConfigError
from earlyrobust.noise.epochs import EpochCounter
from earlyrobust.noise.text_noise import TextNoise

# The columns of a data set that hold its texts.
TEXT_COLUMNS = ("text", "pair")
NO_TEXTS = (
    "Noise changes texts, but the batches hold none: keep the column 'text' (and 'pair') in train_dataset."
)


def take_texts(row: dict[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Split an example into its texts and its other columns.

    Args:
        row: The example, by the names of its columns.

    Returns:
        A tuple of one text, two texts or none, and the other columns.
    """
    texts = tuple(row[name] for name in TEXT_COLUMNS if name in row)
    return texts, {name: row[name] for name in row if name not in TEXT_COLUMNS}


class NoiseCollator(EpochCounter):
    """A data collator that adds random noise to texts. As a callback, it gives each epoch new noise.

    Pass it to a Trainer as `data_collator` and in `callbacks`, with `remove_unused_columns=False`. Examples
    with the column `text` (and `pair`) get noise. So give the training data this column, and the evaluation
    data none. The rate does not rise, because Trainer may collate examples ahead of time. The other choices
    of noise need gradients, see `AdversarialTrainer`. `EpochCounter` says which noise a resumed training has.

    Args:
        collator: Makes a batch of tokenised examples without texts, and pads them, for example
            `DataCollatorWithPadding`. It gets examples with noise without any padding.
        noise: The noise, with the choice "random".

    Attributes:
        epoch: Number of the epoch, from 0, which decides the noise of a text; None before the first epoch.
            The callback sets it. Set it yourself in a training loop of your own.

    Raises:
        ConfigError: If the noise has another choice.
    """

    def __init__(self, collator: Callable[[list[dict[str, Any]]], Any], noise: TextNoise) -> None:
        if noise.learns or noise.looks_ahead:
            raise ConfigError(
                f"Noise with the choice '{noise.config.choice}' needs the gradients of AdversarialTrainer: "
                "give the noise there, or choose NoiseConfig(choice='random')."
            )
        super().__init__()
        self._collator = collator
        self._noise = noise
        self._has_texts = torch.zeros(1, dtype=torch.bool)
        self._is_first_step = False

    def __call__(self, features: list[dict[str, Any]]) -> Any:
        """Make a batch of examples, after noise in their texts.

        Raises:
            ConfigError: If examples have texts but no epoch has begun, or the tokens of an example are not
                those of its texts.
        """
        return self._collator([self._noised(row) for row in features])

    def _noised(self, row: dict[str, Any]) -> dict[str, Any]:
        columns, rest = take_texts(row)
        if not columns:
            return row
        self._has_texts[0] = True
        if self.epoch is None:
            raise ConfigError(
                "Noise is new in each epoch, but this NoiseCollator does not know the epoch: give it to the "
                "Trainer's callbacks, too, or set its attribute epoch in a training loop of your own."
            )
        if "input_ids" in row:
            self._noise.reading.check([columns], [_without_padding(row)])
        return {**rest, **self._noise.tokens(columns, self.epoch)}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check that the texts reach this collator, as far as the columns of the training data tell.

        Raises:
            ConfigError: If the Trainer removes the column `text`, or the training data have no such column.
        """
        super().on_train_begin(args, state, control, **kwargs)
        if args.remove_unused_columns:
            raise ConfigError(
                "Noise changes texts, but the Trainer removes the column 'text': set "
                "TrainingArguments(remove_unused_columns=False)."
            )
        columns = _columns_of(getattr(kwargs.get("train_dataloader"), "dataset", None))
        if columns is not None and not set(TEXT_COLUMNS) & set(columns):
            raise ConfigError(NO_TEXTS)
        # The processes that load data share this memory, and so tell this one what they have found.
        self._has_texts = torch.zeros(1, dtype=torch.bool).share_memory_()  # type: ignore[no-untyped-call]
        self._is_first_step = True

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count the epoch that begins, because each epoch gets new noise.

        Raises:
            ConfigError: If the processes that load data live longer than an epoch, because they would repeat
                its noise.
        """
        if args.dataloader_num_workers and args.dataloader_persistent_workers:
            raise ConfigError(
                "Noise is new in each epoch, but dataloader_persistent_workers keeps the processes of the "
                "first one: leave it out."
            )
        super().on_epoch_begin(args, state, control, **kwargs)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check after the first step that its examples had texts: not all data sets name their columns.

        Raises:
            ConfigError: If no example had a text.
        """
        if not self._is_first_step:
            return
        self._is_first_step = False
        # A process may have got its batch from another one, which has made it.
        if not processes.largest(int(self._has_texts)):
            raise ConfigError(NO_TEXTS)


def _without_padding(row: dict[str, Any]) -> list[Any]:
    """Return the token ids of an example without those that its attention mask leaves out."""
    ids = row["input_ids"]
    return list(compress(ids, row["attention_mask"]) if "attention_mask" in row else ids)


def _columns_of(dataset: Any) -> list[str] | None:
    """Return the columns of a data set; None if its examples may have others, or it does not name them."""
    form = getattr(dataset, "format", None)
    if isinstance(form, dict) and form.get("type") == "custom":  # a function of the user makes the examples
        return None
    return getattr(dataset, "column_names", None)
