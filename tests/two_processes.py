"""What two processes do in tests of shared training: both train every case, and keep what came of it."""

import os
import random
from collections import Counter
from contextlib import contextmanager

import tiny
import torch
from datasets import Dataset
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import distributed
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from transformers import PreTrainedTokenizerFast, TrainerCallback

from earlyrobust import processes
from earlyrobust.adversarial import ADVERSARIES
from earlyrobust.adversarial.perturbation import Perturbation
from earlyrobust.noise import Lexicon, NoiseConfig, TextNoise
from earlyrobust.search import SEARCHES
from earlyrobust.storage import write_json
from earlyrobust.tickets.ticket import Ticket
from earlyrobust.trainer import AdversarialTrainer

STEPS, BATCH = 3, 8
# What differs from the arguments of the others, and the settings of the adversary.
ALONE = {
    # DDP then looks for weights without a gradient no more, and waits for each of them.
    "infobert, checkpointing": ({"activation_checkpointing": True}, {}),
    # There are texts, and whole batches, without any: the critic has nothing to score.
    "infobert, few anchors": ({}, {"anchors_from": 0.92, "anchors_to": 0.93}),
    "freelb, accumulating": ({"gradient_accumulation_steps": 2}, {}),
    "yopo, accumulating": ({"gradient_accumulation_steps": 2}, {}),
}
CASES = ["plain", "noise", *ADVERSARIES, *SEARCHES, *ALONE]

EARLY = {"head_ratio": 1 / 4, "neuron_ratio": 0.3, "min_steps": 1}
SEARCH_SETTINGS = {
    "earlyrobust": {**EARLY, "gamma": 0.0, "max_epochs": 1},
    "earlybert": {**EARLY, "draw_after": 1},
    "robust-ticket": {"weight_ratio": 0.3, "epochs": 1, "open_probability": 0.5},
}


@contextmanager
def replaced(place, **values):
    before = {name: getattr(place, name) for name in values}
    for name, value in values.items():
        setattr(place, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(place, name, value)


@contextmanager
def without_chance():
    """Perturbations and masks start from numbers that do not depend on how a batch is divided."""

    def wave(self, magnitude, bound=0):
        steps = torch.arange(self.mask.shape[1] * self.channels)
        return magnitude * steps.sin().view(-1, self.channels) * self.mask

    def noise(weight):
        return (torch.arange(weight.numel()).sin() / 2 + 0.5).view(weight.shape)

    with replaced(Perturbation, uniform=wave, normal=wave), replaced(torch, rand_like=noise):
        yield


class Exchanges(TrainerCallback):
    """Counts how often gradients are exchanged."""

    def __init__(self):
        self.trainer = None
        self.gradients = 0

    def on_train_begin(self, args, state, control, **_):
        def hook(_state, bucket):
            self.gradients += 1
            return allreduce_hook(None, bucket)

        if self.trainer.model_wrapped is not self.trainer.model:
            self.trainer.model_wrapped.register_comm_hook(None, hook)


def noisy_data(examples):
    """Texts of a vocabulary of letters with tokens, and learned noise that exchanges most of their words."""
    words = [first + second for first in "bcdfgh" for second in ("axo", "exi", "ixo", "oxu", "uxa")]
    table = {"[PAD]": 0, "[UNK]": 1, **{word: place for place, word in enumerate(words, start=2)}}
    backend = Tokenizer(WordLevel(table, unk_token="[UNK]"))
    backend.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")
    draw = random.Random(0)
    texts = [" ".join(draw.choices(words, k=draw.randint(3, 12))) for _ in range(examples)]
    labels = [number % 2 for number in range(examples)]
    data = Dataset.from_dict({**tokenizer(texts), "text": texts, "labels": labels})
    lexicon = Lexicon({word: words[place - 3 : place] for place, word in enumerate(words) if place > 3}, 3)
    config = NoiseConfig(choice="learned", ramp=0.0, misspells=0.0, exchanges=1.0, candidates=3)
    return data, TextNoise(lexicon, tokenizer, 2, config=config)


@tiny.float64()
def train(case, folder, parts=1):
    """Train a case on steps of eight examples for each process and accumulated batch.

    Args:
        case: One of CASES.
        folder: Of the trainer.
        parts: The accumulated batches, instead of processes.

    Returns:
        What came of it, as tensors by name, and how often gradients were exchanged.
    """
    changes, settings = ALONE.get(case, ({}, {}))
    accumulated = changes.get("gradient_accumulation_steps", 1) * parts
    options = {**changes, "gradient_accumulation_steps": accumulated}
    arguments = tiny.arguments(
        folder,
        max_steps=STEPS if case not in SEARCHES else -1,
        train_sampling_strategy="sequential",
        optim="sgd",
        learning_rate=0.1,
        per_device_train_batch_size=BATCH // 2,
        **options,
    )
    name = case.partition(",")[0]
    data = tiny.dataset(BATCH * STEPS * changes.get("gradient_accumulation_steps", 1))
    model, watch, exchanges = tiny.classifier(), tiny.Gradients(), Exchanges()
    kept = {"processing_class": tiny.tokenizer(), "callbacks": [watch, exchanges]}
    if name in SEARCHES:
        kind = SEARCHES[name]
        config = kind.Config(**SEARCH_SETTINGS[name])
        search = kind(model, arguments, data, config=config, adversary=tiny.adversary("freelb"), **kept)
        exchanges.trainer = search.trainer
        ticket = search.run()
        early = isinstance(ticket, Ticket)
        found = {"heads": ticket.head_scores, "neurons": ticket.neuron_scores} if early else ticket.masks
        found = {name: torch.from_numpy(values) for name, values in found.items()}
    else:
        adversary = tiny.adversary(name, **settings) if name in ADVERSARIES else None
        noise = None
        if name == "noise":
            data, noise = noisy_data(len(data))
            kept["processing_class"] = noise.tokenizer
        trainer = AdversarialTrainer(
            model, arguments, adversary=adversary, noise=noise, train_dataset=data, **kept
        )
        exchanges.trainer = trainer
        trainer.train()
        found = {} if noise is None else {"gains": torch.from_numpy(noise.table.means)}
    for number, step in enumerate(watch.steps):
        found |= {f"{number}.{name}": gradient for name, gradient in step.items()}
    return found | {name: weight.detach() for name, weight in model.named_parameters()}, exchanges.gradients


@contextmanager
def counted(count):
    """Counts what processes exchange."""

    def counting(name):
        original = getattr(distributed, name)

        def call(*args, **options):
            count[name] += 1
            return original(*args, **options)

        return call

    names = ("all_reduce", "all_gather", "_broadcast_coalesced")
    with replaced(distributed, **{name: counting(name) for name in names}):
        yield


def work(rank, folder, port):
    """Be one of two processes."""
    os.environ |= {
        **{"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)},
        **{"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)},
    }
    counts = {}
    with without_chance():
        for case in CASES:
            with counted(count := Counter()):
                found, gradients = train(case, folder / "trainer")
            counts[case] = {**count, "gradients": gradients}
            tensors = {name: tensor.contiguous() for name, tensor in found.items()}
            save_file(tensors, folder / f"{case}-{rank}.safetensors")
    assert processes.largest(rank) == 1
    write_json(folder / f"counts-{rank}.json", counts)
    distributed.destroy_process_group()
