"""Finds faults of a finished run, and says what to try against them.

A model that gives every text the same class cannot be attacked: no change of the text changes its answer. Its
accuracy under attack is high, and means nothing. A search always ends with a ticket, even if its coefficients
rank only noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from earlyrobust.analysis.doubts import doubts_of_each, fallback_class, looks_like_guessing
from earlyrobust.results.attack import AttackRecord
from earlyrobust.results.run import DataRecord, ModelRecord, RunRecord, SearchRecord, TicketRecord
from earlyrobust.results.wording import listed

# Masks count as still moving if their distance is above this share of the distance of two random masks.
_MOVING = 0.5
# If more than this share of the training texts lose their end, this may be why the model has learned nothing.
_MANY = 0.5
# Largest probability with which random answers are taken for swapped classes.
_SURE = 0.001
_ANOTHER_TRAINING = "Try a smaller --learning-rate, more --epochs, or another --seed."


def find_faults(record: RunRecord) -> list[str]:
    """Return the faults of a run's models, ticket and attacks, each in a few sentences with advice."""
    models = _models_of(record)
    found = [
        fault for title, model in models.items() if (fault := _fault_of(record, title, model)) is not None
    ]
    found += [_told_retreat(steps) for log in record.training.values() if (steps := log.retreats)]
    found += faults_of_ticket(record.ticket_origin, record.search, record.ticket)
    found += fallbacks_of(record)
    found += known_words(record.word_sources, record.model.attacks)
    return found + doubts_of_each(*(model.attacks for model in models.values()))


def fallbacks_of(record: RunRecord) -> list[str]:
    """Return a few sentences for each model of a run that may fall back to one class under attack."""
    return [
        sentence
        for title, model in _models_of(record).items()
        for sentence in fallback_class(f"The {title}", model.attacks)
    ]


def known_words(word_sources: Sequence[str], attacks: Mapping[str, AttackRecord]) -> list[str]:
    """Return a sentence for each source of words that both the training and some attacks use.

    Args:
        word_sources: Names of the sources of neighbours with which the training replaced words.
        attacks: The attacks on the classifier, by name.
    """
    shared: dict[str, list[str]] = {}
    for attack, record in attacks.items():
        if (source := str(record.settings.get("neighbours"))) in word_sources:
            shared.setdefault(source, []).append(attack)
    return [
        f"The training replaced words with neighbours from the {source}, which {listed(names)} also "
        f"{'uses' if len(names) == 1 else 'use'}. Against other words the classifier may be less robust: "
        "attack it with other --neighbours, too."
        for source, names in shared.items()
    ]


def _models_of(record: RunRecord) -> dict[str, ModelRecord]:
    """Return the models of a run by their names in a sentence."""
    models = {record.rival: record.dense, record.title: record.model}
    return {title: model for title, model in models.items() if model is not None}


def swapped_classes(labels: Sequence[int], answers: Sequence[int], names: Sequence[str]) -> dict[str, str]:
    """Find classes that seem to be swapped: the model gives most of their texts another class.

    Another order of the classes must explain the answers: no two classes may have the same usual answer.

    Args:
        labels: The right class of each text, as an index.
        answers: The predicted class of each text, as an index.
        names: Names of the classes.

    Returns:
        For each swapped class, the class that most of its texts are given. There are at least two such
        classes, or none: the result is empty if random answers may look the same.
    """
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (np.asarray(labels, np.int64), np.asarray(answers, np.int64)), 1)
    rows = counts.sum(axis=1)
    usual = {int(label): int(counts[label].argmax()) for label in np.flatnonzero(rows)}
    usual = {label: answer for label, answer in usual.items() if 2 * counts[label, answer] > rows[label]}
    moved = {label: answer for label, answer in usual.items() if label != answer}
    if len(moved) < 2 or len(set(usual.values())) < len(usual):
        return {}
    from scipy.stats import binomtest

    explained = sum(int(counts[pair]) for pair in moved.items())
    if binomtest(explained, int(rows[list(moved)].sum()), alternative="greater").pvalue >= _SURE:
        return {}
    return {names[label]: names[answer] for label, answer in moved.items()}


def fault_of_swapped(swapped: Mapping[str, str], model: str, advice: str) -> str | None:
    """Return a sentence on a model whose classes may be swapped; None without swapped classes.

    Args:
        swapped: The result of `swapped_classes`.
        model: Name of the model, as the subject of the sentence.
        advice: A sentence on what to try.
    """
    if not swapped:
        return None
    return f"{model} gives most texts {describe_swapped(swapped)}: the classes may be swapped. {advice}"


