"""What the first release has written is read by every later one, and gone on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from earlyrobust import Ticket, WeightTicket
from earlyrobust.analysis.comparison import Comparison
from earlyrobust.encoders import load_classifier
from earlyrobust.journal import read_journal
from earlyrobust.reports.pages import render_report
from earlyrobust.results import AttackRecord, BenchmarkRecord, ExperimentRecord, ExportRecord, RunRecord
from earlyrobust.workspace.finding import find_ticket
from earlyrobust.workspace.folder import RunFolder

FORMATS = Path(__file__).parent / "golden" / "formats"


def test_a_cut_model_gives_the_logits_that_it_gave() -> None:
    ((sentence, expected),) = json.loads((FORMATS / "logits.json").read_text(encoding="utf-8")).items()
    model = load_classifier(str(FORMATS / "run" / "model")).cpu().eval()
    encoded = AutoTokenizer.from_pretrained(FORMATS / "run" / "model")(sentence, return_tensors="pt")
    with torch.inference_mode():
        assert model(**encoded).logits[0].tolist() == pytest.approx(expected, abs=1e-5)
    assert model.ticket.heads_per_layer == Ticket.from_pretrained(FORMATS / "run" / "ticket").heads_per_layer


def test_tickets_are_read() -> None:
    ticket = find_ticket(FORMATS / "run")
    assert isinstance(ticket, Ticket)
    assert ticket.trace is not None
    assert ticket.head_scores is not None
    assert (int(ticket.heads.sum()), ticket.heads.size) == (10, 12)
    weights = find_ticket(FORMATS / "zeros")
    assert isinstance(weights, WeightTicket)
    assert weights.sparsity == pytest.approx(0.3, abs=1e-3)


def test_records_are_read() -> None:
    run = RunRecord.load(FORMATS / "run")
    assert run.search is not None
    assert run.dense is not None
    assert RunRecord.load(FORMATS / "zeros").weights is not None
    assert set(Comparison.load(FORMATS / "comparison").runs) == {"finetune", "pgd"}
    experiment = FORMATS / "experiments" / "figure2"
    assert ExperimentRecord.load(experiment).name == "figure2"
    assert ExportRecord.load(FORMATS / "export").check is not None
    assert BenchmarkRecord.load(FORMATS / "benchmark").contenders
    examples = read_journal(FORMATS / "run" / "attacks" / "ticket-textbugger.jsonl")[1]
    record = run.model.attacks["textbugger"]
    again = AttackRecord.of(examples, record.settings, record.journal)
    assert again.under_attack == record.under_attack
    assert again.queries == record.queries


@pytest.mark.parametrize("name", ["run", "zeros", "comparison", "experiments/figure2"])
def test_pages_are_drawn(name: str, tmp_path: Path) -> None:
    shutil.copytree(FORMATS, tmp_path / "formats")
    assert all(file.stat().st_size for file in render_report(tmp_path / "formats" / name))


def test_a_run_is_known_by_its_options() -> None:
    record = RunRecord.load(FORMATS / "run")
    folder = RunFolder(FORMATS / "run", {"command": "run"}, record.config)
    assert folder.is_complete
    assert set(folder.seconds) == {"dense", "ticket", "model"}
    assert np.all([seconds > 0 for seconds in folder.seconds.values()])
