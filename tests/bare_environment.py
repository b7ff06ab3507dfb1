"""An environment with everything that is installed here but this package."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any


class BareEnvironment:
    """A virtual environment that shares the packages of this one, and does not know this project."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / "bin" / "python"
        (packages,) = folder.glob("lib/python*/site-packages")
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            if "earlyrobust" not in entry.name and entry.suffix != ".pth":
                (packages / entry.name).symlink_to(entry)
        assert self.run("import importlib.util as u; print(json.dumps(u.find_spec('earlyrobust')))") is None

    def run(self, code: str, *arguments: str) -> Any:
        """Run some code, with its arguments in `sys.argv`, and read the JSON in its last line."""
        done = subprocess.run(
            [self.python, "-c", f"import json, sys\n{code}", *arguments],
            capture_output=True,
            text=True,
            cwd=self.python.parent,
            env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(self.python.parent / "hf"), "PATH": ""},
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


assert sys.prefix != sys.base_prefix, "the tests are run in a virtual environment"
