"""Functions that compare tickets, and make new tickets from existing ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from earlyrobust.errors import ConfigError, TicketError
from earlyrobust.tickets.drawing import Mask, Scores, draw_mask, is_undecided, mask_distance
from earlyrobust.tickets.scopes import Scope
from earlyrobust.tickets.ticket import Ticket

How = Literal["scores", "union", "intersection"]


@dataclass(frozen=True)
class Overlap:
    """The similarity of two masks.

    Attributes:
        distance: Share of the entries at which they differ (normalised Hamming distance).
        jaccard: Entries that both keep / entries that either keeps.
        by_chance: The `jaccard` to expect of random masks that keep as many entries.
        correlation: Spearman's rank correlation of the importance coefficients' magnitudes; None if a ticket
            has no coefficients, or they rank nothing.
    """

    distance: float
    jaccard: float
    by_chance: float
    correlation: float | None


def compare_tickets(first: Ticket, second: Ticket) -> tuple[Overlap, Overlap]:
    """Compare two tickets of the same architecture.

    Returns:
        The overlap of their heads, and of their neurons.

    Raises:
        TicketError: If their architectures differ.
    """
    check_alike([first, second])
    return (
        _overlap(first.heads, second.heads, first.head_scores, second.head_scores),
        _overlap(first.neurons, second.neurons, first.neuron_scores, second.neuron_scores),
    )


def _overlap(first: Mask, second: Mask, scores: Scores | None, others: Scores | None) -> Overlap:
    kept, other_kept, shared = int(first.sum()), int(second.sum()), int((first & second).sum())
    by_chance = kept * other_kept / first.size
    return Overlap(
        distance=mask_distance(first, second),
        jaccard=shared / (kept + other_kept - shared),
        by_chance=by_chance / (kept + other_kept - by_chance),
        correlation=_correlation(scores, others),
    )


def _correlation(first: Scores | None, second: Scores | None) -> float | None:
    from scipy.stats import spearmanr

    if first is None or second is None or is_undecided(first) or is_undecided(second):
        return None
    return float(spearmanr(np.abs(first), np.abs(second), axis=None).statistic)


def check_alike(tickets: Sequence[Ticket]) -> None:
    """Check that tickets are over heads and neurons, and fit the same architecture.

    Raises:
        TicketError: If one is no such ticket, or its architecture differs from that of the first.
    """
    if others := [ticket for ticket in tickets if not isinstance(ticket, Ticket)]:
        raise TicketError(f"A {type(others[0]).__name__} is among the tickets: give objects of Ticket.")
    kinds = [(ticket.model_type, ticket.heads.shape, ticket.neurons.shape) for ticket in tickets]
    for kind in kinds:
        if kind != kinds[0]:
            described = (
                f"'{name}' with {heads[0]} layers of {heads[1]} heads and {neurons[1]} neurons"
                for name, heads, neurons in (kinds[0], kind)
            )
            raise TicketError(f"The tickets are of different architectures: {' and '.join(described)}.")


def redraw_ticket(
    ticket: Ticket,
    heads: float | None = None,
    neurons: float | None = None,
    head_scope: Scope | None = None,
    neuron_scope: Scope | None = None,
) -> Ticket:
    """Draw a ticket of other ratios from the importance coefficients of a ticket, without a new search.

    Args:
        ticket: A ticket from a search.
        heads: Share of all heads to cut; None for the share that the ticket cuts.
        neurons: Share of all FFN neurons to cut; None for the share that the ticket cuts.
        head_scope: "global" to rank the heads of all layers together, "layerwise" to cut the same share of
            every layer; None for the scope of the ticket.
        neuron_scope: "global" to rank the neurons of all layers together, "layerwise" to cut the same share
            of every layer; None for the scope of the ticket.

    Returns:
        The new ticket. It keeps the record of the search.

    Raises:
        TicketError: If the ticket does not come from a search.
        ConfigError: If a ratio leaves some layer without any entry.
    """
    if ticket.head_scores is None or ticket.neuron_scores is None:
        raise TicketError(
            "The ticket was not searched, so it has no coefficients to draw another one from: choose a "
            "ticket from a search."
        )
    told = _told_of(ticket)
    drawn_in = scopes_of(ticket)
    scopes = (head_scope or drawn_in[0], neuron_scope or drawn_in[1])
    # The recorded ratio takes precedence over the share, because multiples of neurons change the share.
    ratios = (
        told.get("head_ratio", ticket.head_sparsity) if heads is None else heads,
        told.get("neuron_ratio", ticket.neuron_sparsity) if neurons is None else neurons,
    )
    return replace(
        ticket,
        heads=(
            ticket.heads
            if heads is None and scopes[0] == drawn_in[0]
            else draw_mask(ticket.head_scores, ratios[0], scopes[0])
        ),
        neurons=(
            ticket.neurons
            if neurons is None and scopes[1] == drawn_in[1]
            else draw_mask(ticket.neuron_scores, ratios[1], scopes[1], multiple_of(ticket))
        ),
        origin={**ticket.origin, "redrawn": _drawn(*ratios, scopes, multiple_of(ticket))},
    )


def scopes_of(ticket: Ticket) -> tuple[Scope, Scope]:
    """Return the scopes in which a ticket's heads and neurons were ranked.

    A ticket whose origin does not record a scope counts as "global".
    """
    drawn = _told_of(ticket)
    head_scope, neuron_scope = (drawn.get(f"{part}_scope", "global") for part in ("head", "neuron"))
    return head_scope, neuron_scope


def multiple_of(ticket: Ticket) -> int:
    """Return m if each layer of a ticket was drawn to keep a multiple of m neurons; 1 for any number."""
    return int(_told_of(ticket).get("neuron_multiple", 1))


def _told_of(ticket: Ticket) -> dict[str, Any]:
    """Return the record of the drawing in a ticket's origin; the latest drawing takes precedence."""
    drawn: dict[str, Any] = {}
    for step in ("search", "redrawn"):
        told = ticket.origin.get(step)
        if isinstance(told, dict):
            drawn |= told
    return drawn


