"""`earlyrobust benchmark`: what the answers of classifiers take on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import Group, option, takes

_OPTIONS: Group = {
    "batches": option(str, None, "Batch sizes, separated by commas.", "1,8,32"),
    "lengths": option(str, None, "Lengths of texts in tokens, separated by commas.", "16 to 256, by model"),
    "seconds": option(float, None, "How long each of them is timed, all models together.", "10"),
    "output": option(Path, None, "Folder to write the record to.", "none is kept"),
}


@takes(_OPTIONS)
def benchmark(
    models: Annotated[
        list[str], typer.Argument(help="Classifiers: folders of models, runs, exports, or names on the hub.")
    ],
    **flags: Any,
) -> None:
    """Time classifiers on this machine, in turns: dense, cut, in ONNX, in 8-bit integers.

    Of a cut model the dense one that it came from is timed too, and one that has its heads cut alone.
    """
    from earlyrobust.pipeline.benchmark_options import BenchmarkConfig

    config = BenchmarkConfig.parse(flags)
    announce()
    from earlyrobust.cli.display import Display  # brings PyTorch: options are checked first

    with Display() as display:
        from earlyrobust import pipeline

        display.summarise_benchmark(pipeline.benchmark(models, config, display))
