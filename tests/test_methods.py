"""Every method from end to end, from one table, and the parts that can be exchanged."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import QUICK, Outcome, call, write_reviews
from safetensors.numpy import load_file
from tiny import Interrupt
from transformers import AutoModelForSequenceClassification, TrainerCallback

from earlyrobust import pipeline
from earlyrobust.errors import ConfigError, OutputError
from earlyrobust.families import family_of
from earlyrobust.options.methods import METHODS
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline import checkpointing, training
from earlyrobust.pipeline.method_costs import measured_costs
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.pruning import is_cut
from earlyrobust.results import RunRecord
from earlyrobust.search import SEARCHES
from earlyrobust.tickets.ticket import Ticket
from earlyrobust.tickets.weight_ticket import WeightTicket
from earlyrobust.workspace.observer import Observer

every_method = pytest.mark.parametrize("name", METHODS)

# Searches that the options of a test make short.
SHORT = ("--draw-after", "0.5", "--no-attack")


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("few") / "few.csv", 80)


@pytest.fixture(scope="module")
def run(encoder: Path, few: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs a method with some options, each once, and gives its folder and how it ended."""
    done: dict[tuple[Any, ...], tuple[Path, Outcome]] = {}

    def once(*options: str) -> tuple[Path, Outcome]:
        if options not in done:
            folder = tmp_path_factory.mktemp("methods") / "run"
            places = ("--model", encoder, "--train-file", few, "--output", folder)
            search = () if "--search-adversary" in options else QUICK[6:8]
            done[options] = folder, call("run", *places, *QUICK[:6], *search, *QUICK[8:], *SHORT, *options)
        return done[options]

    return once


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model" / "model.safetensors")


@every_method
def test_a_method_trains_from_the_command_line(run: Any, name: str) -> None:
    folder, outcome = run("--method", name)
    assert outcome.code == 0, outcome
    record = RunRecord.load(folder)
    method = METHODS[name]
    assert record.method == record.config["method"] == name
    assert (record.dense is None) == (name == "finetune")
    assert (folder / "dense").is_dir() == (record.dense is not None)
    assert (folder / "ticket").is_dir() == (method.search is not None)
    model = AutoModelForSequenceClassification.from_pretrained(folder / "model")
    assert is_cut(model) == (record.ticket is not None) == (method.search in ("earlybert", "earlyrobust"))
    assert (record.weights is not None) == (name == "robust-ticket")
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
    assert not any("adversary" in key or "parametrizations" in key for key in weights_of(folder))
    assert (name if method.search is None else "ticket") in outcome.out
    # Of the test's options those about a search are idle where there is none.
    assert ("This method does not use " in outcome.out) == (method.search in (None, "robust-ticket"))


@every_method
def test_a_method_that_perturbs_trains_another_model_than_fine_tuning(run: Any, name: str) -> None:
    if name == "finetune":
        pytest.skip("it is fine-tuning")
    # So short a training never comes down to flooding's usual level.
    level = ("--adversary", "flooding,level=5") if name == "flooding" else ()
    plain, other = weights_of(run("--method", "finetune")[0]), weights_of(run("--method", name, *level)[0])
    assert any(
        plain[key].shape != other[key].shape or not np.array_equal(plain[key], other[key]) for key in plain
    )


def test_the_dense_model_of_a_run_is_that_of_finetune(run: Any) -> None:
    dense = load_file(run("--method", "pgd")[0] / "dense" / "model.safetensors")
    plain = weights_of(run("--method", "finetune")[0])
    assert all(np.array_equal(dense[key], plain[key]) for key in plain)


def test_a_robust_ticket_s_zeros_outlast_the_training(run: Any) -> None:
    folder, _ = run("--method", "robust-ticket")
    ticket, weights = WeightTicket.from_pretrained(folder / "ticket"), weights_of(folder)
    assert ticket.weights - ticket.kept == round(0.3 * ticket.weights)
    for name, mask in ticket.masks.items():
        assert not weights[name][~mask].any()
        assert np.count_nonzero(weights[name][mask]) > 0.99 * mask.sum()
    assert RunRecord.load(folder).weights.kept == ticket.kept  # type: ignore[union-attr]


class Interrupted(Observer):
    """Interrupts the last stage of training."""

    def __init__(self, step: int) -> None:
        self._step = step
        self._title = ""

    def stage(self, title: str) -> Any:
        self._title = title
        return super().stage(title)

    def callbacks(self) -> list[Any]:
        return [] if "dense" in self._title else [Interrupt(self._step)]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "earlyrobust"])
