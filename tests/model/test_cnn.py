"""The convolutional family: laws that hold for every variant, its formulas from the paper, training and search."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.utils.parametrize import ParametrizationList

from attentio.attention import NORMALIZERS, SCORES, WINDOWS, Attended
from attentio.corpora.small_world.grammar import sample
from attentio.data.prepare import PreparedData, prepare
from attentio.errors import UsageError
from attentio.model.cnn import GatedConvolution
from attentio.model.decoder import Encoded
from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, CNNConfig
from attentio.runtime.precision import arithmetic
from attentio.runtime.tensors import arrays_on
from attentio.search.decode import decode, padded
from attentio.search.strategy import Beam
from attentio.train.loop import train
from attentio.train.settings import RunConfig
from attentio.train.state import Progress

SOURCE_VOCAB, TARGET_VOCAB = 11, 13
HALF = math.sqrt(0.5)

SOURCE = torch.tensor([[5, 9, 4, 2, 0], [3, 8, 10, 6, 2], [7, 2, 0, 0, 0]])
LENGTHS = torch.tensor([4, 5, 2])
TARGET_IN = torch.tensor([[1, 7, 5, 12, 3, 9], [1, 4, 8, 8, 0, 0], [1, 11, 3, 0, 0, 0]])


Law = Callable[[Seq2Seq, Tensor, Tensor, Tensor], None]
ATTENTION = ("score", "normalize", "window", "num_heads")


def build(*, seed: int = 3, **settings: object) -> Seq2Seq:
    """A model in evaluation mode, all its weights random; settings of the model, but for `ATTENTION`."""
    torch.manual_seed(seed)
    attention = {name: settings.pop(name) for name in ATTENTION if name in settings}
    sizes: dict[str, object] = {"embedding_size": 6, "hidden_size": 7, "encoder_layers": 2, "decoder_layers": 2}
    model = CNNConfig.model_validate(sizes | {"dropout": 0.0} | settings)
    built = build_model(model, AttentionConfig.model_validate({"score": "dot"} | attention), SOURCE_VOCAB, TARGET_VOCAB)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(torch.randn_like(parameter) / 4)
    return built.eval()


def by_name(variant: dict[str, Any]) -> str:
    return "-".join(f"{name}={value}" for name, value in variant.items())


VARIANTS: list[dict[str, Any]] = [
    *({"kernel_size": size, "encoder_layers": n, "decoder_layers": n} for size, n in ((1, 1), (3, 1), (3, 3), (5, 2))),
    *({"encoder_layers": encoder, "decoder_layers": decoder} for encoder, decoder in ((1, 4), (4, 1))),
    {"num_heads": 3},
    {"hidden_size": 6, "tie_embeddings": False},
    {"max_positions": 3},
    *({"score": score} for score in SCORES),
    *({"score": score, "num_heads": 2, "kernel_size": 1} for score in ("coverage", "location_aware", "additive")),
    *({"window": window} for window in WINDOWS),
    *({"normalize": name} for name in NORMALIZERS if name != "hard_marginal"),
    *({"score": "normed_additive", "normalize": name, "num_heads": 2} for name in ("monotonic", "mocha")),
    {"score": "fertility_coverage", "normalize": "sparsemax", "window": "local-p", "num_heads": 3, "decoder_layers": 3},
    {"score": "location_aware", "normalize": "monotonic", "window": "relative"},
]
EVERY_VARIANT = pytest.mark.parametrize("variant", VARIANTS, ids=by_name)


@pytest.mark.slow
@EVERY_VARIANT
def test_every_variant_obeys_the_laws(variant: dict[str, Any], law: Law) -> None:
    law(build(**variant), SOURCE, LENGTHS, TARGET_IN)


def test_not_even_nan_leaves_the_padding() -> None:
    model = build(encoder_layers=3)
    wanted = model(SOURCE, LENGTHS, TARGET_IN)
    with torch.no_grad():
        model.get_parameter("encoder.embedding.table")[1] = torch.nan
    littered = torch.where(torch.arange(5) < LENGTHS[:, None], SOURCE, 1)
    assert torch.equal(model(littered, LENGTHS, TARGET_IN), wanted)


@pytest.mark.parametrize("variant", [{}, {"score": "coverage"}, {"normalize": "monotonic"}], ids=by_name)
def test_reordered_hypotheses_of_a_sentence_go_on_as_recomputed(variant: dict[str, Any]) -> None:
    model = build(decoder_layers=3, **variant)
    encoded = model.encode(SOURCE[1:2], LENGTHS[1:2]).select(torch.tensor([0, 0, 0]))
    state = model.decoder.start(encoded)
    for tokens in TARGET_IN.unbind(1)[:3]:
        _, state, _ = model.decoder.step(tokens, state)
    rows = torch.tensor([1, 1, 0])
    reordered = state.reorder(rows)
    assert reordered.memories is state.memories
    found, _, _ = model.decoder.step(TARGET_IN[:, 3], reordered)
    written = torch.cat([TARGET_IN[rows, :3], TARGET_IN[:, 3:4]], dim=1)
    torch.testing.assert_close(found, model.decoder(written, encoded)[:, 3], rtol=1e-5, atol=1e-5)


def test_a_word_alone_and_long_after_the_last_position() -> None:
    model = build(max_positions=3, encoder_layers=1)
    source, lengths = torch.tensor([[2]]), torch.tensor([1])
    assert model(source, lengths, torch.tensor([[1] + 20 * [5]])).isfinite().all()
    ((found,),) = decode(model, [[]], max_lengths=[40])
    assert 1 <= len(found.tokens) <= 40
    # Places beyond the last share its vector.
    encoder: Any = model.encoder
    places = encoder.positions(0, 6)
    assert torch.equal(places[2:], places[2].expand(4, 6))
    assert not torch.equal(places[1], places[2])


# The formulas.


def convolution_of_torch(ours: GatedConvolution, *, padding: int = 0) -> nn.Conv1d:
    """torch's convolution with our weights: (2H, k H) is (2H, k, H) side by side."""
    two, size = ours.linear.weight.shape[0], ours.linear.weight.shape[0] // 2
    conv = nn.Conv1d(size, two, ours.kernel_size, padding=padding)
    with torch.no_grad():
        conv.weight.copy_(ours.linear.weight.view(two, ours.kernel_size, size).transpose(1, 2))
        conv.bias.copy_(ours.linear.bias)  # type: ignore[union-attr]
    return conv


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_the_convolution_is_torchs(kernel_size: int) -> None:
    torch.manual_seed(1)
    ours = GatedConvolution(7, kernel_size, 0.0)
    with torch.no_grad():
        ours.linear.bias.normal_()
    inputs = torch.randn(3, 11, 7)
    hidden, gate = convolution_of_torch(ours)(inputs.transpose(1, 2)).transpose(1, 2).chunk(2, dim=-1)
    found = ours(inputs)
    assert found.shape == (3, 12 - kernel_size, 7)
    torch.testing.assert_close(found, hidden * torch.sigmoid(gate))


