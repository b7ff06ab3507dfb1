"""Renders pages: one file each, without scripts, and without any text that can act on the page.

Jinja2 escapes every text. A policy in the page forbids everything but the style of the page. Invisible
characters are shown as their code points.
"""

from __future__ import annotations

import io
import re
import unicodedata
from pathlib import Path
from typing import Any
from warnings import catch_warnings, filterwarnings

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure

from earlyrobust.storage import write_atomically

# Categories of invisible characters: control, formatting (zero width, direction), halves of surrogate pairs.
_UNSEEN = {"Cc", "Cf", "Cs"}


def environment() -> Environment:
    """Make the Jinja2 environment of the pages."""
    made = Environment(
        loader=PackageLoader("earlyrobust.reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters.update(
        plain=plain, visible=_visible, sentence=_sentence, percent=percent, picture=_picture, setting=setting
    )
    return made


def write_page(made: Environment, template: str, path: Path, **content: Any) -> None:
    """Render a template into a page.

    Args:
        made: The environment.
        template: Name of the template.
        path: Path of the page.
        **content: Variables of the template.
    """
    stream = made.get_template(template).stream(**content)
    stream.enable_buffering(100)
    write_atomically(path, lambda temporary: stream.dump(str(temporary), encoding="utf-8"))


def percent(share: float) -> str:
    """Write a share in percent."""
    return f"{100 * share:.1f} %"


def setting(value: Any) -> str:
    """Write the value of a setting for readers, such as "yes" for True."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def plain(text: str) -> str:
    """Replace invisible characters of a text by their code points, for places that allow no markup."""
    return "".join(
        f"U+{ord(character):04X}" if unicodedata.category(character) in _UNSEEN else character
        for character in text
    )


def _visible(text: str) -> Markup:
    """Escape a text, and show its invisible characters, which could act on other text, as code points."""
    unseen = {
        ord(character): f'<span class="code">U+{ord(character):04X}</span>'
        for character in set(text) - {"\n", "\t"}
        if unicodedata.category(character) in _UNSEEN
    }
    return Markup(str(escape(text)).translate(unseen))


def _sentence(text: str) -> Markup:
    """Escape a sentence as `_visible` does, and keep the name of an option on one line."""
    return Markup(re.sub(r"--[a-z][a-z-]*", r'<span class="option">\g<0></span>', str(_visible(text))))


def _picture(figure: Figure) -> Markup:
    """Render a figure as SVG that adapts to the colours of the page, light or dark, and to its width."""
    stream = io.StringIO()
    # Text stays text, so it can be searched and read aloud. With the salt, equal figures give equal files.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "earlyrobust"}), catch_warnings():
        # The reader's browser has the letters that the font of matplotlib lacks.
        filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    drawing = stream.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    for size in ("width", "height"):
        drawing = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", drawing, count=1)
    return Markup(re.sub(r"((?:fill|stroke): )#000000", r"\1currentColor", drawing))
