"""Writes the card of a trained classifier: `README.md`, as the Hugging Face hub shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from html import escape as escape_html
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCardData

from earlyrobust.reports.runs import run_headlines, run_tables
from earlyrobust.reports.tables import Table, to_markdown
from earlyrobust.results import RunRecord
from earlyrobust.storage import write_atomically

CARD_NAME = "README.md"
# Makes a text safe in Markdown, where quotes need no escape.
escape = partial(escape_html, quote=False)
# Settings that name the resources of an attack. Numbers with different resources cannot be compared.
_RESOURCES = ("neighbours", "candidates", "sentence_encoder", "min_similarity", "tagger", "masked_lm")
_LOAD = """\
```python
import {imported}
from transformers import pipeline

classify = pipeline("text-classification", model="path/or/name")
```
"""


def render_card(
    record: RunRecord, folder: Path, scrutiny: Sequence[str] = (), verdicts: Sequence[str] = ()
) -> Path:
    """Write the card of a run's classifier into the folder of the classifier.

    Args:
        record: Record of the run.
        folder: Folder of the classifier.
        scrutiny: Results of scrutiny, a sentence each.
        verdicts: Sentences on whether the classifier is more robust than the dense model.

    Returns:
        The path of the card.
    """
    path = folder / CARD_NAME
    content = card_text(record, scrutiny, verdicts).encode("utf-8")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return path


def card_text(record: RunRecord, scrutiny: Sequence[str] = (), verdicts: Sequence[str] = ()) -> str:
    """Return the text of a card; the arguments are those of `render_card`."""
    text = "\n".join(_parts(record, scrutiny, verdicts))
    return text.encode("utf-8", "backslashreplace").decode()  # halves of surrogate pairs have no encoding


def _parts(record: RunRecord, scrutiny: Sequence[str], verdicts: Sequence[str]) -> Iterator[str]:
    yield f"---\n{_metadata(record)}\n---"
    yield f"\n# {escape(record.config['model'])} on {escape(record.data.name)}, by {record.method}\n"
    yield " ".join([*map(escape, verdicts), *run_headlines(record)]) + "\n"
    if record.given:
        yield f"The training started from `{escape(record.config['model'])}` with its own head.\n"
    if record.ticket is not None:
        yield "This model is cut: after `import earlyrobust`, transformers loads it like any other model.\n"
    yield _LOAD.format(imported="earlyrobust" if record.ticket is not None else "transformers")
    yield from (to_markdown([table]) for table in _tables(record))
    yield "### Attacks\n"
    for name, attack in record.model.attacks.items():
        settings = {key.replace("_", " "): attack.settings.get(key) for key in _RESOURCES}
        used = [f"{name}: {value}" for name, value in settings.items() if value is not None]
        yield f"- {name}: {attack.clean.total} examples; {'; '.join(used)}."
    if not record.model.attacks:
        yield "The classifier was not attacked."
    if scrutiny:
        yield "\n### Scrutiny\n"
        yield from (f"- {escape(sentence)}" for sentence in scrutiny)
    yield "\n### How to repeat the run\n"
    # The folder of this run would refuse another run.
    options = {name: value for name, value in record.config.items() if value is not None and name != "output"}
    yield "```yaml\n# config.yaml\n" + yaml.safe_dump(options, sort_keys=False, allow_unicode=True) + "```\n"
    yield f"```sh\nearlyrobust {_command(record)} --config config.yaml\n```\n"
    versions = ", ".join(f"{name} {version}" for name, version in record.environment.versions.items())
    yield f"Made with {versions}; {record.environment.processor}, {record.environment.device}.\n"


def _tables(record: RunRecord) -> Iterator[Table]:
    names = [escape(name) for name in record.data.label_names]
    escaped = replace(record, data=replace(record.data, label_names=names))
    yield from run_tables(escaped)[:-1]  # the last table holds the seconds of the stages
    sizes = ", ".join(f"{rows:,} {split}" for split, rows in record.data.sizes.items())
    facts = [["data", f"{escape(record.data.name)}: {sizes}"]]
    facts.append(["classes", ", ".join(map(escape, record.data.label_names))])
    facts.append(["seconds of training", f"{record.training_seconds:.1f}"])
    if record.ticket is not None:
        for name, (kept, total) in (
            ("heads kept", record.ticket.heads_kept),
            ("neurons kept", record.ticket.neurons_kept),
        ):
            facts.append([name, f"{kept:,} of {total:,}"])
        facts.append(["heads of each layer", ", ".join(map(str, record.ticket.heads_per_layer))])
        facts.append(["neurons of each layer", ", ".join(map(str, record.ticket.neurons_per_layer))])
    if record.weights is not None:
        facts.append(["weights kept", f"{record.weights.kept:,} of {record.weights.total:,}"])
    if record.search is not None:
        facts.append(["search", f"{record.search.stop_reason} after {record.search.epochs:.2f} epochs"])
    yield Table("Data and training", ["", ""], [list(row) for row in facts])


def _command(record: RunRecord) -> str:
    return "finetune --ticket TICKET" if record.method == "finetune-ticket" else "run"


def _metadata(record: RunRecord) -> str:
    """Return the part of the card that the hub reads: the task of the model, and its results."""
    name, model = record.data.name, record.model
    shares = {"accuracy": ("Clean accuracy", model.test)}
    for attack, found in model.attacks.items():
        shares[f"accuracy_under_{attack}"] = (f"Accuracy under {attack}", found.under_attack)
    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type=name,
            dataset_name=name,
            dataset_split=record.config.get("attack_split", "test") if kind != "accuracy" else "test",
            metric_type=kind,
            metric_name=f"{title} ({share.total} examples, 95 % from {share.low:.4f} to {share.high:.4f})",
            metric_value=round(share.value, 4),
        )
        for kind, (title, share) in shares.items()
    ]
    encoder = str(record.config["model"])
    known: dict[str, Any] = (
        {"base_model": encoder} if encoder.count("/") == 1 and not Path(encoder).exists() else {}
    )
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["earlyrobust", "adversarial-robustness", record.method],
        model_name=f"{encoder} on {name}, by {record.method}",
        eval_results=results,
        **known,
    )
    return str(data)
