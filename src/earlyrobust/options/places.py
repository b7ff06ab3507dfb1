"""Types of options that name files or folders: a `~` at their beginning stands for the home folder.

Shells do not expand it in `--output=~/runs`, and never in a YAML file. Options expand it when they are
parsed, and the command line expands it in the paths that are no options. Nothing else expands it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator

Place = TypeVar("Place", str, Path)


def at_home(place: Place) -> Place:
    """Return a path, or a name, with the home folder in place of a `~` at its beginning.

    A folder that is called `~` itself can be named by its absolute path.
    """
    return type(place)(os.path.expanduser(place))


def with_sources(noise: str, change: Callable[[str], str]) -> str:
    """Apply a function to each source of neighbours that an option about noise names.

    Args:
        noise: The option, such as `learned,neighbours=wordnet+my.csv`.
        change: Receives a source, and returns the one to put into its place.
    """

    def changed(setting: str) -> str:
        name, equals, sources = setting.partition("=")
        if name.strip() != "neighbours":
            return setting
        changed = (change(source.strip()) if source.strip() else source for source in sources.split("+"))
        return name + equals + "+".join(changed)

    return ",".join(map(changed, noise.split(",")))


def noise_at_home(noise: str) -> str:
    """Return an option about noise with the home folder in place of each `~` that begins a source."""
    return with_sources(noise, at_home)


# A file or folder.
FilePath = Annotated[Path, AfterValidator(at_home)]
# A file or folder, or the name of something else, such as a model on the hub.
PathOrName = Annotated[str, AfterValidator(at_home)]
