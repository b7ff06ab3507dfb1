"""Returns to the system the memory that the C library keeps after arrays are freed."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Return free memory to the system; do nothing if the C library is not glibc.

    Attacks ask models in batches of many different sizes. The freed memory lies in pieces between arrays that
    are still in use. So glibc takes more and more memory from the system, the longer an attack runs.
    """
    # musl and the libraries of other systems do not have this function.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
