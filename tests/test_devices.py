"""Which devices are used, by whom, and what is said and recorded of them."""

import logging
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import models
import pytest
import tiny
import torch
from conftest import call
from torch import nn
from transformers import TrainerCallback, TrainingArguments

import earlyrobust
from earlyrobust.adversarial import ADVERSARIES
from earlyrobust.attacks import Resources
from earlyrobust.attacks.resources import collection
from earlyrobust.encoders import classifiers, device_name, fastest_device, load_classifier, on_device, silent
from earlyrobust.encoders.devices import synchronize
from earlyrobust.errors import ConfigError
from earlyrobust.evaluation import latency, measure_speed, speed
from earlyrobust.judging import attacking, benchmarking, evaluating, exporting
from earlyrobust.options import RunConfig
from earlyrobust.pipeline import checkpointing, stages, training
from earlyrobust.pruning import is_cut, prune
from earlyrobust.reports.benchmark import benchmark_verdicts
from earlyrobust.results import BenchmarkRecord, ContenderRecord, LatencyRecord
from earlyrobust.search import SEARCHES
from earlyrobust.trainer import AdversarialTrainer
from earlyrobust.workspace import environment as environment_module
from earlyrobust.workspace.environment import describe_environment, note_idle_devices
from earlyrobust.workspace.folder import RunFolder
from earlyrobust.workspace.interrupts import DelayedInterrupt
from earlyrobust.workspace.observer import Observer


@pytest.fixture
def machine(monkeypatch):
    """Makes believe that there are accelerators, and processes of a launcher."""

    def pretend(kind, count=1, **environment):
        chosen = []
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: kind is not None)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: kind and torch.device(kind))
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
        monkeypatch.setattr(torch.accelerator, "set_device_index", chosen.append)
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        return chosen

    return pretend


def launched(rank, local_rank, here, count):
    return {"RANK": rank, "LOCAL_RANK": local_rank, "LOCAL_WORLD_SIZE": here, "WORLD_SIZE": count}


@pytest.mark.parametrize(
    ("kind", "count", "environment", "device"),
    [
        (None, 0, {}, "cpu"),
        (None, 0, launched(1, 1, 2, 2), "cpu"),
        ("cuda", 1, {}, "cuda"),
        ("cuda", 4, {}, "cuda"),
        ("cuda", 4, {"LOCAL_RANK": "3"}, "cuda"),  # of some launcher that started one process
        ("cuda", 2, launched(0, 0, 2, 2), "cuda:0"),
        ("cuda", 2, launched(1, 1, 2, 2), "cuda:1"),
        ("cuda", 4, launched(6, 2, 4, 8), "cuda:2"),  # on the second machine
        ("cuda", 4, {"RANK": 1, "LOCAL_RANK": 1, "WORLD_SIZE": 8}, "cuda:1"),
        ("cuda", 1, {"RANK": 1, "LOCAL_RANK": 1, "WORLD_SIZE": 2}, "cuda:0"),  # that it alone is shown
        ("xpu", 3, launched(2, 2, 3, 3), "xpu:2"),
        ("mps", 1, {}, "mps"),
    ],
)
def test_each_process_of_a_machine_has_a_device_of_its_own(machine, kind, count, environment, device):
    chosen = machine(kind, count, **environment)
    expected = torch.device(device)
    assert fastest_device() == expected
    assert chosen == ([] if expected.index is None else [expected.index])


@pytest.mark.parametrize(
    ("kind", "count", "environment", "says"),
    [
        ("cuda", 1, launched(0, 0, 2, 2), "2 processes share this machine, which has 1 device"),
        ("cuda", 2, launched(1, 1, 3, 3), "3 processes share this machine, which has 2 device"),
        ("cuda", 4, launched(9, 1, 8, 16), "8 processes share this machine, which has 4 device"),
        ("xpu", 1, launched(1, 1, 2, 2), "2 processes share this machine"),
        ("mps", 1, launched(0, 0, 2, 2), "2 processes share this machine"),
    ],
)
def test_more_processes_than_devices_are_refused(machine, kind, count, environment, says):
    machine(kind, count, **environment)
    with pytest.raises(ConfigError, match=f"{says}.*--nproc-per-node"):
        fastest_device()


