"""Going back to the last good state under noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from conftest import call
from test_noise import noise, small_model, tokenizer, write_texts
from torch import Tensor
from transformers import PreTrainedTokenizerBase, TrainerCallback

from earlyrobust.pipeline import training
from earlyrobust.results import RunRecord, TrainingLog
from earlyrobust.trainer import AdversarialTrainer
from earlyrobust.trainer.retreat import RetreatCallback

__all__ = ["tokenizer"]


class Watch(TrainerCallback):  # type: ignore[misc]
    """Keeps weights and learning rates, by the number of steps that were taken before."""

    def __init__(self) -> None:
        self.weights: dict[int, dict[str, Tensor]] = {}
        self.rates: dict[int, float] = {}

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, *, model: Any, optimizer: Any, **kwargs: Any
    ) -> None:
        self.weights[state.global_step] = {
            name: weight.detach().clone() for name, weight in model.named_parameters()
        }
        self.rates[state.global_step] = optimizer.param_groups[0]["lr"]


def train(
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    good: dict[int, bool | None],
    *callbacks: Any,
    resume: str | None = None,
    ramp: float = 0.5,
    **changes: Any,
) -> tuple[AdversarialTrainer, list[int], Watch]:
    """Train for 16 steps; `good` holds the judgement of each step at which the training is judged."""
    told: list[int] = []
    watch = Watch()
    trainer: AdversarialTrainer
    made = noise(tokenizer, ramp=ramp)
    guard = RetreatCallback(lambda _: good[trainer.state.global_step], made, told.append)
    trainer = AdversarialTrainer(
        small_model(),
        tiny.arguments(folder, max_steps=16, per_device_train_batch_size=8, learning_rate=0.01, **changes),
        noise=made,
        train_dataset=write_texts(32, tokenizer),
        processing_class=tokenizer,
        callbacks=[guard, watch, *callbacks],
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer, told, watch


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def test_a_bad_quarter_goes_back_to_the_last_good_one(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    good = {4: True, 8: False, 12: True, 16: True}
    trainer, told, watch = train(tokenizer, tmp_path / "a", good)
    assert told == [8]
    assert same(watch.weights[8], watch.weights[4])
    assert not same(watch.weights[7], watch.weights[4])
    # The linear schedule goes on, at half of its rate.
    assert [watch.rates[step] for step in (7, 8, 15)] == pytest.approx([0.009 / 1.6, 0.005 / 2, 0.01 / 32])
    assert trainer.noise is not None
    assert (trainer.noise.rate.limit, trainer.noise.rate.level) == (0.5, 0.5)
    assert TrainingLog.of(trainer.state.log_history).retreats == [8]


def test_going_back_halves_a_level_below_its_limit_too(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    good = {4: True, 8: False, 12: None, 16: None}
    trainer, told, _ = train(tokenizer, tmp_path, good, ramp=1.0, logging_steps=1)
    levels = [entry["noise_level"] for entry in trainer.state.log_history if "noise_level" in entry]
    assert told == [8]
    assert levels[6:9] == pytest.approx([7 / 16, 4 / 16, 5 / 16])


def test_a_training_that_ends_badly_ends_with_its_last_good_state(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    good = {4: True, 8: True, 12: False, 16: False}
    trainer, told, watch = train(tokenizer, tmp_path, good)
    assert told == [12, 16]
    assert same(dict(trainer.model.named_parameters()), watch.weights[8])
    assert trainer.noise is not None
    assert trainer.noise.rate.limit == 0.25


@pytest.mark.parametrize(
    ("good", "goes_back"),
    [
        ((False, False, False, False), []),  # nothing to go back to
        ((False, True, False, False), [12, 16]),
        ((True, False, False, False), [8, 12]),  # twice at most
        ((True, True, True, True), []),
        ((None, True, None, False), [16]),
        ((None, False, None, None), []),
    ],
)
def test_it_goes_back_at_most_twice_and_only_to_a_good_state(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, good: tuple[bool | None, ...], goes_back: list[int]
) -> None:
    _, told, _ = train(tokenizer, tmp_path, dict(zip((4, 8, 12, 16), good, strict=True)))
    assert told == goes_back


def test_a_training_that_went_back_resumes_bit_for_bit(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    good = {4: True, 8: False, 12: False, 16: True}
    whole, told, _ = train(tokenizer, tmp_path / "whole", good)
    assert told == [8, 12]
    for stop in (6, 10, 14):
        folder = tmp_path / str(stop)
        with pytest.raises(KeyboardInterrupt):
            train(tokenizer, folder, good, tiny.Interrupt(stop), save_strategy="steps", save_steps=stop - 1)
        resumed, _, _ = train(tokenizer, folder, good, resume=str(folder / f"checkpoint-{stop - 1}"))
        assert same(dict(whole.model.named_parameters()), dict(resumed.model.named_parameters()))
        assert TrainingLog.of(resumed.state.log_history).retreats == [8, 12]


def test_a_run_says_that_its_training_went_back(
    encoder: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is made to name one class when it is judged the second time."""
    judged: list[int] = []

    def collapsed(model: Any, tokenizer: Any, rows: Any) -> Any:
        judged.append(len(rows))
        return np.eye(2)[np.array(rows["labels"][:]) * (len(judged) != 2)]

    monkeypatch.setattr(training, "predict", collapsed)
    options = ("--model", encoder, "--train-file", reviews, "--neighbours", encoder, "--epochs", 3)
    outcome = call(
        *("run", *options, "--method", "finetune", "--noise", "learned", "--no-attack"),
        *("--learning-rate", 0.003, "--output", tmp_path / "run"),
    )
    assert outcome.code == 0, outcome.err
    assert len(judged) == 4
    record = RunRecord.load(tmp_path / "run")
    [step] = record.training["model"].retreats
    assert any(
        f"The training went back to its last good state once, at step {step}" in one
        for one in record.findings
    )
    assert f"At step {step} the model is no better than naming the largest class" in " ".join(
        (outcome.out + outcome.err).split()
    )
