"""The transformer architectures whose heads and neurons can be cut, one file each.

To add one: a new file with a `Family`, and one line in `FAMILIES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.errors import ModelError
from earlyrobust.families.albert import ALBERT
from earlyrobust.families.base import Dimensions, Family
from earlyrobust.families.bert import BERT
from earlyrobust.families.deberta_v2 import DEBERTA_V2
from earlyrobust.families.distilbert import DISTILBERT
from earlyrobust.families.electra import ELECTRA
from earlyrobust.families.modernbert import MODERNBERT
from earlyrobust.families.mpnet import MPNET
from earlyrobust.families.roberta import CAMEMBERT, DATA2VEC_TEXT, ROBERTA, XLM_ROBERTA

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

__all__ = ["CUT_PREFIX", "FAMILIES", "Dimensions", "Family", "family_of"]

# What the model type of a cut model has before the name of its family.
CUT_PREFIX = "earlyrobust-"

FAMILIES: dict[str, Family] = {
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": XLM_ROBERTA,
    "camembert": CAMEMBERT,
    "data2vec-text": DATA2VEC_TEXT,
    "distilbert": DISTILBERT,
    "electra": ELECTRA,
    "mpnet": MPNET,
    "deberta-v2": DEBERTA_V2,
    "modernbert": MODERNBERT,
    "albert": ALBERT,
}


def family_of(config: PreTrainedConfig) -> Family:
    """Find the family that a model's configuration belongs to.

    Args:
        config: Configuration of a transformers model.

    Returns:
        The family whose architecture the model has.

    Raises:
        ModelError: If the architecture is not in `FAMILIES`.
    """
    # A cut model is of its dense model's family.
    family = FAMILIES.get(config.model_type.removeprefix(CUT_PREFIX))
    if family is None:
        raise ModelError(
            f"Models of type '{config.model_type}' cannot be cut: "
            f"choose an encoder of one of the supported families ({', '.join(sorted(FAMILIES))})."
        )
    return family
