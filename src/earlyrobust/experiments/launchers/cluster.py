"""Runs cells on a Ray cluster: the cluster in `RAY_ADDRESS`, or the cores of this machine."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from earlyrobust.errors import ConfigError
from earlyrobust.experiments.cells import Cell
from earlyrobust.experiments.launchers.base import Estimate, Failure, run_cell
from earlyrobust.options.comparison import CompareConfig
from earlyrobust.options.run import RunConfig
from earlyrobust.workspace.observer import Observer

# Number of retries of a cell whose worker is killed. Each retry continues from the last checkpoint.
RETRIES = 3
# Seconds that a cluster may take to answer. Ray itself would wait for minutes without a message.
SECONDS_TO_ANSWER = 10.0


def run_on_ray(
    cells: Sequence[Cell], config: CompareConfig, observer: Observer
) -> Iterator[tuple[Cell, Failure | None]]:
    """Run cells in parallel, as many as fit on the cluster.

    All machines of the cluster must have the data and the folder of the cells at the same paths.

    Args:
        cells: The cells.
        config: The options of the comparison, which set the cores and GPUs of a cell.
        observer: Receives a message for each cell that ends.

    Yields:
        Each cell when it ends, with its failure or None.

    Raises:
        ConfigError: If Ray is not installed, the cluster does not answer, or none of its machines has enough
            cores and GPUs for a cell.
    """
    check_ray()
    if not cells:
        return
    import ray

    cores = config.cell_cpus or 1
    is_ours = not ray.is_initialized()
    if is_ours:
        # Without an address, Ray would join the cluster that was last started on this machine.
        address = os.environ.get("RAY_ADDRESS") or "local"
        _check_answers(address)
        try:
            ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"Ray cannot use the cluster at RAY_ADDRESS '{address}' ({error}): correct the address, set "
                "RAY_AUTH_MODE=token if the cluster asks for one, or unset both to use this machine."
            ) from error
    try:
        _check_room([node["Resources"] for node in ray.nodes() if node["Alive"]], cores, config.cell_gpus)
        work = ray.remote(num_cpus=cores, num_gpus=config.cell_gpus, max_retries=RETRIES)(_work)
        estimate = Estimate(cells)
        running = {
            work.remote(cell.config.model_dump(mode="json"), cores, str(Path.cwd())): cell for cell in cells
        }
        observer.note(f"{len(running)} cells, each with {cores} core(s) and {config.cell_gpus:g} GPU(s)")
        while running:
            (ended,), _ = ray.wait(list(running), num_returns=1)
            cell = running.pop(ended)
            try:
                failure = ray.get(ended)
            except ray.exceptions.RayTaskError as error:
                failure = Failure(f"{type(error.cause).__name__}: {error.cause}", str(error))
            except ray.exceptions.RayError as error:
                failure = Failure(f"its worker died {RETRIES + 1} times: {type(error).__name__}", str(error))
            estimate.end_one()
            observer.note(f"{cell}: {'done' if failure is None else 'failed'} ({estimate})")
            yield cell, failure
    finally:
        if is_ours:
            ray.shutdown()


def check_ray() -> None:
    """Check that Ray is installed.

    Raises:
        ConfigError: If Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("Ray is not installed: pip install 'earlyrobust[ray]', or use --launcher local.")


def _check_answers(address: str) -> None:
    """Check that a server listens at the address of the cluster."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdigit():  # "local" and "auto" are not addresses
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"No Ray cluster answers at RAY_ADDRESS '{address}' ({error}): correct the address, start the "
            "cluster, or unset it to use this machine."
        ) from error


def _check_room(nodes: Sequence[dict[str, float]], cores: int, gpus: float) -> None:
    """Check that a cell fits on one of the machines."""
    if not any(cores <= node.get("CPU", 0) and gpus <= node.get("GPU", 0) for node in nodes):
        largest = max(nodes, key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)), default={})
        raise ConfigError(
            f"A cell asks for {cores} core(s) and {gpus:g} GPU(s), but no machine of the cluster has more "
            f"than {largest.get('CPU', 0):g} and {largest.get('GPU', 0):g}: lower --cell-cpus or --cell-gpus."
        )


def _work(options: dict[str, object], threads: int, folder: str) -> Failure | None:
    """Run a cell in a worker, after changing to the folder of the comparison's process."""
    os.chdir(folder)
    return run_cell(RunConfig.model_validate(options), threads)