def test_a_sentence_through_the_whole_model_as_the_paper_has_it() -> None:
    """Sections 3.1 to 3.4 for one sentence without padding, with torch's convolutions and sums over source words."""
    model = build(encoder_layers=2, decoder_layers=2, kernel_size=3)
    encoder: Any = model.encoder
    decoder: Any = model.decoder
    source, target = SOURCE[1], TARGET_IN[0]

    e = encoder.embedding.table[source] * 6**0.25 + encoder.positions.table[:5]  # (S, E)
    h = e @ encoder.to_hidden.weight.T + encoder.to_hidden.bias
    for layer in encoder.layers:
        conv = convolution_of_torch(layer.convolution, padding=1)
        h = (h + F.glu(conv(h.T[None])[0].T, dim=-1)) * HALF
    z = h @ encoder.to_width.weight.T + encoder.to_width.bias

    g = decoder.embedding.table[target] * 6**0.25 + decoder.positions.table[:6]  # (T, E)
    h = g @ decoder.to_hidden.weight.T + decoder.to_hidden.bias
    for layer in decoder.layers:
        past = torch.cat([torch.zeros(2, 7), h])
        inner = F.glu(convolution_of_torch(layer.convolution)(past.T[None])[0].T, dim=-1)
        d = (inner @ layer.query.weight.T + layer.query.bias + g) * HALF  # eq. 1
        weights = (d @ z.T).softmax(-1)
        c = 5 * math.sqrt(1 / 5) * weights @ ((z + e) * HALF)  # eq. 2
        inner = (inner + c @ layer.context.weight.T + layer.context.bias) * HALF
        h = (h + inner) * HALF
    features = h @ decoder.to_width.weight.T + decoder.to_width.bias
    wanted = features @ decoder.embedding.table.T + decoder.bias
    torch.testing.assert_close(model(source[None], torch.tensor([5]), target[None])[0], wanted, rtol=1e-5, atol=1e-5)


