"""The best weights of a training, early stopping, and losses weighted by class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
from conftest import QUICK, call, write_csv, write_reviews
from torch.nn.functional import cross_entropy
from transformers import TrainerCallback

from earlyrobust.results import RunRecord
from earlyrobust.trainer import AdversarialTrainer
from earlyrobust.trainer.best import BestWeightsCallback
from earlyrobust.trainer.weighting import WeightedLoss, balanced_weights


class Watch(TrainerCallback):
    """Keeps the weights after each epoch, and asks for checkpoints at some steps."""

    def __init__(self, saves: Sequence[int] = ()) -> None:
        self.saves = saves
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_save = state.global_step in self.saves

    def on_epoch_end(self, args: Any, state: Any, control: Any, *, model: Any, **kwargs: Any) -> None:
        self.weights.append({name: one.clone() for name, one in model.state_dict().items()})


def train(
    folder: Path, values: Sequence[float], patience: int, *, saves: Sequence[int] = (), resume: Any = None
) -> tuple[AdversarialTrainer, Watch, list[tuple[float, float]]]:
    """Train for six epochs of four steps, with the given values for the models of the epochs."""
    told: list[tuple[float, float]] = []
    steps: dict[int, float] = {4 * (epoch + 1): value for epoch, value in enumerate(values)}
    watch = Watch(saves)

    def judge(model: Any) -> float:
        return steps[trainer.state.global_step]

    trainer = AdversarialTrainer(
        tiny.classifier(),
        tiny.arguments(folder, num_train_epochs=6, per_device_train_batch_size=4, save_strategy="no"),
        train_dataset=tiny.dataset().select(range(16)),
        processing_class=tiny.tokenizer(),
        callbacks=[watch, BestWeightsCallback(judge, patience, lambda *pair: told.append(pair))],
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer, watch, told


@pytest.mark.parametrize(
    ("values", "patience", "epochs", "best"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 1, 6, 6),
        ([0.1, 0.5, 0.4, 0.6, 0.2, 0.1], 1, 3, 2),
        ([0.1, 0.5, 0.4, 0.6, 0.2, 0.1], 2, 6, 4),
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.5], 3, 4, 1),  # of equal values the first counts
        ([0.9, 0.1, 0.1, 0.1, 0.1, 0.8], 9, 6, 1),
    ],
)
def test_the_weights_of_the_best_epoch_are_kept(
    tmp_path: Path, values: list[float], patience: int, epochs: int, best: int
) -> None:
    trainer, watch, told = train(tmp_path, values, patience)
    assert told == [(epoch + 1, values[epoch]) for epoch in range(epochs)]
    for name, weight in trainer.model.state_dict().items():
        assert torch.equal(weight, watch.weights[best - 1][name])


@pytest.mark.parametrize("interrupted_at", [3, 4, 6, 8, 11])
def test_an_interrupted_training_keeps_the_same(tmp_path: Path, interrupted_at: int) -> None:
    """Also one whose checkpoint was written at the end of an epoch, before its model was judged."""
    values = [0.3, 0.5, 0.2, 0.4, 0.1, 0.1]
    whole, _, told = train(tmp_path / "whole", values, 3)
    train(tmp_path / "part", values, 3, saves=[interrupted_at])
    checkpoint = tmp_path / "part" / f"checkpoint-{interrupted_at}"
    again, _, rest = train(tmp_path / "part", values, 3, resume=str(checkpoint))
    assert rest == told[(interrupted_at - 1) // 4 if interrupted_at % 4 == 0 else interrupted_at // 4 :]
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, again.model.state_dict()[name])


def test_an_interrupted_training_of_part_of_an_epoch_keeps_the_same(tmp_path: Path) -> None:
    """An epoch and a half of ten steps: 16 steps, which are not 1.55 times as many as those of an epoch."""

    def run(folder: Path, saves: Sequence[int] = (), resume: Any = None) -> list[tuple[float, float]]:
        told: list[tuple[float, float]] = []
        AdversarialTrainer(
            tiny.classifier(),
            tiny.arguments(folder, num_train_epochs=1.55, per_device_train_batch_size=4),
            train_dataset=tiny.dataset(40),
            processing_class=tiny.tokenizer(),
            callbacks=[Watch(saves), BestWeightsCallback(lambda _: 0.5, 9, lambda *pair: told.append(pair))],
        ).train(resume_from_checkpoint=resume)
        return told

    whole = run(tmp_path, saves=[10, 11])
    assert [epoch for epoch, _ in whole] == [1.0, 1.6]
    assert run(tmp_path, resume=str(tmp_path / "checkpoint-10")) == whole
    assert run(tmp_path, resume=str(tmp_path / "checkpoint-11")) == whole[1:]


def test_early_stopping_says_how_often_a_replaying_adversary_is_judged(
    encoder: Path, skewed: Path, tmp_path: Path
) -> None:
    done = call(
        *("run", "--model", encoder, "--train-file", skewed, "--output", tmp_path / "run", "--no-attack"),
        *("--method", "freeat", "--no-dense", "--epochs", 3, "--early-stopping", 1),
    )
    assert done.code == 0, done.err
    told = " ".join((done.out + done.err).split())
    assert "so one pass over the texts counts as 3 epochs. The model is judged after each pass" in told
    assert "With 3 epochs, there is only one pass, so --early-stopping changes nothing." in told


def test_balanced_weights_make_classes_count_alike() -> None:
    counts = [90, 9, 1]
    weights = balanced_weights(counts)
    assert sum(weight * count for weight, count in zip(weights, counts, strict=True)) == pytest.approx(100)
    shares = [weight * count for weight, count in zip(weights, counts, strict=True)]
    assert shares == pytest.approx([100 / 3] * 3)
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    labels = [0] * 90 + [1] * 9 + [2]
    import numpy as np

    assert weights == pytest.approx(sklearn.compute_class_weight("balanced", classes=np.arange(3), y=labels))


def test_the_weighted_loss_is_the_mean_of_weighted_losses() -> None:
    torch.manual_seed(0)
    logits, labels, weights = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 0, 1]), [0.5, 1.5, 4.0]
    each = cross_entropy(logits, labels, reduction="none") * torch.tensor(weights)[labels]
    outputs = SimpleNamespace(logits=logits)
    assert WeightedLoss(weights)(outputs, labels) == pytest.approx(float(each.mean()))
    # A part of an accumulated batch of twelve.
    assert WeightedLoss(weights)(outputs, labels, 12) == pytest.approx(float(each.sum() / 12))
    assert WeightedLoss([1.0] * 3)(outputs, labels) == pytest.approx(float(cross_entropy(logits, labels)))


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reviews of which one in nine is negative."""
    import csv

    file = write_reviews(tmp_path_factory.mktemp("skewed") / "reviews.csv", 600)
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    rare = [row for row in rows if row["label"] == "negative"][:30]
    rows = [*rare, *(row for row in rows if row["label"] == "positive")][:270]
    return write_csv(file, {name: [row[name] for row in rows] for name in ("text", "label")})


