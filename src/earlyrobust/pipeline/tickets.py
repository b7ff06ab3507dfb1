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
