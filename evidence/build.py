"""Write docs/evidence.md from the committed records alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from earlyrobust.reports.overview import (
    cost_table,
    difference_table,
    frontier_points,
    results_table,
)
from earlyrobust.reports.tables import Number, Table, to_markdown
from earlyrobust.results import Comparison, Mean
from earlyrobust.results.summary import AUA, CLEAN, OVERALL, ArmSummary, frontier, of_attack, summarise

ROOT = Path(__file__).parents[1]
RECORDS = Path(__file__).with_name("records")
PAGE = ROOT / "docs" / "evidence.md"

# Records of comparisons on real text, in the order of the page; those that are not there are left out.
TASKS = ("sst2", "ag_news", "imdb", "qnli")
TIME = "time"
# Searches on as many texts as there are, with hardly any fine-tuning after them.
SEARCHES = "settling-"
# The latest that the paper saw masks settle.
MOST_EPOCHS = 0.3
METHOD, PRESET = "earlyrobust", "earlyrobust-swap"
MEAN_AUA = of_attack(AUA, OVERALL)

BEGIN = """# Evidence

What was measured on real data with the embedded encoder `minilm` (6 layers, 384 channels). Every number is
computed from the records under [evidence/records](../evidence/README.md) by `evidence/build.py`; a test
regenerates this page.

