"""Tickets: which parts of an encoder stay. They need neither PyTorch nor a model."""

from __future__ import annotations

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
