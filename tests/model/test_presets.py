"""Every preset of every family: steps equal teacher forcing, one beam equals greedy, a batch changes nothing."""

import pytest
import torch

from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.search.batched import SearchConfig, search
from attentio.search.decode import decode
from attentio.search.strategy import Beam
from attentio.train.settings import SIZES, effective_config, presets

SOURCE_VOCAB, TARGET_VOCAB = 37, 41
SOURCES = [[5, 9, 4, 7, 30, 12], [3, 8, 10], [36], [4, 4, 5, 20, 21, 22, 23, 24, 25]]
# "demo" and the names of sizes are other names of models that are here. The larger models take seconds.
MODELS = [
    pytest.param(name, marks=[pytest.mark.slow] if name.endswith(("-small", "-base")) else [])
    for name in presets()
    if name not in ("demo", *SIZES)
]


def built(preset: str) -> Seq2Seq:
    """The preset's model with random weights large enough that words differ in probability."""
    config = effective_config(preset=preset)
    torch.manual_seed(5)
    model = build_model(
        config.model, config.attention, SOURCE_VOCAB, TARGET_VOCAB, self_attention=config.self_attention
    ).eval()
    with torch.no_grad():
        model.decoder.bias.uniform_(-2, 2)
    return model


@pytest.fixture(params=MODELS, scope="module")
def model(request: pytest.FixtureRequest) -> Seq2Seq:
    return built(request.param)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(source) + 1 for source in SOURCES])
    source = torch.zeros(len(SOURCES), int(lengths.max()), dtype=torch.int64)
    for row, tokens in zip(source, SOURCES, strict=True):
        row[: len(tokens) + 1] = torch.tensor([*tokens, 2])
    return source, lengths


@torch.inference_mode()
def test_steps_equal_teacher_forcing(model: Seq2Seq) -> None:
    target = torch.randint(3, TARGET_VOCAB, (len(SOURCES), 7), generator=torch.Generator().manual_seed(1))
    target[:, 0] = 1
    wanted = model(*batch(), target)
    state = model.decoder.start(model.encode(*batch()))
    for t in range(target.shape[1]):
        logits, state, _ = model.decoder.step(target[:, t], state)
        torch.testing.assert_close(logits, wanted[:, t], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("preset", MODELS)
@torch.inference_mode()
def test_rounded_to_bfloat16_it_says_nearly_the_same(preset: str) -> None:
    target = torch.randint(3, TARGET_VOCAB, (len(SOURCES), 7), generator=torch.Generator().manual_seed(1))
    model, rounded = built(preset), built(preset)
    rounded.fold()
    rounded.to(torch.bfloat16)
    found, wanted = (one(*batch(), target).float().log_softmax(-1) for one in (rounded, model))
    assert 0 < (found - wanted).abs().mean() < 0.03
    state = rounded.decoder.start(rounded.encode(*batch()))
    for t in range(target.shape[1]):
        logits, state, _ = rounded.decoder.step(target[:, t], state)
        torch.testing.assert_close(logits.float().log_softmax(-1), found[:, t], rtol=0, atol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("preset", MODELS)
@torch.inference_mode()
def test_packed_it_says_the_same(preset: str) -> None:
    target = torch.randint(3, TARGET_VOCAB, (len(SOURCES), 7), generator=torch.Generator().manual_seed(1))
    model, packed = built(preset), built(preset)
    packed.fold()
    packed.pack()
    wanted = model(*batch(), target)
    torch.testing.assert_close(packed(*batch(), target), wanted, rtol=1e-5, atol=1e-5)
    state = packed.decoder.start(packed.encode(*batch()))
    for t in range(target.shape[1]):
        logits, state, _ = packed.decoder.step(target[:, t], state)
        torch.testing.assert_close(logits, wanted[:, t], rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_hypotheses_of_a_sentence_share_its_memory_and_nothing_else(model: Seq2Seq) -> None:
    first = model.decoder.start(model.encode(*batch()))
    shared = first.repeat(3)
    own = first.select(torch.arange(len(SOURCES)).repeat_interleave(3))
    tokens = torch.arange(len(SOURCES) * 3) + 5
    within = torch.tensor([2, 0, 0, 4, 5, 3, 6, 6, 8, 10, 9, 11])  # hypotheses change places
    gone = torch.tensor([4, 3, 3, 11, 10, 9])  # and two sentences leave
    for move, rows in (("reorder", within), ("select", gone), (None, None)):
        found, shared, _ = model.decoder.step(tokens, shared)
        wanted, own, _ = model.decoder.step(tokens, own)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
        if move is not None:
            shared, own, tokens = getattr(shared, move)(rows), own.select(rows), tokens[rows]


def test_one_beam_is_greedy(model: Seq2Seq) -> None:
    limits = [9] * len(SOURCES)
    greedy = decode(model, SOURCES, max_lengths=limits)
    for (alone,), (best,) in zip(greedy, decode(model, SOURCES, Beam(1), max_lengths=limits), strict=True):
        assert best.tokens == alone.tokens
        assert best.score == pytest.approx(alone.score, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("beam", [1, 3])
def test_a_batch_changes_nothing(model: Seq2Seq, beam: int) -> None:
    together = search(model, SOURCES, SearchConfig(beam, max_tokens=10_000))
    for source, found in zip(SOURCES, together, strict=True):
        (alone,) = search(model, [source], SearchConfig(beam))
        assert [hypothesis.tokens for hypothesis in alone] == [hypothesis.tokens for hypothesis in found]
        for one, other in zip(alone, found, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-5)
