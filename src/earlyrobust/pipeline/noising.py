"""Builds the noise of a run's training texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.attacks.resources.antonyms import WithoutAntonyms
from earlyrobust.attacks.resources.neighbours import load_neighbours
from earlyrobust.noise import Lexicon, NoiseConfig, TextNoise
from earlyrobust.pipeline.folder import TICKET
from earlyrobust.pipeline.observer import Observer

if TYPE_CHECKING:
    from earlyrobust.pipeline.splits import Splits


def build_lexicon(settings: NoiseConfig, source: str | None, splits: Splits, observer: Observer) -> Lexicon:
    """Make the lexicon of a run's training texts.

    Args:
        settings: The settings of the noise.
        source: The source of neighbours, as for attacks.
        splits: The data.
        observer: Is told where the neighbours are from, and how many words have some.

    Raises:
        ResourceError: If the source cannot be used, or no word of the texts has a neighbour.
    """
    neighbours = WithoutAntonyms(load_neighbours(source))
    texts = splits.data.train.remove_columns("label")
    columns = zip(*(texts[name][:] for name in texts.column_names), strict=True)
    lexicon = Lexicon.of(columns, [neighbours], settings.candidates)
    observer.note(
        f"Noise exchanges words of the training texts for neighbours from the {neighbours.name}: "
        f"{len(lexicon.words):,} words have some."
    )
    return lexicon


def build_noise(settings: NoiseConfig, lexicon: Lexicon, splits: Splits, seed: int, stage: str) -> TextNoise:
    """Make the noise of one stage of a run.

    The stages draw different noise, so that the fine-tuning does not repeat the noise of the search.

    Args:
        settings: The settings of the noise.
        lexicon: The words that the noise exchanges.
        splits: The data, with their tokenizer.
        seed: Seed of the run.
        stage: Name of the stage.
    """
    return TextNoise(
        lexicon,
        splits.tokenizer,
        len(splits.data.label_names),
        config=settings,
        max_length=splits.max_length,
        seed=2 * seed + (stage == TICKET),
    )
