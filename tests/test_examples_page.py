"""The page of examples shows texts from anywhere, whole and marked, and runs nothing of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlyrobust.journal import AttackedExample
from earlyrobust.reports.examples import render_examples
from earlyrobust.reports.marking import compare
from earlyrobust.results import AttackRecord

HOSTILE = [
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "</mark></div><script>document.title='owned'</script>",
    "</title><script>document.title='owned'</script>",
    "</style><svg onload=document.title='owned'>",
    "\" onmouseover=document.title='owned' x=\"",
    "' autofocus onfocus=document.title='owned' '",
    "javascript:document.title='owned'",
    "<a href=\"javascript:document.title='owned'\">here</a>",
    "<meta http-equiv=refresh content=0;url=https://example.org>",
    "{{ 7 * 7 }} {{7*7}} {% raw %} {# gone #} ${7*7}",
    "&lt;b&gt; &amp; &#60;script&#62; &nbsp; &copy &#0;",
    "<!-- --> <![CDATA[ ]]> <!DOCTYPE x> <?php ?>",
    "line\nbreak\n\n  and\ttab, no carriage\r\nreturn \x0b\x0c\x00\x7f\x85",
    "zero\u200bwidth \u202edesrever\u202c \u2066x\u2069 \ufeff\u00ad 👨\u200d👩\u200d👧 🇫🇷",
    "lone \ud800 and \udfff halves",
    "فيلم رائع שלום e\u0301 İstanbul 中文 \u2028\u2029",
    "",
    "   ",
    "\n leading and trailing \n",
]
ONLY_THESE_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section"),
    *("h1", "h2", "h3", "p", "dl", "dt", "dd", "details", "summary", "article", "div", "span"),
    *("bdi", "mark", "del", "ins"),
}
ONLY_THESE_ATTRIBUTES = {"charset", "class", "content", "dir", "http-equiv", "lang", "name", "open"}
VOID = {"meta"}


@dataclass
class Node:
    tag: str
    attributes: dict[str, str | None]
    content: list[Node | str] = field(default_factory=list)

    def all(self, tag: str, name: str = "") -> list[Node]:
        """The elements of a tag and class below this one, in the order of the page."""
        children = [child for child in self.content if isinstance(child, Node)]
        own = [child for child in children if child.tag == tag and child.has_class(name)]
        # Sorted by document order: a child comes before what is in it.
        return [
            node for child in children for node in [*([child] if child in own else []), *child.all(tag, name)]
        ]

    def has_class(self, name: str) -> bool:
        return not name or name in (self.attributes.get("class") or "").split()

    @property
    def text(self) -> str:
        """What is written here, unseen characters as themselves."""
        if self.tag == "span" and self.has_class("code"):
            (shown,) = self.content
            return chr(int(str(shown).removeprefix("U+"), 16))
        return "".join(child if isinstance(child, str) else child.text for child in self.content)


class Reader(HTMLParser):
    """Reads a page into a tree, and insists that every tag that is opened is closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Node("", {})]
        self.odd: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs))
        self.open[-1].content.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)

    def handle_comment(self, data: str) -> None:
        self.odd.append(data)

    def handle_pi(self, data: str) -> None:
        self.odd.append(data)

    def unknown_decl(self, data: str) -> None:
        self.odd.append(data)


def read(path: Path) -> Node:
    reader = Reader()
    # As it is on disk: a carriage return is not to be read as a line break.
    reader.feed(path.read_bytes().decode("utf-8"))
    reader.close()
    assert len(reader.open) == 1
    assert not reader.odd
    return reader.open[0]


def every(node: Node) -> list[Node]:
    return [node, *(other for child in node.content if isinstance(child, Node) for other in every(child))]


def attacked(
    before: tuple[str, ...], after: tuple[str, ...], status: str = "succeeded", index: int = 0, label: int = 0
) -> AttackedExample:
    return AttackedExample(
        index=index,
        label=label,
        texts=before,
        status=status,  # type: ignore[arg-type]
        queries=12,
        final=after,
        words=7,
        words_changed=sum(a != b for a, b in zip(before, after, strict=True)),
        predicted=label if status == "failed" else 1 - label,
        probability_before=0.9,
        probability_after=0.25,
        similarity=None if before == after else 0.875,
    )


def draw(
    path: Path,
    examples: list[AttackedExample],
    labels: tuple[str, ...] = ("negative", "positive"),
    title: str = "textfooler",
    settings: dict[str, object] | None = None,
) -> Node:
    settings = settings or {"attack": "textfooler", "candidates": 50, "min_word_cosine": 0.5}
    render_examples([(title, AttackRecord.of(examples, settings), examples)], labels, path)
    return read(path)


