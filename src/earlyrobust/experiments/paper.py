"""The experiments of the paper, as grids over the pipeline, and the scales at which they can be run.

This module is a literal table and imports nothing heavy, so that the command line can list it at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earlyrobust.results.experiment import View

Arms = dict[str, dict[str, Any]]

_MAIN = ("finetune", "earlybert", "pgd", "freelb", "infobert", "robust-ticket", "earlyrobust")
_ATTACKS = ("textfooler", "textbugger", "bert-attack")
_THREE = ("imdb", "sst2", "ag_news")
_OURS: Arms = {"earlyrobust": {"method": "earlyrobust"}}


def _methods(names: Iterable[str]) -> Arms:
    return {name: {"method": name} for name in names}


def _values(option: str, values: Iterable[float]) -> Arms:
    return {f"{option}={value:g}": {"method": "earlyrobust", option: value} for value in values}


@dataclass(frozen=True)
class Experiment:
    """A table or figure of the paper.

    Attributes:
        title: What it shows, in a line.
        tasks: The tasks it is about.
        arms: What is compared on each, and how the arms differ.
        attacks: What judges them; none where only training matters.
        baseline: The arm that the others are tested against; None for the comparison's own default.
        views: What its page shows besides tables.
        sweep: The option that the arms vary, if one.
        seeds: Seeds at the scale of the paper.
        ours: What the paper leaves open, or could not be looked up, and was chosen here; a sentence each.
    """

    title: str
    tasks: tuple[str, ...]
    arms: Arms
    attacks: tuple[str, ...] = _ATTACKS
    baseline: str | None = None
    views: tuple[View, ...] = ()
    sweep: str | None = None
    seeds: int = 5
    ours: tuple[str, ...] = ()


EXPERIMENTS: dict[str, Experiment] = {
    "table1": Experiment(
        title="Clean accuracy, accuracy under attack and queries of all methods",
        tasks=_THREE,
        arms=_methods(_MAIN),
        views=("frontier",),
    ),
    "table2": Experiment(
        title="The same on sentence pairs",
        tasks=("qnli", "qqp"),
        arms=_methods(_MAIN),
        views=("frontier",),
        ours=("That the pairs are this table's subject.",),
    ),
    "table3": Experiment(
        title="What the search is worth: without its adversary, without its regulariser, by chance",
        tasks=_THREE,
        arms={
            **_OURS,
            "no adversary": {"method": "earlyrobust", "search_adversary": "none"},
            "no regulariser": {"method": "earlyrobust", "head_penalty": 0.0, "neuron_penalty": 0.0},
            "random ticket": {"method": "earlyrobust", "search": "random"},
        },
        baseline="earlyrobust",
    ),
    "table4": Experiment(
        title="Structure or weights: the ticket's structure with random weights, and the other way round",
        tasks=_THREE,
        arms={
            **_OURS,
            "random weights": {"method": "earlyrobust", "start": "random"},
            "full structure": {"method": "earlyrobust", "start": "refilled"},
        },
        baseline="earlyrobust",
    ),
    "table5": Experiment(
        title="Ranking heads and neurons over all layers or in each",
        tasks=_THREE,
        arms={
            **_OURS,
            "layer-wise heads": {"method": "earlyrobust", "head_scope": "layerwise"},
            "layer-wise neurons": {"method": "earlyrobust", "neuron_scope": "layerwise"},
            "layer-wise both": {
                "method": "earlyrobust",
                "head_scope": "layerwise",
                "neuron_scope": "layerwise",
            },
        },
        baseline="earlyrobust",
        views=("layers",),
    ),
    "table7": Experiment(
        title="Cheap adversaries alone, and on top of a ticket",
        tasks=_THREE,
        arms={
            **_methods(("finetune", "freeat", "yopo")),
            **_OURS,
            "earlyrobust + freeat": {"method": "earlyrobust", "adversary": "freeat"},
            "earlyrobust + yopo": {"method": "earlyrobust", "adversary": "yopo"},
            "earlyrobust + freelb K=2": {"method": "earlyrobust", "adversary": "freelb,steps=2"},
        },
        baseline="earlyrobust",
        views=("frontier",),
        ours=("That this is the table's subject, and the settings of FreeAT and YOPO.",),
    ),
    "table8": Experiment(
        title="Tickets drawn when their masks have settled, and at fixed times",
        tasks=_THREE,
        arms={**_OURS, **_values("draw_after", (0.1, 0.2, 0.5, 1.0))},
        baseline="earlyrobust",
        ours=("That this is the table's subject, and the times.",),
    ),
    "figure2": Experiment(
        title="How far the masks of any two miniepochs are apart, over one whole epoch",
        tasks=_THREE,
        arms=_values("draw_after", (1.0,)),
        attacks=(),
        views=("distances",),
        seeds=1,
    ),
    "figure3": Experiment(
        title="Accuracy clean and under attack against the share of neurons cut",
        tasks=_THREE,
        arms=_values("neurons", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
        views=("sweep",),
        sweep="neurons",
        seeds=3,
        ours=("That this is the figure's subject, and the shares.",),
    ),
    "figure4": Experiment(
        title="Accuracy clean and under attack against γ, below which masks count as settled",
        tasks=_THREE,
        arms=_values("gamma", (0.05, 0.1, 0.15, 0.2, 0.3)),
        views=("sweep",),
        sweep="gamma",
        seeds=3,
        ours=("That this is the figure's subject, and the values.",),
    ),
    "figure5": Experiment(
        title="Heads and neurons that each layer keeps",
        tasks=_THREE,
        arms=_OURS,
        views=("layers",),
    ),
    "time": Experiment(
        title="Training time of every method: five runs, the preparation of the data left out",
        tasks=("sst2",),
        arms=_methods((*_MAIN, "freeat", "yopo", "smart")),
        attacks=(),
        ours=("The task, and SMART among the methods.",),
    ),
}


@dataclass(frozen=True)
class Scale:
    """How large an experiment is.

    Attributes:
        description: In a line, for people.
        options: Options of every comparison.
        by_task: Options of those on a task.
        by_experiment: Options of those of an experiment; they win over the task's.
        tasks: The tasks it is run on instead of the experiment's; None for the experiment's.
        attacks: What the experiment's attacks give way to; those not named here stay.
        attacks_note: How those differ from the paper's, a sentence; for experiments that attack.
        most_seeds: More seeds than these are not run.
        notes: How it differs from the paper, a sentence each.
    """

    description: str
    options: dict[str, Any] = field(default_factory=dict)
    by_task: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_experiment: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: tuple[str, ...] | None = None
    attacks: dict[str, str | None] = field(default_factory=dict)
    attacks_note: str | None = None
    most_seeds: int = 100
    notes: tuple[str, ...] = ()


# The settings that the paper lists in its Table 6 could not be looked up. Those of IMDB are known from its
# release; the others are ours.
_PAPER_SETTINGS: dict[str, dict[str, Any]] = {
    "imdb": {"batch_size": 8, "learning_rate": 2e-5},
    **{task: {"batch_size": 32, "learning_rate": 2e-5} for task in ("sst2", "ag_news", "qnli", "qqp")},
}

SCALES: dict[str, Scale] = {
    "smoke": Scale(
        description="minutes: the built-in corpus, 300 samples, one epoch, 10 examples, one attack, one seed",
        options={"train_samples": 300, "epochs": 1.0, "examples": 10, "miniepoch_min_steps": 2},
        tasks=("builtin",),
        attacks={"textbugger": None, "bert-attack": None},
        most_seeds=1,
        notes=("This scale shows that everything runs; its numbers mean nothing.",),
    ),
    "cpu": Scale(
        description="an hour on two cores: up to 320 samples (figure2: 2,000), two epochs, up to 30 "
        "examples, one seed",
        options={
            "epochs": 2.0,
            # More and longer steps make something of few texts.
            "batch_size": 8,
            "learning_rate": 1e-4,
            # Miniepochs are so short on samples so small that masks would not be compared often enough.
            "miniepoch_min_steps": 5,
        },
        by_task={
            "sst2": {"train_samples": 320, "examples": 30},
            "qnli": {"train_samples": 320, "test_samples": 500, "examples": 16},
            "qqp": {"train_samples": 320, "test_samples": 500, "examples": 24},
            "ag_news": {"train_samples": 160, "test_samples": 300, "examples": 8},
            "imdb": {"train_samples": 160, "test_samples": 500, "examples": 8, "max_length": 64},
        },
        # What it does not spend on attacks goes into an epoch long enough to watch masks in.
        by_experiment={"figure2": {"train_samples": 2000}},
        attacks={"bert-attack": "bert-attack-earlyrobust"},
        attacks_note="The recipe that the paper's release ran as BERT-Attack stands for it: no language "
        "model is embedded.",
        most_seeds=1,
        notes=(
            "A small encoder, a sample of the data, two epochs instead of ten, and one seed.",
            "Batches of 8 and a learning rate of 1e-4, because the texts are few.",
            "Of a review, the first 64 tokens.",
        ),
    ),
    "paper": Scale(
        description="the paper's: BERT-base, all data, ten epochs, 1,000 examples, five seeds; needs a GPU",
        options={"model": "google-bert/bert-base-uncased", "examples": 1000, "bf16": True},
        by_task=_PAPER_SETTINGS,
        notes=(
            "Batch sizes and learning rates other than IMDB's, the number of examples attacked, and bfloat16 "
            "are ours.",
        ),
    ),
}
