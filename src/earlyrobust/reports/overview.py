"""What a comparison shows: its tables, and the sentences that say what they come to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from earlyrobust.reports.runs import settling_headline
from earlyrobust.reports.tables import Cell, Number, Table
from earlyrobust.reports.validity import MEANING_OF_AUA, validity_of_arms
from earlyrobust.results import Comparison, Mean
from earlyrobust.results.summary import (
    AUA,
    CLEAN,
    LATENCY,
    MEGABYTES,
    OVERALL,
    PARAMETERS,
    QUERIES,
    SECONDS,
    ArmSummary,
    against_random,
    frontier,
    of_attack,
)
from earlyrobust.results.wording import listed as _and

# The names of the table of failures, and of that of all ratios of training time.
FAILED = "failed"
RATIOS = "ratios"
# Below it a difference counts as told from chance.
_SIGNIFICANT = 0.05
_MEAN_AUA = of_attack(AUA, OVERALL)


def results_table(comparison: Comparison, summaries: Sequence[ArmSummary]) -> Table:
    """Clean% and mean Aua%, then Aua% and #Query under each attack; the best of each column is marked."""
    names = _overall_measures(comparison)
    for attack in comparison.attacks:
        names += [of_attack(AUA, attack), of_attack(QUERIES, attack)]
    seeds = {len(summary.seeds) for summary in summaries}
    notes = {
        True: "Mean over seeds ± half of its 95 % interval (Student's t).",
        False: "Of one seed, in brackets the 95 % interval (Wilson), which says nothing of other seeds.",
    }
    told = [notes[several] for several in (True, False) if any((n > 1) is several for n in seeds)]
    return Table(
        name="results",
        title="Accuracy, clean and under attack",
        columns=["method", "seeds", *names],
        rows=[
            [summary.name, str(len(summary.seeds)), *(_best(summaries, summary, name) for name in names)]
            for summary in summaries
        ],
        note=" ".join([*([MEANING_OF_AUA] if comparison.attacks else []), *told, *_not_counted(summaries)]),
    )


def cost_table(comparison: Comparison, summaries: Sequence[ArmSummary]) -> Table:
    """Training time, also relative to the baseline, and the size and speed of what is trained."""
    baseline = comparison.record.baseline
    return Table(
        name="cost",
        title="What it costs",
        columns=["method", SECONDS, f"× {baseline}", PARAMETERS, MEGABYTES, LATENCY],
        rows=[
            [
                summary.name,
                Number(summary.measures[SECONDS], 1),
                _or_nothing(summary.time_ratios.get(baseline), 2),
                Number(summary.measures[PARAMETERS], 0),
                Number(summary.measures[MEGABYTES], 1),
                Number(summary.measures[LATENCY], 2),
            ]
            for summary in summaries
        ],
        note="Training time holds a ticket's search, not the preparation of the data. Latency: time of a "
        "forward pass, relative to the dense encoder's.",
    )


def ratio_table(summaries: Sequence[ArmSummary]) -> Table:
    """Training time of each arm relative to each other's."""
    names = [summary.name for summary in summaries]
    return Table(
        name=RATIOS,
        title="Training time: row relative to column",
        columns=["method", *names],
        rows=[
            [summary.name, *(_or_nothing(summary.time_ratios.get(name), 2) for name in names)]
            for summary in summaries
        ],
    )


def difference_table(comparison: Comparison, summaries: Sequence[ArmSummary]) -> Table | None:
    """Differences to the baseline under the same seeds; None where there is nothing to compare."""
    names = [*_overall_measures(comparison), *(of_attack(AUA, attack) for attack in comparison.attacks)]
    rows: list[list[Cell]] = [
        [summary.name, *(_difference(summary, name) for name in names)]
        for summary in summaries
        if summary.differences
    ]
    if not rows:
        return None
    return Table(
        name="differences",
        title=f"Difference to {comparison.record.baseline} under the same seeds",
        columns=["method", *names],
        rows=rows,
        note=" ".join(
            [
                "Percentage points, mean over seeds with its 95 % interval; p of Student's paired test, not "
                "corrected for the number of comparisons.",
                *_not_counted(summaries),
            ]
        ),
    )


