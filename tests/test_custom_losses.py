"""One loss, spelled in every way that Trainer allows for: all train alike, under any adversary and search."""

import numpy as np
import pytest
import tiny
import torch
from torch.nn.functional import cross_entropy
from torch.testing import assert_close
from transformers import BertForSequenceClassification, EarlyStoppingCallback, Trainer, TrainerCallback
from transformers.modeling_outputs import Seq2SeqSequenceClassifierOutput

from earlyrobust.adversarial import ADVERSARIES, FreeLB
from earlyrobust.errors import ConfigError, DataError, ModelError
from earlyrobust.search import SEARCHES
from earlyrobust.trainer import AdversarialTrainer

WEIGHTS = (0.4, 2.5)
SMOOTHING = 0.2
every_training = pytest.mark.parametrize("name", [None, *ADVERSARIES], ids=str)


def weighted(logits, labels, items):
    """Class weights, as a mean over the batch rather than over the weights: parts of a batch add up."""
    each = cross_entropy(logits, labels, reduction="none")
    return (torch.tensor(WEIGHTS, dtype=each.dtype)[labels] * each).sum() / items


def smoothed(logits, labels, items):
    return cross_entropy(logits, labels, label_smoothing=SMOOTHING, reduction="sum") / items


class Weighing(BertForSequenceClassification):
    """The loss is the model's own."""

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, labels=None, **options):
        outputs = super().forward(input_ids, attention_mask, token_type_ids, **options)
        outputs["loss"] = weighted(outputs.logits, labels, len(labels))
        return outputs


def trainer_class(base, loss, *, pops=True, calls_super=False, counts=False):
    """A trainer class whose author has overridden `compute_loss`, in one of the usual ways."""

    class Own(base):
        loss_is_scaled_for_ga = True if counts else None

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            labels = inputs.pop("labels") if pops else inputs["labels"]
            if calls_super:
                assert not pops
                _, outputs = super().compute_loss(model, inputs, True, num_items_in_batch=num_items_in_batch)
            else:
                outputs = model(**inputs)
            value = loss(outputs.logits, labels, num_items_in_batch if counts else len(labels))
            return (value, outputs) if return_outputs else value

    return Own


def by_function(loss):
    def function(outputs, labels, num_items_in_batch=None):
        return loss(outputs.logits, labels, num_items_in_batch)

    return {"compute_loss_func": function}


def spellings(loss, base=AdversarialTrainer):
    return {
        "function": by_function(loss),
        "overridden": {"trainer_class": trainer_class(base, loss)},
        "keeps-labels": {"trainer_class": trainer_class(base, loss, pops=False)},
        "calls-super": {"trainer_class": trainer_class(base, loss, pops=False, calls_super=True)},
        "counts-items": {"trainer_class": trainer_class(base, loss, counts=True)},
    }


def train(
    folder, name, *, accumulation=1, model=None, trainer_class=AdversarialTrainer, arguments=None, **own
):
    """The gradients of two optimiser steps, what the log says of them, and the weights after them."""
    watch = tiny.Gradients()
    adversary = None if name is None else tiny.adversary(name)
    trainer = trainer_class(
        tiny.classifier() if model is None else model,
        tiny.arguments(
            folder,
            per_device_train_batch_size=8 // accumulation,
            gradient_accumulation_steps=accumulation,
            max_steps=2 * getattr(adversary, "replays", 1),
            max_grad_norm=0.0,
            logging_steps=1,
            **(arguments or {}),
        ),
        train_dataset=tiny.dataset(16),
        processing_class=tiny.tokenizer(),
        adversary=adversary,
        callbacks=[watch],
        **own,
    )
    trainer.train()
    return watch.steps, tiny.losses_of(trainer), dict(trainer.model.state_dict())


@pytest.mark.parametrize("accumulation", [1, 2])
@every_training
@tiny.float64()
def test_class_weights_train_alike_however_they_are_spelled(tmp_path, name, accumulation):
    model = tiny.classifier(kind=Weighing)
    expected = train(tmp_path, name, accumulation=accumulation, model=model)
    for spelling, settings in spellings(weighted).items():
        actual = train(tmp_path, name, accumulation=accumulation, **settings)
        assert_close(actual, expected, rtol=1e-9, atol=1e-12, msg=lambda told, at=spelling: f"{at}: {told}")
    assert expected[1] != train(tmp_path, name, accumulation=accumulation)[1]


