"""Exports trained classifiers in formats that other software can run."""

from __future__ import annotations

from earlyrobust.export.dense import export_dense
from earlyrobust.export.onnx import complete_tokenizer, export_onnx
from earlyrobust.export.remote_code import check_remote_code, export_remote_code

__all__ = ["check_remote_code", "complete_tokenizer", "export_dense", "export_onnx", "export_remote_code"]
