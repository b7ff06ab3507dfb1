"""Every adversary against its equations, written out in loops over examples, tokens and pairs."""

import copy
import math
from functools import partial, wraps
from itertools import permutations

import pytest
import tiny
import torch
from torch.autograd import grad
from torch.testing import assert_close

from earlyrobust.adversarial import PGD, SMART, YOPO, FreeAT, FreeLB, InfoBERT
from earlyrobust.adversarial.infobert import choose_anchors, information_bound, shared_information
from earlyrobust.adversarial.smart import divergence
from earlyrobust.trainer import AdversarialTrainer

ASCENT = {"step_size": 0.3, "initial_magnitude": 0.2}
REGULARISED = {"steps": 3, "bottleneck_weight": 0.03, "anchor_weight": 0.4, "critic_size": 6, **ASCENT}


@pytest.fixture
def step(tmp_path):
    return partial(tiny.step, tmp_path)


class Example:
    """One row of a batch without its padding, and the model's parts, run over it one by one."""

    def __init__(self, model, batch, index):
        self.model = model
        self.tokens = int(batch["attention_mask"][index].sum())
        self.words, self.types = (
            batch[name][index, : self.tokens] for name in ("input_ids", "token_type_ids")
        )
        self.label = int(batch["labels"][index])

    def local(self, delta):
        words = self.model.get_input_embeddings()(self.words) + delta
        return self.model.bert.embeddings(inputs_embeds=words[None], token_type_ids=self.types[None])[0]

    def first(self, delta):
        return self.model.bert.encoder.layer[0](self.local(delta)[None])[0]

    def last(self, first):
        return self.model.bert.encoder.layer[1](first[None])[0]

    def logits(self, last):
        return self.model.classifier(self.model.bert.pooler(last[None]))[0]

    def prediction(self, delta):
        return self.logits(self.last(self.first(delta)))

    def loss_of(self, logits):
        return logits.exp().sum().log() - logits[self.label]

    def loss(self, delta):
        return self.loss_of(self.prediction(delta))


def examples_of(model, batch):
    return [Example(model, batch, index) for index in range(len(batch["labels"]))]


def ascended(delta, gradient, config):
    """Π(δ + α g/‖g‖₂) of one example."""
    moved = delta.detach() + config.step_size * gradient / math.sqrt((gradient**2).sum())
    length = math.sqrt((moved**2).sum())
    return moved * config.bound / length if 0 < config.bound < length else moved


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def of_each(written_out):
    """The loss of a batch, from what is written out for one example."""

    @wraps(written_out)
    def of_batch(examples, deltas, config):
        return mean(written_out(*pair, config) for pair in zip(examples, deltas, strict=True))

    return of_batch


@of_each
def pgd(example, delta, config):
    for _ in range(config.steps):
        delta.requires_grad_()
        delta = ascended(delta, *grad(example.loss(delta), delta), config)
    return example.loss(delta)


@of_each
def freelb(example, delta, config):
    losses = []
    for _ in range(config.steps):
        delta.requires_grad_()
        losses.append(example.loss(delta))
        delta = ascended(delta, *grad(losses[-1], delta, retain_graph=True), config)
    return mean(losses)


@of_each
def yopo(example, delta, config):
    losses = []
    for _ in range(config.outer_steps):
        first = example.first(delta)
        losses.append(example.loss_of(example.logits(example.last(first))))
        (costate,) = grad(losses[-1], first, retain_graph=True)
        for _ in range(config.inner_steps):
            delta = delta.detach().requires_grad_()
            delta = ascended(delta, *grad((costate * example.first(delta)).sum(), delta), config)
    return mean(losses)


def both_divergences(first, second):
    """Σ p log p/q + Σ q log q/p."""
    p, q = (logits.exp() / logits.exp().sum() for logits in (first, second))
    return sum(a * (a / b).log() + b * (b / a).log() for a, b in zip(p, q, strict=True))


@of_each
def smart(example, delta, config):
    clean = example.prediction(0)
    for _ in range(config.steps):
        delta.requires_grad_()
        (gradient,) = grad(both_divergences(example.prediction(delta), clean.detach()), delta)
        steps = [config.step_size * of_token / of_token.abs().max() for of_token in gradient]
        delta = delta.detach() + torch.stack(steps)
        if config.bound:
            delta = delta.clamp(-config.bound, config.bound)
    return example.loss_of(clean) + config.weight * both_divergences(example.prediction(delta), clean)