@pytest.mark.parametrize("name", [None, "pgd", "freelb", "smart"], ids=str)
@tiny.float64()
def test_label_smoothing_trains_alike_however_it_is_spelled(tmp_path, name):
    accumulation = 2
    smooth = {"label_smoothing_factor": SMOOTHING}
    expected = train(tmp_path, name, accumulation=accumulation, arguments=smooth)

    class Through(AdversarialTrainer):
        def compute_loss(self, model, inputs, return_outputs=False, **options):
            loss, outputs = super().compute_loss(model, inputs, True, **options)
            return (loss, outputs) if return_outputs else loss

    own = {spelling: spellings(smoothed)[spelling] for spelling in ("function", "overridden")}
    for settings in ({"trainer_class": Through, "arguments": smooth}, *own.values()):
        actual = train(tmp_path, name, accumulation=accumulation, **settings)
        assert_close(actual, expected, rtol=1e-4, atol=1e-6)  # transformers smooths in single precision
    assert expected[1] != pytest.approx(train(tmp_path, name, accumulation=accumulation)[1], rel=1e-3)


@pytest.mark.parametrize("name", [None, "freelb", "smart"], ids=str)
@tiny.float64()
def test_the_penalty_is_logged_apart_from_any_loss(tmp_path, name):
    def logged(penalty, **settings):
        model = tiny.classifier()
        gates = tiny.attach_random_coefficients(model)
        shown = []

        class Logs(TrainerCallback):
            def on_log(self, args, state, control, logs, **_):
                shown.append(logs)

        trainer = settings.pop("trainer_class", AdversarialTrainer)(
            model,
            tiny.arguments(
                tmp_path,
                learning_rate=0.0,
                gradient_accumulation_steps=2,
                max_steps=4,
                logging_steps=2,
            ),
            train_dataset=tiny.dataset(16),
            processing_class=tiny.tokenizer(),
            adversary=None if name is None else tiny.adversary(name),
            penalty=(lambda: gates.penalty(0.1, 0.2)) if penalty else None,
            callbacks=[Logs()],
            **settings,
        )
        trainer.train()
        expected = gates.penalty(0.1, 0.2).item()
        losses = [entry["loss"] for entry in shown if "loss" in entry]
        return losses, [entry["penalty"] for entry in shown if "penalty" in entry], expected

    settings = spellings(weighted)
    for own in ({}, settings["function"], settings["overridden"]):
        without, none, _ = logged(False, **dict(own))
        losses, penalties, expected = logged(True, **dict(own))
        assert losses == pytest.approx(without, rel=1e-9)
        assert (len(losses), none) == (2, [])
        assert penalties == pytest.approx([expected] * 2, rel=1e-9)


# Searches.


SETTINGS = {
    "earlyrobust": {"head_ratio": 1 / 4, "neuron_ratio": 0.3, "min_steps": 2, "gamma": 0.0, "max_epochs": 1},
    "earlybert": {"head_ratio": 1 / 4, "neuron_ratio": 0.3, "min_steps": 2, "draw_after": 1},
    "robust-ticket": {"weight_ratio": 0.3, "epochs": 1},
}
every_search = pytest.mark.parametrize("name", SEARCHES)


def search_of(folder, name, *, accumulation=1, model=None, arguments=None, **own):
    kind = SEARCHES[name]
    return kind(
        model or tiny.classifier(),
        tiny.arguments(
            folder,
            per_device_train_batch_size=8 // accumulation,
            gradient_accumulation_steps=accumulation,
            **(arguments or {}),
        ),
        own.pop("dataset", None) or tiny.dataset(32),
        config=kind.Config(**SETTINGS[name]),
        **{"processing_class": tiny.tokenizer(), "adversary": FreeLB(steps=2), **own},
    )


def scores_of(ticket):
    if hasattr(ticket, "head_scores"):
        return [ticket.head_scores, ticket.neuron_scores, ticket.heads, ticket.neurons]
    return list(ticket.masks.values())


