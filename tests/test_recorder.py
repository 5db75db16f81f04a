"""The recorder keeps the very weights that were used, and changes nothing by looking."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, RNNConfig
from attentio.recorder import AttentionRecorder
from attentio.search.batched import padded
from attentio.search.beam import beam_search
from attentio.search.greedy import greedy_search
from attentio.train.run import run_training
from attentio.train.settings import effective_config
from attentio.translator import Translator

SOURCES = [[4, 7, 3], [8], [5, 5, 6, 3, 4]]
BATCH = padded(SOURCES, torch.device("cpu"))
LIMITS = [5, 7, 4]


@pytest.fixture(params=["current", "previous"])
def model(request: pytest.FixtureRequest) -> Seq2Seq:
    torch.manual_seed(11)
    settings = RNNConfig(embedding_size=5, hidden_size=6, dropout=0.0, query=request.param)
    model = build_model(settings, AttentionConfig(num_heads=3), 9, 7).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)
    return model


@pytest.mark.parametrize("beam", [1, 4])
def test_weights_are_those_of_the_forward_pass(model: Seq2Seq, beam: int) -> None:
    """Each hypothesis alone, teacher-forced in one pass: the same weights, whatever row it was in at each step."""
    with AttentionRecorder(model.decoder) as recorder:
        if beam == 1:
            found = [[hypothesis] for hypothesis in greedy_search(model, *BATCH, LIMITS)]
        else:
            found = beam_search(model, *BATCH, LIMITS, beam_size=beam)
    seen = [
        (source, hypothesis, recorder.weights(hypothesis, len(source) + 1))
        for source, hypotheses in zip(SOURCES, found, strict=True)
        for hypothesis in hypotheses
    ]
    assert len({hypothesis.rows for _, hypothesis, _ in seen}) > 1
    for source, hypothesis, weights in seen:
        assert list(weights) == ["attention"]
        alone: list[torch.Tensor] = []
        handle = model.decoder.attention.register_forward_hook(
            lambda _module, _inputs, attended, kept=alone: kept.append(attended.weights)
        )
        model(*padded([source], torch.device("cpu")), torch.tensor([[1, *hypothesis.tokens[:-1]]]))
        handle.remove()
        wanted = torch.cat(alone, dim=2)[0].detach().numpy()  # (H, T, S)
        np.testing.assert_allclose(weights["attention"], wanted, atol=1e-5)
        np.testing.assert_allclose(weights["attention"].sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("beam", [1, 3])
def test_looking_changes_nothing(model: Seq2Seq, beam: int) -> None:
    def search() -> Any:
        if beam == 1:
            return greedy_search(model, *BATCH, LIMITS)
        return beam_search(model, *BATCH, LIMITS, beam_size=beam)

    unseen = search()
    with AttentionRecorder(model.decoder):
        assert search() == unseen
    assert search() == unseen


def test_it_stops_watching_at_the_end_also_after_an_error(model: Seq2Seq) -> None:
    recorder = AttentionRecorder(model.decoder)
    with pytest.raises(RuntimeError), recorder:
        raise RuntimeError
    greedy_search(model, *BATCH, LIMITS)
    assert recorder.steps == recorder.log_steps == {"attention": []}


def test_in_training_it_sees_weights_where_a_kernel_without_them_would_have_run(model: Seq2Seq) -> None:
    (attention,) = model.decoder.cross_attention().values()
    attention.backend = "sdpa"
    model.train()
    targets = torch.tensor([[1, 5, 3], [1, 4, 0], [1, 6, 2]])
    without = model(*BATCH, targets)
    attention.backend = "auto"
    with AttentionRecorder(model.decoder) as recorder:
        torch.testing.assert_close(model(*BATCH, targets), without)
    (weights,) = recorder.layers_weights()
    assert weights.shape == (3, 3, 3, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 3, 3))
    assert recorder.layers_log_weights() == []


@pytest.mark.parametrize("normalize", ["hard_reinforce", "hard_marginal", "hard_straight_through"])
def test_of_hard_kinds_it_keeps_what_was_chosen_from(normalize: str) -> None:
    model = build_model(RNNConfig(hidden_size=6), AttentionConfig(normalize=normalize), 9, 7).eval()
    with AttentionRecorder(model.decoder) as recorder:
        model(*BATCH, torch.tensor([[1, 5, 3], [1, 4, 0], [1, 6, 2]]))
    (weights,), (log_weights,) = recorder.layers_weights(), recorder.layers_log_weights()
    torch.testing.assert_close(log_weights.exp().sum(-1), torch.ones(3, 1, 3))
    assert torch.equal(log_weights.argmax(-1), weights.argmax(-1))
    assert torch.equal(weights.sum(-1), torch.ones(3, 1, 3))


def test_cleared_it_begins_anew(model: Seq2Seq) -> None:
    with AttentionRecorder(model.decoder) as recorder:
        greedy_search(model, *BATCH, LIMITS)
        recorder.clear()
        first, *_ = greedy_search(model, *BATCH, LIMITS)
        assert recorder.weights(first, 4)["attention"].shape == (3, len(first.tokens), 4)


def test_a_trace_is_softmax_of_bilinear_scores_by_hand(tmp_path: Path) -> None:
    """The whole path by hand: encoder states, their projection, decoder states, scores, softmax (Luong 2015)."""
    settings = {
        "data": {"train": ["small-world"], "small_world_pairs": 300},
        "train": {"max_steps": 20, "evaluate_pairs": 5, "warmup_steps": 5},
    }
    run_training(effective_config(preset="rnn-tiny", settings=settings), tmp_path / "run")
    translator = Translator.load(tmp_path / "run", device="cpu")
    translation = translator("My sister bought two books.")
    trace = translation.trace
    assert trace is not None
    model: Any = translator.model
    ids = translator.bundle.source.tokenizer.encode(translation.source)
    pieces = translator.bundle.target.tokenizer.tokens
    target = [1, *(pieces.index(token) for token in trace.target_tokens[:-1])]
    with torch.inference_mode():
        encoded = model.encode(*padded([ids], torch.device("cpu")))
        keys = encoded.states[0] @ model.decoder.attention.score.key.weight[0].T  # (S, D)
        state = model.decoder.start(encoded)
        queries, _ = model.decoder.run_cells(model.decoder.embedding(torch.tensor(target))[:, None], state.cells)
        weights = (queries[:, 0] @ keys.T).softmax(-1)  # (T, S)
    np.testing.assert_allclose(trace.matrix(), weights.numpy(), atol=1e-5)