Intervals are of 95 %, over seeds. *p* is that of Student's paired test under the same seeds. A difference
counts as told from chance below 0.05; with so many comparisons one in twenty does so by chance alone. Attacks
lean on the resources that each record names; numbers do not compare with those of other resources.
"""


def build() -> str:
    """The whole page."""
    found = {task: Comparison.load(RECORDS / task) for task in TASKS if (RECORDS / task).is_dir()}
    summaries = {task: summarise(comparison) for task, comparison in found.items()}
    parts = [BEGIN, "## Questions and answers", *questions(found, summaries), "## The comparisons"]
    for task, comparison in found.items():
        parts.append(f"### {task}\n\n{budget(comparison)}")
        tables = [results_table(comparison, summaries[task]), difference_table(comparison, summaries[task])]
        parts.append(to_markdown([table for table in tables if table is not None]).replace("### ", "#### "))
    if (RECORDS / TIME).is_dir():
        timed = Comparison.load(RECORDS / TIME)
        parts.append(f"### Training time\n\n{budget(timed)} The machine had nothing else to do.")
        parts.append(to_markdown([cost_table(timed, summarise(timed))]).replace("### ", "#### "))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def budget(comparison: Comparison) -> str:
    """What all arms of a comparison share, in a sentence."""
    config = comparison.record.config
    samples = f"{config['train_samples']:,}" if config["train_samples"] else "all"
    return (
        f"{samples} training samples, {config['epochs']:g} epochs, batches of {config['batch_size']}, "
        f"{config['max_length']} tokens, seeds {', '.join(map(str, comparison.record.seeds))}; "
        f"{config['examples']} test examples attacked under each seed."
    )


def questions(found: dict[str, Comparison], summaries: dict[str, list[ArmSummary]]) -> Iterator[str]:
    """The questions with their answers."""
    searches = {
        folder.name.removeprefix(SEARCHES): Comparison.load(folder)
        for folder in sorted(RECORDS.glob(f"{SEARCHES}*"))
    }
    yield "### Do masks settle within 0.15 to 0.3 epoch?\n\n" + settling(searches)
    others = {
        "Is the early ticket as good as one drawn after a full epoch?": ["full-epoch ticket"],
        "Is it more robust than fine-tuning, EarlyBERT and random tickets of the same size?": [
            *("finetune", "earlybert", "random ticket")
        ],
        "How does it compare with the adversarial methods?": [
            *("pgd", "freelb", "freeat", "yopo", "smart", "infobert", "robust-ticket")
        ],
    }
    for question, arms in others.items():
        yield f"### {question}\n\n{against(found, METHOD, arms)}"
    yield "### Does a ticket fine-tuned with a cheap adversary beat them at a fraction of their cost?\n\n" + (
        against(found, "ticket + freelb K=2", ["finetune", "pgd", "freelb", METHOD])
        + "\n\n"
        + against(found, PRESET, ["finetune", "pgd", "freelb", METHOD])
    )
    yield "### What is on the efficient frontier?\n\n" + efficient(found, summaries)


def settling(searches: dict[str, Comparison]) -> str:
    """When every search stopped."""
    rows = []
    within = total = 0
    for task, comparison in searches.items():
        for seed, run in sorted(comparison.runs[METHOD].items()):
            if run.search is None:
                continue
            search = run.search
            total += 1
            within += search.stop_reason == "converged" and search.epochs <= MOST_EPOCHS
            steps = round(search.epochs * search.steps_per_epoch)
            samples = f"{run.data.sizes['train']:,}"
            rows.append([task, samples, str(seed), f"{search.epochs:.2f}", str(steps), search.stop_reason])
    if not rows:
        return "Not measured yet."
    columns = ["task", "training samples", "seed", "epochs", "steps", "stopped"]
    verdict = f"{within} of {total} searches settled within {MOST_EPOCHS} epoch."
    return f"{verdict}\n\n" + markdown(Table("", columns, rows))


def against(found: dict[str, Comparison], arm: str, others: Sequence[str]) -> str:
    """Paired differences of one arm to some others, on every task."""
    rows, told = [], {"more": 0, "less": 0, "open": 0}
    for task, comparison in found.items():
        for other in others:
            if not comparison.runs.get(arm) or not comparison.runs.get(other):
                continue
            pair = Comparison(replace(comparison.record, baseline=other), comparison.runs)
            summary = next(summary for summary in summarise(pair) if summary.name == arm)
            cells = [task, other]
            for name in (CLEAN, MEAN_AUA):
                difference = summary.differences.get(name)
                if difference is None:
                    cells.append("–")
                    continue
                cells.append(str(Number(difference.mean, 1, signed=True, p=difference.p)))
                if name == MEAN_AUA:
                    sure = difference.p is not None and difference.p < 0.05
                    direction = "more" if difference.mean.value > 0 else "less"
                    told[direction if sure else "open"] += 1
            rows.append(cells)
    if not rows:
        return f"*{arm}*: not measured yet."
    verdict = (
        f"*{arm}* is more robust in {told['more']} of {len(rows)} comparisons, less robust in "
        f"{told['less']}, and in {told['open']} the difference cannot be told from chance."
    )
    columns = ["task", f"{arm} minus", "Clean%", "Aua%, mean of attacks"]
    return f"{verdict}\n\n" + markdown(Table("", columns, rows))


def efficient(found: dict[str, Comparison], summaries: dict[str, list[ArmSummary]]) -> str:
    """The frontier of each task, of training times measured on an idle machine where there are any."""
    timed = None
    if (RECORDS / TIME).is_dir():
        comparison = Comparison.load(RECORDS / TIME)
        timed = {summary.name: summary.time_ratios for summary in summarise(comparison)}
    lines = []
    for task, comparison in found.items():
        points = frontier_points(comparison, summaries[task])
        baseline = comparison.record.baseline
        if timed is not None:
            points = {
                name: (timed[name][baseline], aua) for name, (_, aua) in points.items() if name in timed
            }
        best = frontier({name: (time.value, aua.value) for name, (time, aua) in points.items()})
        shown = ", ".join(_point(name, *points[name]) for name in best)
        lines.append(f"- {task}: {shown}.")
    return "Training time relative to fine-tuning, and mean Aua%:\n\n" + "\n".join(lines)


def markdown(table: Table) -> str:
    """A table without its heading."""
    return "\n".join(to_markdown([table]).splitlines()[2:])


def _point(name: str, time: Mean, aua: Mean) -> str:
    return f"{name} ({time.value:.2f} ×, {Number(aua, 1)} %)"


if __name__ == "__main__":
    PAGE.write_text(build(), encoding="utf-8")
