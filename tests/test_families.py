"""Every family: masking equals cutting, and what is cut is exactly what the ticket cuts."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from pathlib import Path

import models
import numpy as np
import pytest
import torch
from models import HEADS, HIDDEN, LAYERS, NEURONS
from transformers import AutoConfig, GPT2Config, PreTrainedModel, XLNetConfig

from earlyrobust.attacks import Victim
from earlyrobust.errors import ModelError
from earlyrobust.families import FAMILIES, Dimensions, Family, family_of
from earlyrobust.pruning import ImportanceCoefficients, masked, prune
from earlyrobust.pruning.zeroing import matrices_of

HEAD_SIZE = HIDDEN // HEADS


def test_every_family_has_a_tiny_model() -> None:
    assert set(models.CONFIGS) == set(FAMILIES)
    assert all(name == family.model_type for name, family in FAMILIES.items())


@pytest.mark.parametrize("name", FAMILIES)
def test_dimensions(name: str) -> None:
    assert family_of(models.classifier(name).config) is FAMILIES[name]
    size = FAMILIES[name].dimensions(models.classifier(name).config)
    assert size == Dimensions(LAYERS, HEADS, NEURONS, HEAD_SIZE)


@pytest.mark.parametrize("config", [GPT2Config(), XLNetConfig(), AutoConfig.for_model("funnel")])
def test_other_families_are_refused_and_the_supported_ones_named(config: object) -> None:
    with pytest.raises(ModelError) as error:
        family_of(config)
    assert all(f"{name}" in str(error.value) for name in [config.model_type, *FAMILIES])


class Adapted(torch.nn.Module):
    """A model as an adapter of PEFT wraps it: its layers have another path."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.config = model.config
        self.base_model = torch.nn.Module()
        self.base_model.model = model


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_in_an_adapter_is_refused_until_the_adapter_is_merged(name: str) -> None:
    model = Adapted(models.classifier(name))
    for use in (
        lambda: matrices_of(model),
        lambda: prune(model, models.ticket(name)),
        lambda: ImportanceCoefficients.attach(model),
    ):
        with pytest.raises(ModelError, match=r"^Adapted has no layers .* model\.merge_and_unload\(\)\.$"):
            use()


PRECISIONS = [(torch.bfloat16, 0.2), (torch.float32, 1e-5), (torch.float64, 1e-12)]


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(("name", "attention"), models.attentions())
def test_masking_equals_cutting(name: str, attention: str, dtype: torch.dtype, tolerance: float) -> None:
    model = models.classifier(name, attention).to(dtype)
    fed = models.batch(name)
    if dtype == torch.float64:
        # No padding: a token of it that sees no other in its window is NaN in ModernBERT's eager attention.
        fed = {key: value[-1:] for key, value in fed.items()}
    whole = models.logits(model, fed)
    ticket = models.ticket(name)
    with masked(model, ticket):
        switched_off = models.logits(model, fed)
    small = prune(model, ticket)
    cut = models.logits(small, fed)
    assert small.config._attn_implementation == model.config._attn_implementation == attention
    assert cut.dtype == dtype
    assert (switched_off - cut).abs().max() < tolerance
    assert (switched_off - whole).abs().max() > 1e-2, "the ticket changes nothing, so nothing was compared"


@pytest.mark.parametrize("name", FAMILIES)
def test_padding_and_token_types_reach_the_cut_model(name: str) -> None:
    small = prune(models.classifier(name), models.ticket(name))
    fed = models.batch(name)
    row = {key: value[:1, : int(fed["attention_mask"][0].sum())] for key, value in fed.items()}
    torch.testing.assert_close(models.logits(small, row), models.logits(small, fed)[:1], atol=1e-5, rtol=1e-5)
    if "token_type_ids" in fed:
        without = fed | {"token_type_ids": torch.zeros_like(fed["token_type_ids"])}
        assert (models.logits(small, without) - models.logits(small, fed)).abs().max() > 1e-3


@pytest.mark.parametrize("name", FAMILIES)
def test_one_head_and_one_neuron_are_enough(name: str) -> None:
    heads, neurons = np.zeros((LAYERS, HEADS), bool), np.zeros((LAYERS, NEURONS), bool)
    heads[:, 2] = neurons[:, 17] = True
    ticket = models.Ticket(name, heads, neurons)
    model = models.classifier(name)
    with masked(model, ticket):
        expected = models.logits(model)
    torch.testing.assert_close(models.logits(prune(model, ticket)), expected, atol=1e-5, rtol=0)


# How often a layer's projection repeats the rows of its heads, and of its neurons, where it is fused.
FUSED = {"modernbert": (3, 2)}


