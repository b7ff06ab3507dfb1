"""What all pages have in common: one file each, no script, and nothing in a text that can act on the page.

Jinja2 escapes every text, a policy in the page forbids everything but its own style, and characters that
cannot be seen are shown by their code point.
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

# Unseen: control characters, formatting ones (zero width, direction), halves of surrogate pairs.
_UNSEEN = {"Cc", "Cf", "Cs"}


def environment() -> Environment:
    """Make the environment in which the pages' templates are filled in."""
    made = Environment(
        loader=PackageLoader("earlyrobust.reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters.update(plain=plain, visible=_visible, percent=percent, picture=_picture, setting=setting)
    return made


def write_page(made: Environment, template: str, path: Path, **content: Any) -> None:
    """Fill in a template and put the page in place.

    Args:
        made: The environment.
        template: Name of the template.
        path: Of the page.
        **content: What the template shows.
    """
    stream = made.get_template(template).stream(**content)
    stream.enable_buffering(100)
    write_atomically(path, lambda temporary: stream.dump(str(temporary), encoding="utf-8"))


def percent(share: float) -> str:
    """A share as people read it."""
    return f"{100 * share:.1f} %"


def setting(value: Any) -> str:
    """A setting as people write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def plain(text: str) -> str:
    """A text for where there can be no markup: what would be invisible in it by its code point."""
    return "".join(
        f"U+{ord(character):04X}" if unicodedata.category(character) in _UNSEEN else character
        for character in text
    )


def _visible(text: str) -> Markup:
    """Escape a text, and show by code point what would be invisible in it or act on the text around it."""
    unseen = {
        ord(character): f'<span class="code">U+{ord(character):04X}</span>'
        for character in set(text) - {"\n", "\t"}
        if unicodedata.category(character) in _UNSEEN
    }
    return Markup(str(escape(text)).translate(unseen))


def _picture(figure: Figure) -> Markup:
    """A figure as SVG that takes the colours of the page, light or dark, and the width that there is."""
    stream = io.StringIO()
    # Text stays text, to be searched and read aloud; the salt makes the same figure the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "earlyrobust"}), catch_warnings():
        # The reader's browser has the letters that matplotlib's font has not.
        filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    drawing = stream.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    for size in ("width", "height"):
        drawing = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", drawing, count=1)
    return Markup(re.sub(r"((?:fill|stroke): )#000000", r"\1currentColor", drawing))
