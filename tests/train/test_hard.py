"""The objectives of hard attention, on small models whose every choice can be enumerated."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement, product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention import hard
from attentio.data.batch import Batch
from attentio.data.prepare import PreparedData, prepare
from attentio.errors import UsageError
from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.train import objective
from attentio.train.loop import train
from attentio.train.objective import cross_entropy
from attentio.train.settings import RunConfig
from attentio.train.state import Progress
from attentio.train.step import TrainingStep

SOURCE_VOCAB, TARGET_VOCAB = 7, 5
RNN: dict[str, Any] = {"family": "rnn", "embedding_size": 3, "hidden_size": 4, "dropout": 0.0}
LAYERS = {
    "family": "transformer",
    "hidden_size": 4,
    "feed_forward_size": 5,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "dropout": 0.0,
}
SMOOTHING = 0.1
Gradients = tuple[Tensor | None, ...]


def settings(model: dict[str, Any], attention: dict[str, Any], **train: Any) -> RunConfig:
    train = {"guided_alignment": 0.0, "entropy_bonus": 0.0, "reinforce_samples": 2} | train
    return RunConfig.model_validate({"model": model, "attention": attention, "train": train})


def build(config: RunConfig) -> Seq2Seq:
    """A model with weights so large that choices matter, in float64."""
    torch.manual_seed(4)
    model = build_model(
        config.model, config.attention, SOURCE_VOCAB, TARGET_VOCAB, self_attention=config.self_attention
    ).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)
    return model


def one_pair(keys: int) -> Batch:
    """A source of so many keys and a target of two tokens, each with its end piece."""
    source = torch.tensor([[3, 5, 2]]) if keys == 3 else torch.tensor([[3, 2]])
    return Batch(source, torch.tensor([keys]), torch.tensor([[1, 4]]), torch.tensor([[4, 2]]), 2)


@dataclass
class Forced:
    """In place of Gumbel noise: what makes `rows` (samples, choices) the choices, in the order in which they come."""

    rows: Sequence[Sequence[int]]
    place: int = 0

    def __call__(self, like: Tensor) -> Tensor:
        samples, heads, steps, keys = like.shape
        some = [row[self.place : self.place + heads * steps] for row in self.rows]
        self.place += heads * steps
        return 1e9 * F.one_hot(torch.tensor(some).view(samples, heads, steps), keys)


@dataclass
class Paths:
    """Every path of choices of one pair, its probability and the costs of its tokens."""

    model: Seq2Seq
    batch: Batch
    choices: list[tuple[int, ...]]
    patch: pytest.MonkeyPatch
    log_probs: list[Tensor] = field(default_factory=list)  # of the path as a whole, ()
    costs: list[Tensor] = field(default_factory=list)  # (T,)
    entropies: list[Tensor] = field(default_factory=list)  # of what was chosen from, all steps together, ()

    def __post_init__(self) -> None:
        for path in self.choices:
            seen: list[Tensor] = []

            def see(_layer: nn.Module, _inputs: Any, attended: Any, seen: list[Tensor] = seen) -> None:
                seen.append(attended.log_weights)

            layers = self.model.decoder.cross_attention().values()
            handles = [layer.register_forward_hook(see) for layer in layers]
            self.patch.setattr(hard, "gumbel_noise", Forced([path]))
            logits = self.model(self.batch.source, self.batch.source_lengths, self.batch.target_in)[0]
            for handle in handles:
                handle.remove()
            costs = F.cross_entropy(logits, self.batch.target_out[0], label_smoothing=SMOOTHING, reduction="none")
            log_weights = torch.cat([each.flatten(0, 2) for each in seen])  # (choices, S)
            self.log_probs.append(log_weights[torch.arange(len(path)), torch.tensor(path)].sum())
            self.costs.append(costs)
            self.entropies.append(-(log_weights.exp() * log_weights).sum())

    def gradients(self, loss: Tensor) -> Gradients:
        return torch.autograd.grad(loss, list(self.model.parameters()), allow_unused=True, retain_graph=True)

    def expected_cost(self) -> Tensor:
        """sum_z p(z) cost(z) per token: what REINFORCE estimates, with its own exact gradient."""
        probabilities = torch.stack(self.log_probs).exp()
        torch.testing.assert_close(probabilities.sum().item(), 1.0)
        return (probabilities * torch.stack(self.costs).sum(-1)).sum() / self.batch.num_target_tokens

    def marginal(self) -> Tensor:
        """-log sum_z p(z) exp(-cost(z)) per token."""
        joint = torch.stack(self.log_probs) - torch.stack(self.costs).sum(-1)
        return -joint.logsumexp(0) / self.batch.num_target_tokens


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], int, int]] = {  # model, attention, keys, choices
    "one token each": (RNN, {}, 3, 2),
    "two heads": (RNN, {"num_heads": 2}, 2, 4),
    "input feeding": (RNN | {"input_feeding": True}, {}, 2, 2),
    "previous query": (RNN | {"query": "previous"}, {"score": "additive"}, 2, 2),
    "a score that remembers": (RNN, {"score": "coverage"}, 2, 2),
    "two layers": (LAYERS, {}, 2, 4),
}
EVERY_CASE = pytest.mark.parametrize("case", CASES)


def paths_of(case: str, monkeypatch: pytest.MonkeyPatch) -> tuple[RunConfig, Paths]:
    model, attention, keys, count = CASES[case]
    config = settings(model, attention | {"normalize": "hard_reinforce"}, label_smoothing=SMOOTHING)
    choices = list(product(range(keys), repeat=count))
    return config, Paths(build(config), one_pair(keys), choices, monkeypatch)


def mean_of_pairs(paths: Paths, config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    """Loss and reported cost, averaged over all pairs of samples, each as often as it is drawn."""
    loss = cost = torch.tensor(0.0, dtype=torch.float64)
    odds = torch.stack(paths.log_probs).exp().detach()
    for (i, first), (j, second) in combinations_with_replacement(enumerate(paths.choices), 2):
        monkeypatch.setattr(hard, "gumbel_noise", Forced([first, second]))
        found = TrainingStep(paths.model, config.train)(paths.batch)
        often = odds[i] * odds[j] * (1 if i == j else 2)  # the samples may change places
        loss, cost = loss + often * found.total, cost + often * found.cost
    return loss, cost


def assert_same(found: Gradients, wanted: Gradients, model: nn.Module) -> None:
    for (name, _), mine, theirs in zip(model.named_parameters(), found, wanted, strict=True):
        assert (mine is None) == (theirs is None), name
        if mine is not None and theirs is not None:
            torch.testing.assert_close(mine, theirs, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.slow
@EVERY_CASE
def test_the_mean_gradient_of_the_samples_is_that_of_the_expected_cost(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, paths = paths_of(case, monkeypatch)
    loss, cost = mean_of_pairs(paths, config, monkeypatch)
    expected = paths.expected_cost()
    torch.testing.assert_close(cost, expected.detach())
    assert_same(paths.gradients(loss), paths.gradients(expected), paths.model)


@pytest.mark.parametrize("case", ["input feeding", "previous query"])
def test_where_choices_reach_later_tokens_their_own_cost_alone_would_be_wrong(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, paths = paths_of(case, monkeypatch)
    monkeypatch.setattr(paths.model.decoder, "context_feeds_back", False)
    loss, _ = mean_of_pairs(paths, config, monkeypatch)
    with pytest.raises(AssertionError):
        assert_same(paths.gradients(loss), paths.gradients(paths.expected_cost()), paths.model)


@pytest.mark.slow
def test_the_entropy_bonus_is_for_the_mean_entropy_of_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    config, paths = paths_of("two heads", monkeypatch)
    bonus = config.train.model_copy(update={"entropy_bonus": 0.4})
    loss, cost = mean_of_pairs(paths, config.model_copy(update={"train": bonus}), monkeypatch)
    expected = paths.expected_cost()
    torch.testing.assert_close(cost, expected.detach(), msg="the bonus is not reported")
    assert_same(paths.gradients(loss), paths.gradients(expected - 0.4 * paths.entropies[0] / 2), paths.model)


@pytest.mark.slow
def test_the_marginal_is_the_sum_over_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    _, paths = paths_of("one token each", monkeypatch)
    for chunk, top_k in product((1, 2, 99), (0, 3, 99)):
        monkeypatch.setattr(objective, "KEYS_AT_ONCE", chunk)
        config = settings(RNN, {"normalize": "hard_marginal"}, label_smoothing=SMOOTHING, marginal_top_k=top_k)
        model = build(config)
        loss = TrainingStep(model, config.train)(paths.batch)
        torch.testing.assert_close(loss.total, paths.marginal())
        assert loss.cost.equal(loss.total.detach())
        found = torch.autograd.grad(loss.total, list(model.parameters()), allow_unused=True)
        assert_same(found, paths.gradients(paths.marginal()), model)


def test_fewer_keys_and_drawn_ones_cost_more_than_the_marginal(monkeypatch: pytest.MonkeyPatch) -> None:
    _, paths = paths_of("one token each", monkeypatch)

    def cost(top_k: int) -> float:
        config = settings(RNN, {"normalize": "hard_marginal"}, label_smoothing=SMOOTHING, marginal_top_k=top_k)
        return TrainingStep(build(config), config.train)(paths.batch).cost.item()

    assert cost(3) + 1e-3 < cost(2) < cost(1)
    assert cost(3) + 1e-3 < paths.expected_cost().item()


def test_of_a_single_key_all_costs_are_the_cross_entropy() -> None:
    batch = Batch(torch.tensor([[2]]), torch.tensor([1]), torch.tensor([[1, 4]]), torch.tensor([[4, 2]]), 2)
    for normalize in ("hard_reinforce", "hard_marginal", "hard_straight_through", "softmax"):
        config = settings(RNN, {"normalize": normalize}, label_smoothing=SMOOTHING)
        model = build(config)
        wanted = cross_entropy(model, batch, label_smoothing=SMOOTHING)
        torch.testing.assert_close(TrainingStep(model, config.train)(batch).cost, wanted.detach())


class Table:
    """In place of Gumbel noise: the same number for the same sample, sentence, step and key, in any batch."""

    def __init__(self, first: int = 0, last: int = 9) -> None:
        self.sentences = slice(first, last)
        self.step = 0

    def __call__(self, like: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(8)
        table = -torch.empty(2, 9, 8, 40, 8, dtype=torch.float64).exponential_(generator=generator).log()
        rows, heads, steps, keys = like.shape
        found = table[:, self.sentences, :heads, self.step : self.step + steps, :keys]  # two samples, or one
        self.step += steps
        return found.flatten(0, 1)[:rows]


TARGET_LENGTHS = torch.tensor([4, 1, 3, 4, 2, 4, 1, 4, 2])
SOURCE_LENGTHS = torch.tensor([5, 5, 2, 4, 1, 3, 5, 5, 1])


def ragged(*, wider: int = 0) -> Batch:
    """Nine pairs with links; the same for any number of columns of padding."""
    generator = torch.Generator().manual_seed(6)
    source = torch.randint(3, SOURCE_VOCAB, (9, 5), generator=generator)
    target = torch.randint(3, TARGET_VOCAB, (9, 4), generator=generator)

    def ended(tokens: Tensor, lengths: Tensor) -> Tensor:
        tokens, place = F.pad(tokens, (0, wider)), torch.arange(tokens.shape[1] + wider)
        return torch.where(place == lengths[:, None] - 1, 2, torch.where(place < lengths[:, None], tokens, 0))

    out = ended(target, TARGET_LENGTHS)
    inputs = torch.cat([torch.ones(9, 1, dtype=torch.int64), out[:, :-1]], dim=1)
    inputs[inputs == 2] = 0
    links = torch.tensor([[row, 0, int(SOURCE_LENGTHS[row]) - 1] for row in range(9)] + [[3, 1, 0], [7, 2, 4]])
    return Batch(ended(source, SOURCE_LENGTHS), SOURCE_LENGTHS, inputs, out, int(TARGET_LENGTHS.sum()), links)


OBJECTIVES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "reinforce": (RNN, {"normalize": "hard_reinforce"}),
    "reinforce, fed back": (RNN | {"query": "previous"}, {"normalize": "hard_reinforce"}),
    "marginal": (RNN, {"normalize": "hard_marginal"}),
    "straight through": (RNN, {"normalize": "hard_straight_through", "num_heads": 2}),
    "soft": (RNN, {}),
}
EVERY_OBJECTIVE = pytest.mark.parametrize("name", OBJECTIVES)
PENALTIES = {"coverage_loss": 0.6, "guided_alignment": 0.5, "entropy_bonus": 0.3, "label_smoothing": SMOOTHING}


@pytest.mark.parametrize("normalize", ["hard_reinforce", "hard_marginal", "hard_straight_through"])
def test_penalties_see_the_distribution_that_is_chosen_from(normalize: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is the softmax: of one model with the same weights, every kind has the same penalties."""

    def penalty(normalize: str) -> Tensor:
        found: list[Tensor] = []
        for penalties in ({}, {"coverage_loss": 0.6, "guided_alignment": 0.5}):
            config = settings(RNN, {"normalize": normalize}, **penalties)
            monkeypatch.setattr(hard, "gumbel_noise", Table())
            found.append(TrainingStep(build(config), config.train)(ragged()).total)
        return found[1] - found[0]

    torch.testing.assert_close(penalty(normalize), penalty("softmax"))


