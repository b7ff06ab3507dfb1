"""Records of what was done and measured, as plain dataclasses that are written as JSON.

This room imports neither PyTorch nor transformers, so that reports can be drawn from records anywhere.
"""

from __future__ import annotations

from earlyrobust.results.attack import (
    ATTACK_NAME,
    ATTACKS_FOLDER,
    AttackRecord,
    AttackReport,
    overstated,
    sentences_in,
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
from earlyrobust.results.comparison import COMPARISON_NAME, CellRecord, Comparison, ComparisonRecord
from earlyrobust.results.confusion import Confusion
from earlyrobust.results.doubts import doubts, doubts_of_each, fault_of_guessing
from earlyrobust.results.evaluation import EVALUATION_NAME, EvaluationReport, TestDataRecord
from earlyrobust.results.experiment import EXPERIMENT_NAME, ExperimentRecord
from earlyrobust.results.export import EXPORT_NAME, CheckRecord, Compared, ExportRecord
from earlyrobust.results.files import SCHEMA_VERSION, EnvironmentRecord
from earlyrobust.results.findings import fault_of_swapped, faults_of_ticket, find_faults, swapped_classes
from earlyrobust.results.measures import Accuracy, Mean
from earlyrobust.results.prediction import PredictionReport
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
    "Accuracy",
    "AttackRecord",
    "AttackReport",
    "BenchmarkRecord",
    "CellRecord",
    "CheckRecord",
    "Compared",
    "Comparison",
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
    "Mean",
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
    "doubts",
    "doubts_of_each",
    "fault_of_guessing",
    "fault_of_swapped",
    "faults_of_ticket",
    "find_faults",
    "overstated",
    "sentences_in",
    "swapped_classes",
    "tell_run",
]