def test_an_interrupted_method_ends_as_if_it_had_not_been(
    name: str, run: Any, encoder: Path, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    monkeypatch.setattr(checkpointing, "STEPS_BETWEEN_LOGS", 1)
    expected, _ = run("--method", name)
    config = RunConfig.build({"output": tmp_path / "run"}, expected / "config.yaml")
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(config, Interrupted(step=4))
    record = pipeline.run(config)
    weights, others = weights_of(tmp_path / "run"), weights_of(expected)
    assert all(np.array_equal(weights[key], others[key]) for key in others)
    assert record.model == RunRecord.load(expected).model


# --- exchanging parts --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_random_ticket_has_the_same_size_and_is_seeded(run: Any) -> None:
    tickets = [
        Ticket.from_pretrained(run("--search", search, "--seed", seed)[0] / "ticket")
        for search, seed in (("earlyrobust", "0"), ("random", "0"), ("random", "1"))
    ]
    assert len({(ticket.heads.sum(), ticket.neurons.sum()) for ticket in tickets}) == 1
    assert len({ticket.fingerprint for ticket in tickets}) == 3
    assert tickets[1].trace is None
    assert tickets[1].origin["method"] == "random"


@pytest.mark.slow
def test_the_structure_alone_starts_from_other_weights(run: Any, encoder: Path) -> None:
    # The encoder is random itself, of another seed than these.
    (pretrained, _), (random, outcome) = (run("--seed", "1"), run("--seed", "1", "--start", "random"))
    assert outcome.code == 0
    one, other, before = weights_of(pretrained), weights_of(random), load_file(encoder / "model.safetensors")
    assert [(key, weight.shape) for key, weight in one.items()] == [
        (key, weight.shape) for key, weight in other.items()
    ]
    embeddings = next(key for key in one if key.endswith("word_embeddings.weight"))
    given = before[embeddings.removeprefix("bert.")]  # an encoder alone has no prefix
    moved, replaced = (np.abs(weights[embeddings] - given).mean() for weights in (one, other))
    assert replaced > 20 * moved


def test_refilling_keeps_the_full_structure(run: Any, encoder: Path) -> None:
    folder, outcome = run("--start", "refilled")
    assert outcome.code == 0
    model = AutoModelForSequenceClassification.from_pretrained(folder / "model")
    dense = AutoModelForSequenceClassification.from_pretrained(folder / "dense")
    assert not is_cut(model)
    assert family_of(model.config).dimensions(model.config) == family_of(dense.config).dimensions(
        dense.config
    )
    record = RunRecord.load(folder)
    assert record.ticket is not None
    assert record.speed is None
    assert record.model.parameters == record.dense.parameters  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "options",
    [
        ("--search-adversary", "none"),
        ("--search-adversary", "pgd,steps=1"),
        ("--head-penalty", "0", "--neuron-penalty", "0"),
        ("--neuron-penalty", "0.01"),
        ("--head-scope", "layerwise"),
        ("--neuron-scope", "layerwise"),
        ("--search", "earlybert"),
    ],
    ids=" ".join,
)
def test_an_option_of_the_search_changes_the_ticket(run: Any, options: tuple[str, ...]) -> None:
    usual, other = (
        Ticket.from_pretrained(run(*given)[0] / "ticket") for given in (("--method", "earlyrobust"), options)
    )
    if "layerwise" not in options:  # such a mask may be the usual one by chance
        assert not np.array_equal(usual.neuron_scores, other.neuron_scores) or (
            usual.fingerprint != other.fingerprint
        )
    else:
        part = options[0].removeprefix("--").replace("-", "_")
        assert (usual.origin["search"][part], other.origin["search"][part]) == ("global", "layerwise")
        kept = other.heads_per_layer if options[0] == "--head-scope" else other.neurons_per_layer
        assert max(kept) - min(kept) <= 1


