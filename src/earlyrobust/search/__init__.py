"""Searches for tickets, one file each.

To add a search, write a file with a configuration and a `Search`, and add a line to `SEARCHES`.
"""

from __future__ import annotations

from typing import Any

from earlyrobust.search.base import Search
from earlyrobust.search.early_robust import EarlyRobustSearch, SearchConfig
from earlyrobust.search.earlybert import EarlyBERTConfig, EarlyBERTSearch
from earlyrobust.search.robust_ticket import RobustTicketConfig, RobustTicketSearch

__all__ = [
    "SEARCHES",
    "EarlyBERTConfig",
    "EarlyBERTSearch",
    "EarlyRobustSearch",
    "RobustTicketConfig",
    "RobustTicketSearch",
    "Search",
    "SearchConfig",
]

SEARCHES: dict[str, type[Search[Any, Any]]] = {
    "earlyrobust": EarlyRobustSearch,
    "earlybert": EarlyBERTSearch,
    "robust-ticket": RobustTicketSearch,
}
