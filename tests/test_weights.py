"""Which weights are used: those of the file, all of them, or a sentence that says what is wrong with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import models
import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from test_encoders import change_config, one_sentence
from transformers import BertConfig, BertForMaskedLM, BertModel

from earlyrobust import onnx_classifier
from earlyrobust.attacks.models import Victim
from earlyrobust.attacks.server import padded_length
from earlyrobust.data import tokenize
from earlyrobust.encoders import (
    load_classifier,
    load_masked_lm,
    load_pretrained,
    load_tokenizer,
    padding_side,
)
from earlyrobust.errors import ModelError
from earlyrobust.evaluation.clean import predict
from earlyrobust.families import FAMILIES
from earlyrobust.workspace.finding import bytes_of_weights

Weights = dict[str, torch.Tensor]
Edit = Callable[[Weights], Weights]
LABELS = ["bad", "good", "so"]
FILE = "model.safetensors"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `classifier`, `encoder` and `masked-lm`, of the same sizes."""
    place = tmp_path_factory.mktemp("originals")
    classifier = models.classifier("bert")
    classifier.save_pretrained(place / "classifier")
    classifier.base_model.save_pretrained(place / "encoder")
    BertForMaskedLM(classifier.config).save_pretrained(place / "masked-lm")
    for folder in place.iterdir():
        models.tokenizer().save_pretrained(folder)
    return place


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def edited(folder: Path, edit: Edit) -> None:
    save_file(edit(load_file(folder / FILE)), folder / FILE, metadata={"format": "pt"})


def without(part: str) -> Edit:
    return lambda weights: {key: value for key, value in weights.items() if part not in key}


def renamed(old: str, new: str) -> Edit:
    return lambda weights: {
        (new + key if not old else key.replace(old, new)): value for key, value in weights.items()
    }


def filled(part: str, value: float) -> Edit:
    def fill(weights: Weights) -> Weights:
        chosen = next(key for key in sorted(weights) if part in key)
        weights[chosen].view(-1)[3] = value
        return weights

    return fill


def beside(name: str) -> Edit:
    """One more weight, named as others of its layer are."""

    def add(weights: Weights) -> Weights:
        known = next(key for key in weights if "layer.0.attention.self.query.weight" in key)
        prefix = known.partition("layer.0")[0]
        return weights | {f"{prefix}{name}.weight": torch.ones(2, models.HIDDEN)}

    return add


def cast(kind: torch.dtype) -> Edit:
    return lambda weights: {key: value.to(kind) for key, value in weights.items()}


