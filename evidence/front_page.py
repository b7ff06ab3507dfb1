"""The results on the front page: a table, a picture, and the sentence on the data behind them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from matplotlib.figure import Figure
from measured import (
    CHANCE,
    MEAN_AUA,
    METHOD,
    NOISE,
    NOISE_COMPARISONS,
    OTHER_WORDS,
    RIVALS,
    Gaps,
    Measured,
    budget,
    load,
    markdown,
)

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.differences import Difference
from earlyrobust.analysis.summary import ArmSummary
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline.method_costs import StepCost, measured_costs
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.reports.plots import aua_against_time
from earlyrobust.reports.tables import Cell, Number, Table
from earlyrobust.reports.verdicts import is_sure
from earlyrobust.statistics.measures import AUA, CLEAN, LATENCY, PARAMETERS, Mean, of_attack

# The results stand between these lines of the README.
MARKS = ("<!-- results -->", "<!-- /results -->")
# The record of the front page, and the titles of its methods.
FRONT_RECORD = "method-sst2"
FRONT = {
    NOISE: "`earlyrobust-noise` (ours)",
    OTHER_WORDS: "ours, with other words than the attacks",
    METHOD: "`earlyrobust` (the paper's)",
    "pgd-5": "PGD, five steps",
    "pgd-1": "PGD, one step",
    "fat": "FAT",
    "flooding": "flooding",
    "finetune": "fine-tuning",
}
# Layers of the encoder `minilm`.
_LAYERS = 6
TIME_NOTE = (
    "The training time adds up the times of the steps before and after the cut. The steps of all methods "
    f"were timed in turns on an idle machine ({measured_costs().measured_on}). PGD with one step was not "
    "timed: its time is interpolated from that of PGD with five steps, by the number of passes."
)


def front() -> str:
    """Make the results of the front page: a table of the main methods, and the data behind its numbers."""
    measured = next(one for one in _comparisons() if one.task == NOISE_COMPARISONS[FRONT_RECORD])
    comparison, summaries = measured.comparison, measured.arms
    attacks = comparison.attacks
    gaps = _gaps()
    others = [arm for arm in FRONT if (measured.task, arm) in gaps]
    rows: list[list[Cell]] = []
    for arm in [NOISE, OTHER_WORDS, *others]:
        shown = summaries[arm].measures
        rows.append(
            [
                FRONT[arm],
                str(len(summaries[arm].seeds)),
                *(Number(shown[name], 1) for name in (CLEAN, MEAN_AUA)),
                _bold_if_sure(gaps[measured.task, arm]) if arm in others else "",
                *(Number(shown[of_attack(AUA, attack)], 1) for attack in attacks),
                f"{training_cost(comparison, arm)[1]:.1f}",
                f"{shown[PARAMETERS].value / 1e6:.1f} M",
                Number(shown[LATENCY], 2) if LATENCY in shown else "–",
            ]
        )
    columns = ["", "seeds", CLEAN, MEAN_AUA, "ours minus this method"]
    columns += [of_attack(AUA, attack) for attack in attacks]
    return "\n\n".join(
        [
            _summary(measured, gaps),
            markdown([*columns, "training time", "parameters", "latency"], rows),
            _notes(measured),
            "On other tasks and with another encoder, ours minus fine-tuning:",
            markdown(["task", "texts", "seeds", CLEAN, MEAN_AUA, "attacks"], _other_tasks()),
            "[Evidence](docs/evidence.md) has all methods and tests.",
        ]
    )


def _summary(measured: Measured, gaps: dict[tuple[str, str], Difference]) -> str:
    """Sum up the table of the front page in a few sentences."""
    ours, plain = (measured.arms[arm].measures for arm in (NOISE, "finetune"))
    alike = [FRONT[arm] for arm in FRONT if (gap := gaps.get((measured.task, arm))) and not is_sure(gap)]
    other_words = measured.arms[OTHER_WORDS].measures[MEAN_AUA].value
    chance = measured.differences(NOISE, CHANCE)[MEAN_AUA]
    fewer = 1 - ours[PARAMETERS].value / plain[PARAMETERS].value
    return (
        f"Under attack, the smaller model of `{NOISE}` classifies {ours[MEAN_AUA].value:.1f} % of the texts "
        f"of SST-2 correctly, on average over four attacks, and {other_words:.1f} % if its noise takes its "
        "words from another list than the attacks. A fine-tuned model classifies "
        f"{plain[MEAN_AUA].value:.1f} %. On clean texts, ours has an accuracy of "
        f"{ours[CLEAN].value:.1f} %, and fine-tuning of {plain[CLEAN].value:.1f} %. The smaller model has "
        f"{100 * fewer:.0f} % fewer parameters. Not distinguishable from it under attack: "
        f"{'; '.join(alike) or 'no rival'}. Ours minus a random ticket of the same size, which is cut before "
        f"its training under noise, is {Number(chance.mean, 1, signed=True)} ({chance.seeds} seeds). "
        "The interval of the difference from fine-tuning covers the choice of "
        f"{gaps[measured.task, 'finetune'].seeds} seeds. Fewer than five seeds show how these models differ, "
        "not how the methods differ."
    )


def _notes(measured: Measured) -> str:
    """List the notes below the table of the front page."""
    config = measured.comparison.record.config
    other_words = measured.differences(OTHER_WORDS, "finetune")[MEAN_AUA]
    notes = [
        f"Data: SST-2, with the encoder `minilm`. {budget(measured.comparison)} The learning rate is "
        f"{config['learning_rate']:g}. The commands below have other defaults: `--learning-rate 1e-4 "
        "--batch-size 32` gives these values.",
        "Clean% is the accuracy on clean texts, and Aua% the accuracy under attack. The mean is over all "
        "attacks of the table. Training time and latency are relative to fine-tuning, on a CPU.",
        '"Ours minus this method" is the difference of the means, over the seeds that both have. The other '
        "columns have the means over all seeds of a method, so compare methods by this column. Its "
        "interval covers the choice of the examples, and from five seeds on (±) that of the seeds, too. "
        "Bold: a test distinguishes the difference from zero (p < 0.05, after Holm's correction for all "
        "comparisons of `earlyrobust-noise` with a rival).",
        "In the other columns, ± is half of the 95 % interval over three seeds or more. Brackets hold the "
        "95 % interval over the examples of one seed.",
        "The noise of the first row takes its words from the list that TextFooler, TextBugger and PWWS use "
        "here (counter-fitted neighbours), and it misspells words, as TextBugger and DeepWordBug do. The "
        "noise of the second row takes its words from WordNet, so these attacks use words that its training "
        f"did not know. Its mean minus that of fine-tuning is {Number(other_words.mean, 1, signed=True)} "
        f"({other_words.seeds} seeds). By default, noise and TextFooler use the same list, and the run says "
        "so.",
        "The mean hides a difference between classes: most methods withstand DeepWordBug on one class alone. "
        "[Evidence](docs/evidence.md#is-a-ticket-under-text-noise-more-robust-than-its-rivals) has the "
        "weakest class. Variants of `earlyrobust-noise` were chosen by attacks on the selection split of "
        "SST-2. Their Clean% on the test split was in view. No setting of a rival was tuned.",
        TIME_NOTE,
    ]
    return "\n".join(f"- {note}" for note in notes)


def _short(measured: Measured) -> str:
    """Return the title of a comparison without the words that all of these comparisons share."""
    return measured.task.replace(", under noise", "")


def _setting(measured: Measured) -> str:
    """Describe the numbers of texts and epochs of a comparison."""
    config = measured.comparison.record.config
    return (
        f"{config['train_samples']:,} in training, {config['epochs']:g} epochs; {config['examples']} attacked"
    )


def _comparisons() -> list[Measured]:
    return load(NOISE_COMPARISONS)


def _gaps() -> dict[tuple[str, str], Difference]:
    """Return the differences of the mean Aua%, as on the page of evidence."""
    return Gaps.of(_comparisons(), NOISE, RIVALS).aua


def _bold_if_sure(difference: Difference) -> str:
    shown = str(Number(difference.mean, 1, signed=True))
    return f"**{shown}**" if is_sure(difference) else shown


def _other_tasks() -> list[list[Cell]]:
    """Return a row for each other comparison: the method under noise minus fine-tuning."""
    gaps = Gaps.of(_comparisons(), NOISE, RIVALS)
    return [
        [
            _short(measured),
            _setting(measured),
            str(gaps.aua[both].seeds),
            _bold_if_sure(gaps.clean[both]),
            _bold_if_sure(gaps.aua[both]),
            ", ".join(measured.comparison.attacks),
        ]
        for measured in _comparisons()
        if measured.task != NOISE_COMPARISONS[FRONT_RECORD]
        and (both := (measured.task, "finetune")) in gaps.aua
    ]


def passes_table(comparison: Comparison, summaries: Sequence[ArmSummary]) -> Table:
    """Make the table of the passes of each arm's training, and of the size and speed of its models."""
    return Table(
        "Passes of the training, and the model",
        ["method", "training passes", "training time", PARAMETERS, LATENCY],
        [
            [
                summary.name,
                *(f"{cost:.1f}" for cost in training_cost(comparison, summary.name)),
                Number(summary.measures[PARAMETERS], 0),
                Number(summary.measures[LATENCY], 2) if LATENCY in summary.measures else "–",
            ]
            for summary in summaries
        ],
        "Training passes: forward and backward passes of the whole training, with the search, relative to "
        "fine-tuning. Latency: time of a forward pass, relative to the dense encoder, timed in turns.",
    )


