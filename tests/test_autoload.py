"""`import earlyrobust` is enough for transformers to know cut models, whatever is imported when."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import models
import pytest
from transformers import AutoModelForSequenceClassification

from earlyrobust.families import FAMILIES
from earlyrobust.pruning import prune
from earlyrobust.pruning.autoclasses import register

LOAD = """
from transformers import AutoModelForSequenceClassification
model = AutoModelForSequenceClassification.from_pretrained({cut!r})
assert type(model).__name__ == "EarlyRobustBertForSequenceClassification"
"""

# What a user may import first, and what must work after it.
ORDERS = {
    "first": "import earlyrobust" + LOAD,
    "last": "import transformers; from transformers import BertModel; import earlyrobust" + LOAD,
    "between": "from transformers import AutoModelForSequenceClassification; import earlyrobust" + LOAD,
    "before the configuration module, looked up but not loaded": """
import importlib.util
import earlyrobust
importlib.util.find_spec("transformers.trainer")
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.bert.modeling_bert import BertModel
from transformers import AutoConfig
assert AutoConfig.from_pretrained({cut!r}).kept_heads == [3, 1, 4]
assert "earlyrobust-electra" in CONFIG_MAPPING
import sys
for name in ("auto.configuration_auto", "auto.modeling_auto", "bert.modeling_bert"):
    module = sys.modules["transformers.models." + name]
    assert type(module.__loader__).__module__ == "_frozen_importlib_external", module.__loader__
    assert module.__spec__.loader is module.__loader__
import inspect
assert "class BertModel" in inspect.getsource(BertModel)
assert not [finder for finder in sys.meta_path if type(finder).__module__.startswith("earlyrobust")]
""",
    "before the trainer": "import earlyrobust; from transformers import Trainer" + LOAD,
    "before a pipeline": """
import earlyrobust
from transformers import pipeline, AutoTokenizer
assert AutoTokenizer.from_pretrained({cut!r})("word7 word8").input_ids == [2, 7, 8, 3]
assert pipeline("text-classification", {cut!r})("word7 word8")[0]["label"].startswith("LABEL_")
""",
    "by way of a room of its own": "from earlyrobust.pruning import prune" + LOAD,
    "by unpickling": "import pickle; assert pickle.load(open({pickled!r}, 'rb')).ticket is not None" + LOAD,
    "with nothing but torch-free rooms": """
import sys
from earlyrobust import Ticket, draw_mask, mask_distance
assert Ticket.from_pretrained({cut!r}).heads_per_layer == [3, 1, 4]
assert not {{"torch", "transformers"}} & set(sys.modules)
""",
    "a dense model stays what it is": """
import earlyrobust
from transformers import AutoModelForSequenceClassification, BertForSequenceClassification, PreTrainedModel
assert type(AutoModelForSequenceClassification.from_pretrained({dense!r})) is BertForSequenceClassification
""",
}
IN_EVERY_RUN = {
    "first",
    "before the configuration module, looked up but not loaded",
    "by way of a room of its own",
    "with nothing but torch-free rooms",
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("saved")
    dense = models.classifier("bert")
    small = prune(dense, models.searched_ticket("bert"))
    dense.save_pretrained(root / "dense")
    small.save_pretrained(root / "cut")
    models.tokenizer().save_pretrained(root / "cut")
    (root / "pickled").write_bytes(pickle.dumps(small))
    return {name: str(root / name) for name in ("dense", "cut", "pickled")}


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "order", [name if name in IN_EVERY_RUN else pytest.param(name, marks=pytest.mark.slow) for name in ORDERS]
)
def test_cut_models_are_known(order: str, places: dict[str, str]) -> None:
    done = run(ORDERS[order].format(**places))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_without_this_package_transformers_says_what_it_lacks(places: dict[str, str]) -> None:
    done = run("import sys; sys.modules['earlyrobust'] = None" + LOAD.format(**places))
    assert done.returncode != 0
    last = done.stderr.split("ValueError: ")[-1]
    assert "model type `earlyrobust-bert`" in last


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("earlyrobust", {"torch", "transformers", "datasets", "numpy", "matplotlib"}),
        ("earlyrobust.cli", {"torch", "transformers", "datasets"}),
        ("earlyrobust.reports", {"torch", "transformers", "datasets"}),
        ("earlyrobust.results", {"torch", "transformers", "datasets"}),
    ],
)
def test_importing_is_cheap(module: str, heavy: set[str]) -> None:
    done = run(f"import sys, {module}; print({heavy!r} & set(sys.modules))")
    assert done.stdout.strip() == "set()", done.stdout + done.stderr


def test_every_public_name_is_where_the_package_says() -> None:
    import earlyrobust

    for name in earlyrobust.__all__:
        assert getattr(earlyrobust, name).__name__ == name
    with pytest.raises(AttributeError, match="nonesuch"):
        _ = earlyrobust.nonesuch


@pytest.mark.parametrize("name", FAMILIES)
def test_dense_models_still_load_as_themselves(name: str, tmp_path: Path) -> None:
    register()  # once more does no harm
    dense = models.classifier(name)
    dense.save_pretrained(tmp_path)
    assert type(AutoModelForSequenceClassification.from_pretrained(tmp_path)) is type(dense)
