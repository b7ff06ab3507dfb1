"""Writes docs/evidence.md and the results of the front page from the committed records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import attack_strength
from front_page import passes_table, picture, with_front
from matplotlib import rc_context
from measured import NOISE_COMPARISONS, RECORDS, Measured, budget, load
from questions import SETTLED, questions, questions_of_noise

from earlyrobust.analysis.summary import summarise
from earlyrobust.reports.comparisons import cost_table, difference_table, results_table
from earlyrobust.reports.tables import to_markdown

ROOT = Path(__file__).parents[1]
ATTACKS = Path(__file__).with_name("attacks")
PAGE = ROOT / "docs" / "evidence.md"
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "images" / "results.svg"
# Our interpretation of the answers in words: a section for each question.
READINGS = Path(__file__).with_name("readings.md")

# Names of the records of comparisons on real text, in the order of the page; missing records are left out.
COMPARISONS = ("sst2", "ag_news", "imdb", "qnli")
# The title of the comparison of the method under noise with itself after a change of one part.
NOISE_PARTS = {"method-sst2-more": "sst2, under noise, part by part"}

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
