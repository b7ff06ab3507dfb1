"""Registers cut models with transformers, without importing transformers before the user does.

`import earlyrobust` must be enough for `AutoModelForSequenceClassification.from_pretrained(cut_model)` and
for `pipeline(...)`. But it must not take the seconds that importing PyTorch takes, because `earlyrobust
--help` imports this package, too. So the registration waits until transformers has loaded the modules that it
needs.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_AUTO = "transformers.models.auto.configuration_auto"


def register_after_import() -> None:
    """Register cut models when transformers' auto classes are imported; at once if they are already."""
    if _AUTO in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _AutoClassesImported())


def _register() -> None:
    # The module registers cut models at its end. It may itself be the module that is importing transformers
    # now.
    importlib.import_module("earlyrobust.pruning.autoclasses")


class _AutoClassesImported(MetaPathFinder):
    """Watches the import of transformers, and registers cut models after that of the auto classes.

    The modules of transformers import one another in an order that depends on the user's first import. The
    registration needs several of them complete. So it waits until no module of transformers is partly
    imported.
    """

    def __init__(self) -> None:
        self._asking: set[str] = set()
        self._under_way: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith("transformers.") or fullname in self._asking:
            return None
        self._asking.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)  # finds the module with the other finders
        finally:
            self._asking.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Watched(spec.loader, self)
        return spec

    def started(self, name: str) -> None:
        self._under_way.add(name)

    def finished(self, name: str) -> None:
        self._under_way.discard(name)
        if _AUTO in sys.modules and not self._under_way and self in sys.meta_path:
            sys.meta_path.remove(self)
            _register()


class _Watched(Loader):
    """Loads a module with its own loader, and reports the start and the end."""

    def __init__(self, loader: Loader, watcher: _AutoClassesImported) -> None:
        self._loader = loader
        self._watcher = watcher

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # The module keeps its own loader, because tools ask the loader for the module's source.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._watcher.started(module.__name__)
        try:
            self._loader.exec_module(module)
        finally:
            self._watcher.finished(module.__name__)
