from .base import Dimensions, Family
from .table import CUT_PREFIX, FAMILIES, family_of, layers_of, register_family

__all__ = ["CUT_PREFIX", "FAMILIES", "Dimensions", "Family", "family_of", "layers_of", "register_family"]
