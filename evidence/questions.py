"""The questions that the evidence answers, each with the answer from the records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from measured import MEAN_AUA, METHOD, NOISE, RECORDS, Measured, corrected, markdown, tell

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.summary import frontier
from earlyrobust.reports.tables import Cell, Number
from earlyrobust.results import RunRecord
from earlyrobust.statistics.measures import CLEAN, LATENCY, WEAKEST
from earlyrobust.statistics.significance import SIGNIFICANT

# Prefix of the records of the preset at another learning rate than in the comparison of the task.
RATES = "rate-"
# Prefixes of three kinds of records. "settling-": searches on all texts, with hardly any fine-tuning
# afterwards. "figure2-": searches over a whole epoch of a sample, as `reproduce figure2` makes them.
# "early-": tickets drawn when their masks had settled, and tickets of the whole epoch.
SEARCHES, WATCHED, SETTLED = "settling-", "figure2-", "early-"
# In the paper, all masks settle by this epoch.
MOST_EPOCHS = 0.3
PRESET = "earlyrobust-swap"
EARLY, LATE = "quarter-epoch ticket", "full-epoch ticket"
CHANCE, CHEAP = "random ticket", "ticket + freelb K=2"
# The rivals of the method under noise: fine-tuning, PGD with five steps and one, and other cheap methods.
RIVALS = ("finetune", "pgd-5", "pgd-1", "fat", "flooding")
# Arms that differ from the method under noise in one part, and further rivals.
CHANGED = (
    *("dense under noise", "gradient-chosen noise", "from pretrained weights", "1.2 epochs"),
    *("finetune", "three times as long", "freelb", METHOD),
)
ADVERSARIAL = ("pgd", "freelb", "freeat", "yopo", "smart", "infobert", "robust-ticket")


def questions_of_noise(rivals: Sequence[Measured], changed: Sequence[Measured]) -> Iterator[tuple[str, str]]:
    """Yield the questions about the method under noise, each with the answer from the records.

    Args:
        rivals: The comparisons of the method with its rivals.
        changed: The comparisons of the method with itself after a change of one part.
    """
    if rivals:
        yield (
            "Is a ticket under text noise more robust than its rivals?",
            against(rivals, NOISE, RIVALS),
        )
        yield "What does the search add to training under text noise?", against(rivals, NOISE, [CHANCE])
    if changed:
        yield "What does each part of the method under text noise add?", against(changed, NOISE, CHANGED)


def questions(tasks: Sequence[Measured], settled: Sequence[Measured]) -> Iterator[tuple[str, str]]:
    """Yield the questions about all methods, each with the answer from the records.

    Args:
        tasks: The comparisons of all methods.
        settled: The comparisons of tickets that were drawn when their masks had settled.
    """
    yield "Do masks settle within 0.15 to 0.3 epoch?", settling()
    yield (
        "Is the early ticket as good as one drawn after a full epoch?",
        "\n\n".join(
            [
                "The first table is for tickets that were drawn after a fixed time, a quarter of an epoch. "
                + against(tasks, EARLY, [LATE]),
                "The second table is for tickets that were drawn when their masks had settled. "
                + against(settled, METHOD, [LATE, CHANCE, "finetune"]),
            ]
        ),
    )
    yield (
        "Is the ticket more robust than fine-tuning, EarlyBERT and random tickets of the same size?",
        against(tasks, METHOD, ["finetune", "earlybert", CHANCE]),
    )
    yield (
        "How does the ticket compare with the adversarial methods?",
        against(tasks, METHOD, ADVERSARIAL),
    )
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


def settling() -> str:
    """Tabulate when the masks of every search settled, and their distance to the masks at the epoch's end."""
    rows: list[list[Cell]] = []
    met, begun = 0, 0
    for run in searches():
        search = run.search
        patience = int(run.config["patience"])
        ends = [place for place, miniepoch in enumerate(search.miniepochs) if miniepoch.streak >= patience]
        row = [run.data.name, f"{run.data.sizes['train']:,}", str(run.config["batch_size"])]
        row += [str(search.steps_per_miniepoch), str(run.config["seed"])]
        if ends:
            end = search.miniepochs[ends[0]].step
            since, by = (
                search.miniepochs[place].step / search.steps_per_epoch
                for place in (ends[0] - patience, ends[0])
            )
            met += by <= MOST_EPOCHS
            begun += since <= MOST_EPOCHS
            whole = search.epochs >= 1
            far = [
                f"{distances[ends[0]][-1]:.2f}" if whole else "–"
                for distances in (search.head_distances, search.neuron_distances)
            ]
            row += [f"{since:.2f}", f"{by:.2f}", str(end), *far]
        else:
            row += ["–"] * 5
        rows.append(row)
    columns = ["task", "training samples", "batch", "steps between masks", "seed"]
    columns += ["settled since epoch", "rule met by epoch", "steps till then"]
    columns += ["heads, distance to the epoch's end", "neurons, distance to the epoch's end"]
    return (
        f"Masks have settled by the rule if five distances in a row are below γ = 0.1. In {met} of "
        f"{len(rows)} searches, the rule was met by {MOST_EPOCHS} epoch. The five distances lie between six "
        "masks, and the paper reports the time of the first of them. By that count, the masks had settled by "
        f"{MOST_EPOCHS} epoch in {begun} of {len(rows)} searches. The last two columns give the distance "
        "between the masks when the rule was met and the masks at the end of the epoch, for searches of a "
        "whole epoch.\n\n" + markdown(columns, rows)
    )


