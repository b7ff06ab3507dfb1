"""Attacks examples with TextAttack.

`attack_speed.py` starts this script in TextAttack's environment. The script reads one line of JSON for each
task, `{"wrapper": "stock" or "dynamic", "examples": [{"texts": [...], "label": 0}]}`. It answers each task
with one line of JSON, which holds the seconds and the results.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
sys.path.insert(0, str(GOLDEN))

import make_attacks as golden  # noqa: E402
import torch  # noqa: E402
from textattack.models.wrappers import HuggingFaceModelWrapper, ModelWrapper  # noqa: E402
from transformers import AutoModelForSequenceClassification, BertTokenizerFast  # noqa: E402


class DynamicWrapper(ModelWrapper):  # type: ignore[misc]
    """Pads to the longest text of the batch, as users' own wrappers do if the stock wrapper is slow."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer

    @torch.inference_mode()
    def __call__(self, text_input_list: list[str], **_: Any) -> torch.Tensor:
        inputs = self.tokenizer(text_input_list, truncation=True, padding=True, return_tensors="pt")
        return self.model(**inputs).logits


class BatchedEncoder(golden.MeanEncoder):
    """Encodes sentences in batches of 32, and pads each batch to its longest text."""

    @torch.inference_mode()
    def encode(self, sentences: list[str]) -> torch.Tensor:
        order = sorted(range(len(sentences)), key=lambda index: -len(sentences[index]))
        found = torch.empty(len(sentences), self.model.config.hidden_size)
        for begin in range(0, len(order), 32):
            rows = order[begin : begin + 32]
            batch = [sentences[row] for row in rows]
            inputs = self.tokenizer(batch, truncation=True, max_length=256, padding=True, return_tensors="pt")
            mask = inputs["attention_mask"].unsqueeze(-1)
            states = self.model(**inputs).last_hidden_state * mask
            found[rows] = torch.nn.functional.normalize(states.sum(1) / mask.sum(1), dim=1)
        return found


def main() -> None:
    folder, recipe = sys.argv[1:3]
    golden.MeanEncoder = BatchedEncoder
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    # Folders written by transformers 5 name a tokenizer class that transformers 4 does not have.
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    vectors = golden.Vectors()
    attacks = {
        "stock": golden.build(recipe, HuggingFaceModelWrapper(model, tokenizer), vectors),
        "dynamic": golden.build(recipe, DynamicWrapper(model, tokenizer), vectors),
    }
    print("ready", flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        attack = attacks[task["wrapper"]]
        began = time.perf_counter()
        results = [attack.attack(example["texts"][0], example["label"]) for example in task["examples"]]
        answer = {
            "seconds": time.perf_counter() - began,
            "results": [[golden.STATUS[type(result)], result.num_queries] for result in results],
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
