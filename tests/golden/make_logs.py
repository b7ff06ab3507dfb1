"""Let TextAttack log attacks on the tiny victims as CSV, and write down beside it what the logs are about.

It runs in the environment of `make_attacks.py` (see README.md in this folder):
``NLTK_DATA=... python make_logs.py``.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections import OrderedDict
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
CACHE = tempfile.TemporaryDirectory()
(Path(CACHE.name) / "post_install_check_3").touch()
os.environ["TA_CACHE_DIR"] = CACHE.name
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np  # noqa: E402
from textattack.attack_recipes import DeepWordBugGao2018  # noqa: E402
from textattack.loggers import AttackLogManager  # noqa: E402
from textattack.models.wrappers import HuggingFaceModelWrapper  # noqa: E402
from textattack.shared import AttackedText  # noqa: E402
from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: E402

NAMES = {"single": ("text",), "pair": ("premise", "hypothesis")}
STYLES = {"file": "file", "plain": None}
# What a log could be misread at.
ODD = [
    ['The [[museum]] was\nexcellent; "a gem", they said'],
    ["Verdict: dull\nReason: the [[gallery]] is a mess, and the menu is miserable"],
    ["这家餐厅很好，服务员非常热情，我们都很喜欢这里的菜，下次还会再来。"],
    ["Trust the first. The [[tour]] was\nlousy, and the phone is dreadful", 'Premise: it was\n"fine", great'],
]


def main() -> None:
    """Write `logs/<victim>-<style>.csv` and `logs/<victim>.json`."""
    (FOLDER / "logs").mkdir(exist_ok=True)
    golden = json.loads((FOLDER / "textbugger.json").read_text(encoding="utf-8"))["examples"]
    for victim, names in NAMES.items():
        place = FOLDER / f"victim-{victim}"
        wrapper = HuggingFaceModelWrapper(
            AutoModelForSequenceClassification.from_pretrained(place), AutoTokenizer.from_pretrained(place)
        )
        attack = DeepWordBugGao2018.build(wrapper)
        chosen = [(item["texts"], item["label"]) for item in golden if len(item["texts"]) == len(names)][:12]
        odd = [texts for texts in ODD if len(texts) == len(names)]
        results = []
        for number, (texts, label) in enumerate(chosen + [(texts, None) for texts in odd]):
            random.seed(number)
            np.random.seed(number)
            text = AttackedText(OrderedDict(zip(names, texts, strict=True)))
            if label is None:  # never skipped
                label = attack.goal_function.get_output(text)
            results.append(attack.attack(text, label))
        for style, method in STYLES.items():
            log = AttackLogManager({})
            log.add_output_csv(str(FOLDER / "logs" / f"{victim}-{style}.csv"), method)
            for result in results:
                log.log_result(result)
            log.flush()
        record = {"textattack": version("textattack"), "examples": [told(result) for result in results]}
        path = FOLDER / "logs" / f"{victim}.json"
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def told(result: Any) -> dict[str, Any]:
    """What came of an attack, from the result itself."""
    before, after = result.original_result, result.perturbed_result
    return {
        "texts": list(before.attacked_text._text_input.values()),
        "final": list(after.attacked_text._text_input.values()),
        "type": type(result).__name__.removesuffix("AttackResult"),
        "label": int(before.ground_truth_output),
        "outputs": [int(before.output), int(after.output)],
        "scores": [float(before.score), float(after.score)],
        "queries": int(result.num_queries),
        "changed": len(before.attacked_text.all_words_diff(after.attacked_text)),
        "words": len(before.attacked_text.words),
    }


if __name__ == "__main__":
    main()
