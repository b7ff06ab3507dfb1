"""Renders the report of a run, a comparison or an experiment as one page, from its records and journals."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.summary import ArmSummary, summarise
from earlyrobust.errors import OutputError
from earlyrobust.journal import read_journal
from earlyrobust.reports import plots
from earlyrobust.reports.comparisons import FAILED, TABLES, comparison_tables, frontier_points, headlines
from earlyrobust.reports.examples import attack_section, class_namer
from earlyrobust.reports.html import environment, plain, setting, write_page
from earlyrobust.reports.marking import mark_columns
from earlyrobust.reports.numbers import percent_mean
from earlyrobust.reports.resources import resources_of_arms
from earlyrobust.reports.runs import describe_cost, run_headlines, run_tables
from earlyrobust.reports.tables import Table, to_csv, to_latex, to_markdown
from earlyrobust.reports.validity import doubts_of_arms, faults_of_runs
from earlyrobust.reports.verdicts import as_json, verdicts_on_run
from earlyrobust.results import (
    ATTACKS_FOLDER,
    COMPARISON_NAME,
    EXPERIMENT_NAME,
    RECORD_NAME,
    ComparisonRecord,
    EnvironmentRecord,
    ExperimentRecord,
    RunRecord,
)
from earlyrobust.results.experiment import View
from earlyrobust.statistics.measures import AUA, CLEAN, OVERALL, Mean, of_attack
from earlyrobust.storage import write_atomically

REPORT_PAGE = "report.html"
_DIFFERENCES = "comparison-differences.json"
# Number of examples of each status on the page of a run; `examples.html` shows all examples.
_EXAMPLES = 6
# The errors that changed records can cause.
_SENSELESS = (ArithmeticError, LookupError, TypeError, ValueError)
# Titles of the trainings of a run.
_STAGES = {"dense": "Training of the dense model", "ticket": "Search", "model": "Training of the model"}


@dataclass(frozen=True)
class Chapter:
    """A part of a report.

    Attributes:
        title: Title of the chapter; empty for the only chapter of a report.
        headlines: Sentences that sum up the chapter.
        tables: The tables.
        pictures: Captions and figures before the tables.
        details: Captions and figures after the tables.
        attacks: The sections of attacks: see `attack_section`.
        differences: The tested differences of a comparison as JSON types; empty without differences.
    """

    title: str
    headlines: list[str]
    tables: list[Table]
    pictures: list[tuple[str, Figure]]
    details: list[tuple[str, Figure]] = field(default_factory=list)
    attacks: list[dict[str, Any]] = field(default_factory=list)
    differences: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The content of a page.

    Attributes:
        title: Title of the page, in a line.
        headlines: Sentences that sum up the whole report.
        notes: Notes for the reader, a sentence each.
        chapters: The chapters.
        command: The command that repeats the work; empty if it is not known.
        facts: Options and environment, in groups by title.
        label_names: Names of the classes, for the examples of attacks.
    """

    title: str
    headlines: list[str]
    notes: list[str]
    chapters: list[Chapter]
    command: str
    facts: dict[str, list[tuple[str, str]]]
    label_names: list[str] = field(default_factory=list)


def render_report(folder: Path) -> list[Path]:
    """Render the report of a run, a comparison or an experiment into its folder.

    Args:
        folder: Folder of the run, comparison or experiment.

    Returns:
        The paths of the files: `report.html`; for each comparison also its tables as Markdown, CSV and LaTeX,
        and its tested differences as JSON.

    Raises:
        OutputError: If there is no record, a record cannot be read, or the report cannot be written.
    """
    try:
        report, chapters = _read(folder)
        made = environment()
        made.filters["class_name"] = class_namer(report.label_names)
        write_page(made, REPORT_PAGE, folder / REPORT_PAGE, report=report, compare=mark_columns)
        written = [path for place, chapter in chapters.items() for path in _write_tables(place, chapter)]
    except OSError as error:
        raise OutputError(f"'{folder / REPORT_PAGE}' cannot be written: {error.strerror}.") from error
    except _SENSELESS as error:
        # Records have the right JSON types, but a changed record may hold values that no run writes.
        told = str(error).rstrip(".")
        raise OutputError(
            f"The records in '{_place_of_fault(folder)}' hold values that make no sense ({told}): restore "
            "them, or delete the folder and run the command again."
        ) from error
    return [folder / REPORT_PAGE, *written]


def _place_of_fault(folder: Path) -> Path:
    """Return the folder of the first run that cannot be shown alone; the given folder if there is none."""
    try:
        parts = ExperimentRecord.load(folder).parts if (folder / EXPERIMENT_NAME).exists() else {"": "."}
        for place in (folder / part for part in parts.values()):
            record = ComparisonRecord.load(place) if (place / COMPARISON_NAME).exists() else None
            for cell in [] if record is None else record.cells:
                if cell.error is None and not _can_be_shown(place / cell.folder):
                    return Path(os.path.normpath(place / cell.folder))
    except (*_SENSELESS, OutputError):
        pass  # The first error is told.
    return folder


