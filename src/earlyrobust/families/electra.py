"""ELECTRA discriminators: BERT's layers after embeddings that may be narrower than the encoder."""

from __future__ import annotations

from dataclasses import replace

from earlyrobust.families.bert import BERT

ELECTRA = replace(BERT, model_type="electra")
