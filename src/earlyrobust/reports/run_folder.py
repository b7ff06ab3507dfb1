"""Renders the pictures, the pages and the card of a finished run into its folder."""

from __future__ import annotations

from pathlib import Path

from earlyrobust.reports.card import render_card
from earlyrobust.reports.examples import render_journals
from earlyrobust.reports.pages import render_report
from earlyrobust.reports.plots import render_pictures
from earlyrobust.reports.verdicts import verdicts_on_run
from earlyrobust.results import ATTACKS_FOLDER, MODEL_FOLDER, RunRecord, sentences_in


def render_run(folder: Path | str) -> list[Path]:
    """Render the pictures, the pages of examples and results, and the card of a finished run into its folder.

    Args:
        folder: The folder of the run, such as `fitted.folder`.

    Returns:
        The paths of the pictures, of the page of results, and of the card. There is no card if the folder of
        the classifier is gone.

    Raises:
        OutputError: If there is no record in the folder, or it cannot be read.
    """
    place = Path(folder)
    record = RunRecord.load(place)
    pictures = render_pictures(record, place)
    render_journals(record.attacks, record.data.label_names, place / ATTACKS_FOLDER, record.findings)
    pages = render_report(place)
    model = place / MODEL_FOLDER
    if not model.is_dir():
        return [*pictures, *pages]
    return [
        *pictures,
        *pages,
        render_card(record, model, sentences_in(place), verdicts_on_run(record, place)),
    ]
