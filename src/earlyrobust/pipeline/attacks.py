"""Builds the attacks that the user has chosen, and attacks a classifier with them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from earlyrobust.attacks import ATTACKS, Resources, Server, Victim, WordSwapAttack
from earlyrobust.attacks.precision import check_precision
from earlyrobust.encoders import Note, fastest_device, has_bf16, silent
from earlyrobust.errors import ConfigError
from earlyrobust.evaluation import evaluate_victim
from earlyrobust.extensions import find_class
from earlyrobust.options.attack import AttackOptions
from earlyrobust.pipeline.foreign import blaming, check_name
from earlyrobust.results import AttackRecord
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Options that only some attacks have.
_OWN = ("candidates", "min_similarity", "min_word_cosine", "word_limit", "ranks_all_words")


def check_attacks(options: AttackOptions) -> dict[str, Any]:
    """Check that the chosen attacks exist and that each given setting belongs to one of them.

    Returns:
        The given settings. At least one of the attacks has each of them.

    Raises:
        ConfigError: If there is no such attack, or if none of the attacks has a given setting.
    """
    kinds = [attack_class(name) for name in dict.fromkeys(options.attack)]
    names = [kind.name for kind in kinds]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"Two of the attacks have the name '{twice[0]}': give each a name of its own.")
    given = _given(options)
    for option in given:
        if options.attack and not any(option in _parameters(kind) for kind in kinds):
            raise ConfigError(
                f"--{option.replace('_', '-')} is no option of {' or '.join(options.attack)}: leave it out."
            )
    return given


def attack_class(name: str) -> type[WordSwapAttack]:
    """Find an attack by its name: one of this package, of an installed package, or `module:Class`.

    Raises:
        ConfigError: If there is no such attack, or it has no name of its own.
    """
    found = find_class("attack", name, ATTACKS, WordSwapAttack)
    if ATTACKS.get(name) is not found:
        check_name("attack", name, found, ATTACKS)
    return found


def _given(options: AttackOptions) -> dict[str, Any]:
    values = {name: getattr(options, name) for name in _OWN}
    return {name: value for name, value in values.items() if value is not None and value is not False}


def _parameters(kind: type[WordSwapAttack]) -> set[str]:
    return set(inspect.signature(kind).parameters)


def build_attacks(
    options: AttackOptions, note: Note = silent, resources: Resources | None = None
) -> list[WordSwapAttack]:
    """Build the chosen attacks and load the resources that they use.

    Args:
        options: The names of the attacks and their settings. An attack ignores settings that it does not
            have.
        note: Receives a sentence on each choice between models.
        resources: The resources, as from `resources_of`; None to make them.

    Raises:
        EarlyRobustError: If there is no such attack, none of the attacks has a given setting, or a resource
            cannot be loaded.
    """
    check_attacks(options)
    if options.attack:
        check_precision(options.used_precision, fastest_device())
        if options.precision == "bf16" and not has_bf16():
            note("This device does not support bfloat16: attacks take longer with --precision bf16.")
    resources = resources or resources_of(options, note)
    return [build_attack(attack_class(name), options, resources) for name in dict.fromkeys(options.attack)]


def build_attack(kind: type[WordSwapAttack], options: AttackOptions, resources: Resources) -> WordSwapAttack:
    """Build one attack, without the settings that it does not have."""
    settings = {option: value for option, value in _given(options).items() if option in _parameters(kind)}
    # All attacks with names take resources, but the base class does not, so mypy needs the cast.
    with blaming(kind, call="__init__"):
        return cast("Callable[..., WordSwapAttack]", kind)(resources, **settings)


def resources_of(options: AttackOptions, note: Note = silent) -> Resources:
    """Return the resources of the attacks, which are loaded when they are first used.

    Args:
        options: The options of the attacks.
        note: Receives a sentence on each choice between models.
    """
    return Resources(
        neighbours=options.neighbours,
        sentence_encoder=options.sentence_encoder,
        masked_lm=options.masked_lm,
        nltk_data=options.nltk_data,
        precision=options.used_precision,
        note=note,
    )


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
    """Attack a classifier with several attacks, one after another.

    If several attacks ask about the same text, such as an original text, the answer is computed only once.

    Args:
        model: The classifier.
        tokenizer: The classifier's tokenizer.
        rows: The examples, with the columns that `evaluate_under_attack` needs.
        attacks: The attacks.
        options: Size of the sample, and settings of batches and precision.
        seed: Seed of the sample and of the attacks' random choices.
        max_length: Length of the longest input in tokens; None for the model's own limit.
        journals: Folder of the journals.
        observer: Receives progress.
        title: Title of the model, part of the names of stages and journals; empty for none.

    Returns:
        The records of the attacks by name.
    """
    if attacks and len(rows) < options.examples:
        observer.note(
            f"The split has {len(rows):,} examples, fewer than --examples {options.examples}: all are used."
        )
    victim = Victim(model, tokenizer, max_length, options.used_precision)
    server = Server.of(model.device, options.token_budget)
    records = {}
    for attack in attacks:
        stage = " ".join(filter(None, [f"Attacking with {attack.name}", title and f"({title})"]))
        with observer.stage(stage), blaming(type(attack)):
            records[attack.name] = evaluate_victim(
                victim,
                server,
                rows,
                attack,
                examples=options.examples,
                seed=seed,
                journal=journals / f"{title and title + '-'}{attack.name}.jsonl",
                in_flight=options.in_flight,
                watch=observer.attacked,
            )
    return records
