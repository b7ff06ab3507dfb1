"""Works out the search, its settings and the adversaries of both stages from the options of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from earlyrobust.adversarial import ADVERSARIES, Adversary, InfoBERT
from earlyrobust.attacks import Resources
from earlyrobust.attacks.resources.neighbours import sources_here
from earlyrobust.errors import ConfigError
from earlyrobust.options.methods import METHODS, Method, Start
from earlyrobust.options.run import RunConfig
from earlyrobust.options.specs import NONE, as_spec
from earlyrobust.pipeline.adversaries import cost_of, make_adversary, prepare
from earlyrobust.pipeline.noising import NoiseChoice
from earlyrobust.pipeline.searches import RANDOM, SETTINGS, find_search, settings_of
from earlyrobust.search import Search, SearchConfig
from earlyrobust.search.base import check_adversary
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Recipe:
    """The plan of a training: the search with its settings, the adversaries, the start, and the noise.

    Attributes:
        search: The class of the ticket search; None for training the whole encoder, or for a random ticket.
        search_config: The settings of the search; None without a search.
        search_adversary: The adversary of the search; None for none.
        is_random: Whether the ticket is drawn at random.
        adversary: The adversary of the fine-tuning; None for plain fine-tuning.
        start: The weights from which the fine-tuning of a ticket starts, as for the option `start`.
        epochs: Epochs of the fine-tuning; of both stages together if the fine-tuning continues the search.
        noise: The noise in training texts; None for no noise.
        is_search: Whether this is a search alone, which no fine-tuning follows.
    """

    search: type[Search[Any, Any]] | None
    search_config: Any
    search_adversary: Adversary | None
    is_random: bool
    adversary: Adversary | None
    start: Start
    epochs: float
    noise: NoiseChoice | None = None
    is_search: bool = False

    @property
    def classes(self) -> list[type]:
        """The classes of the search and of the adversaries, which may be a user's own."""
        return [*filter(None, [self.search]), *map(type, self._adversaries)]

    @property
    def changes_words(self) -> bool:
        """Whether the training exchanges words for their neighbours."""
        return self._swaps_words or self.noise is not None

    def sources_of_words(self, usual: str | None) -> tuple[str, ...]:
        """Return the sources of the neighbours for which the training exchanges words.

        Args:
            usual: The source of neighbours of the run; None for the default on this machine.
        """
        if not self.changes_words:
            return ()
        usual = usual or sources_here()[0]
        of_noise = () if self.noise is None else self.noise.sources or (usual,)
        return tuple(dict.fromkeys([*([usual] if self._swaps_words else []), *of_noise]))

    @property
    def _swaps_words(self) -> bool:
        return any(used.exchanges_words for used in self._adversaries)

    @property
    def has_ticket(self) -> bool:
        """Whether the recipe has a ticket, searched or drawn at random."""
        return self.search is not None or self.is_random

    @property
    def starts_from_finetuned(self) -> bool:
        """Whether the search starts from a fine-tuned classifier."""
        return self.search is not None and self.search.starts_from == "finetuned"

    @property
    def is_plain(self) -> bool:
        """Whether this is plain fine-tuning of the whole encoder."""
        return not self.has_ticket and self.adversary is None and self.noise is None

    @property
    def continued(self) -> bool:
        """Whether the fine-tuning continues the training of the search."""
        return self.start == "continued" and isinstance(self.search_config, SearchConfig)

    def given_time(self, steps_per_epoch: int, config: RunConfig, observer: Observer) -> Recipe:
        """Return the recipe with a search that is long enough for its masks to settle.

        With few texts, an epoch has fewer miniepochs than masks need to settle. If the options set no limit,
        the limit of the search is raised. A search that the fine-tuning continues takes at most half of the
        epochs of the run.

        Args:
            steps_per_epoch: Optimiser steps of an epoch of the training texts.
            config: The options, which may set the limit of the search.
            observer: Receives a message about a longer limit, or about a limit that is too short.

        Raises:
            ConfigError: If the search leaves no epochs for the fine-tuning that continues it.
        """
        settings = self.search_config
        if not isinstance(settings, SearchConfig):
            return self
        limit, hasty = settings.max_epochs, settings.describe_haste(steps_per_epoch)
        if config.search_epochs is None:
            if hasty is not None:
                limit = settings.epochs_to_settle(steps_per_epoch)
            if self.continued:
                limit = min(limit, self.epochs / 2)
        given = replace(settings, max_epochs=limit)
        if self.continued and given.epochs >= self.epochs:
            raise ConfigError(
                f"The search may take {given.epochs:g} epochs, but it and the fine-tuning have "
                f"{self.epochs:g} together: raise --epochs, or lower --search-epochs or --draw-after."
            )
        if given.describe_haste(steps_per_epoch) is not None:
            more = "give more --search-epochs"
            if self.continued and config.search_epochs is None:
                least = math.ceil(20 * settings.epochs_to_settle(steps_per_epoch)) / 10
                more = f"give --epochs {least:g} or more"
            observer.note(
                f"{given.describe_haste(steps_per_epoch)}, but the search stops after {limit:.3g}, even if "
                f"they have not settled: {more}, or lower --miniepoch-min-steps."
            )
        elif limit > settings.max_epochs:
            observer.note(f"{hasty}. The search may take {limit:.3g} instead of {settings.max_epochs:.3g}.")
        return replace(self, search_config=given)

    def most_passes(self, layers: int) -> float:
        """Return the passes of all stages, relative to plain fine-tuning of as many epochs.

        The epochs are those of the fine-tuning, or of a search alone. A search counts up to its limit, which
        a live stop may not reach.

        Args:
            layers: Number of layers of the encoder.

        Raises:
            ConfigError: If `cost` of an adversary returns no number.
        """
        extra = 2 / 3 if self.noise is not None and self.noise.settings.choice == "gradient" else 0.0

        searched = 0.0 if self.search is None else float(self.search_config.epochs)
        total = searched * (extra + cost_of(self.search_adversary, layers))
        total += self.starts_from_finetuned * self.epochs
        if self.is_search:
            return total / searched if searched else 0.0  # a random ticket takes no training
        tuned = self.epochs - searched if self.continued else self.epochs
        total += tuned * (extra + cost_of(self.adversary, layers))
        return total / self.epochs

    @property
    def _adversaries(self) -> list[Adversary]:
        """The adversaries of both stages."""
        return [used for used in (self.search_adversary, self.adversary) if used is not None]

    def prepared(
        self, tokenizer: PreTrainedTokenizerBase, resources: Resources, observer: Observer
    ) -> Recipe:
        """Return the recipe with prepared adversaries, see `Adversary.prepare`.

        Args:
            tokenizer: The tokenizer of the encoder.
            resources: The resources of attacks, which hold the neighbours of words.
            observer: Receives the source of the neighbours if an adversary exchanges words.

        Raises:
            ResourceError: If a resource of an adversary cannot be loaded.
            ConfigError: If `prepare` of an adversary returns no adversary.
        """
        search_adversary, adversary = (
            prepare(used, tokenizer, resources) for used in (self.search_adversary, self.adversary)
        )
        if any(used.exchanges_words for used in self._adversaries):
            observer.note(f"Training swaps words for their neighbours in {resources.neighbours.name}.")
        return replace(self, search_adversary=search_adversary, adversary=adversary)

    def idle_options(self, config: RunConfig) -> list[str]:
        """Return the options about tickets that are set but have no effect with this recipe."""
        effective = self._effective_options()
        # With every method, these two starts also decide about the head of a classifier.
        start = () if config.start in ("pretrained", "given") else ("start",)
        about_tickets = (*SETTINGS, "search_adversary", *start)
        return [option for option in about_tickets if option not in effective and config.is_set(option)]

    def _effective_options(self) -> set[str]:
        start = set() if self.is_search else {"start"}
        if self.is_random:
            return {"heads", "neurons", "head_scope", "neuron_scope", "neuron_multiple", *start}
        if self.search is None:
            return set()
        known = {field.name for field in fields(self.search.Config)}
        options = {option for option, names in SETTINGS.items() if known.intersection(names)}
        if getattr(self.search_config, "draw_after", None) is not None:
            options -= {"patience", "settling", "search_epochs"}
        # Tickets over weights set weights to zero, so `start` has no effect on them.
        if "head_ratio" in known:
            options |= start
        return {*options, "search_adversary"}

    @classmethod
    def of(cls, config: RunConfig) -> Recipe:
        """Make the recipe of the options of a run.

        Raises:
            ConfigError: If a search or an adversary is unknown, its settings cannot be used, or the adversary
                has a critic that cannot continue from the search.
        """
        method = METHODS[config.method]
        name = config.search or method.search or NONE
        search = find_search(name)
        start = config.start or ("pretrained" if name == RANDOM else method.start)
        if start in ("searched", "continued") and name == RANDOM:
            raise ConfigError(f"A random ticket has no searched weights to start from: drop --start {start}.")
        recipe = cls(
            search=search,
            search_config=None if search is None else settings_of(search, config),
            search_adversary=None if search is None else _search_adversary(search, config, method),
            is_random=name == RANDOM,
            adversary=make_adversary(config.adversary or method.adversary or NONE),
            start=start,
            epochs=config.epochs or 1.0,
            noise=NoiseChoice.parse(config.noise or method.noise or NONE),
        )
        # The checkpoint of the search has no critic, but the optimiser of the fine-tuning would look for it.
        used = recipe.adversary
        if recipe.continued and isinstance(used, InfoBERT) and used.config.anchor_weight:
            raise ConfigError(
                "The fine-tuning cannot continue the search with the critic of infobert: choose another "
                "--adversary, or --start pretrained."
            )
        return recipe

    @classmethod
    def for_search(cls, config: RunConfig) -> Recipe:
        """Make the recipe of a search alone: it shares no epochs with a fine-tuning that continues it.

        Raises:
            ConfigError: If a search or an adversary is unknown, or its settings cannot be used.
        """
        return replace(
            cls.of(config.model_copy(update={"start": "pretrained", "adversary": NONE})), is_search=True
        )

    @classmethod
    def for_ticket(cls, config: RunConfig) -> Recipe:
        """Make the recipe of the training of an existing ticket, which has no method and no search.

        Raises:
            ConfigError: If an adversary or a noise is unknown, or its settings cannot be used.
        """
        return cls.of(config.model_copy(update={"method": "finetune", "search": None}))