def test_class_weights_raise_the_recall_of_the_rare_class(
    classifier: Path, skewed: Path, tmp_path: Path
) -> None:
    options = ("--method", "finetune", "--no-attack", "--epochs", 4, "--batch-size", 16)
    options += ("--learning-rate", 1e-3, "--early-stopping", 9)
    test = write_reviews(tmp_path / "test.csv", 120, seed=7)
    recalls = {}
    for weights in ("none", "balanced"):
        folder = tmp_path / weights
        done = call(
            *("run", "--model", classifier, "--train-file", skewed, "--output", folder, *options),
            *("--test-file", test, "--class-weights", weights),
        )
        assert done.code == 0, done.err
        record = RunRecord.load(folder)
        confusion, log = record.model.confusion, record.training["model"]
        assert confusion is not None
        assert sum(confusion.support) == record.model.test.total
        assert log.epochs == list(range(1, 5))
        assert log.kept_epoch == log.epochs[log.selection.index(max(log.selection))]
        measure = "macro-F1" if weights == "balanced" else "accuracy"
        assert f"Epoch 1.00: {measure} on the selection split {100 * log.selection[0]:.2f} %." in done.out
        assert f"The weights of epoch {log.kept_epoch:.2f} are kept." in done.out
        assert "Largest class %" in done.out
        assert f"{100 * confusion.macro_f1:.1f}" in done.out
        recalls[weights] = confusion.recall[record.data.label_names.index("NEGATIVE")] or 0
        if weights == "none":  # the value of the kept epoch is that of the model
            assert max(log.selection) == pytest.approx(record.model.selection.value)
    assert recalls["balanced"] > recalls["none"]


def test_a_search_and_an_adversary_have_the_weighted_loss(
    encoder: Path, skewed: Path, tmp_path: Path
) -> None:
    runs = {}
    for weights in ("none", "balanced"):
        done = call(
            *("run", "--model", encoder, "--train-file", skewed, "--output", tmp_path / weights, *QUICK),
            *("--no-attack", "--adversary", "freelb,steps=2", "--class-weights", weights),
        )
        assert done.code == 0, done.err
        runs[weights] = RunRecord.load(tmp_path / weights)
    for stage in ("dense", "ticket", "model"):
        assert runs["none"].training[stage].loss != runs["balanced"].training[stage].loss