LOADERS: dict[str, Callable[[str], object]] = {
    "classifier": load_classifier,
    "encoder": lambda name: load_pretrained(name, LABELS, seed=0),
    "masked-lm": load_masked_lm,
}
EVERYWHERE = tuple(LOADERS)
POSITIONS = "position_embeddings.weight has the shape 40 × 32 in the file and 80 × 32 by the configuration"
# What is done to the weights or to the configuration, where, and what the sentence says.
FAULTS: dict[str, tuple[Edit | dict[str, object], tuple[str, ...], str]] = {
    "more positions": ({"max_position_embeddings": 80}, EVERYWHERE, POSITIONS),
    "more words": ({"vocab_size": 101}, EVERYWHERE, "100 × 32 in the file and 101 × 32"),
    "more token types": ({"type_vocab_size": 3}, EVERYWHERE, "token_type_embeddings.weight"),
    "wider layers": ({"intermediate_size": 25}, EVERYWHERE, "and 8 more"),
    "no word embeddings": (without("word_embeddings"), ("classifier", "encoder"), "word_embeddings.weight"),
    "no position embeddings": (without("position_embeddings"), EVERYWHERE, "position_embeddings.weight"),
    "no norm": (without("embeddings.LayerNorm"), EVERYWHERE, "LayerNorm.bias and 1 more"),
    "no bias of one layer": (without("layer.1.output.dense.bias"), EVERYWHERE, "layer.1.output.dense.bias"),
    "half a pooler": (without("pooler.dense.bias"), ("classifier", "encoder"), "pooler.dense.bias"),
    "more layers by the configuration": ({"num_hidden_layers": 4}, EVERYWHERE, "layer.3.attention"),
    "more layers in the file": ({"num_hidden_layers": 2}, EVERYWHERE, "layers that its configuration leaves"),
    "nothing of it": (lambda _: {"x": torch.zeros(1)}, EVERYWHERE, "the file lacks"),
    "in DataParallel": (renamed("", "module."), EVERYWHERE, "inside DataParallel"),
    "compiled": (renamed("", "_orig_mod."), EVERYWHERE, "inside torch.compile"),
    "compiled in DataParallel": (
        renamed("", "module._orig_mod."),
        EVERYWHERE,
        "save the model that is inside",
    ),
    "compiled layers": (renamed("layer.", "_orig_mod.layer."), EVERYWHERE, "take '_orig_mod.' out"),
    "sharded": (renamed("", "_fsdp_wrapped_module."), EVERYWHERE, "inside FSDP"),
    "in a module of the user's": (renamed("", "model."), EVERYWHERE, "take 'model.' off the names"),
    "in a module named otherwise": (renamed("", "net.encoder."), EVERYWHERE, "take 'net.encoder.' off"),
    "more classes by the configuration": (
        {"id2label": {str(index): f"class {index}" for index in range(4)}},
        ("classifier",),
        "correct its config.json (id2label and num_labels of a classifier)",
    ),
    "LoRA within": (beside("layer.0.attention.self.query.lora_A.default"), EVERYWHERE, "merge it into"),
    "LoRA around": (renamed("query.weight", "query.base_layer.weight"), EVERYWHERE, "merge it into"),
    "bottlenecks": (beside("layer.2.output.adapters.mine.down"), EVERYWHERE, "have no place for"),
    "relative positions": (
        beside("layer.1.attention.self.distance_embedding"),
        EVERYWHERE,
        "distance_embedding.weight",
    ),
    "of whole numbers": (cast(torch.int8), EVERYWHERE, "are of type I8"),
    "of bytes": (cast(torch.uint8), EVERYWHERE, "are of type U8"),
    "of eight bits": (cast(torch.float8_e4m3fn), EVERYWHERE, "are of type F8_E4M3"),
    "NaN": (filled("query.weight", float("nan")), EVERYWHERE, "is not a number (NaN or infinite"),
    "infinite": (filled("LayerNorm.bias", float("inf")), EVERYWHERE, "LayerNorm.bias"),
    "minus infinite": (filled("word_emb", float("-inf")), EVERYWHERE, "word_embeddings.weight"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_only_the_head_may_be_made_up(fault: str, originals: Path, tmp_path: Path) -> None:
    inflict, kinds, message = FAULTS[fault]
    for kind in kinds:
        folder = tmp_path / kind
        shutil.copytree(originals / kind, folder)
        if isinstance(inflict, dict):
            change_config(folder, **inflict)
        else:
            edited(folder, inflict)
        with pytest.raises(ModelError) as error:
            LOADERS[kind](str(folder))
        assert message in one_sentence(error)
        assert f"'{folder}'" in str(error.value)


def test_a_pooler_that_masked_language_models_lack_is_made_up_and_named(originals: Path) -> None:
    notes: list[str] = []
    model = load_pretrained(str(originals / "masked-lm"), LABELS, 1, notes.append)
    again = load_pretrained(str(originals / "masked-lm"), LABELS, 1)
    assert torch.equal(model.bert.pooler.dense.weight, again.bert.pooler.dense.weight)
    held = load_file(originals / "masked-lm" / FILE)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in held.items() if "bert." in key)
    (note,) = notes
    assert "bert.pooler.dense.bias and bert.pooler.dense.weight begin as random numbers" in note
    with pytest.raises(ModelError, match="without a trained classification head"):
        load_classifier(str(originals / "masked-lm"))


@pytest.mark.parametrize("family", FAMILIES)
def test_whole_models_of_every_family_are_loaded(family: str, tmp_path: Path) -> None:
    model = models.classifier(family)
    for part in (model, model.base_model):
        part.save_pretrained(tmp_path)
        notes: list[str] = []
        loaded = load_pretrained(str(tmp_path), LABELS, 0, notes.append)
        assert notes == []
        expected = model.base_model.state_dict()
        assert all(torch.equal(value, expected[key]) for key, value in loaded.base_model.state_dict().items())


def test_a_sentence_encoder_is_whole_or_refused(originals: Path, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    from earlyrobust.encoders import load_sentence_encoder

    folder = tmp_path / "sentences"
    shutil.copytree(originals / "encoder", folder)
    cpu = torch.device("cpu")
    assert load_sentence_encoder(str(folder), cpu).encode("word7 word8").shape == (models.HIDDEN,)
    for fault in ("no position embeddings", "NaN", "more layers in the file", "no norm", "compiled layers"):
        shutil.rmtree(folder)
        shutil.copytree(originals / "encoder", folder)
        inflict, _, message = FAULTS[fault]
        if isinstance(inflict, dict):
            change_config(folder, **inflict)
        else:
            edited(folder, inflict)
        with pytest.raises(ModelError) as error:
            load_sentence_encoder(str(folder), cpu)
        assert message.split(" and ")[0] in one_sentence(error)


# --- Files beside one another ------------------------------------------------------------------------------


def adapter(folder: Path) -> None:
    told = {"peft_type": "LORA", "base_model_name_or_path": "some/base"}
    (folder / "adapter_config.json").write_text(json.dumps(told))
    save_file({"lora_A": torch.zeros(1)}, folder / "adapter_model.safetensors")


def bare(folder: Path) -> None:
    (folder / FILE).unlink()
    (folder / "config.json").unlink()


def sharded(folder: Path) -> list[Path]:
    model = load_classifier(str(folder))
    (folder / FILE).unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    return sorted(folder.glob("model-*"))


FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "an adapter": (lambda at: (bare(at), adapter(at)), "is an adapter of 'some/base'"),
    "an adapter with a configuration": (lambda at: ((at / FILE).unlink(), adapter(at)), "is an adapter"),
    "an adapter's weights alone": (
        lambda at: (bare(at), adapter(at), (at / "adapter_config.json").unlink()),
        "is an adapter (LoRA",
    ),
    "an adapter whose configuration is damaged": (
        lambda at: (bare(at), (at / "adapter_config.json").write_text("[")),
        "merge it with peft's",
    ),
    "an adapter beside a whole model": (adapter, "a whole model and an adapter beside it"),
    "an older adapter beside a whole model": (
        lambda at: (at / "adapter_model.bin").touch(),
        "(adapter_model.bin)",
    ),
    "a lost shard": (lambda at: sharded(at)[1].unlink(), "lacks 1 of the 5 files"),
    "no shard": (lambda at: [shard.unlink() for shard in sharded(at)], "lacks 5 of the 5 files"),
    "a damaged index": (
        lambda at: (sharded(at), (at / f"{FILE}.index.json").write_text("{}")),
        "index.json' is damaged",
    ),
    "a pointer of git": (
        lambda at: (at / FILE).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n"),
        "git lfs pull",
    ),
    "nothing in the file": (lambda at: (at / FILE).write_bytes(b""), "cannot be loaded"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_that_is_no_whole_model(case: str, originals: Path, tmp_path: Path) -> None:
    inflict, message = FOLDERS[case]
    folder = tmp_path / "model"
    shutil.copytree(originals / "classifier", folder)
    inflict(folder)
    for load in (load_classifier, lambda name: load_pretrained(name, LABELS, seed=0)):
        with pytest.raises(ModelError) as error:
            load(str(folder))
        assert message in one_sentence(error)


@pytest.mark.parametrize("graph", [b"", b"another model's graph"])
def test_weights_are_judged_and_not_the_graph_beside_them(
    graph: bytes, originals: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(originals / "classifier", folder)
    (folder / onnx_classifier.FILE_NAME).write_bytes(graph)
    torch.save({}, folder / "pytorch_model.bin")
    notes: list[str] = []
    model = load_classifier(str(folder), notes.append)
    assert torch.equal(models.logits(model), models.logits(load_classifier(str(originals / "classifier"))))
    assert [note.split(" read from ")[1] for note in notes] == [
        "model.safetensors, not from pytorch_model.bin beside it.",
        "model.safetensors, not from the model.onnx beside it.",
    ]
    assert bytes_of_weights(folder) == (folder / FILE).stat().st_size


@pytest.mark.parametrize(
    ("name", "count"),
    [("owner/name", 1), ("./owner/name", 0), ("owner/./name", 0), ("owner", 0), ("a/b/c", 0)],
)
def test_a_folder_that_could_be_a_name_on_the_hub_is_said(
    name: str, count: int, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(originals / "classifier", name)
    notes: list[str] = []
    load_classifier(name, notes.append)
    load_pretrained(name, LABELS, 0, notes.append)
    said = f"'{name}' is read from the folder of that name here, not from the Hugging Face hub."
    assert notes == [said] * 2 * count
    (Path(name).parent / "progress.json").touch()
    load_classifier(name, notes.append)  # is the model of a run
    assert notes == [said] * 2 * count


# --- Padding -----------------------------------------------------------------------------------------------

TEXTS = ["word5", "word6 word7 word8 word9 word10 word11", "word12 word5 word6"]


@pytest.mark.parametrize(
    "family", ["bert", "roberta", "distilbert", "mpnet", "electra", "albert", "deberta-v2"]
)
def test_no_text_is_read_otherwise_beside_longer_ones(family: str, tmp_path: Path) -> None:
    model, tokenizer = models.classifier(family), models.tokenizer()
    tokenizer.padding_side = "left"
    tokenizer.pad_token = models.WORDS[models.CONFIGS[family].get("pad_token_id", 0)]
    if family in models.NO_TOKEN_TYPES:
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    rows = Dataset.from_dict({"text": TEXTS, "label": [0, 1, 2]})
    tokens = tokenize(rows, tokenizer, 20, cache_dir=tmp_path)
    alone, together = (predict(model, tokenizer, tokens, size) for size in (1, 3))
    np.testing.assert_allclose(together, alone, atol=1e-5)
    victim = Victim(model, tokenizer, 20)
    items = victim.encode([(text,) for text in TEXTS])
    expected = torch.softmax(torch.from_numpy(alone), dim=1).numpy()
    np.testing.assert_allclose(victim.compute(items, padded_length(12)), expected, atol=1e-5)
    model.save_pretrained(tmp_path / "left")
    tokenizer.save_pretrained(tmp_path / "left")
    assert load_tokenizer(str(tmp_path / "left")).padding_side == "right"


@pytest.mark.parametrize(
    ("config", "side"),
    [
        (BertConfig(), "right"),
        (BertConfig(summary_type="last"), "left"),
        (BertConfig(summary_type="first"), "right"),
        (None, "right"),
    ],
)
def test_the_side_of_the_padding(config: BertConfig | None, side: str) -> None:
    assert padding_side(config) == side


def test_an_encoder_alone_is_checked_as_a_part_of_a_classifier_is(tmp_path: Path) -> None:
    BertModel(models.classifier("bert").config, add_pooling_layer=False).save_pretrained(tmp_path)
    notes: list[str] = []
    load_pretrained(str(tmp_path), LABELS, 0, notes.append)
    assert len(notes) == 1
