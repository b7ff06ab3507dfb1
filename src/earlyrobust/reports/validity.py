"""Tables of the words and candidates that an attack could try, for screens and pages."""

from __future__ import annotations

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.doubts import doubts_of_each
from earlyrobust.analysis.findings import fallbacks_of
from earlyrobust.reports.resources import mixed_attacks
from earlyrobust.reports.tables import Cell, Table
from earlyrobust.results import AttackRecord, ModelRecord, ValidityRecord

NEVER_OFFERED, CANDIDATES = "Never offered a candidate", "Candidates a word"
TOUCHABLE, READ_IN_PART = "Words that may be touched", "Read in part"
MEANING_OF_ECE = "ECE%: expected calibration error, the mean distance of confidence and accuracy."
MEANING_OF_AUA = "Aua%: accuracy under attack, the share of examples that are still right after the attack."
MEANING_OF_WEAKEST = "Weakest class Aua%: the lowest Aua% of any class."
_TITLE = "Words and candidates that the attacks could try"
_NOTE = (
    "Never offered a candidate: attacked examples for which the attack asked the model about no changed "
    "text; they count as withstood. Candidates a word: candidates that the attack asked the model about, for "
    "each word tried. Read in part: examples that are longer than the model reads."
)


def validity_rows(record: AttackRecord) -> dict[str, str]:
    """Return the rows of the validity table by name: shares with counts, or a dash for unknown ones."""
    validity, total = record.validity, record.clean.total
    return {
        **_shares(validity),
        READ_IN_PART: "–" if record.cut is None else _of(record.cut, total),
    }


def validity_of_models(models: dict[str, ModelRecord]) -> Table | None:
    """Make the table of words and candidates that the attacks on a run's models could try.

    Args:
        models: The models by the headings of their columns; all have the same attacks.

    Returns:
        The table; None if no record has counts.
    """
    columns = {
        (title, name): validity_rows(record)
        for title, model in models.items()
        for name, record in model.attacks.items()
        if record.validity is not None and record.validity.counted
    }
    if not columns:
        return None
    names = dict.fromkeys(name for _, name in columns)
    rows: list[list[Cell]] = [
        [f"{row}, {name}", *(columns.get((title, name), {}).get(row, "–") for title in models)]
        for name in names
        for row in next(iter(columns.values()))
    ]
    return Table(_TITLE, ["", *models], rows, _NOTE)


def validity_of_arms(comparison: Comparison) -> Table | None:
    """Make the table of words and candidates that each attack could try on each arm, summed over seeds.

    Returns:
        The table; None if no record has counts.
    """
    rows: list[list[Cell]] = []
    for arm, runs in comparison.runs.items():
        for name in comparison.attacks:
            records = [run.model.attacks[name] for run in runs.values() if name in run.model.attacks]
            counted = [record.validity for record in records if record.validity is not None]
            if not any(validity.counted for validity in counted):
                continue
            cut = [record for record in records if record.cut is not None]
            total = sum(record.clean.total for record in cut)
            in_part = _of(sum(record.cut or 0 for record in cut), total)
            rows.append([arm, name, *_shares(ValidityRecord.pooled(counted)).values(), in_part])
    if not rows:
        return None
    columns = ["method", "attack", *_shares(None), READ_IN_PART]
    return Table(_TITLE, columns, rows, f"{_NOTE} The counts are sums over seeds.", "validity")


def doubts_of_arms(comparison: Comparison) -> list[str]:
    """Tell why the accuracy under an attack means little in a comparison, over all arms and seeds."""
    return doubts_of_each(*(run.model.attacks for runs in comparison.runs.values() for run in runs.values()))


def faults_of_runs(comparison: Comparison) -> list[str]:
    """Tell the faults of single runs of a comparison, such as a search whose masks have not settled."""
    seeds: dict[tuple[str, str], list[int]] = {}
    for arm, runs in comparison.runs.items():
        for seed, run in runs.items():
            # The table of results has a column for the weakest class.
            doubted = [*doubts_of_each(run.model.attacks), *fallbacks_of(run)]
            for finding in run.findings:
                if finding not in doubted:
                    seeds.setdefault((arm, finding), []).append(seed)
    told = [
        f"{arm}, seed{'s' * (len(own) > 1)} {', '.join(map(str, own))}: {finding}"
        for (arm, finding), own in seeds.items()
    ]
    return [*mixed_attacks(comparison), *_mixed_precision(comparison), *_mixed_code(comparison), *told]


def _mixed_precision(comparison: Comparison) -> list[str]:
    """Tell if some runs computed in bfloat16 and others in float32, as on different machines."""
    lower = [
        f"{arm}, seed {seed}"
        for arm, runs in comparison.runs.items()
        for seed, run in sorted(runs.items())
        if run.config.get("bf16")
    ]
    total = sum(len(runs) for runs in comparison.runs.values())
    if len(lower) in (0, total):
        return []
    return [
        f"{len(lower)} of {total} runs computed in bfloat16, and the others in float32 ({'; '.join(lower)}): "
        "differences between them may come from the precision. Give --bf16 or --no-bf16 to all runs."
    ]


def _mixed_code(comparison: Comparison) -> list[str]:
    """Tell if the runs come from different versions of the code, as after an update in between."""
    made: dict[str, list[str]] = {}
    for arm, runs in comparison.runs.items():
        for seed, run in sorted(runs.items()):
            if run.environment.code:
                made.setdefault(run.environment.code, []).append(f"{arm}, seed {seed}")
    if len(made) < 2:
        return []
    told = "; ".join(f"{code}: {' and '.join(names)}" for code, names in made.items())
    return [
        f"The runs come from {len(made)} versions of earlyrobust's code ({told}): differences between them "
        "may come from the code. Delete the folders of the older runs to repeat them."
    ]


def _shares(validity: ValidityRecord | None) -> dict[str, str]:
    never, words, touchable = "–", "–", "–"
    if validity is not None and validity.counted:
        never = _of(validity.never_offered, validity.counted)
        touchable = _of(validity.touchable, validity.words)
        if validity.candidates_per_word is not None:
            words = f"{validity.candidates_per_word:.1f} (at {validity.tried:,} words)"
    return {NEVER_OFFERED: never, CANDIDATES: words, TOUCHABLE: touchable}


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({100 * part / whole:.1f} %)" if whole else "–"
