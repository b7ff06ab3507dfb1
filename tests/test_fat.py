"""FAT against its definition: the start of an ascent, and what is remembered for the next epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from earlyrobust.adversarial import FAT, PGD
from earlyrobust.adversarial.fat import DirectionMemory
from earlyrobust.adversarial.perturbation import Perturbation
from earlyrobust.trainer import AdversarialTrainer

SETTINGS = {"step_size": 0.8, "initial_magnitude": 1.0}


@pytest.fixture
def deltas(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The perturbations of all passes, in their order."""
    seen: list[Tensor] = []
    applied = Perturbation.applied

    def recorded(self: Perturbation, delta: Tensor) -> Any:
        seen.append(delta.detach().clone())
        return applied(self, delta)

    monkeypatch.setattr(Perturbation, "applied", recorded)
    return seen


def gradient_at(model: Any, batch: dict[str, Tensor], delta: Tensor) -> Tensor:
    """Differentiate the loss of a batch at its embeddings plus δ, without the package."""
    embedded = (model.get_input_embeddings()(batch["input_ids"]) + delta).detach().requires_grad_()
    rest = {name: values for name, values in batch.items() if name != "input_ids"}
    (gradient,) = torch.autograd.grad(model(inputs_embeds=embedded, **rest).loss, embedded)
    return gradient


def test_the_first_step_is_that_of_pgd_with_one_ascent(tmp_path: Path) -> None:
    made = [
        tiny.step(tmp_path, tiny.classifier(dropout=0.2), tiny.batch(), adversary)
        for adversary in (FAT(**SETTINGS), PGD(steps=1, **SETTINGS))
    ]
    (loss, gradients), (expected_loss, expected) = made
    assert loss == expected_loss
    assert gradients.keys() == expected.keys()
    assert all(torch.equal(gradient, expected[name]) for name, gradient in gradients.items())


@pytest.mark.parametrize("bound", [0.0, 0.5])
def test_an_ascent_starts_where_the_last_one_pointed_to(
    tmp_path: Path, deltas: list[Tensor], bound: float
) -> None:
    model, batch = tiny.classifier(), tiny.batch()
    adversary = FAT(**SETTINGS, bound=bound)
    for seed in (3, 4):
        tiny.step(tmp_path, model, batch, adversary, seed=seed)
    first, end, second, _ = deltas
    mask = batch["attention_mask"].bool()
    direction = gradient_at(model, batch, first)
    assert torch.equal(direction.sign()[mask], second.sign()[mask])
    assert not second[~mask].any()
    assert not torch.equal(first.sign()[mask], second.sign()[mask])
    # Each entry is uniform between 0 and ε₀/√(tokens·D), before δ is pulled back into its ball.
    largest = 1.0 / (mask.sum(1) * second.shape[-1]).sqrt()
    assert (second.abs().amax((1, 2)) <= largest).all()
    norms = torch.stack([second.flatten(1).norm(dim=1), end.flatten(1).norm(dim=1)])
    assert (norms <= bound + 1e-6).all() if bound else (norms[0] > 0.4).all()


def test_a_text_is_known_again_in_another_batch_with_other_padding() -> None:
    memory = DirectionMemory(3)
    tokens = torch.tensor([[5, 6, 0, 0], [7, 8, 9, 5]])
    mask = tokens > 0
    torch.manual_seed(0)
    direction = torch.randn(2, 4, 3)
    memory.remember(tokens, mask, direction)
    other = torch.tensor([[0, 0, 5, 7], [0, 0, 5, 6]])
    known, signs = memory.recall(other, other > 0)
    assert known.tolist() == [False, True]
    assert torch.equal(signs[1, 2:], direction[0, :2].sign())
    memory.remember(other, other > 0, -direction)
    _, signs = memory.recall(tokens, mask)
    assert torch.equal(signs[0, :2], -direction[1, 2:].sign())  # the latest counts
    assert len(memory) == 3


def test_the_memory_is_kept_in_a_state(tmp_path: Path) -> None:
    memory, other = DirectionMemory(3), DirectionMemory(3)
    tokens = torch.tensor([[5, 6, 0, 0], [7, 8, 9, 5]])
    memory.remember(tokens, tokens > 0, torch.randn(2, 4, 3))
    assert other.load_state_dict(memory.state_dict()).unexpected_keys == []
    before, after = (kept.recall(tokens, tokens > 0) for kept in (memory, other))
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))
    other.load_state_dict(DirectionMemory(3).state_dict())
    assert len(other) == 0


def test_a_resumed_training_remembers(tmp_path: Path, deltas: list[Tensor]) -> None:
    def train(resume: str | None = None, **changes: Any) -> tuple[dict[str, Tensor], list[Tensor]]:
        deltas.clear()
        trainer = AdversarialTrainer(
            tiny.classifier(dropout=0.1),
            tiny.arguments(tmp_path, num_train_epochs=3, **changes),
            adversary=FAT(**SETTINGS),
            train_dataset=tiny.dataset(16),
            processing_class=tiny.tokenizer(),
            callbacks=[tiny.Interrupt(7)] if "save_steps" in changes else [],
        )
        trainer.train(resume)
        assert "adversary" not in dict(trainer.model.named_children())
        return trainer.model.state_dict(), list(deltas)

    whole, starts = train()
    with pytest.raises(KeyboardInterrupt):
        train(save_strategy="steps", save_steps=6)
    resumed, rest = train(str(tmp_path / "checkpoint-6"))
    assert len(starts) == 24
    assert all(torch.equal(one, two) for one, two in zip(starts[12:], rest, strict=True))
    assert all(torch.equal(weight, resumed[name]) for name, weight in whole.items())
