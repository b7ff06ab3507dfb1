"""Attacks that edit characters, and the ranking of PWWS, against hand-made classifiers."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from earlyrobust.attacks import Example, Server, WordSwapAttack, run_attacks
from earlyrobust.attacks.asks import Encoded
from earlyrobust.attacks.characters import (
    DeleteCharacter,
    Homoglyphs,
    InsertCharacter,
    Leetspeak,
    RepeatedLetters,
    Spacing,
    SubstituteCharacter,
    SwapCharacters,
    ZeroWidth,
)
from earlyrobust.attacks.constraints import EditDistance
from earlyrobust.attacks.evasion import Evasion, EvasionNormalised, normalised
from earlyrobust.attacks.resources import NeighbourLists
from earlyrobust.attacks.swaps import AnyOf, Draws, NeighbourSwaps, Swaps
from earlyrobust.attacks.text import Text
from earlyrobust.errors import ConfigError
from earlyrobust.journal import AttackedExample


class Reader:
    """A classifier of two classes: gives class 1 the probability that a function of the text says."""

    max_length = 10**9
    most_tokens = None
    counts_rows = False

    def __init__(self, of: Callable[[str], float]) -> None:
        self.of = of
        self.asked: list[str] = []

    def encode(self, inputs: Sequence[Any]) -> list[Encoded]:
        texts = ["\n".join(columns) for columns in inputs]
        self.asked += texts
        return [Encoded(text.encode(), {"input_ids": [0] * max(1, len(text))}) for text in texts]

    def compute(self, batch: Sequence[Encoded], length: int) -> list[NDArray[np.float32]]:
        shares = [self.of(item.key.decode()) for item in batch]
        return [np.array([1 - share, share], np.float32) for share in shares]


def attacked(attack: WordSwapAttack, reader: Reader, text: str) -> AttackedExample:
    return next(iter(run_attacks([attack.attack(Example((text,), 1), reader)], Server())))  # type: ignore[arg-type]


def knows(*words: str) -> Callable[[str], float]:
    """Class 1 as long as more than half of the words are in the text as they are."""
    return lambda text: 0.05 + 0.9 * sum(word in text.split() for word in words) / len(words)


# --- Transformations ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("swaps", "word", "found"),
    [
        (Homoglyphs(), "money", ["mоney", "mоnеу"]),
        (Homoglyphs(), "go", ["gо"]),
        (Homoglyphs(), "drum", []),
        (ZeroWidth(), "free", ["fr\u200bee", "f\u200br\u200be\u200be"]),
        (ZeroWidth(), "to", ["t\u200bo"]),
        (ZeroWidth(), "a", []),
        (Spacing(), "free", ["fr ee", "f r e e"]),
        (Spacing(), "a", []),
        (RepeatedLetters(), "free", ["freeee", "freeee"][:1]),
        (RepeatedLetters(), "Good", ["Gooood", "Gooddd"]),
        (RepeatedLetters(), "hmm", ["hmmmm"]),
        (Leetspeak(), "free", ["fr3e", "fr33"]),
        (Leetspeak(), "viagra", ["v1agra", "v149r4"]),
        (Leetspeak(), "hmm", []),
    ],
)
def test_disguises_come_in_a_mild_and_a_strong_form(swaps: Swaps, word: str, found: list[str]) -> None:
    assert swaps.words(word, Draws(0)) == found


@pytest.mark.parametrize(
    ("swaps", "word", "every"),
    [
        (DeleteCharacter(ends=True), "abc", {"bc", "ac", "ab"}),
        (DeleteCharacter(ends=True), "a", set()),
        (DeleteCharacter(), "ab", set()),
        (DeleteCharacter(), "abc", {"ac"}),
        (SwapCharacters(ends=True), "abc", {"bac", "acb"}),
        (SwapCharacters(ends=True), "ab", {"ba"}),
        (SwapCharacters(ends=True), "a", set()),
        (SwapCharacters(), "abc", set()),
        (SwapCharacters(), "abcd", {"acbd"}),
    ],
)
def test_each_place_is_drawn(swaps: Swaps, word: str, every: set[str]) -> None:
    assert {new for seed in range(60) for new in swaps.words(word, Draws(seed))} == every


def test_letters_are_put_at_each_place_and_in_both_cases() -> None:
    replaced = {new for seed in range(400) for new in SubstituteCharacter().words("..", Draws(seed))}
    inserted = {new for seed in range(400) for new in InsertCharacter().words("..", Draws(seed))}
    assert {len(word) for word in replaced} == {2}
    assert {len(word) for word in inserted} == {3}
    for words, places in ((replaced, 2), (inserted, 2)):
        letters = {(letter, word.index(letter)) for word in words for letter in word if letter != "."}
        assert {place for _, place in letters} == set(range(places))
        assert {letter.isupper() for letter, _ in letters} == {True, False}
    assert SubstituteCharacter().words("a", Draws(0)) == InsertCharacter().words("a", Draws(0)) == []


@pytest.mark.parametrize(
    ("other", "distance"),
    [("a cold film", 0), ("a colt film", 1), ("cold film", 2), ("a warm film", 4), ("", 11)],
)
def test_edits_are_counted_as_levenshtein_does(other: str, distance: int) -> None:
    original, text = Text.of(("a cold film",)), Text.of((other,))
    allowed = {most for most in range(1, 20) if EditDistance(most).allows(text, original, original)}
    assert allowed == set(range(max(1, distance), 20))


def test_an_attack_that_may_edit_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        EditDistance(0)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("ｆｒｅｅ", "free"),
        ("fr\u200bee", "free"),
        ("f\u2060r\u00adee\ufeff", "free"),
        ("ﬁne cafe\u0301", "fine café"),
        ("𝚏𝚛𝚎𝚎 ①", "free 1"),
        ("frее", "frее"),  # Cyrillic letters are letters of their own
        ("f r e e\n", "f r e e\n"),
    ],
)
def test_normalised_texts_hold_no_compatible_or_invisible_characters(text: str, read: str) -> None:
    assert normalised(text) == read


# --- Attacks ------------------------------------------------------------------------------------------------


class NoResources:
    """Stop words; nothing that measures similarity."""

    nltk_stop_words = frozenset({"the", "a", "is"})
    sentence_encoder = None


def test_evasion_hides_words_that_a_classifier_knows() -> None:
    outcome = attacked(Evasion(NoResources()), Reader(knows("free", "money")), "the free money is here")  # type: ignore[arg-type]
    assert outcome.status == "succeeded"
    final = outcome.final[0]
    assert final != "the free money is here"
    assert "here" in final.split()
    assert outcome.words_changed == 1 + ("free" not in final.split() and "money" not in final.split())


@pytest.mark.parametrize(
    ("attack", "broken"), [(Evasion, {"zero-width", "none"}), (EvasionNormalised, {"none"})]
)
def test_a_classifier_that_normalises_is_not_fooled_by_what_it_does_not_see(
    attack: type[Evasion], broken: set[str]
) -> None:
    # It reads digits, doubled letters, spaces and other scripts as people do: invisible characters are left.
    def seen(text: str) -> str:
        plain = unicodedata.normalize("NFD", text.lower())
        kept = (letter for letter in plain if (letter.isascii() and letter.isalpha()) or letter == "\u200b")
        return "".join(kept)

    people = Reader(lambda text: 0.9 if "\u200b" not in seen(text) else 0.1)
    nobody = Reader(knows("free"))
    found = {
        name
        for name, reader in (("zero-width", people), ("none", nobody))
        if attacked(attack(NoResources()), reader, "get it free today").status == "succeeded"  # type: ignore[arg-type]
    }
    assert found == broken
    if attack is EvasionNormalised:
        assert not any("\u200b" in text for text in people.asked)


def test_the_normalising_classifier_is_part_of_the_attacks_settings() -> None:
    plain, normalising = Evasion(NoResources()), EvasionNormalised(NoResources())  # type: ignore[arg-type]
    assert "victim_reads" not in plain.describe()
    assert normalising.describe()["victim_reads"] == "normalised"
    assert plain.describe()["max_edits"] == 30


@pytest.mark.parametrize(("follows", "touched"), [(True, {"x y", "z w"}), (False, {"x y"})])
def test_an_attack_can_follow_its_words_where_one_becomes_two(follows: bool, touched: set[str]) -> None:
    class Split(Swaps):
        def words(self, word: str, random: Draws) -> list[str]:
            return [f"{word[0]} {word[1]}"] if len(word) == 2 else []

    attack = WordSwapAttack(
        swaps=Split(), constraints=[], stop_words=frozenset(), ranking="delete", follows_words=follows
    )
    # "xy" counts for more than "zw", so it is replaced first, and the words behind it move.
    reader = Reader(lambda text: 0.98 - 0.3 * ("xy" not in text) - 0.1 * ("zw" not in text))
    outcome = attacked(attack, reader, "xy b zw")
    assert {word for word in ("x y", "z w") if word in outcome.final[0]} == touched


# --- PWWS ---------------------------------------------------------------------------------------------------


def test_words_are_ranked_by_saliency_times_the_score_of_the_best_synonym() -> None:
    lists = NeighbourLists([("good", ["fine", "nice"]), ("film", ["movie"]), ("warm", ["mild"])], "lists")
    shares = {
        "a good warm film": 0.9,
        # Without a word.
        "a [UNK] warm film": 0.6,
        "a good [UNK] film": 0.55,
        "a good warm [UNK]": 0.8,
        # The synonyms of each.
        "a fine warm film": 0.85,
        "a nice warm film": 0.8,
        "a good mild film": 0.7,
        "a good warm movie": 0.85,
    }
    reader = Reader(lambda text: shares.get(text, 0.89))
    attack = WordSwapAttack(
        swaps=NeighbourSwaps(lists, 9, keeps_case=False),
        constraints=[],
        stop_words=frozenset({"a"}),
        ranking="weighted-saliency",
    )
    outcome = attacked(attack, reader, "a good warm film")
    saliency = np.exp([0.4, 0.45, 0.2]) / np.exp([0.4, 0.45, 0.2]).sum()
    weighed = dict(zip(("good", "warm", "film"), saliency * [0.2, 0.3, 0.15], strict=True))
    assert sorted(weighed, key=weighed.__getitem__, reverse=True) == ["warm", "good", "film"]
    # Asked: the text, three without a word, four synonyms, and the synonyms again, in the ranking's order.
    assert outcome.queries == 1 + 3 + 4 + 1 + 2 + 1
    assert outcome.status == "failed"
    assert outcome.final == ("a good mild film",)
    again = reader.asked[8:]
    assert again == ["a good mild film", "a fine mild film", "a nice mild film", "a good mild movie"]


def test_synonyms_of_pwws_are_put_in_as_they_are_listed() -> None:
    swaps = AnyOf(NeighbourSwaps(NeighbourLists([("film", ["movie"])], "lists"), 5, keeps_case=False))
    assert swaps.words("Film", Draws(0)) == ["movie"]