def anchors_of(example, gradient, config):
    ranked = sorted(range(example.tokens), key=lambda token: math.sqrt((gradient[token] ** 2).sum()))
    begin, end = (math.ceil(share * example.tokens) for share in (config.anchors_from, config.anchors_to))
    return ranked[begin:end]


def score_of(critic, local, sentence):
    hidden = critic.local.weight @ local + critic.local.bias + critic.sentence.weight @ sentence
    return (1 + (critic.score.weight[0] @ hidden.clamp(min=0) + critic.score.bias[0]).exp()).log()


def infobert(examples, deltas, config):
    anchors = None
    objectives = []
    for _ in range(config.steps):
        deltas = [delta.requires_grad_() for delta in deltas]
        pairs = list(zip(examples, deltas, strict=True))
        local = [example.local(delta) for example, delta in pairs]
        last = [example.last(example.first(delta)) for example, delta in pairs]
        tokens = [token for features in local for token in features]
        loss = mean(
            example.loss_of(example.logits(one)) for example, one in zip(examples, last, strict=True)
        ) + config.bottleneck_weight * mean(((a - b) ** 2).sum() / 2 for a in tokens for b in tokens)
        if anchors is None:
            found = grad(loss, deltas, retain_graph=True)
            anchors = [anchors_of(*pair, config) for pair in zip(examples, found, strict=True)]
        objectives.append(
            loss - config.anchor_weight * shared(examples[0].model, local, last, anchors, config)
        )
        gradients = grad(objectives[-1], deltas, retain_graph=True)
        deltas = [ascended(*pair, config) for pair in zip(deltas, gradients, strict=True)]
    return mean(objectives)


def shared(model, local, last, anchors, config):
    if config.anchor_weight == 0:
        return 0
    lower_bounds = []
    for own, tokens in enumerate(anchors):
        for token in tokens:
            scores = [score_of(model.adversary, local[own][token], features[0]) for features in last]
            lower_bounds.append(scores[own] - mean(score.exp() for score in scores).log())
    assert len(lower_bounds) > len(anchors)
    return mean(lower_bounds)


@of_each
def wordswap(example, delta, config):
    clean = torch.zeros_like(delta).requires_grad_()
    (gradient,) = grad(example.loss(clean), clean)
    embeddings = example.model.get_input_embeddings().weight.detach()
    table = example.model.adversary.substitutes
    swaps = []
    for place, word in enumerate(example.words.tolist()):
        moves = [embeddings[other] - embeddings[word] for other in table[word].tolist()]
        gains = [float(gradient[place] @ move) for move in moves]
        swaps.append((max(gains), place, moves[gains.index(max(gains))]))
    most = max(1, round(example.tokens * config.rate))
    moved = torch.zeros_like(delta)
    for gain, place, move in sorted(swaps, key=lambda swap: -swap[0])[:most]:
        if gain > 0:
            moved[place] = move
    return (example.loss(clean) + example.loss(moved)) / 2


CASES = [
    (pgd, PGD(steps=3, **ASCENT)),
    (pgd, PGD(steps=3, bound=0.35, **ASCENT)),
    (freelb, FreeLB(steps=3, **ASCENT)),
    (freelb, FreeLB(steps=3, bound=0.35, share_dropout=True, **ASCENT)),
    (yopo, YOPO(outer_steps=3, inner_steps=2, **ASCENT)),
    (yopo, YOPO(outer_steps=2, inner_steps=4, bound=0.35, **ASCENT)),
    (smart, SMART(weight=2.5, steps=2, step_size=0.2, deviation=0.2)),
    (smart, SMART(steps=3, step_size=0.2, deviation=0.2, bound=0.3)),
    (infobert, InfoBERT(**REGULARISED)),
    (infobert, InfoBERT(**REGULARISED | {"bound": 0.35, "anchors_from": 0.2, "anchors_to": 0.6})),
    (infobert, InfoBERT(**REGULARISED | {"bottleneck_weight": 0.0})),
    (infobert, InfoBERT(**REGULARISED | {"anchor_weight": 0.0})),
    (wordswap, tiny.make("wordswap", {"rate": 0.3, "candidates": 4})),
    (wordswap, tiny.make("wordswap", {"rate": 1.0, "candidates": 2})),
    (wordswap, tiny.make("wordswap", {"rate": 0.01, "candidates": 8})),
]