def describe_swapped(swapped: Mapping[str, str]) -> str:
    """Describe the result of `swapped_classes` for a sentence: "of 'bad' the class 'good'"."""
    pairs = [f"of '{label}' the class '{answer}'" for label, answer in swapped.items()]
    return ", ".join(pairs[:5]) + (f" and {len(pairs) - 5} more" if len(pairs) > 5 else "")


def faults_of_ticket(
    origin: dict[str, Any], search: SearchRecord | None, ticket: TicketRecord | None
) -> list[str]:
    """Return the faults of the search of a ticket, each in a sentence or two with advice.

    Args:
        origin: Origin of the ticket, as saved with it.
        search: The search; None for a ticket that was not searched.
        ticket: Size of the ticket; None for a ticket over single weights.
    """
    found = []
    if origin.get("classes_named") == 1:
        found.append(
            "While the ticket was searched, the model began to give every text the same class, so its "
            "coefficients rank only noise. Try a smaller --learning-rate, or a weaker --search-adversary or "
            "--noise."
        )
    if search is not None and ticket is not None:
        found += _faults_of_search(search, ticket)
    return found


def overstated(attacks: Mapping[str, AttackRecord]) -> list[str]:
    """Return a sentence for each attack that overstates robustness, according to its scrutiny."""
    found = {name: record.scrutiny.finding for name, record in attacks.items() if record.scrutiny is not None}
    return [
        sentence if len(attacks) == 1 else f"{name}: {sentence}"
        for name, sentence in found.items()
        if sentence is not None
    ]


def _fault_of(record: RunRecord, title: str, model: ModelRecord) -> str | None:
    if model.swapped:
        return fault_of_swapped(model.swapped, f"The {title}", "Check the labels of the test data.")
    classes = len(record.data.label_names)
    told = looks_like_guessing(
        model.classes_named, classes, "text of the test split", is_guess=record.guesses(model)
    )
    if told is None:
        return None
    return f"The {title} {told}: its accuracy under attack means nothing. {_advice(record.data)}"


def _told_retreat(steps: Sequence[int]) -> str:
    times = "once" if len(steps) == 1 else f"{len(steps)} times"
    at = " and ".join(f"{step:,}" for step in steps)
    return (
        "During the training, the model became no better than naming the largest class on the selection "
        f"split. The training went back to its last good state {times}, at step {at}, with "
        "half of the noise and half of the learning rate each time. Try a smaller --learning-rate, or less "
        "--noise."
    )


def _advice(data: DataRecord) -> str:
    cut, rows = data.cut.get("train", 0), data.sizes.get("train", 0)
    if cut <= _MANY * rows or not data.reads_more:  # more than a model reads is refused
        return _ANOTHER_TRAINING
    return (
        f"Try a larger --max-length first: {cut:,} of {rows:,} training texts are cut off after "
        f"{data.max_length} tokens. {_ANOTHER_TRAINING}"
    )


def _faults_of_search(search: SearchRecord, ticket: TicketRecord) -> Iterator[str]:
    compared = [
        (miniepoch.heads, miniepoch.neurons)
        for miniepoch in search.miniepochs
        if miniepoch.heads is not None and miniepoch.neurons is not None
    ]
    if not compared and search.stop_reason != "fixed":
        yield (
            "The search ended before two masks could be compared, so it is unknown whether its ticket has "
            "settled. Try more --search-epochs, or fewer --miniepoch-min-steps."
        )
    elif compared and not any(distance for distances in compared for distance in distances):
        yield (
            "No mask ever moved while the ticket was searched, so its coefficients hardly changed. Try a "
            "larger --learning-rate, or more --miniepoch-min-steps."
        )
    elif compared and any(
        distance > _MOVING * _by_chance(*kept)
        for distance, kept in zip(compared[-1], (ticket.heads_kept, ticket.neurons_kept), strict=True)
    ):
        yield (
            "When the search ended, consecutive masks were still more than half as far apart as random "
            "masks: the ticket may be no better than a random one. Try more --search-epochs, or a larger "
            "--learning-rate."
        )


def _by_chance(kept: int, total: int) -> float:
    """Return the expected distance of two random masks that keep `kept` of `total` entries."""
    return 2 * (kept / total) * (1 - kept / total)
