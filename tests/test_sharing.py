"""Sharing: the card of a classifier, and the hub, which a stand-in on this machine plays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import models
import pytest
import torch
import yaml
from conftest import Outcome
from hub_stand_in import HubStandIn, hub
from huggingface_hub import ModelCard

from earlyrobust.pruning import prune
from earlyrobust.reports.card import render_card
from earlyrobust.results import RunRecord
from earlyrobust.tickets.ticket import Ticket


def elsewhere(server: HubStandIn, home: Path, code: str, *arguments: object) -> Any:
    """Run some code in a process that knows no other hub than the stand-in."""
    place = {
        "HF_ENDPOINT": server.url,
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(home),
        "HF_TOKEN": "hf_stand_in",
    }
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys\n{code}", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | place | {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_push_to_hub_and_back(tmp_path: Path) -> None:
    small = prune(models.classifier("mpnet"), models.searched_ticket("mpnet"))
    small.save_pretrained(tmp_path / "here")
    fed = {name: values.tolist() for name, values in models.batch("mpnet").items()}
    push = """
import earlyrobust
from transformers import AutoModelForSequenceClassification
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1])
print(json.dumps(model.push_to_hub("me/ticket", commit_message="Robust and small")))
"""
    pull = """
import torch, earlyrobust
from transformers import AutoModelForSequenceClassification
model = AutoModelForSequenceClassification.from_pretrained("me/ticket")
logits = model(**{name: torch.tensor(values) for name, values in json.loads(sys.argv[1]).items()}).logits
print(json.dumps([type(model).__name__, model.ticket.fingerprint, logits.tolist()]))
"""
    with hub() as server:
        elsewhere(server, tmp_path / "home", push, tmp_path / "here")
        files = server.files["me/ticket"]
        name, fingerprint, logits = elsewhere(server, tmp_path / "there", pull, json.dumps(fed))
    assert {"config.json", "model.safetensors", "ticket.json", "ticket.safetensors", "README.md"} <= set(
        files
    )
    assert name == type(small).__name__
    assert fingerprint == small.ticket.fingerprint
    # The other process may have another number of threads, which changes the order of sums.
    assert torch.allclose(torch.tensor(logits), models.logits(small), atol=1e-5)


def test_a_ticket_is_pushed_and_loaded_by_its_name(tmp_path: Path) -> None:
    ticket = models.searched_ticket("bert")
    ticket.save_pretrained(tmp_path / "here")
    push = """
from pathlib import Path
from earlyrobust import Ticket
ticket = Ticket.from_pretrained(Path(sys.argv[1]))
print(json.dumps([ticket.push_to_hub("me/ticket"), ticket.push_to_hub("me/ticket")]))
"""
    pull = """
from earlyrobust import Ticket, WeightTicket
from earlyrobust.errors import TicketError
try:
    WeightTicket.from_pretrained("me/ticket")
except TicketError as error:
    print(json.dumps([Ticket.from_pretrained("me/ticket").fingerprint, str(error)]))
"""
    with hub() as server:
        addresses = elsewhere(server, tmp_path / "home", push, tmp_path / "here")
        files = server.files["me/ticket"]
        fingerprint, refusal = elsewhere(server, tmp_path / "there", pull)
    assert all(address.startswith(f"{server.url}/me/ticket/commit/") for address in addresses)
    assert set(files) == {"ticket.json", "ticket.safetensors", "README.md"}
    assert fingerprint == ticket.fingerprint
    assert refusal == "There is no ticket in 'me/ticket': weight_ticket.json is missing."


@pytest.mark.slow
def test_the_folder_of_a_run_is_uploaded_with_its_card(
    finished: tuple[Path, Outcome], tmp_path: Path
) -> None:
    folder = finished[0] / "model"
    upload = """
from huggingface_hub import HfApi
HfApi().create_repo("me/run")
HfApi().upload_folder(repo_id="me/run", folder_path=sys.argv[1])
print("null")
"""
    judge = """
