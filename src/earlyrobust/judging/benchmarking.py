"""Times classifiers in every form in which they can run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from earlyrobust import processes
from earlyrobust.encoders import (
    Note,
    fit_tokenizer,
    length_to_read,
    load_classifier,
    load_skeleton,
    load_tokenizer,
    readable_tokens,
)
from earlyrobust.errors import ConfigError
from earlyrobust.evaluation import memory_of, time_in_turns
from earlyrobust.export import export_onnx
from earlyrobust.onnx_classifier import OnnxClassifier
from earlyrobust.options.benchmark import LENGTHS, BenchmarkConfig
from earlyrobust.pruning import is_cut, prune, to_dense
from earlyrobust.results import (
    DENSE_FORM,
    HEADS_ONLY_FORM,
    ONNX_FORMS,
    TICKET_FORM,
    BenchmarkRecord,
    ContenderRecord,
    LatencyRecord,
)
from earlyrobust.storage import locked
from earlyrobust.workspace.environment import describe_environment
from earlyrobust.workspace.finding import bytes_of_weights, model_in
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class _Contender:
    name: str
    model: PreTrainedModel
    folder: str


def benchmark(
    model_names: Sequence[str], config: BenchmarkConfig, observer: Observer | None = None
) -> BenchmarkRecord:
    """Time classifiers and their other forms in turns.

    A cut model is also timed as its dense model, and with only its heads cut. A model and its dense model are
    also timed in ONNX, if the packages for ONNX are installed.

    Args:
        model_names: Folders of models, runs or ONNX exports, or names on the Hugging Face hub.
        config: Batch sizes, lengths, seconds and output folder.
        observer: Receives progress and messages; None to discard them.

    Returns:
        The record, which is also written into the output folder if there is one.

    Raises:
        EarlyRobustError: If a model cannot be used, or cannot read texts of the given lengths, or if the
            folder holds anything else.
    """
    processes.check_alone("A benchmark")
    observer = observer or Observer()
    if config.output is not None:
        BenchmarkRecord.check_folder(config.output)
    lengths = _lengths(model_names, config)
    with tempfile.TemporaryDirectory() as scratch:
        with observer.stage("Loading models, and writing them in other forms"):
            contenders = [
                contender
                for number, name in enumerate(model_names)
                for contender in _forms(
                    name, Path(scratch) / str(number), len(model_names) > 1, observer.note
                )
            ]
        models = {contender.name: contender.model for contender in contenders}
        if len(models) < len(contenders):
            raise ConfigError("Two of the models have the same name: name each once.")
        timed: dict[str, list[LatencyRecord]] = {name: [] for name in models}
        for batch_size in config.batches:
            for tokens in lengths:
                with observer.stage(f"Timing batches of {batch_size}, {tokens} tokens"):
                    found = time_in_turns(models, batch_size, tokens, config.seconds)
                for name, latency in found.items():
                    timed[name].append(latency)
        largest = max(config.batches), max(lengths)
        memory = {}
        for contender in contenders:
            with observer.stage(f"Measuring memory of {contender.name}"):
                load = partial(_load_padded, contender.model.config.pad_token_id)
                memory[contender.name] = memory_of(load, contender.folder, *largest)
        record = BenchmarkRecord(
            [
                ContenderRecord(
                    name=contender.name,
                    bytes=bytes_of_weights(contender.folder) or _bytes_of_parameters(contender.model),
                    memory=memory[contender.name],
                    latencies=timed[contender.name],
                    device=contender.model.device.type,
                )
                for contender in contenders
            ],
            describe_environment(),
        )
    if config.output is not None:
        with locked(config.output, beside=True):
            BenchmarkRecord.check_folder(config.output)  # Another command may have changed the folder.
            record.save(config.output)
    return record


def _lengths(model_names: Sequence[str], config: BenchmarkConfig) -> Sequence[int]:
    """Return lengths that all models can read; refuse given lengths that a model cannot read."""
    places = [model_in(name) for name in model_names]
    limits = [readable_tokens(load_skeleton(place), load_tokenizer(place)) for place in places]
    if config.lengths is not None:
        for limit in limits:
            length_to_read(max(config.lengths), limit, insists=True, option="--lengths")
        return config.lengths
    longest = min((limit for limit in limits if limit is not None), default=max(LENGTHS))
    return [length for length in LENGTHS if length <= longest] or [longest]


def _forms(model_name: str, scratch: Path, named: bool, note: Note) -> Iterator[_Contender]:
    """Yield a classifier as it is, and in its other forms."""
    place = model_in(model_name)
    model, tokenizer = load_classifier(place, note), load_tokenizer(place)
    # Its sentences are about padding, and no text of a benchmark is padded.
    fit_tokenizer(tokenizer, model.config)

    def contender(form: str, made: PreTrainedModel | None = None) -> _Contender:
        folder = scratch / form.replace(" ", "-")
        if made is not None:
            made.save_pretrained(folder)
        else:
            whole = dense if form.startswith(DENSE_FORM) and dense is not None else model
            export_onnx(whole, tokenizer, folder, int8=form.endswith("onnx-int8"))
        return _Contender(
            f"{model_name}: {form}" if named else form, load_classifier(str(folder)), str(folder)
        )

    dense: PreTrainedModel | None = None
    itself = _Contender(model_name if named else "model", model.eval(), place)
    if isinstance(model, OnnxClassifier):
        yield itself
        return
    if is_cut(model) and model.ticket is not None:
        dense = to_dense(model)
        yield contender(DENSE_FORM, dense)
        all_neurons = replace(model.ticket, neurons=np.ones_like(model.ticket.neurons))
        if not model.ticket.heads.all():
            yield contender(HEADS_ONLY_FORM, prune(dense, all_neurons))
        itself = replace(itself, name=f"{model_name}: {TICKET_FORM}" if named else TICKET_FORM)
    yield itself
    if find_spec("onnxruntime") and find_spec("onnxscript"):
        for form in ONNX_FORMS:
            if dense is not None:
                yield contender(f"{DENSE_FORM} {form}")
            yield contender(form)


def _load_padded(padding: int, place: str) -> PreTrainedModel:
    """Load a classifier and give it a padding token, without the memory that a tokenizer needs."""
    model = load_classifier(place)
    model.config.pad_token_id = padding
    return model


def _bytes_of_parameters(model: PreTrainedModel) -> int:
    return sum(weight.numel() * weight.element_size() for weight in model.parameters())
