"""Writes `formats/`: a finished run and what is made of it, as this version of the package writes them.

Run once for a release; what it has written is never written anew, so that every later version can be seen to
read it:

    PYTHONPATH=tests python tests/golden/make_formats.py
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from conftest import QUICK, call, write_reviews
from tiny_encoder import write_encoder
from transformers import AutoTokenizer

from earlyrobust.encoders import load_classifier

PLACE = Path(__file__).absolute().parent / "formats"
SENTENCE = "The plot is thin, but the acting is superb."


def logits_of(folder: Path) -> list[float]:
    """What a classifier says to a sentence."""
    encoded = AutoTokenizer.from_pretrained(folder)(SENTENCE, return_tensors="pt")
    with torch.inference_mode():
        return load_classifier(str(folder)).cpu().eval()(**encoded).logits[0].tolist()


def main() -> None:
    """Make everything in a scratch folder, and keep what a reader of the package reads."""
    if PLACE.exists():
        sys.exit(f"{PLACE} is there already: another release goes beside it.")
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)  # records hold the paths that commands were given
        place = Path()
        encoder = write_encoder(place / "encoder")
        data = write_reviews(place / "reviews.csv", 120)
        own = ("--model", encoder, "--train-file", data)
        quick = QUICK[: QUICK.index("--search-adversary")]
        attack = ("--attack", "textbugger", "--examples", "6")
        alone = ("--seeds", "1", "--no-attack")
        short = ("--batches", "1", "--lengths", "16", "--seconds", "0.1")
        commands: dict[str, tuple[object, ...]] = {
            "run": ("run", *own, *QUICK, *attack),
            "zeros": ("run", "--method", "robust-ticket", *own, *quick, "--no-attack"),
            "comparison": ("compare", "--methods", "finetune,pgd", *alone, *own, *quick),
            "experiments": ("reproduce", "figure2", "--scale", "smoke", "--model", encoder),
            "attack": ("attack", place / "run", *attack),
            "export": ("export", place / "run", "--to", "dense"),
            "benchmark": ("benchmark", place / "run", *short),
        }
        for output, arguments in commands.items():
            outcome = call(*arguments, "--output", place / output)
            assert outcome.code == 0, outcome
        logits = logits_of(place / "run" / "model")
        kept = ("*.json", "*.jsonl", "*.yaml", "*.safetensors")
        for file in sorted(path for pattern in kept for path in place.rglob(pattern)):
            of_a_model = {"encoder", "dense", "model"} & set(file.parts) or file.name.startswith("tokenizer")
            if not of_a_model or file.parts[:2] == ("run", "model"):
                (PLACE / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, PLACE / file)
    (PLACE / "logits.json").write_text(json.dumps({SENTENCE: logits}), encoding="utf-8")


if __name__ == "__main__":
    main()
