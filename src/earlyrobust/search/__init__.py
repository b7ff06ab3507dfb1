"""How a ticket is searched, one file each.

To add one: a new file with a configuration and a search, and one line in `SEARCHES`.
"""

from __future__ import annotations

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

Search = EarlyRobustSearch | RobustTicketSearch

SEARCHES: dict[str, type[Search]] = {
    "earlyrobust": EarlyRobustSearch,
    "earlybert": EarlyBERTSearch,
    "robust-ticket": RobustTicketSearch,
}
