"""What is drawn into the folder of a finished run: pictures, examples, a page and a card."""

from __future__ import annotations

from pathlib import Path

from earlyrobust.reports.card import draw_card
from earlyrobust.reports.examples import draw_journals
from earlyrobust.reports.pages import draw_report
from earlyrobust.reports.plots import draw_pictures
from earlyrobust.results import ATTACKS_FOLDER, MODEL_FOLDER, RunRecord, sentences_in


def draw_run(folder: Path | str) -> list[Path]:
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
    pictures = draw_pictures(record, place)
    draw_journals(record.attacks, record.data.label_names, place / ATTACKS_FOLDER, record.findings)
    pages = draw_report(place)
    return [*pictures, *pages, draw_card(record, place / MODEL_FOLDER, sentences_in(place))]
