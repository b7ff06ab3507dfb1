"""The rooms of the package: nothing imports upwards, nothing grows too large, nothing runs what it reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import earlyrobust

ROOT = Path(earlyrobust.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

# What each room may import, itself, `errors`, `storage` and `processes` aside.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "storage": set(),
    "processes": set(),
    "lazy": set(),
    "settling": set(),
    "extensions": set(),
    "families": {"extensions", "lazy"},
    "tickets": set(),
    "pruning": {"families", "tickets"},
    "adversarial": set(),
    "noise": {"attacks"},
    "trainer": {"adversarial", "noise", "encoders", "families"},
    "search": {"trainer", "adversarial", "pruning", "families", "tickets", "settling"},
    "data": {"lazy"},
    "journal": set(),
    "results": {"tickets", "journal"},
    "onnx_classifier": set(),
    "export": {"families", "pruning", "onnx_classifier"},
    "encoders": {"families", "onnx_classifier"},
    "attacks": {"encoders", "journal", "lazy"},
    "textattack": {"attacks", "data", "journal"},
    "evaluation": {
        *("attacks", "encoders", "data", "results", "journal", "families", "tickets", "onnx_classifier"),
    },
    "pipeline": {
        *(
            "lazy",
            "extensions",
            "settling",
            "families",
            "tickets",
            "pruning",
            "adversarial",
            "noise",
            "trainer",
            "search",
        ),
        *(
            "data",
            "results",
            "journal",
            "evaluation",
            "attacks",
            "textattack",
            "encoders",
            "export",
            "onnx_classifier",
        ),
    },
    "reports": {"results", "journal"},
    "experiments": {"lazy", "pipeline", "results"},
}
ALLOWED["cli"] = set(ALLOWED)
ALLOWED["__main__"] = {"cli"}
ALLOWED["autoload"] = {"pruning"}
# The package's own file only says where each public name lives.
ALLOWED["__init__"] = set(ALLOWED)

FREE_OF_TORCH = (
    "errors",
    "storage",
    "lazy",
    "extensions",
    "settling",
    "tickets",
    "journal",
    "results",
    "reports",
)
HEAVY = {"torch", "transformers", "accelerate", "datasets"}


def room_of(module: Path) -> str:
    return module.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(module: Path) -> Iterator[str]:
    """The dotted names that a module imports, wherever in it; those of `from` with what they take."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            target = node.args[0]
            if isinstance(target, ast.Constant):
                yield target.value


def name_of(module: Path) -> str:
    return str(module.relative_to(ROOT))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_go_one_way(module: Path) -> None:
    room = room_of(module)
    allowed = ALLOWED[room] | {room, "errors", "storage", "processes", "__version__"}
    ours = {name for name in imports_of(module) if name.partition(".")[0] == "earlyrobust"}
    upwards = {name for name in ours if "." in name and name.split(".")[1] not in allowed}
    assert not upwards
    # `import earlyrobust` itself would reach every room.
    assert "earlyrobust" not in ours or room == "cli"


def test_the_rooms_stand_in_an_order() -> None:
    standing: list[str] = []
    while len(standing) < len(ALLOWED):
        ready = [room for room in ALLOWED if room not in standing and ALLOWED[room] - {room} <= set(standing)]
        assert ready, "rooms import one another in a circle"
        standing += ready


@pytest.mark.parametrize("module", [path for path in MODULES if room_of(path) in FREE_OF_TORCH], ids=name_of)
def test_what_reports_need_is_free_of_torch(module: Path) -> None:
    assert not {name.partition(".")[0] for name in imports_of(module)} & HEAVY


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_module_is_too_long_or_a_drawer_for_everything(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 500
    drawers = {"util", "utils", "helpers", "common", "misc", "shared"}
    assert not drawers & {part.removesuffix(".py") for part in module.relative_to(ROOT).parts}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_nothing_runs_what_it_reads(module: Path) -> None:
    packages = {name.partition(".")[0] for name in imports_of(module)}
    assert not packages & {"pickle", "dill", "joblib", "marshal"}
    calls = [
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    assert not [call for call in calls if re.fullmatch(r"eval|exec|compile|__import__|torch\.load", call)]