def test_a_ticket_can_be_fine_tuned_under_an_adversary(
    run: Any, encoder: Path, few: Path, tmp_path: Path
) -> None:
    plain, _ = run("--method", "earlyrobust")
    both, outcome = run("--adversary", "freelb,steps=2")
    assert outcome.code == 0
    assert (
        Ticket.from_pretrained(plain / "ticket").fingerprint
        == Ticket.from_pretrained(both / "ticket").fingerprint
    )
    assert not np.array_equal(*(weights_of(place)["classifier.weight"] for place in (plain, both)))
    again = call(
        *("finetune", "--ticket", plain, "--model", encoder, "--train-file", few, *QUICK[:6], "--no-attack"),
        *("--adversary", "freelb,steps=2", "--output", tmp_path / "again"),
    )
    assert again.code == 0, again
    finetuned = weights_of(tmp_path / "again")
    assert all(np.array_equal(weight, finetuned[key]) for key, weight in weights_of(both).items())


def test_a_robust_ticket_is_searched_and_fine_tuned_in_two_commands(
    run: Any, encoder: Path, few: Path, tmp_path: Path
) -> None:
    whole, _ = run("--method", "robust-ticket")
    places = ("--model", encoder, "--train-file", few)
    found = call(
        *("search", "--method", "robust-ticket", *places, "--output", tmp_path / "ticket"),
        *(*QUICK[2:6], "--search-adversary", "freelb,steps=2"),
    )
    assert found.code == 0, found
    assert "weights" in found.out
    trained = call(
        *("finetune", "--ticket", tmp_path / "ticket", *places, "--output", tmp_path / "tuned"),
        *(*QUICK[:6], "--no-attack"),
    )
    assert trained.code == 0, trained
    weights = weights_of(tmp_path / "tuned")
    mask = WeightTicket.from_pretrained(tmp_path / "ticket" / "ticket").masks
    assert not any(weights[name][~kept].any() for name, kept in mask.items())
    assert WeightTicket.from_pretrained(whole / "ticket").masks.keys() == mask.keys()


def test_a_method_without_a_ticket_cannot_be_searched(encoder: Path, few: Path, tmp_path: Path) -> None:
    outcome = call(
        "search", "--method", "pgd", "--model", encoder, "--train-file", few, "--output", tmp_path / "x"
    )
    assert outcome.code == 2
    assert "'pgd' has no ticket" in outcome.err
    assert not (tmp_path / "x").exists()


def tuned(*options: Any) -> tuple[Path, str]:
    """Fine-tune a ticket by the command line, and return the folder and what the command told."""
    outcome = call("finetune", "--no-attack", *QUICK[:6], *options)
    assert outcome.code == 0, outcome
    return Path(options[options.index("--output") + 1]), " ".join(outcome.out.split())


@pytest.mark.parametrize("method", ["pgd", "earlyrobust-noise", "robust-ticket"])
def test_a_ticket_is_trained_without_what_a_file_says_of_methods_and_searches(
    method: str, run: Any, encoder: Path, few: Path, tmp_path: Path
) -> None:
    ticket = run("--method", "earlyrobust")[0]
    places = ("--ticket", ticket, "--model", encoder, "--train-file", few)
    (tmp_path / "file.yaml").write_text(
        f"method: {method}\nheads: 0.5\nsearch: earlybert\ngamma: 0.3\n", encoding="utf-8"
    )
    plain, _ = tuned(*places, "--output", tmp_path / "plain")
    by_file, told = tuned(*places, "--config", tmp_path / "file.yaml", "--output", tmp_path / "file")
    one, other = weights_of(plain), weights_of(by_file)
    assert all(np.array_equal(weight, other[name]) for name, weight in one.items())
    assert "these options are not used: method, heads, search, gamma." in told
    config = RunRecord.load(by_file).config
    left = RunRecord.load(plain).config
    assert {**config, "output": None} == {**left, "output": None}
    # The file that the fine-tuning has written says nothing that it does not use.
    _, again = tuned("--ticket", ticket, "--config", by_file / "config.yaml", "--output", by_file)
    assert "not used" not in again


def test_the_file_of_a_run_is_good_for_its_ticket(run: Any, tmp_path: Path) -> None:
    folder, _ = run("--method", "earlyrobust", "--heads", "0.5")
    place, told = tuned(*("--ticket", folder, "--config", folder / "config.yaml", "--output", tmp_path / "x"))
    # The ticket has the heads of the file.
    idle = "search_adversary, miniepoch, miniepoch_min_steps, draw_after"
    assert f"these options are not used: {idle}." in told
    assert RunRecord.load(place).config["heads"] == pytest.approx(0.5)


