"""Reads TextAttack's logs as attacked examples, and wraps classifiers for TextAttack's recipes.

This package never imports TextAttack, so TextAttack need not be installed for either purpose.
"""

from __future__ import annotations

from earlyrobust.textattack.log import read_attacked, read_textattack_csv
from earlyrobust.textattack.wrapper import TextAttackWrapper

__all__ = ["TextAttackWrapper", "read_attacked", "read_textattack_csv"]
