"""Builds the noise in a run's training texts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, cast

from earlyrobust.attacks.resources.antonyms import WithoutAntonyms
from earlyrobust.attacks.resources.neighbours import load_neighbours
from earlyrobust.errors import ConfigError
from earlyrobust.noise import Lexicon, NoiseConfig, TextNoise
from earlyrobust.options.specs import NONE, parse_spec
from earlyrobust.workspace.folder import TICKET
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from earlyrobust.pipeline.splits import Splits


@dataclass(frozen=True)
class NoiseChoice:
    """The noise that an option names.

    Attributes:
        settings: The settings of the noise.
        sources: Sources of the neighbours of words, as for attacks; empty for the source of the run.
    """

    settings: NoiseConfig
    sources: tuple[str, ...] = ()

    @classmethod
    def parse(cls, spec: str) -> NoiseChoice | None:
        """Parse the option, such as `learned,rate=0.5,neighbours=wordnet+my.csv`.

        Args:
            spec: A choice and its settings. The setting `neighbours` holds sources joined by `+`.

        Returns:
            The noise; None for the choice "none".

        Raises:
            ConfigError: If there is no such noise, or its settings cannot be used.
        """
        name, settings = parse_spec(spec)
        if name == NONE:
            return None
        sources = str(settings.pop("neighbours", "")).split("+")
        if len(sources) > 1 and not all(sources):
            raise ConfigError(f"The noise's neighbours are '{'+'.join(sources)}': join sources by single +.")
        known = [field.name for field in fields(NoiseConfig) if field.name != "choice"]
        if unknown := [setting for setting in settings if setting not in known]:
            raise ConfigError(
                f"The noise has no setting '{unknown[0]}': choose from {', '.join(known)}, neighbours."
            )
        return cls(NoiseConfig(choice=cast("Any", name), **settings), tuple(filter(None, sources)))


def build_lexicon(choice: NoiseChoice, usual: str | None, splits: Splits, observer: Observer) -> Lexicon:
    """Make the lexicon of a run's training texts.

    Args:
        choice: The noise.
        usual: The run's source of neighbours, as for attacks, which is used if the noise names no source.
        splits: The data.
        observer: Receives a message about the sources of the neighbours, and the number of words that have
            neighbours.

    Raises:
        ResourceError: If a source cannot be used, or no word of the texts has a neighbour.
    """
    sources = [WithoutAntonyms(load_neighbours(source)) for source in choice.sources or (usual,)]
    texts = splits.data.train.remove_columns("label")
    columns = zip(*(texts[name][:] for name in texts.column_names), strict=True)
    lexicon = Lexicon.of(columns, sources, choice.settings.candidates)
    observer.note(
        "Noise replaces words of the training texts with neighbours from the "
        f"{' and the '.join(source.name for source in sources)}: {len(lexicon.words):,} words have "
        "neighbours."
    )
    return lexicon


def build_noise(settings: NoiseConfig, lexicon: Lexicon, splits: Splits, seed: int, stage: str) -> TextNoise:
    """Make the noise of one stage of a run.

    The stages have different seeds, so that the fine-tuning does not repeat the noise of the search.

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