def training_cost(comparison: Comparison, arm: str) -> tuple[float, float]:
    """Return the passes and the time of an arm's training, relative to fine-tuning for the usual epochs.

    A pass that computes no gradients of weights counts as two thirds. The search is part of the training. Its
    length is the mean over seeds.
    """
    passes, times = [], []
    usual = comparison.record.config["epochs"]
    for run in comparison.runs[arm].values():
        config = RunConfig.model_validate({**run.config, "output": None})
        recipe = Recipe.of(config)
        measured = measured_costs().methods[config.method]
        searched = 0.0 if run.search is None else run.search.epochs
        trained = recipe.epochs - searched if recipe.continued else recipe.epochs
        stages = [(trained, recipe.adversary, measured.training)]
        if measured.search is not None and searched:
            stages.append((searched, recipe.search_adversary, measured.search))
        counted = [(length, 1.0 if used is None else used.cost(_LAYERS)) for length, used, _ in stages]
        passes.append(sum(length * count for length, count in counted) / usual)
        timed = [
            length * step_time(count, step)
            for (length, count), (_, _, step) in zip(counted, stages, strict=True)
        ]
        times.append(sum(timed) / usual)
    return fmean(passes), fmean(times)


def step_time(passes: float, measured: StepCost) -> float:
    """Return the time of a step from a measured one, to which it is equal but for its number of passes."""
    if passes == measured.passes or measured.passes == 1:
        return measured.time
    return 1 + (measured.time - 1) * (passes - 1) / (measured.passes - 1)


def picture() -> Figure:
    """Plot accuracy under attack against training time, for the methods of the front page."""
    measured = Measured.load(FRONT_RECORD)
    points = {}
    for summary in measured.arms.values():
        if summary.name in FRONT:
            _, time = training_cost(measured.comparison, summary.name)
            points[FRONT[summary.name].replace("`", "")] = (
                Mean(time, time, time, 1),
                summary.measures[MEAN_AUA],
            )
    return aua_against_time(points, "fine-tuning")


def with_front(readme: str) -> str:
    """Put the results into the text of the README, between their marks."""
    before, _, rest = readme.partition(f"{MARKS[0]}\n")
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n{front()}\n{MARKS[1]}{after}"
