"""Lists the experiments of the paper as grids of runs, and the scales at which they can run.

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
        title: The title, in one line.
        tasks: The tasks of the experiment.
        arms: The arms to compare on each task: for each name, the options in which the arm differs.
        attacks: The attacks on the models; empty if only the training matters.
        baseline: The arm against which the others are tested; None for the default of comparisons.
        views: The parts of its page besides tables.
        sweep: The option that the arms vary; None for several options or none.
        seeds: Number of seeds at the scale of the paper.
        ours: Choices that are ours, because the paper leaves them open or could not be looked up; one
            sentence each.
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
        title="Clean accuracy, accuracy under attack and queries on sentence pairs",
        tasks=("qnli", "qqp"),
        arms=_methods(_MAIN),
        views=("frontier",),
        ours=("The choice of sentence pairs for this table.",),
    ),
    "table3": Experiment(
        title="Ablation of the search: no adversary, no regulariser, or a random ticket",
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
        title="Structure against weights: a ticket with random weights, or the full structure refilled",
        tasks=_THREE,
        arms={
            **_OURS,
            "random weights": {"method": "earlyrobust", "start": "random"},
            "full structure": {"method": "earlyrobust", "start": "refilled"},
        },
        baseline="earlyrobust",
    ),
    "table5": Experiment(
        title="Heads and neurons ranked over all layers, or within each layer",
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
        title="Cheap adversaries, alone and combined with a ticket",
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
        ours=("The subject of this table, and the settings of FreeAT and YOPO.",),
    ),
    "table8": Experiment(
        title="Tickets drawn when their masks have settled, or at fixed times",
        tasks=_THREE,
        arms={**_OURS, **_values("draw_after", (0.1, 0.2, 0.5, 1.0))},
        baseline="earlyrobust",
        ours=("The subject of this table, and the times.",),
    ),
    "figure2": Experiment(
        title="Distances between the masks of all pairs of miniepochs in one epoch",
        tasks=_THREE,
        arms=_values("draw_after", (1.0,)),
        attacks=(),
        views=("distances",),
        seeds=1,
    ),
    "figure3": Experiment(
        title="Clean accuracy and accuracy under attack against the share of neurons cut",
        tasks=_THREE,
        arms=_values("neurons", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
        views=("sweep",),
        sweep="neurons",
        seeds=3,
        ours=("The subject of this figure, and the shares.",),
    ),
    "figure4": Experiment(
        title="Clean accuracy and accuracy under attack against γ, the threshold of settled masks",
        tasks=_THREE,
        arms=_values("gamma", (0.05, 0.1, 0.15, 0.2, 0.3)),
        views=("sweep",),
        sweep="gamma",
        seeds=3,
        ours=("The subject of this figure, and the values.",),
    ),
    "figure5": Experiment(
        title="Heads and neurons that each layer keeps",
        tasks=_THREE,
        arms=_OURS,
        views=("layers",),
    ),
    "time": Experiment(
        title="Training time of every method in five runs, without the preparation of the data",
        tasks=("sst2",),
        arms=_methods((*_MAIN, "freeat", "yopo", "smart")),
        attacks=(),
        ours=("The task, and SMART among the methods.",),
    ),
}


@dataclass(frozen=True)
class Scale:
    """The size of an experiment.

    Attributes:
        description: A description in one line.
        options: Options of every comparison.
        by_task: For each task, options of the comparisons on it.
        by_experiment: For each experiment, options of its comparisons; they win over those of the task.
        tasks: Tasks that replace those of the experiment; None for the experiment's own tasks.
        attacks: Replacements of the experiment's attacks, None to leave an attack out; other attacks stay.
        attacks_note: The difference from the paper's attacks in one sentence, for experiments with attacks;
            None for no difference.
        most_seeds: Largest number of seeds.
        notes: Differences from the paper, one sentence each.
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


# The settings in the paper's Table 6 could not be looked up. Those of IMDB are from the paper's release; the
# others are ours.
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
        description="at most an hour on two cores: up to 320 samples (figure2: 2,000), two epochs, up to 30 "
        "examples, one seed",
        options={
            "epochs": 2.0,
            # With few texts, a model learns only with more steps and a higher learning rate.
            "batch_size": 8,
            "learning_rate": 1e-4,
            # On small samples, the usual minimum would leave too few miniepochs to compare masks.
            "miniepoch_min_steps": 5,
        },
        by_task={
            "sst2": {"train_samples": 320, "examples": 30},
            "qnli": {"train_samples": 320, "test_samples": 500, "examples": 16},
            "qqp": {"train_samples": 320, "test_samples": 500, "examples": 24},
            "ag_news": {"train_samples": 160, "test_samples": 300, "examples": 8},
            "imdb": {"train_samples": 160, "test_samples": 500, "examples": 8, "max_length": 64},
        },
        # This experiment makes no attacks, so it has time for an epoch that is long enough to compare masks.
        by_experiment={"figure2": {"train_samples": 2000}},
        attacks={"bert-attack": "bert-attack-earlyrobust"},
        attacks_note="The recipe that the paper's release runs under the name BERT-Attack replaces "
        "BERT-Attack, because no language model is embedded.",
        most_seeds=1,
        notes=(
            "A small encoder, a sample of the data, two epochs instead of ten, and one seed.",
            "Batches of 8 and a learning rate of 1e-4, because the texts are few.",
            "Only the first 64 tokens of a review in IMDB.",
        ),
    ),
    "paper": Scale(
        description="as in the paper: BERT-base, all data, ten epochs, 1,000 examples, five seeds; needs a "
        "GPU",
        options={"model": "google-bert/bert-base-uncased", "examples": 1000, "bf16": True},
        by_task=_PAPER_SETTINGS,
        notes=(
            "The batch sizes and learning rates except those of IMDB, the number of attacked examples, and "
            "bfloat16 are ours.",
        ),
    ),
}
