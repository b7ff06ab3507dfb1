"""RoBERTa and related encoders: BERT's layers with other embeddings and tokenizers."""

from __future__ import annotations

from dataclasses import replace

from earlyrobust.families.bert import BERT

ROBERTA = replace(BERT, model_type="roberta")
XLM_ROBERTA = replace(BERT, model_type="xlm-roberta")
CAMEMBERT = replace(BERT, model_type="camembert")
DATA2VEC_TEXT = replace(BERT, model_type="data2vec-text")