def assert_same_gradients(actual, expected):
    assert actual.keys() == expected.keys()
    for name, gradient in expected.items():
        assert (actual[name] - gradient).norm() <= 1e-9 * gradient.norm() + 1e-15, name


def starts_of(deltas, examples):
    """δ₀ of each example; a pass before it is over the clean batch."""
    whole = next(delta for delta in deltas if delta.any())
    return [delta[: example.tokens].clone() for delta, example in zip(whole, examples, strict=True)]


@tiny.float64()
@pytest.mark.parametrize("gated", [False, True], ids=["", "gated"])
@pytest.mark.parametrize(
    ("written_out", "adversary"), CASES, ids=[f"{oracle.__name__}{i}" for i, (oracle, _) in enumerate(CASES)]
)
def test_a_step_is_the_algorithm_written_out(step, written_out, adversary, gated):
    model = tiny.classifier()
    if gated:
        tiny.attach_random_coefficients(model)
    assert_is_written_out(step, model, written_out, adversary)


@tiny.float64()
def test_of_a_layer_that_is_used_again_yopo_means_the_first_use(step):
    model = tiny.classifier()
    model.bert.encoder.layer[1] = model.bert.encoder.layer[0]
    assert_is_written_out(step, model, yopo, YOPO(outer_steps=3, inner_steps=2, **ASCENT))


def test_yopo_trains_the_rest_of_a_model_whose_embeddings_and_first_layer_are_frozen(step):
    settings = {"outer_steps": 2, "inner_steps": 2, **ASCENT}
    _, expected = step(tiny.classifier(), tiny.batch(4), YOPO(**settings))
    model = tiny.classifier()
    frozen = ("bert.embeddings.", "bert.encoder.layer.0.")
    for name, weight in model.named_parameters():
        weight.requires_grad_(not name.startswith(frozen))
    _, actual = step(model, tiny.batch(4), YOPO(**settings))
    kept = {name: gradient for name, gradient in expected.items() if not name.startswith(frozen)}
    assert_close(actual, kept, rtol=0, atol=0)


def assert_is_written_out(step, model, written_out, adversary):
    batch = tiny.batch(4)
    examples = examples_of(model, batch)
    assert len({example.tokens for example in examples}) > 2
    with tiny.recorded_perturbations(model, batch) as deltas:
        loss, actual = step(model, batch, adversary)
    expected_loss = written_out(examples, starts_of(deltas, examples), adversary.config)
    names, weights = zip(*model.named_parameters(), strict=True)
    expected = dict(zip(names, grad(expected_loss, weights), strict=True))
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-9)
    assert_same_gradients(actual, expected)


def freeat(model, batch, deltas, config, rate):
    """Algorithm 1 of Shafahi et al. (2019) on one batch: loss and gradients of each replay."""
    model = copy.deepcopy(model)
    names, weights = zip(*model.named_parameters(), strict=True)
    examples = examples_of(model, batch)
    for _ in range(config.replays):
        deltas = [delta.requires_grad_() for delta in deltas]
        loss = mean(example.loss(delta) for example, delta in zip(examples, deltas, strict=True))
        gradients = grad(loss, [*weights, *deltas])
        of_weights, of_deltas = gradients[: len(weights)], gradients[len(weights) :]
        yield loss.item(), dict(zip(names, of_weights, strict=True))
        deltas = [ascended(*pair, config) for pair in zip(deltas, of_deltas, strict=True)]
        with torch.no_grad():
            for weight, gradient in zip(weights, of_weights, strict=True):
                weight -= rate * gradient