def _drawn(heads: float, neurons: float, scopes: tuple[Scope, Scope], multiple: int) -> dict[str, Any]:
    """Return the record of a drawing without a search, for a ticket's origin."""
    return {
        "head_ratio": heads,
        "neuron_ratio": neurons,
        "head_scope": scopes[0],
        "neuron_scope": scopes[1],
        "neuron_multiple": multiple,
    }


def check_how(how: str) -> None:
    """Check that there is a way to merge tickets.

    Raises:
        ConfigError: If there is no such way.
    """
    if how not in get_args(How):
        raise ConfigError(f"Tickets are not merged by '{how}': choose {', '.join(get_args(How))}.")


def merge_tickets(
    tickets: Iterable[Ticket], how: How = "scores", heads: float | None = None, neurons: float | None = None
) -> Ticket:
    """Merge several tickets of different seeds, tasks or methods into one.

    Args:
        tickets: Two or more tickets of the same architecture.
        how: "scores" draws the ticket from the mean of the coefficients' magnitudes, in the scopes of the
            tickets. Each ticket's magnitudes are divided by their own mean first. "union" keeps the entries
            that any ticket keeps, "intersection" those that all tickets keep.
        heads: Share of all heads to cut, for "scores"; None for the mean of the tickets' shares.
        neurons: Share of all FFN neurons to cut, for "scores"; None for the mean of the tickets' shares.

    Returns:
        The ticket. Its origin holds the origins of the merged tickets.

    Raises:
        TicketError: If there are fewer than two tickets, or their architectures differ. By "scores" also if a
            ticket does not come from a search, or the scopes differ. By "intersection" also if some layer
            would keep no entry.
        ConfigError: If `how` is unknown, or a ratio leaves some layer without any entry.
    """
    tickets = list(tickets)
    if len(tickets) < 2:
        raise TicketError("One ticket cannot be merged alone: name two or more.")
    check_how(how)
    check_alike(tickets)
    origin = {"method": f"merged by {how}", "merged": [ticket.origin for ticket in tickets]}
    if how != "scores":
        combine = np.logical_or.reduce if how == "union" else np.logical_and.reduce
        heads_kept, neurons_kept = (
            combine([getattr(ticket, name) for ticket in tickets]) for name in ("heads", "neurons")
        )
        if not (heads_kept.any(axis=1).all() and neurons_kept.any(axis=1).all()):
            raise TicketError("The tickets have nothing in common in some layer: merge them another way.")
        return Ticket(tickets[0].model_type, heads_kept, neurons_kept, origin=origin)
    head_scores = _mean([ticket.head_scores for ticket in tickets])
    neuron_scores = _mean([ticket.neuron_scores for ticket in tickets])
    if heads is None:
        heads = float(np.mean([ticket.head_sparsity for ticket in tickets]))
    if neurons is None:
        neurons = float(np.mean([ticket.neuron_sparsity for ticket in tickets]))
    scopes = _common_scopes(tickets)
    multiple = max(map(multiple_of, tickets))
    return Ticket(
        tickets[0].model_type,
        heads=draw_mask(head_scores, heads, scopes[0]),
        neurons=draw_mask(neuron_scores, neurons, scopes[1], multiple),
        head_scores=head_scores,
        neuron_scores=neuron_scores,
        origin={**origin, "redrawn": _drawn(heads, neurons, scopes, multiple)},
    )


def _common_scopes(tickets: Sequence[Ticket]) -> tuple[Scope, Scope]:
    """Return the scopes of tickets that are to be merged, which must be the same."""
    found = [scopes_of(ticket) for ticket in tickets]
    for scopes in found:
        if scopes != found[0]:
            described = (f"heads {heads} and neurons {neurons}" for heads, neurons in (found[0], scopes))
            raise TicketError(
                f"The tickets were drawn in different scopes ({'; '.join(described)}): draw them alike "
                "first, with `earlyrobust ticket draw --head-scope … --neuron-scope …`."
            )
    return found[0]


def _mean(parts: Sequence[Scores | None]) -> Scores:
    """Return the mean of the coefficients' magnitudes, each ticket's divided by their own mean."""
    sizes = []
    for part in parts:
        if part is None:
            raise TicketError("A ticket was not searched, so it has no coefficients: merge them another way.")
        size = np.abs(part)
        sizes.append(size / (size.mean() or 1))
    mean: Scores = np.stack(sizes).mean(axis=0)
    return mean
