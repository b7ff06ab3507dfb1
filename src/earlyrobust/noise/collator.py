"""Text noise in the batches of transformers' own Trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earlyrobust.errors import ConfigError
from earlyrobust.noise.text_noise import TextNoise

# The columns of a data set that hold its texts.
TEXT_COLUMNS = ("text", "pair")


def take_texts(row: dict[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Split an example into its texts and its other columns.

    Args:
        row: The example, by the names of its columns.

    Returns:
        A tuple of one text, two texts or none, and the other columns.
    """
    texts = tuple(row[name] for name in TEXT_COLUMNS if name in row)
    return texts, {name: row[name] for name in row if name not in TEXT_COLUMNS}


class NoiseCollator(TrainerCallback):  # type: ignore[misc]
    """A data collator that adds random noise to texts. As a callback, it gives each epoch new noise.

    Pass it to a Trainer as `data_collator` and in `callbacks`, with `remove_unused_columns=False`. Examples
    with the column `text` (and `pair`) get noise. So give the training data this column, and the evaluation
    data none. The rate does not rise, because Trainer may collate examples ahead of time. The other choices
    of noise need gradients, see `AdversarialTrainer`.

    Args:
        collator: Makes a batch of tokenised examples without texts, for example `DataCollatorWithPadding`.
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
        self._collator = collator
        self._noise = noise
        self.epoch: int | None = None

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
        if self.epoch is None:
            raise ConfigError(
                "Noise is new in each epoch, but this NoiseCollator does not know the epoch: give it to the "
                "Trainer's callbacks, too, or set its attribute epoch in a training loop of your own."
            )
        if "input_ids" in row:
            self._noise.reading.check([columns], [row["input_ids"]])
        return {**rest, **self._noise.tokens(columns, self.epoch)}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check that the texts reach this collator.

        Raises:
            ConfigError: If the Trainer removes the column `text`.
        """
        if args.remove_unused_columns:
            raise ConfigError(
                "Noise changes texts, but the Trainer removes the column 'text': set "
                "TrainingArguments(remove_unused_columns=False)."
            )

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Store the number of the epoch, because each epoch gets new noise.

        Raises:
            ConfigError: If the processes that load data live longer than an epoch, because they would repeat
                its noise.
        """
        if args.dataloader_num_workers and args.dataloader_persistent_workers:
            raise ConfigError(
                "Noise is new in each epoch, but dataloader_persistent_workers keeps the processes of the "
                "first one: leave it out."
            )
        self.epoch = int(state.epoch or 0)
