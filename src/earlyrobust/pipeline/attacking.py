"""Attacking a classifier with all the attacks that were asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from earlyrobust.attacks import ATTACKS, Resources, WordSwapAttack
from earlyrobust.errors import ConfigError
from earlyrobust.evaluation import evaluate_under_attack
from earlyrobust.pipeline.attack_options import AttackOptions
from earlyrobust.pipeline.observer import Observer
from earlyrobust.results import AttackRecord

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Options that an attack may have and others not.
_OWN = ("candidates", "min_similarity", "min_word_cosine", "word_limit", "ranks_all_words")


def build_attacks(options: AttackOptions, device: torch.device | str = "cpu") -> list[WordSwapAttack]:
    """Put together the attacks that were asked for, and load what they lean on.

    Args:
        options: Which ones, and their settings; one that an attack does not have does not concern it.
        device: Where the models they ask run.

    Raises:
        ConfigError: If there is no such attack, or an option concerns none of them.
        EarlyRobustError: If a resource cannot be had.
    """
    for name in options.attack:
        if name not in ATTACKS:
            raise ConfigError(f"There is no attack '{name}': choose from {', '.join(ATTACKS)}.")
    given = {name: value for name in _OWN if (value := getattr(options, name)) not in (None, False)}
    known = {name: set(inspect.signature(ATTACKS[name]).parameters) for name in options.attack}
    for option in given:
        if options.attack and not any(option in parameters for parameters in known.values()):
            raise ConfigError(
                f"--{option.replace('_', '-')} is no option of {' or '.join(options.attack)}: leave it out."
            )
    resources = Resources(
        neighbours=options.neighbours,
        sentence_encoder=options.sentence_encoder,
        masked_lm=options.masked_lm,
        nltk_data=options.nltk_data,
        device=device,
    )
    attacks = []
    for name in dict.fromkeys(options.attack):
        settings = {option: value for option, value in given.items() if option in known[name]}
        # Those of the table are put together from resources; mypy sees the base class, which is not.
        attacks.append(cast("Callable[..., WordSwapAttack]", ATTACKS[name])(resources, **settings))
    return attacks


def attack_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Dataset,
    attacks: Sequence[WordSwapAttack],
    options: AttackOptions,
    *,
    seed: int,
    max_length: int | None,
    journals: Path,
    observer: Observer,
    title: str = "",
) -> dict[str, AttackRecord]:
    """Attack a classifier with several attacks, one after the other.

    Args:
        model: The classifier.
        tokenizer: Its tokenizer.
        rows: Examples, as for `evaluate_under_attack`.
        attacks: The attacks.
        options: Size of the sample, and how to batch.
        seed: Of the sample and the attacks' random choices.
        max_length: Longest input in tokens.
        journals: Folder of the journals.
        observer: Is told how they go.
        title: Begins the names of stages and journals; empty for none.

    Returns:
        The record of each attack, by its name.
    """
    records = {}
    for attack in attacks:
        with observer.stage(
            " ".join(filter(None, [f"Attacking with {attack.name}", title and f"({title})"]))
        ):
            records[attack.name] = evaluate_under_attack(
                model,
                tokenizer,
                rows,
                attack,
                examples=options.examples,
                seed=seed,
                max_length=max_length,
                journal=journals / f"{title and title + '-'}{attack.name}.jsonl",
                token_budget=options.token_budget,
                in_flight=options.in_flight,
                watch=observer.attacked,
            )
    return records
