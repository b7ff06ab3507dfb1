"""Adds results of `earlyrobust attack` to the card of a run's classifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earlyrobust.results import AttackReport


def tell_on_card(model: str, report: AttackReport, note: Callable[[str], None]) -> None:
    """Add the results of scrutiny to the card of a run's classifier; do nothing for another classifier.

    Args:
        model: The attacked classifier, as the user names it.
        report: Report of the attack.
        note: Receives a message if the results cannot be added, for example because a user edited the card.
    """
    from earlyrobust.reports.card import CARD_NAME, card_text, render_card
    from earlyrobust.reports.verdicts import verdicts_on_run
    from earlyrobust.results import RECORD_NAME, RunRecord, sentences_in, tell_run
    from earlyrobust.workspace.finding import model_in, run_of
    from earlyrobust.workspace.folder import MODEL

    run = run_of(model)
    if run is None or Path(model_in(model)).resolve() != (run / MODEL).resolve():
        return
    if not (run / RECORD_NAME).is_file():
        return
    record, card = RunRecord.load(run), run / MODEL / CARD_NAME
    verdicts = verdicts_on_run(record, run)
    is_ours = not card.exists() or card.read_text("utf-8") == card_text(record, sentences_in(run), verdicts)
    try:
        tell_run(run, report)
        if is_ours:
            render_card(record, run / MODEL, sentences_in(run), verdicts)
            return
    except OSError as error:
        note(f"The results of scrutiny are not on the card of the run in '{run}': {error.strerror}.")
        return
    note(f"The results of scrutiny are not on the card '{card}', because the card was edited.")
