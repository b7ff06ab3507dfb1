"""The paper's tables and figures: all of them can be planned at every scale, and one is run to its page."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome, call

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.attacks import ATTACKS
from earlyrobust.data.tasks import TASKS
from earlyrobust.errors import ConfigError, OutputError
from earlyrobust.experiments import EXPERIMENTS, reproduce
from earlyrobust.experiments.cells import plan_cells
from earlyrobust.experiments.paper import SCALES
from earlyrobust.experiments.reproduction import plan_experiment
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.results.experiment import ExperimentRecord

# On tensors this small, threads only wait for one another.
SMALL = ("--scale", "smoke", "--cell-cpus", "1")

every_experiment = pytest.mark.parametrize("name", EXPERIMENTS)
every_scale = pytest.mark.parametrize("scale", SCALES)

# What the documentation promises of a scale, by option.
PROMISES: dict[str, dict[str, Callable[[Any], bool]]] = {
    "smoke": {
        "task": lambda task: task == "builtin",
        "train_samples": lambda rows: rows <= 300,
        "epochs": lambda epochs: epochs <= 1,
        "examples": lambda examples: examples <= 10,
        "attack": lambda attacks: len(attacks) <= 1,
        "seeds": lambda seeds: seeds == 1,
        "model": lambda model: model == "minilm",
    },
    "cpu": {
        "train_samples": lambda rows: rows <= 2000,
        "epochs": lambda epochs: epochs <= 2,
        "attack": lambda attacks: "bert-attack" not in attacks,
        "seeds": lambda seeds: seeds == 1,
        "model": lambda model: model == "minilm",
    },
    "paper": {
        "train_samples": lambda rows: rows is None,
        "epochs": lambda epochs: epochs == 10,
        "examples": lambda examples: examples == 1000,
        "model": lambda model: model == "google-bert/bert-base-uncased",
    },
}


def snapshot(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def finished(folder: Path) -> dict[str, int]:
    return {file.parent.name: file.stat().st_mtime_ns for file in folder.rglob("result.json")}


# --- planned -----------------------------------------------------------------------------------------------


@every_scale
@every_experiment
def test_an_experiment_can_be_planned_at_a_scale(name: str, scale: str, tmp_path: Path) -> None:
    record, folder, comparisons = plan_experiment(name, scale, {}, tmp_path / "all")
    experiment = EXPERIMENTS[name]
    assert (record.name, record.scale, record.title) == (name, scale, experiment.title)
    assert folder == tmp_path / "all" / name
    assert set(comparisons) == set(record.parts) <= set(TASKS)
    replaced = any("BERT-Attack" in note for note in record.notes)
    assert replaced == (scale == "cpu" and "bert-attack" in experiment.attacks)
    for task, config in comparisons.items():
        assert config.output_folder == folder / record.parts[task]
        assert set(config.attack) <= set(ATTACKS)
        assert bool(config.attack) == bool(experiment.attacks)
        assert config.baseline in config.arms
        for option, holds in PROMISES[scale].items():
            assert holds(getattr(config, option)), option
        cells = plan_cells(config)
        assert len(cells) == len(experiment.arms) * config.seeds
        assert len({cell.folder for cell in cells}) == len(cells), "two arms come to the same run"
        for cell in cells:
            arm = experiment.arms[cell.arm]
            assert {option: getattr(cell.config, option) for option in arm} == arm
            assert not set(Recipe.of(cell.config).idle_options(cell.config)) & set(arm)
            assert cell.config.task == task
    assert not (tmp_path / "all").exists()


@every_experiment
def test_an_experiment_s_page_can_show_what_it_is_about(name: str) -> None:
    experiment = EXPERIMENTS[name]
    assert ("sweep" in experiment.views) == (experiment.sweep is not None)
    if experiment.sweep is not None:
        values = [arm[experiment.sweep] for arm in experiment.arms.values()]
        assert values == sorted(set(values))
    assert set(experiment.tasks) <= set(TASKS)
    assert ("frontier" in experiment.views) <= bool(experiment.attacks)
    record, _, _ = plan_experiment(name, "paper", {}, None)
    assert all(note.endswith(".") for note in record.notes)
    assert sum(note.startswith("Ours: ") for note in record.notes) == len(experiment.ours)


@pytest.mark.parametrize("name", ["table1", "table4", "table5", "table7", "table8", "figure5"])
@every_scale
def test_experiments_at_a_scale_have_the_same_run_in_common(name: str, scale: str, tmp_path: Path) -> None:
    def ours(name: str) -> set[Path]:
        comparisons = plan_experiment(name, scale, {"seeds": 1}, tmp_path)[2].values()
        return {
            cell.folder for config in comparisons for cell in plan_cells(config) if cell.arm == "earlyrobust"
        }

    assert ours(name) == ours("table3")


def test_masks_are_watched_over_more_texts_where_nothing_is_attacked(tmp_path: Path) -> None:
    def rows(name: str, **given: Any) -> set[int | None]:
        return {config.train_samples for config in plan_experiment(name, "cpu", given, tmp_path)[2].values()}

    assert rows("figure2") == {2000}
    assert rows("figure2", train_samples=50) == {50}
    assert max(filter(None, rows("figure5"))) < 1000


def test_what_is_given_wins_over_the_scale_and_not_over_the_arms(tmp_path: Path) -> None:
    given = {"model": "some/encoder", "seeds": 2, "seed": 7, "neurons": 0.9}
    _, _, comparisons = plan_experiment("figure3", "smoke", given, tmp_path)
    config = comparisons["builtin"]
    assert (config.model, config.seeds, config.seed) == ("some/encoder", 2, 7)
    assert 0.9 not in {cell.config.neurons for cell in plan_cells(config)}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("table9", "--scale", "smoke"), "'table9'"),
        (("table3", "--scale", "smoke", "--seeds", "0"), "--seeds"),
        (("table3", "--scale", "smoke", "--launcher", "slurm"), "no launcher 'slurm'"),
        (("table3", "--scale", "smoke", "--output", "file"), "file"),
        (("table1", "--scale", "cpu", "--data-dir", "nowhere"), "nowhere"),
        (("table1", "--scale", "smoke", "--neighbours", "no.parquet"), "no.parquet"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_mistake_is_named_and_leaves_no_trace(
    arguments: tuple[str, ...], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine", encoding="utf-8")
    before = snapshot(tmp_path)
    outcome = call("reproduce", *arguments)
    assert outcome.code == 2
    assert outcome.err.startswith("Error: ")
    assert outcome.err.count("\n") == 1
    assert named in outcome.err
    assert snapshot(tmp_path) == before


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(ConfigError, match="'huge': choose from smoke, cpu, paper"):
        plan_experiment("table3", "huge", {}, None)
    assert call("reproduce", "table3", "--scale", "huge").code == call("reproduce", "table3").code == 2


def test_experiments_and_scales_are_listed() -> None:
    outcome = call("list", "experiments")
    assert outcome.code == 0
    lines = [line.split(maxsplit=1) for line in outcome.out.splitlines() if line.strip()]
    listed = {line[0]: line[1].strip() for line in lines if len(line) == 2}
    assert {name: listed.get(name) for name in EXPERIMENTS} == {
        name: experiment.title for name, experiment in EXPERIMENTS.items()
    }
    assert {f"{scale}:" for scale in SCALES} <= set(listed)


# --- run ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> tuple[Path, Outcome]:
    """The folder of a scale with one experiment in it, and how that ended."""
    folder = tmp_path_factory.mktemp("reproduced") / "smoke"
    return folder, call("reproduce", "table3", *SMALL, "--model", encoder, "--output", folder)


@pytest.fixture
def scale(reproduced: tuple[Path, Outcome], tmp_path: Path) -> Path:
    """The same in a folder that may be changed."""
    return shutil.copytree(reproduced[0], tmp_path / "smoke")


def test_an_experiment_runs_to_its_page(reproduced: tuple[Path, Outcome]) -> None:
    folder, outcome = reproduced
    assert outcome.code == 0, outcome
    assert outcome.err == ""
    assert {path.name for path in folder.iterdir()} == {"cells", "table3"}
    record = ExperimentRecord.load(folder / "table3")
    assert record.command.startswith("earlyrobust reproduce table3 --scale smoke ")
    comparison = Comparison.load(folder / "table3" / record.parts["builtin"])
    assert comparison.is_whole
    assert comparison.record.command == record.command
    assert set(comparison.runs) == set(EXPERIMENTS["table3"].arms)
    assert comparison.attacks == ["textfooler"]
    tickets = [runs[0].ticket for runs in comparison.runs.values()]
    assert None not in tickets
    assert len(finished(folder)) == 4
    page = (folder / "table3" / "report.html").read_text(encoding="utf-8")
    for text in (record.title, *record.notes, *comparison.runs):
        assert text in page


def test_the_same_experiment_again_runs_nothing(scale: Path, encoder: Path) -> None:
    before = finished(scale)
    outcome = call("reproduce", "table3", *SMALL, "--model", encoder, "--output", scale)
    assert outcome.code == 0, outcome
    assert "4 of 4 runs are finished already" in outcome.out
    assert finished(scale) == before


@pytest.mark.parametrize(("name", "new"), [pytest.param("table4", 2, marks=pytest.mark.slow), ("figure5", 0)])
def test_another_experiment_takes_over_what_it_has_in_common(
    name: str, new: int, scale: Path, encoder: Path
) -> None:
    before = finished(scale)
    outcome = call("reproduce", name, *SMALL, "--model", encoder, "--output", scale)
    assert outcome.code == 0, outcome
    after = finished(scale)
    assert {run: after[run] for run in before} == before
    assert len(after) == len(before) + new
    one, other = (Comparison.load(scale / part / "builtin") for part in ("table3", name))
    assert one.runs["earlyrobust"] == other.runs["earlyrobust"]


def test_another_model_leaves_an_experiment_as_it_is(scale: Path) -> None:
    before = snapshot(scale)
    outcome = call("reproduce", "table3", *SMALL, "--model", "other", "--output", scale)
    assert outcome.code == 2
    assert "another comparison" in outcome.err
    assert snapshot(scale) == before


def test_another_scale_leaves_an_experiment_as_it_is(scale: Path) -> None:
    before = snapshot(scale)
    record, folder, _ = plan_experiment("table3", "cpu", {}, scale)
    with pytest.raises(OutputError):
        list(reproduce(record, folder, {}))
    assert snapshot(scale) == before


def test_an_experiment_whose_runs_fail_ends_with_a_page_and_an_exit_code(tmp_path: Path) -> None:
    outcome = call(
        "reproduce", "figure5", "--scale", "smoke", "--model", tmp_path / "no", "--output", tmp_path
    )
    assert outcome.code == 1, outcome
    assert outcome.err == ""
    (cell,) = Comparison.load(tmp_path / "figure5" / "builtin").record.cells
    assert str(tmp_path / "no") in str(cell.error)
    assert (tmp_path / "figure5" / "report.html").exists()