@tiny.float64()
@pytest.mark.parametrize("bound", [0.0, 0.35])
def test_freeat_s_optimiser_steps_are_its_algorithm_written_out(tmp_path, bound):
    adversary = FreeAT(replays=3, bound=bound, **ASCENT)
    model, batch, watch = tiny.classifier(), tiny.batch(5), tiny.Gradients()
    descent = {"optim": "sgd", "learning_rate": 0.1, "lr_scheduler_type": "constant", "max_grad_norm": 0.0}
    order = {"per_device_train_batch_size": 5, "train_sampling_strategy": "sequential"}
    trainer = AdversarialTrainer(
        model,
        tiny.arguments(tmp_path, num_train_epochs=3, logging_steps=1, **order, **descent),
        adversary=adversary,
        train_dataset=tiny.dataset(5),
        processing_class=tiny.tokenizer(),
        callbacks=[watch],
    )
    before = copy.deepcopy(model)
    with tiny.recorded_perturbations(model, batch) as deltas:
        trainer.train()
    starts = starts_of(deltas, examples_of(before, batch))
    losses, expected = zip(*freeat(before, batch, starts, adversary.config, rate=0.1), strict=True)
    assert tiny.losses_of(trainer) == pytest.approx(losses, rel=1e-9)
    for actual, gradients in zip(watch.steps, expected, strict=True):
        assert_same_gradients(actual, gradients)


def distinct(deltas):
    return [
        delta for index, delta in enumerate(deltas) if not index or not torch.equal(delta, deltas[index - 1])
    ]


@tiny.float64()
@pytest.mark.parametrize("bound", [0.0, 0.35])
def test_all_ascents_are_those_of_pgd_if_they_follow_the_true_gradient(step, bound):
    paths = []
    for adversary in (
        PGD(steps=3, bound=bound, **ASCENT),
        FreeLB(steps=4, bound=bound, **ASCENT),
        YOPO(outer_steps=4, inner_steps=1, bound=bound, **ASCENT),
        FreeAT(replays=4, bound=bound, **ASCENT),
    ):
        model, batch = tiny.classifier(), tiny.batch(5)
        with tiny.recorded_perturbations(model, batch) as deltas:
            step(model, batch, adversary)
        paths.append(torch.stack(distinct(deltas)))
    for path in paths[1:]:
        assert_close(path, paths[0], rtol=0, atol=1e-12)


@tiny.float64()
def test_with_an_ascent_per_pass_yopo_is_freelb(step):
    _, yopo = step(tiny.classifier(), tiny.batch(4), YOPO(outer_steps=3, inner_steps=1, **ASCENT))
    _, freelb = step(tiny.classifier(), tiny.batch(4), FreeLB(steps=3, **ASCENT))
    assert_same_gradients(yopo, freelb)


def test_without_its_regularisers_infobert_is_freelb_bit_for_bit(step):
    bare = {"steps": 3, "bottleneck_weight": 0.0, "anchor_weight": 0.0, **ASCENT}
    actual = step(tiny.classifier(dropout=0.3), tiny.batch(4), InfoBERT(**bare))
    expected = step(tiny.classifier(dropout=0.3), tiny.batch(4), FreeLB(steps=3, **ASCENT))
    assert_close(actual, expected, rtol=0, atol=0)


def test_without_anchors_infobert_has_its_bottleneck_alone(step):
    one_token = {name: value[:, :1] if value.dim() == 2 else value for name, value in tiny.batch(4).items()}
    actual, expected = (
        step(tiny.classifier(), one_token, InfoBERT(**REGULARISED | {"anchor_weight": weight}))
        for weight in (0.4, 0.0)
    )
    assert_close(actual, expected, rtol=0, atol=0)


@tiny.float64()
def test_divergence_of_known_predictions():
    uneven, even = torch.tensor([[0.75, 0.25]]).log(), torch.tensor([[0.5, 0.5]]).log()
    # (3/4 - 1/2) log 3/2 + (1/4 - 1/2) log 1/2
    expected = torch.tensor(math.log(3) / 4)
    assert_close(divergence(uneven, even), expected)
    assert_close(divergence(even, uneven), expected)
    assert_close(divergence(uneven + 5, even - 3), expected)
    assert_close(divergence(torch.cat([uneven, even]), torch.cat([even, even])), expected / 2)
    assert divergence(uneven, uneven) == 0


def test_divergence_is_computed_in_full_precision():
    first, second = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.5, -1.5]])
    assert divergence(first.half(), second.half()).dtype == torch.float32
    assert_close(divergence(first.half(), second.half()), divergence(first, second))


