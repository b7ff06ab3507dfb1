"""Exports: the same logits wherever they are loaded, with and without this package."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import models
import numpy as np
import pytest
import tiny
import torch
from bare_environment import BareEnvironment
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from earlyrobust.encoders import load_classifier
from earlyrobust.errors import ModelError
from earlyrobust.export import export_dense, export_onnx, export_remote_code
from earlyrobust.families import FAMILIES
from earlyrobust.pruning import prune
from earlyrobust.workspace.finding import bytes_of_weights

# Loads what lies in a folder as <family>/<how>, and feeds it what <family>.json holds.
LOAD = """
import torch
from pathlib import Path
from transformers import AutoModelForSequenceClassification
found = {}
for folder in Path(sys.argv[1]).glob("*/*/"):
    remote = folder.name == "remote"
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=remote).eval()
    fed = json.loads(folder.parent.with_suffix(".json").read_text())
    with torch.no_grad():
        logits = [model(**{k: torch.tensor(v) for k, v in batch.items()}).logits.tolist() for batch in fed]
    found.setdefault(folder.parent.name, {})[folder.name] = [type(model).__name__, logits]
print(json.dumps(found))
"""
# A graph takes some ten seconds to make.
ONNX_FAMILIES = [
    name if name == "bert" else pytest.param(name, marks=pytest.mark.slow) for name in models.CONFIGS
]


Export = Callable[[PreTrainedModel, Path], None]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> BareEnvironment:
    return BareEnvironment(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def elsewhere(bare: BareEnvironment, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """Both exports of every family, and what an environment without this package makes of them."""
    folder = tmp_path_factory.mktemp("exports")
    for family in FAMILIES:
        fed = [{name: values.tolist() for name, values in batch.items()} for batch in batches(family)]
        (folder / f"{family}.json").write_text(json.dumps(fed))
        export_dense(cut(family), folder / family / "dense")
        export_remote_code(cut(family), folder / family / "remote")
    return folder, bare.run(LOAD, str(folder))


def cut(family: str) -> PreTrainedModel:
    return prune(models.classifier(family), models.ticket(family))


@contextmanager
def left_as_it_is(model: PreTrainedModel) -> Iterator[None]:
    """Sees that a model's weights, mode and device stay, and that it is not moved meanwhile either."""

    def state() -> tuple[object, ...]:
        weights = [(weight.data_ptr(), weight.device, weight.requires_grad) for weight in model.parameters()]
        return model.training, weights, [buffer.data_ptr() for buffer in model.buffers()]

    moved: list[torch.nn.Module] = []
    apply = torch.nn.Module._apply  # what `to`, `cpu`, `float` and all the like do their work by

    def watched(self: torch.nn.Module, *args: object, **options: object) -> torch.nn.Module:
        moved.append(self)
        return apply(self, *args, **options)

    first = next(model.parameters())
    model.train()
    first.requires_grad_(False)
    before = state()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Module, "_apply", watched)
        yield
    assert state() == before
    assert not any(module is model for module in moved)
    model.eval()
    first.requires_grad_(True)


def batches(family: str) -> list[dict[str, torch.Tensor]]:
    return [models.batch(family), models.batch(family, rows=1, length=4), models.batch(family, 2, 30)]


@pytest.mark.parametrize("family", FAMILIES)
def test_without_this_package(family: str, elsewhere: tuple[Path, dict]) -> None:
    (folder, found), small = elsewhere, cut(family)
    for how, kind in (("dense", type(small).__bases__[1].__name__), ("remote", type(small).__name__)):
        name, logits = found[family][how]
        assert name == kind
        for fed, got in zip(batches(family), logits, strict=True):
            expected = models.logits(small, fed)
            torch.testing.assert_close(torch.tensor(got), expected, atol=1e-6, rtol=3e-6)
    sizes = {how: (folder / family / how / "model.safetensors").stat().st_size for how in ("dense", "remote")}
    assert sizes["remote"] < sizes["dense"]


@pytest.mark.parametrize("export", [export_dense, export_remote_code])
@pytest.mark.parametrize("family", ["bert", "deberta-v2", "modernbert"])
def test_an_export_leaves_the_model_as_it_is(family: str, export: Export, tmp_path: Path) -> None:
    small = cut(family)
    with left_as_it_is(small):
        export(small, tmp_path)


@pytest.mark.slow
def test_remote_code_goes_on_as_any_model_does(bare: BareEnvironment, tmp_path: Path) -> None:
    export_remote_code(cut("mpnet"), tmp_path / "remote")
    code = """
import torch
from transformers import AutoModelForSequenceClassification, AutoConfig
folder = sys.argv[1]
model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
ids = torch.tensor([[2, 7, 8, 3]])
model(input_ids=ids, labels=torch.tensor([1])).loss.backward()
torch.optim.SGD(model.parameters(), lr=0.1).step()
model.eval().save_pretrained(folder + "-trained")
again = AutoModelForSequenceClassification.from_pretrained(folder + "-trained", trust_remote_code=True).eval()
same = torch.equal(again(input_ids=ids).logits, model(input_ids=ids).logits)
print(json.dumps([same, again.config.kept_heads, list(again.config.id2label.values())]))
"""
    same, heads, labels = bare.run(code, str(tmp_path / "remote"))
    assert same
    assert heads == models.ticket("mpnet").heads_per_layer
    assert labels == ["LABEL_0", "LABEL_1", "LABEL_2"]


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_this_package_loads_remote_code_folders_without_running_their_code(
    family: str, tmp_path: Path
) -> None:
    small = cut(family)
    export_remote_code(small, tmp_path)
    (tmp_path / "modeling_earlyrobust.py").write_text("raise RuntimeError('was run')")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(again) is type(small)
    assert torch.equal(models.logits(again), models.logits(small))
    models.assert_equal_tickets(again.ticket, small.ticket)