@EVERY_OBJECTIVE
def test_padding_adds_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(*OBJECTIVES[name], **PENALTIES)
    model = build(config)
    found: list[Any] = []
    for wider in (0, 3):
        monkeypatch.setattr(hard, "gumbel_noise", Table())
        loss = TrainingStep(model, config.train)(ragged(wider=wider))
        found.append((*loss, *torch.autograd.grad(loss.total, list(model.parameters()), allow_unused=True)))
    torch.testing.assert_close(found[0], found[1])


@EVERY_OBJECTIVE
def test_halves_have_the_gradient_of_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(*OBJECTIVES[name], **PENALTIES)
    model, whole = build(config), ragged()
    monkeypatch.setattr(hard, "gumbel_noise", Table())
    loss, cost = TrainingStep(model, config.train)(whole)
    wanted = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    total = reported = torch.tensor(0.0, dtype=torch.float64)
    for half, sentences in zip(whole.halves(), ((0, 4), (4, 9)), strict=True):
        monkeypatch.setattr(hard, "gumbel_noise", Table(*sentences))
        found = TrainingStep(model, config.train)(half)
        share = half.num_target_tokens / whole.num_target_tokens
        total, reported = total + share * found.total, reported + share * found.cost
    torch.testing.assert_close((total, reported), (loss, cost))
    assert_same(torch.autograd.grad(total, list(model.parameters()), allow_unused=True), wanted, model)