def seen_by_attention(model: Seq2Seq) -> tuple[list[Tensor], list[Attended]]:
    """What the attentions are asked with and what they answer, from now on."""
    queries: list[Tensor] = []
    answers: list[Attended] = []

    def note(_module: nn.Module, inputs: tuple[Any, ...], attended: Attended) -> None:
        queries.append(inputs[0])
        answers.append(attended)

    for attention in model.decoder.cross_attention().values():
        attention.register_forward_hook(note)
    return queries, answers


def test_contexts_grow_with_the_true_length() -> None:
    """A mean of m vectors times m sqrt(1/m): seen in the values attention sums up, padding not counted."""
    model = build()
    encoder: Any = model.encoder
    encoded = model.encode(SOURCE, LENGTHS)
    places = encoder.positions(0, SOURCE.shape[1])
    embedded = encoder.embedding.table[SOURCE] * encoder.embedding.table.shape[1] ** 0.25 + places
    state = model.decoder.start(encoded)
    for memory in state.memories:
        for row, length in enumerate(LENGTHS.tolist()):
            values = (encoded.states[row, :length] + embedded[row, :length]) * math.sqrt(length / 2)
            torch.testing.assert_close(memory.values[row, 0, :length], values)


@pytest.mark.parametrize("decoder_layers", [1, 3])
def test_what_was_attended_to_reaches_later_tokens_where_the_decoder_says_so(decoder_layers: int) -> None:
    model = build(decoder_layers=decoder_layers)
    assert model.decoder.context_feeds_back == (decoder_layers > 1)
    wanted = model(SOURCE, LENGTHS, TARGET_IN)

    def disturb(_module: nn.Module, _inputs: Any, attended: Attended) -> Attended:
        context = attended.context.clone()
        context[:, :, 1] += 1
        return attended._replace(context=context)

    for attention in model.decoder.cross_attention().values():
        attention.register_forward_hook(disturb)
    moved = (model(SOURCE, LENGTHS, TARGET_IN) - wanted).abs().amax((0, 2)) > 1e-4
    assert moved.tolist() == [False, True, *([model.decoder.context_feeds_back] * 4)]


# Gradients.


def test_the_gradient_into_the_encoder_is_shared_among_the_attentions() -> None:
    """Section 3.4: what passes z is divided by 2 L; the word embeddings in the values get theirs whole."""

    def gradients(scale: float | None) -> dict[str, Tensor]:
        model = build(decoder_layers=3).double().train()  # elsewhere, gradients are what they are
        encoder: Any = model.encoder
        if scale is not None:
            encoder.gradient_scale = scale
        model(SOURCE, LENGTHS, TARGET_IN).square().sum().backward()
        return {name: p.grad for name, p in encoder.named_parameters()}

    ours, whole, none = gradients(None), gradients(1.0), gradients(0.0)
    for name in whole:
        torch.testing.assert_close(ours[name], none[name] + (whole[name] - none[name]) / 6)
        assert none[name].any() == (name in ("embedding.table", "positions.table"))