def hostile_page(path: Path) -> Node:
    examples = [
        attacked((text,), (f"{text} {text}",), status, index)
        for index, text in enumerate(HOSTILE)
        for status in ("succeeded", "failed")
    ]
    examples += [attacked((text, text), (text, text), "skipped", 99) for text in HOSTILE]
    settings: dict[str, object] = dict(zip(HOSTILE, reversed(HOSTILE), strict=True))
    labels = ("".join(HOSTILE), *HOSTILE)
    return draw(path, examples, labels, HOSTILE[2], settings)


def sides(article: Node) -> dict[str, tuple[str, ...]]:
    found = {
        side: tuple(block.text for text in article.all("div", side) for block in text.all("div", "text"))
        for side in ("before", "after", "unchanged")
    }
    return {side: texts for side, texts in found.items() if texts}


def test_nothing_is_injected(tmp_path: Path) -> None:
    nodes = every(hostile_page(tmp_path / "page.html"))[1:]
    assert {node.tag for node in nodes} <= ONLY_THESE_TAGS
    assert {name for node in nodes for name in node.attributes} <= ONLY_THESE_ATTRIBUTES
    # What attributes hold is the page's own, whatever the texts hold.
    plain = draw(
        tmp_path / "plain.html", [attacked(("a",), ("b",), status) for status in ("succeeded", "failed")]
    )
    own = {value for node in every(plain) for value in node.attributes.values()}
    assert {value for node in nodes for value in node.attributes.values()} <= own | {
        "skipped",
        "code",
        "side unchanged",
    }
    policy = [node for node in nodes if node.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert [node.attributes["content"] for node in policy] == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    ]


def test_every_text_can_be_read_back(tmp_path: Path) -> None:
    page = hostile_page(tmp_path / "page.html")
    for status in ("succeeded", "failed"):
        shown = [sides(article) for article in page.all("details", status)[0].all("article")]
        assert shown == [{"before": (text,), "after": (f"{text} {text}",)} for text in HOSTILE]
    shown = [sides(article) for article in page.all("details", "skipped")[0].all("article")]
    assert shown == [{"unchanged": (text, text)} for text in HOSTILE]


def test_names_and_settings_can_be_read_back(tmp_path: Path) -> None:
    page = hostile_page(tmp_path / "page.html")
    assert page.all("h2")[0].text == HOSTILE[2]
    (settings,) = page.all("dl", "settings")
    assert [node.text for node in settings.all("dt")] == [name.replace("_", " ") for name in HOSTILE]
    assert [node.text for node in settings.all("dd")] == HOSTILE[::-1]
    assert {node.text for node in page.all("bdi", "label")} == {"".join(HOSTILE)}
    assert page.all("bdi", "says")[0].text == HOSTILE[0]


def test_what_cannot_be_seen_is_shown(tmp_path: Path) -> None:
    hostile_page(tmp_path / "page.html")
    content = (tmp_path / "page.html").read_bytes().decode("utf-8")
    categories = {character: unicodedata.category(character) for character in set(content)}
    unseen = [char for char, category in categories.items() if category in {"Cc", "Cf", "Cs"}]
    assert set(unseen) <= {"\n", "\t"}
    assert '<span class="code">U+202E</span>' in content


@pytest.mark.slow
def test_a_browser_runs_nothing(tmp_path: Path) -> None:
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(names)} is installed")
    path = tmp_path / "page.html"
    page = hostile_page(path)
    # Not even without the policy, so that both protections are known to hold.
    bare = tmp_path / "bare.html"
    bare.write_text(re.sub(r"<meta http-equiv=.*?>", "", path.read_text("utf-8")), "utf-8")
    # The same browser runs such a script where nothing hinders it.
    owned = tmp_path / "owned.html"
    owned.write_text(f"<title>mine</title>{HOSTILE[0]}", "utf-8")
    flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    flags += f" disable-component-update disable-sync dump-dom user-data-dir={tmp_path / 'profile'}"
    doms = {}
    for file in (path, bare, owned):
        command = [browser, *(f"--{flag}" for flag in flags.split()), file.as_uri()]
        doms[file] = subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode(
            "utf-8"
        )
    assert "<title>owned</title>" in doms[owned]
    for file in (path, bare):
        assert "<title>Attacked examples</title>" in doms[file]
        (tmp_path / "dom.html").write_bytes(doms[file].encode("utf-8"))
        dom = read(tmp_path / "dom.html")
        for status in ("succeeded", "failed", "skipped"):
            before, after = (
                [sides(article) for article in tree.all("details", status)[0].all("article")]
                for tree in (page, dom)
            )
            assert before == after


