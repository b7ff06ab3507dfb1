"""Defines the options of tickets and of ticket searches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from earlyrobust.options.base import (
    PAPER,
    RELEASE,
    AtLeastOne,
    Epochs,
    NotNegative,
    Options,
    Positive,
    Ratio,
    option,
)
from earlyrobust.options.training import Spec
from earlyrobust.settling import Settling
from earlyrobust.tickets.scopes import Scope


class SearchOptions(Options):
    """Options of the size of a ticket, of its search, and of the end of the search."""

    heads: Ratio | None = option(
        None,
        "Share of all attention heads to cut.",
        "Ticket",
        shown="1/6",
        source=PAPER,
        arm=True,
        settings=("head_ratio",),
    )
    neurons: Ratio | None = option(
        None,
        "Share of all FFN neurons to cut.",
        "Ticket",
        shown="by task",
        source=PAPER,
        arm=True,
        settings=("neuron_ratio",),
    )
    head_scope: Scope | None = option(
        None,
        "Rank the heads of all layers together (global), or those of each layer (layerwise).",
        "Ticket",
        shown="by search",
        source=PAPER,
        arm=True,
        settings=("head_scope",),
    )
    neuron_scope: Scope | None = option(
        None,
        "Rank the neurons of all layers together (global), or those of each layer (layerwise).",
        "Ticket",
        shown="by search",
        source=PAPER,
        arm=True,
        settings=("neuron_scope",),
    )
    neuron_multiple: AtLeastOne | None = option(
        None,
        "Keep a multiple of this number of neurons in each layer. 64 suits the matrix units of GPUs.",
        "Ticket",
        shown="64 on GPUs, else 1",
        arm=True,
        settings=("neuron_multiple",),
    )
    weights: Ratio = option(
        0.3,
        "Share of the weights that robust-ticket sets to zero.",
        "Ticket",
        arm=True,
        settings=("weight_ratio",),
    )

    search: str | None = option(
        None,
        "Search of the ticket: earlyrobust, earlybert, robust-ticket, random, none, or a class such as "
        "'module:Class'.",
        "Search",
        shown="by method",
        arm=True,
    )
    search_adversary: Spec | None = option(
        None,
        "Adversary of the search, such as 'freelb,steps=3', or 'none'.",
        "Search",
        shown="by search",
        arm=True,
    )
    gamma: NotNegative = option(
        0.1,
        "γ, the mask distance below which masks count as settled.",
        "Search",
        source=PAPER,
        arm=True,
        settings=("gamma",),
    )
    patience: AtLeastOne = option(
        5,
        "Number of miniepochs in a row whose masks must be close to those before them.",
        "Search",
        source=PAPER,
        arm=True,
        settings=("patience",),
    )
    settling: Settling | None = option(
        None,
        "streak: each mask is close to the mask before it (the paper). window: several masks are close to "
        "one earlier mask, which becomes the ticket (the paper's release).",
        "Search",
        shown="streak",
        source=PAPER,
        arm=True,
        settings=("settling",),
    )
    miniepoch: Positive = option(
        0.05, "Length of a miniepoch in epochs.", "Search", source=PAPER, arm=True, settings=("miniepoch",)
    )
    miniepoch_min_steps: AtLeastOne = option(
        20, "Fewest optimiser steps of a miniepoch.", "Search", arm=True, settings=("min_steps",)
    )
    search_epochs: Epochs | None = option(
        None,
        "Largest number of epochs of the search, even if its masks have not settled. It has no effect with "
        "--draw-after.",
        "Search",
        shown="by method",
        arm=True,
        settings=("max_epochs", "epochs"),
    )
    draw_after: Annotated[float, Field(ge=0, le=10_000)] | None = option(
        None,
        "Epochs after which the ticket is drawn in any case; 0 to draw it when the masks have settled.",
        "Search",
        shown="by search",
        source=PAPER,
        arm=True,
        settings=("draw_after",),
    )
    head_penalty: NotNegative | None = option(
        None,
        "λ_head, the weight of the L1 norm of the heads' coefficients.",
        "Search",
        shown="by search",
        source=RELEASE,
        arm=True,
        settings=("head_penalty",),
    )
    neuron_penalty: NotNegative | None = option(
        None,
        "λ_neuron, the weight of the L1 norm of the neurons' coefficients.",
        "Search",
        shown="by search",
        source=RELEASE,
        arm=True,
        settings=("neuron_penalty",),
    )
