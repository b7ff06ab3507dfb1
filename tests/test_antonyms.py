"""Antonyms: the table that the package carries, the script that makes it, and neighbours without them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_synonyms import antonyms

from earlyrobust.attacks.resources import (
    NeighbourLists,
    Neighbours,
    WithoutAntonyms,
    WordVectors,
    load_antonyms,
    wordnet_synonyms,
)

LICENCE = "  1 This software and database is being provided to you.  \n"
# An antonym with a synonym and with what looks like a pointer in its explanation, an irregular verb, phrases,
# marked adjectives with a satellite, and a pointer in one direction only.
WORDNET = {
    "data.noun": "00000010 06 n 01 rise 0 000 | going up  \n",
    "data.verb": "00000020 37 v 01 love 0 001 ! 00000030 v 0102 01 + 08 00 | like  \n"
    "00000030 37 v 02 detest 0 hate 0 002 @ 00000020 v 0000 ! 00000020 v 0201 00 | not ! 00000020 v 0101  \n"
    "00000040 37 v 01 forget 0 001 ! 00000050 v 0101 00 | lose from the mind  \n"
    "00000050 37 v 02 remember 0 keep_in_mind 0 001 ! 00000040 v 0101 00 | keep in the mind  \n"
    "00000060 37 v 01 fall_asleep 0 001 ! 00000070 v 0101 00 | begin to sleep  \n"
    "00000070 37 v 01 wake 0 001 ! 00000060 v 0101 00 | cease to sleep  \n",
    "data.adj": "00000080 00 a 01 asleep(p) 0 002 & 00000090 a 0000 ! 00000099 a 0101 | sleeping  \n"
    "00000090 00 s 01 dozing 0 001 & 00000080 a 0000 | nearly asleep  \n"
    "00000099 00 a 01 awake(p) 0 001 ! 00000080 a 0101 | not sleeping  \n",
    "data.adv": "00000100 02 r 01 up 0 001 ! 00000110 r 0101 | to a higher place  \n"
    "00000110 02 r 01 down 0 000 | to a lower place  \n",
    "noun.exc": "",
    "verb.exc": "forgot forget\nforgotten forget\n",
    "adj.exc": "",
    "adv.exc": "",
}
KNOWN = {
    *("love", "loves", "loved", "loving", "hate", "hates", "hated", "hating", "detest", "detests"),
    *("forget", "forgets", "forgot", "forgotten", "forgetting", "remember", "remembered", "remembering"),
    *("wake", "asleep", "awake", "dozing", "rise", "up", "down"),
}


def test_the_script_reads_pointers_to_antonyms(tmp_path: Path) -> None:
    for name, content in WORDNET.items():
        licence = LICENCE if name.startswith("data") else ""
        (tmp_path / name).write_text(licence + content, encoding="latin-1")
    assert antonyms(tmp_path, KNOWN) == {
        "asleep": ["awake"],
        "awake": ["asleep"],
        "down": ["up"],
        "forget": ["remember"],
        "forgetting": ["remembering"],
        "forgot": ["remembered"],
        "forgotten": ["remembered"],
        "hate": ["love"],
        "hated": ["loved"],
        "hates": ["loves"],
        "hating": ["loving"],
        "love": ["hate"],
        "loved": ["hated"],
        "loves": ["hates"],
        "loving": ["hating"],
        "remember": ["forget"],
        "remembered": ["forgot", "forgotten"],
        "remembering": ["forgetting"],
        "up": ["down"],
    }


def test_the_table_is_symmetric_and_of_lower_case() -> None:
    table = load_antonyms()
    assert len(table) > 5_000
    assert table is load_antonyms()
    for word, opposites in table.items():
        assert opposites
        assert word == word.lower()
        assert word not in opposites
        assert all(word in table[opposite] for opposite in opposites)


@pytest.mark.parametrize(
    ("word", "opposite"),
    [
        ("good", "bad"),
        ("love", "hate"),
        ("loves", "hates"),
        ("first", "last"),
        ("best", "worst"),
        ("boring", "interesting"),
        ("quickly", "slowly"),
        ("fathers", "mothers"),
        ("forgotten", "remembered"),
        ("colourful", "colourless"),
    ],
)
def test_words_and_their_opposites_are_in_the_table(word: str, opposite: str) -> None:
    assert opposite in load_antonyms()[word]


@pytest.mark.parametrize(("word", "other"), [("good", "great"), ("film", "movie"), ("love", "hates")])
def test_other_words_are_no_antonyms(word: str, other: str) -> None:
    assert other not in load_antonyms().get(word, frozenset())


LISTS = NeighbourLists(
    [("good", ["fine", "bad", "Evil", "nice", "great"]), ("zorgle", ["bad", "blorb"]), ("evil", ["good"])],
    "lists",
)


@pytest.mark.parametrize(
    ("word", "count", "neighbours"),
    [
        ("good", 99, ["fine", "nice", "great"]),
        ("good", 3, ["fine", "nice", "great"]),
        ("good", 2, ["fine", "nice"]),
        ("good", 0, []),
        ("Good", 2, ["fine", "nice"]),
        ("GOOD", 3, ["fine", "nice", "great"]),
        ("evil", 5, []),
        ("zorgle", 5, ["bad", "blorb"]),  # a word without antonyms keeps every neighbour
        ("unknown", 5, []),
    ],
)
def test_antonyms_are_left_out_of_lists(word: str, count: int, neighbours: list[str]) -> None:
    source: Neighbours = WithoutAntonyms(LISTS)
    assert source.nearest(word, count) == neighbours


def test_no_synonym_of_the_package_is_an_antonym_behind_the_filter() -> None:
    synonyms = wordnet_synonyms()
    source = WithoutAntonyms(synonyms)
    assert "father" in synonyms.nearest("mother", 99)
    assert "father" not in source.nearest("mother", 99)
    for word, opposites in load_antonyms().items():
        kept = source.nearest(word, 99)
        assert not opposites & set(kept)
        assert kept == [other for other in synonyms.nearest(word, 99) if other not in opposites]


def test_vectors_behind_the_filter_stay_vectors() -> None:
    matrix = np.array([[1, 0], [1, 0.1], [1, 0.2], [1, 0.3]], np.float32)
    vectors = WordVectors(["good", "bad", "nice", "fine"], matrix, "vectors", measures_meaning=False)
    source = WithoutAntonyms(vectors)
    assert source.nearest("good", 2) == ["nice", "fine"]
    assert source.cosine("good", "bad") == vectors.cosine("good", "bad")
    assert source.cosine("good", "unknown") is None
    assert source.name == "vectors without antonyms"
    assert source.has_vectors
    assert not source.measures_meaning
    assert not WithoutAntonyms(LISTS).has_vectors
