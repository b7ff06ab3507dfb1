"""Each pass over the training data has noise of its own, in both trainers, also after a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
from datasets import Dataset
from test_continuation import Stop
from test_noise import noise, small_model, weights, write_texts
from torch.utils.data import Dataset as TorchDataset
from transformers import AutoTokenizer, DataCollatorWithPadding, PreTrainedTokenizerBase, Trainer

from earlyrobust import EarlyRobustSearch, SearchConfig, prune
from earlyrobust.encoders import locate
from earlyrobust.errors import ConfigError
from earlyrobust.noise import NoiseCollator
from earlyrobust.trainer import AdversarialTrainer

KINDS = ["collator", "trainer"]
ROWS = 16


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(locate("minilm"))


def make(
    kind: str,
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    rows: Any,
    *,
    stop: int | None = None,
    model: Any = None,
    evaluated: Any = None,
    **changes: Any,
) -> tuple[Trainer, list[tuple[str, int]]]:
    """A trainer with random noise, and the list of the texts that get noise, each with its epoch."""
    made, seen = noise(tokenizer, choice="random"), []
    draws = made._draws

    def watched(columns: tuple[str, ...], epoch: int) -> Any:
        seen.append((columns[0], epoch))
        return draws(columns, epoch)

    made._draws = watched
    options = {"per_device_train_batch_size": 4, "learning_rate": 0.01, "remove_unused_columns": False}
    arguments = tiny.arguments(folder, train_sampling_strategy="sequential", **{**options, **changes})
    callbacks = [] if stop is None else [Stop(stop)]
    model = small_model() if model is None else model
    if kind == "trainer":
        own = {"noise": made, "processing_class": tokenizer, "callbacks": callbacks}
        return AdversarialTrainer(model, arguments, train_dataset=rows, **own), seen
    collator = NoiseCollator(DataCollatorWithPadding(tokenizer), made)
    own = {"data_collator": collator, "callbacks": [*callbacks, collator], "eval_dataset": evaluated}
    return Trainer(model, arguments, train_dataset=rows, **own), seen


def epochs_of(seen: list[tuple[str, int]], text: str) -> list[int]:
    return [epoch for one, epoch in seen if one == text]


def different_texts(tokenizer: PreTrainedTokenizerBase) -> Dataset:
    """Texts that occur once each, so that a text tells its place."""
    rows = write_texts(ROWS, tokenizer)
    texts = [f"{text} {number}" for number, text in enumerate(rows["text"])]
    return Dataset.from_dict({**tokenizer(texts), "labels": rows["labels"], "text": texts})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("accumulated", [1, 2])
def test_each_pass_has_an_epoch_of_its_own(
    kind: str, is_stream: bool, accumulated: int, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    rows = different_texts(tokenizer)
    data = rows.to_iterable_dataset() if is_stream else rows
    steps = {"max_steps": 12 // accumulated, "gradient_accumulation_steps": accumulated}
    trainer, seen = make(kind, tmp_path, tokenizer, data, **steps)
    trainer.train()
    assert [epochs_of(seen, text) for text in rows["text"]] == [[0, 1, 2]] * ROWS
    seen.clear()
    trainer.train()  # a second training begins anew
    assert epochs_of(seen, rows["text"][0]) == [0, 1, 2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("saved", [2, 3, 4, 5])
def test_a_resumed_training_continues_in_its_epoch(
    kind: str, saved: int, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """An epoch has three steps, the last one of a single batch: 3 is the end of an epoch."""
    rows = write_texts(20, tokenizer)
    options = {"num_train_epochs": 3, "gradient_accumulation_steps": 2}
    whole, seen = make(kind, tmp_path / "a", tokenizer, rows, **options)
    whole.train()
    make(kind, tmp_path / "b", tokenizer, rows, stop=saved, **options)[0].train()
    resumed, again = make(kind, tmp_path / "b", tokenizer, rows, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "b" / f"checkpoint-{saved}"))
    assert again[-1] == seen[-1]
    assert weights(resumed) == weights(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_resumed_in_its_first_pass_continues_exactly(
    kind: str, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    rows = different_texts(tokenizer).to_iterable_dataset()
    saving = {"max_steps": 10, "save_strategy": "steps", "save_steps": 3}
    whole, _ = make(kind, tmp_path / "a", tokenizer, rows, **saving)
    whole.train()
    resumed, _ = make(kind, tmp_path / "b", tokenizer, rows, **saving)
    resumed.train(resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-3"))
    assert weights(resumed) == weights(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_no_passes_of_a_resumed_stream_share_their_noise(
    kind: str, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """Transformers counts the passes of a stream from 0 at each resume."""
    rows = different_texts(tokenizer)
    data, first = rows.to_iterable_dataset(), rows["text"][0]
    trained: list[int] = []
    # A pass has four steps. The first two checkpoints are within a pass, the third is at its end.
    for saved, stop in ((None, 10), (10, 16), (16, 20), (20, 26)):
        trainer, seen = make(kind, tmp_path, tokenizer, data, stop=stop, max_steps=40)
        trainer.train(resume_from_checkpoint=saved and str(tmp_path / f"checkpoint-{saved}"))
        # A collator also gets the examples that a resumed training skips.
        trained += epochs_of(seen, first)[kind == "collator" and saved is not None :]
    assert trained == [0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_stream", [False, True])
def test_an_epoch_that_begins_again_has_its_noise_again(
    kind: str, is_stream: bool, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    rows = different_texts(tokenizer)
    data = rows.to_iterable_dataset() if is_stream else rows
    options = {"max_steps": 20, "ignore_data_skip": True}
    make(kind, tmp_path, tokenizer, data, stop=6, **options)[0].train()
    trainer, seen = make(kind, tmp_path, tokenizer, data, **options)
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    assert epochs_of(seen, rows["text"][0])[:3] == [1, 2, 3]


def test_a_training_that_continues_a_search_continues_its_epochs(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    rows = different_texts(tokenizer)
    options = {"max_steps": -1, "num_train_epochs": 3, "per_device_train_batch_size": 4}
    arguments = tiny.arguments(tmp_path / "search", train_sampling_strategy="sequential", **options)
    config = SearchConfig(head_ratio=0.5, draw_after=1.5, miniepoch=0.25, min_steps=1)
    search = EarlyRobustSearch(
        small_model(),
        arguments,
        rows,
        config=config,
        adversary=None,
        processing_class=tokenizer,
        noise=noise(tokenizer, choice="random"),
        continued=True,
    )
    ticket = search.run()
    assert search.trainer.state.global_step == 6
    checkpoint = search.save_checkpoint(ticket, tmp_path / "cut")
    cut = prune(small_model(), ticket)
    rest, seen = make("trainer", tmp_path / "cut", tokenizer, rows, model=cut, **options)
    rest.train(resume_from_checkpoint=str(checkpoint))
    assert [epochs_of(seen, text) for text in rows["text"]] == [[2]] * 8 + [[1, 2]] * 8


# --- Texts -------------------------------------------------------------------------------------------------


class Rows(TorchDataset):  # type: ignore[misc]
    """A data set that does not name its columns."""

    def __init__(self, rows: Dataset) -> None:
        self._rows = rows.to_list()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return self._rows[place]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("form", ["columns", "stream", "rows", "generated", "transformed"])
def test_training_data_without_texts_are_refused(
    form: str, workers: int, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """Otherwise the training has no noise, and nothing says so."""
    rows = write_texts(ROWS, tokenizer)
    bare = rows.remove_columns("text")
    forms: dict[str, tuple[Any, Any]] = {
        "columns": (rows, bare),
        "stream": (rows.to_iterable_dataset(), bare.to_iterable_dataset()),
        "rows": (Rows(rows), Rows(bare)),
        # The names of the columns are unknown.
        "generated": (
            rows.to_iterable_dataset().map(lambda row: row),
            rows.to_iterable_dataset().map(lambda row: row, remove_columns="text"),
        ),
        # The examples have other columns than the data set.
        "transformed": (
            bare.with_transform(
                lambda batch: {**batch, "text": tokenizer.batch_decode(batch["input_ids"], True)}
            ),
            rows.with_transform(lambda batch: {name: batch[name] for name in bare.column_names}),
        ),
    }
    with_texts, without = forms[form]
    options = {"max_steps": 4, "dataloader_num_workers": workers, "evaluated": bare}
    plain = make("collator", tmp_path, tokenizer, without, **options)[0]
    with pytest.raises(ConfigError, match="the batches hold none: keep the column 'text'"):
        plain.train()
    assert plain.state.global_step == (0 if form in ("columns", "stream") else 1)
    # The evaluation has no texts, and needs none.
    evaluation = {"eval_strategy": "steps", "eval_steps": 1, "eval_on_start": True}
    noisy, seen = make("collator", tmp_path, tokenizer, with_texts, **options, **evaluation)
    noisy.train()
    assert noisy.state.global_step == 4
    assert len(seen) == (0 if workers else ROWS)  # other processes made the noise


@pytest.mark.parametrize("pair", [("a good film", ""), ("", "a good film"), ("", ""), ("a film", "so good")])
def test_a_single_pair_is_read_as_one_of_several(
    pair: tuple[str, str], tokenizer: PreTrainedTokenizerBase
) -> None:
    """Transformers takes an empty second text of a single pair for none."""
    reading = noise(tokenizer).reading
    expected = {name: values[0] for name, values in tokenizer([pair[0]], [pair[1]]).items()}
    assert reading.one(pair) == expected
    assert reading.one(pair[:1]) == dict(tokenizer(pair[0]))


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("form", [None, "torch"])
def test_training_data_may_be_padded(
    side: str, form: str | None, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    rows = write_texts(ROWS, tokenizer)
    padded = tokenizer(list(rows["text"]), padding="max_length", max_length=40, padding_side=side)
    data = Dataset.from_dict({**rows.to_dict(), **padded}).with_format(form)
    trained = [
        make("collator", tmp_path, tokenizer, one, max_steps=4)[0] for one in (rows.with_format(form), data)
    ]
    for trainer in trained:
        trainer.train()
    assert weights(trained[0]) == weights(trained[1])
    collator = NoiseCollator(DataCollatorWithPadding(tokenizer), noise(tokenizer, choice="random"))
    collator.epoch = 0
    with pytest.raises(ConfigError, match="the training data have other tokens"):
        collator([{**data[0], "text": data[1]["text"]}])
