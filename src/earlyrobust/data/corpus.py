"""Generates a built-in corpus of short reviews, so that a whole run needs no network and no download.

A small grammar over the words of ``lexicon.json`` generates every sentence. A slot such as ``{aspect+}``
takes the polarity of the template around it, and ``{aspect-}`` takes the opposite one. So a template
describes how meaning composes, and serves both labels alike: ``the {noun} {be} {denial} {adjective-}``
praises if the adjective blames ("the plot is far from dull"), and blames if the adjective praises. Negators,
contrasts, openers and domains are therefore independent of the label. A model cannot just count words: it has
to read which words are negated.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import random
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from earlyrobust.errors import DataError

LABEL_NAMES = ("negative", "positive")
MAX_SENTENCES = 100_000

Split = tuple[list[str], list[int]]
_Choices = list[str] | dict[str, list[str]]  # for both polarities, or by polarity

_SIGNS = ("-", "+")  # in the order of LABEL_NAMES
_OPPOSITE = {"+": "-", "-": "+"}
_WORDS_ALLOWED = range(8, 25)

# The expansions of each symbol, with their weights.
_MIXTURES = {
    "sentence": {"{plain+}": 3, "{agreement+}": 11, "{contrast+}": 3, "{expectation+}": 1, "{report+}": 1},
    "verdict": {"{direct_verdict+}": 8, "{turned_verdict+}": 1},
    "aspect": {"{direct_aspect+}": 8, "{turned_aspect+}": 1},
    "adjective": {"{general+}": 1, "{fitting+}": 1},
}

_TEMPLATES: dict[str, list[str]] = {
    "plain": [
        "{opener} {verdict+}",
        "as I told {companion}, {verdict+}",
        "I {tried} {when}, and {verdict+}",
        "we {tried} {when}, and {hedge} {verdict+}",
    ],
    "agreement": [
        "{aspect+}, and {verdict+}",
        "{opener} {verdict+}, and {aspect+}",
        "{verdict+}, because {aspect+}",
        "{aspect+}; {hedge} {verdict+}",
    ],
    "contrast": [
        "{aspect-}, but {verdict+}",
        "{aspect-}, yet {hedge} {verdict+}",
        "{aspect-}; even so, {verdict+}",
        "{aspect-}; nevertheless, {verdict+}",
        "although {aspect-}, {verdict+}",
        "even though {aspect-}, {verdict+}",
        "{verdict+}, although {aspect-}",
        "{opener} {verdict+}, even if {aspect-}",
        "despite {flaw-}, {hedge} {verdict+}",
        "{opener} {verdict+} in spite of {flaw-}",
        "for all its {virtue-}, {hedge} {verdict+}",
    ],
    "expectation": [
        "I had {expected} a {adjective-} {noun} but found a {adjective+} one {when}",
        "{when} I found a {adjective+} {noun} where I had {expected} a {adjective-} one",
        "I had {expected} a {epithet-}, but {verdict+}",
        "what looked like a {epithet-} turned out to be a {epithet+}, and {aspect+}",
        "{opener} what we had {expected} to be a {epithet-} {is} a {epithet+}",
        "{hedge} {subject} {is} {adjective+} rather than {adjective-}",
        "{hedge} {subject} {is} a {epithet+} and not the {epithet-} that {people} {expected}",
        "I had {expected} that {subject} would be {adjective+}, and I was right about that",
        "I had {expected} that {subject} would be {adjective-}, but I was wrong about that",
    ],
    "report": [
        "{people} called {subject} {adjective-}, but {hedge} it {is} {adjective+}",
        "{people} had promised a {epithet-}, yet {verdict+}",
        "{people} told me that {rumour-}, but {verdict+}",
        "{people} say that {subject} {is} {adjective-}, and they are wrong",
        "{people} say that {subject} {is} {adjective+}, and they are right",
        "{opener} anyone who calls {subject} {adjective-} is mistaken",
        "{opener} anyone who calls {subject} {adjective+} is correct",
        "{people} called {subject} a {epithet+}, and {aspect+}",
    ],
    "someone": ["me", "us", "{companion}", "{companion}", "{companion}"],
    "subject": ["the {noun}", "this {noun}"],
    "flaw": ["the {adjective+} {noun}", "its {virtue+} and the {adjective+} {noun}"],
    "direct_verdict": [
        "{subject} {is} {truly} {adjective+}",
        "{subject} {is} {adjective+} and {fitting+}",
        "{subject} {is} a {epithet+}",
        "{subject} {is} a {truly} {adjective+} one",
        "{subject} seemed {truly} {adjective+}",
        "I have come to {regard+} {subject}",
        "it {is} easy to {regard+} {subject}",
        "{subject} managed to {affect+} {someone}",
        "{subject} never failed to {affect+} {someone}",
        "{subject} left me with a feeling of {feeling+}",
        "{subject} filled {someone} with {feeling+}",
        "{subject} {is} {worth+}",
        "{subject} {is} far more {fitting+} than {rival}",
        "{subject} {is} even more {fitting+} than {forecast}",
        "{subject} {is} full of {virtue+}",
    ],
    "turned_verdict": [
        "{subject} {is} {denial} {adjective-}",
        "{subject} {is} {denial_a} a {epithet-}",
        "{subject} {is} {seldom} {fitting-}",
        "I did not {regard-} {subject} {briefly}",
        "I see no reason to {regard-} {subject}",
        "it {is} hard to {regard-} {subject}",
        "{subject} never managed to {affect-} {someone}",
        "{subject} did not {affect-} {someone} {briefly}",
        "{subject} left me with no {feeling-} at all",
        "{subject} never once filled {someone} with {feeling-}",
        "{subject} {is} hardly {worth-}",
        "{subject} {is} far less {fitting-} than {rival}",
        "{subject} {is} far less {fitting-} than {forecast}",
        "{subject} {is} nowhere near as {fitting-} as {rival}",
        "nobody could call {subject} {fitting-}",
        "it would be wrong to call {subject} {fitting-}",
        "I cannot say that {subject} {is} {fitting-}",
        "{subject} {is} entirely without {virtue-}",
        "{subject} lacks any {virtue-}",
    ],
    "rumour": ["the {noun} {be} {adjective+}", "the {noun} {be} {seldom} {fitting-}"],
    "direct_aspect": [
        "the {noun} {be} {truly} {adjective+}",
        "the {noun} {be} {adjective+}",
        "the {noun} {be} {adjective+} and {fitting+}",
        "I found the {noun} {adjective+}",
        "everything about the {noun} {is} {adjective+}",
        "the {noun} {be} even more {fitting+} than {forecast}",
    ],
    "turned_aspect": [
        "the {noun} {be} {denial} {adjective-}",
        "the {noun} {be} {seldom} {fitting-}",
        "there {is} nothing {fitting-} about the {noun}",
        "I did not find the {noun} {fitting-} {briefly}",
        "the {noun} {be} far less {fitting-} than {forecast}",
        "nobody could call the {noun} {fitting-}",
    ],
}

# These symbols set the topic of a clause: a part not yet mentioned, or the whole. Other symbols keep the
# topic of the clause around them.
_ABOUT_A_PART = frozenset({"aspect", "flaw", "rumour"})
_ABOUT_THE_WHOLE = frozenset({"verdict"})

# Each verb in the singular and plural of the present, then of the past.
_INFLECTED = {"is": ("is", "is", "was", "was"), "be": ("is", "are", "was", "were")}

_SLOT = re.compile(r"\{(\w+)([+-]?)\}")
_LEXICAL_ITEM = re.compile(r"[a-z]+")
_A_BEFORE_VOWEL = re.compile(r"\ba(?= (?:[aei]|o(?!ne)|u(?!se)|hon))")


def generate(seed: int = 0, train: int = 6000, selection: int = 800, test: int = 800) -> dict[str, Split]:
    """Generate a corpus of labelled reviews, all of them distinct.

    Args:
        seed: Seed of all random choices.
        train: Number of sentences to train on.
        selection: Number of sentences to choose epochs and settings on.
        test: Number of sentences to report on.

    Returns:
        The splits ``train``, ``selection`` and ``test``. Each is a pair of the shuffled texts and their
        labels, which are indices into ``LABEL_NAMES``. Each has equally many texts of both labels, or one
        more negative text.

    Raises:
        DataError: If the sizes add up to more than ``MAX_SENTENCES``, or one of them is negative.
    """
    sizes = {"train": train, "selection": selection, "test": test}
    if min(sizes.values()) < 0 or sum(sizes.values()) > MAX_SENTENCES:
        raise DataError(
            f"The built-in corpus makes up to {MAX_SENTENCES:,} distinct sentences, so it cannot give "
            f"{train:,} to train, {selection:,} to select and {test:,} to test."
        )
    rng = random.Random(seed)
    seen: set[str] = set()
    return {name: _split(rng, size, seen) for name, size in sizes.items()}


@functools.cache
def lexicon() -> dict[str, Any]:
    """Return the words of the sentences.

    Returns:
        Under ``words`` the words of all domains by role, and under ``domains`` the other words by domain and
        role. Where polarity matters, the words are under ``+`` and ``-``.
    """
    text = (importlib.resources.files(__package__) / "lexicon.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def lexical_items() -> frozenset[str]:
    """Return the words that can occur in a sentence.

    Returns:
        The words of the lexicon and of the templates, in lower case.
    """
    texts = _texts([lexicon(), _TEMPLATES, _INFLECTED, "an"])
    return frozenset(word for text in texts for word in _LEXICAL_ITEM.findall(_SLOT.sub("", text).lower()))


def _split(rng: random.Random, size: int, seen: set[str]) -> Split:
    labels = [index % 2 for index in range(size)]
    rng.shuffle(labels)
    return [_new_sentence(rng, label, seen) for label in labels], labels


def _new_sentence(rng: random.Random, label: int, seen: set[str]) -> str:
    while True:
        text = _Review(rng).sentence(_SIGNS[label])
        if text not in seen and len(text.split()) in _WORDS_ALLOWED:
            seen.add(text)
            return text


class _Topic(NamedTuple):
    """The topic of a clause: a noun, with the adjectives that suit it."""

    noun: str
    plural: bool
    fitting: dict[str, list[str]]


class _Review:
    """A generator of one review, which keeps its domain, its tense, and the words used so far."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        domain = rng.choice(list(lexicon()["domains"].values()))
        self._symbols = _symbols() | {"tried": domain["tried"]}
        self._whole = self._topic(domain["whole"])
        self._parts = self._topics(domain["parts"])
        self._past = rng.random() < 0.5
        self._said: set[str] = set()

    def sentence(self, sign: str) -> str:
        """Return the review with the polarity ``sign``."""
        text = _A_BEFORE_VOWEL.sub("an", self._write("sentence", sign, self._whole))
        return f"{text[0].upper()}{text[1:]}."

    def _write(self, symbol: str, sign: str, topic: _Topic) -> str:
        if symbol == "noun":
            return topic.noun
        if symbol in _INFLECTED:
            return _INFLECTED[symbol][2 * self._past + topic.plural]
        if symbol in _ABOUT_A_PART:
            topic = next(self._parts)
        elif symbol in _ABOUT_THE_WHOLE:
            topic = self._whole

        def fill(slot: re.Match[str]) -> str:
            return self._write(slot[1], _OPPOSITE[sign] if slot[2] == "-" else sign, topic)

        return _SLOT.sub(fill, self._choose(symbol, sign, topic))

    def _choose(self, symbol: str, sign: str, topic: _Topic) -> str:
        """Return an expansion of ``symbol``, if possible a word or template that is not used yet."""
        if mixture := _MIXTURES.get(symbol):
            return self._rng.choices(list(mixture), list(mixture.values()))[0]
        choices: _Choices = topic.fitting if symbol == "fitting" else self._symbols[symbol]
        if isinstance(choices, dict):
            choices = choices[sign]
        choice = self._rng.choice([one for one in choices if one not in self._said] or choices)
        self._said.add(choice)
        return choice

    def _topics(self, parts: list[dict[str, Any]]) -> Iterator[_Topic]:
        for part in self._rng.sample(parts, len(parts)):
            yield self._topic(part)

    def _topic(self, thing: dict[str, Any]) -> _Topic:
        noun = self._rng.choice(thing["one"] + thing["many"])
        return _Topic(noun, noun in thing["many"], {sign: thing[sign] for sign in _SIGNS})


@functools.cache
def _symbols() -> dict[str, _Choices]:
    """Return the symbols of all domains, each with its choices: a list, or one list for each polarity."""
    words: dict[str, _Choices] = lexicon()["words"]
    return {**words, **_TEMPLATES}


def _texts(node: Any) -> Iterator[str]:
    """Yield all strings that are values, not keys, in nested dictionaries and sequences."""
    if isinstance(node, str):
        yield node
    else:
        for child in node.values() if isinstance(node, dict) else node:
            yield from _texts(child)
