"""Writes verdicts on a comparison: how each arm differs from the baseline, and how this was tested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.differences import ENOUGH_SEEDS, Difference
from earlyrobust.analysis.summary import ArmSummary, against_random, compared_measures, summarise
from earlyrobust.reports.tables import Number, probability
from earlyrobust.results import RunRecord
from earlyrobust.statistics.measures import AUA, OVERALL, WEAKEST, Mean, of_attack
from earlyrobust.statistics.significance import SIGNIFICANT

MEAN_AUA = of_attack(AUA, OVERALL)
# Up to this many names are listed in full. A longer list ends with a number.
_MOST_NAMED = 5


def verdicts(comparison: Comparison, summaries: Sequence[ArmSummary]) -> list[str]:
    """Return a sentence for each arm, on its robustness against the baseline, and sentences on the method."""
    baseline = comparison.record.baseline
    tested = {
        summary.name: gaps
        for summary in summaries
        if not summary.is_guess and (gaps := _under_attack(summary, comparison.attacks))
    }
    if tested and any(summary.is_guess for summary in summaries if summary.name == baseline):
        which = " under at least one seed" if len(comparison.record.seeds) > 1 else ""
        return [
            f"Robustness is not compared, because {baseline} is not distinguishably more accurate than "
            f"always naming the largest class{which}."
        ]
    sentences = [_verdict(arm, baseline, gaps, comparison.attacks) for arm, gaps in tested.items()]
    sentences += _not_tested(comparison, summaries)
    used = {(arm, name): gap for arm, gaps in tested.items() for name, gap in gaps.items() if name != WEAKEST}
    return [*sentences, *_what_they_rest_on(baseline, used)]


def verdicts_on_run(run: RunRecord, folder: Path) -> list[str]:
    """Return sentences on whether a run's classifier is more robust than the dense model beside it.

    Args:
        run: The run.
        folder: Folder of the run, which holds the journals of its attacks.
    """
    comparison = Comparison.of_run(run, folder)
    if comparison is None or not comparison.attacks:
        return []
    sentences = verdicts(comparison, summarise(comparison))
    return [sentence[0].upper() + sentence[1:] for sentence in sentences]


def verdict_of(difference: Difference) -> str:
    """Return the verdict on a difference.

    It is "more", "less", "not distinguishable", "same answers" or "not tested".
    """
    if difference.adjusted is None:
        return "not tested"
    if difference.same:
        return "same answers"
    if not is_sure(difference):
        return "not distinguishable"
    return "more" if difference.mean.value > 0 else "less"


def as_json(comparison: Comparison, summaries: Sequence[ArmSummary]) -> dict[str, Any]:
    """Return all differences from the baseline as JSON types, each with its basis and its verdict."""
    names = compared_measures(comparison)
    return {
        "baseline": comparison.record.baseline,
        "verdicts": verdicts(comparison, summaries),
        "differences": [
            {
                "method": summary.name,
                "measure": name,
                "difference": gap.mean.value,
                "low": gap.mean.low,
                "high": gap.mean.high,
                "p": gap.p,
                "p_adjusted": gap.adjusted,
                "verdict": verdict_of(gap),
                "rests_on": gap.basis,
                "seeds": gap.seeds,
                "examples": gap.examples,
                "sd_between_seeds": gap.spread,
                "not_paired_because": gap.reason,
            }
            for summary in summaries
            for name in names
            if (gap := summary.differences.get(name)) is not None
        ],
    }


def named(names: Sequence[str]) -> str:
    """Join names to a list for a sentence; a long list ends with the number of the remaining names."""
    if len(names) > _MOST_NAMED:
        names = [*names[: _MOST_NAMED - 1], f"{len(names) - _MOST_NAMED + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def averaged(attacks: Sequence[str]) -> str:
    """Return the part of a sentence that names the attack, or the number of attacks of a mean."""
    return f"under {attacks[0]}" if len(attacks) == 1 else f"on average over {len(attacks)} attacks"


def _under_attack(summary: ArmSummary, attacks: Sequence[str]) -> dict[str, Difference]:
    """Return the differences in a verdict: the mean over attacks, the weakest class, and each attack."""
    names = [MEAN_AUA, WEAKEST, *(of_attack(AUA, attack) for attack in attacks if len(attacks) > 1)]
    return {name: summary.differences[name] for name in names if name in summary.differences}


def _not_tested(comparison: Comparison, summaries: Sequence[ArmSummary]) -> Iterator[str]:
    """Yield a sentence on each arm that was attacked in another way than the baseline."""
    baseline = comparison.record.baseline
    for summary in summaries if comparison.runs.get(baseline) else []:
        differing = [
            attack
            for attack in comparison.attacks
            if not comparison.are_attacked_alike(summary.name, baseline, [attack])
        ]
        if differing:
            yield (
                f"{summary.name} is not tested against {baseline} under {named(differing)}, because the "
                "settings or resources of the attack differ."
            )


def _verdict(arm: str, baseline: str, gaps: dict[str, Difference], attacks: Sequence[str]) -> str:
    single = {f"under {attack}": gap for attack in attacks if (gap := gaps.get(of_attack(AUA, attack)))}
    if MEAN_AUA not in gaps:  # some attack was not run on both
        return "; ".join(_clause(arm, baseline, gap, where) for where, gap in single.items()) + "."
    overall = gaps[MEAN_AUA]
    found = verdict_of(overall)
    rest = [
        f"{where} alone {verdict_of(gap)} robust: {_numbers(gap)}"
        for where, gap in single.items()
        if verdict_of(gap) in {"more", "less"} - {found}
    ]
    weakest = gaps.get(WEAKEST)
    told = "not tested" if weakest is None or overall.same else verdict_of(weakest)
    if weakest is not None and told not in {found, "not tested"}:
        what = f"{told} robust" if told in {"more", "less"} else told
        rest.append(f"on the weakest class {what}: {_numbers(weakest)}")
    return "; ".join([_clause(arm, baseline, overall, averaged(attacks)), *rest]) + "."


def _clause(arm: str, baseline: str, gap: Difference, where: str) -> str:
    found = verdict_of(gap)
    if found == "same answers":
        answers = f"all {gap.examples} examples" if gap.seeds == 1 else f"all examples of {gap.seeds} seeds"
        return f"{arm} gives the same answers as {baseline} {where}, on {answers}"
    if found == "not tested":
        told = _shown(gap.mean.value)
        return f"{arm} cannot be tested against {baseline} {where}: {told} under each of {gap.seeds} seeds"
    if found == "not distinguishable":
        return f"{arm} is not distinguishable from {baseline} {where}: {_numbers(gap)}"
    return f"{arm} is {found} robust than {baseline} {where}: {_numbers(gap)}"


def _numbers(gap: Difference) -> str:
    mean = gap.mean
    inner = []
    if gap.p is not None and gap.adjusted is not None:
        before, after = probability(gap.p), probability(gap.adjusted)
        corrected = f"{after} after Holm's correction"
        if gap.p == gap.adjusted:
            inner.append(before)
        else:
            inner.append(corrected if before == after else f"{before}, {corrected}")
    if gap.basis == "examples" and gap.spread is not None:
        inner.append(f"standard deviation between {gap.seeds} seeds {gap.spread:.1f}")
    return f"{_shown(mean.value)}, {_shown(mean.low)} to {_shown(mean.high)} ({'; '.join(inner)})"


def _shown(value: float) -> str:
    return Number(Mean(value, value, value, 1), signed=True).value


def _what_they_rest_on(baseline: str, used: dict[tuple[str, str], Difference]) -> Iterator[str]:
    """Yield sentences on what the intervals cover, and on arms that were not compared by example."""
    fewest = min((gap.seeds for gap in used.values() if gap.basis == "examples"), default=None)
    if fewest is not None:
        rest = {
            1: "one seed does not show how much trainings differ",
            2: "two seeds are too few to show how much trainings differ",
        }.get(fewest, "the standard deviation between seeds shows how much trainings differ")
        yield (
            "These verdicts are on the trained models, not on the methods: the intervals cover the choice of "
            f"the examples, and {rest}. From {ENOUGH_SEEDS} seeds on, as `earlyrobust compare --seeds "
            f"{ENOUGH_SEEDS}` trains them, the intervals cover both."
        )
    tested = [gap for gap in used.values() if gap.adjusted is not None]
    if any(_excludes_zero(gap.mean) and not is_sure(gap) for gap in tested):
        yield (
            "An interval excludes 0 although p is not below 0.05: the interval is approximate for few "
            "examples, and not corrected for the number of tests. The p decides. More examples can show "
            "whether there is a difference."
        )
    if any(gap.basis == "examples and seeds" for gap in used.values()):
        yield "The intervals of these verdicts cover the choice of the examples and the choice of the seeds."
    reasons: dict[tuple[str, str], list[str]] = {}
    for (arm, _), gap in used.items():
        if gap.reason is not None:
            arms = reasons.setdefault((gap.reason, gap.basis), [])
            arms += [arm] if arm not in arms else []
    for (reason, basis), arms in reasons.items():
        instead = {
            "seeds": "Student's over seeds",
            "counts": "Newcombe's for unpaired examples, and do not cover other trainings",
        }[basis]
        yield (
            f"{named(arms)}: the comparison with {baseline} is not example by example, because {reason}. "
            f"These intervals are {instead}."
        )


def _excludes_zero(mean: Mean) -> bool:
    return mean.low > 0 or mean.high < 0


def is_sure(gap: Difference) -> bool:
    """Return whether a test distinguishes a difference from zero, after the correction."""
    return gap.adjusted is not None and gap.adjusted < SIGNIFICANT


def told_from_random(comparison: Comparison, summaries: Sequence[ArmSummary]) -> list[str]:
    """Return sentences on whether searched tickets are more robust than random ones, with advice if not."""
    guesses = {summary.name for summary in summaries if summary.is_guess}
    sentences = []
    for (arm, other), difference in against_random(comparison).items():
        gap, p = difference.mean, difference.adjusted
        # One ticket of each kind tells nothing about other tickets.
        if p is None or difference.seeds < 2 or guesses & {arm, other}:
            continue
        interval = f"{gap.low:+.1f} to {gap.high:+.1f}"
        told = f"{gap.value:+.1f} points under attack ({interval}) over {gap.count} seeds."
        longer = "Try more --search-epochs, or a larger --learning-rate"
        if p >= SIGNIFICANT:
            sentences.append(
                f"The tickets of '{arm}' cannot be distinguished from those of '{other}': {told} "
                f"{longer}; more --seeds and --examples can show smaller differences."
            )
        elif gap.value > 0:
            sentences.append(f"The tickets of '{arm}' are more robust than those of '{other}': {told}")
        else:
            sentences.append(f"The tickets of '{arm}' are worse than those of '{other}': {told} {longer}.")
    return sentences