def projections(family: Family, layer: torch.nn.Module) -> dict[str, torch.nn.Linear]:
    paths = ("query", "key", "value", "attention_output", "ffn_input", "ffn_output")
    return {path: layer.get_submodule(getattr(family, path)) for path in paths}


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_that_stay_are_exactly_slices(name: str) -> None:
    family, model, ticket = FAMILIES[name], models.classifier(name), models.ticket(name)
    small = prune(model, ticket)
    of_heads, of_neurons = FUSED.get(name, (1, 1))
    for index, (before, after) in enumerate(zip(family.layers(model), family.layers(small), strict=True)):
        channels = torch.from_numpy(np.repeat(ticket.heads[index], HEAD_SIZE))
        neurons = torch.from_numpy(ticket.neurons[index])
        old, new = projections(family, before), projections(family, after)
        rows = dict.fromkeys(("query", "key", "value"), channels.tile(of_heads))
        rows["ffn_input"] = neurons.tile(of_neurons)
        for path, kept in rows.items():
            assert torch.equal(new[path].weight, old[path].weight[kept])
            assert (new[path].bias is None) == (old[path].bias is None)
            assert new[path].bias is None or torch.equal(new[path].bias, old[path].bias[kept])
        for path, kept in (("attention_output", channels), ("ffn_output", neurons)):
            assert torch.equal(new[path].weight, old[path].weight[:, kept])
            assert (new[path].bias is None) == (old[path].bias is None)
            assert new[path].bias is None or torch.equal(new[path].bias, old[path].bias)

    touched = {
        id(tensor)
        for layer in family.layers(small)
        for module in projections(family, layer).values()
        for tensor in module.parameters()
    }
    old_state = dict(model.named_parameters())
    for key, tensor in small.named_parameters():
        assert id(tensor) in touched or torch.equal(tensor, old_state[key]), key


@pytest.mark.parametrize("name", FAMILIES)
def test_parameter_count(name: str) -> None:
    model, ticket = models.classifier(name), models.ticket(name)
    biased, rows_of_a_neuron = (0, 2) if name == "modernbert" else (1, 1)
    # A head has three projections of HEAD_SIZE rows with biases, and HEAD_SIZE columns of the output.
    head = 3 * HEAD_SIZE * (HIDDEN + biased) + HEAD_SIZE * HIDDEN
    # A neuron has a row with its bias, or another one for its gate, and a column.
    neuron = rows_of_a_neuron * (HIDDEN + biased) + HIDDEN
    gone = int((~ticket.heads).sum()) * head + int((~ticket.neurons).sum()) * neuron
    assert gone > 0
    assert prune(model, ticket).num_parameters() == model.num_parameters() - gone


@pytest.mark.parametrize("name", FAMILIES)
def test_a_cut_model_trains(name: str) -> None:
    small = prune(models.classifier(name).train(), models.ticket(name))
    assert small.training
    optimiser = torch.optim.SGD(small.parameters(), lr=0.01)
    fed = models.batch(name) | {"labels": torch.tensor([0, 1, 2, 1, 0])}
    before = copy.deepcopy(small.state_dict())
    small.eval()
    losses = []
    for _ in range(3):
        optimiser.zero_grad()
        loss = small(**fed).loss
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    frozen = [key for key, value in small.state_dict().items() if torch.equal(value, before[key])]
    assert not [key for key in frozen if "layer" in key and "weight" in key]


@pytest.mark.parametrize("name", FAMILIES)
def test_prune_leaves_its_argument_and_the_random_state_alone(name: str) -> None:
    model = models.classifier(name)
    before, whole = copy.deepcopy(model.state_dict()), models.logits(model)
    config, state = model.config.to_dict(), torch.get_rng_state()
    small: PreTrainedModel = prune(model, models.ticket(name))
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        for parameter in small.parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(models.logits(model), whole)
    assert model.config.to_dict() == config
    assert not model.training
    assert not small.training


@pytest.mark.parametrize(
    "changes", [{"share_att_key": False}, {"position_buckets": -1}, {"pos_att_type": []}]
)
def test_deberta_with_other_projections_of_positions(changes: dict[str, object]) -> None:
    model, ticket = models.classifier("deberta-v2", **changes), models.ticket("deberta-v2")
    with masked(model, ticket):
        expected = models.logits(model)
    small = prune(model, ticket)
    torch.testing.assert_close(models.logits(small), expected, atol=1e-5, rtol=0)
    own = [name for name, _ in small.named_parameters() if "pos_key_proj" in name]
    assert len(own) == (2 * LAYERS if changes == {"share_att_key": False} else 0)


