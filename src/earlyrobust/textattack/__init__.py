"""TextAttack's logs as examples of ours, and our classifiers as victims of its recipes.

Neither needs TextAttack: this room never imports it.
"""

from __future__ import annotations

from earlyrobust.textattack.log import read_attacked, read_textattack_csv
from earlyrobust.textattack.wrapper import TextAttackWrapper

__all__ = ["TextAttackWrapper", "read_attacked", "read_textattack_csv"]
