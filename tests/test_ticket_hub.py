"""Tickets on the Hugging Face hub, with its cache and its client in place of the network."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import models
import numpy as np
import pytest
import torch
from conftest import call
from huggingface_hub import ModelCard

from earlyrobust import Ticket, WeightTicket, prune, zero_weights
from earlyrobust.errors import TicketError
from earlyrobust.tickets import hub

WEIGHTS = WeightTicket("bert", {"layer.weight": np.eye(3, dtype=np.bool_)}, {"method": "robust-ticket"})
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in the hub's cache of a repository that was fetched before."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "cache" / "models--me--my-ticket"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    return repository / "snapshots" / COMMIT


@pytest.mark.parametrize("ticket", [models.ticket("bert"), WEIGHTS], ids=["heads and neurons", "weights"])
def test_a_ticket_is_loaded_by_its_name(cache: Path, ticket: Ticket | WeightTicket) -> None:
    ticket.save_pretrained(cache)
    assert type(ticket).from_pretrained("me/my-ticket").fingerprint == ticket.fingerprint
    assert call("ticket", "show", "me/my-ticket").code == 0


def test_what_cannot_be_fetched_is_refused(cache: Path) -> None:
    with pytest.raises(TicketError, match="'me/my-ticket' is not a folder here and could not be fetched"):
        Ticket.from_pretrained("me/my-ticket")
    assert "could not be fetched" in call("ticket", "show", "me/my-ticket").err


def test_a_folder_comes_before_a_repository(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = models.ticket("bert")
    whole.save_pretrained(tmp_path / "here" / "me" / "my-ticket")
    monkeypatch.chdir(tmp_path / "here")
    assert Ticket.from_pretrained("me/my-ticket").fingerprint == whole.fingerprint
    with pytest.raises(TicketError, match="no ticket in"):
        Ticket.from_pretrained(Path("me/elsewhere"))  # a path is never taken for a name


class Hub:
    """What the client of the hub is asked for."""

    def __init__(self, *, has_card: bool = False, refuses: Exception | None = None) -> None:
        self.has_card, self.refuses = has_card, refuses
        self.made: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}

    def __call__(self, token: Any = None) -> Hub:
        self.token = token
        return self

    def create_repo(self, name: str, *, private: bool | None, exist_ok: bool) -> Any:
        if self.refuses is not None:
            raise self.refuses
        self.made = {"name": name, "private": private, "exist_ok": exist_ok}
        return SimpleNamespace(repo_id=name)

    def file_exists(self, name: str, file: str, *, revision: str | None) -> bool:
        return self.has_card

    def upload_folder(self, *, repo_id: str, folder_path: Path, **options: Any) -> Any:
        self.files = {file.name: file.read_bytes() for file in folder_path.iterdir()}
        self.options = options
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")


@pytest.mark.parametrize("ticket", [models.ticket("bert"), WEIGHTS], ids=["heads and neurons", "weights"])
def test_what_is_pushed_is_loaded_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ticket: Ticket | WeightTicket
) -> None:
    client = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", client)
    url = ticket.push_to_hub("me/my-ticket", private=True, token="x", revision="v1", commit_message="1")
    assert url == "https://hub/me/my-ticket/commit/1"
    assert client.made == {"name": "me/my-ticket", "private": True, "exist_ok": True}
    assert client.token == "x"
    others = [name for kind in (Ticket, WeightTicket) if not isinstance(ticket, kind) for name in kind.FILES]
    assert client.options == {"revision": "v1", "commit_message": "1", "delete_patterns": others}
    for name, content in client.files.items():
        (tmp_path / name).write_bytes(content)
    assert type(ticket).from_pretrained(tmp_path).fingerprint == ticket.fingerprint
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.library_name == "earlyrobust"
    assert ticket.summary in card.text


def test_the_card_loads_the_ticket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of the card, run on a model of the family."""
    ticket = models.ticket("bert")
    ticket.save_pretrained(tmp_path / "me" / "my-ticket")
    models.classifier("bert").base_model.save_pretrained(tmp_path / "ENCODER")
    monkeypatch.chdir(tmp_path)
    example = ticket.card("me/my-ticket").split("```python\n")[1].split("```")[0]
    found: dict[str, Any] = {}
    exec(example, found)
    expected = prune(models.classifier("bert"), ticket)
    encoder = found["model"].base_model.state_dict()
    assert all(torch.equal(encoder[name], one) for name, one in expected.base_model.state_dict().items())
    assert zero_weights.__name__ in WEIGHTS.card("me/other")


def test_a_card_that_is_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Hub(has_card=True)
    monkeypatch.setattr(huggingface_hub, "HfApi", client)
    models.ticket("bert").push_to_hub("me/my-ticket")
    assert set(client.files) == set(Ticket.FILES)


def test_a_refused_upload_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = OSError("401 Unauthorized.\nInvalid username.")
    monkeypatch.setattr(huggingface_hub, "HfApi", Hub(refuses=refused))
    with pytest.raises(TicketError, match=r"could not be uploaded to 'me/my-ticket' \(401 Unauthorized\)"):
        models.ticket("bert").push_to_hub("me/my-ticket")


@pytest.mark.parametrize("name", ["runs", "a/b/c", "a/ b", "./a", "/tmp/x", ""])
def test_what_is_no_name_of_a_repository(name: str) -> None:
    assert not hub.is_name(name)
