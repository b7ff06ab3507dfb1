"""`earlyrobust.fit`: the main job in one call, on models and data in memory."""

from __future__ import annotations

import csv
import random
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import call
from datasets import ClassLabel, Dataset, DatasetDict
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline

import earlyrobust
from earlyrobust import PGD, Fitted, Flooding, FreeLB, Ticket, fit, processes
from earlyrobust.adversarial import Adversary
from earlyrobust.errors import DataError, EarlyRobustError
from earlyrobust.pipeline import fitting, head_trial
from earlyrobust.pipeline.recipe import named_adversary
from earlyrobust.workspace.observer import Observer
from earlyrobust.workspace.progress import Pace, ProgressLines
from earlyrobust.workspace.python_words import in_python

QUICK: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "search_adversary": "freelb,steps=2",
    "miniepoch": 0.1,
    "miniepoch_min_steps": 2,
}
PLAIN: dict[str, Any] = {"method": "finetune", "attack": (), **QUICK}
NAMES = ("negative", "positive")


class Told(Observer):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def rows_of(file: Path) -> dict[str, list[Any]]:
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return {name: [row[name] for row in rows] for name in ("text", "label")}


def classes(file: Path, *, names: tuple[str, ...] | None = NAMES) -> Dataset:
    """The rows of a file with whole numbers for labels, named or not."""
    rows = rows_of(file)
    table = Dataset.from_dict({**rows, "label": [NAMES.index(label) for label in rows["label"]]})
    return table if names is None else table.cast_column("label", ClassLabel(names=list(names)))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, encoder: Path, reviews: Path) -> Fitted:
    """A classifier made of a model object with a fresh head, as tutorials make it."""
    model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=2)
    output = tmp_path_factory.mktemp("fit") / "run"
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    return fit(model, tokenizer, classes(reviews), output=output, examples=10, **QUICK)


def test_it_returns_a_classifier_a_ticket_and_a_record(fitted: Fitted) -> None:
    assert isinstance(fitted.ticket, Ticket)
    assert fitted.classifier.ticket.fingerprint == fitted.ticket.fingerprint
    assert not fitted.classifier.training
    assert fitted.classifier.config.id2label == dict(enumerate(NAMES))
    assert fitted.record.model.attacks["textfooler"].clean.total == 10
    classify = pipeline("text-classification", fitted.classifier, tokenizer=fitted.tokenizer)
    (answer,) = classify(["a dull film"])
    assert answer["label"] in NAMES


def test_a_fresh_head_is_dropped(fitted: Fitted) -> None:
    assert fitted.record.config["start"] is None
    kept = fitted.folder / "inputs" / "model" / "config.json"
    assert "ForSequenceClassification" not in kept.read_text("utf-8")
    assert not fitted.record.given
    assert fitted.record.seconds["dense"] > 0


def test_it_is_the_command_on_files(fitted: Fitted, reviews: Path, tmp_path: Path) -> None:
    """The same model and the same rows in files give the same classifier, bit for bit."""
    classes(reviews).to_parquet(tmp_path / "rows.parquet")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in QUICK.items()]
    done = call(
        *("run", "--model", fitted.folder / "inputs" / "model", "--train-file", tmp_path / "rows.parquet"),
        *("--start", "pretrained", "--output", tmp_path / "run", "--no-attack", *options),
    )
    assert done.code == 0, done.err
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "run" / "model").state_dict()
    ours = fitted.classifier.state_dict()
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


def test_the_commands_take_its_folder(fitted: Fitted, tmp_path: Path) -> None:
    done = call("evaluate", fitted.folder, "--output", tmp_path / "out")
    assert done.code == 0, done.err
    assert f"{fitted.record.model.test.correct} of {fitted.record.model.test.total} right" in done.out


