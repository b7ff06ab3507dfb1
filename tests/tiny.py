"""Tiny random classifiers and tokenised data, which train in milliseconds."""

import random
from contextlib import contextmanager

import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    TrainerCallback,
    TrainingArguments,
)

from earlyrobust.adversarial import ADVERSARIES
from earlyrobust.pruning import ImportanceCoefficients
from earlyrobust.trainer import AdversarialTrainer

# On tensors this small, threads only wait for one another.
torch.set_num_threads(1)

VOCABULARY = 40
LAYERS, HEADS, NEURONS = 2, 4, 20

# For every adversary: the settings under which it must equal plain training, and settings that visibly
# change training.
PLAIN = {
    "pgd": {"steps": 0, "initial_magnitude": 0.0},
    "freelb": {"steps": 1, "initial_magnitude": 0.0},
    "freeat": {"replays": 1, "initial_magnitude": 0.0},
    "yopo": {"outer_steps": 1, "initial_magnitude": 0.0},
    "smart": {"weight": 0.0},
    "infobert": {"steps": 1, "initial_magnitude": 0.0, "bottleneck_weight": 0.0, "anchor_weight": 0.0},
    "fat": {"step_size": 0.0, "initial_magnitude": 0.0},
    "flooding": {"level": 0.0},
    "wordswap": {"rate": 0.0},
}
_ASCENT = {"initial_magnitude": 1.0, "step_size": 0.8}
_WEIGHTS = {"bottleneck_weight": 0.02, "anchor_weight": 0.1, "critic_size": 7}
PERTURBING = {
    "pgd": {"steps": 2, **_ASCENT},
    "freelb": {"steps": 3, **_ASCENT},
    "freeat": {"replays": 3, **_ASCENT},
    "yopo": {"outer_steps": 3, "inner_steps": 2, **_ASCENT},
    "smart": {"steps": 2, "step_size": 0.5, "deviation": 0.1},
    "infobert": {"steps": 3, **_WEIGHTS, **_ASCENT},
    "fat": _ASCENT,
    "flooding": {"level": 5.0},  # far above every loss
    "wordswap": {"rate": 0.4, "candidates": 5},
}
# Without what is a statistic of the whole batch, and so depends on how examples are split into batches.
SEPARABLE = {"infobert": {"bottleneck_weight": 0.0, "anchor_weight": 0.0}}


class Interrupt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **_):
        if state.global_step == self.step:
            raise KeyboardInterrupt


class Gradients(TrainerCallback):
    """Keeps the gradients of every optimiser step, and the weights before the first one."""

    def __init__(self):
        self.steps = []

    def on_train_begin(self, args, state, control, *, model, **_):
        self.before = {name: weight.detach().clone() for name, weight in model.named_parameters()}

    def on_pre_optimizer_step(self, args, state, control, *, model, **_):
        self.steps.append(gradients(model))


@contextmanager
def float64():
    """New tensors and models have double precision; also a decorator."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def classifier(seed=0, dropout=0.0, kind=BertForSequenceClassification):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = kind(
            BertConfig(
                vocab_size=VOCABULARY,
                hidden_size=16,
                num_hidden_layers=LAYERS,
                num_attention_heads=HEADS,
                intermediate_size=NEURONS,
                max_position_embeddings=24,
                hidden_dropout_prob=dropout,
                attention_probs_dropout_prob=dropout,
                initializer_range=0.3,
            )
        )
    return model.to(torch.get_default_dtype())


def attach_random_coefficients(model, seed=5):
    gates = ImportanceCoefficients.attach(model)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for coefficients in gates.parameters():
            torch.nn.init.uniform_(coefficients, -1.5, 1.5)
    return gates


def tokenizer():
    words = {"[PAD]": 0, **{f"word{index}": index for index in range(1, VOCABULARY)}}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="[PAD]")),
        pad_token="[PAD]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def dataset(examples=32, seed=0):
    draw = random.Random(seed)
    return Dataset.from_list([row(draw, label=index % 2) for index in range(examples)])


def row(draw, label):
    length = draw.randint(3, 14)
    first = draw.randint(1, length)
    return {
        "input_ids": [draw.randrange(1, VOCABULARY) for _ in range(length)],
        "attention_mask": [1] * length,
        "token_type_ids": [0] * first + [1] * (length - first),
        "labels": label,
        "length": length,
    }


def batch(examples=4, seed=0):
    rows = dataset(examples, seed).remove_columns("length")
    return dict(tokenizer().pad(rows.to_list(), return_tensors="pt"))


def arguments(folder, **changes):
    defaults = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
        "seed": 1,
    }
    return TrainingArguments(**(defaults | changes))


def adversary(name, **changes):
    return make(name, PERTURBING[name] | changes)


def make(name, settings):
    """An adversary, with neighbours of words if it needs them."""
    made = ADVERSARIES[name](**settings)
    if made.exchanges_words:
        draw = torch.Generator().manual_seed(5)
        table = torch.randint(1, VOCABULARY, (VOCABULARY, 8), generator=draw)
        return type(made)(made.config, substitutes=table)
    return made


def attach_parts(model, adversary, seed=7):
    """What `train` does before the first step."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = adversary.parts(model)
    if parts is not None:
        model.add_module("adversary", parts.to(model.dtype))


def step(folder, model, batch, adversary=None, *, trainer_class=AdversarialTrainer, seed=3, **settings):
    """The loss and the gradients of one training step; of a batch's last one where it is replayed."""
    if trainer_class is AdversarialTrainer:
        settings["adversary"] = adversary
    if adversary is not None and not hasattr(model, "adversary"):
        attach_parts(model, adversary)
    trainer = trainer_class(model, arguments(folder), **settings)
    trainer.current_gradient_accumulation_steps = 1  # set by `train`
    torch.manual_seed(seed)
    for index in range(getattr(adversary, "replays", 1)):
        trainer.state.global_step = index
        model.zero_grad()
        loss = trainer.training_step(model, dict(batch))
    return loss, gradients(model)


def gradients(model):
    weights = model.named_parameters()
    return {name: weight.grad.clone() for name, weight in weights if weight.grad is not None}


@contextmanager
def recorded_perturbations(model, batch):
    """Collects the difference of the encoder's input to the clean one, at every forward pass."""
    inputs = []
    handle = model.bert.embeddings.LayerNorm.register_forward_pre_hook(
        lambda _, args: inputs.append(args[0].detach().clone())
    )
    with torch.no_grad():
        model(**batch)
    clean = inputs.pop()
    deltas = []
    yield deltas
    handle.remove()
    deltas.extend(perturbed - clean for perturbed in inputs)


def losses_of(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