def searches() -> Iterator[RunRecord]:
    """Yield the runs whose searches were made to observe the masks."""
    for prefix, arm in ((SEARCHES, METHOD), (WATCHED, "draw_after=1"), (SETTLED, LATE)):
        for folder in sorted(RECORDS.glob(f"{prefix}*")):
            runs = Comparison.load(folder).runs[arm]
            yield from (run for _, run in sorted(runs.items()))


def against(tasks: Sequence[Measured], arm: str, others: Sequence[str]) -> str:
    """Tabulate the paired differences of one arm minus some others, on every task."""
    found = {
        (measured, other): differences
        for measured in tasks
        for other in others
        if (differences := measured.differences(arm, other))
    }
    guesses = {
        (measured, other): [name for name in (arm, other) if name not in measured.trained]
        for measured, other in found
    }
    clean = corrected({both: differences[CLEAN] for both, differences in found.items()})
    aua = corrected({both: found[both][MEAN_AUA] for both, names in guesses.items() if not names})
    known = {both: gap for both, names in guesses.items() if not names and (gap := found[both].get(WEAKEST))}
    weakest = corrected(known)
    rows: list[list[Cell]] = []
    told = {"more": 0, "less": 0, "open": 0}
    for (measured, other), names in guesses.items():
        both = (measured, other)
        shown = " and ".join(measured.told_guesses(name) for name in names) or tell(aua[both])
        of_weakest: list[Cell] = [tell(weakest[both]) if both in weakest else "–"] if known else []
        rows.append([measured.task, other, tell(clean[both]), shown, *of_weakest])
        if not names:
            sure = aua[both].adjusted is not None and aua[both].adjusted < SIGNIFICANT
            told["open" if not sure else "more" if aua[both].mean.value > 0 else "less"] += 1
    counted = sum(told.values())
    verdict = (
        f"*{arm}* is more robust in {told['more']} of {counted} comparisons and less robust in "
        f"{told['less']}. It is not distinguishable in {told['open']}."
    )
    if len(rows) > counted:
        verdict += (
            f" The count leaves out {len(rows) - counted} of the {len(rows)} rows. There, one of the two "
            "methods is no more accurate than always naming the largest class under some seed, so its mean "
            "accuracy under attack says nothing."
        )
    columns = ["task", f"{arm} minus", CLEAN, "Aua%, mean of attacks", *([WEAKEST] if known else [])]
    return f"{verdict}\n\n" + markdown(columns, rows)


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