VERY_SMALL: dict[str, Any] = {"embedding_size": 4, "hidden_size": 3, "encoder_layers": 2, "decoder_layers": 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant", [{}, {"score": "coverage", "num_heads": 2}, {"score": "additive", "window": "relative"}], ids=by_name
)
def test_gradients_of_the_decoder_against_differences(variant: dict[str, Any]) -> None:
    model = build(**(VERY_SMALL | variant)).double()
    encoded = model.encode(SOURCE, LENGTHS)
    assert encoded.values is not None
    names = [name for name, _ in model.decoder.named_parameters()]
    inputs = [encoded.states, encoded.values, *model.decoder.parameters()]

    def features(states: Tensor, values: Tensor, *parameters: Tensor) -> Tensor:
        seen = Encoded(states, encoded.mask, values)
        target = TARGET_IN.masked_fill(TARGET_IN == 0, 5)  # the embedding of padding has no gradient on purpose
        return functional_call(model.decoder, dict(zip(names, parameters, strict=True)), (target, seen))

    assert gradcheck(features, [tensor.detach().requires_grad_() for tensor in inputs], fast_mode=True)


def test_gradients_of_the_encoder_against_differences() -> None:
    encoder: Any = build(**VERY_SMALL).double().encoder
    encoder.gradient_scale = 1.0
    names, parameters = zip(*encoder.named_parameters(), strict=True)

    def states(*parameters: Tensor) -> tuple[Tensor, Tensor]:
        encoded = functional_call(encoder, dict(zip(names, parameters, strict=True)), (SOURCE, LENGTHS))
        real = encoded.mask[:, :, None]
        return encoded.states * real, encoded.values * real

    assert gradcheck(states, [parameter.detach().requires_grad_() for parameter in parameters], fast_mode=True)


# Weights at first, and their normalisation.


def linears(model: nn.Module) -> dict[str, nn.Linear]:
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}


def fresh(**settings: object) -> Seq2Seq:
    torch.manual_seed(1)
    config = CNNConfig.model_validate({"embedding_size": 48, "hidden_size": 64} | settings)
    return build_model(config, AttentionConfig(score="dot"), 301, 307)


def test_every_linear_map_has_its_length_and_its_direction_apart() -> None:
    model = build()
    for linear in linears(model).values():
        weight: Any = linear.parametrizations.weight  # type: ignore[union-attr]
        length, direction = weight.original0, weight.original1
        rows = direction / direction.norm(dim=1, keepdim=True)
        torch.testing.assert_close(linear.weight, length * rows)
    before = model(SOURCE, LENGTHS, TARGET_IN)
    with torch.no_grad():
        for linear in linears(model).values():
            linear.parametrizations.weight.original1.mul_(3.7)  # type: ignore[union-attr]
    torch.testing.assert_close(model(SOURCE, LENGTHS, TARGET_IN), before)


def test_weights_have_the_spread_of_the_paper() -> None:
    """N(0, sqrt(4p/n)) before a gate, N(0, sqrt(p/n)) after dropout, N(0, sqrt(1/n)) elsewhere; biases 0."""
    retained = 0.75
    for name, linear in linears(fresh(dropout=0.25, kernel_size=5)).items():
        factor = 4 * retained if "convolution" in name else retained if "to_hidden" in name else 1
        n = linear.weight.shape[1]
        assert n == {"linear": 5 * 64, "to_hidden": 48, "context": 48}.get(name.split(".")[-1], 64)
        spread = linear.weight.std().item() / math.sqrt(factor / n)
        assert spread == pytest.approx(1, abs=5 / math.sqrt(2 * linear.weight.numel()))
        assert not linear.bias.any()


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_activations_keep_their_scale_through_the_depth(dropout: float) -> None:
    """Section 3.5: as long as they are small, so that a gate halves what passes; here they are as in the paper."""
    model = fresh(dropout=dropout, encoder_layers=10, decoder_layers=10).train()
    scales: list[float] = []

    def note(_module: nn.Module, _inputs: Any, output: Tensor | tuple[Tensor, Any]) -> None:
        scales.append((output if isinstance(output, Tensor) else output[0]).std().item())

    for part in (model.encoder, model.decoder):
        for layer in cast("list[nn.Module]", part.layers):
            layer.register_forward_hook(note)
    source = torch.randint(3, 301, (64, 12))
    with torch.no_grad():
        for name in ("encoder.embedding", "encoder.positions", "decoder.embedding", "decoder.positions"):
            model.get_parameter(f"{name}.table").mul_(0.2)
        model(source, torch.full((64,), 12), torch.randint(3, 307, (64, 14)))
    assert len(scales) == 20
    for stack in (scales[:10], scales[10:]):
        assert all(0.9 < after / before < 1.1 for before, after in pairwise(stack))
        assert 0.7 < stack[-1] / stack[0] < 1.4


