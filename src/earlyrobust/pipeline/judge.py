"""Evaluating a classifier that is there already, cut or not, this package's or anyone's."""

from __future__ import annotations

from pathlib import Path

from earlyrobust.data import load_task_test, load_test_file, tokenize
from earlyrobust.encoders import check_length, load_classifier, load_tokenizer
from earlyrobust.errors import ConfigError
from earlyrobust.evaluation import evaluate_clean
from earlyrobust.pipeline.config import RunConfig
from earlyrobust.pipeline.jobs import MODEL
from earlyrobust.pipeline.observer import Observer
from earlyrobust.results import Accuracy


def evaluate(
    model_name: str,
    *,
    task: str | None = None,
    data_dir: Path | None = None,
    test_file: Path | None = None,
    text_column: str = "text",
    pair_column: str | None = None,
    label_column: str = "label",
    max_length: int | None = None,
    observer: Observer | None = None,
) -> Accuracy:
    """Clean accuracy of a classifier on a task's test split or the user's own file.

    Args:
        model_name: A folder of a model or a run, or a name on the Hugging Face hub.
        task: A task of `TASKS`; the built-in one if neither a task nor a file is given.
        data_dir: Local folder of Parquet files to read the task from instead of the hub.
        test_file: The user's own data instead of a task.
        text_column: Its column of the text, or of the first text of a pair.
        pair_column: Its column of the second text.
        label_column: Its column of the label.
        max_length: Longest input in tokens; the task's if None.
        observer: Is told what happens.

    Returns:
        Right answers of all, with a 95 % interval.

    Raises:
        EarlyRobustError: If the model or the data cannot be used, or do not belong together.
    """
    observer = observer or Observer()
    if test_file is None and pair_column is not None:
        raise ConfigError("--pair-column is for your own data: give --test-file too.")
    config = RunConfig.build(
        {"task": task, "data_dir": data_dir, "train_file": test_file, "max_length": max_length}
    )
    known = config.known_task()
    if not (Path(model_name) / "config.json").exists() and (Path(model_name) / MODEL).is_dir():
        model_name = str(Path(model_name) / MODEL)  # the folder of a run
    with observer.stage("Loading model and data"):
        model, tokenizer = load_classifier(model_name), load_tokenizer(model_name)
        outputs = [model.config.id2label[index] for index in range(model.config.num_labels)]
        if known is None:
            rows = load_test_file(
                Path(str(test_file)),
                text_column=text_column,
                pair_column=pair_column,
                label_column=label_column,
                outputs=outputs,
            )
        else:
            rows = load_task_test(known, data_dir=data_dir, outputs=outputs)
        length = check_length(tokenizer, config.max_length or tokenizer.model_max_length)
        examples = tokenize(rows, tokenizer, length)
    with observer.stage("Evaluating"):
        return evaluate_clean(model, tokenizer, examples)
