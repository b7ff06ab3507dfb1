"""Model classes of cut models for transformers, one for every family.

Such a class builds the dense model of the family, cuts it to the sizes in its configuration, and lets
transformers load the weights.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, Self, cast

from transformers import PreTrainedConfig, PreTrainedModel

from earlyrobust.errors import ModelError, TicketError
from earlyrobust.families import FAMILIES, Family, family_of, layers_of
from earlyrobust.pruning.cut_config import cut_config_class
from earlyrobust.tickets.ticket import JSON_NAME, TENSORS_NAME, Ticket


class CutModel(PreTrainedModel):  # type: ignore[misc]
    """Mixin that cuts the dense model of a family to the sizes in its configuration.

    Attributes:
        ticket: The ticket by which the model was cut; None if it is unknown. It is saved and loaded with the
            model.
    """

    family: Family
    ticket: Ticket | None = None

    def __init__(self, config: PreTrainedConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.family.cut_to_size(self, config.kept_heads, config.kept_neurons)

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Save the model as transformers does, and its ticket in the same folder."""
        if self.ticket is not None and kwargs.get("is_main_process", True):
            self.ticket.save_pretrained(Path(save_directory))
        super().save_pretrained(save_directory, *args, **kwargs)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], *args: Any, **kwargs: Any
    ) -> Self:
        """Load the model as transformers does, and its ticket if there is one."""
        loaded = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        model = (
            loaded[0] if isinstance(loaded, tuple) else loaded
        )  # a tuple with the option output_loading_info
        for parameter in model.parameters():
            # Weights that are mapped from a file have another alignment in memory, which can change the last
            # bit of a product. A copy restores the logits that the model had before it was saved.
            if parameter.device.type == "cpu":
                parameter.data = parameter.data.clone()
        model.ticket = _find_ticket(pretrained_model_name_or_path, kwargs)
        if model.ticket is not None:
            model.check_ticket(model.ticket, pretrained_model_name_or_path)
        return cast("Self", loaded)

    def check_ticket(self, ticket: Ticket, place: object) -> None:
        """Refuse a ticket that keeps other numbers of heads or neurons than this model has.

        Args:
            ticket: The ticket.
            place: The folder or name that holds it, for the message.

        Raises:
            TicketError: If the numbers differ.
        """
        have = (self.family.model_type, list(self.config.kept_heads), list(self.config.kept_neurons))
        if have != (ticket.model_type, ticket.heads_per_layer, ticket.neurons_per_layer):
            raise TicketError(
                f"The ticket in '{place}' belongs to another model: it keeps {sum(ticket.heads_per_layer)} "
                f"heads and {sum(ticket.neurons_per_layer)} neurons of '{ticket.model_type}', and the model "
                f"has {sum(have[1])} and {sum(have[2])} of '{have[0]}', or other numbers in some layer. Put "
                f"the ticket of this model there, or delete {JSON_NAME} and {TENSORS_NAME}."
            )


def _find_ticket(name: str | os.PathLike[str], kwargs: dict[str, Any]) -> Ticket | None:
    """Load the ticket of a cut model, from its folder or from the hub; None if there is none."""
    from transformers.utils import cached_file

    passed_on = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")
    options = {key: kwargs[key] for key in passed_on if kwargs.get(key) is not None}
    files = [
        cached_file(name, file, _raise_exceptions_for_missing_entries=False, **options)
        for file in (JSON_NAME, TENSORS_NAME)
    ]
    return None if None in files else Ticket.from_pretrained(Path(files[0]).parent)


def is_cut(model: PreTrainedModel) -> bool:
    """Return whether heads and neurons have been cut out of a model."""
    return isinstance(model, CutModel)


def check_class(model: PreTrainedModel, *, subclasses: bool = False) -> None:
    """Check that a dense model is of the class that its cut model extends.

    Args:
        model: The dense model.
        subclasses: Whether it may be of a subclass. A cut model would lose what a subclass computes
            differently, but a search may train by the loss of a subclass.

    Raises:
        ModelError: If the model is of another class, such as that of another task.
    """
    layers_of(model)  # An adapter around the model has an error message of its own.
    wanted = _dense_model_class(family_of(model.config))
    if type(model) is not wanted and not (subclasses and isinstance(model, wanted)):
        raise ModelError(
            f"Only models of the class {wanted.__name__} can be cut, but this one is of the class "
            f"{type(model).__name__}: load it with AutoModelForSequenceClassification."
        )


def _dense_model_class(family: Family) -> type[PreTrainedModel]:
    """Return the class of a family's dense classifiers."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

    found = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[CONFIG_MAPPING[family.model_type]]
    return cast("type[PreTrainedModel]", found)


@functools.cache
def cut_model_class(family: Family) -> type[CutModel]:
    """Return the class of a family's cut classifiers."""
    base = _dense_model_class(family)
    body = {
        "__module__": __name__,
        "__doc__": f"A {base.__name__} with heads and neurons cut out.",
        "config_class": cut_config_class(family),
        "family": family,
    }
    made = type(f"EarlyRobust{base.__name__}", (CutModel, base), body)
    globals()[made.__name__] = made  # pickling imports the class by its name
    return made


def register() -> None:
    """Register the cut models of all families with transformers' auto classes and pipelines."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    for family in FAMILIES.values():
        config = cut_config_class(family)
        AutoConfig.register(config.model_type, config, exist_ok=True)
        AutoModelForSequenceClassification.register(config, cut_model_class(family), exist_ok=True)


register()
