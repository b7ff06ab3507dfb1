"""Copy the records of a comparison to `records/`, without models and texts: collect.py FOLDER NAME.

The script also saves the answers to single examples, which are identified by digests of their texts. It
leaves out runs that are not finished, and names them.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from earlyrobust.analysis.answers import Answers, save_answers
from earlyrobust.analysis.comparison import Comparison

RECORDS = Path(__file__).with_name("records")


def collect(folder: Path, name: str) -> None:
    comparison = Comparison.load(folder)
    place = RECORDS / name
    cells = []
    for cell in comparison.record.cells:
        run = comparison.runs[cell.arm].get(cell.seed)
        if run is None:
            sys.stderr.write(f"{cell.arm}, seed {cell.seed} is not finished, and is left out.\n")
            continue
        moved = replace(cell, folder=f"cells/{Path(cell.folder).name}")
        run.save(place / moved.folder)
        found = {
            str(attack.journal): comparison.answers(cell.arm, cell.seed, name)
            for name, attack in run.model.attacks.items()
        }
        known = {name: answers for name, answers in found.items() if isinstance(answers, Answers)}
        if known:
            save_answers(known, place / moved.folder)
        cells.append(moved)
    replace(comparison.record, cells=cells).save(place)


if __name__ == "__main__":
    collect(Path(sys.argv[1]), sys.argv[2])