@pytest.mark.parametrize("command", ["run", "search", "finetune", "evaluate", "attack"])
def test_every_command_refuses_them_in_a_sentence_and_writes_nothing(machine, finished, tmp_path, command):
    machine("cuda", 1, **launched(0, 0, 2, 2))
    run, data = finished[0], ("--train-file", tmp_path / "none.csv")  # which is not looked for
    options = {
        "run": data,
        "search": data,
        "finetune": ("--ticket", run / "ticket", *data),
        "evaluate": (run,),
        "attack": (run, "--attack", "textbugger"),
    }
    outcome = call(command, *options[command], "--output", tmp_path / "out")
    assert outcome.code == 2, outcome
    (line,) = outcome.err.splitlines()
    assert line.startswith("Error: 2 processes share this machine, which has 1 device(s) for them: start")
    assert list(tmp_path.iterdir()) == []


def test_models_are_loaded_onto_the_device_of_the_process(monkeypatch, tmp_path):
    models.classifier("bert").save_pretrained(tmp_path)
    for room in (classifiers, collection):
        monkeypatch.setattr(room, "fastest_device", lambda: torch.device("meta"))
    assert load_classifier(str(tmp_path)).device.type == "meta"
    assert Resources()._device.type == "meta"


class Notes(Observer):
    def __init__(self):
        self.said = []

    def note(self, message):
        self.said.append(message)


@pytest.mark.parametrize(
    ("kind", "count", "environment", "line"),
    [
        (None, 0, {}, None),
        ("cuda", 1, {}, None),
        ("cuda", 2, {}, "torchrun --nproc-per-node 2 -m earlyrobust"),
        ("cuda", 8, {}, "torchrun --nproc-per-node 8 -m earlyrobust"),
        ("xpu", 3, {}, "torchrun --nproc-per-node 3 -m earlyrobust"),
        ("cuda", 2, launched(0, 0, 2, 2), None),
    ],
)
def test_it_is_said_how_idle_devices_are_used(machine, kind, count, environment, line):
    machine(kind, count, **environment)
    notes = Notes()
    note_idle_devices(notes)
    assert len(notes.said) == (line is not None)
    assert line is None or line in notes.said[0]


@pytest.mark.parametrize("command", ["run", "search", "finetune", "evaluate", "attack"])
def test_every_command_that_could_use_them_says_so(
    monkeypatch, finished, encoder, reviews, tmp_path, command
):
    def note(observer):
        raise ConfigError("It has been said.")

    monkeypatch.setattr(stages, "note_idle_devices", note)
    monkeypatch.setattr(attacking, "note_idle_devices", note)
    monkeypatch.setattr(evaluating, "note_idle_devices", note)
    run, training = finished[0], ("--model", encoder, "--train-file", reviews, "--no-attack")
    options = {
        "run": training,
        "search": training[:-1],
        "finetune": ("--ticket", run / "ticket", *training),
        "evaluate": (run,),
        "attack": (run, "--attack", "textbugger"),
    }
    outcome = call(command, *options[command], "--output", tmp_path / "out")
    assert outcome.err == "Error: It has been said.\n"


class Batches(TrainerCallback):
    """Keeps the sizes of the batches that the model sees, and what wraps the model."""

    def __init__(self, model):
        self.sizes = set()
        model.register_forward_pre_hook(self._see, with_kwargs=True)

    def _see(self, model, arguments, options):
        self.sizes.add(len(options["input_ids"]))


def two_seen(folder, **changes):
    """Arguments of a lone process that sees two GPUs."""
    arguments = tiny.arguments(folder, **changes)
    arguments._n_gpu = 2
    assert arguments.train_batch_size == 8
    return arguments


def assert_one_was_used(trainer, batches, arguments, caplog):
    assert not isinstance(trainer.model_wrapped, nn.DataParallel)
    assert batches.sizes == {4}
    assert trainer.examples_per_step == 4
    assert arguments.n_gpu == 2  # the user's own
    said = [entry.getMessage() for entry in caplog.records if "torchrun" in entry.getMessage()]
    assert len(said) == 1
    assert "one of 2 devices" in said[0]
    assert "--nproc-per-node 2" in said[0]


