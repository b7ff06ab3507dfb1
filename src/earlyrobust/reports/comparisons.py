"""Makes the tables of a comparison, and the sentences that sum it up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.differences import Basis
from earlyrobust.analysis.summary import ArmSummary, compared_measures, frontier, question_of
from earlyrobust.reports.runs import settling_headline
from earlyrobust.reports.tables import Cell, Number, Table
from earlyrobust.reports.validity import (
    MEANING_OF_AUA,
    MEANING_OF_ECE,
    MEANING_OF_WEAKEST,
    validity_of_arms,
)
from earlyrobust.reports.verdicts import MEAN_AUA, averaged, named, told_from_random, verdicts
from earlyrobust.results.wording import listed as _and
from earlyrobust.statistics.measures import (
    AUA,
    CALIBRATION,
    CLEAN,
    CLEAN_OF_ATTACKED,
    LATENCY,
    MEGABYTES,
    PARAMETERS,
    QUERIES,
    SECONDS,
    WEAKEST,
    Mean,
    of_attack,
)

# Names of the table of failures, and of the table of all ratios of training time.
FAILED = "failed"
RATIOS = "ratios"
# Names of all tables that become files.
TABLES = ("results", "validity", "cost", "differences", RATIOS)
# Notes on the intervals and tests in a table of differences: for Clean% on the whole test split, for the
# weakest class, and for the measures of the attacked examples.
_CLEAN_NOTES: dict[Basis, str] = {
    "seeds": "Clean%: Student's interval and paired test over seeds.",
    "counts": "Clean%: interval and p of two unpaired shares (Newcombe's interval, Fisher's exact test), "
    "because the records do not hold the answers to the whole test split.",
}
_WEAKEST_NOTES: dict[Basis, str] = {
    "examples": f"{WEAKEST}: interval and p of a bootstrap of the examples.",
    "examples and seeds": f"{WEAKEST}: covers the bootstrap of the examples and Student's over seeds.",
    "seeds": f"{WEAKEST}: Student's interval and paired test over seeds.",
}
_ATTACKED_NOTES: dict[Basis, str] = {
    "examples": "Attacked examples are compared one by one: a bootstrap of the examples gives the interval, "
    "and an exact test that flips signs gives p (McNemar's test, for one attack under one seed). Both take "
    "the trained models as they are; SD is the standard deviation of the difference between seeds.",
    "examples and seeds": "Attacked examples are compared one by one: interval and p cover the choice of the "
    "examples and the choice of the seeds (two-way clustering).",
    "seeds": "Aua% without the answers to single examples: Student's interval and paired test over seeds.",
    "counts": "Aua% without the answers to single examples: interval and p of two unpaired shares "
    "(Newcombe's interval, Fisher's exact test).",
}


def results_table(comparison: Comparison, summaries: Sequence[ArmSummary]) -> Table:
    """Make the table of Clean%, mean Aua%, and Aua% and #Query under each attack.

    A value is marked as the best of its column if a test distinguishes it from every other.
    """
    names = _overall_measures(comparison)
    if any(WEAKEST in summary.measures for summary in summaries):
        names.append(WEAKEST)
    for attack in comparison.attacks:
        names += [of_attack(AUA, attack), of_attack(QUERIES, attack)]
    is_calibrated = any(CALIBRATION in summary.measures for summary in summaries)
    seeds = {min(len(summary.seeds), 3) for summary in summaries}
    notes = {
        3: "Mean over seeds ± half of its 95 % interval (Student's t).",
        2: "For two seeds, the brackets hold the 95 % interval over the examples of one seed (Wilson), which "
        "does not cover other seeds.",
        1: "For one seed, the brackets hold the 95 % interval over the examples (Wilson), which does not "
        "cover other seeds.",
    }
    told = [MEANING_OF_AUA] if comparison.attacks else []
    if WEAKEST in names:
        mean = "; the mean over attacks." if len(comparison.attacks) > 1 else "."
        told.append(f"{MEANING_OF_WEAKEST.removesuffix('.')}{mean}")
    told += [note for count, note in notes.items() if count in seeds]
    if is_calibrated:
        told.append(MEANING_OF_ECE)
    if len(summaries) > 1:
        told.append(
            "Bold: the best value of its column, if a test distinguishes it from every other (p < 0.05 each)."
        )
    return Table(
        name="results",
        title="Accuracy, clean and under attack",
        columns=["method", "seeds", *names, *([CALIBRATION] if is_calibrated else [])],
        rows=[
            [
                summary.name,
                str(len(summary.seeds)),
                *(_best(summaries, summary, name) for name in names),
                *([_or_nothing(summary.measures.get(CALIBRATION), 1)] if is_calibrated else []),
            ]
            for summary in summaries
        ],
        note=" ".join([*told, *_not_counted(summaries)]),
    )


def cost_table(comparison: Comparison, summaries: Sequence[ArmSummary]) -> Table:
    """Make the table of training time, also relative to the baseline, and of the size and speed of models."""
    baseline = comparison.record.baseline
    encoders = {run.config.get("model") for runs in comparison.runs.values() for run in runs.values()}
    heading, base = LATENCY, "the dense encoder"
    if len(encoders) > 1:
        heading, base = f"{LATENCY}, own encoder = 1", "the dense model of the arm's own encoder"
    return Table(
        name="cost",
        title="Cost",
        columns=["method", SECONDS, f"× {baseline}", PARAMETERS, MEGABYTES, heading],
        rows=[
            [
                summary.name,
                Number(summary.measures[SECONDS], 1),
                _or_nothing(summary.time_ratios.get(baseline), 2),
                Number(summary.measures[PARAMETERS], 0),
                Number(summary.measures[MEGABYTES], 1),
                _or_nothing(summary.measures.get(LATENCY), 2),
            ]
            for summary in summaries
        ],
        note="Training time includes the search of a ticket, not the preparation of the data. Latency: time "
        f"of a forward pass, relative to {base}.",
    )


def ratio_table(summaries: Sequence[ArmSummary]) -> Table:
    """Make the table of the training time of each arm relative to each other arm."""
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
    """Make the table of differences from the baseline under the same seeds; None without any difference."""
    compared = [summary for summary in summaries if summary.differences]
    names = [
        name
        for name in compared_measures(comparison)
        if any(name in summary.differences for summary in compared)
    ]
    if not names:
        return None
    return Table(
        name="differences",
        title=f"Difference to {comparison.record.baseline} under the same seeds",
        columns=["method", *names],
        rows=[[summary.name, *(_difference(summary, name) for name in names)] for summary in compared],
        note=" ".join([*_notes(compared, names), *_not_counted(summaries)]),
    )


def _notes(compared: Sequence[ArmSummary], names: Sequence[str]) -> Iterator[str]:
    """Yield the notes of the table of differences: how its intervals and p are computed."""
    yield "Percentage points, mean over seeds with its 95 % interval."
    kinds = {CLEAN: _CLEAN_NOTES, WEAKEST: _WEAKEST_NOTES}
    for kind, notes in (*kinds.items(), (AUA, _ATTACKED_NOTES)):
        used = {
            summary.differences[name].basis
            for summary in compared
            for name in names
            if (name if name in kinds else AUA) == kind and name in summary.differences
        }
        yield from (note for basis, note in notes.items() if basis in used)
    if any(name == CLEAN_OF_ATTACKED for name in names):
        yield f"{CLEAN_OF_ATTACKED}: of the attacked examples, before the attack."
    counts = Counter(
        question_of(name)
        for summary in compared
        for name in names
        if name in summary.differences and summary.differences[name].adjusted is not None
    )
    told = [f"{counts[question]} of {question}" for question in (CLEAN, AUA, WEAKEST) if counts[question]]
    if told:
        yield (
            f"p before → after Holm's correction for the tests of this table, {_and(told)}; the p after the "
            "correction decides."
        )


def failure_table(comparison: Comparison) -> Table | None:
    """Make the table of failed cells and the reasons of their failures; None without failures."""
    rows: list[list[Cell]] = [
        [cell.arm, str(cell.seed), cell.error] for cell in comparison.record.cells if cell.error is not None
    ]
    return Table("Failed", ["method", "seed", "reason"], rows, name=FAILED) if rows else None


def comparison_tables(comparison: Comparison, summaries: Sequence[ArmSummary]) -> list[Table]:
    """Make all tables of a comparison."""
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
    """Return training time relative to the baseline and mean Aua%, by name of the arm.

    Arms without attacks and arms that guess are left out.
    """
    baseline = comparison.record.baseline
    return {
        summary.name: (summary.time_ratios[baseline], summary.measures[MEAN_AUA])
        for summary in summaries
        if MEAN_AUA in summary.measures and baseline in summary.time_ratios and not summary.is_guess
    }


def headlines(comparison: Comparison, summaries: Sequence[ArmSummary]) -> list[str]:
    """Sum up a comparison in sentences."""
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
        begin, end = _how_sure(summaries, best, MEAN_AUA, "Most robust", "Highest accuracy under attack")
        sentences += [
            f"{begin}: {best}, right on {Number(aua, 1)} % under attack{_over(comparison)}, for "
            f"{ratio.value:.2f} × the training time of {comparison.record.baseline}{end}.",
            f"By these averages alone, no method is both cheaper and more robust than {_and(efficient)}.",
        ]
        sentences += told_from_random(comparison, summaries)
    if comparison.attacks:
        sentences += verdicts(comparison, summaries)
    sentences += _not_counted(summaries)
    if done < len(cells):
        sentences.append(f"{len(cells) - done} of {len(cells)} runs are missing or failed.")
    return sentences


def _of_training(comparison: Comparison, summaries: Sequence[ArmSummary]) -> Iterator[str]:
    """Yield the sentences on a comparison without attacks: accuracy, time, and when the masks settled."""
    baseline = comparison.record.baseline
    counted = [summary for summary in summaries if not summary.is_guess]
    if len(summaries) > 1 and counted:
        best = max(counted, key=lambda summary: summary.measures[CLEAN].value)
        begin, end = _how_sure(summaries, best.name, CLEAN, "Most accurate", "Highest accuracy")
        yield f"{begin}: {best.name}, right on {Number(best.measures[CLEAN], 1)} %{end}."
    times = {
        summary.name: summary.time_ratios[baseline].value
        for summary in summaries
        if summary.name != baseline and baseline in summary.time_ratios
    }
    if times:
        told = [f"{name} {ratio:.2f}" for name, ratio in sorted(times.items(), key=lambda item: item[1])]
        yield f"Training time, as a multiple of that of {baseline}: {_and(told)}."
    for arm, runs in comparison.runs.items():
        for seed, run in sorted(runs.items())[:1]:
            if run.search is not None and run.search.has_distances:
                gamma, patience = float(run.config.get("gamma", 0.1)), int(run.config.get("patience", 5))
                settling = str(run.config.get("settling") or "streak")
                sentence = settling_headline(run.search, gamma, patience, settling)
                yield f"{arm}, seed {seed}: {sentence[0].lower()}{sentence[1:]}"


def _how_sure(
    summaries: Sequence[ArmSummary], best: str, name: str, sure: str, unsure: str
) -> tuple[str, str]:
    """Return the beginning and the end of the sentence on the best arm.

    They depend on the arms that cannot be distinguished from it.
    """
    near = next(summary.leads.get(name) for summary in summaries if summary.name == best)
    if near:
        return unsure, f"; it cannot be distinguished from {named(near)}"
    return (unsure, "") if near is None else (sure, "")


def _over(comparison: Comparison) -> str:
    return "" if len(comparison.attacks) == 1 else f" {averaged(comparison.attacks)}"


def _not_counted(summaries: Sequence[ArmSummary]) -> list[str]:
    """Return a sentence on the arms that guess, so their accuracy under attack means nothing."""
    guesses = [summary.name for summary in summaries if summary.is_guess and MEAN_AUA in summary.measures]
    if not guesses:
        return []
    return [
        f"The comparison does not count {_and(guesses)}: under some seed, the classifier is no more accurate "
        "than one that always names the largest class, and no attack can change such answers."
    ]


def _overall_measures(comparison: Comparison) -> list[str]:
    """Return the first columns of the results; a narrow page may hide the others."""
    return [CLEAN, MEAN_AUA] if len(comparison.attacks) > 1 else [CLEAN]


def _best(summaries: Sequence[ArmSummary], summary: ArmSummary, name: str) -> Cell:
    mean = summary.measures.get(name)
    if mean is None:
        return "–"
    return Number(mean, 1, best=len(summaries) > 1 and summary.leads.get(name) == [])


def _difference(summary: ArmSummary, name: str) -> Cell:
    difference = summary.differences.get(name)
    if difference is None:
        return "–"
    spread = difference.spread if difference.basis == "examples" else None
    return Number(
        difference.mean, 1, signed=True, p=difference.p, adjusted=difference.adjusted, spread=spread
    )


def _or_nothing(mean: Mean | None, digits: int) -> Cell:
    return "–" if mean is None else Number(mean, digits)