@pytest.mark.parametrize("accumulation", [1, 2])
@every_search
@tiny.float64()
def test_every_search_finds_the_same_ticket_however_its_loss_is_spelled(tmp_path, name, accumulation):
    def found(**settings):
        search = search_of(tmp_path, name, accumulation=accumulation, **settings)
        return scores_of(search.run()), search.trainer

    expected, _ = found(model=tiny.classifier(kind=Weighing))
    plain_trainer = {"trainer_class": trainer_class(Trainer, weighted)}
    for settings in (*spellings(weighted).values(), plain_trainer):
        actual, trainer = found(**settings)
        assert isinstance(trainer, settings.get("trainer_class", AdversarialTrainer))
        for one, other in zip(actual, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert any(not np.array_equal(one, other) for one, other in zip(found()[0], expected, strict=True))


@every_search
def test_a_search_takes_what_trainer_takes_and_switches_off_what_does_not_fit(tmp_path, name):
    collated, stopped = [], []
    tokenizer = tiny.tokenizer()

    def collate(rows):
        collated.append(len(rows))
        return dict(tokenizer.pad(rows, return_tensors="pt"))

    class Calls(TrainerCallback):
        def on_evaluate(self, args, state, control, metrics, **_):
            stopped.append(metrics["eval_right"])

    arguments = {
        "eval_strategy": "steps",
        "eval_steps": 2,
        "save_strategy": "best",
        "metric_for_best_model": "right",
        "load_best_model_at_end": False,
        "lr_scheduler_type": "cosine_with_restarts",
        "lr_scheduler_kwargs": {"num_cycles": 2},
        "auto_find_batch_size": True,
        "warmup_steps": 0.5,
    }
    search = search_of(
        tmp_path,
        name,
        arguments=arguments,
        data_collator=collate,
        eval_dataset=tiny.dataset(8, seed=1),
        compute_metrics=lambda seen: {"right": float((seen[0].argmax(1) == seen[1]).mean())},
        callbacks=[EarlyStoppingCallback(1), EarlyStoppingCallback, Calls()],
    )
    assert search.run()
    assert search.trainer.state.global_step == 4
    assert len(stopped) == 2
    assert set(collated) == {8}
    assert [entry["learning_rate"] for entry in search.trainer.state.log_history if "loss" in entry] == []
    assert not list(tmp_path.glob("checkpoint-*"))
    # Nothing to evaluate on: the same arguments serve.
    loading = {"load_best_model_at_end": True, "eval_strategy": "epoch", "save_strategy": "epoch"}
    assert search_of(tmp_path, name, arguments=loading | {"eval_on_start": True}).run()


class Fixed(Trainer):
    def __init__(self, model, args, train_dataset, processing_class):
        super().__init__(model, args, train_dataset=train_dataset, processing_class=processing_class)


class Handing(Trainer):
    def __init__(self, *args, weights=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.weights = weights


@every_search
def test_a_search_takes_trainer_itself_and_classes_with_options_of_their_own(tmp_path, name):
    expected = search_of(tmp_path, name).run()
    for own in ({"trainer_class": Trainer}, {"trainer_class": Handing, "weights": WEIGHTS}):
        search = search_of(tmp_path, name, **own)
        assert getattr(search.trainer, "weights", None) == own.get("weights")
        for one, other in zip(scores_of(search.run()), scores_of(expected), strict=True):
            np.testing.assert_array_equal(one, other)


@every_search
@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"optimizers": (object(), None)}, "cannot be given optimizers"),
        ({"model_init": tiny.classifier}, "cannot be given model_init"),
        ({"trainer_class": Fixed}, r"^Fixed.__init__ does not take adversary, penalty, callbacks: write "),
        ({"arguments": {"torch_compile": True}}, "^A compiled model ignores"),
        ({"trainer_class": dict}, "trainer_class is"),
        ({"trainer_class": tiny.classifier}, "trainer_class is"),
    ],
    ids=["optimizers", "model_init", "fixed", "compiled", "no-trainer", "no-class"],
)
def test_what_a_search_cannot_take_is_refused_in_a_sentence(tmp_path, name, settings, match):
    with pytest.raises(ConfigError, match=match):
        search_of(tmp_path, name, **settings)


