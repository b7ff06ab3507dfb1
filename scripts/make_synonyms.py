r"""Make the tables of synonyms and antonyms that the package carries from WordNet 3.0 and word lists.

    apt-get download wordnet-base wamerican wbritish
    for file in *.deb; do dpkg-deb -x "$file" unpacked; done
    python scripts/make_synonyms.py --wordnet unpacked/usr/share/wordnet \
        --words unpacked/usr/share/dict/american-english unpacked/usr/share/dict/british-english

`synonyms.parquet` has one row for each word of the lists that has a synonym. Column `word` holds the word.
Column `neighbors` holds at most 16 synonyms; synonyms for the most common senses come first. WordNet lists
lemmas only. So the script traces an inflected word to its lemmas, and inflects each synonym in the same way:
"movies" has "films". It makes forms by the rules of English spelling and by WordNet's lists of exceptions. It
keeps the forms that are in the word lists. It leaves out synonyms that are vulgar, slurs, or disparaging.

`antonyms.parquet` has one row for each word of the lists that has an antonym. Column `word` holds the word.
Column `antonyms` holds all its antonyms in alphabetical order: the targets of WordNet's antonym pointers, in
the same form as the word. The table has each pair in both directions. It leaves out words that are only
similar to an antonym, because some of them are no opposites: "used" would have "exploited".
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

TABLES = Path(__file__).parents[1] / "src/earlyrobust/attacks/resources/wordnet"
MOST = 16
# Each part of speech: the ending of its WordNet files, and its letters in WordNet.
FILES = {"noun": "n", "verb": "v", "adj": "as", "adv": "r"}
NUMBERS = {"1": "noun", "2": "verb", "3": "adj", "4": "adv", "5": "adj"}
WORD = re.compile(r"[a-z]+(-[a-z]+)*")
# The suffix and the name of each form: the plural of nouns; -s, -ing and the past of verbs; -er and -est of
# adjectives and adverbs.
SUFFIXES = {
    "noun": {"s": "plural"},
    "verb": {"s": "s", "ing": "ing", "ed": "past"},
    "adj": {"er": "er", "est": "est"},
    "adv": {"er": "er", "est": "est"},
}
BASE = "base"
# WordNet marks words with usages. No synonym may have one of these.
OFFENSIVE = {"disparagement", "ethnic_slur", "obscenity"}
# The symbols of a pointer to a usage and of a pointer to an antonym.
USAGE, ANTONYM = ";u", "!"
# Words that are vulgar or slurs in common use, but have no mark in WordNet.
_VULGAR = (
    "arse ass bastard bitch bugger cocksucker coon cunt dago dike dyke fag faggot fuck gook jap kike nigger "
    "piss poof prick pussy queer retard screw shag shit slut spic tit tranny twat wank whore wop"
)
VULGAR = set(_VULGAR.split())


@dataclass(frozen=True)
class Sense:
    """One sense of a lemma.

    Attributes:
        count: How often the sense occurs in WordNet's annotated texts.
        rank: Number of the sense among the senses of the lemma, from 1 on.
        words: The words of its set of synonyms, in WordNet's order.
    """

    count: int
    rank: int
    words: tuple[str, ...]


class Pointer(NamedTuple):
    """A relation between two sets of synonyms, or between single words of them.

    Attributes:
        symbol: Kind of the relation.
        synset: The set to which the pointer leads.
        word: Number of the word in the set that has the pointer, from 1 on; 0 for the whole set.
        other: Number of the word in the set to which the pointer leads, from 1 on; 0 for the whole set.
    """

    symbol: str
    synset: str
    word: int
    other: int


def read_senses(folder: Path, part: str) -> dict[str, list[Sense]]:
    """Return the senses of each single-word lemma of a part of speech."""
    usages = {line[:8] for line in _lines(folder / "data.noun") if line.split(" ")[4] in OFFENSIVE}
    words = {line[:8]: _words(line, usages) for line in _lines(folder / f"data.{part}")}
    counts = _counts(folder, part)
    senses = {}
    for line in _lines(folder / f"index.{part}"):
        fields = line.split()
        lemma, synsets = fields[0], fields[-int(fields[2]) :]
        if WORD.fullmatch(lemma):
            senses[lemma] = [
                Sense(counts[lemma, rank], rank, words[synset])
                for rank, synset in enumerate(synsets, start=1)
            ]
    return senses


def _words(line: str, usages: set[str]) -> tuple[str, ...]:
    """Return the single words of a set of synonyms, without offensive words.

    Args:
        line: The set's line of a data file.
        usages: The sets of the offensive usages.
    """
    marked = {
        pointer.word for pointer in _pointers(line) if pointer.symbol == USAGE and pointer.synset in usages
    }
    if 0 in marked:  # The whole set has the usage.
        return ()
    return tuple(
        word
        for number, word in enumerate(_names(line), start=1)
        if number not in marked and word not in VULGAR and WORD.fullmatch(word)
    )


def read_antonyms(folder: Path, part: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs of antonyms of a part of speech in which both are single words."""
    lines = {line[:8]: line for line in _lines(folder / f"data.{part}")}
    for line in lines.values():
        for pointer in _pointers(line):
            if pointer.symbol == ANTONYM:
                pair = _names(line)[pointer.word - 1], _names(lines[pointer.synset])[pointer.other - 1]
                if all(map(WORD.fullmatch, pair)):
                    yield pair


