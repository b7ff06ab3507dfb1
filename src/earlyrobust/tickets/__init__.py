"""Tickets: masks that name the parts of an encoder that stay. They need neither PyTorch nor a model.

The names below are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.lazy import lazily

if TYPE_CHECKING:
    from earlyrobust.tickets.drawing import draw_mask, mask_distance
    from earlyrobust.tickets.study import Overlap, compare_tickets, merge_tickets, redraw_ticket
    from earlyrobust.tickets.ticket import Ticket
    from earlyrobust.tickets.weight_ticket import WeightTicket

__all__ = [
    "Overlap",
    "Ticket",
    "WeightTicket",
    "compare_tickets",
    "draw_mask",
    "mask_distance",
    "merge_tickets",
    "redraw_ticket",
]

_HOMES = {
    "Overlap": "study",
    "Ticket": "ticket",
    "WeightTicket": "weight_ticket",
    "compare_tickets": "study",
    "draw_mask": "drawing",
    "mask_distance": "drawing",
    "merge_tickets": "study",
    "redraw_ticket": "study",
}

__getattr__ = lazily(__name__, _HOMES)
