"""Predicts the classes of files of any size, chunk by chunk, and keeps the results of finished chunks."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from earlyrobust import processes
from earlyrobust.attacks.asks import Ask
from earlyrobust.attacks.models import Victim
from earlyrobust.attacks.server import Server
from earlyrobust.data.files import read_chunks
from earlyrobust.data.labelled import text_columns_of
from earlyrobust.data.unlabelled import (
    Survey,
    check_ending,
    survey,
    texts_of,
    writing,
)
from earlyrobust.encoders import fingerprint
from earlyrobust.errors import DataError, OutputError
from earlyrobust.judging.subject import load_named
from earlyrobust.judging.test_data import describe_inherited, source_of
from earlyrobust.options.test_data import TestData
from earlyrobust.pipeline.preflight import try_out
from earlyrobust.pipeline.reading import fit_reading
from earlyrobust.results.prediction import PredictionReport
from earlyrobust.storage import check_can_be_made, content_of, locked, sha256_of, write_atomically, write_json
from earlyrobust.workspace.environment import describe_environment, note_idle_devices
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from earlyrobust.attacks.precision import Precision
    from earlyrobust.data.chunks import Chunk
    from earlyrobust.options.run import RunConfig

# Number of rows of a part. The results of each finished part are kept.
PART_ROWS = 2_048
# The columns that are added to those of the file; the last is added for each class.
LABEL, SHARE, SHARE_OF = "predicted", "probability", "probability_{}"
_IDENTITY_NAME = "identity.json"


def predict(
    model_name: str,
    file: Path,
    output: Path,
    data: TestData | None = None,
    precision: Precision = "float32",
    observer: Observer | None = None,
) -> PredictionReport:
    """Classify the texts of a file, and write its rows with the predictions.

    The file is never in memory as a whole. Finished parts are kept in a folder beside the output. After an
    interruption, a call with equal arguments reuses them.

    Args:
        model_name: A folder of a model or a run, or a name on the Hugging Face hub.
        file: A CSV, TSV, JSONL or Parquet file.
        output: A new file in one of these formats: all columns of the file, and `predicted`, `probability`,
            and `probability_<class>` for each class. A row without a text has no prediction.
        data: The columns of the texts, the layout of the file, and the longest text in tokens. None for the
            options of the run that trained the classifier, or else "text" and the usual layout and length.
        precision: The precision in which the classifier is computed.
        observer: Receives progress and messages; None to discard them.

    Returns:
        The record, with the counts of classes, of rows without text, and of truncated texts.

    Raises:
        EarlyRobustError: If the model, the file or the output cannot be used.
    """
    observer = observer or Observer()
    processes.check_alone("A prediction")
    check_ending(output)
    if output.exists():
        raise OutputError(f"'{output}' is there already: choose another --output, or delete it.")
    check_can_be_made(output.parent)
    note_idle_devices(observer)
    data = data or TestData(test_file=file)
    source = source_of(model_name, data)
    if (note := describe_inherited(model_name, data)) is not None:
        observer.note(note)
    texts = text_columns_of(source.text_column, source.pair_column)
    with observer.stage("Reading the file"):
        typed = output.suffix.lower() == ".parquet"
        found = survey(file, texts, source.label_column, source.text_format, typed=typed)
    with observer.stage("Loading the model"):
        model, tokenizer, outputs, choices = load_named(model_name, None, observer, takes_labels=False)
        insists = data.max_length is not None and source.is_set("max_length")
        length = fit_reading(model, tokenizer, cast("int", source.max_length), observer, insists=insists)
        added = [LABEL, SHARE, *(SHARE_OF.format(name) for name in outputs)]
        if taken := [name for name in added if name in found.columns]:
            raise DataError(f"{file} has a column {taken[0]!r} already, which predict adds: rename it.")
        work = _Work(file, source, found, Victim(model, tokenizer, length, precision), outputs)
        tokens = work.try_out(tokenizer, observer)
    parts = output.with_name(f"{output.name}.parts")
    with locked(parts):
        identity = {
            "model": fingerprint(model),
            "tokens": tokens,
            "precision": precision,
            "file": sha256_of(file),
            "columns": texts,
            "layout": [source.quotes, source.delimiter, source.encoding],
            "max_length": length,
        }
        _claim(parts, identity)
        began = time.perf_counter()
        with observer.stage("Predicting"):
            computed = work.compute(parts, observer)
        seconds = time.perf_counter() - began
        with observer.stage("Writing the predictions"):
            counts = work.write(parts, output)
    _remove(parts)
    return PredictionReport(
        model=model_name,
        file=str(file),
        output=str(output),
        rows=found.rows,
        named=dict(zip(outputs, counts.named, strict=True)),
        without_text=found.without_text,
        cut=counts.cut,
        max_length=work.victim.reads,
        seconds=seconds,
        rows_per_second=computed / seconds,
        environment=describe_environment(),
        choices=choices,
    )


@dataclass
class _Counts:
    """Counts of predictions.

    Attributes:
        named: Number of rows for each predicted class.
        cut: Number of truncated texts.
    """

    named: list[int]
    cut: int = 0


@dataclass(frozen=True)
class _Work:
    """A classifier and the file whose texts it classifies.

    Attributes:
        file: The file.
        source: The options of the data, which hold the layout of the file.
        found: The columns and the rows of the file.
        victim: The classifier.
        outputs: The names of its outputs.
    """

    file: Path
    source: RunConfig
    found: Survey
    victim: Victim
    outputs: Sequence[str]

    def try_out(self, tokenizer: Any, observer: Observer) -> str:
        """Test the model on the longest and the shortest text of the first part.

        Returns:
            A digest of the tokens of the first part, which changes with the tokenizer.
        """
        first = next(self._parts_of(self.found.texts))
        inputs = [row for row in texts_of(first, self.found.texts) if row is not None]
        if not inputs:
            return ""
        encoded = self.victim.encode(inputs)
        rows = [{name: ids.tolist() for name, ids in code.fields.items()} for code in encoded]
        tokens = Dataset.from_list([{**row, "length": len(row["input_ids"])} for row in rows])
        try_out(self.victim.model, tokenizer, [tokens], observer, changes_texts=False)
        return hashlib.sha256(b"".join(hashlib.sha256(code.key).digest() for code in encoded)).hexdigest()

    def compute(self, parts: Path, observer: Observer) -> int:
        """Compute the missing parts, and return the number of their rows."""
        from safetensors.numpy import save_file

        server = Server.of(self.victim.device)
        done = computed = 0
        for number, table in enumerate(self._parts_of(self.found.texts)):
            place = _place(parts, number)
            given = texts_of(table, self.found.texts)
            if not place.exists():
                inputs = [row for row in given if row is not None]
                probabilities = np.full((len(given), self.victim.classes), np.nan, np.float32)
                if inputs:
                    (answers,) = server.answer([Ask(self.victim, inputs)])
                    probabilities[[row is not None for row in given]] = np.stack(answers)
                content = {"probabilities": probabilities, "cut": np.array([self.victim.longer(inputs)])}
                write_atomically(place, partial(save_file, content))
                computed += len(given)
            done += len(given)
            observer.moved(done, self.found.rows, done - computed)
        return computed

    def write(self, parts: Path, output: Path) -> _Counts:
        """Write the rows of the file with their predictions, and count the classes."""
        from safetensors.numpy import load_file

        shares = [SHARE_OF.format(name) for name in self.outputs]
        columns = [*self.found.columns, LABEL, SHARE, *shares]
        schema = None
        if self.found.schema is not None:
            numbers = [pa.field(name, pa.float32()) for name in (SHARE, *shares)]
            fields = [*self.found.schema, pa.field(LABEL, pa.string()), *numbers]
            schema = pa.schema(fields, metadata=self.found.schema.metadata)
        counts = _Counts([0] * len(self.outputs))

        def write(path: Path) -> None:
            # A delimiter is that of the file. An output of another format has the usual one.
            same = output.suffix.lower() == self.file.suffix.lower()
            with writing(path, columns, schema, self.source.delimiter if same else None) as rows:
                for number, table in enumerate(self._parts_of(self.found.columns)):
                    part = load_file(_place(parts, number))
                    added = _columns_of(part["probabilities"], self.outputs, shares, counts)
                    rows({**table.columns, **added})
                    counts.cut += int(part["cut"][0])

        write_atomically(output, write)
        return counts

    def _parts_of(self, columns: Sequence[str]) -> Iterator[Chunk]:
        form = self.source.text_format
        return read_chunks(self.file, columns, PART_ROWS, form, keys=self.found.keys)


def _claim(parts: Path, identity: dict[str, Any]) -> None:
    """Claim a folder of parts for these predictions; refuse a folder with parts of other predictions."""
    path = parts / _IDENTITY_NAME
    if not path.exists():
        if others := sorted(place.name for place in content_of(parts)):
            raise OutputError(
                f"'{parts}' is to hold unfinished predictions, but it holds other files, such as "
                f"'{others[0]}': choose another --output, or move the folder."
            )
        write_json(path, identity)
        return
    try:
        begun = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        begun = None
    if begun != identity:
        raise OutputError(
            f"'{parts}' holds predictions of another model, of another file or with other options: choose "
            "another --output, or delete the folder."
        )


def _remove(parts: Path) -> None:
    """Delete the parts, and their folder unless it holds something else."""
    for place in (parts / _IDENTITY_NAME, *parts.glob("part-*.safetensors")):
        place.unlink(missing_ok=True)
    if not content_of(parts):
        shutil.rmtree(parts, ignore_errors=True)


def _columns_of(
    probabilities: NDArray[np.float32], outputs: Sequence[str], shares: Sequence[str], counts: _Counts
) -> dict[str, list[Any]]:
    """Return the columns of the predictions, with None in rows without a text, and count the classes."""
    known = ~np.isnan(probabilities[:, 0])
    best = np.where(known, np.nan_to_num(probabilities).argmax(axis=1), -1)
    for index in range(len(outputs)):
        counts.named[index] += int((best == index).sum())
    rows = [
        [round(float(value), 6) for value in row] if is_known else [None] * len(outputs)
        for row, is_known in zip(probabilities, known, strict=True)
    ]
    found: dict[str, list[Any]] = {
        LABEL: [outputs[index] if index >= 0 else None for index in best],
        SHARE: [row[index] if index >= 0 else None for row, index in zip(rows, best, strict=True)],
    }
    return found | {name: [row[index] for row in rows] for index, name in enumerate(shares)}


def _place(parts: Path, number: int) -> Path:
    return parts / f"part-{number:08d}.safetensors"
