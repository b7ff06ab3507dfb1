"""Reports the training of a run to TensorBoard, Weights & Biases or MLflow, in addition to its record."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from transformers import TrainerCallback
from transformers.integrations import (
    get_available_reporting_integrations,
    get_reporting_integration_callbacks,
)

from earlyrobust.errors import ConfigError

# The subfolder of TensorBoard's files in a run's folder, unless the environment names another folder.
LOGS = "logs"
_PLACE = "TENSORBOARD_LOGGING_DIR"


def check_reporting(target: str | None) -> None:
    """Check that the package to which a run reports is installed.

    Args:
        target: "tensorboard", "wandb" or "mlflow"; "none" or None for nothing.

    Raises:
        ConfigError: If the package is not installed.
    """
    if target not in (None, "none", *get_available_reporting_integrations()):
        raise ConfigError(
            f"--report-to {target} needs the package '{target}', which is not installed: `pip install "
            f"{target}`, or choose --report-to none."
        )


@contextmanager
def reporting(target: str | None, folder: Path, stage: str) -> Iterator[list[TrainerCallback]]:
    """Yield callbacks that report the training of a stage, and end their reports with the context.

    Args:
        target: "tensorboard", "wandb" or "mlflow"; "none" or None for nothing.
        folder: Folder of the run.
        stage: Name of the stage. Each stage is reported as a run of its own.
    """
    callbacks = [kind() for kind in get_reporting_integration_callbacks(target)]
    if target == "tensorboard" and not os.environ.get(_PLACE):
        for callback in callbacks:
            callback.logging_dir = str(folder / LOGS / stage)
    try:
        yield callbacks
    finally:
        if target == "wandb":
            import_module("wandb").finish()
        elif target == "mlflow":
            import_module("mlflow").end_run()
