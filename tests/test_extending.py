"""One new entry in each table is all that it takes: the command line, recipes and checks pick it up."""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tiny
import torch
from conftest import QUICK, call
from torch import Tensor
from transformers import AutoConfig, AutoModelForSequenceClassification

from earlyrobust import Ticket, masked, prune, register_family
from earlyrobust.adversarial import ADVERSARIES, Adversary, AdversaryConfig
from earlyrobust.adversarial.perturbation import Perturbation
from earlyrobust.attacks import ATTACKS, TextBugger
from earlyrobust.data.tasks import TASKS
from earlyrobust.errors import ConfigError, ModelError
from earlyrobust.experiments import launchers
from earlyrobust.experiments.grid import check_comparison
from earlyrobust.experiments.paper import EXPERIMENTS
from earlyrobust.extensions import find_class
from earlyrobust.families import FAMILIES, family_of
from earlyrobust.families import table as family_table
from earlyrobust.options.comparison import CompareConfig
from earlyrobust.options.methods import METHODS, Method
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline.adversaries import make_adversary
from earlyrobust.pipeline.attacks import build_attacks
from earlyrobust.pipeline.foreign import blaming
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.results import AttackReport, RunRecord
from earlyrobust.search import SEARCHES, EarlyRobustSearch

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "extending.md"


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
    """a new attack"""

    name = "new-attack"


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


