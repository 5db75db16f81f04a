"""What a search hands on: the very weights that were used, of every attention; and looking changes nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, CNNConfig, RNNConfig, SelfAttentionConfig, TransformerConfig
from attentio.runtime.tensors import arrays_on
from attentio.search.attended import AttendedSteps
from attentio.search.batched import Asked, SearchConfig, search
from attentio.search.decode import decode, padded
from attentio.search.hypothesis import Hypothesis
from attentio.search.strategy import Beam, Greedy
from attentio.train.run import run_training
from attentio.train.settings import effective_config
from attentio.translator import Translator

SOURCES = [[4, 7, 3], [8], [5, 5, 6, 3, 4]]
LIMITS = [5, 12, 4]  # the second writes more than the Transformer's memory has room for at first
CPU = arrays_on(torch.device("cpu"))
FAMILIES: dict[str, Any] = {
    "rnn-current": RNNConfig(embedding_size=5, hidden_size=6, dropout=0.0),
    "rnn-previous": RNNConfig(embedding_size=5, hidden_size=6, dropout=0.0, query="previous"),
    "cnn": CNNConfig(embedding_size=6, hidden_size=4, dropout=0.0, encoder_layers=1, decoder_layers=2),
    "transformer": TransformerConfig(
        hidden_size=12, feed_forward_size=8, encoder_layers=2, decoder_layers=2, dropout=0.0
    ),
}


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest) -> Seq2Seq:
    torch.manual_seed(11)
    config = FAMILIES[request.param]
    own = SelfAttentionConfig(num_heads=2) if request.param == "transformer" else None
    built = build_model(config, AttentionConfig(num_heads=3), 9, 7, self_attention=own).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(2.0)
        built.decoder.bias[2] = -1e4
    return built


def teacher_forced(model: Seq2Seq, source: list[int], hypothesis: Hypothesis) -> dict[str, Tensor]:
    """(H, T, S) of every attention, in one pass over the whole target."""
    with torch.inference_mode():
        encoded = model.encode(*padded([source], CPU))
        _, attended = model.decoder.features(torch.tensor([[1, *hypothesis.tokens[:-1]]]), encoded)
    weights = {name: layer.weights for name, layer in [*attended.items(), *encoded.attended.items()]}
    return {name: found[0] for name, found in weights.items() if found is not None}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [Greedy(), Beam(4)], ids=["greedy", "beam"])
def test_weights_are_those_of_the_forward_pass(model: Seq2Seq, strategy: Any) -> None:
    """Each hypothesis alone, teacher-forced in one pass: the same weights, whatever row it was in at each step."""
    steps = AttendedSteps(model.decoder.cross_attention())
    found = decode(model, SOURCES, strategy, max_lengths=LIMITS, on_step=steps)
    rows: set[tuple[int, ...]] = set()
    for sentence, (source, hypotheses) in enumerate(zip(SOURCES, found, strict=True)):
        for hypothesis in hypotheses:
            rows.add(hypothesis.rows)
            weights, wanted = steps.of(hypothesis, sentence, len(source) + 1), teacher_forced(model, source, hypothesis)
            assert list(weights.source) == list(model.decoder.cross_attention())
            assert weights.source.keys() | weights.encoder_self.keys() | weights.decoder_self.keys() == wanted.keys()
            for name, array in {**weights.source, **weights.encoder_self}.items():
                np.testing.assert_allclose(array, wanted[name].numpy(), atol=1e-5)
                np.testing.assert_allclose(array.sum(-1), 1, atol=1e-5)
            for name, array in weights.decoder_self.items():
                np.testing.assert_allclose(array[..., :-1], wanted[name].numpy(), atol=1e-5)
                assert not array[..., -1].any()
                np.testing.assert_allclose(array.sum(-1), 1, atol=1e-5)
    assert len(rows) > 1


@pytest.mark.slow
@pytest.mark.parametrize("beam", [1, 3])
def test_looking_changes_nothing(model: Seq2Seq, beam: int) -> None:
    config = SearchConfig(beam)
    unseen = search(model, SOURCES, config)
    seen = search(model, SOURCES, config, Asked(weights=True))
    assert [[one._replace(weights=None) for one in hypotheses] for hypotheses in seen] == unseen
    assert all(best.weights is not None for best, *_ in seen)


@pytest.mark.slow
def test_candidates_are_the_likeliest_of_each_step(model: Seq2Seq) -> None:
    """Each hypothesis of a beam alone, forced: its places have the candidates of those prefixes, likeliest first."""
    found = search(model, SOURCES, SearchConfig(3), Asked(weights=3))
    for source, hypotheses in zip(SOURCES, found, strict=True):
        for one in hypotheses:
            assert one.weights is not None
            with torch.inference_mode():
                encoded = model.encode(*padded([source], CPU))
                logits = model.decoder(torch.tensor([[1, *one.tokens[:-1]]]), encoded)[0]
                logits[:, :2] = -torch.inf
                probabilities, tokens = logits.softmax(-1).topk(5)
            assert one.weights.candidates.tolist() == tokens.tolist()
            np.testing.assert_allclose(one.weights.probabilities, probabilities, atol=1e-5)


def test_names_tell_the_attentions_apart() -> None:
    built = build_model(FAMILIES["transformer"], AttentionConfig(num_heads=3), 9, 7).eval()
    ((best,),) = search(built, [[4]], SearchConfig(), Asked(weights=True))
    assert best.weights is not None
    assert [list(kind) for kind in best.weights[:3]] == [
        ["layer 1", "layer 2"],
        ["encoder self 1", "encoder self 2"],
        ["decoder self 1", "decoder self 2"],
    ]


def test_an_objective_gets_weights_where_a_kernel_without_them_would_run() -> None:
    """Input feeding in training runs in a kernel without weights, unless the model is built to show them."""
    config = RNNConfig(embedding_size=5, hidden_size=6, dropout=0.0, input_feeding=True)
    targets = torch.tensor([[1, 5, 3], [1, 4, 0], [1, 6, 2]])
    values: list[Tensor] = []
    for backend, names in (("auto", []), ("with-weights", ["attention"])):
        torch.manual_seed(2)
        built = build_model(config, AttentionConfig(), 9, 7, backend=backend).train()
        features, attended = built.decoder.features(targets, built.encode(*padded(SOURCES, CPU)))
        assert list(attended) == names
        values.append(features)
    torch.testing.assert_close(*values)


@pytest.mark.parametrize("normalize", ["hard_reinforce", "hard_marginal", "hard_straight_through"])
def test_hard_kinds_hand_on_what_was_chosen_from(normalize: str) -> None:
    built = build_model(RNNConfig(hidden_size=6), AttentionConfig(normalize=normalize), 9, 7).eval()
    _, attended = built.decoder.features(
        torch.tensor([[1, 5, 3], [1, 4, 0], [1, 6, 2]]), built.encode(*padded(SOURCES, CPU))
    )
    weights, log_weights = attended["attention"].weights, attended["attention"].log_weights
    assert weights is not None
    assert log_weights is not None
    torch.testing.assert_close(log_weights.exp().sum(-1), torch.ones(3, 1, 3))
    assert torch.equal(log_weights.argmax(-1), weights.argmax(-1))
    assert torch.equal(weights.sum(-1), torch.ones(3, 1, 3))


@pytest.mark.slow
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
    names = translator.bundle.target.tokenizer.tokens
    target = [1, *(names.index(token) for token in trace.target_tokens[:-1])]
    with torch.inference_mode():
        encoded = model.encode(*padded([ids], CPU))
        keys = encoded.states[0] @ model.decoder.attention.score.key.weight[0].T  # (S, D)
        state = model.decoder.start(encoded)
        queries, _ = model.decoder.run_cells(
            model.decoder.embedding(torch.tensor(target))[:, None], state.layers[0].cells
        )
        weights = (queries[:, 0] @ keys.T).softmax(-1)  # (T, S)
    np.testing.assert_allclose(trace.matrix(), weights.numpy(), atol=1e-5)
