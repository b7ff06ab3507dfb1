"""Plain English: phrases that documents, docstrings, comments and help texts do without."""

from __future__ import annotations

import ast
import functools
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import earlyrobust

ROOT = Path(__file__).parents[1]
PACKAGE = Path(earlyrobust.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
# The pages docs/evidence*.md are made of records and of evidence/readings.md.
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if not page.name.startswith("evidence")),
]

# For each pattern what to write instead.
PHRASES = {
    r"\btold from chance\b": "distinguishable",
    r"\blet loose\b": "used on",
    r"\bleans? on\b": "uses, needs",
    r"\bas ever\b": "as before, or nothing",
    r"\bhold against\b|\bheld against\b": "compare with",
    r"\bwhat it comes to\b|\bcame of it\b|\bcomes to naught\b": "the result",
    r"\bAs there\.|\bAs here\.|\bAs above\.|[(:] ?the same[.)]": "the fact itself",
    r"\b(?:the former|the latter)\b": "the noun",
    r"\bin so far as\b|\binasmuch\b": "if, as far as",
    r"\bIs told\b|\bAre told\b": "Receives",
    r"\bis to be had\b|\bare to be had\b|\bcannot be had\b": "is available",
}
# A docstring's first line is a sentence on what the thing does.
FIRST_LINE = re.compile(r"^[A-Z`\"'γδλ#0-9].*[.:]$")
NO_BEGINNING = re.compile(r"^(What|How|Where|When|Told|As|Those|Such|Of|That of|The same|Likewise)\b")


@functools.cache
def nodes(module: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(module.read_text(encoding="utf-8"))))


def docstrings(module: Path) -> Iterator[tuple[str, str]]:
    for node in nodes(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "name", module.name), text


def comments(module: Path) -> Iterator[str]:
    with module.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.string


def sentences(module: Path) -> Iterator[str]:
    """The string literals of a module that are sentences, such as messages and help texts."""
    for node in nodes(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.count(" ") > 2:
            yield node.value


def faults(text: str) -> list[str]:
    flat = " ".join(text.split())
    return [
        f"{found.group()!r} in {flat[max(0, found.start() - 40) : found.end() + 20]!r}: write {instead}"
        for pattern, instead in PHRASES.items()
        for found in re.finditer(pattern, flat)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_are_plain(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert not faults(prose)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_the_words_of_a_module_are_plain(module: Path) -> None:
    assert not [fault for text in [*comments(module), *sentences(module)] for fault in faults(text)]

    first = {name: text.partition("\n")[0] for name, text in docstrings(module)}
    assert not {
        name: line for name, line in first.items() if not FIRST_LINE.match(line) or NO_BEGINNING.match(line)
    }
