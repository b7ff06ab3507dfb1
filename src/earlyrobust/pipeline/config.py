"""The options of a run: one flat model behind the command line's flags and the YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, Field

from earlyrobust.data.tasks import TASKS, Task
from earlyrobust.data.textformat import USUAL_FORMAT, TextFormat, parse_delimiter, parse_encoding
from earlyrobust.errors import ConfigError
from earlyrobust.pipeline.attack_options import AttackOptions
from earlyrobust.pipeline.methods import METHODS, Start
from earlyrobust.pipeline.specs import parse_spec
from earlyrobust.settling import Settling
from earlyrobust.tickets.drawing import Scope

DEFAULT_TASK = "builtin"
# For the user's own files, of which the paper says nothing: ours.
_OF_OWN_DATA = ("test_file", "text_column", "pair_column", "label_column")
OWN_DATA = {"max_length": 128, "epochs": 3.0, "heads": 1 / 6, "neurons": 0.3}

Ratio = Annotated[float, Field(ge=0, lt=1)]
Epochs = Annotated[float, Field(gt=0, le=10_000)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Delimiter = Annotated[str, AfterValidator(parse_delimiter)]
Encoding = Annotated[str, AfterValidator(parse_encoding)]
Spec = Annotated[str, AfterValidator(lambda spec: parse_spec(spec) and spec)]


class RunConfig(AttackOptions):
    """Options of `earlyrobust run`, and of `search` and `finetune`, which use some of them.

    Those of attacks are explained in `AttackOptions`; no attack is made if `attack` is empty.

    An option that is None takes the task's value when the configuration is resolved. Where no source is
    named, the default is ours.

    Attributes:
        method: How the classifier is trained: a method of `METHODS`.
        model: Encoder: `minilm` (embedded), a local folder, or a name on the Hugging Face hub.
        task: A task of `TASKS`; None with `train_file`.
        data_dir: Local folder of Parquet files to read the task from instead of the hub.
        train_samples: Rows to draw for training, None for all.
        test_samples: Rows to draw for testing, None for all.
        train_file: The user's own training data.
        test_file: The user's own test data; cut from the training data if None.
        text_column: Column of the text, or of the first text of a pair.
        pair_column: Column of the second text.
        label_column: Column of the label.
        quotes: Whether a quote at the start of a field of the user's CSV and TSV files opens a quoted field,
            None for the usual rules: see `TextFormat`.
        delimiter: Character between the fields of these files, None for what their names say.
        encoding: Encoding of the user's text files, None for UTF-8.
        output: Folder of the run.
        seed: Seed of data order, classifier head, dropout and perturbations.
        epochs: Epochs of fine-tuning (the paper's 10 for its tasks); of search and fine-tuning together if
            the fine-tuning goes on from the search.
        batch_size: Examples per optimiser step.
        learning_rate: Peak learning rate; constant in a search, with a linear decay in the fine-tuning.
        max_length: Longest input in tokens (the paper's 128 or 256 for its tasks).
        bf16: Compute in bfloat16 where that is safe; None for doing so if the device computes in it itself,
            and is faster in it by a measurement at the start.
        gradient_accumulation: Parts of a batch that pass through the model one after the other, None for 1:
            less memory, and other draws of dropout and perturbations.
        gradient_checkpointing: Compute activations a second time instead of keeping them, None for not: less
            memory, more time, the same results.
        class_weights: "balanced" to weight the loss of each example by the rarity of its class, "none" or
            None for equal weights. The dense model and the search have them, too.
        early_stopping: Epochs without a better model, by its accuracy on the selection split, after which a
            fine-tuning stops; None for never. With it, the weights of the best epoch are kept. With balanced
            weights the macro-F1 decides instead of the accuracy.
        report_to: Where the training is reported to beside the record: "tensorboard", "wandb", "mlflow" or
            "none"; None for none.
        heads: Share of all attention heads to cut (the paper's 1/6).
        neurons: Share of all FFN neurons to cut (the paper's, by task).
        weights: Share of the weights to set to zero, for `robust-ticket`.
        search: How the ticket is searched: a search of `SEARCHES`, `random` for one drawn by chance, `none`;
            None for the method's.
        search_adversary: What perturbs the search, see `parse_spec`; None for the search's own.
        head_penalty: λ_head; None for the search's own (1e-5: the paper's release for IMDB).
        neuron_penalty: λ_neuron; None for the search's own (2e-4: the same).
        head_scope: Whether heads are ranked over all layers together ("global") or in each ("layerwise");
            None for the search's own (global: the paper).
        neuron_scope: The same for neurons.
        neuron_multiple: Every layer keeps a multiple of so many neurons, where it has such a multiple; None
            for 64 on an accelerator, which computes such matrices fastest, and 1 on the CPU.
        gamma: γ, the mask distance below which masks count as settled (0.1: the paper).
        patience: Miniepochs in a row for which they must be (5: the paper).
        settling: The rule by which they are: "streak" compares each mask with the one before (the paper's
            text); "window" compares it with the first of them, which is then drawn (the paper's release).
            None for the search's own (streak).
        miniepoch: Length of a miniepoch in epochs (0.05: the paper).
        miniepoch_min_steps: Fewest optimiser steps of a miniepoch.
        search_epochs: Epochs after which the search stops anyway, None for the method's (1); idle beside a
            `draw_after` above 0.
        draw_after: Epochs after which the ticket is drawn, settled or not; 0 to draw it when the masks have
            settled; None for the search's own (0: the paper).
        labels: If `model` is a trained classifier, the class that each of its outputs stands for, see
            `match_classes`; None to find it by their names.
        start: What the fine-tuning starts from, None for the method's: the "pretrained" weights that the
            ticket keeps (the paper), with a new head; the weights and the head of a trained classifier
            ("given"), which take the place of "pretrained" ones wherever `model` is a classifier for the
            classes of the data; for ablations "random" ones of the ticket's structure, or the whole
            encoder with those that the ticket cuts drawn afresh ("refilled"); ours, the weights that the
            search trained ("searched"), or its whole training ("continued"): one schedule over both, with
            the optimiser's state of what stays.
        adversary: What perturbs the fine-tuning, see `parse_spec`; None for the method's.
        noise: Noise in the training texts of the search and of the fine-tuning, see `parse_spec`: "random",
            "learned" or "gradient" with settings of `NoiseConfig`, or "none"; None for the method's. The
            setting `neighbours` names sources of its own, joined by "+". The dense model has no noise.
        dense: Whether a dense model is fine-tuned, evaluated and attacked beside the method's, to compare.
        attack_split: What is attacked: examples of the "test" split, or of the "selection" split, which is
            there to choose settings on.
    """

    method: str = "earlyrobust"
    model: str = "minilm"
    task: str | None = None
    data_dir: Path | None = None
    train_samples: Annotated[int, Field(gt=0)] | None = None
    test_samples: Annotated[int, Field(gt=0)] | None = None
    train_file: Path | None = None
    test_file: Path | None = None
    text_column: str = "text"
    pair_column: str | None = None
    label_column: str = "label"
    quotes: bool | None = None
    delimiter: Delimiter | None = None
    encoding: Encoding | None = None
    output: Path | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    epochs: Epochs | None = None
    batch_size: Annotated[int, Field(gt=0, le=100_000)] = 16
    learning_rate: Positive = 5e-5
    max_length: Annotated[int, Field(ge=8)] | None = None
    bf16: bool | None = None
    gradient_accumulation: Annotated[int, Field(gt=0, le=100_000)] | None = None
    gradient_checkpointing: bool | None = None
    class_weights: Literal["balanced", "none"] | None = None
    early_stopping: Annotated[int, Field(gt=0)] | None = None
    report_to: Literal["tensorboard", "wandb", "mlflow", "none"] | None = None
    heads: Ratio | None = None
    neurons: Ratio | None = None
    weights: Ratio = 0.3
    search: str | None = None
    search_adversary: Spec | None = None
    head_penalty: NotNegative | None = None
    neuron_penalty: NotNegative | None = None
    head_scope: Scope | None = None
    neuron_scope: Scope | None = None
    neuron_multiple: Annotated[int, Field(gt=0)] | None = None
    gamma: NotNegative = 0.1
    patience: Annotated[int, Field(gt=0)] = 5
    settling: Settling | None = None
    miniepoch: Positive = 0.05
    miniepoch_min_steps: Annotated[int, Field(gt=0)] = 20
    search_epochs: Epochs | None = None
    draw_after: Annotated[float, Field(ge=0, le=10_000)] | None = None
    labels: str | None = None
    start: Start | None = None
    adversary: Spec | None = None
    noise: Spec | None = None
    dense: bool = True
    attack_split: Literal["test", "selection"] = "test"

    @classmethod
    def build(cls, flags: dict[str, Any], file: Path | None = None, suffix: str = "") -> Self:
        """Combine flags and a YAML file into a resolved configuration; flags win.

        Args:
            flags: Options that were given; those that are None count as not given.
            file: YAML file of the same options, None for none.
            suffix: Ends the name of the default output folder.

        Returns:
            The configuration, with the task's defaults filled in.

        Raises:
            ConfigError: If the file cannot be used, or an option is unknown, unusable, or contradictory.
        """
        return cls.parse(flags, file).resolved(suffix)

    def resolved(self, suffix: str = "") -> Self:
        """Fill in what the task decides, and the default output folder, whose name ends with `suffix`.

        Raises:
            ConfigError: If the method or the task is unknown, or options contradict each other.
        """
        if self.method not in METHODS:
            raise ConfigError(f"There is no method '{self.method}': choose one of {', '.join(METHODS)}.")
        if self.train_file is not None and (self.task is not None or self.data_dir is not None):
            raise ConfigError("Choose either your own files or a --task (with --data-dir), not both.")
        for option in () if self.train_file is not None else _OF_OWN_DATA:
            if getattr(self, option) != type(self).model_fields[option].default:
                name = option.replace("_", "-")
                raise ConfigError(f"--{name} is for your own data: give --train-file too.")
        if self.train_file is None and self.text_format != USUAL_FORMAT:
            raise ConfigError(
                "--quotes, --no-quotes, --delimiter and --encoding are for your own data: "
                "give --train-file too."
            )
        task = self.known_task()
        if task is not None and task.local is None and self.data_dir is not None:
            raise ConfigError(
                f"--data-dir is not for task '{task.name}': give the --task to read from it too."
            )
        name = str(self.train_file.stem) if self.train_file is not None else (self.task or DEFAULT_TASK)
        return self.model_copy(
            update={
                "task": None if task is None else task.name,
                "output": self.output or Path("runs") / (name + suffix),
                **{
                    option: getattr(self, option) if getattr(self, option) is not None else default
                    for option, default in _defaults(task).items()
                },
            }
        )

    @property
    def text_format(self) -> TextFormat:
        """How the user's text files are laid out."""
        return TextFormat(self.quotes, self.delimiter, self.encoding)

    @property
    def output_folder(self) -> Path:
        """Folder of the run, once resolved."""
        return cast("Path", self.output)

    def is_set(self, option: str) -> bool:
        """Whether an option has another value than it has by default."""
        default = _defaults(self.known_task()).get(option, type(self).model_fields[option].default)
        return bool(getattr(self, option) != default)

    def known_task(self) -> Task | None:
        """The task that is trained on; None for the user's own files.

        Raises:
            ConfigError: If there is no such task.
        """
        if self.train_file is not None:
            return None
        name = self.task or DEFAULT_TASK
        if name not in TASKS:
            raise ConfigError(
                f"There is no task '{name}': choose one of {', '.join(TASKS)}, or give --train-file."
            )
        return TASKS[name]


def _defaults(task: Task | None) -> dict[str, float]:
    if task is None:
        return OWN_DATA
    return {option: getattr(task, option) for option in OWN_DATA}
