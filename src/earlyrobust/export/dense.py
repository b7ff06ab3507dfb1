"""Exports a cut model as an ordinary transformers model of its family."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from earlyrobust.pruning import to_dense

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def export_dense(model: PreTrainedModel, folder: str | Path) -> None:
    """Write a cut classifier at full size, with zeros where it was cut.

    The export is as large and as slow as the model before it was cut.

    Args:
        model: The cut classifier, which carries its ticket.
        folder: The folder to which the export is written.

    Raises:
        ModelError: If the model is not cut, or carries no ticket.
    """
    to_dense(model).save_pretrained(folder)
