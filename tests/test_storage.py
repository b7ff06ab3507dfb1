"""Names and permissions of what is written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import call
from safetensors.numpy import save_file

from earlyrobust.errors import OutputError
from earlyrobust.storage import check_can_be_made, write_atomically, write_folder


@pytest.fixture(params=[0o022, 0o002, 0o077, 0o027, 0o000])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def save(path: Path) -> None:
    """As safetensors may: into a file of its own, for its owner alone, that it then renames."""
    save_file({"a": np.zeros(1)}, path)
    path.chmod(0o600)


def test_files_have_the_permissions_that_the_umask_gives(
    umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the umask of all threads was changed"))
    write_atomically(tmp_path / "file.safetensors", save)

    def fill(folder: Path) -> None:
        (folder / "inner").mkdir()
        save(folder / "model.safetensors")
        save(folder / "inner" / "part.safetensors")

    write_folder(tmp_path / "folder", fill)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert {mode(path) for path in files} == {0o666 & ~umask}
    assert {mode(path) for path in tmp_path.rglob("*") if path.is_dir()} == {0o777 & ~umask}
    assert not list(tmp_path.glob(".*"))


# Names that no folder can have, or beside which nothing can be written, and what is said of them.
NAMES = {
    "300 letters": ("a" * 300, "is too long"),
    "201 letters": ("a" * 201, "is too long"),
    "150 letters of two bytes": ("é" * 150, "is too long"),
    "a long name in the middle": (f"{'b' * 300}/run", "File name too long"),
    "a path of 6,000 letters": ("/".join(["c" * 100] * 60), "File name too long"),
    "behind a file": ("file/run", "is not a folder"),
    "a file": ("file", "is not a folder"),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_name_that_cannot_be_used_is_refused(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, message = NAMES[case]
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(OutputError, match=message) as error:
        check_can_be_made(Path(name))
    assert len(str(error.value)) < 300
    for command in (
        ["run", "--method", "finetune"],
        ["export", "nonesuch", "--task", "builtin", "--to", "onnx"],
    ):
        outcome = call(*command, "--output", name)
        assert outcome.code == 2
        assert message in outcome.err
        assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("name", ["a" * 200, "é" * 100, "with space ", "...", "-", "new\nline"])
def test_an_unusual_name_is_used(name: str, tmp_path: Path) -> None:
    check_can_be_made(tmp_path / name)
    write_folder(tmp_path / name, lambda folder: (folder / "file").touch())
    assert (tmp_path / name / "file").is_file()


def test_a_name_with_a_null_character_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="choose another name"):
        check_can_be_made(tmp_path / "a\0b")