@pytest.mark.parametrize("name", [None, *ADVERSARIES], ids=str)
def test_a_process_that_sees_two_devices_trains_on_one(tmp_path, caplog, name):
    model, arguments = tiny.classifier(), two_seen(tmp_path, max_steps=2)
    batches = Batches(model)
    adversary = None if name is None else tiny.adversary(name)
    trainer = AdversarialTrainer(
        model,
        arguments,
        adversary=adversary,
        train_dataset=tiny.dataset(),
        processing_class=tiny.tokenizer(),
    )
    trainer.train()
    assert_one_was_used(trainer, batches, arguments, caplog)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_that_sees_two_devices_searches_on_one(tmp_path, caplog, name):
    model, arguments = tiny.classifier(), two_seen(tmp_path)
    batches, kind = Batches(model), SEARCHES[name]
    length = {"epochs": 0.5} if name == "robust-ticket" else {"draw_after": 0.5, "min_steps": 2}
    search = kind(
        model,
        arguments,
        tiny.dataset(32),
        config=kind.Config(**length),
        adversary=tiny.adversary("freelb"),
        processing_class=tiny.tokenizer(),
    )
    ticket = search.run()
    assert_one_was_used(search.trainer, batches, arguments, caplog)
    assert search.trainer.state.global_step == 4
    assert name == "robust-ticket" or ticket.trace.steps_per_epoch == 8


