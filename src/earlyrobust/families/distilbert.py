"""DistilBERT: other names for BERT's projections, and no token types."""

from __future__ import annotations

from earlyrobust.families.base import Family

DISTILBERT = Family(
    model_type="distilbert",
    layers_path="transformer.layer",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    attention_output="attention.out_lin",
    ffn_input="ffn.lin1",
    ffn_output="ffn.lin2",
    intermediate_size="hidden_dim",
)
