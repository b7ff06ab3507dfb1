"""Scrutiny: repeats attacks in other ways on the same examples, to detect illusions of robustness.

A classifier may be robust only against the attack that measures it. There are three possible reasons: its
probabilities do not guide the attack's search, it was trained on the words that the attack uses, or only
greedy attacks fail on it. Each variant keeps its own journal, so scrutiny can continue after an interruption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from earlyrobust import processes
from earlyrobust.attacks import Attack, Resources, Server, Victim, WordSwapAttack
from earlyrobust.attacks.resources.neighbours import COUNTER_FITTED, sources_here
from earlyrobust.attacks.scores import LOGIT_MARGIN, LogOdds
from earlyrobust.attacks.variants import RandomSubstitutions, Replay
from earlyrobust.encoders import load_classifier, load_tokenizer
from earlyrobust.evaluation import evaluate_victim, fit_temperature, predict, sample_examples
from earlyrobust.journal import AttackedExample, example_from, header_of, read_journal
from earlyrobust.options.attack import AttackConfig
from earlyrobust.pipeline.attacks import build_attack, resources_of
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.results import (
    ATTACKS_FOLDER,
    AttackRecord,
    CurveRecord,
    ScrutinyRecord,
    TemperatureRecord,
)
from earlyrobust.workspace.finding import model_in, options_of, run_of
from earlyrobust.workspace.folder import DENSE, MODEL
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from datasets import Dataset

    from earlyrobust.judging.subject import Subject

# The most and the fewest texts for fitting a temperature.
_MOST_HELD_OUT, _LEAST_HELD_OUT = 1_000, 20
_FEW_TEXTS = (
    f"Fewer than {_LEAST_HELD_OUT} texts of the data are not attacked, too few to fit a temperature on: "
    "choose fewer --examples."
)
_TWO_CLASSES = "With two classes every temperature ranks texts as the logit margin does."
_NO_WORDS = "The attack does not use a list of words that can be chosen."
_NO_RIVAL = "The model does not belong to a run that holds another trained model."


@dataclass(frozen=True)
class _Rival:
    """The other model of a run.

    Attributes:
        victim: The other model as a victim of attacks.
        journals: Folder of the journals of the run's own attacks.
    """

    victim: Victim
    journals: Path


class Scrutiny:
    """Repeats attacks on a classifier in other ways (variants), and compares them with the plain attacks.

    Args:
        model_name: The user's name for the classifier.
        subject: The classifier and the texts to attack.
        config: Settings of the attacks.
        resources: Resources of the plain attacks.
        folder: Folder of the journals.
        observer: Receives progress.
    """

    def __init__(
        self,
        model_name: str,
        subject: Subject,
        config: AttackConfig,
        resources: Resources,
        folder: Path,
        observer: Observer,
    ) -> None:
        self._subject = subject
        self._config = config
        self._resources = resources
        self._folder = folder
        self._observer = observer
        self._words, self._no_words = other_words(
            config.neighbours or sources_here()[0], _words_of_training(model_name), sources_here()
        )
        with observer.stage("Preparing scrutiny"):
            self._victim = Victim(
                subject.model, subject.tokenizer, subject.max_length, config.used_precision, LOGIT_MARGIN
            )
            self._server = Server.of(subject.model.device, config.token_budget)
            self._rival = _rival_of(model_name, subject, config)
            self._temperature = self._fit_temperature()

    def of(self, attack: WordSwapAttack, plain_record: AttackRecord) -> ScrutinyRecord:
        """Run all variants of one attack.

        Args:
            attack: The plain attack.
            plain_record: The record of the plain attack, whose journal is in the folder.

        Returns:
            The record of scrutiny.
        """
        plain = _examples(self._folder / str(plain_record.journal))
        exact = attack.scored_by(LOGIT_MARGIN)
        variants: dict[str, Attack] = {"margin": exact}
        left_out: dict[str, str] = {}
        if self._temperature is None:
            left_out["temperature"] = _FEW_TEXTS
        elif len(self._subject.outputs) == 2:
            left_out["temperature"] = _TWO_CLASSES
        else:
            variants["temperature"] = attack.scored_by(LogOdds(self._temperature.value))
        others = self._with_other_words(exact)
        if isinstance(others, str):
            left_out["words"] = others
        else:
            variants["words"] = others
        took = {(item.texts, item.label): item.queries for item in plain}
        rival_queries = 0
        if self._rival is None:
            left_out["replay"] = _NO_RIVAL
        else:
            broken, rival_queries = self._texts_that_broke(self._rival, attack)
            origin = {"replays": attack.describe(), "broke": self._rival.victim.fingerprint}
            variants["replay"] = Replay(broken, origin, victim_reads=attack.victim_reads)
        variants["random"] = RandomSubstitutions(exact, took)
        found = {
            name: (variant.describe(), self._attack(variant, attack.name, name), _journal(attack.name, name))
            for name, variant in variants.items()
        }
        by_candidates, queries = self._by_candidates(attack, found["margin"][1])
        return ScrutinyRecord.of(
            plain,
            found,
            left_out=left_out,
            temperature=self._temperature,
            by_candidates=by_candidates,
            other_queries=rival_queries + queries,
        )

    def _with_other_words(self, exact: WordSwapAttack) -> WordSwapAttack | str:
        """Return the attack with the words of another list, or a sentence that says why there is none."""
        if "neighbours" not in exact.describe():
            return _NO_WORDS
        if self._words is None:
            return self._no_words
        resources = resources_of(self._config.model_copy(update={"neighbours": self._words}))
        others = build_attack(type(exact), self._config, resources).scored_by(LOGIT_MARGIN)
        return others if others.describe() != exact.describe() else _NO_WORDS

    def _attack(
        self, variant: Attack, attack: str, name: str, rival: _Rival | None = None
    ) -> list[AttackedExample]:
        """Run a variant on the examples of the plain attack, against the model or its rival."""
        journal = self._folder / _journal(attack, name)
        with self._observer.stage(f"Scrutinising {attack}: {name}"):
            evaluate_victim(
                self._victim if rival is None else rival.victim,
                self._server,
                self._subject.rows,
                variant,
                examples=self._config.examples,
                seed=self._config.seed,
                journal=journal,
                in_flight=self._config.in_flight,
                watch=self._observer.attacked,
            )
        return _examples(journal)

    def _texts_that_broke(
        self, rival: _Rival, attack: WordSwapAttack
    ) -> tuple[dict[tuple[tuple[str, ...], int], list[tuple[str, ...]]], int]:
        """Return the texts that break the other model, and the number of queries used to find them.

        If the run has made the same attack on the other model and the same examples, no queries are needed.
        """
        header = header_of(self._folder / f"{attack.name}.jsonl")
        wanted = {**(header or {}), "model": rival.victim.fingerprint}
        examples, queries = self._of_run(rival, wanted), 0
        if examples is None:
            examples = self._attack(attack, attack.name, "other-model", rival)
            queries = sum(item.queries for item in examples)
        broken: dict[tuple[tuple[str, ...], int], list[tuple[str, ...]]] = {}
        for item in examples:
            if item.status == "succeeded":
                broken.setdefault((item.texts, item.label), []).append(item.final)
        return broken, queries

    @staticmethod
    def _of_run(rival: _Rival, wanted: dict[str, object]) -> list[AttackedExample] | None:
        """Return the examples of the run's own attack on the other model; None without the same attack."""

        def read() -> list[dict[str, object]] | None:
            for journal in sorted(rival.journals.glob("*.jsonl")):
                if header_of(journal) == wanted:
                    found = read_journal(journal)[1]
                    if len(found) == wanted["examples"]:
                        return [asdict(item) for item in found]
            return None

        items = processes.by_first(read)
        return None if items is None else [example_from(item) for item in items]

    def _by_candidates(
        self, attack: WordSwapAttack, margin: Sequence[AttackedExample]
    ) -> tuple[CurveRecord | None, int]:
        """Return the curve over the number of candidates for a word, and the number of queries for it."""
        most = attack.describe().get("candidates")
        if most is None:
            return None, 0
        right, queries = [], 0
        for count in fewer_candidates(most):
            options = self._config.model_copy(update={"candidates": count})
            fewer = build_attack(type(attack), options, self._resources).scored_by(LOGIT_MARGIN)
            examples = self._attack(fewer, attack.name, f"k{count}")
            right.append(_robust(examples))
            queries += sum(item.queries for item in examples)
        allowed = [*fewer_candidates(most), most]
        return CurveRecord(allowed, [*right, _robust(margin)], len(margin)), queries

    def _fit_temperature(self) -> TemperatureRecord | None:
        """Fit a temperature on texts of the data that are not attacked; None if there are too few."""
        subject = self._subject
        others = held_out(subject.rows, self._config.examples, self._config.seed, len(subject.outputs))
        if len(others) < _LEAST_HELD_OUT:
            return None
        logits = predict(subject.model, subject.tokenizer, subject.tokens.select(others))
        return fit_temperature(logits, np.asarray(subject.rows.select(others)["label"], np.int64))


