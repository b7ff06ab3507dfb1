"""Describes the rows, classes and repeated texts of a data set in sentences, before the training."""

from __future__ import annotations

from earlyrobust.data import TextData

# The largest number of classes whose rows are counted one by one.
_MOST_CLASSES = 8
_USES = {"train": "train", "selection": "select", "test": "test"}
_USED = {"train": "trained on", "selection": "selected on", "test": "tested on"}
# If fewer than this share of the texts of a split are different, its accuracy says little.
_LEAST_DISTINCT = 0.5


def describe_rows(data: TextData) -> list[str]:
    """Describe the numbers of rows, classes and repeated texts of a data set.

    Args:
        data: The three splits of the data set.

    Returns:
        A line about the rows, a line about the classes, and a line for each kind of repeated texts in the
        data, or a line that no text is repeated.
    """
    sizes = ", ".join(f"{size:,} to {_USES[name]} on" for name, size in data.sizes.items())
    return [f"Rows of {data.name}: {sizes}.", _classes(data), *_repeats(data)]


def _classes(data: TextData) -> str:
    """Return a line with the rows of each class; of many classes, only the largest, in descending order."""
    by_split = list(data.classes.values())
    total = {name: sum(counts[name] for counts in by_split) for name in data.label_names}
    shown = list(total)
    if len(total) > _MOST_CLASSES:
        shown = sorted(total, key=lambda name: -total[name])[:_MOST_CLASSES]
    counted = ", ".join(f"{name} {'/'.join(f'{counts[name]:,}' for counts in by_split)}" for name in shown)
    if len(shown) == len(total):
        rest = ""
    else:
        smallest = min(total.values())
        rest = f", and {len(total) - len(shown)} smaller classes, of at least {smallest:,} rows in all splits"
    return f"Rows of each class (train/selection/test): {counted}{rest}."


def _repeats(data: TextData) -> list[str]:
    counts, sizes, lines = data.duplicates, data.sizes, []
    within = {name: counts[name] for name in sizes if counts[name]}
    if within:
        listed = ", ".join(f"{count:,} to {_USES[name]} on" for name, count in within.items())
        lines.append(f"Rows that repeat the text of an earlier row: {listed}.")
    for name in ("selection", "test"):
        if (texts := sizes[name] - counts[name]) < _LEAST_DISTINCT * sizes[name]:
            rows = f"the {sizes[name]:,} rows to {_USES[name]} on"
            lines.append(f"Beware: {rows} are only {texts:,} different texts, so their accuracy says little.")
    for name, other, harm in (
        ("test", "train", "so the accuracy may be too high"),
        ("test", "selection", "so they influence the choice of settings"),
        ("selection", "train", "so the accuracy on the selection split may be too high"),
    ):
        if count := counts[f"{name}_in_{other}"]:
            rows = f"{count:,} of the {sizes[name]:,} rows to {_USES[name]} on"
            lines.append(f"Beware: {rows} have a text that is also {_USED[other]}, {harm}.")
    if count := counts["contradicted"]:
        lines.append(f"Beware: {count:,} rows have a text that also occurs with another label.")
    return lines or ["No text is repeated."]
