"""Train the two tiny classifiers that the golden attacks were run against (see README.md in this folder).

It runs in the project's environment: ``python tests/golden/make_victims.py``. One thread and fixed seeds: the
same versions on the same kind of processor give the same weights, others nearly the same ones.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from earlyrobust.data.corpus import LABEL_NAMES, generate, lexical_items

FOLDER = Path(__file__).parent
POSITIONS = 128
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

# The first words of a premise say which of both sentences the label of the pair is about. Where it is the
# premise, an attack that may only touch the hypothesis can hardly succeed: failed attacks are wanted, too.
MARKERS = ("Trust the second.", "Trust the first.")

SETTINGS: dict[str, dict[str, Any]] = {
    "single": {"epochs": 3, "batch": 32, "rate": 1.5e-3},
    "pair": {"epochs": 4, "batch": 32, "rate": 1.5e-3},
}
SMOOTHING = 0.1  # keeps the probabilities away from 0 and 1, where float32 knows many ties
MISSPELLED = 0.1  # the share of words that training reads in single letters, as an attacked word may be

SAMPLES = {"single": 100, "pair": 36}  # the first ones of the test split, right and wrong ones alike

Texts = tuple[str, ...]
Rows = list[tuple[Texts, int]]


def vocabulary() -> list[str]:
    """Special tokens, pieces to spell any ASCII text with, and the words of the built-in corpus."""
    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = {word.lower() for item in lexical_items() for word in item.split()}
    words |= {word for marker in MARKERS for word in re.findall("[a-z]+", marker.lower())}
    pieces = [*characters, *(f"##{character}" for character in characters), *sorted(words)]
    return [*SPECIAL, *dict.fromkeys(pieces)]


def write_tokenizer(folder: Path) -> None:
    """Write the files of a lower-casing BERT tokenizer, as transformers 4 and 5 both read them."""
    ids = {piece: index for index, piece in enumerate(vocabulary())}
    backend = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    backend.add_special_tokens(SPECIAL)
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(backend.to_str() + "\n", encoding="utf-8")
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in ids), encoding="utf-8")
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "model_max_length": POSITIONS,
        **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def single_rows(split: tuple[list[str], list[int]]) -> Rows:
    """Return the sentences of the corpus as they are."""
    return [((text,), label) for text, label in zip(*split, strict=True)]


def pair_rows(split: tuple[list[str], list[int]], rng: random.Random, each: int = 1) -> Rows:
    """Pair every sentence as a hypothesis with random premises, each behind one of ``MARKERS``."""
    rows: Rows = []
    for hypothesis, label in zip(*split, strict=True):
        for _ in range(each):
            other = rng.randrange(len(split[0]))
            marker = rng.randrange(2)
            premise = f"{MARKERS[marker]} {split[0][other]}"
            rows.append(((premise, hypothesis), (label, split[1][other])[marker]))
    return rows


def train(kind: str, rows: Rows, folder: Path, start: BertForSequenceClassification | None = None) -> Any:
    """Train one classifier on texts or pairs, and save it beside its tokenizer."""
    settings = SETTINGS[kind]
    write_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=POSITIONS,
        id2label=dict(enumerate(LABEL_NAMES)),
        label2id={name: index for index, name in enumerate(LABEL_NAMES)},
    )
    model = BertForSequenceClassification(config)
    if start is not None:
        model.load_state_dict(start.state_dict())
    rng = random.Random(0)
    steps = settings["epochs"] * (len(rows) // settings["batch"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings["rate"], weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 100, max(0.0, 1 - step / steps))
    )
    model.train()
    for _ in range(settings["epochs"]):
        rng.shuffle(rows)
        for first in range(0, len(rows) - settings["batch"] + 1, settings["batch"]):
            batch = rows[first : first + settings["batch"]]
            columns = zip(*(texts for texts, _ in batch), strict=True)
            inputs = tokenizer(
                *([_misspelled(text, rng) for text in column] for column in columns),
                truncation=True,
                max_length=POSITIONS,
                padding=True,
                return_tensors="pt",
            )
            labels = torch.tensor([label for _, label in batch])
            loss = cross_entropy(model(**inputs).logits, labels, label_smoothing=SMOOTHING)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    model.eval()
    model.save_pretrained(folder)
    return model


def _misspelled(text: str, rng: random.Random) -> str:
    """Make some words unknown by doubling a letter, so that they are read piece by piece."""

    def changed(match: re.Match[str]) -> str:
        word = match.group()
        if rng.random() >= MISSPELLED:
            return word
        place = rng.randrange(len(word))
        return word[:place] + word[place] + word[place:]

    return re.sub("[A-Za-z]{3,}", changed, text)


@torch.inference_mode()
def accuracy(model: Any, folder: Path, rows: Rows) -> float:
    """Return the share of rows that the classifier gets right."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    right = 0
    for texts, label in rows:
        inputs = tokenizer(*texts, truncation=True, max_length=POSITIONS, return_tensors="pt")
        right += int(model(**inputs).logits.argmax().item() == label)
    return right / len(rows)


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    corpus = generate(seed=0)
    folder = FOLDER / "victim-single"
    single = train("single", single_rows(corpus["train"]), folder)
    print(f"single: {accuracy(single, folder, single_rows(corpus['test'])):.3f} of the test split")  # noqa: T201
    folder = FOLDER / "victim-pair"
    pair = train("pair", pair_rows(corpus["train"], random.Random(1), each=2), folder, start=single)
    rows = pair_rows(corpus["test"], random.Random(2))
    print(f"pair: {accuracy(pair, folder, rows):.3f} of the test pairs")  # noqa: T201
    # The environment of make_attacks.py has no `earlyrobust`, so the texts to attack travel as a file.
    samples = {"single": single_rows(corpus["test"]), "pair": rows}
    content = {
        kind: [{"texts": texts, "label": label} for texts, label in found[: SAMPLES[kind]]]
        for kind, found in samples.items()
    }
    (FOLDER / "samples.json").write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