@pytest.mark.parametrize("ticket", ["earlyrobust", "robust-ticket"])
def test_a_ticket_is_trained_without_the_announcement_of_a_search(
    ticket: str, run: Any, encoder: Path, few: Path, tmp_path: Path
) -> None:
    places = ("--ticket", run("--method", ticket)[0], "--model", encoder, "--train-file", few)
    _, told = tuned(*places, "--output", tmp_path / "plain")
    assert "times the passes" not in told
    assert "Search and training" not in told
    _, told = tuned(*places, "--adversary", "freelb,steps=2", "--output", tmp_path / "freelb")
    assert "The training takes 2.0 times the passes of plain fine-tuning" in told


def test_a_ticket_over_weights_says_that_it_does_not_start_at_random(
    run: Any, encoder: Path, few: Path, tmp_path: Path
) -> None:
    places = ("--ticket", run("--method", "robust-ticket")[0], "--model", encoder, "--train-file", few)
    plain, _ = tuned(*places, "--output", tmp_path / "plain")
    place, told = tuned(*places, "--start", "random", "--output", tmp_path / "x")
    assert "single weights to zero, so --start random has no effect" in told
    assert RunRecord.load(place).config["start"] is None
    assert all(np.array_equal(one, weights_of(plain)[name]) for name, one in weights_of(place).items())


def test_a_search_alone_has_a_limit_of_its_own(
    encoder: Path, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--method", "earlyrobust-noise", "--model", encoder, "--train-file", few, "--batch-size", 8)
    done = call("search", *options, "--search-epochs", 4, "--output", "long")
    assert done.code == 0, done
    trace = Ticket.from_pretrained(tmp_path / "long" / "ticket").trace
    assert trace is not None
    assert trace.epochs == 4
    assert "its limit: the masks have not settled" in done.out
    assert "raise --search-epochs or lower --miniepoch-min-steps" in done.out
    assert not set(re.findall(r"--[a-z-]+", done.out)) - _flags_of_search() - {"--ticket"}
    short = ("--search-epochs", "0.5", "--start", "continued")
    done = call("search", *options, *short, "--output", "short")
    assert done.code == 0, done
    assert "This search does not use --start." in done.out
    # The limit of a run is that of search and fine-tuning together.
    done = call("run", *options, "--epochs", 3, "--search-epochs", 4, "--no-attack", "--output", "run")
    assert done.code == 2
    assert "may take 4 epochs, but it and the fine-tuning have 3 together: raise --epochs" in done.err


def _flags_of_search() -> set[str]:
    return set(re.findall("--[a-z-]+", call("search", "--help").out))


# --- recipes -----------------------------------------------------------------------------------------------


@every_method
def test_a_recipe_is_what_the_method_says(name: str) -> None:
    recipe = Recipe.of(RunConfig(method=name))
    method = METHODS[name]
    assert recipe.search is (None if method.search is None else SEARCHES[method.search])
    assert type(recipe.adversary).__name__.lower() == (method.adversary or "nonetype")
    assert recipe.is_plain == (name == "finetune")


def test_a_recipe_takes_settings_from_options() -> None:
    options = {
        "adversary": "freelb,steps=2,share_dropout=true",
        "search_adversary": "pgd, bound=0.5",
        "gamma": 0.3,
    }
    recipe = Recipe.of(RunConfig(method="earlyrobust", head_penalty=0.5, draw_after=0.25, **options))
    assert recipe.adversary is not None
    assert recipe.search_adversary is not None
    assert (recipe.adversary.config.steps, recipe.adversary.config.share_dropout) == (2, True)  # type: ignore[attr-defined]
    assert recipe.search_adversary.config.to_dict()["bound"] == 0.5
    config = recipe.search_config
    assert (config.head_penalty, config.neuron_penalty, config.gamma, config.draw_after) == (
        0.5,
        2e-4,
        0.3,
        0.25,
    )
    assert Recipe.of(RunConfig(search="earlybert", draw_after=0)).search_config.draw_after is None
    assert Recipe.of(RunConfig(search="earlybert")).search_config.draw_after == 0.2


@pytest.mark.parametrize(
    ("options", "idle"),
    [
        ({"method": "finetune", "heads": 0.5, "start": "random"}, ["heads", "start"]),
        ({"method": "pgd", "neurons": 0.5, "search_adversary": "pgd"}, ["neurons", "search_adversary"]),
        ({"method": "robust-ticket", "heads": 0.5, "weights": 0.5, "start": "random"}, ["heads", "start"]),
        ({"method": "robust-ticket", "search_epochs": 2, "patience": 3}, ["patience"]),
        (
            {"method": "earlyrobust", "weights": 0.5, "heads": 0.5, "gamma": 0.2, "start": "random"},
            ["weights"],
        ),
        ({"method": "earlyrobust", "draw_after": 0.2, "search_epochs": 2}, ["search_epochs"]),
        ({"method": "earlybert", "search_epochs": 2, "patience": 3}, ["patience", "search_epochs"]),
        ({"search": "random", "heads": 0.5, "head_scope": "layerwise", "gamma": 0.2}, ["gamma"]),
        *(({"method": name}, []) for name in METHODS),
    ],
)
def test_knows_the_options_without_an_effect(options: dict[str, Any], idle: list[str]) -> None:
    config = RunConfig.build(options)
    assert Recipe.of(config).idle_options(config) == idle


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"adversary": "fgsm"}, "'fgsm'"),
        ({"adversary": "freelb,radius=1"}, "radius"),
        ({"adversary": "freelb,steps=0"}, "steps is 0"),
        ({"adversary": "freelb,steps=2.5"}, "steps is 2.5"),
        ({"search": "nowhere"}, "'nowhere'"),
        ({"search_adversary": "freelb,steps"}, "but it must be a name and settings"),
        ({"search_adversary": "freeat"}, "FreeAT trains on every batch 3 times"),
        ({"search_adversary": "freelb,steps=many"}, "steps is 'many', but must be a whole number"),
        ({"draw_after": -1}, "--draw-after"),
        ({"start": "later"}, "--start"),
        ({"head_scope": "local"}, "--head-scope"),
        ({"weights": 1.0}, "--weights"),
    ],
    ids=str,
)
def test_what_a_recipe_cannot_be_made_of_is_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as error:
        Recipe.of(RunConfig.parse(options))
    assert named in str(error.value)
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


