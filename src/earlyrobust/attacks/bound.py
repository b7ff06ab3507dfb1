"""An attack bound to a classifier: it takes texts with their labels and returns attacked examples."""

from __future__ import annotations

import hashlib
import json
import logging
import operator
import reprlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from earlyrobust.attacks.asks import Attacking
from earlyrobust.attacks.engine import run_attacks
from earlyrobust.attacks.example import Example
from earlyrobust.attacks.models import Victim
from earlyrobust.attacks.scores import Score
from earlyrobust.attacks.server import Server
from earlyrobust.encoders import LEAST_LENGTH
from earlyrobust.errors import ConfigError, DataError
from earlyrobust.journal import AttackedExample

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_LOG = logging.getLogger(__name__)

# A text, or the two texts of a pair.
TextOrPair: TypeAlias = str | Sequence[str]
Texts: TypeAlias = Iterable[TextOrPair]


class Attacker(Protocol):
    """An attack, as far as `BoundAttack` uses it. Every `Attack` is one."""

    score: Score

    def attack(self, example: Example, victim: Victim) -> Attacking[AttackedExample]:
        """Attack one example."""


class BoundAttack:
    """An attack on one classifier; `Attack.against` makes it.

    It keeps the classifier's answers, so later calls are faster. The result for a text depends only on the
    text, its label and the seed. It does not depend on the other texts or on earlier calls. (On an
    accelerator the last bits of the classifier's answers may depend on the other texts.)

    Args:
        attack: The attack.
        model: Any sequence classifier; it is put into evaluation mode.
        tokenizer: The model's tokenizer.
        seed: Seed of the attack's random choices. The random choices on a text depend on the seed and the
            text.
        max_length: Maximum number of tokens of a text that the model reads; None for the model's own limit.

    Attributes:
        label_names: Names of the classes in the model's configuration, in the order of the model's outputs.

    Raises:
        ConfigError: If the seed or `max_length` cannot be used.
    """

    def __init__(
        self,
        attack: Attacker,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        seed: int = 0,
        max_length: int | None = None,
    ) -> None:
        if seed < 0 or (max_length is not None and max_length < LEAST_LENGTH):
            raise ConfigError(
                f"The seed must not be negative, and max_length must be at least {LEAST_LENGTH}."
            )
        self._attack = attack
        self._victim = Victim(model, tokenizer, max_length, score=attack.score)
        self._server = Server.of(model.device)
        self._seed = seed
        self.label_names = [str(model.config.id2label[index]) for index in range(model.config.num_labels)]

    def run(
        self,
        texts: Texts,
        labels: Iterable[int | str],
        *,
        watch: Callable[[Sequence[AttackedExample], int], None] | None = None,
    ) -> list[AttackedExample]:
        """Attack the classifier on a list of texts.

        Args:
            texts: Strings, or pairs of strings.
            labels: The class of each text: the index of the model's output, or the exact name of the class in
                the model's configuration.
            watch: A function that is called whenever a text is done. Its arguments are all results so far, in
                the order in which the attacks ended, and the number of texts.

        Returns:
            The result for each text, in the order of the texts. `index` is the position of the text.

        Raises:
            DataError: If a text is neither a string nor a pair of strings, if single texts and pairs are
                mixed, if a label is missing, or if a label is not a class of the model.
        """
        columns = _columns_of(texts)
        indices = _indices_of(labels, self.label_names)
        if len(columns) != len(indices):
            raise DataError(
                f"There are {len(columns)} texts and {len(indices)} labels: give each text one label."
            )
        if cut := self._victim.longer(columns):
            _LOG.warning(
                "%d of %d texts are longer than the %d tokens that the model reads: the rest is cut off.",
                cut,
                len(columns),
                self._victim.max_length,
            )
        rows = (
            Example(text, label, _seed_of(text, self._seed), index)
            for index, (text, label) in enumerate(zip(columns, indices, strict=True))
        )
        attacks = (self._attack.attack(row, self._victim) for row in rows)
        done: list[AttackedExample] = []
        for example in run_attacks(attacks, self._server):
            done.append(example)
            if watch is not None:
                watch(done, len(columns))
        return sorted(done, key=lambda example: example.index)

    def one(self, text: TextOrPair, label: int | str) -> AttackedExample:
        """Attack the classifier on one text.

        Args:
            text: A string, or a pair of strings.
            label: The class of the text: the index of the model's output, or the exact name of the class in
                the model's configuration.

        Returns:
            The result. It is the one that `run` returns for a list of this text alone.

        Raises:
            DataError: If the text is neither a string nor a pair of strings, or the label is not a class of
                the model.
        """
        return self.run([text], [label])[0]


def _columns_of(texts: Texts) -> list[tuple[str, ...]]:
    """Return each text as a tuple of one string, or of the two strings of a pair."""
    if isinstance(texts, str):
        raise DataError("The texts are one string: give a list of texts, or attack it with `one`.")
    columns = []
    for number, text in enumerate(texts):
        row = (text,) if isinstance(text, str) else tuple(text) if isinstance(text, list | tuple) else ()
        if len(row) not in (1, 2) or not all(isinstance(column, str) for column in row):
            raise DataError(
                f"Text {number}, {reprlib.repr(text)}, is neither a string nor a pair of strings: leave it "
                "out, or correct it."
            )
        columns.append(row)
    if len({len(row) for row in columns}) > 1:
        raise DataError("Some of the texts are single texts and some are pairs: attack them in two calls.")
    return columns


def _indices_of(labels: Iterable[int | str], names: Sequence[str]) -> list[int]:
    """Return the index of the model's output for each label."""
    places: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        places.setdefault(name, []).append(index)
    return [_index_of(label, number, places, names) for number, label in enumerate(labels)]


def _index_of(label: Any, number: int, places: dict[str, list[int]], names: Sequence[str]) -> int:
    if isinstance(label, str):
        if len(found := places.get(label, [])) == 1:
            return found[0]
    elif not isinstance(label, bool):
        try:
            index = operator.index(label)  # also takes numbers of NumPy and PyTorch
        except TypeError:
            index = -1
        if 0 <= index < len(names):
            return index
    raise DataError(
        f"The label {reprlib.repr(label)} of text {number} is no class of the model: give an index from 0 to "
        f"{len(names) - 1}, or a name as the model's configuration spells it ({reprlib.repr(list(names))})."
    )


def _seed_of(columns: Sequence[str], seed: int) -> int:
    """Return the seed of the random choices on a text. It does not depend on the position of the text."""
    digest = hashlib.sha256(json.dumps(columns).encode()).digest()
    words = [int(word) for word in np.frombuffer(digest, "<u4")]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0])
