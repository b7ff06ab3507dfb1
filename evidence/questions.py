"""The questions about the methods of this version, each with the answer from the records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from measured import CHANCE, METHOD, NOISE, OTHER_WORDS, RECORDS, RIVALS, Gaps, Measured, markdown, tell

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.reports.tables import Cell
from earlyrobust.reports.verdicts import is_sure
from earlyrobust.results import RunRecord
from earlyrobust.statistics.measures import CLEAN, WEAKEST

# Prefixes of three kinds of records. "settling-": searches on all texts, with hardly any fine-tuning
# afterwards. "figure2-": searches over a whole epoch of a sample, as `reproduce figure2` makes them.
# "early-": tickets drawn when their masks had settled, and tickets of the whole epoch.
SEARCHES, WATCHED, SETTLED = "settling-", "figure2-", "early-"
# In the paper, all masks settle by this epoch.
MOST_EPOCHS = 0.3
EARLY, LATE = "quarter-epoch ticket", "full-epoch ticket"
# Arms that differ from the method under noise in one part, and further rivals.
CHANGED = (
    *("dense under noise", "gradient-chosen noise", "from pretrained weights", "1.2 epochs"),
    *("finetune", "three times as long", "freelb", METHOD),
)
# The adversarial methods in the comparisons under noise.
CHEAPER = ("pgd-5", "pgd-1", "fat", "flooding")
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
        yield (
            "Does the gain hold against words that the training did not use?",
            against(rivals, OTHER_WORDS, [*RIVALS, NOISE]),
        )
        yield "What does the search add to training under text noise?", against(rivals, NOISE, [CHANCE])
    if changed:
        yield "What does each part of the method under text noise add?", against(changed, NOISE, CHANGED)


def questions(
    tasks: Sequence[Measured], rivals: Sequence[Measured], settled: Sequence[Measured]
) -> Iterator[tuple[str, str]]:
    """Yield the questions about the method of the paper, each with the answer from the records.

    Args:
        tasks: The comparisons of all methods.
        rivals: The comparisons of the method under noise with its rivals.
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
        "\n\n".join(
            [
                "The first table is for the comparisons of all methods. "
                + against(tasks, METHOD, ADVERSARIAL),
                "The second table is for the comparison under noise. " + against(rivals, METHOD, CHEAPER),
            ]
        ),
    )


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
    gaps = Gaps.of(tasks, arm, others)
    told_guesses = {measured.task: measured.told_guesses for measured in tasks}
    rows: list[list[Cell]] = []
    counts = {"more robust": 0, "less robust": 0, "not distinguishable": 0}
    for (task, other), names in gaps.guesses.items():
        both = (task, other)
        shown = " and ".join(map(told_guesses[task], names)) or tell(gaps.aua[both])
        of_weakest: list[Cell] = []
        if gaps.weakest:
            of_weakest = [tell(gaps.weakest[both]) if both in gaps.weakest else "–"]
        rows.append([task, other, tell(gaps.clean[both]), shown, *of_weakest])
        if not names:
            gap = gaps.aua[both]
            direction = "more robust" if gap.mean.value > 0 else "less robust"
            counts[direction if is_sure(gap) else "not distinguishable"] += 1
    counted = sum(counts.values())
    verdict = _verdict(arm, counts)
    if len(rows) > counted:
        verdict += (
            f" The count leaves out {len(rows) - counted} of the {len(rows)} rows. There, one of the two "
            "methods is no more accurate than always naming the largest class under some seed, so its mean "
            "accuracy under attack says nothing."
        )
    columns = ["task", f"{arm} minus", CLEAN, "Aua%, mean of attacks", *([WEAKEST] if gaps.weakest else [])]
    return f"{verdict}\n\n" + markdown(columns, rows)


def _verdict(arm: str, counts: dict[str, int]) -> str:
    """Say in a sentence in how many comparisons an arm is more robust, less robust, or neither."""
    counted = sum(counts.values())
    parts = [(verdict, count) for verdict, count in counts.items() if count]
    if len(parts) == 1:
        where = "the one comparison" if counted == 1 else f"all {counted} comparisons"
        return f"*{arm}* is {parts[0][0]} in {where}."
    first, *rest = (f"{verdict} in {count}" for verdict, count in parts)
    return f"*{arm}* is {first} of {counted} comparisons, and {', and '.join(rest)}."
