"""Examples at the end of the help of each command."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "run": (
        "earlyrobust run --train-file reviews.csv --method earlyrobust-noise --output runs/reviews",
        "earlyrobust run --task sst2 --output runs/sst2",
        "earlyrobust run --model my-classifier --train-file reviews.csv --output runs/mine",
    ),
    "search": ("earlyrobust search --train-file reviews.csv --output runs/ticket",),
    "finetune": (
        "earlyrobust finetune --ticket runs/ticket --train-file reviews.csv --output runs/from-ticket",
    ),
    "compare": (
        "earlyrobust compare --methods finetune,freelb,earlyrobust --task sst2 --seeds 5 --output runs/grid",
    ),
    "reproduce": ("earlyrobust reproduce table1 --scale smoke",),
    "report": ("earlyrobust report runs/grid",),
    "attack": (
        "earlyrobust attack runs/reviews --attack textfooler,deepwordbug --examples 200",
        "earlyrobust attack me/my-classifier --task sst2 --fail-under 30",
    ),
    "replay": ("earlyrobust replay runs/reviews/attacks/dense-textfooler.jsonl runs/reviews",),
    "evaluate": ("earlyrobust evaluate runs/reviews --test-file new.csv",),
    "predict": ("earlyrobust predict runs/reviews new.csv --output predictions.csv",),
    "benchmark": ("earlyrobust benchmark runs/reviews --lengths 32,128",),
    "export": ("earlyrobust export runs/reviews --to onnx-int8",),
    "list": ("earlyrobust list methods",),
    "resources": ("earlyrobust resources --fetch counter-fitted",),
    "ticket show": ("earlyrobust ticket show runs/reviews",),
    "ticket diff": ("earlyrobust ticket diff runs/reviews runs/ticket",),
    "ticket draw": ("earlyrobust ticket draw runs/reviews --neurons 0.5 --output runs/half",),
    "ticket merge": ("earlyrobust ticket merge runs/reviews runs/ticket --output runs/merged",),
}


def ending(command: str) -> str:
    """Return the end of the help of a command: its examples, one per line."""
    return "\n\n".join(["Examples:", *(f"  {line}" for line in EXAMPLES[command])])