@every_search
@pytest.mark.parametrize(
    ("rows", "last", "match"),
    [
        (lambda: None, False, "known length"),
        (lambda: tiny.dataset(16).to_iterable_dataset(), False, "known length"),
        (lambda: (row for row in tiny.dataset(16)), False, "known length"),
        (lambda: tiny.dataset(16).select([]), False, "has 0 examples"),
        (list, False, "has 0 examples"),
        (lambda: tiny.dataset(7), True, "has 7 examples"),
    ],
    ids=["none", "stream", "generator", "empty", "empty list", "less than a batch"],
)
def test_a_search_refuses_data_without_a_batch_before_it_begins(tmp_path, name, rows, last, match):
    kind, arguments = SEARCHES[name], {"per_device_train_batch_size": 8, "dataloader_drop_last": last}
    with pytest.raises(DataError, match=match):
        kind(tiny.classifier(), tiny.arguments(tmp_path, **arguments), rows())


@every_search
def test_one_search_at_a_time_is_on_a_model_and_a_search_can_be_run_again(tmp_path, name):
    model = tiny.classifier()
    before = model.state_dict().keys()
    second = search_of(tmp_path, name, model=model)

    class Interferes(TrainerCallback):
        def on_step_end(self, *_, **__):
            second.run()

    first = search_of(tmp_path, name, model=model, callbacks=[Interferes()])
    with pytest.raises(ModelError, match=r"already: let the search .*\.$"):
        first.run()
    assert model.state_dict().keys() == before
    one, other = second.run(), second.run()
    assert model.state_dict().keys() == before
    assert getattr(one, "trace", None) is None or len(one.trace.miniepochs) == len(other.trace.miniepochs)


# What Trainer's ways do not allow for is said.


def stepping(base, *, calls_super):
    class Own(base):
        def training_step(self, model, inputs, num_items_in_batch=None):
            if calls_super:
                return super().training_step(model, inputs, num_items_in_batch)
            model.train()
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
            self.accelerator.backward(loss)
            return loss.detach()

    return Own


PASSED_BY = (
    r"^Own.training_step bypasses the adversary, the penalty and the noise: let it call super\(\).*\.$"
)


@every_training
def test_a_training_step_of_one_s_own_must_call_that_of_the_adversary(tmp_path, name):
    through, past = (stepping(AdversarialTrainer, calls_super=calls) for calls in (True, False))
    assert_close(train(tmp_path, name, trainer_class=through), train(tmp_path, name))
    if name is None:
        assert train(tmp_path, name, trainer_class=past)
        return
    with pytest.raises(ConfigError, match=PASSED_BY):
        train(tmp_path, name, trainer_class=past)


@every_search
def test_a_search_refuses_a_training_step_that_passes_its_penalty_by(tmp_path, name):
    past = stepping(Trainer, calls_super=False)
    with pytest.raises(ConfigError, match=PASSED_BY):
        search_of(tmp_path, name, trainer_class=past, adversary=None).run()


@pytest.mark.parametrize("name", ADVERSARIES)
@pytest.mark.parametrize("way", ["argument", "wrapped", "in place"])
def test_a_compiled_model_which_sees_no_perturbation_is_refused(tmp_path, name, way):
    model = tiny.classifier()
    if way == "in place":
        model.compile(backend="eager")
    compiled = torch.compile(model, backend="eager") if way == "wrapped" else model
    with pytest.raises(ConfigError, match=r"^A compiled model ignores .*: leave out torch_compile, .*\.$"):
        train(tmp_path, name, model=compiled, arguments={"torch_compile": way == "argument"})


@pytest.mark.parametrize("name", ADVERSARIES)
@pytest.mark.parametrize("given", ["model_init", "optimizers"])
def test_what_would_leave_out_the_parts_of_an_adversary_is_refused(tmp_path, name, given):
    def trained():
        model = tiny.classifier() if given == "optimizers" else None
        optimizers = (torch.optim.SGD(model.parameters(), 0.1) if model else None, None)
        own = {"optimizers": optimizers} if model else {"model_init": lambda: tiny.classifier()}
        return AdversarialTrainer(
            model,
            tiny.arguments(tmp_path),
            adversary=tiny.adversary(name),
            train_dataset=tiny.dataset(4),
            processing_class=tiny.tokenizer(),
            **own,
        ).train()

    if name not in {"model_init": ("fat", "infobert", "wordswap"), "optimizers": ("infobert",)}[given]:
        assert trained()
        return
    with pytest.raises(ConfigError, match=rf"^{type(tiny.adversary(name)).__name__} .*{given}.*: .*\.$"):
        trained()


