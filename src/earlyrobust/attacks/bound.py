"""An attack that is bound to a classifier: texts and their labels in, attacked examples out."""

from __future__ import annotations

import hashlib
import json
import logging
import operator
import reprlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from earlyrobust.attacks.base import Example
from earlyrobust.attacks.engine import Attacking, Server, run_attacks
from earlyrobust.attacks.models import Victim
from earlyrobust.encoders import LEAST_LENGTH
from earlyrobust.errors import ConfigError, DataError
from earlyrobust.journal import AttackedExample

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from earlyrobust.attacks.base import Attack

_LOG = logging.getLogger(__name__)

# A text, or the two texts of a pair.
TextOrPair: TypeAlias = str | Sequence[str]
Texts: TypeAlias = Iterable[TextOrPair]


class BoundAttack:
    """An attack on one classifier. Made by `Attack.against`.

    It remembers what the classifier has answered, so that later calls are quicker. What comes of the attack
    on a text depends on the text, its label and the seed alone: not on the other texts, nor on earlier calls.
    (On an accelerator the last bits of the classifier's answers may depend on the other texts.)

    Args:
        attack: The attack.
        model: Any sequence classifier; it is in evaluation mode afterwards.
        tokenizer: Its tokenizer.
        seed: Of the attack's random choices. Each text has random choices of its own, drawn from the seed and
            the text.
        max_length: Most tokens of a text that the model is to read; None for as many as it reads.

    Attributes:
        label_names: What the model's configuration calls its classes, in the order of the model's outputs.

    Raises:
        ConfigError: If the seed or `max_length` cannot be used.
    """

    def __init__(
        self,
        attack: Attack,
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
        """Attack the classifier on some texts.

        Args:
            texts: Strings, or pairs of strings.
            labels: The class of each text: the index of the model's output, or its name in the model's
                configuration, spelt alike.
            watch: Called whenever a text is done, with all that are, in the order in which they ended, and
                with the number of texts.

        Returns:
            What came of the attack on each text, in the order of the texts; `index` is the place in it.

        Raises:
            DataError: If a text is no string or pair of strings, single texts and pairs are mixed, or a label
                is missing or none of the model's.
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
            Example(text, label, _seed_of(text, self._seed))
            for text, label in zip(columns, indices, strict=True)
        )
        attacks = (attack_row(self._attack, self._victim, index, row) for index, row in enumerate(rows))
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
            label: Its class, as for `run`.

        Returns:
            What came of the attack: what `run` returns for a list of this text alone.

        Raises:
            DataError: As for `run`.
        """
        return self.run([text], [label])[0]


def attack_row(attack: Attack, victim: Victim, index: int, row: Example) -> Attacking[AttackedExample]:
    """Attack one example, and keep the texts together with what came of them.

    Args:
        attack: The attack.
        victim: The classifier; asked through the server.
        index: Of the example among those it comes from.
        row: The example.

    Returns:
        The attacked example.
    """
    outcome = asdict((yield from attack.attack(row, victim)))
    final = outcome.pop("columns")
    return AttackedExample(index=index, label=row.label, texts=row.columns, final=final, **outcome)


def _columns_of(texts: Texts) -> list[tuple[str, ...]]:
    """Each text as a tuple of one string, or of the two of a pair."""
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
    """The index of the model's output for each label."""
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
            index = operator.index(label)  # numbers of NumPy and PyTorch, too
        except TypeError:
            index = -1
        if 0 <= index < len(names):
            return index
    raise DataError(
        f"The label {reprlib.repr(label)} of text {number} is no class of the model: give an index from 0 to "
        f"{len(names) - 1}, or a name as the model's configuration spells it ({reprlib.repr(list(names))})."
    )


def _seed_of(columns: Sequence[str], seed: int) -> int:
    """The seed of a text's own random choices: the same wherever the text stands among others."""
    digest = hashlib.sha256(json.dumps(columns).encode()).digest()
    words = [int(word) for word in np.frombuffer(digest, "<u4")]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0])
