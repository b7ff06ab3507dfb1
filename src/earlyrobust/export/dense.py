"""A cut model as an ordinary one of its family, for everything that knows transformers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from earlyrobust.pruning import to_dense

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def export_dense(model: PreTrainedModel, folder: Path) -> None:
    """Write a cut classifier at full size, with zeros where it was cut: as large and as slow as before.

    Raises:
        ModelError: If it is not cut, or carries no ticket.
    """
    to_dense(model).save_pretrained(folder)
