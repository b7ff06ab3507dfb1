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
    """Fill in options that were not given: the folder, and the options of attacks that the model's run had.

    An export to 8-bit integers changes every weight, so the attacks of the run are repeated on it, unless
    others are asked for.

    Args:
        model_name: Name of the classifier.
        flags: Options that were given; those that are None count as not given.

    Raises:
        ConfigError: If an option is unknown, unusable, or about attacks where there are none.
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
    """Where an export is put unless something else is asked for: in the folder of its run, if it has one.

    Each model has a folder of its own, and so has each model of a run.
    """
    run, name = run_of(model_name), name_of(model_name)
    if run is None:
        return Path("runs") / f"{name}-{key_of(anchored({'model': model_name}))}" / "exports" / to
    return run / "exports" / (to if name == run.name else f"{name.removeprefix(f'{run.name}-')}-{to}")
