"""What is drawn into the folder of a finished run: pictures, examples, a page and a card."""

from __future__ import annotations

from pathlib import Path

from earlyrobust.reports.card import render_card
from earlyrobust.reports.examples import render_journals
from earlyrobust.reports.pages import render_report
from earlyrobust.reports.plots import render_pictures
from earlyrobust.results import ATTACKS_FOLDER, MODEL_FOLDER, RunRecord, sentences_in


def render_run(folder: Path | str) -> list[Path]:
    """Draw the pictures of a finished run, the examples of its attacks, its page, and its classifier's card.

    Args:
        folder: The folder of the run, such as `fitted.folder`.

    Returns:
        The pictures, the page and the card.

    Raises:
        OutputError: If there is no record in the folder, or it cannot be read.
    """
    place = Path(folder)
    record = RunRecord.load(place)
    pictures = render_pictures(record, place)
    render_journals(record.attacks, record.data.label_names, place / ATTACKS_FOLDER, record.findings)
    pages = render_report(place)
    return [*pictures, *pages, render_card(record, place / MODEL_FOLDER, sentences_in(place))]