def test_mpnet_keeps_the_bias_of_the_heads_that_stay(tmp_path: Path) -> None:
    model, ticket = models.classifier("mpnet"), models.ticket("mpnet")
    table = model.base_model.encoder.relative_attention_bias.weight
    assert table.std() > 0.1, "the bias is the same for all heads, so it cannot tell them apart"
    small = prune(model, ticket)
    kept = [layer.attention.attn.kept_heads.tolist() for layer in FAMILIES["mpnet"].layers(small)]
    assert kept == [mask.nonzero()[0].tolist() for mask in ticket.heads]
    small.save_pretrained(tmp_path)
    again = type(small).from_pretrained(tmp_path)
    assert [layer.attention.attn.kept_heads.tolist() for layer in FAMILIES["mpnet"].layers(again)] == kept
    assert torch.equal(models.logits(again), models.logits(small))


def test_layers_of_albert_that_share_weights_are_cut_together() -> None:
    shared = {"num_hidden_layers": 4, "num_hidden_groups": 2}
    model = models.classifier("albert", **shared)
    assert FAMILIES["albert"].dimensions(model.config).layers == 2
    whole = models.ticket("albert")
    ticket = models.Ticket("albert", whole.heads[:2], whole.neurons[:2])
    with masked(model, ticket):
        expected = models.logits(model)
    small = prune(model, ticket)
    torch.testing.assert_close(models.logits(small), expected, atol=1e-5, rtol=0)
    # Each of the two groups is passed twice: cutting them is the same as cutting four layers of their own.
    apart = models.classifier("albert", num_hidden_layers=4, num_hidden_groups=4)
    groups = model.base_model.encoder.albert_layer_groups
    for index, own in enumerate(apart.base_model.encoder.albert_layer_groups):
        own.load_state_dict(groups[index // 2].state_dict())
    state = {key: value for key, value in model.state_dict().items() if "layer_groups" not in key}
    assert not apart.load_state_dict(state, strict=False).unexpected_keys
    torch.testing.assert_close(models.logits(apart), models.logits(model), atol=1e-5, rtol=0)
    doubled = models.Ticket("albert", ticket.heads.repeat(2, axis=0), ticket.neurons.repeat(2, axis=0))
    torch.testing.assert_close(models.logits(prune(apart, doubled)), expected, atol=1e-5, rtol=0)


def test_a_cut_modernbert_attends_in_its_window() -> None:
    small = prune(models.classifier("modernbert"), models.ticket("modernbert"))
    fed = models.batch("modernbert")
    wide = prune(models.classifier("modernbert", local_attention=64), models.ticket("modernbert"))
    assert all(torch.equal(value, wide.state_dict()[key]) for key, value in small.state_dict().items())
    assert (models.logits(wide, fed) - models.logits(small, fed)).abs().max() > 1e-3


@pytest.mark.parametrize("name", FAMILIES)
def test_the_longest_text_under_attack_has_a_position_for_every_token(name: str) -> None:
    tokenizer = models.tokenizer()
    tokenizer.model_input_names = list(models.batch(name))
    victim = Victim(prune(models.classifier(name), models.ticket(name)), tokenizer)
    behind_padding = ("roberta", "xlm-roberta", "camembert", "data2vec-text", "mpnet")
    without_table = ("deberta-v2", "modernbert")
    assert victim.reads == (None if name in without_table else 38 if name in behind_padding else 40)
    (longest,) = victim.encode([("word7 " * 100,)])
    assert longest.length == (victim.reads or 102)
    assert victim.compute([longest], longest.length)[0].sum() == pytest.approx(1)


DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.slow
def test_a_cut_model_of_the_documented_family_is_loaded_by_the_auto_class(tmp_path: Path) -> None:
    guide = (DOCS / "guides" / "extending.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^## A family$.*?^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    check = """
import sys
sys.path.insert(0, sys.argv[1])
import models, torch
from earlyrobust.pruning import masked, prune
from transformers import AutoModelForSequenceClassification

models.CONFIGS["ernie"] = models.BERT_SIZES | {"type_vocab_size": 2}
model, ticket = models.classifier("ernie"), models.ticket("ernie")
with masked(model, ticket):
    expected = models.logits(model, models.batch("ernie"))
small = prune(model, ticket)
small.save_pretrained(sys.argv[2])
again = AutoModelForSequenceClassification.from_pretrained(sys.argv[2])
torch.testing.assert_close(models.logits(again, models.batch("ernie")), expected, atol=1e-5, rtol=0)
"""
    done = subprocess.run(
        [sys.executable, "-c", example + check, str(Path(__file__).parent), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_the_page_names_every_family() -> None:
    page = (DOCS / "reference" / "families.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`([^`]+)`", " ".join(row.split("|")[1] for row in rows))) == set(FAMILIES)
