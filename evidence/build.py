"""Writes docs/evidence.md from the committed records and evidence/readings.md."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import TypeVar

import attack_strength
from matplotlib import rc_context
from matplotlib.figure import Figure

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.differences import Difference
from earlyrobust.analysis.summary import ArmSummary, frontier, summarise
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.reports.comparisons import cost_table, difference_table, results_table
from earlyrobust.reports.plots import aua_against_time
from earlyrobust.reports.tables import Cell, Number, Table, to_markdown
from earlyrobust.results import RunRecord
from earlyrobust.statistics.measures import AUA, CLEAN, LATENCY, OVERALL, PARAMETERS, WEAKEST, Mean, of_attack
from earlyrobust.statistics.significance import SIGNIFICANT, holm

ROOT = Path(__file__).parents[1]
RECORDS = Path(__file__).with_name("records")
ATTACKS = Path(__file__).with_name("attacks")
PAGE = ROOT / "docs" / "evidence.md"
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "images" / "results.svg"
# Between these lines of the README are the results of the front page.
MARKS = ("<!-- results -->", "<!-- /results -->")
# Our interpretation of the answers in words: a section for each question.
READINGS = Path(__file__).with_name("readings.md")

# Names of the records of comparisons on real text, in the order of the page; missing records are left out.
COMPARISONS = ("sst2", "ag_news", "imdb", "qnli")
# The title of each comparison of the method under noise with its rivals, by the name of its record.
NOISE_COMPARISONS = {
    "method-sst2": "sst2, under noise",
    "method-ag_news": "ag_news, under noise",
    "method-qnli": "qnli, under noise",
    "method-imdb": "imdb, under noise",
    "method-base": "sst2, under noise, base size",
}
# The title of the comparison of the method under noise with itself after a change of one part.
NOISE_PARTS = {"method-sst2-more": "sst2, under noise, part by part"}
# Prefix of the records of training times, measured on an idle machine.
TIMES = "time-"
# Prefix of the records of the preset at another learning rate than in the comparison of the task.
RATES = "rate-"
# Prefixes of three kinds of records. "settling-": searches on all texts, with hardly any fine-tuning
# afterwards. "figure2-": searches over a whole epoch of a sample, as `reproduce figure2` makes them.
# "early-": tickets drawn when their masks had settled, and tickets of the whole epoch.
SEARCHES, WATCHED, SETTLED = "settling-", "figure2-", "early-"
# In the paper, all masks settle by this epoch.
MOST_EPOCHS = 0.3
METHOD, PRESET, NOISE = "earlyrobust", "earlyrobust-swap", "earlyrobust-noise"
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
# The record of the front page, and the titles of its methods.
FRONT_RECORD = "method-sst2"
FRONT = {
    NOISE: "`earlyrobust-noise` (ours)",
    METHOD: "`earlyrobust` (the paper's)",
    "pgd-5": "PGD, five steps",
    "pgd-1": "PGD, one step",
    "fat": "FAT",
    "flooding": "flooding",
    "finetune": "fine-tuning",
}
# Layers of the encoder `minilm`.
_LAYERS = 6
MEAN_AUA = of_attack(AUA, OVERALL)

BEGIN = """# Evidence

This page reports measurements on real data with the embedded encoder `minilm` (6 layers, 384 channels).
`evidence/build.py` computes every number from the records under `evidence/records`. A test checks that the
page matches the records.

Aua% is accuracy under attack: the share of attacked texts that are still classified correctly. All intervals
are 95 % intervals. *p* compares two methods under the same seeds. If the records hold the answers to single
examples, the methods are compared example by example. With five seeds or more, *p* and interval then also
cover the choice of the seeds. The other records are all older. They are compared by Student's paired test
over seeds, and so is Clean%. With two seeds and without such answers, the methods are compared by their
counts.

"before → after" gives *p* before and after Holm's correction for the number of tests. Under a question, the
correction covers the tests of one column. At the end of the page, it covers the tests of one comparison. A
difference is *distinguishable* if *p* is below 0.05 after the correction. Few seeds and many tests make that
hard to reach. A difference is a *hint* if *p* is below 0.05 only before the correction: a single test would
distinguish the two methods. Intervals are not corrected. The attacks use the resources that each record
names. Numbers with other resources are not comparable.

