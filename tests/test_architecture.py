"""The rooms of the package: nothing imports upwards, nothing grows too large, nothing runs what it reads."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import earlyrobust

ROOT = Path(earlyrobust.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
STUBS = sorted(ROOT.rglob("*.pyi"))

# What each room may import, itself, `errors`, `storage` and `processes` aside.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "storage": set(),
    "processes": set(),
    "lazy": set(),
    "settling": set(),
    "extensions": set(),
    "heap": set(),
    "journal": set(),
    "statistics": set(),
    "onnx_classifier": set(),
    "compiled": set(),
    "tickets": set(),
    "data": set(),
    "options": {"data", "settling", "tickets"},
    "results": {"journal", "statistics", "tickets"},
    "analysis": {"journal", "results", "statistics"},
    "reports": {"analysis", "journal", "results", "statistics"},
    "families": {"extensions", "lazy"},
    "pruning": {"compiled", "families", "tickets"},
    "encoders": {"families", "onnx_classifier"},
    "attacks": {"encoders", "heap", "journal", "lazy"},
    "textattack": {"attacks", "data", "journal"},
    "adversarial": set(),
    "noise": {"attacks"},
    "trainer": {"adversarial", "compiled", "encoders", "families", "noise", "tickets"},
    "search": {"adversarial", "families", "pruning", "settling", "tickets", "trainer"},
    "evaluation": {
        *("attacks", "data", "encoders", "extensions", "families", "journal", "onnx_classifier", "results"),
        *("statistics", "tickets"),
    },
    "export": {"families", "onnx_classifier", "pruning"},
    "workspace": {"encoders", "extensions", "journal", "options", "results", "tickets"},
    "pipeline": {
        *("adversarial", "analysis", "attacks", "data", "encoders", "evaluation", "extensions", "families"),
        *(
            "heap",
            "noise",
            "options",
            "pruning",
            "results",
            "search",
            "statistics",
            "tickets",
            "trainer",
        ),
        "workspace",
    },
    "judging": {
        *("analysis", "attacks", "data", "encoders", "evaluation", "export", "journal"),
        *("onnx_classifier", "options", "pipeline", "pruning", "results", "statistics", "textattack"),
        "workspace",
    },
    "experiments": {"analysis", "options", "pipeline", "results", "workspace"},
}
ALLOWED["cli"] = set(ALLOWED)
ALLOWED["__main__"] = {"cli"}
ALLOWED["autoload"] = {"pruning"}
ALLOWED["__init__"] = {"autoload"}

FREE_OF_TORCH = (
    *("errors", "storage", "lazy", "extensions", "settling", "journal", "statistics", "tickets", "options"),
    *("results", "analysis", "reports"),
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


@pytest.mark.parametrize("stub", STUBS, ids=name_of)
def test_stubs_name_each_public_name_once_and_each_one_loads(stub: Path) -> None:
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    imported = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert len(imported) == len(set(imported))
    package = importlib.import_module(".".join(("earlyrobust", *stub.parent.relative_to(ROOT).parts)))
    stated = next(ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    assert sorted(stated) == sorted(imported) == sorted(package.__all__) == dir(package)
    for name in stated:
        assert getattr(package, name) is not None


def test_the_rooms_stand_in_an_order() -> None:
    standing: list[str] = []
    while len(standing) < len(ALLOWED):
        ready = [room for room in ALLOWED if room not in standing and ALLOWED[room] - {room} <= set(standing)]
        assert ready, "rooms import one another in a circle"
        standing += ready


def test_no_modules_import_one_another_in_a_circle() -> None:
    # The file of a package only documents the package: a stub names its public classes.
    dotted = {
        ".".join(("earlyrobust", *module.relative_to(ROOT).with_suffix("").parts)): module
        for module in MODULES
        if module.name != "__init__.py"
    }
    waiting = {
        name: {target for found in imports_of(module) for target in (found, found.rpartition(".")[0])}
        & (set(dotted) - {name})
        for name, module in dotted.items()
    }
    while ready := [name for name, imported in waiting.items() if not imported & set(waiting)]:
        for name in ready:
            del waiting[name]
    assert not waiting


@pytest.mark.parametrize("module", [path for path in MODULES if room_of(path) in FREE_OF_TORCH], ids=name_of)
def test_what_reports_need_is_free_of_torch(module: Path) -> None:
    assert not {name.partition(".")[0] for name in imports_of(module)} & HEAVY


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_module_is_too_long_or_a_drawer_for_everything(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 350
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
