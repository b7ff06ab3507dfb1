"""TextAttack's side of what it and this package exchange, written after the source of its version 0.3.11.

TextAttack needs another transformers than this package does, so tests cannot import it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import torch

WORD = re.compile(r"[\w'\-_*@]+")


class UntargetedClassification:
    """How `textattack.goal_functions.UntargetedClassification` asks a wrapper and judges its answers."""

    def __init__(self, model_wrapper: Any, batch_size: int = 32) -> None:
        self.victim_class = model_wrapper.model.__class__  # `validate_model_goal_function_compatibility`
        self.model, self.batch_size = model_wrapper, batch_size

    def probabilities(self, inputs: Sequence[str | tuple[str, ...]]) -> torch.Tensor:
        """`_call_model_uncached` and `ClassificationGoalFunction._process_model_outputs`."""
        outputs: list[Any] = []
        for start in range(0, len(inputs), self.batch_size):
            answers = self.model(list(inputs[start : start + self.batch_size]))
            if isinstance(answers, torch.Tensor):
                answers = answers.cpu()
            if isinstance(answers, list):
                outputs.extend(answers)
            else:
                outputs.append(torch.tensor(answers) if isinstance(answers, np.ndarray) else answers)
        scores = torch.cat(outputs, dim=0)
        assert len(scores) == len(inputs)
        assert scores.ndim == 2
        if not ((scores.sum(dim=1) - 1).abs() < 1e-6).all():
            scores = torch.nn.functional.softmax(scores, dim=1)
            if not ((scores.sum(dim=1) - 1).abs() < 1e-6).all():
                raise ValueError("Model scores do not add up to 1.")
        return scores


def color_text(text: str, color: str | tuple[str, ...], method: str | None) -> str:
    """`textattack.shared.utils.color_text`."""
    if isinstance(color, tuple):
        if len(color) > 1:
            text = color_text(text, color[1:], method)
        color = color[0]
    if method is None:
        return text
    if method == "html":
        return f"<font color = {color}>{text}</font>"
    if method == "ansi":
        return {"bold": "\033[1m", "underline": "\033[4m"}.get(color, "\033[91m") + text + "\033[0m"
    assert method == "file"
    return "[[" + text + "]]"


def printable_text(columns: dict[str, str], method: str | None) -> str:
    """`AttackedText.printable_text`."""
    if len(columns) == 1:
        return next(iter(columns.values()))
    return "\n".join(
        f"{color_text(key.capitalize(), ('bold', 'underline'), method)}: {value}"
        for key, value in columns.items()
    )


def diff_color(
    before: dict[str, str], after: dict[str, str], method: str | None, marks: bool = True
) -> tuple[str, str]:
    """`AttackResult.diff_color`. Which words belong together is searched for; TextAttack remembers it.

    Without marks: as for a text that `langdetect` takes for Chinese or Korean.
    """
    if method is None or not marks:
        return printable_text(before, None), printable_text(after, None)
    old, new = (
        [word for text in columns.values() for word in WORD.findall(text)] for columns in (before, after)
    )
    changed: tuple[set[int], set[int]] = (set(), set())
    if len(old) == len(new):
        for place, words in enumerate(zip(old, new, strict=True)):
            if words[0] != words[1]:
                changed[0].add(place)
                changed[1].add(place)
    else:
        for kind, begin, end, other, last in SequenceMatcher(None, old, new, False).get_opcodes():
            if kind != "equal":
                changed[0].update(range(begin, end))
                changed[1].update(range(other, last))
    marked = []
    for columns, places in zip((before, after), changed, strict=True):
        count = -1

        def mark(found: re.Match[str], places: set[int] = places) -> str:
            nonlocal count
            count += 1
            return color_text(found[0], "red", method) if count in places else found[0]

        marked.append({key: WORD.sub(mark, text) for key, text in columns.items()})
    return printable_text(marked[0], method), printable_text(marked[1], method)


def write_log(path: Path, results: Sequence[dict[str, Any]], method: str | None = "file") -> Path:
    """`CSVLogger`: `pandas.DataFrame.to_csv(quoting=csv.QUOTE_NONNUMERIC, index=False)`.

    Args:
        path: Where the log is written.
        results: Each with `texts` and `final` as column → text, `scores`, `outputs`, `label`, `queries`,
            `type`; and `marks`, see `diff_color`.
        method: `color_method`; "file" for --csv-coloring-style file, None for plain.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(
            [
                *("original_text", "perturbed_text", "original_score", "perturbed_score", "original_output"),
                *("perturbed_output", "ground_truth_output", "num_queries", "result_type"),
            ]
        )
        for result in results:
            texts = diff_color(result["texts"], result["final"], method, result.get("marks", True))
            writer.writerow(
                [
                    *(text.replace("\n", "<SPLIT>") for text in texts),
                    *(*result["scores"], *result["outputs"], result["label"], result["queries"]),
                    result["type"],
                ]
            )
    return path
