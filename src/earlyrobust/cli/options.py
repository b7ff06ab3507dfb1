"""The options that commands share. What an option means is said here once; its default in `RunConfig`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from earlyrobust.errors import ConfigError

Command = TypeVar("Command", bound=Callable[..., None])
Group = dict[str, Any]


def option(kind: Any, panel: str | None, help_: str, default: str | bool = False) -> Any:
    """An option that is None unless it is given; `default` is what the help says then holds."""
    return Annotated[kind | None, typer.Option(help=help_, show_default=default, rich_help_panel=panel)]


RUN: Group = {
    "config": option(Path, None, "YAML file of options, named as the flags are; flags win."),
    "output": option(Path, None, "Folder of the run.", "under runs/, named after the task"),
}

GRID: Group = {
    "methods": option(str, "Grid", "Methods to compare, separated by commas; more arms in --config."),
    "seeds": option(int, "Grid", "Number of seeds, counted from --seed on.", "3"),
    "baseline": option(str, "Grid", "What the others are tested against.", "finetune, or else the first"),
    "cells": option(Path, "Grid", "Folder of the runs, which comparisons may share.", "within the output"),
    "launcher": option(str, "Grid", "What runs the cells: local, or ray for a Ray cluster.", "local"),
    "cell_cpus": option(int, "Grid", "Threads of a cell; on Ray its cores, too.", "all; on Ray 1"),
    "cell_gpus": option(float, "Grid", "GPUs that a cell asks for on Ray.", "0"),
}

DATA: Group = {
    "task": option(str, "Data", "A task: see `earlyrobust list`.", "builtin"),
    "data_dir": option(Path, "Data", "Folder of Parquet files to read the task from.", "the hub"),
    "train_samples": option(int, "Data", "Training examples to draw, keeping class shares.", "all"),
    "test_samples": option(int, "Data", "Test examples to draw, keeping class shares.", "all"),
    "train_file": option(Path, "Data", "Your own CSV, TSV, JSONL or Parquet."),
    "test_file": option(
        Path, "Data", "Your own test data, in the same columns.", "10 % of the training file"
    ),
    "text_column": option(str, "Data", "Column of the text in your files.", "text"),
    "pair_column": option(str, "Data", "Column of the second text, for pairs."),
    "label_column": option(str, "Data", "Column of the label, a number or a word.", "label"),
    "quotes": option(
        bool,
        "Data",
        "Whether a quote at the start of a field opens a quoted one; with --no-quotes all quotes are text.",
        "yes; in TSV if it closes before the tab",
    ),
    "delimiter": option(str, "Data", "Character between fields, as ';' or 'tab'.", "by the file's name"),
    "encoding": option(str, "Data", "Encoding of your CSV, TSV or JSONL, as cp1252.", "UTF-8"),
    "max_length": option(int, "Data", "Longest text in tokens.", "by task"),
}

TEST_DATA: Group = {
    **{
        name: kind
        for name, kind in DATA.items()
        if name not in ("train_samples", "test_samples", "train_file")
    },
    "task": option(str, "Data", "A task: see `earlyrobust list`.", "that of the run that trained the model"),
    "test_file": option(Path, "Data", "Your own test data: CSV, TSV, JSONL or Parquet."),
    "text_column": option(str, "Data", "Its column of the text.", "that of the run, else text"),
    "pair_column": option(str, "Data", "Its column of the second text, for pairs.", "that of the run"),
    "label_column": option(
        str, "Data", "Its column of the label, a number or a word.", "that of the run, else label"
    ),
    "max_length": option(int, "Data", "Longest text in tokens.", "that of the run, else by task"),
    "labels": option(
        str,
        "Data",
        "The class that each output of the model stands for, in the order of the outputs, as "
        "'negative,positive', or in pairs, as 'NEG=negative,POS=positive'.",
        "found by their names",
    ),
}

UNLABELLED: Group = {
    name: TEST_DATA[name]
    for name in ("text_column", "pair_column", "quotes", "delimiter", "encoding", "max_length")
}

TRAINING: Group = {
    "model": option(
        str,
        "Training",
        "Encoder, or trained classifier: 'minilm' (embedded), a folder, or a name on the Hugging Face hub.",
        "minilm",
    ),
    "labels": option(
        str,
        "Training",
        "The class that each output stands for, if --model is a trained classifier: in the order of the "
        "outputs, as 'negative,positive', or in pairs, as 'NEG=negative,POS=positive'.",
        "found by their names",
    ),
    "start": option(
        str,
        "Training",
        "What the fine-tuning starts from: pretrained weights, a trained classifier with its head (given), "
        "searched weights, or the search's whole training (continued); for ablations random weights (of the "
        "ticket's structure) or refilled ones (the whole encoder, what is cut drawn afresh).",
        "by method; given, if --model is a classifier for these classes",
    ),
    "batch_size": option(int, "Training", "Examples per optimiser step.", "16"),
    "learning_rate": option(float, "Training", "Peak learning rate.", "5e-5"),
    "bf16": option(bool, "Training", "Compute in bfloat16 where that is safe.", "if it is faster here"),
    "gradient_accumulation": option(
        int, "Training", "Parts that a batch is computed in, one after the other, to save memory.", "1"
    ),
    "gradient_checkpointing": option(
        bool, "Training", "Compute activations twice instead of keeping them, to save memory.", "no"
    ),
    "class_weights": option(
        str, "Training", "'balanced' weights the loss of an example by the rarity of its class.", "none"
    ),
    "report_to": option(
        str, "Training", "Where loss and learning rate go as well: tensorboard, wandb or mlflow.", "none"
    ),
    "seed": option(int, "Training", "Seed of everything random.", "0"),
    "noise": option(
        str,
        "Training",
        "Words of training texts exchanged for neighbours, and misspellings: 'random', 'learned' or "
        "'gradient', with settings as 'learned,rate=0.5,neighbours=wordnet+my.csv', or 'none'.",
        "the method's",
    ),
}

DENSE: Group = {
    "dense": option(bool, "Training", "Train a dense model beside it, to compare.", "yes"),
}

FINETUNING: Group = {
    "epochs": option(float, "Training", "Epochs of fine-tuning.", "by task"),
    "early_stopping": option(
        int,
        "Training",
        "Epochs without a better model on the selection split after which a fine-tuning stops; it keeps the "
        "weights of the best epoch.",
        "never; the last weights are kept",
    ),
    "adversary": option(
        str, "Training", "What perturbs the fine-tuning, as 'freelb,steps=2', or 'none'.", "by method"
    ),
}

SEARCH: Group = {
    "method": option(str, "Training", "A method: see `earlyrobust list methods`.", "earlyrobust"),
    "heads": option(float, "Ticket", "Share of all attention heads to cut.", "1/6"),
    "neurons": option(float, "Ticket", "Share of all FFN neurons to cut.", "by task"),
    "head_scope": option(
        str, "Ticket", "Rank heads over all layers, or in each: global, layerwise.", "by search"
    ),
    "neuron_scope": option(str, "Ticket", "The same for neurons.", "by search"),
    "neuron_multiple": option(
        int, "Ticket", "Keep a multiple of so many neurons in each layer.", "64 on GPUs, else 1"
    ),
    "weights": option(float, "Ticket", "Share of the weights that robust-ticket sets to zero.", "0.3"),
    "gamma": option(float, "Search", "Mask distance below which masks count as settled.", "0.1"),
    "patience": option(int, "Search", "Miniepochs in a row for which they must be.", "5"),
    "settling": option(
        str,
        "Search",
        "Compare each mask with the one before (streak), or with the first of them and draw that (window).",
        "streak",
    ),
    "miniepoch": option(float, "Search", "Length of a miniepoch in epochs.", "0.05"),
    "miniepoch_min_steps": option(int, "Search", "Fewest optimiser steps of a miniepoch.", "20"),
    "search_epochs": option(
        float, "Search", "Epochs after which it stops anyway, without --draw-after.", "by method"
    ),
    "draw_after": option(
        float,
        "Search",
        "Epochs after which the ticket is drawn; 0 for when its masks have settled.",
        "by search",
    ),
    "head_penalty": option(float, "Search", "L1 weight of the heads' coefficients.", "by search"),
    "neuron_penalty": option(float, "Search", "L1 weight of the neurons' coefficients.", "by search"),
    "search": option(
        str,
        "Search",
        "How the ticket is found: earlyrobust, earlybert, robust-ticket, random; or none.",
        "by method",
    ),
    "search_adversary": option(
        str, "Search", "What perturbs the search, as 'freelb,steps=3', or 'none'.", "by search"
    ),
}

ATTACK: Group = {
    "attack": option(
        str, "Attack", "Attacks, separated by commas: see `earlyrobust list attacks`.", "textfooler"
    ),
    "examples": option(int, "Attack", "Test examples to attack, keeping class shares.", "200"),
    "neighbours": option(
        str,
        "Attack",
        "Words to replace words by: 'wordnet', 'counter-fitted', an encoder, or a file of lists or vectors.",
        "counter-fitted if fetched, else wordnet",
    ),
    "sentence_encoder": option(
        str, "Attack", "Judge of similarity: a sentence-transformers model, or 'use'.", "minilm"
    ),
    "masked_lm": option(str, "Attack", "Language model of bert-attack.", "google-bert/bert-base-uncased"),
    "nltk_data": option(Path, "Attack", "Folder of NLTK's tagger, words and WordNet.", "where NLTK looks"),
    "candidates": option(int, "Attack", "K, candidates for each word.", "by attack"),
    "min_similarity": option(float, "Attack", "Smallest similarity of sentences.", "by attack"),
    "min_word_cosine": option(float, "Attack", "Smallest cosine of word vectors.", "by attack"),
    "word_limit": option(float, "Attack", "Largest share of words replaced.", "by attack"),
    "ranks_all_words": option(bool, "Attack", "Rank stop words too, as TextAttack 0.3.4 did.", "no"),
    "precision": option(
        str, "Attack", "Compute the models in float32, tf32 or bf16; the last two are faster.", "float32"
    ),
    "token_budget": option(int, "Attack", "Most tokens of a batch; no result depends on it.", "by device"),
    "in_flight": option(int, "Attack", "Examples attacked side by side; no result depends on it.", "128"),
}

SCRUTINY: Group = {
    "scrutiny": option(
        bool,
        "Attack",
        "Repeat each attack in other ways, to see whether it overstates robustness; takes far longer.",
        "no",
    ),
}

ATTACK_OF_RUN: Group = {
    "attack_split": option(
        str, "Attack", "What is attacked: test, or selection, to choose settings on.", "test"
    ),
    "no_attack": Annotated[
        bool, typer.Option("--no-attack", help="Do not attack what was trained.", rich_help_panel="Attack")
    ],
}


def takes(*groups: Group) -> Callable[[Command], Command]:
    """Give a command the options of some groups in place of its `**options`, as Typer reads them.

    Args:
        *groups: Tables of name → annotated type.
    """

    def decorate(command: Command) -> Command:
        shared = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for group in groups
            for name, annotation in group.items()
        ]
        own = [
            parameter
            for parameter in inspect.signature(command, eval_str=True).parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
            and parameter.name not in {option.name for option in shared}
        ]
        parameters = [*own, *shared]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def with_attack(flags: dict[str, Any], no_attack: bool | None) -> dict[str, Any]:
    """The flags with `--no-attack` carried out.

    Raises:
        ConfigError: If attacks are asked for too.
    """
    if not no_attack:
        return flags
    if flags["attack"] is not None:
        raise ConfigError("Choose either --attack or --no-attack, not both.")
    return {**flags, "attack": ()}