def examples() -> dict[str, tuple[str, list[str]]]:
    """The code and the command of each part of the page, by its heading."""
    parts = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    found = {}
    for part in parts:
        heading = part.splitlines()[0]
        code = re.findall(r"^```python\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
        lines = re.findall(r"^```sh\nearlyrobust (.*?)\n```", part, re.MULTILINE | re.DOTALL)
        found[heading] = ("".join(code), [word for line in lines for word in shlex.split(line)])
    return found


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the whole file of the page, in which commands run."""
    code = "".join(code for heading, (code, _) in examples().items() if heading != "A family")
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("mine", None)


@pytest.mark.slow
def test_the_page_s_adversary_search_and_attack_work_from_the_command_line(
    mine: Path, encoder: Path, reviews: Path
) -> None:
    data = ("--model", encoder, "--train-file", reviews, "--no-dense", *QUICK)
    adversary, search, attack = (examples()[name][1] for name in ("An adversary", "A search", "An attack"))
    done = call(*adversary, *data, "--no-attack")
    assert done.code == 0, done.err
    record = RunRecord.load(mine / "runs" / "random-step")
    assert record.config["adversary"] == "mine:RandomStep,length=0.2"
    done = call(*search, *data)
    assert done.code == 0, done.err
    found = Ticket.from_pretrained(mine / "runs" / "sparse" / "ticket")
    assert found.origin["method"] == "sparse"
    assert found.origin["search"]["head_penalty"] == 1e-3
    done = call(*attack, "--examples", 4, "--fail-under", "mine:DoubledLetters=100", "--scrutiny")
    assert done.code == 3, done.err
    report = AttackReport.load(mine / "runs" / "doubled")
    assert list(report.attacks) == ["doubled-letters", "textbugger"]
    assert "Aua% under doubled-letters" in done.err
    assert (mine / "runs" / "doubled" / "doubled-letters.jsonl").is_file()


def test_the_page_s_adversary_takes_steps_of_its_length(mine: Path, tmp_path: Path) -> None:
    kind = find_class("adversary", "mine:RandomStep", ADVERSARIES, Adversary)
    lengths = []

    class Seen:
        def accumulate(self) -> Tensor:
            lengths.append((embedding(tokens) - embedding.weight[tokens]).norm(dim=-1))
            return torch.zeros(())

    embedding = torch.nn.Embedding(10, 4)
    tokens, mask = torch.arange(6).view(2, 3), torch.tensor([[1, 1, 1], [1, 1, 0]])
    perturbation = Perturbation(embedding, mask)
    kind(length=0.2)._step(perturbation, Seen())  # type: ignore[arg-type]
    assert torch.allclose(lengths[0], 0.2 * mask.float(), atol=1e-6)


def test_the_page_s_family_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FAMILIES, "new-family")  # which transformers does not have
    monkeypatch.setitem(FAMILIES, "ernie", FAMILIES["bert"])  # taken away at the end
    exec(examples()["A family"][0], {})
    config = AutoConfig.for_model(
        "ernie",
        num_hidden_layers=2,
        hidden_size=16,
        num_attention_heads=4,
        intermediate_size=24,
        vocab_size=30,
    )
    model = AutoModelForSequenceClassification.from_config(config).eval()
    heads, neurons = np.ones((2, 4), bool), np.ones((2, 24), bool)
    heads[0, 1] = neurons[1, 3] = False
    ticket = Ticket("ernie", heads, neurons)
    tokens = torch.randint(1, 30, (2, 7))
    with masked(model, ticket), torch.no_grad():
        expected = model(tokens).logits
    with torch.no_grad():
        torch.testing.assert_close(prune(model, ticket)(tokens).logits, expected)


def test_a_family_that_cannot_be_loaded_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    points = {name: EntryPoint(name, value, "") for name, value in {"a": "nowhere:A", "b": "os:sep"}.items()}
    monkeypatch.setattr(family_table, "installed", lambda kind: points)
    before = list(FAMILIES)
    family_table._register_installed()
    assert list(FAMILIES) == before
    assert [record.getMessage().split(" cannot")[0] for record in caplog.records] == [
        "The family 'a' (nowhere:A)",
        "The family 'b' (os:sep)",
    ]


BROKEN = """
import abc
from earlyrobust.adversarial import Adversary, AdversaryConfig
from earlyrobust.attacks.swaps import Swaps
from earlyrobust import EarlyRobustSearch, TextBugger, WordSwapAttack
class Unfinished(Adversary):
    def cost(self, layers):
        return 1
class Anonymous(TextBugger):
    pass
class Outside(TextBugger):
    name = "../outside"
class Three(TextBugger):
    name = 3
class Constructed(TextBugger):
    name = "constructed"
    def __init__(self, resources):
        raise ValueError("no attack today.")

class Good(Adversary):
    Config = AdversaryConfig
    def cost(self, layers):
        return 1
    def _step(self, perturbation, passes):
        return passes.accumulate()
class Prepared(Good):
    def prepare(self, tokenizer, resources):
        pass
class Unprepared(Good):
    def prepare(self, tokenizer, resources):
        raise KeyError("word")
class Raising(Good):
    def _step(self, perturbation, passes):
        return passes.missing
class Lossless(Good):
    def _step(self, perturbation, passes):
        passes.accumulate()
class Floating(Good):
    def _step(self, perturbation, passes):
        return float(passes.accumulate())
class Idle(Good):
    def _step(self, perturbation, passes):
        return passes.tokens.sum()
class Costly(Good):
    def cost(self, layers):
        return "much"
class Made(Good):
    def __init__(self, **settings):
        raise ValueError("no adversary today.")
class Narrow(Good):
    def __init__(self, length):
        super().__init__()
class Bare(Adversary):
    cost, _step = Good.cost, Good._step

class Inherited(EarlyRobustSearch):
    pass
class Taken(EarlyRobustSearch):
    name = "random"
class Failing(EarlyRobustSearch):
    name = "failing"
    def _draw(self, origin):
        raise RuntimeError("no ticket today.")
class Empty(EarlyRobustSearch):
    name = "empty"
    def _draw(self, origin):
        pass
class Unset(EarlyRobustSearch):
    name = "unset"
    Config = None

class Letters(Swaps):
    def words(self, word, random):
        return "abc"
class Numbers(Swaps):
    def words(self, word, random):
        return [1, 2]
class Nothing(Swaps):
    def words(self, word, random):
        pass
class Wordless(Swaps):
    def words(self, word, random):
        raise LookupError("no word today.")
class ByLetters(WordSwapAttack):
    name = "by-letters"
    swaps = Letters
    def __init__(self, resources=None):
        super().__init__(swaps=self.swaps(), constraints=[], stop_words=frozenset(), ranking="delete")
class ByNumbers(ByLetters):
    name, swaps = "by-numbers", Numbers
class ByNothing(ByLetters):
    name, swaps = "by-nothing", Nothing
class ByWordless(ByLetters):
    name, swaps = "by-wordless", Wordless
"""


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--adversary", "nowhere:RandomStep"), "cannot be imported (ModuleNotFoundError: No module named"),
        (("--adversary", "mine:Missing"), "The module 'mine' has no 'Missing'"),
        (("--adversary", "mine:DoubledLetters"), "is no adversary: it must be a class derived from earlyrob"),
        (("--adversary", "mine:RandomStep,size=1"), "has no setting 'size': choose from length"),
        (("--adversary", "mine:RandomStep,length=-1"), "length is -1"),
        (("--adversary", "fgm"), "no adversary 'fgm': choose one of pgd"),
        (("--adversary", "broken:Unfinished"), "does not have all methods of its kind: write _step"),
        (("--search", "mine:RandomStep"), "is no search: it must be a class derived from"),
        (("--search", "other"), "no search 'other': choose one of earlyrobust"),
        (("--attack", "mine:RandomStep"), "is no attack: it must be a class derived from"),
        (("--attack", "broken:Anonymous"), "has the name 'textbugger', by which records tell attacks apart"),
        (("--attack", "broken:Outside"), "has the name '../outside'"),
        (("--attack", "broken:Three"), "has the name 3, by which records tell attacks apart"),
        (
            ("--attack", "broken:Constructed"),
            "broken:Constructed.__init__ (line 18 of {file}) fails (ValueError: no attack today): correct it",
        ),
        (
            ("--adversary", "broken:Prepared"),
            "prepare of broken:Prepared returned NoneType, but must return an Adversary.",
        ),
        (
            ("--adversary", "broken:Unprepared"),
            "broken:Unprepared.prepare (line 31 of {file}) fails (KeyError",
        ),
        (("--adversary", "broken:Costly"), "cost of broken:Costly returned str, but must return a number."),
        (("--adversary", "broken:Made"), "fails (ValueError: no adversary today): correct it"),
        (
            ("--adversary", "broken:Narrow"),
            "broken:Narrow.__init__ fails (TypeError: Narrow.__init__() missing 1 required positional",
        ),
        (
            ("--adversary", "broken:Bare"),
            "broken:Bare.__init__ fails (AttributeError: 'Bare' object has no a",
        ),
        (
            ("--search", "broken:Inherited"),
            "The search 'broken:Inherited' has the name 'earlyrobust', by which records tell searches apart",
        ),
        (("--search", "broken:Taken"), "has the name 'random', by which records tell searches apart"),
        (("--search", "broken:Unset"), "broken:Unset.Config fails (TypeError"),
        (("--attack", "mine:DoubledLetters,mine:DoubledLetters"), ""),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(
    mine: Path, encoder: Path, reviews: Path, options: tuple[str, ...], sentence: str
) -> None:
    (mine / "broken.py").write_text(BROKEN, encoding="utf-8")
    if not sentence:  # a name twice is the same attack
        config = RunConfig.parse({"attack": options[1]})
        assert len(build_attacks(config)) == 1
        return
    done = call("run", "--model", encoder, "--train-file", reviews, "--output", mine / "run", *options)
    sys.modules.pop("broken", None)
    told = sentence.format(file=mine / "broken.py")
    assert (done.code, told in done.err, "Traceback" in done.err) == (2, True, False), done.err
    assert not (mine / "run").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--adversary", "Raising"), "broken:Raising._step (line {line} of {file}) fails (AttributeError: "),
        (("--adversary", "Lossless"), "_step of broken:Lossless returned NoneType, but must return the loss"),
        (("--adversary", "Floating"), "_step of broken:Floating returned float, but must return the loss"),
        (("--adversary", "Idle"), "The weights of the passes of broken:Idle add up to 0: let those of"),
        (("--search", "Failing"), "broken:Failing._draw (line {line} of {file}) fails (RuntimeError: no ti"),
        (("--search", "Empty"), "run of broken:Empty returned NoneType, but must return a Ticket or a Weigh"),
        (("--attack", "ByLetters"), "broken:Letters proposed 'abc' for a word, but must propose a list of w"),
        (("--attack", "ByNumbers"), "broken:Numbers proposed [1, 2] for a word, but must propose a list of"),
        (("--attack", "ByNothing"), "broken:Nothing proposed None for a word, but must propose a list of"),
        (("--attack", "ByWordless"), "broken:Wordless.words (line {line} of {file}) fails (LookupError: no"),
    ],
)
def test_what_fails_at_work_is_said_in_a_sentence(
    mine: Path, encoder: Path, reviews: Path, options: tuple[str, str], sentence: str
) -> None:
    (mine / "broken.py").write_text(BROKEN, encoding="utf-8")
    name, kind = options
    plain = () if name == "--search" else ("--method", "finetune")
    rest = ("--examples", 5) if name == "--attack" else ("--no-attack",)
    short = ("--epochs", "0.2", "--search-epochs", "0.3", "--search-adversary", "none", "--no-dense")
    given = ("--model", encoder, "--train-file", reviews, "--output", mine / "run", *short)
    done = call("run", *given, *plain, *rest, name, f"broken:{kind}")
    sys.modules.pop("broken", None)
    assert done.code == 2, done.err
    wanted = re.escape(sentence).replace(r"\{line\}", r"\d+")
    wanted = wanted.replace(r"\{file\}", re.escape(str(mine / "broken.py")))
    assert re.search(wanted, done.err), done.err


def test_an_error_of_ours_is_not_blamed_on_a_class_of_the_user() -> None:
    class Foreign:
        def call(self) -> None:
            raise MemoryError

    def ours() -> None:
        raise KeyError("x")

    for kinds in ((), (None,), (EarlyRobustSearch,)):
        with pytest.raises(KeyError), blaming(*kinds):
            ours()
    with pytest.raises(MemoryError), blaming(Foreign):
        Foreign().call()
    with pytest.raises(ModelError, match=r"^as it is$"), blaming(Foreign):
        raise ModelError("as it is")
    with pytest.raises(KeyError), blaming(type("Other", (), {"__module__": "other"})):
        ours()
    here = r"ours \(line .*\) fails \(KeyError: 'x'\): correct it"
    with pytest.raises(ConfigError, match=here) as caught, blaming(Foreign):
        ours()
    assert isinstance(caught.value.__cause__, KeyError)


def test_installed_packages_have_short_names(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = mine / "mine-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n", encoding="utf-8")
    lines = PAGE.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0].splitlines()
    points = [
        line.replace('[project.entry-points."', "[").replace('"]', "]").replace('"', "") for line in lines
    ]
    (package / "entry_points.txt").write_text("\n".join(points), encoding="utf-8")
    monkeypatch.syspath_prepend(str(mine))
    recipe = Recipe.of(RunConfig(adversary="random-step,length=0.3", search="sparse").resolved())
    assert type(recipe.adversary).__name__ == "RandomStep"
    assert recipe.search is not None
    assert recipe.search.__name__ == "SparseSearch"
    (attack,) = build_attacks(RunConfig(attack=("doubled-letters",)).resolved())
    assert attack.name == "doubled-letters"
    assert "doubled-letters" in call("list", "attacks").out
    with pytest.raises(ConfigError, match="random-step, none, or name an adversary of your own"):
        make_adversary("fgm")
    (mine / "mine.py").write_text("ERNIE = 'no family'\n", encoding="utf-8")
    sys.modules.pop("mine", None)
    with pytest.raises(ConfigError, match=r"'random-step \(mine:RandomStep\)' cannot be imported"):
        make_adversary("random-step")


def test_a_family_without_a_classifier_is_refused() -> None:
    unknown = dataclasses.replace(FAMILIES["bert"], model_type="splinter")
    with pytest.raises(ModelError, match=r"knows no sequence classifier of the model type 'splinter'"):
        register_family(unknown)
    assert "splinter" not in FAMILIES