def test_query_and_key_have_products_of_about_unit_variance() -> None:
    """Whatever the width: no score starts out blind or blinded."""
    for width in (32, 512):
        model = fresh(embedding_size=width, dropout=0.0)
        queries, _ = seen_by_attention(model)
        with torch.no_grad():
            encoded = model.encode(torch.randint(3, 301, (64, 12)), torch.full((64,), 12))
            model.decoder(torch.randint(3, 307, (64, 14)), encoded)
        for query in queries:
            assert 0.5 < (query @ encoded.states.mT).std().item() < 4


# What does not fit together.


@pytest.mark.parametrize(
    ("model", "attention", "reason"),
    [
        ({"kernel_size": 4}, {}, "kernel_size = 4 must be odd"),
        ({"embedding_size": 8}, {"num_heads": 3}, "divisible by attention.num_heads = 3"),
        ({}, {"normalize": "monotonic", "window": "local-m"}, "a monotonic normalizer finds its own way"),
    ],
)
def test_what_does_not_fit_together_is_said_with_the_reason(
    model: dict[str, object], attention: dict[str, object], reason: str
) -> None:
    with pytest.raises(UsageError) as caught:
        build_model(CNNConfig.model_validate(model), AttentionConfig.model_validate(attention), 11, 13)
    assert reason in str(caught.value)


# Every setting acts.

BASE: dict[str, Any] = {"embedding_size": 6, "hidden_size": 12, "encoder_layers": 1, "decoder_layers": 2}


def outcome(model: dict[str, Any], attention: dict[str, Any]) -> tuple[dict[str, tuple[int, ...]], Tensor]:
    """Shapes of the parameters and the logits in training, from fixed weights and fixed random numbers."""
    settings = CNNConfig.model_validate(BASE | {"dropout": 0.25} | model)
    built = build_model(settings, AttentionConfig.model_validate(attention), 11, 13)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    torch.manual_seed(2)
    logits = built.train()(SOURCE, LENGTHS, TARGET_IN)
    return {name: tuple(tensor.shape) for name, tensor in built.unique_state_dict().items()}, logits.detach()


MODEL_CHANGES: dict[str, list[dict[str, Any]]] = {
    "embedding_size": [{"embedding_size": 4}],
    "hidden_size": [{"hidden_size": 8}],
    "encoder_layers": [{"encoder_layers": 2}],
    "decoder_layers": [{"decoder_layers": 1}],
    "kernel_size": [{"kernel_size": 1}, {"kernel_size": 5}],
    "max_positions": [{"max_positions": 2}],
    "dropout": [{"dropout": 0.0}, {"dropout": 0.5}],
    "word_dropout": [{"word_dropout": 0.5}],
    "lexicon": [{"lexicon": 0.4}],
    "tie_embeddings": [{"tie_embeddings": False}],
}


def test_all_settings_are_tried() -> None:
    fields = CNNConfig.model_fields.items()
    assert {name for name, field in fields if len(get_args(field.annotation)) != 1} == MODEL_CHANGES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("change", [change for changes in MODEL_CHANGES.values() for change in changes], ids=by_name)
