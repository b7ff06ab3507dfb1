"""Cut models as citizens of transformers: a model class for every family.

The class builds the family's dense model, cuts it to the numbers that its configuration says, and lets
transformers load the weights.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, Self, cast

from transformers import PreTrainedConfig, PreTrainedModel

from earlyrobust.families import FAMILIES, Family
from earlyrobust.pruning.cut_config import cut_config_class
from earlyrobust.tickets.ticket import JSON_NAME, TENSORS_NAME, Ticket


class CutModel(PreTrainedModel):  # type: ignore[misc]
    """Mixin that cuts the dense model of a family to the sizes in its configuration.

    Attributes:
        ticket: The ticket the model was cut by, which is saved and loaded with it; None where it is unknown.
    """

    family: Family
    ticket: Ticket | None = None

    def __init__(self, config: PreTrainedConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.family.cut_to_size(self, config.kept_heads, config.kept_neurons)

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Save as every transformers model does, and the ticket beside it."""
        if self.ticket is not None and kwargs.get("is_main_process", True):
            self.ticket.save_pretrained(Path(save_directory))
        super().save_pretrained(save_directory, *args, **kwargs)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], *args: Any, **kwargs: Any
    ) -> Self:
        """Load as every transformers model does, and the ticket with it where there is one."""
        loaded = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        model = (
            loaded[0] if isinstance(loaded, tuple) else loaded
        )  # a tuple if output_loading_info is asked for
        for parameter in model.parameters():
            # Weights mapped from a file are not aligned as fresh ones are, which can change the last bit of a
            # product; a copy gives the logits that the model gave before it was saved.
            if parameter.device.type == "cpu":
                parameter.data = parameter.data.clone()
        model.ticket = _find_ticket(pretrained_model_name_or_path, kwargs)
        return cast("Self", loaded)


def _find_ticket(name: str | os.PathLike[str], kwargs: dict[str, Any]) -> Ticket | None:
    """Load the ticket that travels with a cut model, from its folder or from the hub."""
    from transformers.utils import cached_file

    passed_on = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")
    options = {key: kwargs[key] for key in passed_on if kwargs.get(key) is not None}
    files = [
        cached_file(name, file, _raise_exceptions_for_missing_entries=False, **options)
        for file in (JSON_NAME, TENSORS_NAME)
    ]
    return None if None in files else Ticket.from_pretrained(Path(files[0]).parent)


def is_cut(model: PreTrainedModel) -> bool:
    """Whether a model has had heads and neurons cut out of it."""
    return isinstance(model, CutModel)


@functools.cache
def cut_model_class(family: Family) -> type[CutModel]:
    """The class of a family's cut classifiers."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

    base = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[CONFIG_MAPPING[family.model_type]]
    body = {
        "__module__": __name__,
        "__doc__": f"A {base.__name__} with heads and neurons cut out.",
        "config_class": cut_config_class(family),
        "family": family,
    }
    made = type(f"EarlyRobust{base.__name__}", (CutModel, base), body)
    globals()[made.__name__] = made  # importable by its name, as copying between processes needs
    return made


def register() -> None:
    """Make transformers' auto classes and pipelines know the cut models of all families."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    for family in FAMILIES.values():
        config = cut_config_class(family)
        AutoConfig.register(config.model_type, config, exist_ok=True)
        AutoModelForSequenceClassification.register(config, cut_model_class(family), exist_ok=True)


register()