def test_a_command_trains_on_one_device_and_says_so_by_a_note_alone(machine, monkeypatch, tmp_path, caplog):
    machine("cuda", 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert TrainingArguments(str(tmp_path)).n_gpu == 2
    folder = RunFolder(tmp_path / "run", {"command": "run"}, {})
    arguments = training._arguments(RunConfig(batch_size=4), folder, "model", 1.0, 1e-3)
    assert (arguments.n_gpu, arguments.train_batch_size) == (1, 4)
    assert not caplog.records


def test_one_device_is_no_reason_to_speak(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    AdversarialTrainer(tiny.classifier(), tiny.arguments(tmp_path), train_dataset=tiny.dataset())
    assert not caplog.records


def test_weights_of_passes_that_miss_one_are_no_step(tmp_path):
    class Half(ADVERSARIES["pgd"]):
        def _step(self, perturbation, passes):
            return passes.accumulate(0.5)

    with pytest.raises(ConfigError, match=r"test_devices:.*Half add up to 0\.5: let those of the"):
        tiny.step(tmp_path, tiny.classifier(), tiny.batch(), Half())


def test_a_copy_goes_to_another_device_and_the_model_stays():
    model = models.classifier("bert")
    assert on_device(model, torch.device("cpu")) is model
    elsewhere = on_device(model, torch.device("meta"))
    assert (elsewhere.device.type, model.device.type) == ("meta", "cpu")


def test_a_benchmark_times_a_model_where_it_was(monkeypatch, tmp_path):
    small = prune(models.classifier("bert"), models.ticket("bert"))
    moved, exported = [], []
    monkeypatch.setattr(nn.Module, "cpu", lambda self: moved.append(self) or self)
    monkeypatch.setattr(benchmarking, "load_classifier", lambda place, note=silent: small)
    monkeypatch.setattr(benchmarking, "load_tokenizer", lambda place: models.tokenizer())
    monkeypatch.setattr(benchmarking, "export_onnx", lambda model, *_, **__: exported.append(model))
    monkeypatch.setattr(benchmarking, "find_spec", lambda package: True)
    forms = list(benchmarking._forms("model", tmp_path, named=False, note=silent))
    of_onnx = ["dense onnx", "onnx", "dense onnx-int8", "onnx-int8"]
    assert [form.name for form in forms][-5:] == ["ticket", *of_onnx]
    assert exported[1::2] == [small, small]
    assert exported[0] is exported[2]
    assert not is_cut(exported[0])
    assert moved == []


def test_it_is_said_where_forms_ran_on_different_devices():
    def contender(name, device):
        return ContenderRecord(name, 1, None, [LatencyRecord(1, 8, 5, 0.1, 0.1)], device)

    environment = describe_environment()
    both = BenchmarkRecord([contender("ticket", "cuda"), contender("onnx", "cpu")], environment)
    assert list(benchmark_verdicts(both)) == [
        "The classifiers did not all run on the same device: ticket on cuda; onnx on cpu."
    ]
    for devices in (("cpu", "cpu"), (None, None), ("cuda", None)):  # None: written by an earlier version
        of_one = [contender(str(number), device) for number, device in enumerate(devices)]
        assert list(benchmark_verdicts(BenchmarkRecord(of_one, environment))) == []


def test_the_environment_names_the_code(monkeypatch, tmp_path):
    code = describe_environment().code
    assert re.fullmatch("[0-9a-f]{12}", code)
    root = Path(earlyrobust.__file__).parent
    shutil.copytree(root, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__", "*.parquet"))
    monkeypatch.setattr(
        environment_module, "__file__", str(tmp_path / "copy" / "workspace" / "environment.py")
    )
    environment_module._code.cache_clear()
    assert describe_environment().code == code
    with (tmp_path / "copy" / "errors.py").open("a") as file:
        file.write("\n")
    environment_module._code.cache_clear()
    assert describe_environment().code != code
    environment_module._code.cache_clear()


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_every_kind_of_accelerator_is_waited_for(monkeypatch, kind):
    waited = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    synchronize(torch.device("cpu"))
    assert waited == []

    class Model:
        device = torch.device(kind, 0)

        def __call__(self, **_):
            assert waited == []
            return SimpleNamespace(logits=torch.zeros(1, 2))

    latency.answer(Model(), {})
    assert waited == [torch.device(kind, 0)]


def test_clocks_are_read_when_the_device_is_done(monkeypatch, tmp_path):
    events = []
    for room in (speed, checkpointing):
        monkeypatch.setattr(room, "synchronize", lambda device: events.append("waited"))
        clock = SimpleNamespace(perf_counter=lambda: events.append("clock") or float(len(events)))
        monkeypatch.setattr(room, "time", clock)
    dense = models.classifier("bert")
    rows = models_rows()
    measure_speed(dense, dense, models.ticket("bert"), models.tokenizer(), rows, batch_size=2, rounds=1)
    assert events == ["clock", "waited", "clock"] * 6
    events.clear()
    arguments = TrainingArguments(str(tmp_path), use_cpu=True, report_to="none")
    clock = checkpointing.Checkpoints(DelayedInterrupt(print))
    clock.on_train_begin(arguments, SimpleNamespace(global_step=0), None)
    clock.on_train_end(arguments, None, None)
    assert events == ["waited", "clock"] * 2


def test_a_checkpoint_is_due_for_all_when_it_is_for_one(monkeypatch):
    told = []
    monkeypatch.setattr(checkpointing.processes, "largest", lambda due: told.append(due) or 1)
    monkeypatch.setattr(checkpointing.processes, "gathered", None)  # which would exchange twice a step
    control = SimpleNamespace(should_training_stop=False, should_save=False)
    clock = checkpointing.Checkpoints(DelayedInterrupt(print))
    state = SimpleNamespace(global_step=0, max_steps=9)
    args = SimpleNamespace(device=torch.device("cpu"))
    clock.on_train_begin(args, state, control)
    clock.on_step_end(args, state, control)
    assert (told, control.should_save) == ([False], True)


def models_rows():
    from datasets import Dataset

    batch = models.batch("bert")
    rows = [
        {name: values[index].tolist() for name, values in batch.items()} | {"length": batch_length}
        for index, batch_length in enumerate(batch["attention_mask"].sum(dim=1).tolist())
    ]
    return Dataset.from_list(rows)


@pytest.mark.parametrize(
    ("kind", "module", "name"),
    [
        (None, None, "cpu"),
        ("cuda", {"get_device_name": lambda device: "NVIDIA H200"}, "NVIDIA H200"),
        ("xpu", {"get_device_name": lambda device: "Intel Max 1100"}, "xpu: Intel Max 1100"),
        ("mps", {}, "mps"),
        ("hpu", {"get_device_name": lambda device: "GAUDI3"}, "hpu: GAUDI3"),
    ],
)
def test_the_record_names_the_device(machine, monkeypatch, kind, module, name):
    machine(kind)
    monkeypatch.setattr(torch, "get_device_module", lambda device: SimpleNamespace(**module))
    assert device_name() == name
    assert describe_environment().device == name


def test_an_export_and_its_model_are_compared_on_one_device(monkeypatch, finished, tmp_path):
    asked, moved = [], []
    monkeypatch.setattr(exporting, "on_device", lambda model, device: asked.append(device) or model)
    monkeypatch.setattr(nn.Module, "cpu", lambda self: moved.append(self) or self)
    output = ("--output", tmp_path / "out")
    outcome = call("export", finished[0], "--to", "remote-code", "--no-attack", *output)
    assert outcome.code == 0, outcome
    assert asked == [torch.device("cpu")]  # where the export was loaded to
    assert moved == []
