"""Timing classifiers in turns, and what is said of it."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import huggingface_hub
import models
import pytest
import torch
from conftest import Outcome, call
from tiny_encoder import write_encoder
from transformers import AutoConfig, AutoModelForSequenceClassification

from earlyrobust.encoders import load_classifier
from earlyrobust.evaluation import latency
from earlyrobust.judging import benchmarking
from earlyrobust.reports.benchmark import benchmark_tables, benchmark_verdicts
from earlyrobust.results import BenchmarkRecord, ContenderRecord, LatencyRecord
from earlyrobust.workspace.environment import describe_environment


def record_of(**medians: tuple[float, ...]) -> BenchmarkRecord:
    contenders = [
        ContenderRecord(
            name=name.replace("_", " "),
            bytes=3_000_000,
            memory=None,
            latencies=[LatencyRecord(8, 2**place, 20, p50, 2 * p50) for place, p50 in enumerate(of_one)],
        )
        for name, of_one in medians.items()
    ]
    return BenchmarkRecord(contenders, describe_environment())


def test_speed_is_the_geometric_mean_of_ratios(tmp_path: Path) -> None:
    record = record_of(dense=(0.010, 0.040), ticket=(0.005, 0.005))
    dense, ticket = record.contenders
    assert record.speed_up(dense) == 1
    assert record.speed_up(ticket) == pytest.approx((2 * 8) ** 0.5)
    assert ticket.latencies[0].throughput == pytest.approx(1600)
    record.save(tmp_path)
    assert BenchmarkRecord.load(tmp_path) == record


def test_tables_show_every_batch(tmp_path: Path) -> None:
    times, texts, sizes = benchmark_tables(record_of(dense=(0.010, 0.040), ticket=(0.005, 0.005)))
    assert times.rows == [["8 × 1", "10.0 (20.0)", "5.0 (10.0)"], ["8 × 2", "40.0 (80.0)", "5.0 (10.0)"]]
    assert texts.rows[1] == ["8 × 2", "200 (1.00)", "1,600 (8.00)"]
    assert sizes.rows[1] == ["ticket", "3.0 MB", "–", "4.00"]


@pytest.mark.parametrize(("heads", "said"), [(0.0098, "gives no speed-up"), (0.005, "gives 2.00 times")])
def test_it_is_said_what_cutting_heads_alone_gives(heads: float, said: str) -> None:
    record = record_of(dense=(0.01,), heads_cut_only=(heads,), ticket=(0.004,))
    sentence, *_ = benchmark_verdicts(record)
    assert said in sentence
    others = list(benchmark_verdicts(record_of(dense=(0.01,), ticket=(0.004,))))
    assert not [other for other in others if "heads" in other]


def test_a_ticket_is_held_against_the_dense_model_in_the_same_form_and_in_its_fastest() -> None:
    record = record_of(
        dense=(0.010, 0.040),
        ticket=(0.008, 0.020),
        dense_onnx=(0.008, 0.032),
        onnx=(0.004, 0.032),
    )
    same, fastest = benchmark_verdicts(record)
    assert same == (
        "Speed of the ticket, relative to the dense model in the same form: 1.58 in PyTorch, 1.41 in onnx."
    )
    # The fastest forms: at the first size 8 and 4 ms, at the second 32 and 20 ms.
    assert fastest.startswith("At all sizes the fastest form of the ticket is faster")
    assert fastest.endswith("(dense, dense onnx); speed-up in brackets: 8 × 1 (2.00), 8 × 2 (1.60).")
    some = record_of(dense=(0.010, 0.040), ticket=(0.010, 0.020))
    assert "At some sizes" in list(benchmark_verdicts(some))[1]
    _, nowhere = benchmark_verdicts(record_of(dense=(0.008,), ticket=(0.008,)))
    assert nowhere == "The ticket is nowhere faster than the fastest form of the dense model (dense)."


def test_models_take_turns_on_the_same_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, torch.Tensor]] = []
    ticks = iter(range(10**6))
    both = {"one": models.classifier("bert"), "other": models.classifier("bert", seed=1)}
    names = {id(model): name for name, model in both.items()}

    def answer(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> None:
        seen.append((names[id(model)], batch["input_ids"]))
        for _ in range(2 if names[id(model)] == "one" else 7):
            next(ticks)

    monkeypatch.setattr(latency, "answer", answer)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: next(ticks))
    found = latency.time_in_turns(both, batch_size=3, tokens=6, seconds=100)
    order = [name for name, _ in seen]
    assert order[:6] == ["one", "other", "other", "one", "one", "other"]
    assert order.count("one") == order.count("other") == found["one"].passes + 2
    assert found["one"].passes >= 5
    assert all(torch.equal(tokens, seen[0][1]) and tokens.shape == (3, 6) for _, tokens in seen)
    assert (found["one"].p50, found["other"].p95) == (3, 8)
    assert found["one"].throughput == 1


@pytest.mark.slow
def test_a_run_in_every_form(finished: tuple[Path, Outcome], tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished[0], tmp_path / "run"))
    sizes = ("--batches", "1,4", "--lengths", "16", "--seconds", "0.1")
    outcome = call("benchmark", run, *sizes, "--output", tmp_path / "out")
    assert outcome.code == 0, outcome
    record = BenchmarkRecord.load(tmp_path / "out")
    forms = ["dense", "heads cut only", "ticket"]
    if find_spec("onnxruntime") is not None:
        forms += ["dense onnx", "onnx", "dense onnx-int8", "onnx-int8"]
    assert [contender.name for contender in record.contenders] == forms
    assert all(len(contender.latencies) == 2 for contender in record.contenders)
    dense, heads, ticket = record.contenders[:3]
    assert dense.bytes > heads.bytes > ticket.bytes
    assert all(contender.memory > 0 for contender in record.contenders)
    assert "Cutting heads alone" in outcome.out
    assert sorted(path.name for path in run.iterdir()) == sorted(path.name for path in finished[0].iterdir())


QUICKLY = ("--batches", "1,2", "--lengths", "8", "--seconds", "0.1")
_BART = {
    **{"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2},
    **{"decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "pad_token_id": 0},
    **{"bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 3, "forced_eos_token_id": 3},
}


@pytest.mark.parametrize(
    ("kind", "sizes", "padding"),
    [
        ("bart", _BART, "[PAD]"),
        ("gpt2", {"n_embd": 16, "n_layer": 1, "n_head": 2, "bos_token_id": 2, "eos_token_id": 3}, None),
    ],
    ids=["an end token is needed", "no padding token is named"],
)
@pytest.mark.parametrize("onnx", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_model_is_given_the_tokens_that_it_needs(
    kind: str,
    sizes: dict[str, int],
    padding: str | None,
    onnx: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = {"id2label": {0: "even", 1: "odd"}, "label2id": {"even": 0, "odd": 1}}
    config = AutoConfig.for_model(kind, vocab_size=models.VOCABULARY, **sizes, **names)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "model")
    tokenizer = models.tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.pad_token, tokenizer.eos_token = padding, "[SEP]"
    tokenizer.save_pretrained(tmp_path / "model")
    if not onnx:
        monkeypatch.setattr(benchmarking, "find_spec", lambda _: None)
    outcome = call("benchmark", tmp_path / "model", *QUICKLY, "--output", tmp_path / "out")
    assert outcome.code == 0, outcome
    for contender in BenchmarkRecord.load(tmp_path / "out").contenders:
        assert [latency.batch_size for latency in contender.latencies] == [1, 2]
        assert contender.memory > 0


@pytest.mark.parametrize("name", ["me/tiny", "tiny"])
def test_the_size_of_a_model_on_the_hub_is_that_of_its_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(benchmarking, "find_spec", lambda _: None)
    monkeypatch.setattr(benchmarking, "memory_of", lambda *_: 1)
    repository, commit = tmp_path / "cache" / f"models--{name.replace('/', '--')}", 40 * "0"
    folder = write_encoder(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    (folder / "model.safetensors.txt").write_text("no weights", encoding="utf-8")
    outcome = call("benchmark", name, *QUICKLY, "--output", tmp_path / "out")
    assert outcome.code == 0, outcome
    (contender,) = BenchmarkRecord.load(tmp_path / "out").contenders
    assert contender.bytes == (folder / "model.safetensors").stat().st_size
    # If the cache keeps the file elsewhere, the size is that of the weights in memory.
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    assert call("benchmark", name, *QUICKLY, "--output", tmp_path / "other").code == 0
    (contender,) = BenchmarkRecord.load(tmp_path / "other").contenders
    assert contender.bytes == sum(4 * weight.numel() for weight in load_classifier(name).parameters())


def test_what_a_folder_holds_is_looked_at_before_the_work(tmp_path: Path) -> None:
    record_of(dense=(0.01,)).save(tmp_path / "old")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").write_text("mine", encoding="utf-8")
    before = (tmp_path / "old" / "benchmark.json").read_bytes()
    for folder, says in {"old": "holds a benchmark already", "foreign": "holds other files"}.items():
        # The model does not exist, so the folder is looked at first.
        outcome = call("benchmark", tmp_path / "no-model", *QUICKLY, "--output", tmp_path / folder)
        assert outcome.code == 2
        assert says in outcome.err
        assert str(tmp_path / folder) in outcome.err
        assert len(list((tmp_path / folder).iterdir())) == 1
    assert (tmp_path / "old" / "benchmark.json").read_bytes() == before


def test_heads_are_cut_in_comparison_with_the_dense_form_of_the_same_model() -> None:
    several = {"a:_dense": 0.01, "a:_heads_cut_only": 0.005, "b:_dense": 0.04, "b:_heads_cut_only": 0.04}
    first, second = benchmark_verdicts(record_of(**{name: (time,) for name, time in several.items()}))
    assert first == "Cutting heads alone gives 2.00 times the speed of a: dense."
    assert second.startswith("Cutting heads alone gives no speed-up here: 1.00 times the speed of b: dense.")


def test_what_cannot_be_timed_is_said(finished: tuple[Path, Outcome], tmp_path: Path) -> None:
    cases = {
        "--batches": ("--batches", "0"),
        "--lengths": ("--lengths", "many"),
        "--seconds": ("--seconds", "-1"),
        "too long for the model": ("--lengths", "100000"),
    }
    for message, options in cases.items():
        outcome = call("benchmark", finished[0], *options, "--output", tmp_path / "out")
        assert outcome.code == 2, outcome
        assert message in outcome.err
        assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