def test_model_settings_act(change: dict[str, Any]) -> None:
    shapes, logits = outcome(change, {})
    base_shapes, base_logits = outcome({}, {})
    assert shapes != base_shapes or not torch.allclose(logits, base_logits, atol=1e-6)


@pytest.mark.parametrize(
    "change", [{"score": "dot"}, {"normalize": "sparsemax"}, {"window": "causal"}, {"num_heads": 3}, {"dropout": 0.5}]
)
def test_attention_settings_act(change: dict[str, Any]) -> None:
    shapes, logits = outcome({}, change)
    base_shapes, base_logits = outcome({}, {})
    assert shapes != base_shapes or not torch.allclose(logits, base_logits, atol=1e-6)


def test_dropout_falls_on_words_inputs_and_features() -> None:
    """Each place that drops something does so on its own."""
    for place in (
        "encoder.embedding",
        "decoder.embedding",
        "encoder.layers.0.convolution",
        "decoder.layers.1.convolution",
    ):
        model = build(dropout=0.5)
        wanted = model(SOURCE, LENGTHS, TARGET_IN)
        model.get_submodule(f"{place}.dropout").train()
        assert not torch.allclose(model(SOURCE, LENGTHS, TARGET_IN), wanted)
    model = build(dropout=0.5)
    model.get_submodule("decoder.dropout").train()
    assert (model.decoder.features(TARGET_IN, model.encode(SOURCE, LENGTHS)).values == 0).any()


# Search.

SOURCES = [[4, 7, 3], [8], [], [5, 5, 6, 3, 4]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant", [{}, {"score": "coverage", "num_heads": 2}, {"normalize": "monotonic"}], ids=by_name
)
def test_hypotheses_score_as_teacher_forcing_says(variant: dict[str, Any]) -> None:
    model = build(seed=4, decoder_layers=3, **variant)
    source, lengths = padded(SOURCES, arrays_on(torch.device("cpu")))
    limits = [9, 7, 5, 8]
    greedy = [hypotheses[0] for hypotheses in decode(model, SOURCES, max_lengths=limits)]
    assert len({hypothesis.tokens for hypothesis in greedy}) > 2
    assert {hypothesis.tokens[-1] == 2 for hypothesis in greedy} == {True, False}  # some end, some are cut off
    one = decode(model, SOURCES, Beam(1), max_lengths=limits)
    assert [hypotheses[0].tokens for hypotheses in one] == [hypothesis.tokens for hypothesis in greedy]
    wide = decode(model, SOURCES, Beam(4), max_lengths=limits)
    for row, hypotheses in enumerate(wide):
        assert len(hypotheses) == 4
        length = int(lengths[row])
        for hypothesis in hypotheses:
            target_in = torch.tensor([[1, *hypothesis.tokens[:-1]]])
            logits = model(source[row : row + 1, :length], lengths[row : row + 1], target_in)[0]
            logits[:, :2] = -torch.inf
            log_probs = logits.log_softmax(-1)[range(len(hypothesis.tokens)), list(hypothesis.tokens)]
            assert log_probs.sum().item() == pytest.approx(sum(hypothesis.log_probs), abs=1e-4)


# Training.


@dataclass
class Steps:
    """A reporter that counts."""

    seen: list[float] = field(default_factory=list)

    def update(self, progress: Progress, **_: object) -> None:
        self.seen.append(progress.loss)

    def evaluated(self, progress: Progress, **_: object) -> None: ...

    def note(self, text: str) -> None: ...


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    folder = tmp_path_factory.mktemp("cnn")
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(60, 5)), encoding="utf-8")
    config = RunConfig.model_validate({"data": {"train": [str(path)], "source_tokenizer": "word", "dev": 0, "test": 0}})
    return prepare(config.data, folder / "data", seed=1)


Train = Callable[..., tuple[Steps, Progress, dict[str, Tensor]]]


