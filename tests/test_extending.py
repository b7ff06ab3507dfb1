"""One new entry in each table is all that it takes: the command line, recipes and checks pick it up."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import tiny
from conftest import call
from torch import Tensor

from earlyrobust.adversarial import ADVERSARIES, Adversary, AdversaryConfig
from earlyrobust.attacks import ATTACKS, TextBugger
from earlyrobust.data.tasks import TASKS
from earlyrobust.errors import ConfigError
from earlyrobust.experiments import launchers
from earlyrobust.experiments.config import CompareConfig
from earlyrobust.experiments.grid import check_comparison
from earlyrobust.experiments.paper import EXPERIMENTS
from earlyrobust.families import FAMILIES, family_of
from earlyrobust.pipeline.attacking import build_attacks
from earlyrobust.pipeline.config import RunConfig
from earlyrobust.pipeline.methods import METHODS, Method
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.search import SEARCHES, EarlyRobustSearch


@dataclass(frozen=True, kw_only=True)
class NudgeConfig(AdversaryConfig):
    direction: str = "up"
    size: float = 0.01
    limit: float | None = None
    norm: Literal["l2", "max"] = "l2"
    layers: tuple[int, ...] = (0,)


class Nudge(Adversary):
    """Adds a constant to the first channel of all embeddings."""

    Config = NudgeConfig
    config: NudgeConfig

    def cost(self, layers: int) -> float:
        return 1

    def _step(self, perturbation: Any, passes: Any) -> Tensor:
        sign = 1 if self.config.direction == "up" else -1
        delta = perturbation.uniform(0)
        delta[..., 0] = sign * self.config.size
        with perturbation.applied(delta):
            return passes.accumulate()


class NewSearch(EarlyRobustSearch):
    name = "new-search"


class NewAttack(TextBugger):
    name = "new-attack"
    description = "a new attack"


@pytest.fixture(autouse=True)
def _entries(monkeypatch: pytest.MonkeyPatch) -> None:
    family = dataclasses.replace(FAMILIES["bert"], model_type="new-family")
    task = dataclasses.replace(TASKS["builtin"], name="new-task", description="a new task")
    experiment = dataclasses.replace(EXPERIMENTS["table1"], title="a new experiment")
    method = Method("a new method", search="new-search", adversary="nudge,direction=down,limit=none")
    for table, name, entry in [
        (FAMILIES, "new-family", family),
        (ADVERSARIES, "nudge", Nudge),
        (SEARCHES, "new-search", NewSearch),
        (ATTACKS, "new-attack", NewAttack),
        (TASKS, "new-task", task),
        (METHODS, "new-method", method),
        (EXPERIMENTS, "new-experiment", experiment),
        (launchers.LAUNCHERS, "new-launcher", launchers.LAUNCHERS["local"]),
    ]:
        monkeypatch.setitem(table, name, entry)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("methods", "new-method", "not measured"),
        ("attacks", "new-attack", "a new attack"),
        ("tasks", "new-task", "a new task"),
        ("families", "new-family", "new-family"),
        ("experiments", "new-experiment", "a new experiment"),
    ],
)
def test_a_new_entry_is_listed(kind: str, name: str, told: str) -> None:
    line = next(line for line in call("list", kind).out.splitlines() if line.startswith(name))
    assert told in line


def test_a_new_method_is_made_of_a_new_search_and_a_new_adversary() -> None:
    recipe = Recipe.of(RunConfig(method="new-method", task="new-task").resolved())
    assert recipe.search is NewSearch
    assert isinstance(recipe.adversary, Nudge)
    assert recipe.adversary.config == NudgeConfig(direction="down")


def test_a_new_attack_a_new_family_and_a_new_launcher_are_found(tmp_path: Path) -> None:
    (attack,) = build_attacks(RunConfig(attack=("new-attack",), nltk_data=None).resolved())
    assert isinstance(attack, NewAttack)
    config = tiny.classifier().config
    config.model_type = "new-family"
    assert family_of(config).model_type == "new-family"
    plan = CompareConfig(
        methods=("new-method",), task="new-task", launcher="new-launcher", output=tmp_path / "grid", attack=()
    )
    check_comparison(plan.resolved())
    with pytest.raises(ConfigError, match=r"no launcher 'slurm': choose from local, ray, new-launcher\.$"):
        check_comparison(plan.model_copy(update={"launcher": "slurm"}).resolved())


def test_a_new_adversary_trains(tmp_path: Path) -> None:
    model = tiny.classifier()
    up, _ = tiny.step(tmp_path, model, tiny.batch(4), Nudge(size=0.5))
    down, _ = tiny.step(tmp_path, tiny.classifier(), tiny.batch(4), Nudge(size=0.5, direction="down"))
    assert up.isfinite()
    assert up != down


@pytest.mark.parametrize(
    ("setting", "value", "called"),
    [
        ("direction", 3, "text"),
        ("direction", None, "text"),
        ("size", "0.1", "a number"),
        ("size", True, "a number"),
        ("limit", "much", "a number or None"),
        ("norm", "l3", r"Literal\[.*\]"),
        ("layers", 3, r"tuple\[int, \.\.\.\]"),
    ],
)
def test_settings_of_any_type_are_checked(setting: str, value: Any, called: str) -> None:
    with pytest.raises(ConfigError, match=rf"^NudgeConfig: {setting} is .*, but must be {called}\.$"):
        Nudge(**{setting: value})
