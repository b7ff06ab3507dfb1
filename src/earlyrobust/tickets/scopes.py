"""The scopes in which the parts of an encoder are ranked. This module does not import NumPy."""

from __future__ import annotations

from typing import Literal

# "global" ranks all layers together; "layerwise" ranks each layer by itself.
Scope = Literal["global", "layerwise"]
