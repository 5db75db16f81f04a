"""A small model of every kind of recurrent decoder, and the laws of every family.

The sizes share no factor, so no swapped axis passes by luck.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from attentio.attention.score import LinearConcat
from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, RNNConfig

SOURCE_VOCAB, TARGET_VOCAB = 11, 13

Build = Callable[..., Seq2Seq]


@pytest.fixture
def build() -> Build:
    """Builds a model in evaluation mode; keyword arguments are settings of the model, or of the attention."""

    def make(*, heads: int = 1, **settings: object) -> Seq2Seq:
        torch.manual_seed(3)
        sizes: dict[str, object] = {"embedding_size": 5, "hidden_size": 6, "dropout": 0.0}
        kind = {name: settings.pop(name) for name in ("score", "normalize", "window") if name in settings}
        model = RNNConfig.model_validate(sizes | settings)
        attention = AttentionConfig.model_validate({"num_heads": heads} | kind)
        return build_model(model, attention, SOURCE_VOCAB, TARGET_VOCAB).eval()

    return make


def steps_equal_all_at_once(model: Seq2Seq, source: Tensor, lengths: Tensor, target: Tensor) -> None:
    encoded = model.encode(source, lengths)
    features = model.decoder.features(target, encoded)
    together, at_once = model.decoder.logits(target, features, encoded.lexicon), features.attended
    assert together.shape == (*target.shape, TARGET_VOCAB)
    assert together.isfinite().all()
    state = model.decoder.start(encoded)
    for t, tokens in enumerate(target.unbind(1)):
        logits, state, attended = model.decoder.step(tokens, state)
        torch.testing.assert_close(logits, together[:, t], rtol=1e-5, atol=1e-5)
        assert list(attended) == list(at_once)
        for name in model.decoder.cross_attention():
            wanted = at_once[name].weights[:, :, t : t + 1]
            torch.testing.assert_close(attended[name].weights, wanted, rtol=1e-5, atol=1e-5)


def padding_and_company_change_nothing(model: Seq2Seq, source: Tensor, lengths: Tensor, target: Tensor) -> None:
    together = model(source, lengths, target)
    littered = torch.where(torch.arange(source.shape[1]) < lengths[:, None], source, 7)  # any token may stand there
    torch.testing.assert_close(model(littered, lengths, target), together, rtol=0, atol=0)
    for row, length in enumerate(lengths.tolist()):
        alone = model(source[row : row + 1, :length], lengths[row : row + 1], target[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], rtol=1e-5, atol=1e-5)


def the_past_alone_decides(model: Seq2Seq, source: Tensor, lengths: Tensor, target: Tensor) -> None:
    changed = target.clone()
    changed[:, 2:] = 10
    before, after = model(source, lengths, target), model(source, lengths, changed)
    torch.testing.assert_close(before[:, :2], after[:, :2], rtol=1e-5, atol=1e-6)
    assert (before[:, 2] - after[:, 2]).abs().amax(-1).min() > 1e-3


def selecting_rows_and_stepping_commute(model: Seq2Seq, source: Tensor, lengths: Tensor, target: Tensor) -> None:
    state = model.decoder.start(model.encode(source, lengths))
    *first, last_but_one, last = target.unbind(1)
    for tokens in first:
        _, state, _ = model.decoder.step(tokens, state)
    rows = torch.tensor([2, 0, 2, 1])
    wanted, after, _ = model.decoder.step(last_but_one, state)
    found, after_selection, _ = model.decoder.step(last_but_one[rows], state.select(rows))
    torch.testing.assert_close(found, wanted[rows], rtol=1e-5, atol=1e-6)
    again, _, _ = model.decoder.step(last[rows], after_selection)
    wanted, _, _ = model.decoder.step(last, after)
    torch.testing.assert_close(again, wanted[rows], rtol=1e-5, atol=1e-6)


def every_parameter_is_used(model: Seq2Seq, source: Tensor, lengths: Tensor, target: Tensor) -> None:
    """In training: what walks along the source learns from expectations there."""
    attentions = model.decoder.cross_attention().values()
    if any(attention.normalize.objective == "reinforce" for attention in attentions):
        pytest.skip("a drawn key has no gradient but that of its objective: tests/train/test_hard.py")
    model.train()(source, lengths, target).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    unused = {name for name, gradient in gradients.items() if gradient is None or not gradient.any()}
    # The query's part of linear_concat cancels in the softmax.
    cancels = any(isinstance(attention.score, LinearConcat) for attention in attentions)
    assert not [name for name in unused if not (cancels and name.endswith("score.query.weight"))]


Law = Callable[[Seq2Seq, Tensor, Tensor, Tensor], None]
LAWS: list[Law] = [
    steps_equal_all_at_once,
    padding_and_company_change_nothing,
    the_past_alone_decides,
    selecting_rows_and_stepping_commute,
    every_parameter_is_used,
]


@pytest.fixture(params=LAWS, ids=lambda law: law.__name__)
def law(request: pytest.FixtureRequest) -> Law:
    """A law of every family: it checks a model with source tokens, their lengths, and a target that starts with bos."""
    return request.param