def note_idle_options(config: RunConfig, observer: Observer, recipe: Recipe | None = None) -> None:
    """Report the options that have no effect with the method.

    They are not errors, so that several methods can have the same options.

    Args:
        config: The options.
        observer: Receives the message.
        recipe: The recipe of the options; None for that of a run.

    Raises:
        ConfigError: If a search or an adversary is unknown, or its settings cannot be used.
    """
    recipe = recipe or Recipe.of(config)
    if idle := recipe.idle_options(config):
        names = ", ".join(f"--{option.replace('_', '-')}" for option in idle)
        observer.note(f"This {'search' if recipe.is_search else 'method'} does not use {names}.")


def named_adversary(adversary: Adversary) -> str:
    """Return the option that names an adversary, such as `freelb,steps=2`.

    A run keeps this option in its record, and makes the adversary from it.

    Args:
        adversary: The adversary.

    Raises:
        ConfigError: If the option does not make an equal adversary.
    """
    kind, config = type(adversary), adversary.config
    own = {found: name for name, found in ADVERSARIES.items()}
    changed = {
        field.name: value
        for field in fields(config)
        if (value := getattr(config, field.name)) != field.default
    }
    option = as_spec(own.get(kind, f"{kind.__module__}:{kind.__qualname__}"), changed)
    try:
        made = make_adversary(option)
    except (ConfigError, ValueError):
        made = None
    if type(made) is not kind or made.config != config:
        raise ConfigError(
            f"The adversary {kind.__name__} cannot be made again from '{option}', by which a run records it: "
            "define its class at the top of a module, with numbers or single words as settings."
        )
    return option


def _search_adversary(search: type[Search[Any, Any]], config: RunConfig, method: Method) -> Adversary | None:
    spec = config.search_adversary or (method.search_adversary if config.search is None else None)
    if spec is None:
        return search.default_adversary
    adversary = make_adversary(spec)
    check_adversary(adversary)  # The search also checks it, but only after other stages.
    return adversary
