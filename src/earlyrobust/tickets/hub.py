"""Tickets on the Hugging Face hub: download, upload, and cards."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import yaml

from earlyrobust.errors import TicketError

_CARD = """\
---
{metadata}---

# A ticket for `{family}`

{summary}
{facts}
Apply the ticket to a pretrained encoder, then fine-tune the result:

```python
from transformers import AutoModelForSequenceClassification

from earlyrobust import {kind}, {function}

ticket = {kind}.from_pretrained("{name}")
model = AutoModelForSequenceClassification.from_pretrained("ENCODER", num_labels=2)
model = {function}(model, ticket)
```
"""
_METADATA = {"library_name": "earlyrobust", "tags": ["earlyrobust", "early-bird-ticket"]}
# Facts of a ticket's origin that its card shows, if they are strings or whole numbers.
_FACTS = ("method", "model", "task", "seed")


def is_name(name: str) -> bool:
    """Return whether a string is the name of a repository on the hub, and not a local folder."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    if Path(name).exists() or name.count("/") != 1:
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def fetch(
    name: str, files: Sequence[str], revision: str | None = None, token: str | bool | None = None
) -> Path:
    """Download the files of a ticket.

    Args:
        name: Name of the repository.
        files: Names of the files.
        revision: Branch, tag or commit; None for the main branch.
        token: Token for a private repository; None for the token of the current login.

    Returns:
        The folder of the cache with those of the files that the repository has.

    Raises:
        TicketError: If the repository cannot be fetched, or has none of the files.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError

    found: list[str] = []
    offline: Exception | None = None
    for file in files:
        try:
            found.append(hf_hub_download(name, file, revision=revision, token=token))
        except RemoteEntryNotFoundError:
            continue
        except LocalEntryNotFoundError as error:  # offline, and not in the cache
            offline = error
        except Exception as error:  # an error of the hub, the network, or the disk
            raise _unreachable(name) from error
    if found:
        return Path(found[0]).parent
    if offline is not None:
        raise _unreachable(name) from offline
    raise TicketError(f"There is no ticket in '{name}': {files[0]} is missing.")


def _unreachable(name: str) -> TicketError:
    return TicketError(
        f"'{name}' is not a folder here and could not be fetched from the Hugging Face hub: check the name, "
        "the network and your login."
    )


def push(
    folder: Path,
    name: str,
    card: str,
    private: bool | None,
    token: str | bool | None,
    revision: str | None,
    message: str | None,
    removed: list[str],
) -> str:
    """Upload the files in a folder, with a card if the repository has none; see `SavedTicket.push_to_hub`.

    The same commit removes the files of the names in `removed`.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.constants import REPOCARD_NAME

    api = HfApi(token=token)
    try:
        repo = api.create_repo(name, private=private, exist_ok=True).repo_id
        if not api.file_exists(repo, REPOCARD_NAME, revision=revision):
            (folder / REPOCARD_NAME).write_text(card, encoding="utf-8")
        done = api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            revision=revision,
            commit_message=message or "Upload a ticket",
            delete_patterns=removed,
        )
    except Exception as error:  # an error of the hub or the network
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise TicketError(
            f"The ticket could not be uploaded to '{name}' ({reason}): check the name, the network and your "
            "login (`hf auth login`)."
        ) from error
    return str(done.commit_url)


def card(name: str, kind: str, function: str, summary: str, content: dict[str, Any]) -> str:
    """Return the card of a ticket in Markdown; see `SavedTicket.card`.

    Args:
        name: The name by which the card loads the ticket.
        kind: The class of the ticket.
        function: The function that applies the ticket to a classifier.
        summary: A sentence on the parts that the ticket keeps.
        content: The content of the ticket's JSON file.
    """
    origin = content["origin"]
    facts = [
        f"- {fact}: {escape(str(origin[fact]))}\n"
        for fact in _FACTS
        if isinstance(origin.get(fact), str | int)
    ]
    return _CARD.format(
        metadata=yaml.safe_dump(_METADATA),
        family=content["model_type"],
        summary=summary,
        facts="".join(facts) and f"\n{''.join(facts)}",
        kind=kind,
        function=function,
        name=name,
    )
