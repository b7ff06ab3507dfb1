"""The notebook runs from its first cell to its last, on tiny data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
NOTEBOOK = json.loads((ROOT / "notebooks" / "quickstart.ipynb").read_text(encoding="utf-8"))
CELLS = [
    "".join(line for line in cell["source"] if not line.startswith("%"))
    for cell in NOTEBOOK["cells"]
    if cell["cell_type"] == "code"
]
SIZE = "rows, epochs, examples = 2_000, 2, 50"
TINY = {
    SIZE: "rows, epochs, examples = 300, 1, 8",
    "batch_size=32": "batch_size=8, miniepoch=0.1, miniepoch_min_steps=2",
}


@pytest.mark.pictures
def test_it_runs_from_the_first_cell_to_the_last(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    values = []
    for cell in CELLS:
        for full, tiny in TINY.items():
            cell = cell.replace(full, tiny)
        cell = cell.replace('"minilm"', repr(str(encoder)))
        *body, last = cell.rsplit("\n", 1)
        exec("\n".join(body), names)
        try:
            values.append(eval(last, names))
        except SyntaxError:
            exec(cell, names)
            values.append(None)
    assert SIZE in CELLS[0]
    assert names["fitted"].record.model.attacks["textfooler"].clean.total == 8
    assert sum(isinstance(value, Figure) for value in values) == 2
    assert values[-1] == values[-1]
    assert {"report.html", "kept-per-layer.png", "model"} <= {
        path.name for path in Path("runs/quickstart").iterdir()
    }
    assert (tmp_path / "runs/quickstart/model/README.md").exists()
    assert set(values[-1]) <= {"negative", "positive"}


def test_its_outputs_are_those_of_its_cells() -> None:
    """A stored output without a run from top to bottom would be of other code."""
    counts = [cell["execution_count"] for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(CELLS) + 1))
    pictures = [
        output["data"]
        for cell in NOTEBOOK["cells"]
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 2
