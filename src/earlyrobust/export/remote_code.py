"""Exports a cut model together with the code that builds it, for transformers without this package.

The code is copied from this package: the module that defines a family, and the module of the model's own
family. Two short modules beside them define the classes that `trust_remote_code=True` loads.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from string import Template
from types import ModuleType
from typing import TYPE_CHECKING

from earlyrobust.errors import ModelError
from earlyrobust.families import Family, family_of
from earlyrobust.pruning import is_cut
from earlyrobust.storage import write_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_ROOM = "earlyrobust.families"
_IMPORT = re.compile(rf"^from {re.escape(_ROOM)}\.(\w+) import", re.MULTILINE)
_CONFIGURATION = Template('''\
"""Configuration of a cut model, with the heads and FFN neurons of each layer. Written by earlyrobust."""

from transformers import $config_base


class $config_name($config_base):
    model_type = "$model_type"
    kept_heads: list[int] | None = None
    kept_neurons: list[int] | None = None
''')
_MODELING = Template('''\
"""A $model_base with attention heads and FFN neurons cut out. Written by earlyrobust.

Needs transformers 5.12 or newer, and otherwise only the packages that the model needs when it is not cut.
"""

from transformers import $model_base

from .configuration_earlyrobust import $config_name
from .earlyrobust_$module import $family as FAMILY


class $model_name($model_base):
    config_class = $config_name

    def __init__(self, config, *args, **kwargs):
        super().__init__(config, *args, **kwargs)
        FAMILY.cut_to_size(self, config.kept_heads, config.kept_neurons)
''')


def export_remote_code(model: PreTrainedModel, folder: str | Path) -> None:
    """Write a cut classifier at its small size, with the code that loads it with `trust_remote_code=True`.

    Args:
        model: The cut classifier.
        folder: The folder to which the export is written.

    Raises:
        ModelError: If the model is not cut.
    """
    if not is_cut(model):
        raise ModelError("The model is not cut: transformers loads it as it is, without remote code.")
    folder = Path(folder)
    model.save_pretrained(folder)
    auto_map, code = _code(model)
    for name, source in code.items():
        (folder / name).write_text(source, encoding="utf-8")
    write_json(folder / "config.json", {**model.config.to_diff_dict(), "auto_map": auto_map})


def check_remote_code(model: PreTrainedModel, folder: Path) -> None:
    """Check that the code of an export is exactly the code that `export_remote_code` writes.

    Call this function before the code is run.

    Args:
        model: The cut classifier that was exported.
        folder: The folder of the export.

    Raises:
        ModelError: If the export has other code, or cannot be read.
    """
    auto_map, code = _code(model)
    try:
        found = {str(file.relative_to(folder)): file.read_text("utf-8") for file in folder.rglob("*.py")}
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        same = found == code and config["auto_map"] == auto_map
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    if not same:
        raise ModelError(
            f"The code in '{folder}' is not the code that this version writes: delete the folder."
        )


def _code(model: PreTrainedModel) -> tuple[dict[str, str], dict[str, str]]:
    """Return the `auto_map` of the configuration, and the source code by file name."""
    family = family_of(model.config)
    module, name = _home(family)
    names = {
        "config_name": type(model.config).__name__,
        "config_base": type(model.config).__bases__[0].__name__,
        "model_name": type(model).__name__,
        "model_base": type(model).__bases__[1].__name__,
        "model_type": model.config.model_type,
        "module": module.__name__.rpartition(".")[2],
        "family": name,
    }
    code = {
        "configuration_earlyrobust.py": _CONFIGURATION.substitute(names),
        "modeling_earlyrobust.py": _MODELING.substitute(names),
        **{f"earlyrobust_{part}.py": source for part, source in _sources(module).items()},
    }
    auto_map = {
        "AutoConfig": f"configuration_earlyrobust.{names['config_name']}",
        "AutoModelForSequenceClassification": f"modeling_earlyrobust.{names['model_name']}",
    }
    return auto_map, code


def _home(family: Family) -> tuple[ModuleType, str]:
    """Return the module that defines a family, and the name of the family in it."""
    for module in [module for name, module in sys.modules.items() if name.startswith(f"{_ROOM}.")]:
        for name, value in vars(module).items():
            if value is family:
                return module, name
    raise LookupError(f"No module of {_ROOM} holds the family '{family.model_type}'.")


def _sources(module: ModuleType) -> dict[str, str]:
    """Return the code of a family's module and of the modules that it imports, for use in one folder."""
    source = inspect.getsource(module)
    sources = {module.__name__.rpartition(".")[2]: _IMPORT.sub(r"from .earlyrobust_\1 import", source)}
    for part in _IMPORT.findall(source):
        sources |= _sources(sys.modules[f"{_ROOM}.{part}"])
    return sources
