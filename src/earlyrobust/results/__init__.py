"""The records of runs, attacks and other results: plain dataclasses that are saved as JSON.

This package imports neither PyTorch nor transformers. So reports can be rendered on any machine.
"""

from __future__ import annotations

from earlyrobust.results.attack import (
    ATTACK_NAME,
    ATTACKS_FOLDER,
    AttackRecord,
    AttackReport,
    differing_settings,
    sentences_in,
    setting_in_words,
    tell_run,
)
from earlyrobust.results.benchmark import (
    BENCHMARK_NAME,
    DENSE_FORM,
    HEADS_ONLY_FORM,
    ONNX_FORMS,
    TICKET_FORM,
    BenchmarkRecord,
    ContenderRecord,
    LatencyRecord,
)
from earlyrobust.results.comparison import COMPARISON_NAME, CellRecord, ComparisonRecord
from earlyrobust.results.confusion import Confusion
from earlyrobust.results.evaluation import EVALUATION_NAME, EvaluationReport, TestDataRecord
from earlyrobust.results.experiment import EXPERIMENT_NAME, ExperimentRecord
from earlyrobust.results.export import EXPORT_NAME, CheckRecord, Compared, ExportRecord
from earlyrobust.results.prediction import PredictionReport
from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord
from earlyrobust.results.run import (
    MODEL_FOLDER,
    RECORD_NAME,
    DataRecord,
    ModelRecord,
    RunRecord,
    SearchRecord,
    SpeedRecord,
    TicketRecord,
    WeightsRecord,
)
from earlyrobust.results.scrutiny import (
    REPLAY_NAME,
    SCRUTINY_NAME,
    CurveRecord,
    ReplayReport,
    ScrutinyRecord,
    TemperatureRecord,
    VariantRecord,
)
from earlyrobust.results.training import TrainingLog
from earlyrobust.results.validity import ValidityRecord

__all__ = [
    "ATTACKS_FOLDER",
    "ATTACK_NAME",
    "BENCHMARK_NAME",
    "COMPARISON_NAME",
    "DENSE_FORM",
    "EVALUATION_NAME",
    "EXPERIMENT_NAME",
    "EXPORT_NAME",
    "HEADS_ONLY_FORM",
    "MODEL_FOLDER",
    "ONNX_FORMS",
    "RECORD_NAME",
    "REPLAY_NAME",
    "SCHEMA_VERSION",
    "SCRUTINY_NAME",
    "TICKET_FORM",
    "AttackRecord",
    "AttackReport",
    "BenchmarkRecord",
    "CellRecord",
    "CheckRecord",
    "Compared",
    "ComparisonRecord",
    "Confusion",
    "ContenderRecord",
    "CurveRecord",
    "DataRecord",
    "EnvironmentRecord",
    "EvaluationReport",
    "ExperimentRecord",
    "ExportRecord",
    "LatencyRecord",
    "ModelRecord",
    "PredictionReport",
    "ReplayReport",
    "RunRecord",
    "ScrutinyRecord",
    "SearchRecord",
    "SpeedRecord",
    "TemperatureRecord",
    "TestDataRecord",
    "TicketRecord",
    "TrainingLog",
    "ValidityRecord",
    "VariantRecord",
    "WeightsRecord",
    "differing_settings",
    "sentences_in",
    "setting_in_words",
    "tell_run",
]