def failure_table(comparison: Comparison) -> Table | None:
    """The cells that failed, and why; None if none did."""
    rows: list[list[Cell]] = [
        [cell.arm, str(cell.seed), cell.error] for cell in comparison.record.cells if cell.error is not None
    ]
    return Table("Failed", ["method", "seed", "reason"], rows, name=FAILED) if rows else None


def comparison_tables(comparison: Comparison, summaries: Sequence[ArmSummary]) -> list[Table]:
    """All tables of a comparison."""
    if not summaries:
        return [table for table in [failure_table(comparison)] if table is not None]
    tables = [
        results_table(comparison, summaries),
        validity_of_arms(comparison),
        cost_table(comparison, summaries),
        difference_table(comparison, summaries),
        ratio_table(summaries) if len(summaries) > 1 else None,
        failure_table(comparison),
    ]
    return [table for table in tables if table is not None]


def frontier_points(comparison: Comparison, summaries: Sequence[ArmSummary]) -> dict[str, tuple[Mean, Mean]]:
    """Training time relative to the baseline and mean Aua% of all arms attacked that do not guess."""
    baseline = comparison.record.baseline
    return {
        summary.name: (summary.time_ratios[baseline], summary.measures[_MEAN_AUA])
        for summary in summaries
        if _MEAN_AUA in summary.measures and baseline in summary.time_ratios and not summary.is_guess
    }


def headlines(comparison: Comparison, summaries: Sequence[ArmSummary]) -> list[str]:
    """What a comparison comes to, in sentences."""
    cells = comparison.record.cells
    done = sum(len(summary.seeds) for summary in summaries)
    sentences = [] if comparison.attacks else list(_of_training(comparison, summaries))
    points = frontier_points(comparison, summaries)
    if len(points) == 1:
        ((name, (_, aua)),) = points.items()
        sentences.append(f"{name} is right on {Number(aua, 1)} % under attack{_over(comparison)}.")
    elif points:
        cost = {name: (ratio.value, aua.value) for name, (ratio, aua) in points.items()}
        efficient = frontier(cost)
        best = efficient[-1]
        ratio, aua = points[best]
        sentences += [
            f"Most robust: {best}, right on {Number(aua, 1)} % under attack{_over(comparison)}, for "
            f"{ratio.value:.2f} × the training time of {comparison.record.baseline}.",
            f"Nothing is both cheaper and more robust than {_and(efficient)}.",
        ]
        sentences += _told_apart(comparison, summaries)
        sentences += _told_from_random(comparison, summaries)
    sentences += _not_counted(summaries)
    if done < len(cells):
        sentences.append(f"{len(cells) - done} of {len(cells)} runs are missing or failed.")
    return sentences


def _of_training(comparison: Comparison, summaries: Sequence[ArmSummary]) -> Iterator[str]:
    """What a comparison without attacks comes to: accuracy, time, and when masks settled."""
    baseline = comparison.record.baseline
    counted = [summary for summary in summaries if not summary.is_guess]
    if len(summaries) > 1 and counted:
        best = max(counted, key=lambda summary: summary.measures[CLEAN].value)
        yield f"Most accurate: {best.name}, right on {Number(best.measures[CLEAN], 1)} %."
    times = {
        summary.name: summary.time_ratios[baseline].value
        for summary in summaries
        if summary.name != baseline and baseline in summary.time_ratios
    }
    if times:
        told = [f"{name} {ratio:.2f}" for name, ratio in sorted(times.items(), key=lambda item: item[1])]
        yield f"Training time, as multiples of {baseline}'s: {_and(told)}."
    for arm, runs in comparison.runs.items():
        for seed, run in sorted(runs.items())[:1]:
            if run.search is not None and run.search.has_distances:
                gamma, patience = float(run.config.get("gamma", 0.1)), int(run.config.get("patience", 5))
                settling = str(run.config.get("settling") or "streak")
                sentence = settling_headline(run.search, gamma, patience, settling)
                yield f"{arm}, seed {seed}: {sentence[0].lower()}{sentence[1:]}"