def _can_be_shown(run: Path) -> bool:
    try:
        if (run / RECORD_NAME).exists():
            _run(run)
    except (*_SENSELESS, OutputError):
        return False
    return True


def _read(folder: Path) -> tuple[Report, dict[Path, Chapter]]:
    """Return the report of a folder, and by folder the chapters whose tables become files of their own."""
    if (folder / EXPERIMENT_NAME).exists():
        return _experiment(folder)
    if (folder / COMPARISON_NAME).exists():
        comparison = Comparison.load(folder)
        chapter = _chapter("", comparison, ("frontier",), None)
        record = comparison.record
        report = Report(record.title, [], [], [chapter], record.command, _facts_of(comparison))
        return report, {folder: chapter}
    if (folder / RECORD_NAME).exists():
        return _run(folder), {}
    raise OutputError(
        f"There is nothing to report in '{folder}': it holds no {RECORD_NAME}, {COMPARISON_NAME} or "
        f"{EXPERIMENT_NAME}; name the folder of a finished run, a comparison or an experiment."
    )


def _experiment(folder: Path) -> tuple[Report, dict[Path, Chapter]]:
    record = ExperimentRecord.load(folder)
    chapters: dict[Path, Chapter] = {}
    facts: dict[str, list[tuple[str, str]]] = {}
    for task, part in record.parts.items():
        if not (folder / part / COMPARISON_NAME).exists():
            continue  # not begun yet
        comparison = Comparison.load(folder / part)
        chapters[folder / part] = _chapter(task, comparison, record.views, record.sweep)
        facts |= {f"{name}, {task}": pairs for name, pairs in _facts_of(comparison).items()}
    title = f"{record.name}: {record.title} (scale {record.scale})"
    return Report(title, [], record.notes, list(chapters.values()), record.command, facts), chapters


def _chapter(title: str, comparison: Comparison, views: Sequence[View], sweep: str | None) -> Chapter:
    summaries = summarise(comparison)
    pictures: list[tuple[str, Figure]] = []
    if "frontier" in views and (points := frontier_points(comparison, summaries)):
        pictures.append(
            (
                "Accuracy under attack, averaged over attacks, against training time; bars are intervals",
                plots.aua_against_time(
                    {plain(arm): point for arm, point in points.items()}, plain(comparison.record.baseline)
                ),
            )
        )
    if "sweep" in views and sweep is not None and (curves := _curves(comparison, summaries, sweep)):
        pictures.append((f"Accuracy against {sweep}", plots.against_option(curves, sweep)))
    details = [
        picture
        for arm, runs in comparison.runs.items()
        for seed, run in sorted(runs.items())[:1]
        for picture in _pictures_of_run(run, f"{arm}, seed {seed}: ", views)
    ]
    if not pictures:  # then the pictures of the runs are the point
        pictures, details = details, []
    told = [*headlines(comparison, summaries), *doubts_of_arms(comparison), *faults_of_runs(comparison)]
    tables = comparison_tables(comparison, summaries)
    tested = as_json(comparison, summaries) if any(summary.differences for summary in summaries) else {}
    return Chapter(title, told, tables, pictures, details, differences=tested)


def _curves(
    comparison: Comparison, summaries: Sequence[ArmSummary], option: str
) -> dict[str, dict[float, Mean]]:
    """Return Clean% and mean Aua% by the value of the option that the arms vary."""
    curves: dict[str, dict[float, Mean]] = {}
    for summary in summaries:
        value = comparison.record.arms[summary.name].get(option)
        for name in (CLEAN, of_attack(AUA, OVERALL)):
            if value is not None and name in summary.measures:
                curves.setdefault(name, {})[float(value)] = summary.measures[name]
    return curves


def _pictures_of_run(run: RunRecord, begin: str, views: Sequence[View]) -> Iterator[tuple[str, Figure]]:
    search = run.search
    if search is not None and search.has_distances:
        gamma = float(run.config.get("gamma", 0.1))
        end = f"the search ended after {search.epochs:.2f} epochs ({search.stop_reason})"
        yield f"{begin}distance between consecutive masks; {end}", plots.settling(search, gamma)
        if "distances" in views:
            yield (
                f"{begin}distance between the masks of any two miniepochs",
                plots.mask_distances(search, narrow=True),
            )
    if run.ticket is not None and ("layers" in views or "frontier" in views):
        yield f"{begin}heads and neurons that each layer keeps", plots.kept_per_layer(run.ticket, narrow=True)


