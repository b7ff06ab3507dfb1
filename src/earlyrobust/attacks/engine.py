"""The engine runs many attacks side by side, and a server answers their questions to models.

An attack on one example is a generator. It yields an `Ask`: a model and inputs for it. The engine resumes it
with the model's answers, in the order of the inputs. In the end the attack returns its outcome.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any

from earlyrobust.attacks.asks import Ask, Attacking, Model, Result
from earlyrobust.attacks.server import Pending, Server

DEFAULT_IN_FLIGHT = 128


def run_attacks(
    attacks: Iterable[Attacking[Result]], server: Server, in_flight: int = DEFAULT_IN_FLIGHT
) -> Iterator[Result]:
    """Run attacks side by side.

    Args:
        attacks: One attack for each example. The next one starts when one has ended.
        server: Answers the attacks' questions. If it overlaps, one half of the attacks goes on while it
            computes answers for the other half.
        in_flight: Largest number of attacks that run at once.

    Yields:
        The outcomes, in the order in which attacks end.
    """
    waiting = iter(attacks)
    running: list[tuple[Attacking[Result], Ask]] = []
    pending: deque[tuple[list[Attacking[Result]], Pending]] = deque()
    try:
        while True:
            asking = sum(len(attacks) for attacks, _ in pending)
            while len(running) + asking < in_flight and (attack := next(waiting, None)) is not None:
                yield from _go_on(attack, None, running)
            if running:
                most = math.ceil((len(running) + asking) / 2) if server.overlaps else len(running)
                going, running = _of_busiest(running, most)
                pending.append(([attack for attack, _ in going], server.begin([ask for _, ask in going])))
                if server.overlaps and running and len(pending) == 1:
                    continue
            if not pending:
                return
            resumed, answers = pending[0]
            found = answers.result()
            pending.popleft()
            for attack, answer in zip(resumed, found, strict=True):
                yield from _go_on(attack, answer, running)
    finally:
        for _, answers in pending:
            answers.cancel()


def _go_on(
    attack: Attacking[Result], answer: Any, running: list[tuple[Attacking[Result], Ask]]
) -> Iterator[Result]:
    """Resume an attack with its answer; yield its outcome, or add it and its next ask to those running."""
    try:
        running.append((attack, attack.send(answer)))
    except StopIteration as end:
        yield end.value


def _of_busiest(
    running: list[tuple[Attacking[Result], Ask]], most: int
) -> tuple[list[tuple[Attacking[Result], Ask]], list[tuple[Attacking[Result], Ask]]]:
    """Split the attacks into at most `most` attacks to answer now, and all others.

    Only the model with the most inputs is set to work. Meanwhile the asks to other models add up to larger
    batches.
    """
    asked: Counter[Model] = Counter()
    for _, ask in running:
        asked[ask.model] += len(ask.inputs)
    busiest = max(asked, key=asked.__getitem__)
    going: list[tuple[Attacking[Result], Ask]] = []
    rest: list[tuple[Attacking[Result], Ask]] = []
    for one in running:
        (going if one[1].model is busiest and len(going) < most else rest).append(one)
    return going, rest
