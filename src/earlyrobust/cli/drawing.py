"""What is drawn into the folder of a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from earlyrobust import processes

if TYPE_CHECKING:
    from earlyrobust.results import RunRecord


def draw_run(record: RunRecord, folder: Path) -> None:
    """Draw a run's pictures, its examples, its page, and the card of its classifier."""
    if not processes.is_first():
        return
    from earlyrobust.pipeline.folder import MODEL
    from earlyrobust.reports.card import draw_card
    from earlyrobust.reports.examples import draw_journals
    from earlyrobust.reports.pages import draw_report
    from earlyrobust.reports.plots import draw_pictures
    from earlyrobust.results import ATTACKS_FOLDER

    draw_pictures(record, folder)
    draw_journals(record.attacks, record.data.label_names, folder / ATTACKS_FOLDER, record.findings)
    draw_report(folder)
    draw_card(record, folder / MODEL)
