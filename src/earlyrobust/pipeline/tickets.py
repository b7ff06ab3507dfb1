"""The tickets of a run: checked against its encoder, or drawn by chance."""

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
    """Check that a ticket is of an encoder's architecture, as far as its configuration tells.

    Raises:
        TicketError: If it is not.
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
    """Draw a ticket of a run's ratios by chance.

    Args:
        config: The options of the run.
        multiple: Every layer keeps a multiple of so many neurons.
        origin: Facts to keep with the ticket.

    Raises:
        ConfigError: If a ratio leaves some layer without any entry.
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
