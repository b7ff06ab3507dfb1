"""Measures the accuracy of a classifier under attacks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from earlyrobust import processes
from earlyrobust.analysis.doubts import doubts_of_each, fallback_class, fault_of_guessing
from earlyrobust.analysis.findings import known_words, overstated, swapped_classes
from earlyrobust.attacks import ATTACKS
from earlyrobust.data.digests import split_digest
from earlyrobust.encoders import fingerprint
from earlyrobust.errors import ConfigError
from earlyrobust.evaluation import sample_examples
from earlyrobust.journal import read_journal
from earlyrobust.judging.scrutiny import Scrutiny
from earlyrobust.judging.subject import Subject, load_subject
from earlyrobust.judging.test_data import attack_folder
from earlyrobust.options.attack import AttackConfig
from earlyrobust.options.test_data import TestData
from earlyrobust.pipeline.attacks import attack_model, build_attacks, check_attacks, resources_of
from earlyrobust.results import AttackRecord, AttackReport
from earlyrobust.workspace.environment import describe_environment, note_idle_devices
from earlyrobust.workspace.folder import RunFolder
from earlyrobust.workspace.identity import anchored
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterable


def attack(
    model_name: str, data: TestData, config: AttackConfig, observer: Observer | None = None
) -> AttackReport:
    """Measure the accuracy of a classifier under attacks. A second call continues an interrupted attack.

    Args:
        model_name: A folder of a model or a run, or a name on the Hugging Face hub.
        data: The test data.
        config: The options of the attacks.
        observer: Receives progress and messages; None to discard them.

    Returns:
        The record. It is also written into the output folder as `attack.json`, beside a journal for each
        attack.

    Raises:
        EarlyRobustError: If the model, the data or a resource cannot be used, the data does not fit the
            model, or the folder holds another attack.
    """
    observer = observer or Observer()
    if not config.attack:
        raise ConfigError(f"Name an attack: --attack {','.join(ATTACKS)}, or some of them.")
    check_attacks(config)
    path = config.output or attack_folder(model_name, data)
    data_of = json.dumps(anchored(data.to_dict()))
    begun_as = {"command": "attack", "model": model_name, "data": data_of}
    folder = RunFolder(path, begun_as, config.to_dict())
    note_idle_devices(observer)
    subject = load_subject(model_name, data, observer, changes_texts=True)
    with observer.stage("Loading resources"):
        resources = resources_of(config, observer.note)
        attacks = build_attacks(config, observer.note, resources)
        if unused := [f"--{name.replace('_', '-')}" for name in resources.unused()]:
            observer.note(f"No attack ({', '.join(config.attack)}) uses {' and '.join(unused)}.")
    sample_examples(subject.rows, config.examples, config.seed, subject.model.config.num_labels)
    digest = split_digest(subject.rows)
    with folder.claimed(digest, fingerprint(subject.model)):
        records = attack_model(
            subject.model,
            subject.tokenizer,
            subject.rows,
            attacks,
            config,
            seed=config.seed,
            max_length=subject.max_length,
            journals=folder.path,
            observer=observer,
        )
        if config.scrutiny:
            scrutiny = Scrutiny(model_name, subject, config, resources, folder.path, observer)
            found = {attack.name: scrutiny.of(attack, records[attack.name]) for attack in attacks}
        else:  # The results of an earlier scrutiny stay in the record.
            found = AttackReport.scrutiny_in(folder.path)
        records = {name: replace(record, scrutiny=found.get(name)) for name, record in records.items()}
        report = AttackReport(
            model=model_name,
            data=subject.data_name,
            data_fingerprint=digest,
            label_names=subject.outputs,
            config=config.to_dict(),
            environment=describe_environment(),
            attacks=records,
            test_data=subject.test_data,
            choices=[*subject.choices],
        )
        if processes.is_first():
            answers = _clean_answers(records.values(), folder.path)
            report = replace(report, findings=_findings(subject, records, *answers) + overstated(records))
            report.save(folder.path)
        return report


def _findings(
    subject: Subject, records: dict[str, AttackRecord], labels: list[int], answers: list[int]
) -> list[str]:
    """Describe faults of the classifier's answers, and why the accuracy under attack means little."""
    found = subject.findings(labels, answers)
    guess = fault_of_guessing(next(iter(records.values())))  # All attacks have the same examples.
    if guess is not None and not swapped_classes(labels, answers, subject.outputs):
        found.append(guess)
    found += fallback_class("The model", records) + known_words(subject.word_sources, records)
    return found + doubts_of_each(records)


def _clean_answers(records: Iterable[AttackRecord], folder: Path) -> tuple[list[int], list[int]]:
    """Return the label of each attacked example, and the prediction for it before the attack."""
    record = next(iter(records))  # All attacks have the same examples.
    _, examples = read_journal(folder / str(record.journal))
    answers = [item.predicted if item.status == "skipped" else item.label for item in examples]
    return [item.label for item in examples], answers