def own_class(returns, keeps=lambda inputs: inputs):
    class Own(AdversarialTrainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            outputs = model(**keeps(inputs))
            return returns(outputs) if return_outputs else outputs.loss

    return Own


def alone(outputs):
    return outputs.loss


def only_tokens(inputs):
    return {name: inputs[name] for name in ("input_ids", "labels")}


RETURNS = {
    "the loss alone": (alone,),
    "a tuple": (lambda outputs: (outputs.loss, outputs.to_tuple()),),
    "a dict": (lambda outputs: (outputs.loss, {"scores": outputs.logits}),),
    "nothing": (lambda outputs: (outputs.loss, None),),
    "three": (lambda outputs: (outputs.loss, outputs, 1),),
    "no hidden states": (lambda outputs: (outputs.loss, outputs), only_tokens),
}


@pytest.mark.parametrize("returned", RETURNS)
@pytest.mark.parametrize(
    ("name", "needed"), [("smart", "logits"), ("flooding", "logits"), ("infobert", "hidden_states")]
)
def test_outputs_that_an_adversary_needs_and_does_not_get_are_named(tmp_path, name, needed, returned):
    trainer_class = own_class(*RETURNS[returned])
    if (needed, returned) == ("logits", "no hidden states"):
        assert train(tmp_path, name, trainer_class=trainer_class)
        return
    with pytest.raises(ConfigError, match=f"^{type(tiny.adversary(name)).__name__} needs the {needed} .*"):
        train(tmp_path, name, trainer_class=trainer_class)


def test_a_model_whose_outputs_have_no_hidden_states_is_named_as_the_cause(tmp_path):
    class Elsewhere(BertForSequenceClassification):
        def forward(self, **inputs):
            outputs = super().forward(**inputs)
            return Seq2SeqSequenceClassifierOutput(loss=outputs.loss, logits=outputs.logits)

    cause = r"^InfoBERT needs the hidden_states .*, but this model returns Seq2SeqSeq[^.]*\.$"
    with pytest.raises(ModelError, match=cause):
        tiny.step(tmp_path, tiny.classifier(kind=Elsewhere), tiny.batch(4), tiny.adversary("infobert"))


@pytest.mark.parametrize("name", [None, "pgd", "freelb", "freeat", "yopo", "wordswap"])
def test_the_loss_alone_is_enough_for_adversaries_that_need_no_outputs(tmp_path, name):
    assert_close(train(tmp_path, name, trainer_class=own_class(alone)), train(tmp_path, name))


def test_a_compute_loss_of_older_days_is_refused_with_the_signature_it_needs(tmp_path):
    class Old(AdversarialTrainer):
        def compute_loss(self, model, inputs, return_outputs=False):
            return model(**inputs).loss

    with pytest.raises(
        ConfigError, match=r"^Old.compute_loss does not take num_items_in_batch, .*=None\)\.$"
    ):
        train(tmp_path, None, trainer_class=Old)


@pytest.mark.parametrize("label", [2, 7, -1, -99])
@pytest.mark.parametrize("name", [None, "freelb"])
@pytest.mark.parametrize("reads", ["column", "batch", "own loss", "label"])
def test_labels_that_are_no_classes_are_refused_before_they_are_trained_on(tmp_path, name, label, reads):
    rows = [
        {**row, "labels": label if at == 13 else row["labels"]} for at, row in enumerate(tiny.dataset(16))
    ]
    data = tiny.dataset(16).from_list(rows)
    settings = spellings(weighted)["overridden"] if reads == "own loss" else {}
    steps = tiny.Gradients()
    if reads == "label":
        data = data.rename_column("labels", "label")
    if reads == "batch":
        data = [dict(row) for row in data.remove_columns("length")]
    trainer = settings.get("trainer_class", AdversarialTrainer)(
        tiny.classifier(),
        tiny.arguments(tmp_path, train_sampling_strategy="sequential"),
        train_dataset=data,
        processing_class=tiny.tokenizer(),
        adversary=None if name is None else tiny.adversary(name),
        callbacks=[steps],
    )
    with pytest.raises(DataError, match=rf"^A label is {label}, but the model has 2 classes, 0 to 1: .*\.$"):
        trainer.train()
    assert len(steps.steps) == (3 if reads == "batch" else 0)


@pytest.mark.parametrize("name", ADVERSARIES)
def test_a_row_without_a_token_does_no_harm(tmp_path, name):
    empty = {"input_ids": [], "attention_mask": [], "token_type_ids": [], "labels": 0}
    rows = [*tiny.dataset(15).remove_columns("length").to_list(), empty]
    trainer = AdversarialTrainer(
        tiny.classifier(),
        tiny.arguments(tmp_path, max_steps=4, logging_steps=1, train_sampling_strategy="sequential"),
        train_dataset=rows,
        processing_class=tiny.tokenizer(),
        adversary=tiny.adversary(name, **({"replays": 1} if name == "freeat" else {})),
    )
    trainer.train()
    assert np.isfinite(tiny.losses_of(trainer)).all()


@pytest.mark.parametrize(
    ("kind", "labels"), [("regression", 1), (None, 1), ("regression", 2), ("multi_label_classification", 3)]
)
def test_smart_refuses_outputs_that_are_no_classes(tmp_path, kind, labels):
    model = tiny.classifier()
    model.config.problem_type, model.config.num_labels = kind, labels
    with pytest.raises(ConfigError, match=r"^SMART needs .* for (regression|multi label classif.*): .*\.$"):
        train(tmp_path, "smart", model=model)


def test_labels_that_losses_leave_out_and_other_kinds_of_labels_are_let_through(tmp_path):
    rows = [
        {**row, "labels": -100 if at % 3 == 0 else row["labels"]} for at, row in enumerate(tiny.dataset(16))
    ]
    data = tiny.dataset(16).from_list(rows)
    regression = tiny.classifier()
    regression.config.problem_type = "multi_label_classification"
    floats = data.from_list([{**row, "labels": [0.0, 1.0]} for row in tiny.dataset(16)])
    for model, dataset in ((tiny.classifier(), data), (regression, floats)):
        trainer = AdversarialTrainer(
            model,
            tiny.arguments(tmp_path, max_steps=2),
            train_dataset=dataset,
            processing_class=tiny.tokenizer(),
            adversary=FreeLB(steps=2),
        )
        assert np.isfinite(trainer.train().training_loss)


@pytest.mark.parametrize("padding", [0, None])
def test_without_an_attention_mask_padding_is_known_by_its_token(tmp_path, padding):
    seen = {}
    for kept in (True, False):
        model = tiny.classifier()
        model.config.pad_token_id = padding
        batch = tiny.batch(4)
        if not kept:
            del batch["attention_mask"]
        with tiny.recorded_perturbations(model, batch) as deltas:
            tiny.step(tmp_path, model, batch, FreeLB(steps=1, initial_magnitude=1.0))
        seen[kept] = deltas[0].abs().sum(-1) > 0
    mask = tiny.batch(4)["attention_mask"] > 0
    assert torch.equal(seen[True], mask)
    assert torch.equal(seen[False], mask if padding == 0 else torch.ones_like(mask))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda batch: batch | {"attention_mask": batch["attention_mask"][:, None]},
            "attention mask has shape",
        ),
        (
            lambda batch: batch | {"attention_mask": batch["attention_mask"][:, 1:]},
            "attention mask has shape",
        ),
        (lambda batch: {"inputs_embeds": torch.zeros(4, 9, 16), "labels": batch["labels"]}, "no input_ids"),
    ],
    ids=["square", "short", "embeddings"],
)
def test_a_batch_that_cannot_be_perturbed_is_refused(tmp_path, change, match):
    with pytest.raises(DataError, match=match):
        tiny.step(tmp_path, tiny.classifier(), change(tiny.batch(4)), tiny.adversary("freelb"))