@pytest.fixture
def trained(data: PreparedData, tmp_path: Path) -> Train:
    def start(name: str, *, stop_after: int = 999, score: str = "dot") -> Any:
        settings: dict[str, object] = {"max_steps": 12, "batch_tokens": 300, "warmup_steps": 3, "device": "cpu"}
        settings |= {"average_decay": 0.9, "epochs": 99}
        model = {"family": "cnn", "dropout": 0.2} | BASE
        config = RunConfig.model_validate({"model": model, "attention": {"score": score}, "train": settings})
        sizes = data.vocab_sizes
        published: dict[str, Tensor] = {}

        def publish(model: Seq2Seq, _progress: Progress) -> None:
            published.update({name: tensor.clone() for name, tensor in model.unique_state_dict().items()})

        reporter = Steps()
        progress = train(
            config,
            data.train,
            sizes,
            tmp_path / name,
            evaluate=None,
            publish=publish,
            reporter=reporter,
            stop=lambda: len(reporter.seen) >= stop_after,
        )
        return reporter, progress, published

    return start


@pytest.mark.slow
@pytest.mark.parametrize("score", ["dot", "coverage"])
def test_stopped_and_resumed_it_is_the_same_run(trained: Train, score: str) -> None:
    _, progress, whole = trained("whole", score=score)
    assert progress.step == 12
    for stop in (4, 3):
        _, progress, published = trained("parts", score=score, stop_after=stop)
        assert not published
    assert progress.step == 7
    _, progress, published = trained("parts", score=score)
    assert progress.step == 12
    assert whole.keys() == published.keys()
    assert all(torch.equal(whole[name], published[name]) for name in whole)


def test_a_folded_model_is_the_same_and_computes_no_weight_anew() -> None:
    model, folded = build(), build()
    folded.fold()
    assert not any(isinstance(module, ParametrizationList) for module in folded.modules())
    with torch.inference_mode():
        assert torch.equal(folded(SOURCE, LENGTHS, TARGET_IN), model(SOURCE, LENGTHS, TARGET_IN))


def test_tensors_taken_out_and_in_make_the_same_model() -> None:
    first, second = build(), build(seed=4)
    wanted = first(SOURCE, LENGTHS, TARGET_IN)
    assert not torch.allclose(second(SOURCE, LENGTHS, TARGET_IN), wanted)
    second.load_unique_state_dict({name: tensor.clone() for name, tensor in first.unique_state_dict().items()})
    assert torch.equal(second(SOURCE, LENGTHS, TARGET_IN), wanted)
    assert second.decoder.output is second.decoder.embedding.table


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns_a_few_sentences_by_heart(precision: str) -> None:
    torch.manual_seed(5)
    config = CNNConfig(embedding_size=12, hidden_size=16, encoder_layers=2, decoder_layers=2, dropout=0.0)
    model = build_model(config, AttentionConfig(score="dot"), SOURCE_VOCAB, TARGET_VOCAB).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    target_out = torch.tensor([[7, 5, 12, 3, 9, 2], [4, 8, 8, 2, 0, 0], [11, 3, 2, 0, 0, 0]])
    losses: list[float] = []
    for _ in range(60):
        with arithmetic(precision, torch.device("cpu")):
            logits = model(SOURCE, LENGTHS, TARGET_IN)
        loss = F.cross_entropy(logits.flatten(0, 1).float(), target_out.flatten(), ignore_index=0)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[0] > 2
    assert sum(losses[-10:]) / 10 < 0.2
    state = model.eval().decoder.start(model.encode(SOURCE, LENGTHS))
    for t in range(3):  # under its own steam
        logits, state, _ = model.decoder.step(TARGET_IN[:, t], state)
        assert torch.equal(logits.argmax(-1), target_out[:, t])


def test_bf16_stays_close_to_fp32() -> None:
    model = build()
    with torch.no_grad():
        wanted = model(SOURCE, LENGTHS, TARGET_IN)
        with arithmetic("bf16", torch.device("cpu")):
            found = model(SOURCE, LENGTHS, TARGET_IN)
    assert (found - wanted).abs().max() < 0.05 * wanted.abs().max()
