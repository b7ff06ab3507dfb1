"""The stages of a run: interrupted anywhere, it ends as if it had not been."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from conftest import write_reviews
from safetensors.torch import load_file
from tiny_encoder import write_encoder
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.models.bert.modeling_bert import BertIntermediate

from earlyrobust import Ticket
from earlyrobust.encoders import load_classifier
from earlyrobust.errors import ModelError, OutputError
from earlyrobust.evaluation import predict
from earlyrobust.options import RunConfig
from earlyrobust.pipeline import checkpointing, finetune, jobs, precision, run, search, stages
from earlyrobust.results import RunRecord
from earlyrobust.workspace.identity import anchored, differences
from earlyrobust.workspace.observer import Observer

TITLES = {
    "dense": "Fine-tuning the dense model",
    "ticket": "Searching a ticket",
    "model": "Fine-tuning the ticket",
}


class Interrupt(TrainerCallback):  # type: ignore[misc]
    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step == self._step:
            raise KeyboardInterrupt


class Watcher(Observer):
    """Keeps what a run tells, and interrupts it at a step of a stage."""

    def __init__(self, stage: str | None = None, step: int = 0) -> None:
        self._interrupted = TITLES.get(stage or "")
        self._step = step
        self.titles: list[str] = []
        self.notes: list[str] = []

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        self.titles.append(title)
        yield

    def callbacks(self) -> list[TrainerCallback]:
        return [Interrupt(self._step)] if self.titles[-1] == self._interrupted else []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture(autouse=True)
def _checkpoint_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointing, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    monkeypatch.setattr(checkpointing, "STEPS_BETWEEN_LOGS", 1)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("few") / "few.csv", 60)


def options(encoder: Path, data: Path, output: Path, **changes: Any) -> RunConfig:
    quick = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3, "search_adversary": "freelb,steps=2"}
    search = {"miniepoch": 0.1, "miniepoch_min_steps": 1, "gamma": 0}
    places = {"model": str(encoder), "train_file": data, "output": output}
    return RunConfig.build({**quick, **search, **places, **changes})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, encoder: Path, few: Path) -> tuple[Path, RunRecord]:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, run(options(encoder, few, folder))


def assert_same_result(folder: Path, record: RunRecord, whole: tuple[Path, RunRecord]) -> None:
    other, expected = whole
    for name in ("dense", "model"):
        weights, others = (load_file(place / name / "model.safetensors") for place in (folder, other))
        assert weights.keys() == others.keys()
        assert all(torch.equal(weights[key], others[key]) for key in weights)
    assert (folder / "ticket/ticket.json").read_bytes() == (other / "ticket/ticket.json").read_bytes()
    ticket, other_ticket = (Ticket.from_pretrained(place / "ticket") for place in (folder, other))
    for key in ("heads", "neurons", "head_scores", "neuron_scores"):
        assert np.array_equal(getattr(ticket, key), getattr(other_ticket, key))
    assert (record.model, record.dense, record.search) == (expected.model, expected.dense, expected.search)
    assert not (folder / "checkpoints").exists()
    assert {path.name for path in folder.iterdir()} == {path.name for path in other.iterdir()}


@pytest.mark.parametrize(
    ("stage", "step"),
    [
        ("dense", 1),
        pytest.param("dense", 4, marks=pytest.mark.slow),
        ("ticket", 5),
        ("model", 2),
        pytest.param("model", 6, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    stage: str, step: int, encoder: Path, few: Path, tmp_path: Path, whole: tuple[Path, RunRecord]
) -> None:
    config = options(encoder, few, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run(config, Watcher(stage, step))
    folder = config.output_folder
    assert not (folder / "result.json").exists()
    checkpoints = {
        int(path.name.split("-")[1]): path for path in (folder / "checkpoints" / stage).glob("checkpoint-*")
    }
    assert max(checkpoints, default=0) == step - 1
    so_far = 0.0
    if checkpoints:
        elapsed = checkpoints[step - 1] / "elapsed.json"
        so_far = json.loads(elapsed.read_text(encoding="utf-8"))["seconds"]
        assert so_far > 0

    observer = Watcher()
    record = run(config, observer)
    assert_same_result(folder, record, whole)
    before = list(TITLES)[: list(TITLES).index(stage)]
    taken = [note.split(":")[0] for note in observer.notes if "finished before" in note]
    assert taken == [TITLES[name] for name in before]
    assert not {TITLES[name] for name in before} & set(observer.titles)
    assert record.seconds.keys() == {"data", *TITLES}
    assert all(seconds > 0 for seconds in record.seconds.values())
    assert record.seconds[stage] > so_far


def test_a_checkpoint_that_is_not_whole_is_passed_over(
    encoder: Path, few: Path, tmp_path: Path, whole: tuple[Path, RunRecord]
) -> None:
    config = options(encoder, few, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run(config, Watcher("ticket", 5))
    checkpoints = config.output_folder / "checkpoints" / "ticket"
    assert [path.name for path in checkpoints.iterdir()] == ["checkpoint-4"]  # the newest whole one is enough
    shutil.copytree(checkpoints / "checkpoint-4", checkpoints / "checkpoint-5")
    (checkpoints / "checkpoint-5" / "elapsed.json").unlink()
    (checkpoints / "checkpoint-5" / "model.safetensors").write_bytes(b"half")
    assert_same_result(config.output_folder, run(config), whole)


def test_a_finished_run_is_not_run_again(
    encoder: Path, few: Path, whole: tuple[Path, RunRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **kwargs: Any) -> NoReturn:
        raise AssertionError("a finished run neither loads data nor trains")

    monkeypatch.setattr(jobs, "load_splits", never)
    for name in ("load_pretrained", "train_classifier", "search_ticket"):
        monkeypatch.setattr(stages, name, never)
    folder, record = whole
    assert run(options(encoder, few, folder)) == record


def test_a_run_does_not_go_on_with_other_data(encoder: Path, tmp_path: Path) -> None:
    data = write_reviews(tmp_path / "own.csv", 60)
    config = options(encoder, data, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run(config, Watcher("dense", 2))
    write_reviews(data, 60, seed=9)
    with pytest.raises(OutputError, match="other data"):
        run(config)


@pytest.mark.parametrize("job", ["run", "search", "finetune"])
def test_a_job_does_not_go_on_with_another_model(
    job: str, encoder: Path, few: Path, tmp_path: Path, whole: tuple[Path, RunRecord]
) -> None:
    model = Path(shutil.copytree(encoder, tmp_path / "encoder"))
    config = options(model, few, tmp_path / "run")
    stage = {"run": "dense", "search": "ticket", "finetune": "model"}[job]
    jobs: dict[str, Callable[..., Any]] = {
        "run": run,
        "search": search,
        "finetune": lambda config, observer=None: finetune(config, whole[0], observer),
    }
    with pytest.raises(KeyboardInterrupt):
        jobs[job](config, Watcher(stage, 2))
    write_encoder(model, seed=7)
    with pytest.raises(OutputError, match=f"The model '{model}' has changed since the run in "):
        jobs[job](config)
    # An earlier version did not note which model it was.
    progress = json.loads((tmp_path / "run" / "progress.json").read_text(encoding="utf-8"))
    del progress["model_fingerprint"]
    (tmp_path / "run" / "progress.json").write_text(json.dumps(progress), encoding="utf-8")
    jobs[job](config)
    write_encoder(model, seed=8)
    with pytest.raises(OutputError, match="has changed since"):
        jobs[job](config)


def test_a_finished_run_is_found_again_where_all_has_moved_to(
    encoder: Path, tmp_path: Path, whole: tuple[Path, RunRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    write_reviews(old / "own.csv", 60)
    changes = {"method": "finetune", "dense": False, "attack": ()}
    monkeypatch.chdir(old)
    record = run(options(encoder, Path("own.csv"), Path("run"), **changes))
    old.rename(new)
    monkeypatch.chdir(new)
    moved = options(encoder, Path("own.csv"), Path("run"), **changes)
    write_reviews(new / "own.csv", 60, seed=9)
    with pytest.raises(OutputError, match="other data"):
        run(moved)
    write_reviews(new / "own.csv", 60)
    before = (new / "run" / "result.json").read_bytes()
    assert run(moved) == record
    assert (new / "run" / "result.json").read_bytes() == before
    (new / "own.csv").unlink()
    assert run(moved) == record  # its folder says now where the data was last


def test_the_lists_of_the_noise_do_not_depend_on_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "own.csv").write_text("word,neighbors\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    noise = "learned,rate=0.5,neighbours=wordnet+own.csv"
    kept = anchored({"noise": noise})
    assert kept == {"noise": f"learned,rate=0.5,neighbours=wordnet+{tmp_path / 'own.csv'}"}
    assert differences(kept, {"noise": noise}) == []
    for other in ("learned", "learned,neighbours=wordnet", "learned,neighbours="):
        assert anchored({"noise": other}) == {"noise": other}
        assert differences(kept, {"noise": other})
    assert anchored({"noise": None}) == {"noise": None}
    monkeypatch.chdir("elsewhere")
    assert differences(kept, {"noise": noise})


@pytest.mark.parametrize("changes", [{"seed": 1}, {"heads": 0.25}, {"epochs": 2}, {"text_column": "texts"}])
def test_a_folder_belongs_to_one_run(
    changes: dict[str, Any], encoder: Path, few: Path, whole: tuple[Path, RunRecord]
) -> None:
    with pytest.raises(OutputError, match="another run"):
        run(options(encoder, few, whole[0], **changes))


def test_a_finished_run_may_be_moved(
    encoder: Path, few: Path, tmp_path: Path, whole: tuple[Path, RunRecord]
) -> None:
    folder = shutil.copytree(whole[0], tmp_path / "elsewhere")
    assert run(options(encoder, few, folder)) == whole[1]


def test_damaged_progress_is_said(encoder: Path, few: Path, tmp_path: Path) -> None:
    config = options(encoder, few, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run(config, Watcher("dense", 1))
    for content in ("{", "[]", '{"seconds": 3}'):
        (tmp_path / "run" / "progress.json").write_text(content, encoding="utf-8")
        with pytest.raises(OutputError, match="damaged"):
            run(config)


def test_a_saved_model_gives_the_logits_it_gave_before(
    encoder: Path, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits: dict[str, Any] = {}
    save = stages._save_model

    def predict_and_save(model: Any, splits: Any, folder: Path) -> None:
        logits[folder.name] = predict(model, splits.tokenizer, splits.test), splits
        save(model, splits, folder)

    monkeypatch.setattr(stages, "_save_model", predict_and_save)
    run(options(encoder, few, tmp_path / "run"))
    assert set(logits) == {"dense", "model"}
    for name, (before, splits) in logits.items():
        loaded = load_classifier(str(tmp_path / "run" / name))
        assert np.array_equal(predict(loaded, splits.tokenizer, splits.test), before)


def test_an_interrupted_search_and_finetune_go_on(
    encoder: Path, few: Path, tmp_path: Path, whole: tuple[Path, RunRecord]
) -> None:
    searched = options(encoder, few, tmp_path / "search")
    with pytest.raises(KeyboardInterrupt):
        search(searched, Watcher("ticket", 4))
    ticket = search(searched)
    assert np.array_equal(ticket.neuron_scores, Ticket.from_pretrained(whole[0] / "ticket").neuron_scores)

    trained = options(encoder, few, tmp_path / "finetune")
    with pytest.raises(KeyboardInterrupt):
        finetune(trained, searched.output_folder, Watcher("model", 4))
    record = finetune(trained, searched.output_folder)
    assert record.model == whole[1].model
    assert finetune(trained, searched.output_folder) == record
    assert not list(tmp_path.glob("*/checkpoints"))


def test_the_stop_is_live(encoder: Path, few: Path, tmp_path: Path) -> None:
    ticket = search(options(encoder, few, tmp_path / "run", gamma=1, patience=2))
    assert ticket.trace is not None
    assert ticket.trace.stop_reason == "converged"
    assert ticket.trace.epochs < 1


def test_bf16_works_on_any_hardware_and_saves_float32(encoder: Path, few: Path, tmp_path: Path) -> None:
    run(options(encoder, few, tmp_path / "run", bf16=True))
    weights = load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert all(weight.isfinite().all() for weight in weights.values())


@pytest.mark.slow
def test_activations_that_are_computed_twice_are_the_same(
    encoder: Path, few: Path, tmp_path: Path, whole: tuple[Path, RunRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    forward = BertIntermediate.forward

    def counted(self: BertIntermediate, states: torch.Tensor) -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        return forward(self, states)

    monkeypatch.setattr(BertIntermediate, "forward", counted)
    run(options(encoder, few, tmp_path / "kept"))
    of_kept = sum(calls)
    calls.clear()
    run(options(encoder, few, tmp_path / "twice", gradient_checkpointing=True))
    assert sum(calls) == 2 * of_kept
    weights = [path.relative_to(tmp_path / "kept") for path in (tmp_path / "kept").rglob("*.safetensors")]
    assert {path.parts[0] for path in weights} == {"dense", "ticket", "model"}
    for path in weights:
        assert (tmp_path / "twice" / path).read_bytes() == (tmp_path / "kept" / path).read_bytes()
    watcher = Watcher()
    run(options(encoder, few, whole[0], gradient_checkpointing=True), watcher)  # is no other run
    assert "is finished already" in watcher.notes[0]


def test_a_batch_in_parts_gives_the_ticket_of_one_at_once(calm: Path, few: Path, tmp_path: Path) -> None:
    still = {"search_adversary": "freelb,steps=2,initial_magnitude=0", "train_samples": 48}
    whole, parts = (
        search(options(calm, few, tmp_path / str(number), gradient_accumulation=number, **still))
        for number in (1, 4)
    )
    assert whole.trace is not None
    assert parts.trace is not None
    assert parts.trace.epochs == whole.trace.epochs
    assert np.array_equal(parts.neurons, whole.neurons)
    assert whole.neuron_scores is not None
    moved = np.abs(whole.neuron_scores - 1).max()
    assert np.allclose(parts.neuron_scores, whole.neuron_scores, rtol=0, atol=moved / 100)
    assert parts.origin["batch_size"] == whole.origin["batch_size"] == 8


@pytest.mark.parametrize(("bf16", "known"), [(True, False), (True, True), (False, False)])
def test_bf16_where_it_is_slow_is_said(
    bf16: bool, known: bool, encoder: Path, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda: known)
    watcher = Watcher()
    search(options(encoder, few, tmp_path / "run", bf16=bf16), watcher)
    assert any("--bf16" in note for note in watcher.notes) == (bf16 and not known)


def test_another_seed_gives_another_model(
    encoder: Path, few: Path, tmp_path: Path, whole: tuple[Path, RunRecord]
) -> None:
    finetune(options(encoder, few, tmp_path / "run", seed=5), whole[0])
    weights = [load_file(folder / "model/model.safetensors") for folder in (tmp_path / "run", whole[0])]
    assert not torch.equal(weights[0]["classifier.weight"], weights[1]["classifier.weight"])


def test_two_commands_at_once_do_not_spoil_one_another(encoder: Path, few: Path, tmp_path: Path) -> None:
    config = options(encoder, few, tmp_path / "run")

    class Second(Watcher):
        """While the first trains, starts the same once more."""

        def callbacks(self) -> list[TrainerCallback]:
            with pytest.raises(OutputError, match="Another command is at work"):
                run(config)
            return []

    record = run(config, Second())
    assert run(config) == record


def test_what_killed_processes_were_writing_is_removed(
    encoder: Path, few: Path, tmp_path: Path, whole: tuple[Path, RunRecord]
) -> None:
    config = options(encoder, few, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run(config, Watcher("ticket", 3))
    folder = config.output_folder
    checkpoints = folder / "checkpoints" / "ticket"
    (checkpoints / "checkpoint-9").mkdir()
    (checkpoints / "checkpoint-9" / "optimizer.pt").write_bytes(b"half")
    (folder / ".earlyrobust-dense.x").mkdir()
    (folder / "dense" / ".earlyrobust-config.json.x").write_bytes(b"{")
    assert_same_result(folder, run(config), whole)
    assert not [path for path in folder.rglob("*") if path.name.startswith(".earlyrobust")]


@pytest.mark.parametrize("job", [run, search])
def test_a_finished_job_called_again_tidies_up_and_leaves_others_at_work(
    job: Callable[[RunConfig], object], encoder: Path, few: Path, tmp_path: Path
) -> None:
    config = options(encoder, few, tmp_path / "run")
    job(config)
    folder = config.output_folder
    (folder / "checkpoints" / "ticket").mkdir(parents=True)
    (folder / ".earlyrobust-result.json.x").write_bytes(b"{")
    (folder / "exports" / ".earlyrobust-onnx.x").mkdir(parents=True)
    job(config)
    assert not (folder / "checkpoints").exists()
    assert [path.name for path in folder.rglob(".earlyrobust-*")] == [".earlyrobust-onnx.x"]


def test_a_model_is_saved_whole_or_not_at_all(
    encoder: Path, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: tuple[Path, RunRecord]
) -> None:
    config = options(encoder, few, tmp_path / "run")

    def interrupt(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages, "save_tokenizer", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(config)
    assert not (config.output_folder / "dense").exists()
    assert_same_result(config.output_folder, run(config), whole)


def test_a_cut_model_is_not_cut_again(
    encoder: Path, few: Path, tmp_path: Path, whole: tuple[Path, RunRecord]
) -> None:
    for job in (run, search, lambda config: finetune(config, whole[0])):
        with pytest.raises(ModelError, match="cut already"):
            job(options(whole[0] / "model", few, tmp_path / "run"))
        assert not (tmp_path / "run").exists()  # before anything is trained
