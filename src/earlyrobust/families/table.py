"""The table of the families, and the family of a model."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from earlyrobust.errors import ModelError
from earlyrobust.extensions import installed
from earlyrobust.lazy import Entry, LazyTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel

    from earlyrobust.families.base import Dimensions, Family

_LOGGER = logging.getLogger(__name__)
# The model type of a cut model is this prefix and the model type of its family.
CUT_PREFIX = "earlyrobust-"

FAMILIES: LazyTable[Family] = LazyTable(
    __package__,
    {
        "bert": Entry("bert", "BERT", "BERT, MiniLM, and encoders of their architecture"),
        "roberta": Entry("roberta", "ROBERTA", "RoBERTa"),
        "xlm-roberta": Entry("roberta", "XLM_ROBERTA", "XLM-RoBERTa"),
        "camembert": Entry("roberta", "CAMEMBERT", "CamemBERT"),
        "data2vec-text": Entry("roberta", "DATA2VEC_TEXT", "data2vec for texts"),
        "distilbert": Entry("distilbert", "DISTILBERT", "DistilBERT"),
        "electra": Entry("electra", "ELECTRA", "ELECTRA discriminators"),
        "mpnet": Entry("mpnet", "MPNET", "MPNet"),
        "deberta-v2": Entry("deberta_v2", "DEBERTA_V2", "DeBERTa v2 and v3"),
        "modernbert": Entry("modernbert", "MODERNBERT", "ModernBERT"),
        "albert": Entry("albert", "ALBERT", "ALBERT"),
    },
)


def register_family(family: Family) -> None:
    """Add a family that this package does not have: its encoders can then be cut, saved and loaded.

    Args:
        family: The family. It replaces a family of the same model type.

    Raises:
        ModelError: If transformers has no sequence classifier of this model type.
    """
    check_is_known(family.model_type)
    FAMILIES[family.model_type] = family
    auto_classes = sys.modules.get("earlyrobust.pruning.autoclasses")
    if auto_classes is not None:  # a later import registers all families itself
        auto_classes.register()


def check_is_known(model_type: str) -> None:
    """Refuse a model type without a sequence classifier in transformers.

    Raises:
        ModelError: If there is none.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    )

    if model_type in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES:
        return  # nothing is loaded
    if model_type in CONFIG_MAPPING:  # a class of the user's own
        config = CONFIG_MAPPING[model_type]
        if config in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
            return
    raise ModelError(
        f"transformers knows no sequence classifier of the model type '{model_type}': register yours first "
        "with AutoConfig and AutoModelForSequenceClassification."
    )


def family_of(config: PreTrainedConfig) -> Family:
    """Return the family to which a model's configuration belongs.

    Args:
        config: Configuration of a transformers model.

    Returns:
        The family whose architecture the model has.

    Raises:
        ModelError: If the architecture is not in `FAMILIES`.
    """
    # A cut model belongs to the family of its dense model.
    family = FAMILIES.get(config.model_type.removeprefix(CUT_PREFIX))
    if family is None:
        raise ModelError(
            f"Models of type '{config.model_type}' cannot be cut: "
            f"choose an encoder of one of the supported families ({', '.join(sorted(FAMILIES))})."
        )
    return family


def layers_of(model: PreTrainedModel) -> Sequence[nn.Module]:
    """List the transformer layers of a user's model, first to last.

    Raises:
        ModelError: If the architecture is not supported; the model has no layers where its family has them,
            as a model that an adapter wraps; or a dense model has other layers than its configuration says.
    """
    family = family_of(model.config)
    try:
        layers = family.layers(model)
        if not model.config.model_type.startswith(CUT_PREFIX):
            _check_layers(family, layers, family.dimensions(model.config))
        return layers
    except AttributeError as error:
        raise ModelError(
            f"{type(model).__name__} has no layers at '{family.layers_path}': if an adapter wraps the model, "
            "merge it first with model.merge_and_unload()."
        ) from error


def _check_layers(family: Family, layers: Sequence[nn.Module], size: Dimensions) -> None:
    if len(layers) != size.layers:
        raise ModelError(
            f"The model has {len(layers)} layers, but its configuration says {size.layers}: change the "
            "configuration, and load the model with it."
        )
    for index, layer in enumerate(layers):
        if family.differs(layer, size):
            raise ModelError(
                f"Layer {index} of the model does not have the query, key and value of {size.heads} heads of "
                f"{size.head_size} channels each, or the {size.neurons} neurons that its configuration says: "
                "such a layer cannot be cut."
            )


def _register_installed() -> None:
    """Add the families of installed packages; log a warning for each one that cannot be loaded."""
    for name, entry in installed("family").items():
        try:
            family = entry.load()
            check_is_known(family.model_type)
            FAMILIES.setdefault(family.model_type, family)
        except Exception as error:  # code of another package can raise anything
            _LOGGER.warning("The family '%s' (%s) cannot be loaded: %s", name, entry.value, error)


_register_installed()
