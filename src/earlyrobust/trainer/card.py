"""The section on robustness in the model card that transformers' Trainer writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import ModelCard
from huggingface_hub.constants import REPOCARD_NAME

if TYPE_CHECKING:
    from earlyrobust.adversarial import Adversary
    from earlyrobust.noise import TextNoise
    from earlyrobust.tickets.ticket import Ticket

# The section is inserted before this heading of Trainer's card.
_NEXT = "\n## Training procedure"
_LOAD = """\
Heads and neurons are cut out of this classifier, so transformers loads it only after `import earlyrobust`:

```python
import earlyrobust
from transformers import pipeline

classify = pipeline("text-classification", model="{name}")
```
"""


def extend_card(
    folder: Path, adversary: Adversary | None, noise: TextNoise | None, ticket: Ticket | None, name: str
) -> None:
    """Add the adversary, the noise and the ticket to the model card in a folder.

    Args:
        folder: The folder of the card.
        adversary: The adversary of the training; None for none.
        noise: The noise in the training texts; None for none.
        ticket: The ticket by which the model was cut; None for a model that is not cut.
        name: The name or path from which users load the model.
    """
    path = folder / REPOCARD_NAME
    card = ModelCard.load(path)
    card.data.tags = [*dict.fromkeys([*(card.data.tags or []), "earlyrobust", "adversarial-robustness"])]
    before, heading, after = card.text.partition(_NEXT)
    section = "\n".join(_parts(adversary, noise, ticket, name))
    card.text = f"{before.rstrip()}\n\n## Robustness\n\n{section}\n{heading}{after}"
    card.save(path)


def _parts(
    adversary: Adversary | None, noise: TextNoise | None, ticket: Ticket | None, name: str
) -> Iterator[str]:
    if adversary is None:
        yield "- Adversary in the training step: none"
    else:
        yield f"- Adversary in the training step: {type(adversary).__name__} ({_told(adversary.config)})"
    yield f"- Noise in the training texts: {'none' if noise is None else _told(noise.config)}"
    if ticket is not None:
        origin = [f"{key} {ticket.origin[key]}" for key in ("method", "seed") if key in ticket.origin]
        searched = f" Its search: {', '.join(origin)}." if origin else ""
        yield f"- Ticket: {ticket.summary}{searched}\n"
        yield _LOAD.format(name=name)


def _told(config: Any) -> str:
    """Return the settings of an adversary or of a noise on one line."""
    return ", ".join(f"{name} {value}" for name, value in asdict(config).items())
