"""`earlyrobust benchmark`: time, memory and file size of classifiers on this machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import expanded, takes
from earlyrobust.options.benchmark import BenchmarkConfig


@takes(BenchmarkConfig.flags())
def benchmark(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Classifiers: folders of models, runs, exports, or names on the hub.", callback=expanded
        ),
    ],
    **flags: Any,
) -> None:
    """Time classifiers on this machine, in turns: dense, cut, in ONNX, in 8-bit integers.

    For a cut model, the command also times its dense model, and a model with only the heads cut.
    """
    config = BenchmarkConfig.parse(flags)
    announce()
    from earlyrobust.cli.display import Display  # imports PyTorch, so options are checked first

    with Display() as display:
        from earlyrobust import judging
        from earlyrobust.cli.summaries import show_benchmark

        show_benchmark(display, judging.benchmark(models, config, display))