def _over(comparison: Comparison) -> str:
    attacks = comparison.attacks
    return "" if len(attacks) == 1 else f" on average over {len(attacks)} attacks"


def _not_counted(summaries: Sequence[ArmSummary]) -> list[str]:
    """Which arms' accuracy under attack means nothing."""
    guesses = [summary.name for summary in summaries if summary.is_guess and _MEAN_AUA in summary.measures]
    if not guesses:
        return []
    return [
        "Not counted, because under some seed no more accurate than always naming the largest class, which "
        f"no attack can change: {_and(guesses)}."
    ]


def _told_apart(comparison: Comparison, summaries: Sequence[ArmSummary]) -> list[str]:
    """Which arms differ from the baseline in accuracy under attack, as far as can be told."""
    baseline = comparison.record.baseline
    if any(summary.is_guess for summary in summaries if summary.name == baseline):
        return []
    tested = {
        summary.name: difference
        for summary in summaries
        if (difference := summary.differences.get(_MEAN_AUA)) is not None and not summary.is_guess
    }
    if not tested:
        return []
    if all(difference.mean.count == 1 for difference in tested.values()):
        return [f"One seed cannot tell whether any difference to {baseline} is more than chance."]
    sure = {
        name: difference.mean.value
        for name, difference in tested.items()
        if difference.p is not None and difference.p < _SIGNIFICANT
    }
    if not sure:
        return [f"None differs from {baseline} in accuracy under attack by more than chance (p < 0.05)."]
    sides = {
        "More": [name for name, gap in sure.items() if gap > 0],
        "Less": [name for name, gap in sure.items() if gap < 0],
    }
    return [
        f"{side} robust than {baseline} by more than chance (p < 0.05): {_and(names)}."
        for side, names in sides.items()
        if names
    ]


def _told_from_random(comparison: Comparison, summaries: Sequence[ArmSummary]) -> list[str]:
    """Whether searched tickets are more robust than random ones, and what to try where they are not."""
    guesses = {summary.name for summary in summaries if summary.is_guess}
    sentences = []
    for (arm, other), difference in against_random(comparison).items():
        gap, p = difference.mean, difference.p
        if p is None or guesses & {arm, other}:
            continue
        interval = f"{gap.low:+.1f} to {gap.high:+.1f}"
        told = f"{gap.value:+.1f} points under attack ({interval}) over {gap.count} seeds."
        longer = "Try more --search-epochs, or a larger --learning-rate"
        if p >= _SIGNIFICANT:
            sentences.append(
                f"Nothing says that the tickets of '{arm}' are better than those of '{other}': {told} "
                f"{longer}; smaller gaps are told by more --seeds and --examples."
            )
        elif gap.value > 0:
            sentences.append(f"The tickets of '{arm}' are more robust than those of '{other}': {told}")
        else:
            sentences.append(f"The tickets of '{arm}' are worse than those of '{other}': {told} {longer}.")
    return sentences


def _overall_measures(comparison: Comparison) -> list[str]:
    """What is shown first: further columns may be out of sight on a narrow page."""
    return [CLEAN, _MEAN_AUA] if len(comparison.attacks) > 1 else [CLEAN]


def _best(summaries: Sequence[ArmSummary], summary: ArmSummary, name: str) -> Cell:
    mean = summary.measures.get(name)
    if mean is None:
        return "–"
    if summary.is_guess or len(summaries) == 1:
        return Number(mean, 1)
    counted = [other for other in summaries if not other.is_guess and name in other.measures]
    return Number(mean, 1, best=mean.value == max(other.measures[name].value for other in counted))


def _difference(summary: ArmSummary, name: str) -> Cell:
    difference = summary.differences.get(name)
    if difference is None:
        return "–"
    return Number(difference.mean, 1, signed=True, p=difference.p)


def _or_nothing(mean: Mean | None, digits: int) -> Cell:
    return "–" if mean is None else Number(mean, digits)
