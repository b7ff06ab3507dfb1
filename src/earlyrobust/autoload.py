"""Makes transformers know cut models, without importing transformers before the user does.

`import earlyrobust` must be enough for `AutoModelForSequenceClassification.from_pretrained(cut_model)` and
for `pipeline(...)`, and must not cost the seconds that importing PyTorch takes: `earlyrobust --help` imports
this package too. So the registration waits until transformers has loaded the modules that take part in it.
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
    """Register cut models as soon as transformers' auto classes are imported; at once if they are."""
    if _AUTO in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _AutoClassesImported())


def _register() -> None:
    # This module registers at its end, also when it is itself what is importing transformers just now.
    importlib.import_module("earlyrobust.pruning.autoclasses")


class _AutoClassesImported(MetaPathFinder):
    """Watches transformers being imported, and registers when the auto classes are there.

    Its modules import one another in an order that depends on what the user imports first, and registering
    needs several of them whole. So it waits for a moment when none of them is half imported.
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
            spec = importlib.util.find_spec(fullname)  # this finder now leaves it to the others
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
    """Loads a module as its own loader does, and says when it is done."""

    def __init__(self, loader: Loader, watcher: _AutoClassesImported) -> None:
        self._loader = loader
        self._watcher = watcher

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # The module keeps its own loader: tools that look for its source ask that one.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._watcher.started(module.__name__)
        try:
            self._loader.exec_module(module)
        finally:
            self._watcher.finished(module.__name__)
