"""Writes the pages of evidence and the results of the front page from the committed records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import attack_strength
from front_page import TIME_NOTE, passes_table, picture, with_front
from matplotlib import rc_context
from measured import NOISE_COMPARISONS, RECORDS, Measured, budget, load
from questions import SETTLED, questions, questions_of_noise
from questions_preset import questions_of_preset

from earlyrobust.analysis.summary import summarise
from earlyrobust.reports.comparisons import cost_table, difference_table, results_table
from earlyrobust.reports.tables import to_markdown

ROOT = Path(__file__).parents[1]
ATTACKS = Path(__file__).with_name("attacks")
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PICTURE = DOCS / "images" / "results.svg"
# Our interpretation of the answers in words: a section for each question.
READINGS = Path(__file__).with_name("readings.md")

# Names of the records of comparisons on real text, in the order of the page; missing records are left out.
COMPARISONS = ("sst2", "ag_news", "imdb", "qnli")
# The title of the comparison of the method under noise with itself after a change of one part.
NOISE_PARTS = {"method-sst2-more": "sst2, under noise, part by part"}

BEGIN = """# Evidence

This page reports measurements on real data with the embedded encoder `minilm` (6 layers, 384 channels), and
in one comparison with an encoder of base size.
`evidence/build.py` makes every table from the records under `evidence/records` and `evidence/attacks`, and
takes relative times of training steps from the package. A test checks that the page matches the records. The
sentences between the tables are ours. [All tables](evidence-tables.md) has each comparison in full.
[The earlier preset](evidence-preset.md) has the measurements of a preset that this version no longer has.

Aua% is accuracy under attack: the share of attacked texts that are still classified correctly. All intervals
are 95 % intervals. *p* compares two methods under the same seeds.

- If the records hold the answers to single examples, Aua% is compared example by example. With five seeds or
  more, *p* and interval then also cover the choice of the seeds.
- The older records hold no answers to single examples. There, Student's paired test over seeds compares Aua%.
- Clean% is also compared by Student's paired test over seeds. With fewer than three seeds, it is compared by
  counts.

"before → after" gives *p* before and after Holm's correction for the number of tests. Under a question, the
correction covers the tests of one column. In [all tables](evidence-tables.md), it covers the tests of one
comparison. A difference is *distinguishable* if *p* is below 0.05 after the correction. Few seeds and many
tests make that hard to reach. A difference is a *hint* if *p* is below 0.05 only before the correction.
Intervals are not corrected. The attacks use the resources that each record names. Numbers with other
resources are not comparable.

The page uses the words of [Concepts](concepts.md). *earlyrobust* is the method of the paper. In the records
of InfoBERT and SMART, these methods have earlier steps: InfoBERT takes its anchors from a clean pass, and
SMART's step has the same length for each text instead of each token.
"""

PRESET_BEGIN = """# The earlier preset

This page reports measurements of *earlyrobust-swap* ("the preset"), which this version no longer has. It
trained a ticket briefly under word swaps, with twice the learning rate (see [Word
swaps](methods/wordswap.md)). [Evidence](evidence.md) explains *p*, intervals and hints, and
[all tables](evidence-tables.md) has the comparisons in full.

In short:

- On SST-2, neither short FreeLB on the ticket nor the preset is distinguishable from fine-tuning, PGD or
  FreeLB in robustness. Nothing shows that the ticket adds to the gain of the swaps.
- The preset does not learn QNLI at its own learning rate. At half that rate it learns, but stays well behind
  fine-tuning.
- On SST-2, the preset is not distinguishable from the most robust baseline, with a wide interval, and PGD
  takes several times its training time. On AG News the saving is small. On IMDB (under one seed) and on QNLI,
  the preset does not learn its task.
- Of the arms that were timed alone on SST-2, the preset and FreeLB are on the efficient frontier. FreeLB has
  the higher accuracy under attack, by less than the interval, and takes many times as long.
"""

TABLES_BEGIN = f"""# All tables

This page has the tables of all comparisons. [Evidence](evidence.md) asks the questions and explains *p*,
intervals and hints.