import io, contextlib
from earlyrobust.encoders import load_classifier, load_tokenizer
model, tokenizer = load_classifier("me/run"), load_tokenizer("me/run")
print(json.dumps(model(**tokenizer("a dull film", return_tensors="pt")).logits.tolist()))
"""
    with hub() as server:
        elsewhere(server, tmp_path / "home", upload, folder)
        assert server.files["me/run"]["README.md"] == (folder / "README.md").read_bytes()
        logits = elsewhere(server, tmp_path / "other-home", judge)
    assert len(logits[0]) == 2
    assert set(server.files["me/run"]) == {file.name for file in folder.iterdir()}


def test_a_card_holds_what_one_must_know(finished: tuple[Path, Outcome]) -> None:
    record = RunRecord.load(finished[0])
    text = (finished[0] / "model" / "README.md").read_text()
    facts = ModelCard(text).data
    assert facts.pipeline_tag == "text-classification"
    assert facts.base_model is None  # a folder of this machine
    values = {result.metric_type: result.metric_value for result in facts.eval_results}
    assert values["accuracy"] == round(record.model.test.value, 4)
    for name, attack in record.model.attacks.items():
        assert values[f"accuracy_under_{name}"] == round(attack.under_attack.value, 4)
        assert f"neighbours: {attack.settings['neighbours']}" in text
        assert f"sentence encoder: {attack.settings['sentence_encoder']}" in text
    ticket = Ticket.from_pretrained(finished[0] / "ticket")
    assert f"{ticket.heads.sum()} of {ticket.heads.size}" in text
    assert ", ".join(map(str, ticket.neurons_per_layer)) in text
    # The options that it ends with are those of the run.
    options = yaml.safe_load(text.split("```yaml")[1].split("```")[0])
    given = {name: value for name, value in record.config.items() if value is not None}
    assert options == {name: value for name, value in given.items() if name != "output"}


def test_a_card_shows_names_as_text_and_says_what_went_wrong(
    finished: tuple[Path, Outcome], tmp_path: Path
) -> None:
    record = replace(RunRecord.load(finished[0]), findings=[])
    plain = render_card(record, tmp_path).read_text()
    assert "means nothing" not in plain
    told = render_card(record, tmp_path, verdicts=["The ticket is <more> robust."]).read_text()
    assert "\nThe ticket is &lt;more&gt; robust. " in told
    hostile = replace(record.data, name='<img src=x onerror="x">', label_names=["<b>", "a|b"])
    record = replace(record, data=hostile, config={**record.config, "model": "a/b"})
    text = render_card(replace(record, findings=["It means nothing."]), tmp_path).read_text()
    assert "It means nothing." in text
    body = text.split("---", 2)[2].split("```yaml")[0]
    assert "<img" not in body
    assert "<b>" not in body
    assert "a\\|b" in body
    assert ModelCard(text).data.base_model == "a/b"


@pytest.mark.parametrize("cut", [True, False])
def test_a_card_says_how_to_load_and_repeat_it(
    cut: bool, finished: tuple[Path, Outcome], tmp_path: Path
) -> None:
    record = RunRecord.load(finished[0])
    other = {"method": "finetune-ticket"} if cut else {"method": "pgd", "ticket": None, "search": None}
    text = render_card(replace(record, **other), tmp_path).read_text()
    assert ("earlyrobust finetune --ticket TICKET" in text) == cut
    assert ("import earlyrobust" in text) == cut


@pytest.mark.slow
def test_a_pushed_ticket_replaces_one_of_the_other_kind(tmp_path: Path) -> None:
    push = """
import numpy as np
from earlyrobust import Ticket, WeightTicket
weights = WeightTicket("bert", {"a": np.eye(3, dtype=bool)})
for ticket in (weights, Ticket("bert", np.ones((2, 2), bool), np.ones((2, 4), bool))):
    ticket.push_to_hub("me/ticket")
print(json.dumps(ticket.FILES))
"""
    with hub() as server:
        names = elsewhere(server, tmp_path / "home", push)
        assert set(server.files["me/ticket"]) == {*names, "README.md"}
