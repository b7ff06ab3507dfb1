"""What is read of a text: positions that are there, texts that are cut, and models that cannot be fed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import models
import pytest
import torch
from conftest import call, write_csv
from datasets import Dataset
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForSequenceClassification, PreTrainedModel
from transformers import PreTrainedTokenizerFast as Tokenizer

from earlyrobust.attacks import WordSwapAttack
from earlyrobust.attacks.models import MaskedLM, SentenceEncoder
from earlyrobust.attacks.swaps import Swaps
from earlyrobust.data.tokens import tokenize_and_count
from earlyrobust.encoders import load_sentence_encoder, load_skeleton, readable_tokens, trained_tokens
from earlyrobust.journal import read_journal
from earlyrobust.judging import attacking
from earlyrobust.pipeline.reading import read_texts
from earlyrobust.results import RunRecord
from earlyrobust.workspace.observer import Observer

POSITIONS = 40
_BERT = {name: value for name, value in models.BERT_SIZES.items() if name != "num_hidden_layers"} | {
    "num_hidden_layers": 1,
    "pad_token_id": 0,
}
_BEHIND_PADDING = _BERT | {"pad_token_id": 1, "type_vocab_size": 1}
_RELATIVE = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 2}
_GPT = {"n_positions": POSITIONS, "n_embd": 32, "n_layer": 1, "n_head": 4, "eos_token_id": 3}
_BART = {
    **{"max_position_embeddings": POSITIONS, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1},
    **{"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32},
    **{"decoder_ffn_dim": 32, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3},
    **{"decoder_start_token_id": 3, "forced_eos_token_id": 3},
}
_T5 = {"d_model": 32, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 4, "eos_token_id": 3}
_XLM = {"emb_dim": 32, "n_layers": 1, "n_heads": 4, "max_position_embeddings": POSITIONS, "pad_token_id": 0}
_MODERN = models.CONFIGS["modernbert"]
# The architecture, its settings, and the most tokens that it reads.
KINDS: dict[str, tuple[str, dict[str, Any], int | None]] = {
    "bert": ("bert", _BERT, 40),
    "roberta": ("roberta", _BEHIND_PADDING, 38),
    "xlm-r": ("xlm-roberta", _BEHIND_PADDING, 38),
    "mpnet": ("mpnet", _BEHIND_PADDING, 38),
    "padding at 3": ("roberta", _BEHIND_PADDING | {"pad_token_id": 3}, 36),
    "distilbert": ("distilbert", models.CONFIGS["distilbert"], 40),
    "electra": ("electra", _BERT, 40),
    "albert": ("albert", _BERT, 40),
    "deberta-v2 with a table": ("deberta-v2", _BERT | _RELATIVE, 40),
    "deberta-v2": ("deberta-v2", _BERT | _RELATIVE | {"position_biased_input": False}, None),
    "deberta": ("deberta", _BERT | _RELATIVE | {"position_biased_input": False}, None),
    "modernbert": ("modernbert", _MODERN, None),
    "gpt2": ("gpt2", _GPT, 40),
    "xlnet": ("xlnet", {"d_model": 32, "n_layer": 1, "n_head": 4, "d_inner": 32, "pad_token_id": 0}, None),
    "bart": ("bart", _BART, 40),
    "opt": (
        "opt",
        {"hidden_size": 32, "word_embed_proj_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
        | {"ffn_dim": 32, "max_position_embeddings": POSITIONS, "pad_token_id": 0},
        40,
    ),
    "mt5": ("mt5", _T5 | {"pad_token_id": 0, "decoder_start_token_id": 0}, None),
    "xlm": ("xlm", _XLM, 40),
    "sinusoidal": ("xlm", _XLM | {"sinusoidal_embeddings": True}, 40),
    "longformer": ("longformer", _BEHIND_PADDING | {"attention_window": [4]}, 38),
    "roformer": ("roformer", _BERT, 40),
}


def write_model(folder: Path, kind: str, **changes: Any) -> PreTrainedModel:
    """A tiny random classifier of two classes, and a tokenizer that names no limit."""
    architecture, settings, _ = KINDS[kind]
    names = {"id2label": {0: "even", 1: "odd"}, "label2id": {"even": 0, "odd": 1}}
    sizes = {"vocab_size": models.VOCABULARY, "initializer_range": 0.4}
    config = AutoConfig.for_model(architecture, **sizes | settings | names | changes)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = AutoModelForSequenceClassification.from_config(config).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, parameter.mean().item(), 0.3)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return model


def write_tokenizer(folder: Path, **changes: Any) -> None:
    tokenizer = models.tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"  # of no architecture in particular
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"tokenizer_class": "PreTrainedTokenizerFast"}), encoding="utf-8")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_words(tmp_path_factory.mktemp("words") / "words.csv", step=3)


def write_words(path: Path, step: int) -> Path:
    """Write texts of 5 to 60 words, half of them longer than the models have positions for."""
    texts = [
        " ".join(f"word{5 + (7 * row + step * place) % 95}" for place in range(5 + 55 * (row % 2) + row % 3))
        for row in range(24)
    ]
    return write_csv(
        path, {"text": list(texts), "label": [("even", "odd")[(row // 2) % 2] for row in range(24)]}
    )


class Nothing(Swaps):
    """Replaces no word, so that an attack only asks about the texts as they are."""

    def words(self, word: str, random: Any) -> list[str]:
        return []


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Options of an attack that changes nothing and needs no resources."""
    attack = WordSwapAttack(
        swaps=Nothing(), constraints=[], stop_words=frozenset(models.WORDS), ranking="delete"
    )
    monkeypatch.setattr(attacking, "build_attacks", lambda *_: [attack])
    return ("--attack", "textbugger")