The page uses the words of [Concepts](concepts.md). *earlyrobust* is the method of the paper.
*earlyrobust-swap* ("the preset") is a preset of earlier versions. It trained a ticket briefly under word
swaps, with twice the learning rate (see [Word swaps](methods/wordswap.md)).

The records of InfoBERT and SMART are older than their current steps. In the
records, InfoBERT takes its anchors from a clean pass, and SMART's step has the same length for each text
instead of each token.
"""

# The main answers in words. The links are the anchors of the questions, and mkdocs checks them.
SUMMARY = """## Summary

- [Tickets under text noise](#is-a-ticket-under-text-noise-more-robust-than-its-rivals): on SST-2, the
  ticket of `earlyrobust-noise` is more robust than fine-tuning, flooding and PGD with one step (three seeds)
  and PGD with five steps (one), and not distinguishable from FAT (three), which has the higher mean. On the
  weakest class, the ticket is ahead of all of them. On AG News it is more robust than fine-tuning (one
  seed). On QNLI the mean over classes is not distinguishable, and the ticket is ahead on the weakest class
  (three seeds).
- [The search under text noise](#what-does-the-search-add-to-training-under-text-noise): on SST-2,
  the searched ticket is more robust than a random one by about two points (three seeds).
- [When masks settle](#do-masks-settle-within-015-to-03-epoch): counted from the first of the settled masks,
  as the paper counts, 7 of 8 observed searches settle by the end of the paper's range. Five of the eight have
  batches of 8 and a dozen steps between masks, on samples. Three have batches of 16, on all of SST-2. The
  stopping rule is met later, in all of them but one. The comparisons of all methods have other settings:
  samples of a few thousand texts, batches of 16 or 32, and at least twenty steps between masks. There, one
  search of twelve settles within an epoch.
- [Early tickets](#is-the-early-ticket-as-good-as-one-drawn-after-a-full-epoch): on samples of SST-2, tickets
  that are drawn when their masks have settled are not distinguishable from full-epoch tickets in robustness,
  for part of the training time. Neither are tickets that are drawn after a quarter of an epoch. This is no
  test of equivalence: the intervals leave room for a point or two. Other tasks were not tried.
- [Robustness of the
  ticket](#is-the-ticket-more-robust-than-fine-tuning-earlybert-and-random-tickets-of-the-same-size): the
  paper's gain does not appear. The ticket is not distinguishable from fine-tuning, EarlyBERT or random
  tickets. There are hints that it is more robust than random tickets on SST-2 and QNLI.
- [Adversarial methods](#how-does-the-ticket-compare-with-the-adversarial-methods): methods that perturb
  embeddings are ahead of the ticket in nearly every comparison, but no single difference is distinguishable.
- [Tickets with a cheap
  adversary](#does-a-ticket-fine-tuned-with-a-cheap-adversary-beat-the-adversarial-methods-at-a-fraction-of-their-cost):
  on SST-2, neither short FreeLB on the ticket nor the preset with word swaps is distinguishable from
  fine-tuning, PGD or FreeLB in robustness. Nothing shows that the ticket adds to the gain of the swaps.
- [Pairs of texts](#does-the-preset-learn-pairs-of-texts): the preset does not learn QNLI at its own learning
  rate. At half that rate it learns, but stays well behind fine-tuning.
- [Cost of the preset](#how-far-is-the-preset-from-the-most-robust-baseline-and-what-does-it-cost): on SST-2,
  the preset is not distinguishable from the most robust baseline, with a wide interval, and PGD takes
  several times its training time. On AG News the saving is small. On IMDB (under one seed) and on QNLI, the
  preset does not learn its task.
- [Efficient frontier](#which-methods-are-on-the-efficient-frontier): of the arms that were timed alone on
  SST-2, the preset and FreeLB are on the frontier. FreeLB has the higher accuracy under attack, by less than
  the interval, and takes many times as long.
"""


Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, eq=False)
class Measured:
    """The records of one task.

    Attributes:
        task: Title of the task on the page.
        comparison: The comparison of all arms, with attacks.
        times: The comparison of training times on an idle machine; None if they were not measured.
    """

    task: str
    comparison: Comparison
    times: Comparison | None

    @classmethod
    def load(cls, task: str) -> Measured:
        times = RECORDS / f"{TIMES}{task}"
        return cls(task, Comparison.load(RECORDS / task), Comparison.load(times) if times.is_dir() else None)

    @cached_property
    def arms(self) -> dict[str, ArmSummary]:
        """The summary of each arm, by name."""
        return {summary.name: summary for summary in summarise(self.comparison)}

    @property
    def trained(self) -> dict[str, ArmSummary]:
        """The arms that are more accurate than always naming the largest class, under all seeds.

        The others are left out, because a classifier that always names one class withstands every attack.
        """
        return {name: summary for name, summary in self.arms.items() if not summary.is_guess}

    def told_guesses(self, arm: str) -> str:
        """Say under how many seeds an arm is no more accurate than always naming the largest class."""
        runs = self.comparison.runs[arm].values()
        return f"{arm} guesses under {sum(run.is_guess for run in runs)} of {len(runs)} seeds"

    def differences(self, arm: str, other: str) -> dict[str, Difference]:
        """Return the differences of one arm minus another, by measure; empty unless both were run."""
        pair = {name: runs for name in (arm, other) if (runs := self.comparison.runs.get(name))}
        if len(pair) < 2:
            return {}
        compared = replace(self.comparison, record=replace(self.comparison.record, baseline=other), runs=pair)
        return next(summary.differences for summary in summarise(compared) if summary.name == arm)

    def time_ratios(self, other: str) -> dict[str, Mean]:
        """Return the training time of each arm relative to one arm; empty if times were not measured."""
        arms = [] if self.times is None else summarise(self.times)
        return {arm.name: arm.time_ratios[other] for arm in arms}


def build() -> str:
    """Return the whole page."""
    tasks = load({name: name for name in COMPARISONS})
    rivals, changed = load(NOISE_COMPARISONS), load(NOISE_PARTS)
    settled = [
        replace(Measured.load(folder.name), task=f"{folder.name.removeprefix(SETTLED)}, small steps")
        for folder in sorted(RECORDS.glob(f"{SETTLED}*"))
    ]
    parts = [BEGIN, SUMMARY, "## Questions and answers"]
    read = readings()
    for question, answer in [*questions_of_noise(rivals, changed), *questions(tasks, settled)]:
        parts += [f"### {question}", answer, read[question]]
    parts.append("## The comparisons")
    for measured in [*rivals, *changed]:
        parts += chapter(measured, has_passes=True)
    for measured in [*tasks, *settled]:
        parts += chapter(measured)
    parts += attack_strength.chapter(ATTACKS)
    parts += attack_strength.illusions(ATTACKS / "scrutiny")
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def load(titles: Mapping[str, str]) -> list[Measured]:
    """Load the comparisons that have a record.

    Args:
        titles: The title of each comparison on the page, by the name of its record.
    """
    return [
        replace(Measured.load(name), task=title)
        for name, title in titles.items()
        if (RECORDS / name).is_dir()
    ]


def readings() -> dict[str, str]:
    """Read our interpretation of the answer to each question, by question."""
    sections = READINGS.read_text(encoding="utf-8").split("\n## ")[1:]
    return {question: text.strip() for question, _, text in (section.partition("\n") for section in sections)}


def chapter(measured: Measured, *, has_passes: bool = False) -> Iterator[str]:
    """Yield the tables of a comparison.

    Args:
        measured: The comparison.
        has_passes: Whether there is a table of the passes of each training, too.
    """
    summaries = list(measured.arms.values())
    yield f"### {measured.task}\n\n{budget(measured.comparison)}"
    tables = [results_table(measured.comparison, summaries), difference_table(measured.comparison, summaries)]
    if has_passes:
        tables.append(passes_table(measured.comparison, summaries))
    if measured.times is not None:
        tables.append(cost_table(measured.times, summarise(measured.times)))
    yield to_markdown([table for table in tables if table is not None]).replace("### ", "#### ")
    if measured.times is not None:
        yield f"The times come from separate runs on an idle machine: {budget(measured.times)}"


def budget(comparison: Comparison) -> str:
    """Describe in a sentence the settings that all arms of a comparison share."""
    config = comparison.record.config
    samples = f"{config['train_samples']:,}" if config["train_samples"] else "all"
    precision = "bfloat16" if config["bf16"] else "float32"
    which = "seeds" if len(comparison.record.seeds) > 1 else "seed"
    attacked = f"; {config['examples']} test examples attacked under each seed" if comparison.attacks else ""
    places = (run.environment for runs in comparison.runs.values() for run in runs.values())
    devices = sorted({place.processor if place.device == "cpu" else place.device for place in places})
    return (
        f"{samples} training samples, {config['epochs']:g} epochs, batches of {config['batch_size']}, "
        f"{config['max_length']} tokens, {precision}, "
        f"{which} {', '.join(map(str, comparison.record.seeds))}{attacked}; on {' and '.join(devices)}."
    )


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
        shown = " and ".join(measured.told_guesses(name) for name in names) or _told(aua[both])
        of_weakest: list[Cell] = [_told(weakest[both]) if both in weakest else "–"] if known else []
        rows.append([measured.task, other, _told(clean[both]), shown, *of_weakest])
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
                _told(gaps[measured]) if measured in gaps else "–",
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


def markdown(columns: list[str], rows: list[list[Cell]]) -> str:
    """Write a table as Markdown without a heading."""
    return "\n".join(to_markdown([Table("", columns, rows)]).splitlines()[2:])


def corrected(differences: dict[Key, Difference]) -> dict[Key, Difference]:
    """Add to each difference its p after Holm's correction for the number of differences."""
    adjusted = holm({key: gap.p for key, gap in differences.items() if gap.p is not None})
    return {key: replace(gap, adjusted=adjusted.get(key)) for key, gap in differences.items()}


def _told(difference: Difference) -> Number:
    return Number(difference.mean, 1, signed=True, p=difference.p, adjusted=difference.adjusted)


def front() -> str:
    """Make the results of the front page: a table of the main methods, and the data behind its numbers."""
    measured = Measured.load(FRONT_RECORD)
    comparison, summaries = measured.comparison, measured.arms
    attacks = comparison.attacks
    others = [arm for arm in FRONT if arm in summaries and arm != NOISE]
    gaps, weakest = (
        corrected({arm: measured.differences(NOISE, arm)[name] for arm in others})
        for name in (MEAN_AUA, WEAKEST)
    )
    rows: list[list[Cell]] = []
    for arm in [NOISE, *others]:
        shown = summaries[arm].measures
        rows.append(
            [
                FRONT[arm],
                str(len(summaries[arm].seeds)),
                *(Number(shown[name], 1) for name in (CLEAN, MEAN_AUA)),
                _told(gaps[arm]) if arm in gaps else "",
                Number(shown[WEAKEST], 1),
                _told(weakest[arm]) if arm in weakest else "",
                *(Number(shown[of_attack(AUA, attack)], 1) for attack in attacks),
                f"{training_passes(comparison, arm):.1f}",
                f"{shown[PARAMETERS].value / 1e6:.1f} M",
                Number(shown[LATENCY], 2) if LATENCY in shown else "–",
            ]
        )
    minus = "ours minus it"
    columns = [
        "",
        "seeds",
        CLEAN,
        MEAN_AUA,
        minus,
        WEAKEST,
        minus,
        *(of_attack(AUA, attack) for attack in attacks),
    ]
    return "\n\n".join(
        [
            markdown([*columns, "training passes", "parameters", "latency"], rows),
            f"SST-2, the encoder `minilm`; {budget(comparison)} Aua%: accuracy under attack. Weakest class "
            "Aua%: the lowest Aua% of any class, as the mean over attacks. A classifier that answers one "
            "class to every text that it cannot read may have a high Aua%, but not on its weakest class. "
            '"Ours minus it": the number of `earlyrobust-noise` minus that of the method, under the seeds of '
            "both, with *p* before → after Holm's correction for the tests of the column. With three seeds "
            "or more, ± is half of the 95 % interval over seeds. Otherwise, the brackets hold the 95 % "
            "interval over the examples, which does not cover other seeds. The intervals of the differences "
            "cover the choice of the examples alone. Training passes (forward and backward passes) and "
            "latency are relative to fine-tuning.",
            "On other tasks, ours minus fine-tuning:",
            markdown(["task", "seeds", CLEAN, MEAN_AUA, WEAKEST, "attacks"], _other_tasks()),
            "[Evidence](docs/evidence.md) has all methods and tests.",
        ]
    )


def _other_tasks() -> list[list[Cell]]:
    """Return a row for each other comparison: the method under noise minus fine-tuning."""
    found = load({name: title for name, title in NOISE_COMPARISONS.items() if name != FRONT_RECORD})
    gaps = {measured: measured.differences(NOISE, "finetune") for measured in found}
    aua, weakest = (
        corrected({measured: gap[name] for measured, gap in gaps.items()}) for name in (MEAN_AUA, WEAKEST)
    )
    return [
        [
            measured.task.partition(",")[0],
            str(gap[MEAN_AUA].seeds),
            _told(gap[CLEAN]),
            _told(aua[measured]),
            _told(weakest[measured]),
            ", ".join(measured.comparison.attacks),
        ]
        for measured, gap in gaps.items()
    ]


def passes_table(comparison: Comparison, summaries: Sequence[ArmSummary]) -> Table:
    """Make the table of the passes of each arm's training, and of the size and speed of its models."""
    return Table(
        "Passes of the training, and the model",
        ["method", "training passes", PARAMETERS, LATENCY],
        [
            [
                summary.name,
                f"{training_passes(comparison, summary.name):.1f}",
                Number(summary.measures[PARAMETERS], 0),
                Number(summary.measures[LATENCY], 2) if LATENCY in summary.measures else "–",
            ]
            for summary in summaries
        ],
        "Training passes: forward and backward passes of the whole training, with the search, relative to "
        "fine-tuning. Latency: time of a forward pass, relative to the dense encoder, timed in turns.",
    )


def training_passes(comparison: Comparison, arm: str) -> float:
    """Count the forward and backward passes of an arm's training, relative to one pass for each step.

    A pass that computes no gradients of weights counts as two thirds. The search is part of the training. Its
    length is the mean over seeds.
    """
    counts = []
    for run in comparison.runs[arm].values():
        config = RunConfig.model_validate({**run.config, "output": None})
        recipe = Recipe.of(config)
        search, training = (
            1.0 if used is None else used.cost(_LAYERS)
            for used in (recipe.search_adversary, recipe.adversary)
        )
        searched = 0.0 if run.search is None else run.search.epochs
        trained = recipe.epochs - searched if recipe.continued else recipe.epochs
        counts.append((searched * search + trained * training) / recipe.epochs)
    return fmean(counts)


def picture() -> Figure:
    """Plot accuracy under attack against the passes of the training, for the methods of the front page."""
    comparison = Comparison.load(RECORDS / FRONT_RECORD)
    points = {}
    for summary in summarise(comparison):
        if summary.name in FRONT:
            passes = training_passes(comparison, summary.name)
            points[FRONT[summary.name].replace("`", "")] = (
                Mean(passes, passes, passes, 1),
                summary.measures[MEAN_AUA],
            )
    return aua_against_time(points, "fine-tuning", "training passes")


def with_front(readme: str) -> str:
    """Put the results into the text of the README, between their marks."""
    before, _, rest = readme.partition(f"{MARKS[0]}\n")
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n{front()}\n{MARKS[1]}{after}"


def main() -> None:
    """Write the page of evidence, and the table and the picture of the front page."""
    PAGE.write_text(build(), encoding="utf-8")
    README.write_text(with_front(README.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURE.parent.mkdir(exist_ok=True)
    # Text stays text, and the fixed salt makes the file reproducible.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "earlyrobust"}):
        picture().savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