@pytest.mark.parametrize(
    "model",
    [RNN | {"query": "previous"}, RNN | {"input_feeding": True}, LAYERS],
    ids=["previous", "feeding", "transformer"],
)
def test_the_marginal_is_refused_where_it_does_not_factor(model: dict[str, Any]) -> None:
    config = settings(model, {"normalize": "hard_marginal"})
    with pytest.raises(UsageError, match="the sum would be over every path") as refusal:
        build(config)
    assert "hard_reinforce" in str(refusal.value.hint)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    config = RunConfig.model_validate(
        {"data": {"train": ["small-world"], "small_world_pairs": 60, "dev": 0, "test": 0}}
    )
    return prepare(config.data, tmp_path_factory.mktemp("hard") / "data", seed=1)


class Steps:
    """A reporter that counts."""

    count = 0

    def update(self, *_: object, **__: object) -> None:
        self.count += 1

    def evaluated(self, *_: object, **__: object) -> None: ...
    def note(self, text: str) -> None: ...


@pytest.mark.slow
@EVERY_OBJECTIVE
def test_stopped_and_resumed_it_is_the_same_run(name: str, data: PreparedData, tmp_path: Path) -> None:
    model, attention = OBJECTIVES[name]
    config = settings(model, attention, **PENALTIES, max_steps=8, batch_tokens=300, warmup_steps=2, device="cpu")
    sizes = data.vocab_sizes

    def run(folder: str, until: int) -> tuple[Progress, dict[str, Tensor]]:
        weights: dict[str, Tensor] = {}
        steps = Steps()

        def publish(model: Seq2Seq, _progress: Progress) -> None:
            weights.update({key: tensor.clone() for key, tensor in model.unique_state_dict().items()})

        place, stop = tmp_path / folder, lambda: steps.count >= until
        options: dict[str, Any] = {"links": data.train_links, "evaluate": None, "publish": publish}
        return train(config, data.train, sizes, place, **options, reporter=steps, stop=stop), weights

    progress, whole = run("whole", 99)
    run("parts", 3)
    again, resumed = run("parts", 99)
    assert (progress.step, again.step) == (8, 8)
    assert again.loss == progress.loss
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def copies(count: int, seed: int) -> Batch:
    """Sequences of four symbols among nine that are to be repeated backwards."""
    symbols = torch.randint(3, 12, (count, 4), generator=torch.Generator().manual_seed(seed))
    ends, starts = torch.full((count, 1), 2), torch.ones(count, 1, dtype=torch.int64)
    backwards = symbols.flip(1)
    return Batch(
        torch.cat([symbols, ends], 1),
        torch.full((count,), 5),
        torch.cat([starts, backwards], 1),
        torch.cat([backwards, ends], 1),
        5 * count,
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("model", "attention"),
    [
        ({}, {"normalize": "hard_reinforce"}),
        ({"query": "previous"}, {"normalize": "hard_reinforce", "score": "additive"}),
        ({}, {"normalize": "hard_marginal"}),
        ({}, {"normalize": "hard_straight_through"}),
    ],
    ids=["reinforce", "reinforce, fed back", "marginal", "straight through"],
)
def test_each_objective_learns_to_turn_sequences_around(model: dict[str, Any], attention: dict[str, Any]) -> None:
    sizes = {"family": "rnn", "embedding_size": 32, "hidden_size": 32, "dropout": 0.0}
    config = RunConfig.model_validate({"model": sizes | model, "attention": attention, "train": {}})
    torch.manual_seed(1)
    translator = build_model(config.model, config.attention, 12, 12)
    optimizer = torch.optim.Adam(translator.parameters(), lr=5e-3)
    for step in range(500):
        optimizer.zero_grad()
        TrainingStep(translator, config.train)(copies(64, step)).total.backward()
        nn.utils.clip_grad_norm_(translator.parameters(), 1.0)
        optimizer.step()
    unseen = copies(300, 10**6)
    translator.eval()
    found = translator(unseen.source, unseen.source_lengths, unseen.target_in).argmax(-1)
    assert (found == unseen.target_out).float().mean() > 0.95
