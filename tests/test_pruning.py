"""Cut models as citizens of transformers, and importance coefficients."""

from __future__ import annotations

import copy
import json
import pickle
import re
from pathlib import Path
from typing import Any

import models
import numpy as np
import pytest
import torch
from models import HEADS, HIDDEN, LAYERS, NEURONS
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForMultipleChoice,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedModel,
    XLNetConfig,
    XLNetForSequenceClassification,
    pipeline,
)

from earlyrobust.errors import ConfigError, ModelError, TicketError
from earlyrobust.families import FAMILIES
from earlyrobust.pruning import ImportanceCoefficients, is_cut, masked, prune, to_dense, zero_weights
from earlyrobust.pruning.zeroing import matrices_of
from earlyrobust.tickets.ticket import JSON_NAME, TENSORS_NAME, Ticket
from earlyrobust.tickets.weight_ticket import WeightTicket

HEAD_SIZE = HIDDEN // HEADS


def cut_model(family: str = "bert", attention: str | None = None, **changes: Any) -> PreTrainedModel:
    return prune(models.classifier(family, attention, **changes), models.searched_ticket(family))


def load(folder: Path, **options: Any) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(folder, **options)


# What is refused.


def test_a_model_that_carries_coefficients_is_not_cut() -> None:
    model = models.classifier("bert")
    gates = ImportanceCoefficients.attach(model)
    with pytest.raises(ModelError, match="still carries importance coefficients"):
        prune(model, models.ticket("bert"))
    gates.detach_from(model)
    assert is_cut(prune(model, models.ticket("bert")))


def test_a_cut_model_is_not_cut_again() -> None:
    small = cut_model()
    assert is_cut(small)
    assert not is_cut(models.classifier("bert"))
    with pytest.raises(ModelError, match="cut already"):
        prune(small, models.ticket("bert"))
    with pytest.raises(ModelError, match="cut already"):
        ImportanceCoefficients.attach(small)


OTHER_TICKETS = {
    "other family": models.ticket("roberta"),
    "fewer layers": Ticket("bert", np.ones((2, HEADS), bool), np.ones((2, NEURONS), bool)),
    "more heads": Ticket("bert", np.ones((LAYERS, 8), bool), np.ones((LAYERS, NEURONS), bool)),
    "fewer neurons": Ticket("bert", np.ones((LAYERS, HEADS), bool), np.ones((LAYERS, 16), bool)),
}


@pytest.mark.parametrize("name", OTHER_TICKETS)
def test_a_ticket_of_another_architecture_is_refused_and_both_are_named(name: str) -> None:
    model, ticket = models.classifier("bert"), OTHER_TICKETS[name]
    for use in (prune, lambda *pair: masked(*pair).__enter__()):
        with pytest.raises(TicketError) as error:
            use(model, ticket)
        layers, heads = ticket.heads.shape
        for type_, *counts in [
            (ticket.model_type, layers, heads, ticket.neurons.shape[1]),
            ("bert", LAYERS, HEADS, NEURONS),
        ]:
            assert "'{}' with {} layers of {} heads and {} neurons".format(type_, *counts) in str(error.value)
    assert not hasattr(model, "importance")


@pytest.mark.parametrize(
    "model",
    [
        GPT2ForSequenceClassification(GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=20)),
        XLNetForSequenceClassification(XLNetConfig(vocab_size=20, d_model=8, n_layer=1, n_head=2, d_inner=8)),
    ],
)
def test_a_model_of_another_family_is_refused_and_the_supported_ones_named(model: PreTrainedModel) -> None:
    for use in (
        lambda: prune(model, models.ticket("bert")),
        lambda: ImportanceCoefficients.attach(model),
        lambda: masked(model, models.ticket("bert")).__enter__(),
    ):
        with pytest.raises(ModelError) as error:
            use()
        assert all(name in str(error.value) for name in [model.config.model_type, *FAMILIES])


