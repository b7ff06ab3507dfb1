"""Chooses the precision of a training: float32 or bfloat16."""

from __future__ import annotations

from earlyrobust import processes
from earlyrobust.encoders import Note, has_bf16, time_in_bf16
from earlyrobust.options.run import RunConfig
from earlyrobust.workspace.folder import RunFolder

# Bfloat16 is chosen if it takes less than this share of the time of float32. With a share near 1, the choice
# would depend on chance.
_PAYS = 0.8


def choose_bf16(config: RunConfig, folder: RunFolder, note: Note) -> tuple[bool, float | None]:
    """Decide whether a training computes in bfloat16.

    The options decide. Without them, an earlier choice of the same run decides, and else a measurement.

    Args:
        config: The options of the run.
        folder: The folder of the run.
        note: Receives a message if a measurement chose bfloat16, or if `--bf16` is slow on this machine.

    Returns:
        The decision, and the measured time in bfloat16 relative to float32; None without a measurement.
    """
    knows = has_bf16()
    if config.bf16 is not None:
        if config.bf16 and not knows:
            note("This device does not support bfloat16: training takes many times longer with --bf16.")
        return config.bf16, None
    chosen, ratio = folder.bf16, folder.bf16_ratio
    if chosen is None:
        ratio = processes.by_first(time_in_bf16) if knows else None
        chosen = ratio is not None and ratio < _PAYS
    if chosen and ratio is not None:
        note(
            f"The training computes in bfloat16: products of matrices take {ratio:.2f} of the time of "
            "float32 here. --no-bf16 chooses float32."
        )
    return chosen, ratio
