"""Fills in the options of an export from the run that trained the classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from earlyrobust.errors import ConfigError
from earlyrobust.options.attack import AttackOptions
from earlyrobust.options.export import ExportConfig
from earlyrobust.options.run import RunConfig
from earlyrobust.workspace.finding import name_of, run_of
from earlyrobust.workspace.folder import CONFIG_NAME
from earlyrobust.workspace.identity import anchored, key_of

_GRAPHS = ("onnx", "onnx-int8")


def export_options(model_name: str, flags: dict[str, Any]) -> ExportConfig:
    """Fill in the options that are not given: the folder, and the options of attacks from the model's run.

    An export to 8-bit integers changes every weight, so the attacks of the run are repeated on it, unless
    the user gives other attacks.

    Args:
        model_name: A folder of a model or a run, or a name on the Hugging Face hub.
        flags: The given options; options that are None count as not given.

    Raises:
        ConfigError: If an option is unknown or has an invalid value, or if options of attacks are given
            without an attack.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    run = run_of(model_name)
    if run is not None:
        trained = RunConfig.build({}, run / CONFIG_NAME)
        own = {name: getattr(trained, name) for name in ("seed", *AttackOptions.model_fields)}
        if given["to"] in _GRAPHS:
            del own["precision"]
        given = {**own, **({} if given["to"] == "onnx-int8" else {"attack": ()}), **given}
    given.setdefault("output", export_folder(model_name, given["to"]))
    config = ExportConfig.parse(given)
    if config.precision is not None and config.to in _GRAPHS:
        raise ConfigError("An ONNX file is computed as it was exported: leave --precision out.")
    for name in () if config.attack else (*AttackOptions.model_fields, "seed"):
        if name != "attack" and flags.get(name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} is for attacks: give --attack too.")
    return config


def export_folder(model_name: str, to: str) -> Path:
    """Return the default folder of an export, which is in the folder of the model's run if it has one.

    Different models, also of the same run, have different folders.

    Args:
        model_name: A folder of a model or a run, or a name on the Hugging Face hub.
        to: The form of the export.
    """
    run, name = run_of(model_name), name_of(model_name)
    if run is None:
        return Path("runs") / f"{name}-{key_of(anchored({'model': model_name}))}" / "exports" / to
    return run / "exports" / (to if name == run.name else f"{name.removeprefix(f'{run.name}-')}-{to}")