def test_the_same_call_returns_what_is_there(fitted: Fitted, encoder: Path, reviews: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=2)
    torch.manual_seed(3)
    told = Told()
    model.load_state_dict(
        AutoModelForSequenceClassification.from_pretrained(fitted.folder / "inputs" / "model").state_dict()
    )
    again = fit(
        model,
        AutoTokenizer.from_pretrained(encoder),
        classes(reviews),
        output=fitted.folder,
        observer=told,
        examples=10,
        **QUICK,
    )
    assert again.record == fitted.record
    assert any("is finished already" in note for note in told.notes)


def test_other_data_or_another_model_is_refused_and_nothing_is_lost(
    fitted: Fitted, encoder: Path, reviews: Path
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(fitted.folder / "inputs" / "model")
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    kept = {file: file.read_bytes() for file in fitted.folder.rglob("*") if file.is_file()}
    fewer = classes(reviews).select(range(100))
    with pytest.raises(EarlyRobustError, match="holds a run on other data or of another model"):
        fit(model, tokenizer, fewer, output=fitted.folder, examples=10, **QUICK)
    with torch.no_grad():
        next(model.parameters()).add_(1)
    with pytest.raises(EarlyRobustError, match="holds a run on other data or of another model"):
        fit(model, tokenizer, classes(reviews), output=fitted.folder, examples=10, **QUICK)
    assert kept == {file: file.read_bytes() for file in fitted.folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("kind", ["numbers", "names", "other order"])
def test_a_trained_classifier_is_kept_with_its_names(
    classifier: Path, trained_on: Path, tmp_path: Path, kind: str
) -> None:
    """Its first output is POSITIVE; whatever way the labels are written, the right output is meant."""
    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    rows = rows_of(trained_on)
    if kind == "numbers":  # which stand for outputs, as in a Trainer
        data: Any = {**rows, "label": [int(label == "negative") for label in rows["label"]]}
    elif kind == "names":
        data = rows
    else:
        data = classes(trained_on, names=("NEGATIVE", "POSITIVE"))
    made = fit(
        model,
        AutoTokenizer.from_pretrained(classifier),
        data,
        output=tmp_path / "run",
        observer=Told(),
        **PLAIN,
    )
    assert made.record.given
    assert made.classifier.config.id2label == {0: "POSITIVE", 1: "NEGATIVE"}
    assert made.record.dense is not None
    assert made.record.dense.test.value > 0.8


def test_swapped_numbers_of_classes_are_refused(classifier: Path, trained_on: Path, tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    rows = rows_of(trained_on)
    data = {**rows, "label": [int(label == "positive") for label in rows["label"]]}  # 0 is POSITIVE
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    with pytest.raises(
        DataError, match=r"^The trained classifier gives most .* say by labels which [^.]*\.$"
    ):
        fit(model, tokenizer, data, output=tmp_path / "run", **PLAIN)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("labels", [NAMES, ("Negative", "Positive"), ("LABEL_0", "LABEL_1")])
def test_a_fresh_head_is_replaced_whatever_the_labels_and_its_names_are(
    encoder: Path, trained_on: Path, tmp_path: Path, labels: tuple[str, str]
) -> None:
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(encoder, id2label=dict(enumerate(labels)))
    told = Told()
    made = fit(
        model,
        AutoTokenizer.from_pretrained(encoder),
        rows_of(trained_on),
        output=tmp_path / "run",
        observer=told,
        **PLAIN,
    )
    assert not made.record.given
    assert any("head of the model is untrained: all its biases are 0" in note for note in told.notes)
    assert set(made.classifier.config.id2label.values()) == set(rows_of(trained_on)["label"])


@pytest.mark.parametrize("seed", range(4))
def test_a_fresh_head_is_fresh_however_lucky_it_is(
    classifier: Path, trained_on: Path, tmp_path: Path, seed: int
) -> None:
    """On features that separate the classes, random heads are often significantly right, or wrong."""
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    torch.nn.init.normal_(model.classifier.weight, std=0.02)
    torch.nn.init.zeros_(model.classifier.bias)
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    made = fit(
        model, tokenizer, rows_of(trained_on), output=tmp_path / "run", observer=(told := Told()), **PLAIN
    )
    assert not made.record.given
    assert any("all its biases are 0" in note for note in told.notes)


@pytest.mark.parametrize(
    ("rare", "found", "better"), [(3, 3, True), (5, 4, True), (5, 0, False), (0, 0, True)]
)
def test_a_head_that_finds_a_rare_class_is_better_than_chance(rare: int, found: int, better: bool) -> None:
    right = np.array([1] * rare + [0] * (256 - rare))
    answers = np.array([1] * found + [0] * (256 - found))
    assert head_trial._beats_chance(answers, right, lambda some: int((some == right).sum())) is better


def test_chance_is_what_it_says() -> None:
    """Answers that are drawn at random pass about as often as the level of the test says."""
    random = np.random.default_rng(1)
    right = random.integers(2, size=60)
    passed = [
        head_trial._beats_chance(random.integers(2, size=60), right, lambda some: int((some == right).sum()))
        for _ in range(200)
    ]
    assert 0 < sum(passed) < 20


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("own class", "is of the class Mine, whose code would be lost"),
        ("frozen", r"weights of the model are frozen, such as 'bert.embeddings"),
        ("head", r"'classifier' of the model is Sequential, but the configuration describes Linear\("),
        ("dropout", r"is Dropout\(p=0.0, inplace=False\), but the configuration describes Dropout\(p=0.1"),
        ("norm", r"is LayerNorm\(.*eps=0.1"),
        ("wrapped", "is a DataParallel and no PreTrainedModel: pass the model of transformers within it"),
        ("names", "id2label of the model's configuration is"),
    ],
)
def test_a_model_object_that_would_be_loaded_as_another_is_refused(
    change: str, says: str, classifier: Path, trained_on: Path, tmp_path: Path
) -> None:
    model: Any = AutoModelForSequenceClassification.from_pretrained(classifier)
    if change == "own class":
        model.__class__ = type("Mine", (type(model),), {"__module__": "mine"})
    elif change == "frozen":
        model.bert.requires_grad_(False)
    elif change == "head":
        model.classifier = torch.nn.Sequential(torch.nn.Dropout(0.1), model.classifier)
    elif change == "dropout":
        model.dropout.p = 0.0
    elif change == "norm":
        model.bert.encoder.layer[0].output.LayerNorm.eps = 0.1
    elif change == "wrapped":
        model = torch.nn.DataParallel(model)
    else:
        model.config.id2label = {1: "negative", 2: "positive"}
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    with pytest.raises(EarlyRobustError, match=says):
        fit(model, tokenizer, rows_of(trained_on), output=tmp_path / "run", observer=Told(), **PLAIN)
    assert not (tmp_path / "run").exists()


def test_names_of_outputs_may_have_numbers_as_text(
    classifier: Path, trained_on: Path, tmp_path: Path
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    model.config.id2label = {str(number): name for number, name in model.config.id2label.items()}
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    made = fit(model, tokenizer, rows_of(trained_on), output=tmp_path / "run", observer=Told(), **PLAIN)
    assert made.record.given


def test_a_call_can_be_corrected_and_repeated(classifier: Path, trained_on: Path, tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    tokenizer, rows = AutoTokenizer.from_pretrained(classifier), rows_of(trained_on)
    wrong = {**rows, "label": ["", *rows["label"][1:]]}
    with pytest.raises(EarlyRobustError, match="label"):
        fit(model, tokenizer, wrong, output=tmp_path / "run", observer=Told(), **PLAIN)
    assert (tmp_path / "run" / "inputs").is_dir()
    assert fit(model, tokenizer, rows, output=tmp_path / "run", observer=Told(), **PLAIN).record.given


def test_a_folder_of_the_user_named_inputs_stays(classifier: Path, trained_on: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / "inputs").mkdir(parents=True)
    (tmp_path / "run" / "inputs" / "mine.txt").write_text("precious", encoding="utf-8")
    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    with pytest.raises(EarlyRobustError):
        fit(model, tokenizer, rows_of(trained_on), output=tmp_path / "run", observer=Told(), **PLAIN)
    assert (tmp_path / "run" / "inputs" / "mine.txt").read_text(encoding="utf-8") == "precious"


def test_a_text_of_more_tokens_than_positions_is_cut_in_the_trial_of_the_head(
    classifier: Path, trained_on: Path, tmp_path: Path
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    rows = rows_of(trained_on)
    rows["text"][0] = "good " * 2000
    with pytest.raises(EarlyRobustError, match="at most"):
        fit(
            *(model, AutoTokenizer.from_pretrained(classifier), rows),
            **{"output": tmp_path / "run", "observer": Told(), "max_length": 1500, **PLAIN},
        )


def test_outputs_without_names_are_matched_by_position(
    classifier: Path, trained_on: Path, tmp_path: Path
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    model.config.id2label = {0: "LABEL_0", 1: "LABEL_1"}
    model.config.label2id = {"LABEL_0": 0, "LABEL_1": 1}
    rows = rows_of(trained_on)
    table = Dataset.from_dict({**rows, "label": [int(label == "negative") for label in rows["label"]]})
    table = table.cast_column("label", ClassLabel(names=['good, "really"', "bad"]))
    made = fit(
        model,
        AutoTokenizer.from_pretrained(classifier),
        table,
        output=tmp_path / "run",
        observer=Told(),
        **PLAIN,
    )
    assert made.record.given
    assert made.classifier.config.id2label == {0: 'good, "really"', 1: "bad"}
    assert made.record.dense is not None
    assert made.record.dense.test.value > 0.8


def test_a_named_encoder_files_pairs_and_a_test_set(encoder: Path, reviews: Path, tmp_path: Path) -> None:
    rows = rows_of(reviews)
    pairs = {"first": rows["text"], "second": rows["text"][::-1], "kind": rows["label"]}
    others = {name: [value + "s" for value in pairs[name]][:40] for name in ("first", "second")}
    columns = {"text_column": "first", "pair_column": "second", "label_column": "kind"}
    test = Dataset.from_dict({**others, "kind": rows["label"][:40]})
    made = fit(str(encoder), None, pairs, test, output=tmp_path / "run", observer=Told(), **columns, **PLAIN)
    assert made.ticket is None
    assert made.record.data.sizes["test"] == 40
    of_file = fit(encoder, train_dataset=reviews, output=tmp_path / "file", observer=Told(), **PLAIN)
    assert not (tmp_path / "file" / "inputs").exists()
    assert of_file.record.config["train_file"] == str(reviews)


def test_a_model_without_a_head_is_an_encoder(encoder: Path, reviews: Path, tmp_path: Path) -> None:
    made = fit(
        AutoModel.from_pretrained(encoder),
        AutoTokenizer.from_pretrained(encoder),
        rows_of(reviews),
        output=tmp_path / "run",
        observer=Told(),
        **PLAIN,
    )
    assert not made.record.given
    assert made.classifier.config.num_labels == 2


def test_what_cannot_be_used_is_said_in_a_sentence(encoder: Path, reviews: Path, tmp_path: Path) -> None:
    rows, model = rows_of(reviews), AutoModel.from_pretrained(encoder)
    several = DatasetDict(train=Dataset.from_dict(rows))
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"model": encoder}, "pass train_dataset="),
        ({"model": model, "train_dataset": rows}, "needs its tokenizer, too"),
        ({"model": encoder, "tokenizer": tokenizer, "train_dataset": rows}, "comes with its own tokenizer"),
        (
            {"model": encoder, "train_dataset": {"sentence": rows["text"]}},
            "no column 'text'.*text_column='...'",
        ),
        (
            {"model": encoder, "train_dataset": several},
            "several data sets",
        ),
        ({"model": encoder, "train_dataset": [1, 2]}, "is a list: give a datasets.Dataset"),
        (
            {"model": encoder, "train_dataset": {"text": ["a", "b"], "label": ["0", 1]}},
            r"The column 'label' of train_dataset holds values of several types \(int, str\): give all of",
        ),
        (
            {"model": encoder, "train_dataset": {"text": ["a", "b"], "label": ["x"]}},
            "different lengths, 2 of 'text' and 1 of 'label'",
        ),
        ({"model": encoder, "train_dataset": rows, "label_column": "text"}, "name one column twice"),
        (
            {"model": encoder, "train_dataset": Dataset.from_dict(rows).with_transform(lambda rows: rows)},
            "has a transform, which fit would leave out",
        ),
        ({"model": encoder, "train_dataset": rows, "epoch": 1}, "epoch"),
        ({"model": encoder, "train_dataset": rows, "task": "sst2"}, "no option 'task'"),
        ({"model": encoder, "train_dataset": tmp_path / "missing.csv"}, "There is no file"),
    ]
    for arguments, message in wrong:
        with pytest.raises(EarlyRobustError, match=message):
            fit(**arguments, output=tmp_path / "run", observer=Told())
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_progress_is_told_in_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("earlyrobust.workspace.progress.time.perf_counter", lambda: next(clock))
    lines: list[str] = []
    pace = Pace("Training", lines.append)
    pace.start(100, 40)  # at 10 s; 40 steps were taken before an interruption
    for done in (45, 50, 60):  # at 20, 30 and 40 s
        pace.move(done, 100, "steps")
    # Ten steps in 20 s leave 50 steps for 100 s; the next line waits for a quarter of a minute.
    assert lines == ["Training: 50 of 100 steps, about 1 min 40 s left"]
    with ProgressLines().stage("Searching"):
        pass
    assert re.fullmatch(r"Searching \.\.\.\nSearching: done in \d+\.\d s\n", capsys.readouterr().err)


def test_it_is_a_public_name() -> None:
    assert {"fit", "Fitted"} <= set(earlyrobust.__all__)


def test_libraries_are_quiet_meanwhile_and_as_before_after(
    encoder: Path, reviews: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import logging

    from transformers.utils import logging as transformers_logging

    had_bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_info()
    transformers_logging.enable_progress_bar()
    level = logging.getLogger("earlyrobust").level
    fit(str(encoder), train_dataset=reviews, output=tmp_path / "run", **PLAIN)
    told = capfd.readouterr().err
    assert "LOAD REPORT" not in told
    assert "Loading weights" not in told
    assert "Training by finetune: done in" in told
    assert transformers_logging.get_verbosity() == logging.INFO
    assert transformers_logging.is_progress_bar_enabled()
    assert logging.getLogger("earlyrobust").level == level
    transformers_logging.set_verbosity_warning()
    if not had_bars:
        transformers_logging.disable_progress_bar()


def test_a_fitted_run_tells_of_itself_in_a_line(fitted: Fitted) -> None:
    record = fitted.record
    assert record.dense is not None
    ours, dense = (100 * model.test.value for model in (record.model, record.dense))
    assert repr(fitted).startswith(f"Fitted(Clean% {ours:.1f} (dense model {dense:.1f})")
    assert f"folder='{fitted.folder}')" in repr(fitted)
    assert len(repr(fitted)) < 300


class Weaker(FreeLB):
    """An adversary that users define in a module of their own."""


def test_an_adversary_is_recorded_as_the_option_that_makes_it(
    encoder: Path, reviews: Path, tmp_path: Path
) -> None:
    made = fit(
        str(encoder),
        train_dataset=reviews,
        output=tmp_path / "run",
        adversary=FreeLB(steps=2, share_dropout=True),
        **PLAIN,
    )
    assert made.record.config["adversary"] == "freelb,steps=2,share_dropout=True"


@pytest.mark.parametrize(
    ("adversary", "option"),
    [
        (PGD(), "pgd"),
        (Flooding(level=0.3), "flooding,level=0.3"),
        (Weaker(steps=1), f"{__name__}:Weaker,steps=1"),
    ],
)
def test_an_adversary_has_an_option(adversary: Adversary, option: str) -> None:
    assert named_adversary(adversary) == option


def test_an_adversary_that_no_option_makes_is_refused(reviews: Path, tmp_path: Path) -> None:
    class Local(FreeLB):
        pass

    with pytest.raises(EarlyRobustError, match="define its class at the top of a module"):
        fit("minilm", train_dataset=reviews, output=tmp_path / "run", adversary=Local())
    assert not (tmp_path / "run").exists()


def test_messages_name_the_options_of_python(encoder: Path, reviews: Path, tmp_path: Path) -> None:
    told = Told()
    fit(str(encoder), train_dataset=reviews, output=tmp_path / "run", observer=told, gamma=0.2, **PLAIN)
    assert any("does not use gamma" in note for note in told.notes)
    with pytest.raises(EarlyRobustError) as caught:
        fit(str(encoder), train_dataset=reviews, output=tmp_path / "other", start="given")
    assert "start" in str(caught.value)
    assert "--" not in str(caught.value)
    assert in_python("`earlyrobust run --epochs 2` or --batch-size, --no-bf16, --no-such") == (
        "`earlyrobust run --epochs 2` or batch_size, bf16=False, --no-such"
    )


def test_a_trained_head_without_names_is_not_dropped(
    classifier: Path, trained_on: Path, tmp_path: Path
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    model.config.id2label = {0: "LABEL_0", 1: "LABEL_1"}
    model.config.label2id = {"LABEL_0": 0, "LABEL_1": 1}
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    with pytest.raises(EarlyRobustError, match="say by labels which class"):
        fit(model, tokenizer, rows_of(trained_on), output=tmp_path / "run", **PLAIN)


def test_a_missing_text_is_reported(encoder: Path, tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=2)
    rows = {"text": ["good", None, "bad", "fine"] * 8, "label": [0, 1, 0, 1] * 8}
    with pytest.raises(EarlyRobustError, match="The text in column 'text' is missing in row 2"):
        fit(model, AutoTokenizer.from_pretrained(encoder), rows, output=tmp_path / "run", **PLAIN)


def test_of_several_processes_the_first_alone_writes_and_speaks(
    encoder: Path,
    reviews: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """This process counts as the second of two, and the first one succeeds."""

    def gathered(value: Any) -> list[Any]:
        return [None, None] if value is None else [[None], value]

    def run(config: Any, observer: Observer) -> None:
        observer.note("The run begins.")
        raise EarlyRobustError("The run has begun.")

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(processes, "gathered", gathered)
    monkeypatch.setattr(fitting, "run", run)
    with pytest.raises(EarlyRobustError, match="The run has begun"):
        fit(encoder, train_dataset=classes(reviews), output=tmp_path / "run", **PLAIN)
    assert not (tmp_path / "run").exists()
    assert "The run begins" not in capsys.readouterr().err


def test_a_call_leaves_the_process_as_it_was(encoder: Path, reviews: Path, tmp_path: Path) -> None:
    """Its trainings seed all random numbers, and record gradients where the caller has switched them off."""

    def surroundings() -> tuple[Any, ...]:
        states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
        return *states, [*warnings.filters], torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    for switched_off in (torch.no_grad, torch.inference_mode):
        with switched_off():
            before = surroundings()
            made = fit(str(encoder), train_dataset=reviews, output=tmp_path / switched_off.__name__, **PLAIN)
            assert surroundings() == before
    assert made.record.model.test.total
    before = surroundings()
    with pytest.raises(EarlyRobustError):
        fit(str(encoder), train_dataset=reviews, output=tmp_path / "no_grad", **PLAIN | {"seed": 5})
    assert surroundings() == before


def test_an_adversary_of_a_script_is_told_of(
    encoder: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = type("Mine", (FreeLB,), {"__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "Mine", mine, raising=False)
    told = Told()
    options = {**PLAIN, "output": tmp_path / "run", "observer": told}
    fit(str(encoder), train_dataset=reviews, adversary=mine(steps=1), **options)
    assert (
        "No command can continue this run, because Mine is defined in a notebook or script: define"
        in " ".join(told.notes)
    )