@pytest.mark.parametrize("family", ONNX_FAMILIES)
def test_onnx_gives_the_same_logits_for_any_batch(family: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    small, tokenizer = cut(family), models.tokenizer()
    tokenizer.model_input_names = list(models.batch(family))
    with left_as_it_is(small):
        export_onnx(small, tokenizer, str(tmp_path / "onnx"))
        export_onnx(small, tokenizer, tmp_path / "int8", int8=True)
    whole, eight = load_classifier(str(tmp_path / "onnx")), load_classifier(str(tmp_path / "int8"))
    expected = torch.cat([models.logits(small, fed) for fed in batches(family)])
    logits = torch.cat([whole(**fed).logits for fed in batches(family)])
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
    # In layers as narrow as these, 8 bits are no more than near.
    near = torch.cat([eight(**fed).logits for fed in batches(family)])
    assert np.corrcoef(near.flatten(), expected.flatten())[0, 1] > 0.85
    assert AutoConfig.from_pretrained(tmp_path / "onnx").model_type == family
    sizes = [(tmp_path / how / "model.onnx").stat().st_size for how in ("onnx", "int8")]
    assert not whole.is_quantised
    assert eight.is_quantised
    assert not torch.equal(whole.file_digest, eight.file_digest)
    assert sizes[1] != sizes[0]


def test_weights_of_a_large_model_are_in_a_file_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    monkeypatch.setattr("torch.onnx._internal.exporter._onnx_program._LARGE_MODEL_THRESHOLD", 1_000)
    tokenizer = models.tokenizer()
    tokenizer.model_input_names = list(models.batch("bert"))
    digests = []
    for how in ("onnx", "int8"):
        export_onnx(cut("bert"), tokenizer, tmp_path / how, int8=how == "int8")
        weights = tmp_path / how / "model.onnx.data"
        assert weights.stat().st_size == bytes_of_weights(tmp_path / how) - sum(
            file.stat().st_size for file in weights.parent.glob("*.onnx")
        )
        model = load_classifier(str(tmp_path / how))
        found, expected = model(**models.batch("bert")).logits, models.logits(cut("bert"))
        assert np.corrcoef(found.flatten(), expected.flatten())[0, 1] > (0.85 if how == "int8" else 0.9999)
        assert model.is_quantised == (how == "int8")
        digests.append(model.file_digest)
    # Other weights are another model; files that the graph does not name are none of its weights.
    (tmp_path / "int8" / "model.onnx.bak").write_bytes(b"of the user")
    assert torch.equal(load_classifier(str(tmp_path / "int8")).file_digest, digests[1])
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert not torch.equal(load_classifier(str(tmp_path / "int8")).file_digest, digests[1])
    weights.unlink()
    with pytest.raises(ModelError, match=r"model\.onnx' cannot be run by onnxruntime: export .*\.$"):
        load_classifier(str(tmp_path / "int8"))


@pytest.mark.slow
def test_no_text_of_a_quantised_model_depends_on_the_others(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    tokenizer = models.tokenizer()
    tokenizer.model_input_names = list(models.batch("bert"))
    export_onnx(cut("bert"), tokenizer, tmp_path, int8=True)
    model, fed = load_classifier(str(tmp_path)), models.batch("bert")
    together = model(**fed).logits
    for index, length in enumerate(fed["attention_mask"].sum(dim=1)):
        alone = {name: values[index : index + 1, :length] for name, values in fed.items()}
        assert torch.equal(model(**alone).logits[0], together[index])
    # As it would if the graph were given all of them at once.
    assert not np.array_equal(model.run(fed).numpy(), together.numpy())


def test_what_is_not_cut_needs_no_such_export(tmp_path: Path) -> None:
    for export in (export_dense, export_remote_code):
        with pytest.raises(ModelError, match=r"^The model is not cut.*\.$"):
            export(models.classifier("bert"), tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_damaged_graph_is_refused_in_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    models.classifier("bert").config.save_pretrained(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match=r"model\.onnx' cannot be run by onnxruntime: export .*\.$"):
        load_classifier(str(tmp_path))


def test_a_model_that_pytorch_cannot_export_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise torch.onnx.OnnxExporterError("thousands of lines")

    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(ModelError, match=r"^PyTorch cannot write \w+ as an ONNX graph .* instead\.$"):
        export_onnx(tiny.classifier(), tiny.tokenizer(), tmp_path)
