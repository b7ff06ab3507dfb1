"""The questions about the preset of earlier versions, each with the answer from the records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from measured import MEAN_AUA, METHOD, RECORDS, Measured, corrected, markdown, tell
from questions import ADVERSARIAL, against

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.summary import frontier
from earlyrobust.reports.tables import Cell, Number
from earlyrobust.statistics.measures import LATENCY

# Prefix of the records of the preset at another learning rate than in the comparison of the task.
RATES = "rate-"
PRESET, CHEAP = "earlyrobust-swap", "ticket + freelb K=2"


def questions_of_preset(tasks: Sequence[Measured]) -> Iterator[tuple[str, str]]:
    """Yield the questions about the preset and other cheap tickets, each with the answer from the records.

    Args:
        tasks: The comparisons of all methods.
    """
    yield (
        "Does a ticket fine-tuned with a cheap adversary beat the adversarial methods at a fraction of their "
        "cost?",
        "\n\n".join(against(tasks, arm, ["finetune", "pgd", "freelb", METHOD]) for arm in (CHEAP, PRESET)),
    )
    yield "Does the preset learn pairs of texts?", learning_rates(tasks)
    yield (
        "How far is the preset from the most robust baseline, and what does it cost?",
        best_baselines(tasks),
    )
    if any(measured.times for measured in tasks):
        yield "Which methods are on the efficient frontier?", efficient(tasks)


def learning_rates(tasks: Sequence[Measured]) -> str:
    """Tabulate the accuracy of the preset at each learning rate, on the tasks with more than one rate."""
    rows: list[list[Cell]] = []
    for measured in tasks:
        folder = RECORDS / f"{RATES}{measured.task}"
        if not folder.is_dir():
            continue
        for comparison in (measured.comparison, Comparison.load(folder)):
            for seed, run in sorted(comparison.runs[PRESET].items()):
                plain = measured.comparison.runs["finetune"][seed].model.test
                rate = f"{comparison.record.config['learning_rate']:g}"
                shown = [f"{100 * accuracy.value:.1f}" for accuracy in (run.model.test, plain)]
                rows.append([measured.task, rate, str(seed), *shown, f"{100 * run.data.largest_class:.1f}"])
    columns = ["task", "--learning-rate", "seed", f"{PRESET}, Clean%", "finetune, Clean%", "largest class, %"]
    return markdown(columns, rows)


def best_baselines(tasks: Sequence[Measured]) -> str:
    """Tabulate the preset and the most robust baseline of each task, with their training times."""
    found = {
        measured: max(
            (
                measured.trained[name]
                for name in ("finetune", "earlybert", *ADVERSARIAL)
                if name in measured.trained
            ),
            key=lambda summary: summary.measures[MEAN_AUA].value,
        )
        for measured in tasks
        if PRESET in measured.arms
    }
    gaps = corrected(
        {
            measured: measured.differences(PRESET, best.name)[MEAN_AUA]
            for measured, best in found.items()
            if PRESET in measured.trained
        }
    )
    rows: list[list[Cell]] = []
    for measured, best in found.items():
        trained = measured.trained
        ratios = measured.time_ratios(PRESET)
        rows.append(
            [
                measured.task,
                best.name,
                Number(best.measures[MEAN_AUA], 1),
                Number(trained[PRESET].measures[MEAN_AUA], 1)
                if PRESET in trained
                else measured.told_guesses(PRESET),
                tell(gaps[measured]) if measured in gaps else "–",
                *(Number(ratios[other], 1) if ratios else "–" for other in ("pgd", best.name)),
                Number(measured.arms["pgd"].time_ratios[PRESET], 1),
                Number(measured.arms[PRESET].measures[LATENCY], 2),
            ]
        )
    columns = ["task", "most robust baseline", "its Aua%", f"{PRESET}, Aua%", "difference"]
    times = [
        "training time of PGD / preset",
        "of that baseline / preset",
        "of PGD / preset, runs side by side",
    ]
    return markdown([*columns, *times, "latency of the preset / dense encoder"], rows)


def efficient(tasks: Sequence[Measured]) -> str:
    """List the efficient frontier of each task whose training times were measured on an idle machine."""
    lines = []
    for measured in tasks:
        if measured.times is None:
            continue
        times = measured.time_ratios(measured.times.record.baseline)
        points = {
            name: (times[name], arm.measures[MEAN_AUA])
            for name, arm in measured.trained.items()
            if name in times
        }
        best = frontier({name: (time.value, aua.value) for name, (time, aua) in points.items()})
        shown = ", ".join(
            f"{name} ({Number(points[name][0], 2)} ×, {Number(points[name][1], 1)} %)" for name in best
        )
        lines.append(f"- {measured.task}: {shown}.")
    return (
        "Methods on the frontier, with their training time relative to fine-tuning and their mean Aua%:\n\n"
        + "\n".join(lines)
    )
