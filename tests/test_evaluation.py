"""Accuracy, logits in order, and the operations of a forward pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from datasets import ClassLabel, Dataset
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from earlyrobust import Ticket, evaluate_clean, prune
from earlyrobust.errors import DataError
from earlyrobust.evaluation import calibration_error, flops_ratio, measure_speed, predict


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return tiny.classifier(dropout=0.5).float()


def one_by_one(model: PreTrainedModel, rows: Dataset) -> np.ndarray:
    model.eval()
    with torch.inference_mode():
        return np.concatenate(
            [
                model(
                    **{
                        name: torch.tensor([row[name]])
                        for name in ("input_ids", "attention_mask", "token_type_ids")
                    }
                ).logits
                for row in rows
            ]
        )


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_logits_are_in_order_whatever_the_batches(model: PreTrainedModel, batch_size: int) -> None:
    rows = tiny.dataset(20)
    assert len(set(rows["length"])) > 5
    logits = predict(model, tiny.tokenizer(), rows, batch_size)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, one_by_one(model, rows), rtol=1e-4, atol=1e-5)


def test_accuracy_is_the_count(model: PreTrainedModel) -> None:
    rows = tiny.dataset(20)
    right = sum(
        int(logits.argmax()) == label
        for logits, label in zip(one_by_one(model, rows), rows["labels"], strict=True)
    )
    accuracy = evaluate_clean(model, tiny.tokenizer(), rows, batch_size=7)
    assert (accuracy.correct, accuracy.total) == (right, 20)
    assert 0 < right < 20


SHAPES = {
    "without lengths": lambda rows: rows.remove_columns("length"),
    "label": lambda rows: rows.rename_column("labels", "label"),
    "torch": lambda rows: rows.with_format("torch"),
    "numpy, without lengths": lambda rows: rows.remove_columns("length").with_format("numpy"),
    "torch, some columns": lambda rows: rows.with_format("torch", columns=["input_ids", "labels"]),
    "texts": lambda rows: rows.add_column("text", [str(row) for row in range(len(rows))]),
    "other numbers": lambda rows: rows.add_column("idx", list(range(len(rows)))),
    "lengths in words": lambda rows: rows.remove_columns("length").add_column("length", ["long"] * len(rows)),
    "indices": lambda rows: rows.select(range(len(rows))),
    "classes": lambda rows: rows.cast_column("labels", ClassLabel(names=["bad", "good"])),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_tokenised_examples_may_have_any_columns_and_format(model: PreTrainedModel, shape: str) -> None:
    rows = tiny.dataset(20)
    expected = evaluate_clean(model, tiny.tokenizer(), rows)
    assert evaluate_clean(model, tiny.tokenizer(), SHAPES[shape](rows)) == expected


def relabelled(label: object) -> Dataset:
    return Dataset.from_list([{**row, "labels": label} for row in tiny.dataset(4)])


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (Dataset.from_dict({"text": ["good"], "label": [1]}), "not tokenised, their columns are text, label"),
        (Dataset.from_dict({"sentence": ["good"], "labels": [1]}), "not tokenised"),
        (tiny.dataset(4).remove_columns("labels"), "needs examples with a column 'labels' or 'label'"),
        (tiny.dataset(4).select([]), "has 0 examples"),
        (relabelled(-1), "A label is -1"),
        (relabelled(-100), "A label is -100"),
        (relabelled(2), "A label is 2"),
        (relabelled("good"), "holds 'good'"),
        (relabelled(0.5), "holds 0.5"),
        (relabelled([0, 1]), r"holds \[0, 1\]"),
    ],
)
def test_what_has_no_accuracy_is_refused(model: PreTrainedModel, rows: Dataset, match: str) -> None:
    with pytest.raises(DataError, match=match):
        evaluate_clean(model, tiny.tokenizer(), rows)


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_model_is_left_alone(model: PreTrainedModel, training: bool) -> None:
    model.train(training)
    evaluate_clean(model, tiny.tokenizer(), tiny.dataset(4))
    assert model.training is training


def a_ticket() -> Ticket:
    heads = np.ones((tiny.LAYERS, tiny.HEADS), np.bool_)
    neurons = np.ones((tiny.LAYERS, tiny.NEURONS), np.bool_)
    heads[0, 1:] = heads[1, 0] = False
    neurons[1, 3:15] = False
    return Ticket("bert", heads, neurons)


def counted_flops(model: PreTrainedModel, tokens: int) -> int:
    states = torch.randn(1, tokens, model.config.hidden_size)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        for layer in model.base_model.encoder.layer:
            layer(states)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("tokens", [1, 7, 20])
def test_the_ratio_of_operations_is_the_counted_one(tokens: int) -> None:
    # The eager attention is two plain products, which PyTorch's counter knows on every device.
    dense = tiny.classifier().float().eval()
    dense.set_attn_implementation("eager")
    small = prune(dense, a_ticket())
    counted = counted_flops(small, tokens) / counted_flops(dense, tokens)
    assert flops_ratio(dense, a_ticket(), tokens) == pytest.approx(counted, rel=1e-6)
    assert counted < 1


def test_the_ratio_of_operations_by_hand() -> None:
    dense = tiny.classifier()  # hidden 16, 4 heads of 4 channels, 20 neurons, 2 layers
    tokens = 10

    def layer(heads: int, neurons: int) -> int:
        return 4 * 16 * 4 * heads + 2 * tokens * 4 * heads + 2 * 16 * neurons

    expected = (layer(1, 20) + layer(3, 8)) / (2 * layer(4, 20))
    assert flops_ratio(dense, a_ticket(), tokens) == pytest.approx(expected, rel=1e-12)


def test_speed_is_measured_on_one_real_batch() -> None:
    dense = tiny.classifier().float()
    rows = tiny.dataset(12)
    speed = measure_speed(
        dense, prune(dense, a_ticket()), a_ticket(), tiny.tokenizer(), rows, batch_size=4, rounds=2
    )
    assert speed.batch_size == 4
    assert speed.tokens == sorted(rows["length"])[7]  # the longest of the four in the middle
    assert speed.time_ratio > 0
    assert speed.flops_ratio == flops_ratio(dense, a_ticket(), speed.tokens)


def test_a_model_loaded_from_disk_gives_the_same_logits(finished: tuple[Path, object]) -> None:
    folder = finished[0] / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer(["a warm film", "a dull film and more of it"])
    rows = Dataset.from_dict({**encoded, "length": [len(ids) for ids in encoded["input_ids"]]})
    first, second = (
        predict(AutoModelForSequenceClassification.from_pretrained(folder), tokenizer, rows) for _ in range(2)
    )
    assert np.array_equal(first, second)


def test_the_calibration_error_is_that_of_the_definition() -> None:
    """By a loop over bins; and a classifier that is as sure as it is right has none."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(500, 3)).astype(np.float32) * 2
    labels = random.integers(0, 3, 500)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    confidence, answers = probabilities.max(axis=1), probabilities.argmax(axis=1)
    expected = 0.0
    for bin_ in range(15):
        inside = (confidence > bin_ / 15) & (confidence <= (bin_ + 1) / 15)
        if inside.any():
            gap = abs(confidence[inside].mean() - (answers[inside] == labels[inside]).mean())
            expected += inside.mean() * gap
    assert calibration_error(logits, labels) == pytest.approx(expected, abs=1e-6)
    sure = np.log(np.array([[0.75, 0.25]] * 4, np.float32))
    assert calibration_error(sure, np.array([0, 0, 0, 1])) == pytest.approx(0, abs=1e-6)
    assert calibration_error(sure, np.array([1, 1, 1, 1])) == pytest.approx(0.75, abs=1e-6)
