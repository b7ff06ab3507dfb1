"""The server answers the questions of many attacks, in batches across attacks.

No result depends on how batches are formed. Inputs share a batch only if they are padded to the same length.
That length depends on the length of the input alone. Small batches are filled up if the model needs it, see
`filled`. Under these two conditions the CPU's matrix products give each row the same bits in every batch
(tested with one and two threads). On other devices the last bits may differ from batch to batch.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from earlyrobust.attacks.asks import Ask, Encoded, Model
from earlyrobust.heap import give_back

if TYPE_CHECKING:
    import torch

# A CPU is fastest with batches that fit into its caches; an accelerator wants large ones.
CPU_TOKEN_BUDGET = 2_048
ACCELERATOR_TOKEN_BUDGET = 16_384
# Giving free memory back takes a hundredth of a second, so the server does it no more often than this.
_SECONDS_BETWEEN = 0.5
# Limits on the answers that are kept for each model: their number and their bytes. An attack asks about a
# text again soon or never. The bytes hold the answers of a masked language model to 680 texts of 512 tokens.
_REMEMBERED = 2**16
_REMEMBERED_BYTES = 2**26
# For fewer rows than this, matrix libraries use other algorithms; some of them only if the number of rows is
# not a multiple of four.
_MANY = 16


class Pending:
    """Answers that are being computed.

    Args:
        finish: Waits for the answers and returns them.
        batches: The batches that are being computed or wait for it.
    """

    def __init__(
        self, finish: Callable[[], list[list[Any]]], batches: Sequence[Future[Sequence[Any]]]
    ) -> None:
        self._finish = finish
        self._batches = batches

    def result(self) -> list[list[Any]]:
        """Wait for the answers; return a list for each ask, in the order of its inputs."""
        return self._finish()

    def cancel(self) -> None:
        """Give up the batches that have not begun."""
        for batch in self._batches:
            batch.cancel()


@dataclass(frozen=True, slots=True)
class _Batch:
    """Inputs that are computed together."""

    items: list[Encoded]
    answers: Future[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class _Part:
    """The asks to one model.

    Attributes:
        model: The model.
        asks: Numbers of the asks.
        keys: The key of each input.
        known: The answers that are known, by key.
        batches: The batches of all other inputs.
    """

    model: Model
    asks: list[int]
    keys: dict[Hashable, bytes]
    known: dict[bytes, Any]
    batches: list[_Batch]


class Server:
    """Answers asks, each distinct input once, in batches of bounded size.

    Args:
        token_budget: Maximum number of tokens of a batch, padding included. A batch of four inputs is always
            allowed, and a batch of sixteen for a model that is not packed.
        overlaps: Whether to compute in a thread of its own, while the caller goes on. The server always
            tokenises in the caller's thread, because tokenizers cannot be used in two threads at once.

    Attributes:
        overlaps: See the argument.
        computed: Number of inputs that were computed.
    """

    def __init__(self, token_budget: int = CPU_TOKEN_BUDGET, *, overlaps: bool = False) -> None:
        self._token_budget = token_budget
        self._known: dict[Model, _Memory] = {}
        self._gave_back = 0.0
        self._thread = ThreadPoolExecutor(1, "computing") if overlaps else None
        self.overlaps = overlaps
        self.computed = 0

    @classmethod
    def of(cls, device: torch.device, token_budget: int | None = None) -> Server:
        """Return a server for models on a device.

        Args:
            device: The device. On an accelerator the server overlaps computing with tokenising.
            token_budget: Maximum number of tokens of a batch; None for the number that suits the device.
        """
        on_cpu = device.type == "cpu"
        usual = CPU_TOKEN_BUDGET if on_cpu else ACCELERATOR_TOKEN_BUDGET
        return cls(usual if token_budget is None else token_budget, overlaps=not on_cpu)

    def answer(self, asks: Sequence[Ask]) -> list[list[Any]]:
        """Answer several asks at once.

        Args:
            asks: Questions to any models.

        Returns:
            For each ask a list of the answers to its inputs, in their order.
        """
        return self.begin(asks).result()

    def begin(self, asks: Sequence[Ask]) -> Pending:
        """Tokenise the inputs of several asks and begin to compute the answers.

        If the server does not overlap, the answers are computed before this method returns. If it does, an
        input that another pending ask holds as well is computed twice.

        Args:
            asks: Questions to any models.

        Returns:
            The answers, which may not be computed yet.
        """
        parts = []
        for model in {id(ask.model): ask.model for ask in asks}.values():
            own = [number for number, ask in enumerate(asks) if ask.model is model]
            inputs = list(dict.fromkeys(item for number in own for item in asks[number].inputs))
            encoded = model.encode(inputs)
            keys = {item: code.key for item, code in zip(inputs, encoded, strict=True)}
            parts.append(_Part(model, own, keys, *self._compute(model, encoded)))
        batches = [batch.answers for part in parts for batch in part.batches]
        return Pending(partial(self._finish, asks, parts), batches)

    def _finish(self, asks: Sequence[Ask], parts: Sequence[_Part]) -> list[list[Any]]:
        """Wait for the batches of all parts, and return the answers to each ask."""
        answers: list[list[Any]] = [[] for _ in asks]
        for part in parts:
            self._collect(part.model, part.known, part.batches)
            for number in part.asks:
                answers[number] = [part.known[part.keys[item]] for item in asks[number].inputs]
        if (now := time.monotonic()) - self._gave_back > _SECONDS_BETWEEN:
            self._gave_back = now
            give_back()
        return answers

    def _compute(self, model: Model, encoded: Iterable[Encoded]) -> tuple[dict[bytes, Any], list[_Batch]]:
        """Return the answers that are remembered, by key, and the batches of all other inputs."""
        memory = self._known.setdefault(model, _Memory())
        known: dict[bytes, Any] = {}
        missing: dict[int, dict[bytes, Encoded]] = {}
        for item in encoded:
            if (answer := memory.recall(item.key)) is not None:
                known[item.key] = answer
            else:
                length = min(padded_length(item.length), model.max_length)
                missing.setdefault(length, {})[item.key] = item
        batches = []
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
                batches.append(_Batch(batch, self._submit(model, batch + filler, length)))
        return known, batches

    def _submit(self, model: Model, batch: list[Encoded], length: int) -> Future[Sequence[Any]]:
        """Return a model's answers to a batch, which the server's thread computes if there is one."""
        if self._thread is not None:
            return self._thread.submit(model.compute, batch, length)
        done: Future[Sequence[Any]] = Future()
        done.set_result(model.compute(batch, length))
        return done

    def _collect(self, model: Model, known: dict[bytes, Any], batches: Iterable[_Batch]) -> None:
        """Wait for batches; add their answers to the known ones, and remember them."""
        memory = self._known[model]
        for batch in batches:
            # A small batch was filled up, so there may be more answers than inputs.
            for item, answer in zip(batch.items, batch.answers.result(), strict=False):
                known[item.key] = answer
                memory.keep(item.key, answer)
            self.computed += len(batch.items)


class _Memory:
    """The latest answers of a model, as many as the limits allow."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, Any] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    def recall(self, key: bytes) -> Any:
        """Return the answer to an input; None if it is not remembered."""
        if key not in self._answers:
            return None
        self._answers.move_to_end(key)
        return self._answers[key]

    def keep(self, key: bytes, answer: Any) -> None:
        """Remember an answer, and forget those whose last use is longest ago if the limits are exceeded."""
        self._answers[key] = answer
        self._bytes += _size(key, answer)
        while len(self._answers) > _REMEMBERED or self._bytes > _REMEMBERED_BYTES:
            self._bytes -= _size(*self._answers.popitem(last=False))


def _size(key: bytes, answer: Any) -> int:
    return len(key) + int(getattr(answer, "nbytes", 0))


def filled(rows: int, length: int, least: int) -> int:
    """Return the number of rows to which a batch is filled up, so that libraries compute it as a large one.

    Args:
        rows: Number of inputs in the batch.
        length: Number of tokens of each input.
        least: Fewest rows of a batch.

    Returns:
        At least `least` and at least `rows`, with at least sixteen tokens in all. Numbers below sixteen are
        multiples of four.
    """
    wanted = max(rows, least, -(-16 // length))
    return wanted if wanted >= _MANY else -(-wanted // 4) * 4


def padded_length(length: int) -> int:
    """Return the length to which an input is padded.

    The result depends on the length alone, so an input is computed in the same way whatever else is asked.
    The steps are coarse, so that inputs of many examples share a batch: each call of a model has a fixed
    cost.

    Args:
        length: Number of tokens of the input.

    Returns:
        The next multiple of 4 for up to 64 tokens, then of 8, 16, …: at most an eighth more than the length.
    """
    step = max(4, 1 << max(0, length.bit_length() - 4))
    return -(-length // step) * step