def _names(line: str) -> list[str]:
    """Return the words of a set of synonyms."""
    fields = line.split(" ")
    # A mark in parentheses after an adjective gives its position in a sentence.
    return [re.sub(r"\(.*\)$", "", word) for word in fields[4 : 4 + 2 * int(fields[3], 16) : 2]]


def _pointers(line: str) -> Iterator[Pointer]:
    """Yield the pointers of a set of synonyms."""
    fields = line.split(" ")
    first = 5 + 2 * int(fields[3], 16)
    for place in range(first, first + 4 * int(fields[first - 1]), 4):
        symbol, synset, _, numbers = fields[place : place + 4]
        yield Pointer(symbol, synset, int(numbers[:2], 16), int(numbers[2:], 16))


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a WordNet file, without the licence at its head."""
    with path.open(encoding="latin-1") as file:
        yield from (line.rstrip("\n") for line in file if not line.startswith("  "))


def _counts(folder: Path, part: str) -> Counter[tuple[str, int]]:
    """Return how often each sense occurs in annotated texts, by its lemma and rank."""
    counts: Counter[tuple[str, int]] = Counter()
    for line in _lines(folder / "cntlist.rev"):
        key, number, count = line.split()
        lemma, _, rest = key.partition("%")
        if NUMBERS[rest[0]] == part:
            counts[lemma, int(number)] = int(count)
    return counts


def read_exceptions(folder: Path, part: str) -> dict[str, list[str]]:
    """Return the lemmas of each irregular form."""
    lines = (line.split() for line in _lines(folder / f"{part}.exc"))
    return {form: lemmas for form, *lemmas in lines if WORD.fullmatch(form)}


def regular(lemma: str, suffix: str) -> str:
    """Return a lemma with a suffix, by the rules of English spelling."""
    consonant_y = re.search(r"[^aeiou]y$", lemma)
    if suffix == "s":
        if consonant_y:
            return lemma[:-1] + "ies"
        return lemma + ("es" if re.search(r"(s|x|z|ch|sh)$", lemma) else "s")
    if suffix == "ing":
        if lemma.endswith("ie"):
            return lemma[:-2] + "ying"
        return (lemma[:-1] if re.search(r"[^eoy]e$", lemma) else lemma) + "ing"
    if lemma.endswith("e"):
        return lemma + suffix[1:]
    return (lemma[:-1] + "i" if consonant_y else lemma) + suffix


class Inflection:
    """The inflected forms of the lemmas of one part of speech.

    Attributes:
        forms: The possible spellings of each form, by lemma and name of the form.
        analyses: The lemmas and names of forms that each spelling may stand for.

    Args:
        part: The part of speech, a key of `FILES`.
        lemmas: The lemmas.
        exceptions: The lemmas of each irregular form.
    """

    def __init__(self, part: str, lemmas: Iterable[str], exceptions: dict[str, list[str]]) -> None:
        irregular: dict[tuple[str, str], list[str]] = defaultdict(list)
        for form, of in exceptions.items():
            for lemma in of:
                irregular[lemma, self._name(part, form)].append(form)
        self.forms: dict[tuple[str, str], list[str]] = {}
        self.analyses: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for lemma in lemmas:
            self._add(lemma, BASE, [lemma])
            for suffix, name in SUFFIXES[part].items():
                self._add(lemma, name, irregular.get((lemma, name)) or self._regular(lemma, suffix))

    @staticmethod
    def _name(part: str, form: str) -> str:
        """Return the name of an irregular form, found by its ending."""
        if part == "noun":
            return "plural"
        if part == "verb":
            return "ing" if form.endswith("ing") else "s" if form in {"has", "is", "does", "goes"} else "past"
        return "est" if form.endswith("st") else "er"

    @staticmethod
    def _regular(lemma: str, suffix: str) -> list[str]:
        forms = [regular(lemma, suffix)]
        # The word lists decide later whether the last consonant is doubled.
        if suffix != "s" and re.search(r"[^aeiou][aeiou][bdgklmnprtvz]$", lemma):
            forms.append(lemma + lemma[-1] + suffix)
        return forms

    def _add(self, lemma: str, name: str, forms: list[str]) -> None:
        self.forms[lemma, name] = forms
        for form in forms:
            self.analyses[form].append((lemma, name))


def synonyms(folder: Path, known: set[str]) -> dict[str, list[str]]:
    """Return the synonyms of each known word.

    Args:
        folder: Folder of WordNet's files.
        known: The words of the word lists.

    Returns:
        At most 16 synonyms of each word that has any; synonyms for the most common senses come first.
    """
    found: dict[str, list[tuple[int, int, int, list[str]]]] = defaultdict(list)
    for order, part in enumerate(FILES):
        senses = read_senses(folder, part)
        inflection = Inflection(part, senses, read_exceptions(folder, part))
        for word in known & inflection.analyses.keys():
            for lemma, name in inflection.analyses[word]:
                for sense in senses[lemma]:
                    forms = [
                        form
                        for other in sense.words
                        if other != lemma
                        for form in inflection.forms.get((other, name), ())
                        if form in known and form != word
                    ]
                    found[word].append((-sense.count, order, sense.rank, forms))
    table = {}
    for word, senses_of in sorted(found.items()):
        ordered = (form for *_, forms in sorted(senses_of, key=lambda sense: sense[:3]) for form in forms)
        if chosen := list(dict.fromkeys(ordered))[:MOST]:
            table[word] = chosen
    return table


def antonyms(folder: Path, known: set[str]) -> dict[str, list[str]]:
    """Return the antonyms of each known word.

    Args:
        folder: Folder of WordNet's files.
        known: The words of the word lists.

    Returns:
        All antonyms of each word that has any, in alphabetical order.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for part in FILES:
        pairs = list(read_antonyms(folder, part))
        forms = Inflection(part, set(chain(*pairs)), read_exceptions(folder, part)).forms
        for (lemma, other), name in product(pairs, (BASE, *SUFFIXES[part].values())):
            for word, opposite in product(forms[lemma, name], forms[other, name]):
                if word != opposite and {word, opposite} <= known:
                    found[word].add(opposite)
                    found[opposite].add(word)
    return {word: sorted(found[word]) for word in sorted(found)}


