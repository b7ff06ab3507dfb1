"""Writes sentences on why an accuracy under attack means little, and how to improve the measurement.

For some examples an attack never asks the classifier about a changed text: it may change no word, it finds no
replacement, or its constraints refuse all candidates. Such examples count as withstood and look like perfect
robustness.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from earlyrobust.results.attack import AttackRecord
from earlyrobust.results.language import LanguageRecord
from earlyrobust.results.validity import ValidityRecord
from earlyrobust.results.wording import listed
from earlyrobust.statistics.measures import Accuracy, depend_on_classes

# Shares of attacked examples without a candidate: from the first on, the accuracy under attack says little;
# from the second on, it may be too high.
_MOST, _MANY = 0.5, 0.2
# Share of the words that a source of neighbours must hold to count as a source for the language of the texts.
# Large English vocabularies hold more than half of the words of German texts: names, and words spelt alike.
_HELD = 0.65
# If the model reads only a part of more than this share of the attacked texts, a sentence says so.
_CUT = 0.5
# A class is a fallback if at least this share of the broken texts of other classes end in it, and if the
# accuracy under attack on it is at least so many times the accuracy on the others.
_FALLBACK, _TIMES = 0.8, 4
# Default models of the attacks; they are made for English.
_ENGLISH_MASKED_LM, _ENGLISH_ENCODER = "google-bert/bert-base-uncased", "minilm"


def doubts(attack: str, records: Sequence[AttackRecord]) -> list[str]:
    """Tell why the accuracy under an attack means little, in one or two sentences for each reason.

    Args:
        attack: Name of the attack.
        records: Records of the attack on one classifier, or on several with the same texts. The counts of
            several records are added up.

    Returns:
        The reasons; an empty list if there is no doubt, or if records of older versions have no counts.
    """
    counted = [record.validity for record in records if record.validity is not None]
    found = []
    if counted:
        validity = ValidityRecord.pooled(counted)
        settings = records[-1].settings
        found += [*_of_nothing_offered(attack, validity, settings, records)]
        found += [*_of_language(attack, validity, settings)]
    return [*found, *_of_cut(records)]


def doubts_of_each(*models: Mapping[str, AttackRecord]) -> list[str]:
    """Tell why the accuracy under attack means little, for each attack on one or several classifiers.

    Args:
        models: For each classifier, the records of the attacks by name.

    Returns:
        The sentences of `doubts` for each attack, each sentence once.
    """
    names = dict.fromkeys(name for attacks in models for name in attacks)
    records = {name: [attacks[name] for attacks in models if name in attacks] for name in names}
    return list(dict.fromkeys(doubt for name in names for doubt in doubts(name, records[name])))


def fallback_class(model: str, attacks: Mapping[str, AttackRecord]) -> list[str]:
    """Tell whether a classifier withstands attacks by answering one class to texts that it cannot read.

    Such a classifier is right on that class, whatever the attack does, and its accuracy under attack over all
    classes hides that it withstands hardly anything on the others.

    Args:
        model: The classifier, as the subject of the sentence.
        attacks: The records of the attacks by name.

    Returns:
        For each such class, a few sentences that name the attacks and the class.
    """
    found: dict[str, list[str]] = {}
    for attack, record in attacks.items():
        if (fallback := _fallback(record)) is not None:
            name, own, others = fallback
            shares = f"{100 * own:.1f} % and {100 * others:.1f} %"
            found.setdefault(name, []).append(f"under {attack} ({shares})")
    return [
        f"{model} stays right far more often on the class '{name}' than on other classes, "
        f"{listed(told)}. It may give this class to every text that it cannot read. Compare the Aua% of the "
        "weakest class."
        for name, told in found.items()
    ]


def _fallback(record: AttackRecord) -> tuple[str, float, float] | None:
    """Return the fallback class of a classifier, and its accuracy under attack on this and other classes."""
    classes = record.classes or []
    if len(classes) < 2:
        return None
    one = max(classes, key=lambda found: found.named or 0)
    broken = record.clean.correct - record.under_attack.correct
    elsewhere = broken - (one.clean.correct - one.under_attack.correct)
    if not elsewhere or (one.named or 0) < _FALLBACK * elsewhere:
        return None
    others = Accuracy.of(
        record.under_attack.correct - one.under_attack.correct,
        record.under_attack.total - one.under_attack.total,
    )
    own = one.under_attack
    if own.low <= others.high or own.value < _TIMES * others.value:
        return None
    return one.name, own.value, others.value


def looks_like_guessing(named: int | None, classes: int, texts: str, *, is_guess: bool) -> str | None:
    """Tell whether a classifier may always name one class.

    No attack changes the answers of such a classifier, so its accuracy under attack means nothing.

    Args:
        named: Number of classes that the classifier names; None if it is not known.
        classes: Number of classes in the data.
        texts: Noun for the texts, in the singular.
        is_guess: Whether neither the accuracy nor the mean recall is distinguishably above that of a guess.

    Returns:
        A part of a sentence that says why ("The model ..."); None if the classifier does not look so.
    """
    if named == 1 and classes > 1:
        return f"gives every {texts} the same class"
    if is_guess:
        return "is not distinguishably more accurate than always naming the largest class"
    return None


def fault_of_guessing(record: AttackRecord) -> str | None:
    """Tell whether a classifier may always name one class on the attacked examples.

    Returns:
        A sentence or two; None if the classifier does not look so, or if the record has no counts.
    """
    validity, clean = record.validity, record.clean
    if validity is None:
        return None
    if validity.classes == 1:
        if validity.classes_named > 1 or record.under_attack.correct < clean.correct:
            return None
        return (
            "All attacked examples are of one class, and the model never names another: it cannot be "
            "distinguished from a model that always names this class. Attack examples of all classes."
        )
    chance = validity.largest_class / clean.total
    depends = depend_on_classes((own.clean.correct, own.clean.total) for own in record.classes or ())
    is_guess = not (depends or clean.beats(chance))
    told = looks_like_guessing(validity.classes_named, validity.classes, "attacked text", is_guess=is_guess)
    if told is None:
        return None
    if validity.classes_named == 1:
        return (
            f"The model {told}: its accuracy under attack means nothing. Train it further, or judge another."
        )
    return (
        f"The model {told}, judged by {clean.total:,} examples ({100 * clean.value:.1f} %, 95 % "
        f"interval {100 * clean.low:.1f} to {100 * clean.high:.1f} %; largest class {100 * chance:.1f} %): "
        "its accuracy under attack may mean nothing. Attack more --examples to be sure, or train the model "
        "further."
    )


def _of_nothing_offered(
    attack: str, validity: ValidityRecord, settings: dict[str, Any], records: Sequence[AttackRecord]
) -> Iterator[str]:
    never, share = validity.never_offered, validity.never_offered_share
    if share is None or share < _MANY:
        return
    refused = never - validity.untouchable - validity.unanswered
    causes = {
        f"{validity.untouchable:,} have no word that it may touch": validity.untouchable,
        f"for {validity.unanswered:,} no replacement was proposed": validity.unanswered,
        f"for {refused:,} its constraints refused all": refused,
    }
    told = "; ".join(cause for cause, count in causes.items() if count)
    total = sum(record.clean.total for record in records)
    points = 100 * sum(record.under_attack.correct for record in records) / total
    worth = "which says little" if share >= _MOST else "which may be too high by as much"
    ways_out = [
        (validity.untouchable, _way_to_words(settings)),
        (validity.unanswered, _way_to_replacements(settings)),
        (refused, _way_past_constraints(settings)),
    ]
    way_out = max(ways_out, key=lambda way: way[0])[1]
    yield (
        f"{attack} could offer no candidate at all for {never:,} of {validity.counted:,} attacked examples "
        f"({told}): they make up {100 * never / total:.1f} of the {points:.1f} points of its accuracy under "
        f"attack, {worth}. {way_out}."
    )


def _way_to_words(settings: dict[str, Any]) -> str:
    if settings.get("keeps_first_column"):
        return "It never changes stop words and the first text of a pair: try an --attack that does"
    return "It leaves stop words alone: attack longer texts"


def _way_to_replacements(settings: dict[str, Any]) -> str:
    if "neighbours" in settings:
        return "Give --neighbours a source that holds their words"
    if "masked_lm" in settings:
        return "Give --masked-lm a model that reads them"
    return "Try another --attack"


def _way_past_constraints(settings: dict[str, Any]) -> str:
    floors = [
        f"--{name.replace('_', '-')}"
        for name in ("min_similarity", "min_word_cosine")
        if settings.get(name) is not None
    ]
    ways = [f"a smaller {' or '.join(floors)}"] if floors else []
    ways += ["a larger --word-limit"] if "word_limit" in settings else []
    ways += ["another --sentence-encoder"] if "sentence_encoder" in settings else []
    return f"Try {listed(ways or ['another --attack'], 'or')}"


def _of_language(attack: str, validity: ValidityRecord, settings: dict[str, Any]) -> Iterator[str]:
    if not validity.language.is_foreign:
        return
    known, tried = validity.known or 0, validity.tried
    asks_neighbours = "neighbours" in settings and tried > 0
    held = asks_neighbours and known >= _HELD * tried
    masked_lm = settings.get("masked_lm") == _ENGLISH_MASKED_LM
    encoder = settings.get("sentence_encoder") == _ENGLISH_ENCODER
    parts = {
        "masked language model": masked_lm,
        "sentence encoder": encoder,
        "tagger": "tagger" in settings,
        "stop words": bool(settings.get("stop_words")),
    }
    english = [part for part, is_english in parts.items() if is_english]
    if not english and (held or not asks_neighbours):
        return
    told = []
    if asks_neighbours:
        few = "" if held else "only "
        told.append(f"{attack} has neighbours for {few}{known:,} of the {tried:,} words that it tried")
    if english:
        whose = f"the {listed(english)} of {attack}"
        if told:
            whose = f"{'only ' if held else ''}its {listed(english)}"
        told.append(f"{whose} {_are(english)} made for English")
    worth = "its accuracy under attack says little"
    if held:
        refuses = " and refuse candidates" if {*english} - {"stop words"} else ""
        worth = f"it may touch words{refuses} by mistake"
    options = {
        "--neighbours a source": asks_neighbours and not held,
        "--masked-lm a model": masked_lm,
        "--sentence-encoder a model": encoder,
    }
    wanted = [option for option, is_wanted in options.items() if is_wanted]
    ways = [f"give {listed(wanted)} of their language"] if wanted else []
    if "tagger" in settings:
        ways.append("choose an --attack without a tagger")
    if not ways:
        ways.append("build it in Python with stop words of their language")
    way = listed(ways, "or") if held else ways[0]
    yield (
        f"The texts are not English ({_evidence(validity.language)}): {listed(told)}, so {worth}. "
        f"{way[0].upper()}{way[1:]}."
    )


def _evidence(language: LanguageRecord) -> str:
    if language.is_of_other_script:
        share = 100 * language.other_scripts / language.letters
        return f"{share:.0f} % of their letters are not Latin"
    return (
        f"of {language.words:,} words {language.english:,} are function words of English, such as 'the', and "
        f"{language.foreign:,} those of other languages"
    )


def _of_cut(records: Sequence[AttackRecord]) -> Iterator[str]:
    known = [record for record in records if record.cut is not None]
    cut = sum(record.cut or 0 for record in known)
    total = sum(record.clean.total for record in known)
    if cut > _CUT * total:
        yield (
            f"The model reads only the beginning of {cut:,} of {total:,} attacked examples, so changes "
            "behind it have no effect: try a larger --max-length, if the model can read more."
        )


def _are(parts: Sequence[str]) -> str:
    return "is" if len(parts) == 1 and not parts[0].endswith("s") else "are"
