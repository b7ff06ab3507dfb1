"""Checks a ticket against the encoder of a run, and draws random tickets."""

from __future__ import annotations

from typing import Any

from earlyrobust.encoders import load_dimensions
from earlyrobust.errors import TicketError
from earlyrobust.options.run import RunConfig
from earlyrobust.pruning.coefficients import check_fits
from earlyrobust.tickets.drawing import draw_at_random
from earlyrobust.tickets.ticket import Ticket
from earlyrobust.workspace.folder import AnyTicket
from earlyrobust.workspace.observer import Observer

# The options that say how a ticket is found, for which the training of an existing ticket has no use.
_PANELS = ("Ticket", "Search")
_OF_TICKETS = ["method", *(name for name, one in RunConfig.described().items() if one.panel in _PANELS)]


def options_for_ticket(config: RunConfig, ticket: AnyTicket, observer: Observer) -> RunConfig:
    """Return the options of the training of an existing ticket, which has no method and no search.

    The other options lose their values, so that a record does not claim them. They are reported, but no
    errors, so that the file of a run's options can be used for its ticket.

    Args:
        config: Resolved options.
        ticket: The ticket.
        observer: Receives a message about options without an effect.
    """
    own: dict[str, float] = {}
    if isinstance(ticket, Ticket):
        own = {"heads": ticket.head_sparsity, "neurons": ticket.neuron_sparsity}
    idle = [name for name in _OF_TICKETS if config.is_set(name) and getattr(config, name) != own.get(name)]
    if idle:
        observer.note(f"The ticket is trained as it is, so these options are not used: {', '.join(idle)}.")
    if not own and config.start in ("random", "refilled"):
        observer.note(
            f"The ticket sets single weights to zero, so --start {config.start} has no effect: the training "
            "starts from the pretrained weights."
        )
        idle.append("start")
    unset = {name: RunConfig.model_fields[name].default for name in (*idle, *own)}
    return config.model_copy(update=unset).resolved().model_copy(update=own)


def check_ticket(ticket: AnyTicket, encoder: str) -> None:
    """Check that a ticket fits the architecture of an encoder, by the configuration of the encoder.

    Args:
        ticket: The ticket.
        encoder: Name of the encoder.

    Raises:
        TicketError: If the ticket does not fit.
    """
    model_type, size = load_dimensions(encoder)
    if isinstance(ticket, Ticket):
        check_fits(model_type, size, ticket)
    elif ticket.model_type != model_type:
        raise TicketError(
            f"The ticket is of another architecture: it fits '{ticket.model_type}', but '{encoder}' is "
            f"'{model_type}'."
        )


def random_ticket(config: RunConfig, multiple: int, origin: dict[str, Any]) -> Ticket:
    """Draw a random ticket with the ratios of a run.

    Args:
        config: The options of the run.
        multiple: Every layer keeps a multiple of this number of neurons.
        origin: Facts to keep with the ticket.

    Raises:
        ConfigError: If a ratio leaves a layer without any head or neuron.
    """
    model_type, size = load_dimensions(config.model)
    scopes = config.head_scope or "global", config.neuron_scope or "global"
    return Ticket(
        model_type=model_type,
        heads=draw_at_random((size.layers, size.heads), config.heads or 0.0, scopes[0], config.seed),
        neurons=draw_at_random(
            (size.layers, size.neurons), config.neurons or 0.0, scopes[1], config.seed, multiple
        ),
        origin={"method": "random", "seed": config.seed, **origin},
    )