# --- costs -------------------------------------------------------------------------------------------------


@every_method
def test_the_passes_listed_are_those_of_the_code(name: str) -> None:
    recipe, cost = Recipe.of(RunConfig(method=name)), measured_costs().methods.get(name)
    if cost is None:
        pytest.skip("its cost has not been measured")

    def passes(adversary: Any) -> float:
        return 1.0 if adversary is None else adversary.cost(layers=6)

    assert cost.training.passes == pytest.approx(passes(recipe.adversary), abs=1e-3)
    assert (cost.search is None) == (recipe.search is None)
    if cost.search is not None:
        assert cost.search.passes == pytest.approx(passes(recipe.search_adversary), abs=1e-3)


def test_methods_are_listed_with_their_costs() -> None:
    listed = call("list", "methods").out
    costs = measured_costs()
    for name, cost in costs.methods.items():
        line = next(line for line in listed.splitlines() if line.startswith(name))
        assert f"{cost.training.passes:.1f} / {cost.training.time:.1f}" in line
    assert costs.measured_on in " ".join(listed.split())


def test_a_ticket_may_start_from_the_weights_of_its_search(
    encoder: Path, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: dict[str, torch.Tensor] = {}
    started: dict[str, torch.Tensor] = {}

    def search(model: Any, *args: Any) -> Any:
        found = training.search_ticket(model, *args)
        searched.update({key: weight.clone() for key, weight in model.state_dict().items()})
        return found

    def train(model: Any, *args: Any) -> float:
        started.update({key: weight.clone() for key, weight in model.state_dict().items()})
        return training.train_classifier(model, *args)

    monkeypatch.setattr("earlyrobust.pipeline.stages.search_ticket", search)
    monkeypatch.setattr("earlyrobust.pipeline.stages.train_classifier", train)
    options = {
        "model": str(encoder),
        "train_file": few,
        "output": tmp_path / "run",
        "epochs": 1,
        "attack": (),
    }
    config = RunConfig.build({**options, "start": "searched", "draw_after": 0.5, "dense": False})
    record = pipeline.run(config)
    assert is_cut(AutoModelForSequenceClassification.from_pretrained(tmp_path / "run" / "model"))
    assert record.dense is None
    assert record.speed is not None
    assert not (tmp_path / "run" / "searched").exists()
    same = {key for key, weight in started.items() if weight.shape == searched[key].shape}
    assert {"classifier.weight", "bert.embeddings.word_embeddings.weight"} <= same < set(searched)
    assert all(torch.equal(started[key], searched[key]) for key in same)
    # The others are what cutting leaves of the searched ones.
    for key in set(started) - same:
        kept, whole = started[key].flatten().tolist(), set(searched[key].flatten().tolist())
        assert whole.issuperset(kept), key


class Steps(Observer):
    """First and last step and peak learning rate of every training, by the title of its stage."""

    def __init__(self) -> None:
        self.seen: dict[str, list[tuple[int, float]]] = {}
        self._title = ""

    def stage(self, title: str) -> Any:
        self._title = title
        return super().stage(title)

    def callbacks(self) -> list[TrainerCallback]:
        seen = self.seen.setdefault(self._title, [])

        class Look(TrainerCallback):
            def on_pre_optimizer_step(
                self, args: Any, state: Any, control: Any, *, optimizer: Any, **kwargs: Any
            ) -> None:
                seen.append((state.global_step, optimizer.param_groups[0]["lr"]))

        return [Look()]


def test_the_fine_tuning_goes_on_where_the_search_ended(encoder: Path, few: Path, tmp_path: Path) -> None:
    observer = Steps()
    options = {"model": str(encoder), "train_file": few, "attack": (), "dense": False}
    method = {"method": "earlyrobust-noise", "epochs": 4, "neighbours": str(encoder)}
    record = pipeline.run(RunConfig.build({**options, **method, "output": tmp_path / "run"}), observer)
    search, tuning = observer.seen.values()
    steps = [step for step, _ in (*search, *tuning)]
    assert steps == list(range(len(steps)))
    assert len(search) > 1
    assert len(search) <= len(steps) / 2
    rates = [rate for _, rate in (*search, *tuning)]
    top = rates.index(max(rates))
    assert top == math.ceil(0.1 * len(steps))
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert record.ticket is not None
    assert record.seconds["ticket"] > 0
    origin = record.ticket_origin
    assert (origin["method"], origin["adversary"], origin["noise"]["choice"]) == (
        "earlyrobust-noise",
        None,
        "learned",
    )


def test_a_training_whose_first_checkpoint_is_gone_is_refused(
    encoder: Path, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"model": str(encoder), "train_file": few, "attack": (), "dense": False, "epochs": 4}
    options |= {"method": "earlyrobust-noise", "neighbours": str(encoder), "output": tmp_path / "run"}

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("earlyrobust.pipeline.jobs.train_model", killed)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(RunConfig.build(options))
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(
        OutputError, match=r"no longer holds the checkpoint .* begin again in another --output"
    ):
        pipeline.run(RunConfig.build(options))


@pytest.mark.parametrize("limit", [{"search_epochs": 3}, {"draw_after": 3}])
def test_a_search_that_leaves_nothing_of_the_epochs_is_refused(limit: dict[str, float]) -> None:
    config = RunConfig.build({"method": "earlyrobust-noise", "epochs": 3, **limit})
    with pytest.raises(ConfigError, match=r"The search may take 3 epochs, but .* 3 together: raise --epochs"):
        Recipe.of(config).given_time(100, config, Observer())


@pytest.mark.parametrize("start", ["searched", "continued"])
def test_a_random_ticket_has_no_weights_of_a_search(start: str) -> None:
    with pytest.raises(ConfigError, match=f"no searched weights to start from: drop --start {start}"):
        Recipe.of(RunConfig.parse({"search": "random", "start": start}))


@pytest.mark.parametrize("start", ["searched", "continued"])
def test_a_ticket_comes_without_the_weights_of_its_search(start: str, run: Any, tmp_path: Path) -> None:
    folder, _ = run("--seed", "1")
    outcome = call("finetune", "--ticket", folder, "--start", start, "--output", tmp_path / "x")
    assert outcome.code == 2
    assert "without the weights" in outcome.err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("options", "steps", "epochs", "told"),
    [
        ({}, 140, 1.0, None),  # seven miniepochs of 20 steps
        ({}, 5000, 1.0, None),
        ({}, 139, 140 / 139, "instead of 1."),
        ({}, 16, 8.75, "instead of 1."),
        ({}, 1, 140.0, "instead of 1."),
        ({"patience": 2}, 16, 5.0, "instead of 1."),
        ({"miniepoch_min_steps": 2}, 16, 1.0, None),
        (
            {"search_epochs": 3.0},
            16,
            3.0,
            "stops after 3, even if they have not settled: give more --search-epochs",
        ),
        ({"search_epochs": 9.0}, 16, 9.0, None),
        ({"draw_after": 0.2}, 16, 1.0, None),
        ({"method": "earlybert"}, 16, 1.0, None),
        ({"method": "earlyrobust-noise", "epochs": 4}, 188, 1.0, None),
        ({"method": "earlyrobust-noise", "epochs": 4}, 100, 1.4, "instead of 1."),
        (
            {"method": "earlyrobust-noise", "epochs": 4},
            16,
            2.0,
            "stops after 2, even if they have not settled: give --epochs",
        ),
        (
            {"method": "earlyrobust-noise", "epochs": 1},
            188,
            0.5,
            "stops after 0.5, even if they have not settled: give --epochs",
        ),
        ({"method": "earlyrobust-noise", "epochs": 1, "start": "pretrained"}, 188, 1.0, None),
    ],
)
def test_a_search_on_few_texts_has_time_to_settle_or_says_that_it_has_not(options, steps, epochs, told):
    notes = []

    class Listens(Observer):
        def note(self, message):
            notes.append(message)

    config = RunConfig.build(options)
    recipe = Recipe.of(config).given_time(steps, config, Listens())
    assert recipe.search_config.max_epochs == pytest.approx(epochs)
    assert [told in note for note in notes] == ([] if told is None else [True])


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({"method": "finetune"}, 1),
        ({"method": "earlyrobust-noise"}, 1),
        ({"method": "earlyrobust-noise", "noise": "gradient"}, 1 + 2 / 3),
        # Five passes in each step of a search of one epoch, and one in each step of three epochs.
        ({"method": "earlyrobust", "search_epochs": 1, "epochs": 3}, (1 * 5 + 3) / 3),
        ({"method": "earlyrobust", "draw_after": 0.5, "epochs": 2}, (0.5 * 5 + 2) / 2),
        # Five passes to the embeddings at two thirds, and one whole pass.
        ({"method": "pgd", "adversary": "pgd,steps=5"}, 5 * 2 / 3 + 1),
        # The ticket is drawn after a fifth of an epoch without an adversary.
        ({"method": "earlybert", "epochs": 3}, (0.2 + 3) / 3),
    ],
    ids=str,
)
def test_the_cost_of_a_recipe_counts_its_passes(options: dict[str, Any], passes: float) -> None:
    recipe = Recipe.of(RunConfig.parse(options).resolved())
    assert recipe.most_passes(6) == pytest.approx(passes)


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({"method": "earlyrobust", "epochs": 3}, 5),
        ({"method": "earlyrobust", "adversary": "pgd"}, 5),
        ({"method": "earlyrobust-noise", "noise": "gradient"}, 1 + 2 / 3),
        ({"method": "earlybert"}, 1),
        ({"search": "random"}, 0),
        # A dense model is fine-tuned for three epochs, and searched for one.
        ({"method": "robust-ticket", "epochs": 3}, 3 + 5),
    ],
    ids=str,
)
def test_the_cost_of_a_search_alone_is_that_of_its_steps(options: dict[str, Any], passes: float) -> None:
    recipe = Recipe.for_search(RunConfig.parse(options).resolved())
    assert recipe.most_passes(6) == pytest.approx(passes)


@every_method
def test_a_ticket_is_trained_by_no_method(name: str) -> None:
    recipe = Recipe.for_ticket(RunConfig(method=name, search="earlybert", epochs=2))
    assert recipe.is_plain
    assert (recipe.start, recipe.epochs, recipe.most_passes(6)) == ("pretrained", 2, 1)
    recipe = Recipe.for_ticket(RunConfig(method=name, noise="learned", adversary="pgd", start="random"))
    assert type(recipe.adversary).__name__ == "PGD"
    assert recipe.noise is not None
    assert recipe.start == "random"


@pytest.mark.parametrize(("method", "told"), [("earlyrobust", True), ("finetune", False)])
def test_a_costly_training_says_so_before_it_trains(
    method: str, told: bool, encoder: Path, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    observer = Observer()
    monkeypatch.setattr(observer, "note", notes.append)
    options = {"model": str(encoder), "train_file": few, "attack": (), "dense": False, "epochs": 1}
    pipeline.run(RunConfig.build({**options, "method": method, "output": tmp_path / "run"}), observer)
    assert any("times the passes of plain fine-tuning" in note for note in notes) is told
