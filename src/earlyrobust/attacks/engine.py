"""The engine: many attacks in flight, one server that answers what they ask.

An attack on one example is a generator. It yields an `Ask`, a model and the inputs it wants answered, is
resumed with the answers in the same order, and returns its outcome. The server collects the asks of all
attacks in flight, computes each distinct input once, and forms batches across examples.

No result depends on how batches are formed. Inputs share a batch only if they are padded to the same length,
which is a function of their own length alone, and small batches are filled up where the model needs it, see
`filled`. Under these two conditions the CPU's matrix products give each row the same bits in every batch
(seen with one and two threads). On other devices the last bits may differ from batch to batch.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Generator, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from earlyrobust.attacks.heap import give_back

if TYPE_CHECKING:
    import torch

# A CPU is fastest with batches that fit into its caches; an accelerator wants large ones.
CPU_TOKEN_BUDGET = 2_048
ACCELERATOR_TOKEN_BUDGET = 16_384
DEFAULT_IN_FLIGHT = 128
# So often is free memory given back at most: it takes a hundredth of a second.
_SECONDS_BETWEEN = 0.5
# Answers kept for each model, and their bytes, so that memory is bounded. Attacks ask again soon or never.
# So much is what a masked language model says to 680 texts of 512 tokens.
_REMEMBERED = 2**16
_REMEMBERED_BYTES = 2**26
# Matrix libraries take another path for fewer rows than these, some only if they are no multiple of four.
_MANY = 16

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Encoded:
    """An input as a model reads it.

    Attributes:
        key: Equal for two inputs if and only if the model cannot tell them apart.
        fields: Token ids and what goes with them, each an array of shape (tokens,).
    """

    key: bytes
    fields: dict[str, NDArray[np.integer[Any]]]

    @property
    def length(self) -> int:
        """Tokens of the input."""
        return len(self.fields["input_ids"])


class Model(Protocol):
    """What attacks can ask: a victim, a sentence encoder, a masked language model.

    Attributes:
        max_length: Longest input in tokens.
        most_tokens: Most tokens that it can take at once, None for as many as the server's budget allows.
        counts_rows: Whether the last bits of an answer may depend on the number of inputs in its batch,
            unless small batches are filled up.
    """

    max_length: int
    most_tokens: int | None
    counts_rows: bool

    def encode(self, inputs: Sequence[Any]) -> list[Encoded]:
        """Turn inputs into tokens, at most `max_length` of them."""

    def compute(self, batch: Sequence[Encoded], length: int) -> Sequence[Any]:
        """Answer a batch of inputs, each to be padded to the same length in tokens."""


class NamedModel(Model, Protocol):
    """A model that results name.

    Attributes:
        name: How they name it.
    """

    name: str


def fingerprint_as(part: str, model: NamedModel) -> dict[str, str]:
    """The hash of a model's weights under a part's name; nothing for a model of the user's that has none."""
    found = getattr(model, "fingerprint", None)
    return {} if found is None else {f"{part}_fingerprint": found}


@dataclass(frozen=True, slots=True)
class Ask:
    """A question of an attack: what does this model say to these inputs?"""

    model: Model
    inputs: Sequence[Hashable]


Attacking = Generator[Ask, Sequence[Any], Outcome]


