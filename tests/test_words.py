"""Words of texts in any script and Unicode form, and how they find their entries in resources."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_attack_engine import with_stop_words

from earlyrobust.attacks.constraints import WordSimilarity
from earlyrobust.attacks.resources import NeighbourLists, WithoutAntonyms, WordVectors, load_neighbours
from earlyrobust.attacks.resources.folding import fold
from earlyrobust.attacks.resources.wordnet_files import WordNet
from earlyrobust.attacks.swaps import Draws, NeighbourSwaps, in_case_of
from earlyrobust.attacks.text import JOINERS, MARKS, Text, words_of
from earlyrobust.errors import ResourceError
from earlyrobust.noise import Lexicon
from earlyrobust.noise.lexicon import is_touchable

INNER = "'-_*@"
SIGNS = st.sampled_from([*"ab5I '-_*@`×.!\néıİσΣ中क😀", "\u0301", "\u0307", "ि", "\ufe0f", *JOINERS])
TEXTS = st.lists(SIGNS, max_size=20).map("".join) | st.text(max_size=20)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARLYROBUST_CACHE", str(tmp_path / "cache"))


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def without_marks(text: str) -> str:
    return "".join(c for c in text if unicodedata.category(c) not in MARKS and c not in JOINERS)


def textattacks_words(text: str) -> list[str]:
    """The words of a text by the rules of TextAttack, with each character looked at by itself."""
    runs = "".join(c if c.isalnum() or c in INNER or c in "˗`×" else "\n" for c in text).split("\n")
    return [word for run in runs if (word := run.strip(INNER))]


# --- Where words begin and end -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "हिन्दी में लिखा हुआ",
        "மிகவும் நல்ல படம்",
        "จะ ไปที่ นั่น",
        "فِيلْمٌ رَائِعٌ جِدًّا",
        "שָׁלוֹם עֲלֵיכֶם",
        "می‌خواهم کتاب‌ها",
        "র‍্যাব ভালো",
        nfd("ein schön gemachter Film, «über» Öl"),
        nfd("Tiếng Việt rất hay"),
        nfd("rock'n'rôll café-crème"),
        "İstanbul".lower() + " güzel",
    ],
)
def test_marks_do_not_tear_words(text: str) -> None:
    assert words_of(text) == [part.strip(",«»") for part in text.split()]
    whole = Text.of([text])
    for start, word in zip(whole.starts, whole.words, strict=True):
        assert text[start : start + len(word)] == word


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\u0301\u0302 good", ["good"]),
        ("❤\ufe0f 👨\u200d👩\u200d👧 -\u0301 !\u0301", []),
        ("good\u200d film\u200c, \u200dgreat", ["good", "film", "great"]),
        ("cafe\u0301- _e\u0301_", ["cafe\u0301", "e\u0301"]),
        ("good\u200bfilm", ["good", "film"]),  # a zero-width space is a space
    ],
)
def test_marks_and_joiners_make_no_word_by_themselves(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_every_mark_of_unicode_belongs_to_its_letter() -> None:
    marks = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in ("Mn", "Mc")]
    assert len(marks) > 2_000
    assert [mark for mark in marks if words_of(f"x{mark} y") != [f"x{mark}", "y"]] == []


@pytest.mark.parametrize(
    "part", ["\u200d", "\u0301", "-", "\u200d-", "-\u0301", "\u0301\u200d", "a\u0301_", "ि\u200c"]
)
def test_long_runs_of_marks_take_no_time(part: str) -> None:
    text = "a" + part * 5_000 + "! b"
    first, last = words_of(text)
    assert (first, last) == (text[: len(first)], "b")
    assert set(text[len(first) : -3]) <= {*INNER, *JOINERS}


@given(TEXTS.map(without_marks))
def test_words_without_marks_are_those_of_textattack(text: str) -> None:
    assert words_of(text) == textattacks_words(text)


@given(TEXTS)
def test_marks_change_no_border_between_words(text: str) -> None:
    assert [without_marks(word).strip(INNER) for word in words_of(text)] == words_of(without_marks(text))


@given(st.lists(TEXTS, min_size=1, max_size=2), st.lists(st.tuples(st.integers(0, 99), TEXTS), max_size=6))
def test_texts_know_their_words_after_replacements_with_marks(
    columns: list[str], replacements: list[tuple[int, str]]
) -> None:
    text = Text.of(columns)
    for place, new in replacements:
        if not text.words:
            break
        text = text.replace(place % len(text.words), new)
        assert list(text.words) == words_of(text.full)
        for start, word in zip(text.starts, text.words, strict=True):
            assert text.full[start : start + len(word)] == word


def test_a_mark_alone_does_not_join_the_word_before() -> None:
    assert Text.of(["वह या है"]).replace(1, "ा").columns == ("वह ा है",)
    assert Text.of(["this is it"]).replace(1, "").columns == ("this it",)


# --- What counts as one word -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Haus", "hAUS"),
        ("schön", nfd("SCHÖN")),
        ("iyi", "İyi"),
        ("iyi", "İYİ"),
        ("iyi", nfd("İyi")),
        ("istanbul", "İstanbul".lower()),
        ("ığdır", "ığDIR".replace("I", "ı")),
        ("हिन्दी", nfd("हिन्दी")),
        ("می‌خواهم", "میخواهم"),
        ("അവന്", "അവന്\u200d"),
        ("ΟΔΌΣ", "οδός"),
    ],
)
def test_spellings_of_a_word_meet(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("schön", "schon"), ("ılık", "ilik"), ("कल", "काल"), ("e", "é")])
def test_other_words_do_not_meet(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(TEXTS)
def test_a_folded_word_stays_as_it_is_in_any_form(word: str) -> None:
    assert fold(fold(word)) == fold(word) == fold(nfd(word)) == fold(nfc(word))
    assert not word.isascii() or fold(word) == word.lower()


# --- In resources ------------------------------------------------------------------------------------------

WORDS = {"schön": ["hübsch", "Über-gut"], "हिन्दी": ["भाषा"], "İyi": ["güzel"], "Haus": ["Gebäude"]}


def lists() -> NeighbourLists:
    return NeighbourLists(WORDS.items(), "lists")


def vectors() -> WordVectors:
    words = [word for pair in WORDS.items() for word in (pair[0], *pair[1])]
    directions = [place for place, pair in enumerate(WORDS.items()) for _ in (pair[0], *pair[1])]
    return WordVectors(words, np.eye(4, dtype=np.float32)[directions], "vectors")


@pytest.mark.parametrize("form", [nfc, nfd])
@pytest.mark.parametrize("source", [lists, vectors])
def test_neighbours_are_found_in_any_case_and_unicode_form(
    source: Callable[[], NeighbourLists | WordVectors], form: Callable[[str], str]
) -> None:
    neighbours = source()
    for word, near in WORDS.items():
        for spelled in (word, word.upper(), word.lower(), word.capitalize()):
            assert neighbours.nearest(form(spelled), len(near)) == near
            swaps = NeighbourSwaps(neighbours, len(near))
            assert swaps.knows(form(spelled))
            assert swaps.words(form(spelled), Draws(0)) == swaps.words(spelled, Draws(0))


def test_the_text_of_an_attack_keeps_its_own_spelling() -> None:
    text = Text.of([nfd("Ein schön übles Haus.")])
    (new,) = NeighbourSwaps(lists(), 1).words(text.words[1], Draws(0))
    assert text.replace(1, new).columns == (nfd("Ein ") + "hübsch" + nfd(" übles Haus."),)


@pytest.mark.parametrize("word", ["É", "Éa", "éa", "ÉA", "İyi", "Über"])
def test_letter_case_does_not_depend_on_the_unicode_form(word: str) -> None:
    assert in_case_of(nfd(word), "nIce") == in_case_of(word, "nIce")


def test_a_list_of_hindi_words_works(tmp_path: Path) -> None:
    (tmp_path / "hindi.csv").write_text("अच्छा,बढ़िया\nफ़िल्म,चलचित्र\n", encoding="utf-8")
    found = load_neighbours(str(tmp_path / "hindi.csv"))
    assert isinstance(found, NeighbourLists)
    assert (found.words, found.unused) == (2, 0)
    lexicon = Lexicon.of([("यह फ़िल्म अच्छा है",)], [found])
    assert len(lexicon.words) == 2
    assert lexicon.find("अच्छा") is not None


def test_a_list_that_no_attack_can_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "phrases.csv").write_text("very good,great\nalone,\n", encoding="utf-8")
    with pytest.raises(
        ResourceError, match=r"No entry of .*phrases\.csv can be used: .*single word"
    ) as error:
        load_neighbours(str(tmp_path / "phrases.csv"))
    assert str(error.value).endswith(".")


def test_of_several_spellings_of_a_neighbour_the_first_counts() -> None:
    found = NeighbourLists([("gut", ["Schön", nfd("schön"), "fein"]), ("GUT", ["FEIN", "nett"])], "lists")
    assert found.nearest("gut", 9) == ["Schön", "fein", "nett"]


def test_antonyms_and_wordnet_find_words_in_any_form() -> None:
    table = {"good": ["Fine", "Bad", "ba\u200cd"]}
    assert WithoutAntonyms(NeighbourLists(table.items(), "l")).nearest("GO\u200cOD", 3) == ["Fine"]
    wordnet = WordNet.__new__(WordNet)
    wordnet._lemmas = {"noun": {}}
    wordnet._places = {"noun": {"café": ["1"]}}
    wordnet._words = {"noun": {"1": ["café", "bar"]}}
    assert "bar" in wordnet.nearest(nfd("Café"), 2)


@pytest.mark.parametrize("form", [nfc, nfd])
def test_stop_words_may_have_any_unicode_form(form: Callable[[str], str]) -> None:
    attack = with_stop_words(form("für"))
    for text in (nfc("für uns"), nfd("für uns")):
        assert [attack.may_touch(Text.of([text]), place) for place in (0, 1)] == [False, True]
    assert attack.may_touch(Text.of(["Für uns"]), 0)  # the comparison is case-sensitive
    assert not is_touchable("CAN\u200cNOT")


# --- Word vectors with capitals ----------------------------------------------------------------------------


def test_vectors_of_words_with_capitals_are_used(tmp_path: Path) -> None:
    path = tmp_path / "mini.txt"
    path.write_text("Haus 1 0\nGebäude 0.99 0.1\nFilm -1 0.05\nfilmen 1 0.1\n", encoding="utf-8")
    for _ in range(2):  # from the text, and from the cache
        found = load_neighbours(str(path))
        swaps = NeighbourSwaps(found, 3)
        assert swaps.knows("Haus")
        assert swaps.knows("haus")
        assert found.nearest("HAUS", 3) == ["filmen", "Gebäude", "Film"]
        assert swaps.words("filmen", Draws(0)) == ["gebäude", "haus", "film"]
        assert found.cosine("film", "FILMEN") == pytest.approx(-0.99, abs=0.01)
        text = Text.of(["sie filmen es"])
        allowed = WordSimilarity(found).allows
        assert not allowed(text.replace(1, "film"), text, text)
        assert allowed(text.replace(1, "haus"), text, text)


def test_of_several_spellings_of_a_vector_s_word_the_first_counts(tmp_path: Path) -> None:
    path = tmp_path / "twice.txt"
    path.write_text(
        f"Haus 1 0\nhaus 0 1\nHeim 1 1\n{nfd('schön')} 0 2\nSchön 2 0\nHAUS 3 1\n", encoding="utf-8"
    )
    found = load_neighbours(str(path))
    assert found.nearest("haus", 9) == ["Heim", nfd("schön")]
    assert found.nearest("heim", 9) == ["Haus", nfd("schön")]
    assert found.cosine("HAUS", "schön") == 0
    assert found.cosine("haus", "Haus") == 1


def test_words_without_repeats_keep_their_fingerprint() -> None:
    matrix = np.eye(3, dtype=np.float32)
    once = WordVectors(["a", "B", "c"], matrix, "once")
    twice = WordVectors(["a", "B", "A", "c"], matrix[[0, 1, 0, 2]], "twice")
    assert twice.fingerprint == once.fingerprint
    assert re.fullmatch("[0-9a-f]{64}", once.fingerprint)
