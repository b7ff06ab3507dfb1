"""A trained classifier as `--model` is the start of the training, with its own head and names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import QUICK, Outcome, call, write_csv
from tiny_encoder import write_encoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from earlyrobust.encoders import names_of_head
from earlyrobust.results import RunRecord

# A training that moves no weight by as much as float32 can show.
STILL = ("--epochs", 1, "--batch-size", 8, "--learning-rate", 1e-30)
PLAIN = ("--method", "finetune", "--no-attack", *STILL)


def logits(folder: Path, texts: list[str]) -> torch.Tensor:
    import earlyrobust  # noqa: F401  the auto classes learn of cut models

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**tokenizer(texts, padding=True, return_tensors="pt")).logits


TEXTS = ["a warm and funny film", "a dull film", "great fun"]


def test_a_ticket_that_keeps_everything_is_the_classifier(
    classifier: Path, trained_on: Path, tmp_path: Path
) -> None:
    whole = ("--search", "random", "--heads", 0, "--neurons", 0, "--no-attack")
    outcome = call(
        "run", "--model", classifier, "--train-file", trained_on, "--output", tmp_path / "run", *STILL, *whole
    )
    assert outcome.code == 0, outcome.err
    expected = logits(classifier, TEXTS)
    torch.testing.assert_close(logits(tmp_path / "run" / "model", TEXTS), expected)
    torch.testing.assert_close(logits(tmp_path / "run" / "dense", TEXTS), expected, rtol=0, atol=0)


@pytest.mark.parametrize("method", ["earlyrobust", "earlyrobust-noise", "finetune", "robust-ticket"])
def test_every_method_starts_from_it_and_is_compared_with_it(
    method: str, classifier: Path, trained_on: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    quick = QUICK if method == "earlyrobust" else QUICK[:6]
    attack = ("--attack", "deepwordbug", "--examples", 6)
    outcome = call(
        *("run", "--method", method, "--model", classifier, "--train-file", trained_on),
        *("--output", folder, *quick, *attack),
    )
    assert outcome.code == 0, outcome.err
    assert "is a trained classifier, so the training starts from it with its own head" in outcome.out
    assert "'negative' → 'NEGATIVE', 'positive' → 'POSITIVE'" in outcome.out
    assert "as given" in outcome.out

    record = RunRecord.load(folder)
    assert record.given
    assert any("with its own head" in choice for choice in record.choices)
    assert record.data.label_names == ["POSITIVE", "NEGATIVE"]
    assert record.dense is not None
    assert record.dense.test.value > 0.85  # as plain transformers left it, on texts that it was trained on
    if method != "robust-ticket":  # which sets many weights to zero, and has few steps to make up for it
        assert record.model.test.value > 0.75  # a new head would have to learn first
    config = json.loads((folder / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "POSITIVE", "1": "NEGATIVE"}
    torch.testing.assert_close(logits(folder / "dense", TEXTS), logits(classifier, TEXTS), rtol=0, atol=0)
    card = (folder / "model" / "README.md").read_text(encoding="utf-8")
    assert f"The training started from `{classifier}` with its own head." in card
    assert "The classifier as it came: " in card

    judged = call("evaluate", folder / "dense", "--output", tmp_path / "judged")
    assert judged.code == 0, judged.err
    report = json.loads((tmp_path / "judged" / "evaluation.json").read_text(encoding="utf-8"))
    assert report["accuracy"]["correct"] == record.dense.test.correct


def test_an_attack_with_the_words_of_the_noise_says_so(
    classifier: Path, trained_on: Path, tmp_path: Path
) -> None:
    folder, attack = tmp_path / "run", ("--attack", "pwws", "--examples", 4)
    noise = ("--method", "earlyrobust-noise", *QUICK[:6])
    data = ("--train-file", trained_on, "--output", folder)
    trained = call("run", "--model", classifier, *data, *noise, *attack)
    assert trained.code == 0, trained.err
    record = RunRecord.load(folder)
    assert record.word_sources == [record.model.attacks["pwws"].settings["neighbours"]]
    for place, is_said in ((folder, True), (folder / "dense", False)):
        attacked = call("attack", place, *attack, "--output", tmp_path / place.name / "attacked")
        assert attacked.code == 0, attacked.err
        assert ("which pwws also uses" in attacked.out) is is_said
    assert "which pwws also uses" in trained.out


def test_pretrained_gives_it_a_new_head(classifier: Path, trained_on: Path, tmp_path: Path) -> None:
    options = ("--start", "pretrained", *PLAIN)
    outcome = call(
        "run", "--model", classifier, "--train-file", trained_on, "--output", tmp_path / "run", *options
    )
    assert outcome.code == 0, outcome.err
    assert "A new head replaces the head of " in outcome.out
    record = RunRecord.load(tmp_path / "run")
    assert not record.given
    assert record.data.label_names == ["negative", "positive"]
    assert not torch.allclose(logits(tmp_path / "run" / "model", TEXTS), logits(classifier, TEXTS), atol=0.1)


def test_names_that_differ_are_given_by_an_option(classifier: Path, tmp_path: Path) -> None:
    words = {"up": "great", "down": "dull"}
    names = ["up", "down"] * 40
    texts = [f"the {number} film is {words[name]}" for number, name in enumerate(names)]
    data = write_csv(tmp_path / "own.csv", {"text": texts, "label": names})
    command = ("run", "--model", classifier, "--train-file", data, *PLAIN)
    refused = call(*command, "--output", tmp_path / "refused")
    assert refused.code == 2
    assert "say by --labels which class each output stands for" in refused.err
    assert "--start pretrained gives the model a new head" in refused.err
    assert not (tmp_path / "refused").exists()

    told = call(*command, "--labels", "up,down", "--output", tmp_path / "told")
    assert told.code == 0, told.err
    record = RunRecord.load(tmp_path / "told")
    assert record.data.label_names == ["POSITIVE", "NEGATIVE"]
    judged = call("evaluate", tmp_path / "told" / "model")
    assert judged.code == 0, judged.err
    assert "'up' → 'POSITIVE'" in judged.out


@pytest.mark.parametrize("command", ["run", "search", "finetune"])
def test_swapped_classes_are_refused_before_the_training(
    command: str, classifier: Path, trained_on: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    options = ("--labels", "NEGATIVE=positive,POSITIVE=negative", "--output", folder)
    ticket = () if command != "finetune" else ("--ticket", searched(classifier, trained_on, tmp_path))
    outcome = call(command, "--model", classifier, "--train-file", trained_on, *options, *ticket)
    assert outcome.code == 2, outcome
    assert "gives most training texts of " in outcome.err
    assert "say by --labels" in outcome.err
    assert not folder.exists()


def searched(classifier: Path, trained_on: Path, tmp_path: Path) -> Path:
    """Draw a random ticket of the classifier."""
    folder = tmp_path / "ticket"
    random = ("--search", "random", "--output", folder)
    assert call("search", "--model", classifier, "--train-file", trained_on, *random).code == 0
    return folder


@pytest.mark.parametrize(
    ("outputs", "labels", "said"),
    [
        (("bad", "good"), ["bad", "good"] * 40 + ["goood"] * 3, "also have 'goood'"),
        (("bad", "good"), ["Bad", "good"] * 40 + ["fair"] * 3, "also have 'fair'"),
        (("bad", "fair", "good"), ["bad", "good"] * 40, "lack 'fair'"),
    ],
)
def test_classes_that_nearly_fit_a_head_are_refused(
    outputs: tuple[str, ...], labels: list[str], said: str, tmp_path: Path
) -> None:
    model = write_encoder(tmp_path / "model", outputs)
    texts = [f"the {number} film is fine" for number in range(len(labels))]
    data = write_csv(tmp_path / "own.csv", {"text": texts, "label": labels})
    outcome = call("run", "--model", model, "--train-file", data, *PLAIN, "--output", tmp_path / "run")
    assert outcome.code == 2
    assert said in outcome.err
    assert "correct the labels, or choose --start pretrained" in outcome.err
    assert not (tmp_path / "run").exists()
    new = ("--start", "pretrained", "--output", tmp_path / "new")
    assert call("run", "--model", model, "--train-file", data, *PLAIN, *new).code == 0


def test_a_missing_folder_is_not_looked_for_on_the_hub(classifier: Path, trained_on: Path) -> None:
    misspelt = classifier.with_name(classifier.name + "x")
    outcome = call("run", "--model", misspelt, "--train-file", trained_on)
    assert outcome.code == 2
    assert f"There is no folder '{misspelt}': did you mean '{classifier}'?" in outcome.err


def test_a_head_for_other_classes_gives_way_and_this_is_said(trained_on: Path, tmp_path: Path) -> None:
    model = write_encoder(tmp_path / "three", ("bad", "fair", "good"))
    command = ("run", "--model", model, "--train-file", trained_on, *PLAIN)
    outcome = call(*command, "--output", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    assert "has 3 outputs ('bad', 'fair', 'good'), and the data have 2 classes" in outcome.out
    record = RunRecord.load(tmp_path / "run")
    assert not record.given
    assert any("a new head takes its place" in choice for choice in record.choices)
    refused = call(*command, "--start", "given", "--output", tmp_path / "refused")
    assert refused.code == 2
    assert "choose --start pretrained for a new head" in refused.err


def test_a_head_that_was_saved_untrained_gives_way_and_this_is_said(
    encoder: Path, trained_on: Path, tmp_path: Path
) -> None:
    place = tmp_path / "model"
    AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=2).save_pretrained(place)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(place)
    assert names_of_head(str(place)) == []
    command = ("run", "--model", place, "--train-file", trained_on, *PLAIN)
    outcome = call(*command, "--output", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    record = RunRecord.load(tmp_path / "run")
    assert not record.given
    assert any("is untrained, with biases of 0" in choice for choice in record.choices)
    refused = call(*command, "--start", "given", "--output", tmp_path / "refused")
    assert (refused.code, "has no trained classification head" in refused.err) == (2, True)


def test_unnamed_outputs_take_the_names_of_numbered_classes(trained_on: Path, tmp_path: Path) -> None:
    model = write_encoder(tmp_path / "unnamed", ("LABEL_0", "LABEL_1"))
    assert names_of_head(str(model)) == ["LABEL_0", "LABEL_1"]
    data = write_csv(
        tmp_path / "numbers.csv", {"text": [f"film {n}" for n in range(80)], "label": [0, 1] * 40}
    )
    command = ("run", "--model", model, "--train-file", data, *PLAIN)
    outcome = call(*command, "--output", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    record = RunRecord.load(tmp_path / "run")
    assert record.given
    assert record.data.label_names == ["0", "1"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--start", "given"), "has no trained classification head to start from"),
        (("--labels", "a,b"), "has no trained head: leave it out"),
    ],
)
def test_an_encoder_has_no_head_to_keep(
    options: tuple[str, str], sentence: str, encoder: Path, trained_on: Path, tmp_path: Path
) -> None:
    assert names_of_head(str(encoder)) is None
    outcome = call(
        "run", "--model", encoder, "--train-file", trained_on, "--output", tmp_path / "run", *options
    )
    assert outcome.code == 2
    assert sentence in outcome.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["run", "search", "finetune"])
def test_the_folder_of_a_run_is_no_model(
    command: str, finished: tuple[Path, Outcome], trained_on: Path, tmp_path: Path
) -> None:
    folder, _ = finished
    ticket = ("--ticket", folder / "ticket") if command == "finetune" else ()
    options = ("--model", folder, "--train-file", trained_on, "--output", tmp_path / "run")
    outcome = call(command, *ticket, *options)
    assert outcome.code == 2
    expected = f"is the folder of a run: choose a whole model for --model, such as '{folder / 'dense'}'"
    assert expected in outcome.err
    assert not (tmp_path / "run").exists()
