"""Prints constraints that hold every dependency to the lowest release that pyproject.toml allows.

PyTorch stays at the release that the other tests pass with: only its own index has old ones without CUDA. So
do the tools of the tests.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What a user installs; `dev` holds tools, and `ray` is for grids of runs, which have tests of their own.
EXTRAS = ("cli", "attack", "demo", "export")


def constraints(project: dict[str, object], pinned: list[str]) -> list[str]:
    """Lines of a constraints file.

    Args:
        project: The table of that name in pyproject.toml.
        pinned: Lines of the constraints file of the other tests.
    """
    extras = project["optional-dependencies"]
    tools = {re.split("[^A-Za-z0-9_.-]", line)[0] for line in extras["dev"]} | {"torch"}
    kept = [line for line in pinned if line.split("==")[0] in tools]
    bounds = [
        match.expand(r"\1==\2")
        for line in (*project["dependencies"], *(line for extra in EXTRAS for line in extras[extra]))
        if (match := re.fullmatch(r"([\w.-]+)>=([\d.]+)", line)) and match[1] not in tools
    ]
    return [*bounds, *kept]


if __name__ == "__main__":
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    sys.stdout.write("".join(f"{line}\n" for line in constraints(told, lines)))