def right_alone(folder: Path, data: Path, length: int) -> int:
    """Texts that a classifier is right about, each passed through it alone, without padding."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_pretrained(folder)
    right = 0
    with torch.inference_mode(), data.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            encoded = tokenizer(row["text"], truncation=True, max_length=length, return_tensors="pt")
            answer = int(model(**encoded).logits.argmax())
            right += model.config.id2label[answer] == row["label"]
    return right


# The others differ from these by their name, or by little.
_QUICK = ("bert", "roberta", "deberta-v2", "modernbert", "gpt2", "xlnet", "bart", "mt5")


@pytest.mark.parametrize(
    "kind", [kind if kind in _QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_judging_and_attacking_read_the_same(
    kind: str, words: Path, tmp_path: Path, idle: tuple[str, ...]
) -> None:
    most = KINDS[kind][2]
    model = write_model(tmp_path / "model", kind)
    assert readable_tokens(model, models.tokenizer()) == most
    assert readable_tokens(load_skeleton(str(tmp_path / "model")), models.tokenizer()) == most
    given = (tmp_path / "model", "--test-file", words)
    judged = call("evaluate", *given, "--output", tmp_path / "judged")
    assert judged.code == 0, judged
    attacked = call("attack", *given, *idle, "--output", tmp_path / "attacked")
    assert attacked.code == 0, attacked
    evaluation = json.loads((tmp_path / "judged" / "evaluation.json").read_text(encoding="utf-8"))
    report = json.loads((tmp_path / "attacked" / "attack.json").read_text(encoding="utf-8"))
    length = most or 128
    header, _ = read_journal(tmp_path / "attacked" / "word swap.jsonl")
    cut = 12 if most else 0
    assert evaluation["data"] == report["test_data"]
    assert (evaluation["data"]["max_length"], evaluation["data"]["cut"]) == (length, cut)
    assert (header["max_length"], header["cut"], report["attacks"]["word swap"]["cut"]) == (length, cut, cut)
    assert report["attacks"]["word swap"]["clean"] == evaluation["accuracy"]
    assert (f"12 of 24 test texts are longer than {most} tokens" in judged.out) == bool(cut)
    assert evaluation["accuracy"]["correct"] == right_alone(tmp_path / "model", words, length)


@pytest.mark.parametrize("kind", KINDS)
def test_positions_are_counted_with_and_without_weights(kind: str) -> None:
    architecture, settings, most = KINDS[kind]
    config = AutoConfig.for_model(architecture, vocab_size=models.VOCABULARY, **settings)
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    tokenizer = models.tokenizer()
    assert readable_tokens(model, tokenizer) == readable_tokens(model.base_model, tokenizer) == most
    assert trained_tokens(model) == (40 if kind == "modernbert" else None)
    tokenizer.model_max_length = 39
    assert readable_tokens(model, tokenizer) == min(most or 39, 39)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, words: Path) -> tuple[Path, str]:
    """A finished run of a model with 40 positions, whose tokenizer names no limit, and what it said."""
    folder = tmp_path_factory.mktemp("run")
    # Whatever its head was trained for before, a text has one class.
    write_model(folder / "model", "bert", problem_type="multi_label_classification")
    own = write_words(folder / "own.csv", step=2)
    data = ("--train-file", own, "--test-file", words, "--method", "finetune", "--epochs", "1")
    outcome = call("run", "--model", folder / "model", *data, "--no-attack", "--output", folder / "run")
    assert outcome.code == 0, outcome
    return folder / "run", outcome.out


def test_a_run_reads_what_its_model_can(run: tuple[Path, str], words: Path, tmp_path: Path) -> None:
    folder, said = run
    record = RunRecord.load(folder)
    assert record.data.max_length == 40
    assert record.data.reads_more is False
    assert record.data.cut["test"] == 12
    assert "The model reads at most 40 tokens of a text, fewer than the usual 128." in said
    assert "and 12 of 24 test texts are longer than 40 tokens and lose their end" in said
    assert f"{record.data.cut['train']} of {record.data.sizes['train']} training texts" in said
    config = json.loads((folder / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["problem_type"] == "single_label_classification"
    judged = call("evaluate", folder, "--test-file", words, "--output", tmp_path / "judged")
    evaluation = json.loads((tmp_path / "judged" / "evaluation.json").read_text(encoding="utf-8"))
    assert judged.code == 0, judged
    assert evaluation["accuracy"]["correct"] == record.model.test.correct
    assert (evaluation["data"]["max_length"], evaluation["data"]["cut"]) == (40, 12)


@pytest.mark.parametrize(("wanted", "reads_more"), [(16, True), (40, False), (128, False)])
def test_it_is_known_whether_a_model_reads_more(wanted: int, reads_more: bool, tmp_path: Path) -> None:
    write_model(tmp_path / "model", "bert")
    rows = Dataset.from_dict({"text": ["word7 " * 99], "label": [0]})
    model = load_skeleton(str(tmp_path / "model"))
    observer, notes = Observer(), list[str]()
    observer.note = notes.append
    made = read_texts({"train": rows}, model, models.tokenizer(), wanted, observer, insists=False)
    assert made.reads_more == reads_more
    assert ("raise --max-length" in notes[-1]) == reads_more


@pytest.mark.parametrize("command", ["run", "evaluate", "attack", "export"])
def test_more_tokens_than_a_model_reads_are_refused_everywhere(
    command: str, words: Path, tmp_path: Path, run: tuple[Path, str]
) -> None:
    model = run[0] / "model"
    given = {
        "run": ("--model", run[0].parent / "model", "--train-file", words, "--no-attack"),
        "evaluate": (model, "--test-file", words),
        "attack": (model, "--test-file", words, "--attack", "textbugger"),
        "export": (model, "--test-file", words, "--to", "dense"),
    }
    outcome = call(command, *given[command], "--max-length", "41", "--output", tmp_path / "out")
    assert outcome.code == 2
    assert "Texts of 41 tokens are too long for the model, which reads at most 40" in outcome.err
    assert not (tmp_path / "out" / "config.yaml").exists()


def make_header_old(journal: Path, max_length: int) -> None:
    """Let a journal begin as an earlier version began it, with one example done."""
    first, example, *_ = journal.read_text(encoding="utf-8").splitlines()
    header = {**json.loads(first), "max_length": max_length}
    del header["cut"]
    journal.write_text(json.dumps(header) + "\n" + example + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "continued"),
    [("bert", True), ("roberta", True), ("distilbert", True), ("deberta-v2", False), ("modernbert", False)],
)
def test_the_journal_of_an_earlier_version_goes_on_if_it_read_the_same(
    kind: str, continued: bool, words: Path, tmp_path: Path, idle: tuple[str, ...]
) -> None:
    write_model(tmp_path / "model", kind)
    command = ("attack", tmp_path / "model", "--test-file", words, *idle, "--output", tmp_path / "out")
    assert call(*command).code == 0
    journal = tmp_path / "out" / "word swap.jsonl"
    whole = read_journal(journal)[1]
    make_header_old(journal, 128)  # it wrote what it was asked for, and read what the configuration names
    outcome = call(*command)
    assert (outcome.code == 0) == continued, outcome
    if continued:
        assert read_journal(journal)[1] == whole
    else:
        assert "it differs in cut" in outcome.err


def add_tokens(folder: Path) -> None:
    tokenizer = Tokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["word500", "word501"])
    tokenizer.save_pretrained(folder)


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def one_output(folder: Path) -> None:
    write_model(folder, "bert", id2label={0: "LABEL_0"}, label2id={"LABEL_0": 0})


def small_vocabulary(folder: Path) -> None:
    write_model(folder, "bert", vocab_size=80)


def write_other(folder: Path, architecture: str, **settings: Any) -> None:
    """Put a classifier of another architecture in the place of one."""
    names = {"id2label": {0: "even", 1: "odd"}, "label2id": {"even": 0, "odd": 1}}
    sizes = _BERT | {"vocab_size": models.VOCABULARY, "initializer_range": 0.4}
    config = AutoConfig.for_model(architecture, **sizes, **settings, **names)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)


# What is wrong with a classifier or its tokenizer, and the sentence that says so.
MISFITS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "more words than embeddings": ("bert", small_vocabulary, "where there are 80 embeddings"),
    "several classes": (
        "bert",
        lambda folder: change_config(folder, problem_type="multi_label_classification"),
        "may give a text several classes",
    ),
    "regression by its outputs": ("bert", one_output, "is a model for regression"),
    "regression by its name": (
        "bert",
        lambda folder: change_config(folder, problem_type="regression"),
        "is a model for regression",
    ),
    "no end token": (
        "bart",
        lambda folder: change_config(folder, eos_token_id=50),
        "reads a text at its end token",
    ),
    "too few positions": (
        "bert",
        lambda folder: write_tokenizer(folder, model_max_length=5),
        "too few for a text",
    ),
    "nothing to pad with": (
        "gpt2",
        lambda folder: (write_tokenizer(folder, pad_token=None), change_config(folder, pad_token_id=None)),
        "no token to pad with",
    ),
    "one length for all": (
        "bert",
        lambda folder: write_other(folder, "nystromformer", num_landmarks=4, segment_means_seq_len=POSITIONS),
        "cannot read the shortest text of the data",
    ),
    "no start of the decoder": (
        "mt5",
        lambda folder: change_config(folder, decoder_start_token_id=None),
        "cannot read the longest text",
    ),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_a_model_that_cannot_be_fed_is_refused_in_a_sentence(
    misfit: str, words: Path, tmp_path: Path, idle: tuple[str, ...]
) -> None:
    kind, inflict, told = MISFITS[misfit]
    write_model(tmp_path / "model", kind)
    inflict(tmp_path / "model")
    for command in (("evaluate",), ("attack", *idle)):
        outcome = call(
            command[0], tmp_path / "model", "--test-file", words, *command[1:], "--output", tmp_path / "out"
        )
        assert (outcome.code, told in outcome.err) == (2, True), outcome
        assert not (tmp_path / "out").exists()


def test_a_model_whose_answers_depend_on_padding_is_named(words: Path, tmp_path: Path) -> None:
    write_model(tmp_path, "bert")
    assert "depends on its padding" not in call("evaluate", tmp_path, "--test-file", words).out
    write_other(tmp_path, "fnet")
    outcome = call("evaluate", tmp_path, "--test-file", words)
    assert (outcome.code, "depends on its padding" in outcome.out) == (0, True), outcome


# What disagrees and can be brought together, and the sentence that says how, if that decides anything.
REPAIRS: dict[str, tuple[str, Callable[[Path], object], str | None]] = {
    "gpt2 without any padding": (
        "gpt2",
        lambda folder: (
            write_tokenizer(folder, pad_token=None, eos_token="[SEP]"),
            change_config(folder, pad_token_id=None),
        ),
        "texts are padded with '[SEP]'",
    ),
    "padding only in the configuration": (
        "gpt2",
        lambda folder: (write_tokenizer(folder, pad_token=None), change_config(folder, pad_token_id=4)),
        "texts are padded with '[MASK]'",
    ),
    "another padding than the model's": (
        "gpt2",
        lambda folder: change_config(folder, pad_token_id=4),
        "Texts are padded with '[MASK]', as the model is, and not with '[PAD]'.",
    ),
    "xlnet padded on the right": ("xlnet", write_tokenizer, "texts are padded on the left"),
    "token types that the model lacks": (
        "roberta",
        lambda folder: write_tokenizer(
            folder, model_input_names=["input_ids", "attention_mask", "token_type_ids"]
        ),
        None,
    ),
    "tokens that no text holds": ("bert", add_tokens, "the data holds no token without an embedding"),
}


@pytest.mark.parametrize("repair", REPAIRS)
def test_what_can_be_brought_together_is(
    repair: str, words: Path, tmp_path: Path, idle: tuple[str, ...]
) -> None:
    kind, inflict, told = REPAIRS[repair]
    write_model(tmp_path / "model", kind)
    inflict(tmp_path / "model")
    pairs = write_csv(
        tmp_path / "pairs.csv",
        {
            "a": ["word7 word8", "word9"] * 3,
            "b": ["word10", "word11 word12"] * 3,
            "label": ["even", "odd"] * 3,
        },
    )
    data = ("--test-file", pairs, "--text-column", "a", "--pair-column", "b")
    judged = call("evaluate", tmp_path / "model", *data, "--output", tmp_path / "judged")
    assert judged.code == 0, judged
    if told is not None:
        assert told in judged.out
    attacked = call("attack", tmp_path / "model", *data, *idle, "--output", tmp_path / "attacked")
    assert attacked.code == 0, attacked
    evaluation = json.loads((tmp_path / "judged" / "evaluation.json").read_text(encoding="utf-8"))
    report = json.loads((tmp_path / "attacked" / "attack.json").read_text(encoding="utf-8"))
    assert report["attacks"]["word swap"]["clean"] == evaluation["accuracy"]


@pytest.mark.parametrize(("kind", "most"), [("bert", 40), ("roberta", 38), ("mpnet", 38)])
def test_a_sentence_encoder_reads_as_many_tokens_as_it_has_positions_for(
    kind: str, most: int, tmp_path: Path
) -> None:
    pytest.importorskip("sentence_transformers")
    write_model(tmp_path, kind).base_model.save_pretrained(tmp_path)
    encoder = SentenceEncoder(load_sentence_encoder(str(tmp_path), torch.device("cpu")), kind)
    (long,) = encoder.encode(["word7 " * 100])
    assert encoder.max_length == long.length == most
    assert encoder.compute([long], most)[0].shape == (32,)


def test_a_masked_language_model_reads_as_many_tokens_as_it_has_positions_for() -> None:
    config = AutoConfig.for_model("roberta", vocab_size=models.VOCABULARY, **_BEHIND_PADDING)
    tokenizer = models.tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    masked_lm = MaskedLM(AutoModelForMaskedLM.from_config(config), tokenizer, "tiny", 3)
    (long,) = masked_lm.encode([("word7 " * 100,)])
    assert masked_lm.compute([long], long.length)[0].shape == (38, 3)


@pytest.mark.parametrize("side", ["right", "left"])
def test_texts_that_lose_tokens_are_counted_once_and_for_all(side: str, tmp_path: Path) -> None:
    texts = ["word7 " * words for words in (0, 13, 14, 15, 99)]
    tokenizer = models.tokenizer()
    tokenizer.truncation_side = side
    rows = Dataset.from_dict({"text": texts, "label": [0] * 5})
    pairs = Dataset.from_dict({"text": texts, "pair": ["word8 word9"] * 5, "label": [0] * 5})
    for split, lost in ((rows, 2), (pairs, 4), (rows.select([0, 1]), 0)):
        for _ in range(2):  # the second time from the cache
            tokens, cut = tokenize_and_count(split, tokenizer, 16, cache_dir=tmp_path)
            assert cut == lost
            assert "cut" not in tokens.column_names
            assert max(tokens["length"]) == (16 if lost else 15)
