"""EarlyBERT's search (Chen et al., ACL 2021): early-bird tickets without an adversary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from earlyrobust.search.early_robust import EarlyRobustSearch, SearchConfig
from earlyrobust.tickets.scopes import Scope

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, kw_only=True)
class EarlyBERTConfig(SearchConfig):
    """Settings of EarlyBERT's search. The other settings are those of `SearchConfig`.

    Attributes:
        head_penalty: λ_head, the weight of the L1 norm of the heads' coefficients. Default: 1e-4 (EarlyBERT).
        neuron_penalty: λ_neuron, the weight of the L1 norm of the neurons' coefficients. Default: 1e-4
            (EarlyBERT).
        head_scope: "global" to rank the heads of all layers together, "layerwise" to cut the same share of
            every layer. Default: "layerwise" (EarlyBERT).
        draw_after: Epochs after which the ticket is drawn; None to draw it when the masks have settled.
            Default: 0.2 (EarlyBERT).
    """

    head_penalty: float = 1e-4
    neuron_penalty: float = 1e-4
    head_scope: Scope = "layerwise"
    draw_after: float | None = 0.2


class EarlyBERTSearch(EarlyRobustSearch):
    """Searches a ticket on the plain loss, and draws it after a fixed time; see `EarlyRobustSearch`."""

    name = "earlybert"
    Config = EarlyBERTConfig
    default_adversary = None
