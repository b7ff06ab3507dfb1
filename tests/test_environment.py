"""What a record says of the place of its run."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest

import earlyrobust
from earlyrobust.workspace import environment


def test_the_version_is_known_without_an_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(package: str) -> str:
        if package == "earlyrobust":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(environment, "version", installed)
    versions = environment.describe_environment().versions
    assert versions["earlyrobust"] == earlyrobust.__version__
    assert versions["torch"] == version("torch")