{TIME_NOTE}
"""

# The main answers in words. The links are the anchors of the questions, and mkdocs checks them.
SUMMARY = """## Summary

- [Tickets under text noise](#is-a-ticket-under-text-noise-more-robust-than-its-rivals): on SST-2, the
  ticket of `earlyrobust-noise` is more robust than fine-tuning (five seeds), flooding (four) and PGD with
  five steps (two). It is not distinguishable from PGD with one step (five, a hint) and FAT (four), which has
  the higher mean. On the weakest class, the ticket is ahead of all of them. On AG News it is more robust than
  fine-tuning (two seeds). With an encoder of base size, in a short training, it is not distinguishable from
  fine-tuning under attack (two seeds), and its means are lower. On QNLI the mean over classes is not
  distinguishable, and the ticket is ahead on the weakest class (three seeds).
- [Other words](#does-the-gain-hold-against-words-that-the-training-did-not-use): if the noise takes
  its words from another list than the attacks, the ticket stays more robust than fine-tuning, by about five
  points, and than PGD with one step (five seeds each).
- [The search under text noise](#what-does-the-search-add-to-training-under-text-noise): on SST-2, the
  searched ticket is more robust than a random one by about two points (four seeds). This does not cover the
  choice of the seeds, and the random ticket is cut earlier.
- [A shorter training](#what-does-each-part-of-the-method-under-text-noise-add): the ticket of a training of
  little more than one epoch, less than a tenth of the time of PGD with five steps, is more robust than
  fine-tuning of three epochs, and less accurate on clean texts (three seeds).
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
  embeddings are ahead of the ticket in nearly every comparison. With three seeds (four tasks), no single
  difference is distinguishable. In the comparison under noise on SST-2 (one seed), FAT and PGD with one
  step and with five are ahead by distinguishable differences.
"""


def build() -> dict[str, str]:
    """Return the pages of evidence, by the name of the file under `docs/`."""
    tasks = load({name: name for name in COMPARISONS})
    rivals, changed = load(NOISE_COMPARISONS), load(NOISE_PARTS)
    settled = [
        replace(Measured.load(folder.name), task=f"{folder.name.removeprefix(SETTLED)}, small steps")
        for folder in sorted(RECORDS.glob(f"{SETTLED}*"))
    ]
    main = [BEGIN, SUMMARY, "## Questions and answers"]
    main += answers([*questions_of_noise(rivals, changed), *questions(tasks, rivals, settled)])
    main += attack_strength.chapter(ATTACKS)
    main += attack_strength.illusions(ATTACKS / "scrutiny")
    preset = [PRESET_BEGIN, *answers(questions_of_preset(tasks))]
    tables = [TABLES_BEGIN]
    for measured in [*rivals, *changed]:
        tables += chapter(measured, has_passes=True)
    for measured in [*tasks, *settled]:
        tables += chapter(measured)
    pages = {"evidence.md": main, "evidence-tables.md": tables, "evidence-preset.md": preset}
    return {name: "\n\n".join(part.strip("\n") for part in parts) + "\n" for name, parts in pages.items()}


def answers(questions: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield each question with its answer from the records, and our interpretation of the answer."""
    read = readings()
    for question, answer in questions:
        yield from (f"### {question}", answer, read[question])


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
    yield f"## {measured.task}\n\n{budget(measured.comparison)}"
    tables = [results_table(measured.comparison, summaries), difference_table(measured.comparison, summaries)]
    if has_passes:
        tables.append(passes_table(measured.comparison, summaries))
    if measured.times is not None:
        tables.append(cost_table(measured.times, summarise(measured.times)))
    yield to_markdown([table for table in tables if table is not None])
    if measured.times is not None:
        yield f"The times come from separate runs on an idle machine: {budget(measured.times)}"


def main() -> None:
    """Write the pages of evidence, and the table and the picture of the front page."""
    for name, text in build().items():
        (DOCS / name).write_text(text, encoding="utf-8")
    README.write_text(with_front(README.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURE.parent.mkdir(exist_ok=True)
    # Text stays text, and the fixed salt makes the file reproducible.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "earlyrobust"}):
        picture().savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