class Own(BertForSequenceClassification):  # type: ignore[misc]
    """A class of a user, whose logits a cut model would not have."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        outputs = super().forward(*args, **kwargs)
        outputs["logits"] = outputs["logits"] + 7
        return outputs


@pytest.mark.parametrize("kind", [Own, BertForTokenClassification, BertForMultipleChoice, BertModel])
def test_a_class_that_the_cut_model_cannot_stand_for_is_refused(kind: type[PreTrainedModel]) -> None:
    model = kind(models.classifier("bert").config)
    uses = [lambda: prune(model, models.ticket("bert"))]
    if kind is not Own:  # a search may train by the loss of such a class
        uses.append(lambda: ImportanceCoefficients.attach(model))
    for use in uses:
        with pytest.raises(ModelError) as error:
            use()
        assert str(error.value) == (
            "Only models of the class BertForSequenceClassification can be cut, but this one is of the class "
            f"{kind.__name__}: load it with AutoModelForSequenceClassification."
        )
    assert not hasattr(model, "importance")


# What stays frozen.


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cut_model_has_the_same_weights_frozen(family: str) -> None:
    model = models.classifier(family)
    assert all(weight.requires_grad for weight in prune(model, models.ticket(family)).parameters())
    model.get_input_embeddings().requires_grad_(False)
    FAMILIES[family].layers(model)[0].requires_grad_(False)
    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    small = prune(model, models.ticket(family))
    assert [name for name, weight in small.named_parameters() if not weight.requires_grad] == frozen
    assert 1 < len(frozen) < len(list(model.parameters()))


def test_zeros_need_no_gradient_of_a_frozen_matrix() -> None:
    model = models.classifier("bert")
    FAMILIES["bert"].layers(model)[0].requires_grad_(False)
    random = np.random.default_rng(0)
    masks = {
        f"{name}.weight": random.random(part.weight.shape) < 0.7 for name, part in matrices_of(model).items()
    }
    zero_weights(model, WeightTicket("bert", masks))
    model(**models.batch("bert"), labels=torch.tensor([0, 1, 2, 1, 0])).loss.backward()
    for name, mask in masks.items():
        weight, cut = model.get_parameter(name), torch.from_numpy(~mask)
        assert not weight[cut].any()
        assert weight.grad is None if not weight.requires_grad else not weight.grad[cut].any()


# Saving and loading.


@pytest.mark.parametrize(("family", "attention"), models.attentions())
def test_save_and_load(family: str, attention: str, tmp_path: Path) -> None:
    small = cut_model(family, attention)
    small.save_pretrained(tmp_path / "once")
    once = load(tmp_path / "once", attn_implementation=attention)
    assert type(once) is type(small)
    assert not once.training
    assert torch.equal(models.logits(once), models.logits(small))
    models.assert_equal_tickets(once.ticket, small.ticket)

    once.save_pretrained(tmp_path / "twice")
    twice = type(small).from_pretrained(
        pretrained_model_name_or_path=str(tmp_path / "twice"), attn_implementation=attention
    )
    assert torch.equal(models.logits(twice), models.logits(small))
    models.assert_equal_tickets(twice.ticket, small.ticket)
    assert once.config.to_diff_dict() == twice.config.to_diff_dict()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_configuration_tells_what_each_layer_keeps(family: str, tmp_path: Path) -> None:
    dense = models.classifier(family)
    dense.config.id2label = {0: "bad", 1: "so so", 2: "good"}
    dense.config.label2id = {"bad": 0, "so so": 1, "good": 2}
    small = prune(dense, models.ticket(family))
    small.save_pretrained(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    assert config.model_type == f"earlyrobust-{family}"
    assert config.architectures == [type(small).__name__]
    assert config.kept_heads == small.ticket.heads_per_layer == [3, 1, 4]
    assert config.kept_neurons == small.ticket.neurons_per_layer
    assert config.id2label == {0: "bad", 1: "so so", 2: "good"}
    assert config.label2id == dense.config.label2id
    # What was the dense model's own stays as it was.
    ours = {"model_type", "architectures", "kept_heads", "kept_neurons", "dtype", "_name_or_path"}
    before, after = dense.config.to_dict(), config.to_dict()
    assert {key: before[key] for key in before.keys() - ours} == {
        key: after[key] for key in after.keys() - ours
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_pipeline_and_tokenizer_work_on_the_folder(family: str, tmp_path: Path) -> None:
    small = cut_model(family)
    small.config.id2label = {0: "bad", 1: "so so", 2: "good"}
    small.save_pretrained(tmp_path)
    models.tokenizer().save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer("word7 word9").input_ids == [2, 7, 9, 3]
    answers = pipeline("text-classification", str(tmp_path), top_k=None)(["word7 word9"])[0]
    with torch.no_grad():
        encoded = tokenizer("word7 word9", return_tensors="pt")
        if family == "distilbert":
            encoded.pop("token_type_ids", None)
        expected = small(**encoded).logits.softmax(-1)[0]
    for answer in answers:
        index = ["bad", "so so", "good"].index(answer["label"])
        assert answer["score"] == pytest.approx(expected[index].item(), abs=1e-6)


def test_a_folder_is_complete_and_holds_only_what_is_needed(tmp_path: Path) -> None:
    small = cut_model()
    small.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json",
        "model.safetensors",
        JSON_NAME,
        TENSORS_NAME,
    }
    stored = load_file(tmp_path / "model.safetensors")
    assert {key: tuple(value.shape) for key, value in stored.items()} == {
        key: tuple(value.shape) for key, value in small.named_parameters()
    }


def test_a_folder_without_a_ticket_still_loads(tmp_path: Path) -> None:
    small = cut_model()
    small.save_pretrained(tmp_path)
    (tmp_path / JSON_NAME).unlink()
    once = load(tmp_path)
    assert once.ticket is None
    assert torch.equal(models.logits(once), models.logits(small))
    once.save_pretrained(tmp_path / "again")
    assert not (tmp_path / "again" / JSON_NAME).exists()


def test_a_damaged_ticket_is_not_passed_over(tmp_path: Path) -> None:
    cut_model().save_pretrained(tmp_path)
    (tmp_path / JSON_NAME).write_text("{")
    with pytest.raises(TicketError, match="damaged"):
        load(tmp_path)


def test_loading_tells_what_it_loaded(tmp_path: Path) -> None:
    small = cut_model()
    small.save_pretrained(tmp_path)
    once, loading = load(tmp_path, output_loading_info=True)
    assert not any(loading.values())
    models.assert_equal_tickets(once.ticket, small.ticket)
    assert torch.equal(models.logits(once), models.logits(small))


def test_in_shards(tmp_path: Path) -> None:
    small = cut_model()
    small.save_pretrained(tmp_path, max_shard_size="10KB")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2
    once = load(tmp_path)
    assert torch.equal(models.logits(once), models.logits(small))
    models.assert_equal_tickets(once.ticket, small.ticket)


@pytest.mark.parametrize("family", FAMILIES)
def test_in_bfloat16(family: str, tmp_path: Path) -> None:
    small = prune(models.classifier(family).bfloat16(), models.ticket(family))
    assert {parameter.dtype for parameter in small.parameters()} == {torch.bfloat16}
    small.save_pretrained(tmp_path)
    once = load(tmp_path, dtype=torch.bfloat16)
    assert torch.equal(models.logits(once), models.logits(small))
    wide = load(tmp_path, dtype=torch.float32)
    assert {parameter.dtype for parameter in wide.parameters()} == {torch.float32}
    torch.testing.assert_close(models.logits(wide), models.logits(small.float()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("family", FAMILIES)
def test_copies(family: str, copied: Any) -> None:
    small = cut_model(family)
    other = copied(small)
    assert torch.equal(models.logits(other), models.logits(small))
    models.assert_equal_tickets(other.ticket, small.ticket)
    before = models.logits(small)
    with torch.no_grad():
        next(other.parameters()).zero_()
    assert torch.equal(models.logits(small), before)


def test_a_cut_model_trained_on_saves_what_it_learned(tmp_path: Path) -> None:
    small = cut_model()
    before = models.logits(small)
    optimiser = torch.optim.SGD(small.parameters(), lr=0.05)
    small(**models.batch("bert"), labels=torch.tensor([0, 1, 2, 1, 0])).loss.backward()
    optimiser.step()
    small.save_pretrained(tmp_path)
    assert torch.equal(models.logits(load(tmp_path)), models.logits(small))
    assert not torch.equal(models.logits(small), before)


# Importance coefficients.


@pytest.mark.parametrize(("family", "attention"), models.attentions())
def test_coefficients_of_one_change_nothing_and_leave_no_trace(family: str, attention: str) -> None:
    model = models.classifier(family, attention)
    before, keys = models.logits(model), list(model.state_dict())
    gates = ImportanceCoefficients.attach(model)
    assert torch.equal(models.logits(model), before)
    assert model.importance is gates
    assert (tuple(gates.heads.shape), tuple(gates.neurons.shape)) == ((LAYERS, HEADS), (LAYERS, NEURONS))
    assert set(model.state_dict()) - set(keys) == {"importance.heads", "importance.neurons"}
    with torch.no_grad():
        gates.heads.fill_(0.5)
        gates.neurons.fill_(2.0)
    assert not torch.equal(models.logits(model), before)
    gates.detach_from(model)
    assert torch.equal(models.logits(model), before)
    assert list(model.state_dict()) == keys
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_of_the_coefficients_are_finite_differences(family: str) -> None:
    model = models.classifier(family).double()
    gates = ImportanceCoefficients.attach(model).double()
    fed = models.batch(family) | {"labels": torch.tensor([0, 1, 2, 1, 0])}
    with torch.no_grad():
        for part in gates.parameters():
            part.uniform_(0.5, 1.5)
    loss = model(**fed).loss
    loss.backward()
    # Some compute a part of it in float32 whatever their weights are, which a tiny step is lost in.
    step, relative, absolute = 1e-6, 1e-4, 1e-8
    if family in ("deberta-v2", "modernbert"):
        step, relative, absolute = 1e-3, 2e-2, 2e-4
    for part, width in ((gates.heads, HEADS), (gates.neurons, NEURONS)):
        for layer in range(LAYERS):
            for index in range(0, width, max(1, width // 4)):
                losses = []
                with torch.no_grad():
                    for change in (step, -2 * step):
                        part[layer, index] += change
                        losses.append(model(**fed).loss.item())
                    part[layer, index] += step
                difference = (losses[0] - losses[1]) / (2 * step)
                assert part.grad[layer, index].item() == pytest.approx(difference, rel=relative, abs=absolute)
    assert gates.heads.grad.abs().max() > 1e-4
    assert gates.neurons.grad.abs().max() > 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_a_coefficient_scales_what_its_head_or_neuron_hands_on(family: str) -> None:
    model = models.classifier(family)
    by_hand = copy.deepcopy(model)
    gates = ImportanceCoefficients.attach(model)
    layer = FAMILIES[family].layers(by_hand)[1]
    with torch.no_grad():
        gates.heads[1, 2] = 0.3
        gates.neurons[1, 5] = -2.0
        columns = slice(2 * HEAD_SIZE, 3 * HEAD_SIZE)
        layer.get_submodule(FAMILIES[family].attention_output).weight[:, columns] *= 0.3
        layer.get_submodule(FAMILIES[family].ffn_output).weight[:, 5] *= -2.0
    torch.testing.assert_close(models.logits(model), models.logits(by_hand), atol=2e-6, rtol=0)


def test_penalty_by_hand() -> None:
    gates = ImportanceCoefficients(layers=2, heads=2, neurons=3, head_size=4)
    assert gates.penalty(0.5, 0.25).item() == 0.5 * 4 + 0.25 * 6
    with torch.no_grad():
        gates.heads.copy_(torch.tensor([[1.0, -2.0], [0.0, 0.5]]))
        gates.neurons.copy_(torch.tensor([[-1.0, 1.0, 1.0], [0.0, 0.0, 4.0]]))
    penalty = gates.penalty(0.5, 0.25)
    assert penalty.item() == 0.5 * 3.5 + 0.25 * 7
    penalty.backward()
    assert gates.heads.grad.tolist() == [[0.5, -0.5], [0.0, 0.5]]
    assert gates.neurons.grad.tolist() == [[-0.25, 0.25, 0.25], [0.0, 0.0, 0.25]]


def test_masking_ends_with_its_context_even_by_an_error() -> None:
    model = models.classifier("bert")
    before = models.logits(model)
    with pytest.raises(ValueError, match="inputs"), masked(model, models.ticket("bert")):
        model(input_ids=None)
    assert torch.equal(models.logits(model), before)
    assert not hasattr(model, "importance")


def test_coefficients_work_in_half_precision() -> None:
    model = models.classifier("bert").bfloat16()
    before = models.logits(model)
    gates = ImportanceCoefficients.attach(model)
    assert gates.heads.dtype == gates.neurons.dtype == torch.float32
    assert torch.equal(models.logits(model), before)
    model(**models.batch("bert")).logits.float().square().sum().backward()
    assert gates.heads.grad.dtype == torch.float32
    assert gates.heads.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "use", [ImportanceCoefficients.attach, lambda model: masked(model, models.ticket("bert")).__enter__()]
)
def test_a_model_with_a_compiled_layer_gets_no_coefficients(use: Any) -> None:
    """A compiled layer that has run once may ignore them, and every ticket would look like none."""
    model = models.classifier("bert")
    model.bert.encoder.layer[0].compile(backend="eager")
    with pytest.raises(ConfigError, match="compiled model ignores the hooks"):
        use(model)


@pytest.mark.parametrize(
    ("name", "part", "says"),
    [
        ("bert.encoder.layer.1.intermediate.intermediate_act_fn", nn.SiLU(), "is SiLU(), but"),
        ("dropout", nn.Dropout(0.25), "is Dropout(p=0.25, inplace=False), but"),
        ("classifier", nn.Linear(16, 7), "is Linear(in_features=16, out_features=7, bias=True), but"),
        ("classifier", nn.Linear(16, 3, bias=False), "is Linear(in_features=16, out_features=3, bias=False)"),
        ("bert.encoder.layer.0.output.LayerNorm", nn.LayerNorm(16, eps=0.1), "is LayerNorm((16,), eps=0.1,"),
        (
            "classifier",
            nn.Sequential(nn.Linear(16, 2)),
            "is Sequential, but the configuration",
        ),
    ],
)
def test_a_part_that_the_configuration_does_not_describe_is_refused(
    name: str, part: nn.Module, says: str
) -> None:
    """The cut model is built from the configuration, and would compute something else."""
    model = models.classifier("bert")
    owner, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(owner), attribute, part)
    with pytest.raises(ModelError) as refused:
        prune(model, models.ticket("bert"))
    assert f"'{name}' of the model {says}" in str(refused.value)


def test_a_weight_that_the_configuration_does_not_describe_is_refused() -> None:
    model = models.classifier("bert")
    model.register_buffer("class_weights", torch.ones(3))
    with pytest.raises(ModelError, match=r"'class_weights' of the model is of shape \(3,\), and missing in"):
        prune(model, models.ticket("bert"))


def test_a_deep_copy_follows_its_own_coefficients() -> None:
    model = models.classifier("bert")
    fed = models.batch("bert")
    ImportanceCoefficients.attach(model)
    other = copy.deepcopy(model)
    before = other(**fed).logits
    with torch.no_grad():
        for weight in model.importance.parameters():
            weight.zero_()
    assert torch.equal(other(**fed).logits, before)
    other(**fed, labels=torch.zeros(len(before), dtype=torch.long)).loss.backward()
    assert other.importance.heads.grad.any()
    assert model.importance.heads.grad is None
    with torch.no_grad():
        for weight in other.importance.parameters():
            weight.zero_()
    assert not torch.equal(other(**fed).logits, before)
    other.importance.detach_from(other)
    assert torch.equal(other(**fed).logits, before)


def test_layers_that_the_configuration_does_not_describe_are_refused() -> None:
    model = models.classifier("bert")
    model.bert.encoder.layer = model.bert.encoder.layer[:-1]
    ticket = models.searched_ticket("bert")
    for use in (ImportanceCoefficients.of, lambda model: prune(model, ticket)):
        with pytest.raises(
            ModelError, match=rf"has {LAYERS - 1} layers, but its configuration says {LAYERS}: "
        ):
            use(model)
    model = models.classifier("bert")
    attention = model.bert.encoder.layer[1].attention.self
    attention.key = nn.Linear(HIDDEN, HIDDEN // 2)  # as if heads shared keys
    with pytest.raises(
        ModelError, match=r"^Layer 1 of the model does not have .* such a layer cannot be cut"
    ):
        ImportanceCoefficients.of(model)


def test_a_cut_model_keeps_the_precision_of_each_weight() -> None:
    model = models.classifier("bert").bfloat16()
    model.classifier.float()
    model.bert.pooler.float()
    small = prune(model, models.searched_ticket("bert"))
    for one in (small, to_dense(small)):
        for name, weight in one.named_parameters():
            assert weight.dtype == model.get_parameter(name).dtype, name
    assert torch.equal(small.classifier.weight, model.classifier.weight)


def test_tickets_of_the_other_kind_are_refused() -> None:
    model = models.classifier("bert")
    ticket = models.searched_ticket("bert")
    over_weights = WeightTicket("bert", {})
    for use in (lambda: prune(model, over_weights), lambda: masked(model, over_weights).__enter__()):
        with pytest.raises(
            TicketError, match=r"^A Ticket over heads and neurons is needed, not WeightTicket"
        ):
            use()
    with pytest.raises(
        TicketError, match=r"^A WeightTicket is needed, not Ticket: cut heads and neurons with"
    ):
        zero_weights(model, ticket)


def test_a_cut_model_with_the_ticket_of_another_is_refused(tmp_path: Path) -> None:
    cut_model().save_pretrained(tmp_path)
    everything = models.ticket("bert")
    everything = Ticket("bert", np.ones_like(everything.heads), np.ones_like(everything.neurons))
    everything.save_pretrained(tmp_path)
    with pytest.raises(TicketError, match=rf"^The ticket in '{re.escape(str(tmp_path))}' belongs to another"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path)