def write(table: dict[str, list[str]], column: str, path: Path) -> None:
    """Write a table as a Parquet file, and print its size.

    Args:
        table: A list of words for each word.
        column: Name of the column of the lists.
        path: The file.
    """
    schema = pa.schema([("word", pa.string()), (column, pa.list_(pa.string()))])
    columns = {"word": list(table), column: list(table.values())}
    pq.write_table(pa.table(columns, schema), path, compression="zstd", compression_level=22)
    entries = sum(map(len, table.values()))
    print(f"{len(table):,} words, {entries:,} {column}, {path.stat().st_size:,} bytes: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--wordnet", type=Path, required=True, help="folder of WordNet's data.* and index.* files"
    )
    parser.add_argument("--words", type=Path, nargs="+", required=True, help="word lists, one word a line")
    parser.add_argument("--tables", type=Path, default=TABLES, help="the folder to write the tables to")
    options = parser.parse_args()
    lists = (path.read_text(encoding="utf-8").split() for path in options.words)
    known = set(filter(WORD.fullmatch, chain(*lists)))
    options.tables.mkdir(parents=True, exist_ok=True)
    write(synonyms(options.wordnet, known), "neighbors", options.tables / "synonyms.parquet")
    write(antonyms(options.wordnet, known), "antonyms", options.tables / "antonyms.parquet")


if __name__ == "__main__":
    main()
