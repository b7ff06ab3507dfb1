"""Memory that the C library keeps for itself after arrays were freed."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Give the system back what is free; does nothing where the C library is not glibc.

    Attacks ask models in batches of ever other sizes. What these leave behind lies in pieces between arrays
    that are still in use: glibc takes more room from the system instead, the longer an attack goes on.
    """
    # musl and other systems have no such function.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
