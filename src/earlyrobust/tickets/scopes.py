"""Over which layers the parts of an encoder are ranked. This module imports no NumPy."""

from __future__ import annotations

from typing import Literal

# "global": all layers together; "layerwise": each layer by itself.
Scope = Literal["global", "layerwise"]