@tiny.float64()
def test_information_bound_of_known_features():
    # Of the four pairs two are 5 apart: the mean of 0, 25, 25 and 0, halved.
    features = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    assert_close(information_bound(features), torch.tensor(6.25))
    assert_close(information_bound(features + 7), torch.tensor(6.25))
    assert_close(information_bound(features * 2), torch.tensor(25.0))
    assert_close(information_bound(features.repeat(3, 1)), torch.tensor(6.25))
    assert information_bound(features[:1]) == 0


def bilinear(local, sentence):
    return local @ sentence.T


@tiny.float64()
def test_shared_information_of_known_scores():
    anchors = torch.tensor([[True, False], [False, True]])
    local = torch.tensor([[[1.0], [50.0]], [[50.0], [2.0]]])
    # Scores log 3 and -log 3 of the first sentence's anchor, -2 log 3 and 2 log 3 of the second's (its own).
    sentence = math.log(3) * torch.tensor([[1.0], [-1.0]])
    of_first = math.log(3) - math.log((3 + 1 / 3) / 2)
    of_second = -math.log(9) - math.log((9 + 1 / 9) / 2)
    expected = torch.tensor((of_first + of_second) / 2)
    assert_close(shared_information(bilinear, local, sentence, anchors), expected)
    shifted = shared_information(lambda *pair: bilinear(*pair) + 4, local, sentence, anchors)
    assert_close(shifted, expected)


@tiny.float64()
def test_sentences_share_at_most_the_logarithm_of_their_number():
    draw = torch.Generator().manual_seed(0)
    local, sentence = (torch.randn(shape, generator=draw) for shape in ((6, 9, 4), (6, 4)))
    anchors = torch.rand(6, 9, generator=draw) < 0.4
    most = math.log(6)
    for scale in (0.1, 1, 10, 100):
        assert shared_information(bilinear, local, scale * sentence, anchors) <= most
    own = torch.eye(6)[:, None].expand(6, 9, 6)
    assert_close(shared_information(bilinear, own, 100 * torch.eye(6), anchors), torch.tensor(most))
    assert_close(shared_information(bilinear, own * 0, torch.eye(6), anchors), torch.tensor(0.0))
    alone = shared_information(bilinear, local[:1], sentence[:1], anchors[:1])
    assert_close(alone, torch.tensor(0.0))


# The numbers of an example's gradients, and which of its tokens then are anchors from 0.5 up to 0.9.
ANCHORS = [
    ([7], []),
    ([2, 1], [0]),
    ([1, 3, 2], [1]),
    ([5, 1, 4, 2, 3], [0, 2]),
    ([9, 0, 8, 1, 7, 2, 6, 3, 5, 4], [2, 4, 6, 8]),
    ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [5, 6, 7, 8]),
    ([0, 0, 0, 0], [2, 3]),
    ([4, 4, 1, 4], [1, 3]),
]


@pytest.mark.parametrize(("norms", "expected"), ANCHORS)
@pytest.mark.parametrize("padding", [0, 3])
def test_anchors_are_the_tokens_of_middling_gradients(norms, expected, padding):
    row = torch.tensor([[*map(float, norms), *([0.5, 100.0, 2.0][:padding])]])
    valid = torch.arange(row.shape[1])[None] < len(norms)
    assert choose_anchors(row, valid, 0.5, 0.9)[0].nonzero().flatten().tolist() == expected
    assert torch.equal(choose_anchors(row, valid, 0.0, 1.0), valid)


def test_a_share_of_the_tokens_that_is_a_whole_number_is_not_rounded_up():
    assert 0.28 * 25 > 7
    anchors = choose_anchors(torch.arange(25.0)[None], torch.ones(1, 25, dtype=torch.bool), 0.0, 0.28)
    assert anchors.sum() == 7


def test_anchors_move_with_their_tokens_and_do_not_see_other_examples_or_scales():
    norms, valid = torch.tensor([4.0, 1.0, 3.0, 2.0]), torch.ones(1, 4, dtype=torch.bool)
    for order in map(list, permutations(range(4))):
        both = torch.stack([norms[order], 1000 * norms])
        of_permuted, of_scaled = choose_anchors(both, valid.expand(2, 4), 0.25, 0.75)
        assert norms[order][of_permuted].sort().values.tolist() == [2.0, 3.0]
        assert of_scaled.tolist() == [False, False, True, True]