def held_out(rows: Dataset, examples: int, seed: int, classes: int) -> list[int]:
    """Draw rows whose texts are not attacked.

    Args:
        rows: The rows from which `sample_examples` draws the attacked sample.
        examples: Size of the attacked sample.
        seed: Seed of the attacked sample.
        classes: Number of classes of the model.

    Returns:
        Indices of at most 1,000 rows, drawn at random from those that are not attacked.
    """
    attacked = set(sample_examples(rows, examples, seed, classes))
    # Several rows may hold the same text.
    texts = {tuple(row.values()) for row in rows.select(sorted(attacked)).remove_columns("label")}
    order = np.random.default_rng([seed, 1]).permutation(len(rows)).tolist()
    columns = [name for name in rows.column_names if name != "label"]
    values = list(zip(*(rows[name][:] for name in columns), strict=True))
    return [index for index in order if values[index] not in texts][:_MOST_HELD_OUT]


def other_words(plain: str, trained: Sequence[str], here: Sequence[str]) -> tuple[str | None, str]:
    """Choose a source of neighbours that neither the plain attack nor the training used.

    Args:
        plain: The source of the plain attack.
        trained: The sources of the words with which the training replaced words.
        here: The sources on this machine, the preferred one first.

    Returns:
        The first such source and an empty text; or None and a sentence that says why there is none.
    """
    if found := next((source for source in here if source not in (plain, *trained)), None):
        return found, ""
    if trained and plain not in trained:
        return None, (
            f"The plain attack takes its words from a source ({plain}) that the training did not use "
            f"({', '.join(trained)})."
        )
    if COUNTER_FITTED in here:
        return None, "The plain attack and the training used all lists of words on this machine."
    return None, (
        f"There is no other list of words than {plain} here: fetch one by `earlyrobust resources --fetch "
        "counter-fitted`."
    )


