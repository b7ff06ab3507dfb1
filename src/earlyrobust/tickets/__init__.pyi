from .drawing import draw_mask, mask_distance
from .study import Overlap, compare_tickets, merge_tickets, redraw_ticket
from .ticket import Ticket
from .weight_ticket import WeightTicket

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