def test_examples_stand_in_order_with_their_numbers(tmp_path: Path) -> None:
    examples = [
        attacked(("wrong already",), ("wrong already",), "skipped", 1),
        attacked(("a plain film",), ("a bare film",), "failed", 2),
        attacked(("a warm film",), ("a tepid film",), "succeeded", 3, label=1),
        attacked(("a good film", "so good"), ("a good film", "so fine"), "succeeded", 4),
    ]
    page = draw(tmp_path / "page.html", examples)
    groups = page.all("details")
    assert [group.all("h3")[0].text for group in groups] == ["Succeeded (2)", "Failed (1)", "Skipped (1)"]
    assert ["open" in group.attributes for group in groups] == [True, False, False]
    assert [article.all("p", "facts")[0].text.split()[1] for article in page.all("article")] == [
        "3",
        "4",
        "2",
        "1",
    ]
    first = page.all("article")[0]
    assert first.all("p", "verdict")[0].text == "positive, but the model says negative"
    facts = " ".join(first.all("p", "facts")[0].text.split())
    assert facts == (
        "example 3 probability of positive 90.0 % → 25.0 % 12 queries 1 of 7 words changed similarity 0.875"
    )
    assert sides(page.all("article")[1]) == {"before": examples[3].texts, "after": examples[3].final}
    (figures,) = page.all("dl", "figures")
    values = dict(
        zip(
            (node.text for node in figures.all("dt")),
            (node.text for node in figures.all("dd", "value")),
            strict=True,
        )
    )
    assert values == {
        "Clean%": "75.0",
        "Aua%": "25.0",
        "Weakest class Aua%": "0.0",
        "Attack success rate %": "66.7",
        "#Query": "12.0",
        "Words changed %": "14.3",
        "Similarity": "0.875",
    }
    # Wilson's interval of 3 of 4, computed by hand.
    assert "(30.1 to 95.4)" in figures.text
    settings = page.all("dl", "settings")[0]
    assert [node.text for node in settings.all("dt")] == ["attack", "K", "min word cosine"]


def test_numbers_that_are_not_there_are_dashes(tmp_path: Path) -> None:
    page = draw(tmp_path / "page.html", [attacked(("x",), ("x",), "skipped", label=1)], labels=())
    values = [node.text for node in page.all("dl", "figures")[0].all("dd", "value")]
    assert values == ["0.0", "0.0", "–", "–", "–", "–"]
    assert page.all("p", "verdict")[0].text == "class 1, but the model says class 0"


def test_a_page_without_any_attack_says_so(tmp_path: Path) -> None:
    render_examples([], ("a", "b"), tmp_path / "page.html")
    assert "Nothing was attacked." in read(tmp_path / "page.html").text
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("before", "after", "old", "new"),
    [
        ("A warm, funny film.", "A tepid, funny film.", ["warm"], ["tepid"]),
        ("A warm, funny film.", "A wa rm, funny film.", ["warm"], ["wa rm"]),
        ("the plot is thin", "the pl ot is th1n", ["plot", "thin"], ["pl ot", "th1n"]),
        ("p x y", "x y y", ["p", "x"], ["x", "y"]),
        ("good good good", "good fine good", ["good"], ["fine"]),
        ("it's well-known", "it`s well˗known", ["it's", "well-known"], ["it`s", "well˗known"]),
        ("café noir", "cafe\u0301 noir", ["café"], ["cafe\u0301"]),
        ("a\n\n b", "a\n\n c", ["b"], ["c"]),
        ("<b>bold</b>", "<b>brave</b>", ["bold"], ["brave"]),
        ("", "", [], []),
        ("same", "same", [], []),
        ("", "put", [], ["put"]),
    ],
)
def test_changed_words_are_marked_and_only_those(
    tmp_path: Path, before: str, after: str, old: list[str], new: list[str]
) -> None:
    page = draw(tmp_path / "page.html", [attacked(("untouched", before), ("untouched", after))])
    (article,) = page.all("article")
    assert [node.all("mark")[0].text for node in article.all("del")] == old
    assert [node.all("mark")[0].text for node in article.all("ins")] == new
    assert not article.all("ins") or article.all("div", "after")


def test_every_replaced_word_of_a_long_text_is_marked() -> None:
    words = [f"word{number % 40}" for number in range(3_000)]
    swapped = [f"new{number}" if number % 7 == 0 else word for number, word in enumerate(words)]
    changed = [word for number, word in enumerate(swapped) if number % 7 == 0]
    _, after = compare(" ".join(words), " ".join(swapped))
    assert [piece.content for piece in after if piece.changed] == changed
    split = ["ne w1400" if word == "new1400" else word for word in swapped]
    _, after = compare(" ".join(words), " ".join(split))
    assert {piece.content for piece in after if piece.changed} == {*changed, "ne w1400"} - {"new1400"}


@given(st.text(), st.text())
def test_pieces_join_to_the_texts(before: str, after: str) -> None:
    pieces = compare(before, after)
    assert tuple("".join(piece.content for piece in side) for side in pieces) == (before, after)
    kept = ["".join(piece.content for piece in side if not piece.changed) for side in pieces]
    assert kept[0] == kept[1]
    if before == after:
        assert not any(piece.changed for side in pieces for piece in side)