def fewer_candidates(most: int) -> list[int]:
    """Return the powers of two below a number of candidates, in rising order."""
    return [1 << power for power in range((most - 1).bit_length())]


def _words_of_training(model_name: str) -> tuple[str, ...]:
    """Return the sources of the words with which the training of a model replaced words."""
    run = run_of(model_name)
    if run is None:
        return ()
    config = options_of(run)
    return Recipe.of(config).sources_of_words(config.neighbours)


def _rival_of(model_name: str, subject: Subject, config: AttackConfig) -> _Rival | None:
    """Return the other trained model of the run that a model belongs to; None if there is none to use.

    The run's own model has the dense model as its rival. Any other model of the run has the run's own model.
    """
    run, place = run_of(model_name), Path(model_in(model_name)).resolve()
    if run is None:
        return None
    other = run / (DENSE if place == (run / MODEL).resolve() else MODEL)
    if not other.is_dir():
        return None
    model = load_classifier(str(other))
    if list(subject.outputs) != [model.config.id2label[index] for index in range(model.config.num_labels)]:
        return None
    victim = Victim(model, load_tokenizer(str(other)), subject.max_length, config.used_precision)
    return _Rival(victim, run / ATTACKS_FOLDER)


def _journal(attack: str, variant: str) -> str:
    return f"{attack}.{variant}.jsonl"


def _examples(journal: Path) -> list[AttackedExample]:
    """Return the examples of a finished journal; only the first process needs to be able to read it."""
    items = processes.by_first(lambda: [asdict(item) for item in read_journal(journal)[1]])
    return [example_from(item) for item in items]


def _robust(examples: Sequence[AttackedExample]) -> int:
    return sum(example.status == "failed" for example in examples)