class Server:
    """Answers asks, each distinct input once, in batches of bounded size.

    Args:
        token_budget: Most tokens of a batch, padding included; sixteen inputs may be a batch at any length.
    """

    def __init__(self, token_budget: int = CPU_TOKEN_BUDGET) -> None:
        self._token_budget = token_budget
        self._known: dict[Model, _Memory] = {}
        self._gave_back = 0.0
        self.computed = 0

    @classmethod
    def of(cls, device: torch.device, token_budget: int | None = None) -> Server:
        """A server for models on a device; a `token_budget` of None takes the one that suits the device."""
        usual = CPU_TOKEN_BUDGET if device.type == "cpu" else ACCELERATOR_TOKEN_BUDGET
        return cls(usual if token_budget is None else token_budget)

    def answer(self, asks: Sequence[Ask]) -> list[list[Any]]:
        """Answer several asks at once.

        Args:
            asks: Of any models.

        Returns:
            For each ask the answers to its inputs, in their order.
        """
        answers: list[list[Any]] = [[] for _ in asks]
        for model in {id(ask.model): ask.model for ask in asks}.values():
            own = [number for number, ask in enumerate(asks) if ask.model is model]
            inputs = list(dict.fromkeys(item for number in own for item in asks[number].inputs))
            encoded = model.encode(inputs)
            known = self._compute(model, encoded)
            keys = {item: code.key for item, code in zip(inputs, encoded, strict=True)}
            for number in own:
                answers[number] = [known[keys[item]] for item in asks[number].inputs]
        if (now := time.monotonic()) - self._gave_back > _SECONDS_BETWEEN:
            self._gave_back = now
            give_back()
        return answers

    def _compute(self, model: Model, encoded: Iterable[Encoded]) -> dict[bytes, Any]:
        """The answers to inputs, from memory or by computing them."""
        memory = self._known.setdefault(model, _Memory())
        answers: dict[bytes, Any] = {}
        missing: dict[int, dict[bytes, Encoded]] = {}
        for item in encoded:
            if (answer := memory.recall(item.key)) is not None:
                answers[item.key] = answer
            else:
                length = min(padded_length(item.length), model.max_length)
                missing.setdefault(length, {})[item.key] = item
        for length, group in sorted(missing.items(), reverse=True):
            items = list(group.values())
            tokens = min(self._token_budget, model.most_tokens or self._token_budget)
            # A classifier's head has a row for each input. A language model has one for each token, and its
            # answers are too wide for many inputs of many tokens.
            least = _MANY if model.counts_rows and model.most_tokens is None else 4
            rows = max(least, tokens // length)
            if model.counts_rows and rows < _MANY:
                rows -= rows % 4  # filling it up would be beyond the budget
            for begin in range(0, len(items), rows):
                batch = items[begin : begin + rows]
                missing_rows = filled(len(batch), length, least) - len(batch) if model.counts_rows else 0
                filler = batch[-1:] * missing_rows
                for item, answer in zip(batch, model.compute(batch + filler, length), strict=False):
                    answers[item.key] = answer
                    memory.keep(item.key, answer)
                self.computed += len(batch)
        return answers


class _Memory:
    """The answers of a model that were asked for last, as many as fit."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, Any] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    def recall(self, key: bytes) -> Any:
        """The answer to an input, None if it is not known (any more)."""
        if key not in self._answers:
            return None
        self._answers.move_to_end(key)
        return self._answers[key]

    def keep(self, key: bytes, answer: Any) -> None:
        """Remember an answer, and forget what was asked for longest ago."""
        self._answers[key] = answer
        self._bytes += _size(key, answer)
        while len(self._answers) > _REMEMBERED or self._bytes > _REMEMBERED_BYTES:
            self._bytes -= _size(*self._answers.popitem(last=False))


def _size(key: bytes, answer: Any) -> int:
    return len(key) + int(getattr(answer, "nbytes", 0))


def filled(rows: int, length: int, least: int) -> int:
    """Number of rows to which a batch is filled up, so that its products take the path of large batches.

    Args:
        rows: Inputs of the batch.
        length: Of each, in tokens.
        least: Fewest rows of a batch.

    Returns:
        At least so many, and as many as make sixteen tokens; below sixteen rows a multiple of four.
    """
    wanted = max(rows, least, -(-16 // length))
    return wanted if wanted >= _MANY else -(-wanted // 4) * 4


def padded_length(length: int) -> int:
    """The length to which an input is padded.

    A function of the length alone, so that an input is computed in the same way whatever else is asked; and
    coarse, so that inputs of many examples share a batch: each call of a model costs as much as some rows.

    Args:
        length: Of the input, in tokens.

    Returns:
        Up to 64 tokens the next multiple of 4, then of 8, 16, …, which is at most an eighth longer.
    """
    step = max(4, 1 << max(0, length.bit_length() - 4))
    return -(-length // step) * step


def run_attacks(
    attacks: Iterable[Attacking[Outcome]], server: Server, in_flight: int = DEFAULT_IN_FLIGHT
) -> Iterator[Outcome]:
    """Run attacks side by side.

    Args:
        attacks: One for each example; the next is started when one has ended.
        server: Answers what they ask.
        in_flight: Most attacks at a time.

    Yields:
        The outcomes, as attacks end.
    """
    waiting = iter(attacks)
    running: list[tuple[Attacking[Outcome], Ask]] = []
    while True:
        while len(running) < in_flight and (attack := next(waiting, None)) is not None:
            try:
                running.append((attack, next(attack)))
            except StopIteration as end:
                yield end.value
        if not running:
            return
        # Only the model that most is asked of is set to work: meanwhile the others gather larger batches.
        asked: Counter[Model] = Counter()
        for _, ask in running:
            asked[ask.model] += len(ask.inputs)
        busiest = max(asked, key=asked.__getitem__)
        going = [(attack, ask) for attack, ask in running if ask.model is busiest]
        running = [(attack, ask) for attack, ask in running if ask.model is not busiest]
        answers = server.answer([ask for _, ask in going])
        for (attack, _), answer in zip(going, answers, strict=True):
            try:
                running.append((attack, attack.send(answer)))
            except StopIteration as end:
                yield end.value