def _run(folder: Path) -> Report:
    record = RunRecord.load(folder)
    shown = _pictures_of_run(record, "", ("distances", "layers"))
    details = [(caption[0].upper() + caption[1:], figure) for caption, figure in shown]
    details += [
        (f"{_STAGES.get(stage, stage)}: loss, gradient norm and learning rate", plots.training_curves(log))
        for stage, log in record.training.items()
        if any(loss is not None for loss in log.loss)
    ]
    attacks = []
    for title, attack in record.attacks.items():
        journal = folder / ATTACKS_FOLDER / str(attack.journal)
        if attack.journal is None or not journal.exists():
            continue  # journals hold the texts, so a shared record may come without them
        attacked = [example for example in read_journal(journal)[1] if example.status != "skipped"]
        attacks.append(attack_section(title, attack, attacked, _EXAMPLES))
    caption = "Accuracy, clean and under attack, with 95 % intervals"
    pictures = [(caption, plots.accuracies(_accuracies(record)))]
    chapter = Chapter("", [], run_tables(record), pictures, details, attacks)
    seed, model = record.config.get("seed"), record.config.get("model")
    title = f"{record.method} on {record.data.name}: {model}, seed {seed}"
    facts = {"Options": _pairs(record.config), "Environment": _environment(record.environment)}
    options = ["--config", str(folder / "config.yaml"), "--output", str(folder)]
    # The record of `earlyrobust finetune` does not hold the folder of the ticket, so the command is unknown.
    command = "" if record.method == "finetune-ticket" else shlex.join(["earlyrobust", "run", *options])
    verdict, *rest = verdicts_on_run(record, folder) or [""]
    cost, told = describe_cost(record), run_headlines(record)
    if verdict and cost is not None:
        verdict, told = f"{verdict} {cost}", [sentence for sentence in told if sentence != cost]
    headlines = [*filter(None, [verdict]), *rest, *told]
    return Report(title, headlines, [], [chapter], command, facts, record.data.label_names)


def _accuracies(record: RunRecord) -> dict[str, dict[str, Mean]]:
    """Return the accuracies of the models of a run, in percent."""
    models = {record.column_of_dense: record.dense, record.title: record.model}
    return {
        plain(title): {
            CLEAN: percent_mean(model.test),
            **{
                plain(of_attack(AUA, name)): percent_mean(attack.under_attack)
                for name, attack in model.attacks.items()
            },
        }
        for title, model in models.items()
        if model is not None
    }


def _write_tables(folder: Path, chapter: Chapter) -> list[Path]:
    """Write the tables and differences of a comparison beside its page, and return the paths of the files.

    The Markdown file begins with the headlines. Files of an earlier call whose tables the page no longer has
    are deleted.
    """
    tables = chapter.tables
    told = [" ".join(f"- {sentence}".splitlines()) for sentence in chapter.headlines]
    files = {"comparison.md": "\n".join([*told, "", to_markdown(tables)]), "comparison.tex": to_latex(tables)}
    files |= {f"comparison-{table.name}.csv": to_csv(table) for table in tables if table.name != FAILED}
    if chapter.differences:
        told_apart = json.dumps(chapter.differences, ensure_ascii=False, indent=2, allow_nan=False)
        files[_DIFFERENCES] = f"{told_apart}\n"
    known = (f"comparison-{name}.csv" for name in TABLES)
    for name in (*known, _DIFFERENCES):
        if name not in files:  # An earlier call wrote it, and it would not fit the page.
            (folder / name).unlink(missing_ok=True)
    for name, text in files.items():
        content = text.encode("utf-8", "backslashreplace")  # halves of surrogate pairs have no encoding
        write_atomically(folder / name, lambda path, content=content: path.write_bytes(content))  # type: ignore[misc]
    return [folder / name for name in files]


def _facts_of(comparison: Comparison) -> dict[str, list[tuple[str, str]]]:
    arms = [(arm, _in_words(options)) for arm, options in comparison.record.arms.items()]
    facts = {"Arms": arms, "Options of all": _pairs(comparison.record.config)}
    if resources := resources_of_arms(comparison):
        facts["Resources of attacks"] = list(resources.items())
    places: list[EnvironmentRecord] = []
    for run in (run for runs in comparison.runs.values() for run in runs.values()):
        if run.environment not in places:
            places.append(run.environment)
    for number, place in enumerate(places, 1):
        facts["Environment" if len(places) == 1 else f"Environment {number}"] = _environment(place)
    return facts


def _in_words(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {setting(value)}" for name, value in options.items())


def _pairs(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), setting(value)) for name, value in options.items() if value is not None]


def _environment(place: EnvironmentRecord) -> list[tuple[str, str]]:
    return [
        *place.versions.items(),
        ("platform", place.platform),
        ("processor", place.processor),
        ("threads", str(place.threads)),
        ("device", place.device),
        *([("code", place.code)] if place.code else []),
    ]
