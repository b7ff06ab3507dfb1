"""How a ticket is searched, one file each.

To add one: a new file with a configuration and a search, and one line in `SEARCHES`.
"""

from __future__ import annotations

from earlyrobust.search.early_robust import EarlyRobustSearch, SearchConfig

__all__ = ["SEARCHES", "EarlyRobustSearch", "SearchConfig"]

SEARCHES: dict[str, type[EarlyRobustSearch]] = {
    "earlyrobust": EarlyRobustSearch,
}
