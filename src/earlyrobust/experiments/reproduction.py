"""Runs an experiment of the paper at a scale."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.errors import ConfigError, OutputError
from earlyrobust.experiments.grid import check_comparison, compare
from earlyrobust.experiments.paper import EXPERIMENTS, SCALES
from earlyrobust.options.comparison import CompareConfig
from earlyrobust.results import EXPERIMENT_NAME, ExperimentRecord
from earlyrobust.storage import locked, remove_leftovers
from earlyrobust.workspace.observer import Observer

# The subfolder of the runs, which all experiments at a scale share.
CELLS = "cells"


def plan_experiment(
    name: str, scale_name: str, options: dict[str, Any], output: Path | None
) -> tuple[ExperimentRecord, Path, dict[str, CompareConfig]]:
    """Work out the record, the folder and the comparisons of an experiment at a scale.

    Args:
        name: A name in `EXPERIMENTS`.
        scale_name: A name in `SCALES`.
        options: The given options of `CompareConfig`, which win over those of the scale.
        output: Folder of all experiments at this scale; None for a folder under `runs/`.

    Returns:
        The experiment's record without its command, its folder, and the options of the comparison on each
        task.

    Raises:
        ConfigError: If there is no such experiment or scale, or an option cannot be used.
    """
    if name not in EXPERIMENTS:
        raise ConfigError(f"There is no experiment '{name}': choose from {', '.join(EXPERIMENTS)}.")
    if scale_name not in SCALES:
        raise ConfigError(f"There is no scale '{scale_name}': choose from {', '.join(SCALES)}.")
    experiment, scale = EXPERIMENTS[name], SCALES[scale_name]
    root = output or Path("runs") / f"reproduce-{scale_name}"
    attacks = [scale.attacks.get(attack, attack) for attack in experiment.attacks]
    fixed = {
        "arms": experiment.arms,
        "baseline": experiment.baseline,
        "seeds": min(experiment.seeds, scale.most_seeds),
        "attack": tuple(attack for attack in attacks if attack is not None),
        "cells": root / CELLS,
    }

    def config(task: str) -> CompareConfig:
        swept = {option for arm in experiment.arms.values() for option in arm}
        own = {**fixed, **scale.options, **scale.by_task.get(task, {}), **scale.by_experiment.get(name, {})}
        own |= options
        own = {option: value for option, value in own.items() if option not in swept or option == "method"}
        return CompareConfig.build({**own, "task": task, "output": root / name / task})

    tasks = scale.tasks or experiment.tasks
    notes = list(scale.notes)
    if experiment.attacks and scale.attacks_note is not None:
        notes.append(scale.attacks_note)
    notes += [f"Ours: {sentence[0].lower()}{sentence[1:]}" for sentence in experiment.ours]
    record = ExperimentRecord(
        name=name,
        title=experiment.title,
        notes=notes,
        scale=scale_name,
        views=list(experiment.views),
        sweep=experiment.sweep,
        parts={task: task for task in tasks},
        command="",
    )
    return record, root / name, {task: config(task) for task in tasks}


def reproduce(
    record: ExperimentRecord,
    folder: Path,
    comparisons: dict[str, CompareConfig],
    observer: Observer | None = None,
) -> Iterator[Comparison]:
    """Run the comparisons of an experiment from `plan_experiment`.

    Args:
        record: The record of the experiment.
        folder: The folder of the experiment.
        comparisons: The options of the comparison on each task.
        observer: Receives progress and messages; None to discard them.

    Yields:
        Each comparison when it ends.

    Raises:
        EarlyRobustError: If the options of an arm cannot be used, or a folder holds something else.
    """
    for config in comparisons.values():
        check_comparison(config)
    if (folder / EXPERIMENT_NAME).exists() and (old := ExperimentRecord.load(folder)).scale != record.scale:
        raise OutputError(f"'{folder}' holds {old.name} at the scale '{old.scale}': choose another --output.")
    with locked(folder):
        remove_leftovers(folder)
        record.save(folder)
        for place, (task, config) in enumerate(comparisons.items(), 1):
            if observer is not None and len(comparisons) > 1:
                observer.note(f"{task}, task {place} of {len(comparisons)}")
            yield compare(config, observer, title=f"{record.title}: {task}", command=record.command)
