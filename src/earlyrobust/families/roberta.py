"""RoBERTa: BERT's layers under another embedding and tokenizer."""

from __future__ import annotations

from dataclasses import replace

from earlyrobust.families.bert import BERT

ROBERTA = replace(BERT, model_type="roberta")
