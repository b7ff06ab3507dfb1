"""BERT, and the other encoders with its architecture, such as MiniLM."""

from __future__ import annotations

from earlyrobust.families.base import Family

BERT = Family(
    model_type="bert",
    layers_path="encoder.layer",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attention_output="attention.output.dense",
    ffn_input="intermediate.dense",
    ffn_output="output.dense",
)
